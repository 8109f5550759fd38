//! The hashes of `fixtures/bits.txt`: the same bits for any number of threads and every instruction set of this CPU.
//! `GOLDREF_BLESS=1` writes them, from the scalar definition. `tools/check_arm64_bits.sh` holds another architecture to them.

use super::command_line::goldref;
use goldref::simd::{ISA_VARIABLE, Level};
use goldref::variant;
use std::fs;
use std::sync::OnceLock;

/// What levels other than the best are asked for, because there each fused multiply-add may be a call: every format of
/// weights and sums, whole and token by token. The other variants differ in what they round, not in how they multiply.
const OF_EACH_LEVEL: &str = "f64,f32,f32-cached,tf32,bf16,bf16-cached,bf16-accumulate,f16";

/// What `goldref check --bits` prints, with the machine that it says it was on.
fn printed(level: Level, threads: usize, arguments: &[&str]) -> String {
    let mut command = goldref();
    command.env(ISA_VARIABLE, level.name()).env("RAYON_NUM_THREADS", threads.to_string());
    let output = command.args(["check", "--bits"]).args(arguments).output().unwrap();
    let notes = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{notes}");
    let plural = if threads == 1 { "" } else { "s" };
    let machine = format!("goldref: note: {}, {}, {threads} thread{plural}\n", std::env::consts::ARCH, level.name());
    assert_eq!(notes, machine);
    String::from_utf8(output.stdout).unwrap()
}

/// The committed lines.
fn frozen() -> &'static str {
    static FROZEN: OnceLock<String> = OnceLock::new();
    FROZEN.get_or_init(|| {
        let path = super::root().join("fixtures/bits.txt");
        if std::env::var_os("GOLDREF_BLESS").is_some() {
            fs::write(&path, printed(Level::Definition, 1, &[])).unwrap();
        }
        fs::read_to_string(path).unwrap()
    })
}

fn assert_same(actual: &str, expected: &str, who: &str) {
    let differing: Vec<_> = actual.lines().zip(expected.lines()).filter(|(a, e)| a != e).collect();
    assert!(
        actual == expected,
        "{who}: not the bits of fixtures/bits.txt, which GOLDREF_BLESS=1 cargo test bits writes anew: {} lines, expected {}; {differing:#?}",
        actual.lines().count(),
        expected.lines().count()
    );
}

#[test]
fn the_bits_are_the_frozen_ones_for_one_thread_and_two() {
    let best = *Level::all().last().unwrap();
    for threads in [1, 2] {
        assert_same(&printed(best, threads, &[]), frozen(), &format!("{} with {threads} threads", best.name()));
    }
}

#[test]
fn the_bits_are_the_frozen_ones_for_every_instruction_set() {
    let chosen: Vec<&str> = OF_EACH_LEVEL.split(',').collect();
    let line_of = |line: &&str| line.split(' ').nth(1).is_some_and(|variant| chosen.contains(&variant));
    let expected: String = frozen().lines().filter(line_of).map(|line| format!("{line}\n")).collect();
    assert!(chosen.iter().all(|name| variant::find(name).is_some()) && expected.lines().count() >= 40, "{expected}");
    // The best level answers everything in the other test.
    for &level in Level::all().split_last().unwrap().1 {
        assert_same(&printed(level, 2, &["--variant", OF_EACH_LEVEL]), &expected, level.name());
    }
}

#[test]
fn a_cached_variant_has_the_hash_of_the_whole_where_both_answer_everything() {
    let hash = |wanted: &str| {
        let line = frozen().lines().find(|line| line.starts_with(wanted));
        line.unwrap_or_else(|| panic!("no {wanted}in\n{}", frozen())).rsplit_once(' ').unwrap().1
    };
    for twin in variant::ALL {
        let Some(original) = twin.twin_of else { continue };
        assert_eq!(hash(&format!("decode {} ", twin.name)), hash(&format!("decode {original} ")), "{}", twin.name);
    }
    assert_ne!(hash("decode f32 "), hash("decode bf16 "));
}

#[test]
fn json_has_the_whole_hashes_and_those_of_the_cases() {
    let output = goldref()
        .args(["check", "--bits", "--suite", "ops", "--variant", "f32,bf16", "--format", "json"])
        .output()
        .unwrap();
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["format"], "goldref-bits/1");
    let hashes = json["hashes"].as_array().unwrap();
    assert_eq!(hashes.len(), 2);
    for bits in hashes {
        let whole = bits["sha256"].as_str().unwrap();
        assert_eq!(whole.len(), 64);
        let line = format!("ops {} {}\n", bits["variant"].as_str().unwrap(), &whole[..16]);
        assert!(frozen().contains(&line), "{line}");
        let cases = bits["cases"].as_array().unwrap();
        assert!(cases.len() > 50 && cases.iter().all(|case| case["outcome"]["kind"] == "answered"), "{bits}");
    }
}

#[test]
fn hashes_go_with_nothing_that_judges() {
    for arguments in [
        &["--answers", "out"][..],
        &["--atol", "1e-5"],
        &["--rtol", "1e-5"],
        &["--max-ulps", "1"],
        &["--format", "junit"],
        &["--format", "github"],
        &["--suite", "ops", "--variant", "f64-cached"],
        &["--variant", "nope"],
    ] {
        let result = goldref().args(["check", "--bits"]).args(arguments).output().unwrap();
        assert_eq!(result.status.code(), Some(2), "{arguments:?}");
        assert!(result.stdout.is_empty(), "{arguments:?}");
    }
}
