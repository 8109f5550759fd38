//! Programs that are asked: each way not to answer is another outcome. Shell scripts stand for programs, since every Unix has a shell.
#![cfg(unix)]

use super::command_line::goldref;
use goldref::candidate::{Candidate, Outcome, Program, ProgramQuestion, Restarted};
use goldref::io::{Array, npz};
use ndarray::{ArrayD, arr1, arr2};
use serde_json::json;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

const LONG: Duration = Duration::from_secs(60);

/// Reads lines, with the parts of a question in `$id` and `$outputs`; `answer` says what to do.
fn script(answer: &str) -> Vec<OsString> {
    let part = |name: &str| format!("{name}=$(printf '%s' \"$line\" | sed 's/.*\"{name}\":\"\\([^\"]*\\)\".*/\\1/')");
    let text = format!("while IFS= read -r line; do {}; {}; {answer}; done", part("id"), part("outputs"));
    ["sh", "-c", &text].map(OsString::from).to_vec()
}

/// A file of outputs that a script can copy.
fn stored(folder: &Path) -> String {
    let path = folder.join("stored.npz");
    let out: ArrayD<f64> = arr1(&[1.0, 2.5]).into_dyn();
    npz::write(&path, &BTreeMap::from([("out".to_string(), Array::F64(out))])).unwrap();
    path.display().to_string()
}

/// A program that answers every question with the same array.
pub(super) fn always_the_same(folder: &Path) -> Vec<String> {
    let command = script(&format!("cp {} \"$outputs\"; {OK}", stored(folder)));
    command.into_iter().map(|word| word.into_string().unwrap()).collect()
}

fn ask(program: &mut Program, limit: Duration) -> Outcome {
    let inputs = BTreeMap::from([("x".to_string(), Array::F64(arr1(&[1.0]).into_dyn()))]);
    let question = ProgramQuestion { op: "softmax", params: &json!({"axis": 0}), model: None, inputs: &inputs };
    program.ask(&question, limit).unwrap()
}

fn asked(answer: &str) -> Outcome {
    ask(&mut Program::start(&script(answer)).unwrap(), LONG)
}

const OK: &str = "printf '{\"id\":\"%s\",\"status\":\"ok\"}\\n' \"$id\"";

#[test]
fn a_program_answers_many_questions_with_arrays() {
    let folder = TempDir::new().unwrap();
    let mut program =
        Program::start(&script(&format!("echo noise >&2; cp {} \"$outputs\"; {OK}", stored(folder.path())))).unwrap();
    for _ in 0..3 {
        let Outcome::Answered { arrays, took } = ask(&mut program, LONG) else { panic!("no answer") };
        assert_eq!(arrays["out"].to_f64(), arr1(&[1.0, 2.5]).into_dyn());
        assert!(took > Duration::ZERO);
    }
}

#[test]
fn each_way_not_to_answer_is_told_apart() {
    let words = |answer: &str| asked(answer).in_words();
    let said =
        |status: &str| format!("printf '{{\"id\":\"%s\",\"status\":\"{status}\",\"message\":\"why\"}}\\n' \"$id\"");
    assert_eq!(words(&said("unsupported")), "does not answer this: why");
    assert_eq!(words(&said("error")), "failed: why");
    for (answer, how) in [
        ("echo loaded", "the line \"loaded\" is not"),
        ("echo '{\"id\":\"7\",\"status\":\"ok\"}'", "question \"7\" when \"1\""),
        (OK, "said ok and wrote no file"),
        (&format!("echo text > \"$outputs\"; {OK}"), "cannot read"),
        (&format!("ln -s /dev/zero \"$outputs\"; {OK}"), "said ok and wrote no file"),
        ("head -c 100000 /dev/zero | tr '\\0' x; sleep 60", "longer than 64 KiB"),
    ] {
        let outcome = asked(answer);
        assert!(matches!(outcome, Outcome::BadAnswer(_)), "{answer}: {outcome:?}");
        assert!(outcome.in_words().contains(how), "{answer}: {outcome:?}");
    }
    for (answer, how) in [
        ("echo out of luck >&2; exit 3", "exit status: 3; out of luck"),
        ("kill -9 $$", "signal: 9"),
        ("exec >&-; sleep 60", "closed its standard output"),
    ] {
        let outcome = asked(answer);
        assert!(matches!(&outcome, Outcome::Crashed(said) if said.contains(how)), "{answer}: {outcome:?}");
    }
}

#[test]
fn a_program_that_takes_too_long_is_ended_and_stays_so() {
    let mut program = Program::start(&script("sleep 60")).unwrap();
    assert!(matches!(ask(&mut program, Duration::from_millis(50)), Outcome::TimedOut(_)));
    assert!(matches!(ask(&mut program, LONG), Outcome::Crashed(_)));
}

#[test]
fn an_answer_nobody_asked_for_is_noticed() {
    let folder = TempDir::new().unwrap();
    let twice = format!("cp {} \"$outputs\"; {OK}; {OK}", stored(folder.path()));
    let mut program = Program::start(&script(&twice)).unwrap();
    let mut outcome = ask(&mut program, LONG);
    // Where both lines come at once, it is seen at once.
    if matches!(outcome, Outcome::Answered { .. }) {
        // The second line is on its way.
        std::thread::sleep(Duration::from_millis(200));
        outcome = ask(&mut program, LONG);
    }
    assert!(outcome.in_words().contains("a line that nobody asked for"), "{outcome:?}");
}

#[test]
#[cfg(target_os = "linux")]
fn what_a_program_started_ends_with_it() {
    let folder = TempDir::new().unwrap();
    let pid = folder.path().join("pid");
    let daemon = format!("sleep 600 & echo $! > {}; {OK}", pid.display());
    let mut program = Program::start(&script(&daemon)).unwrap();
    ask(&mut program, LONG);
    let pid = fs::read_to_string(&pid).unwrap();
    drop(program);
    // A process that ended may wait for its parent's look.
    let state = || fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    let gone = || state().is_empty() || state().contains(") Z ");
    for _ in 0..200 {
        if gone() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{}", state());
}

#[test]
fn what_cannot_be_started_is_said() {
    let error = Program::start(&[OsString::from("no-such-program")]).unwrap_err().to_string();
    assert!(error.contains("\"no-such-program\" cannot be started"), "{error}");
    assert!(Program::start(&[]).is_err());
}

#[test]
fn the_latency_of_a_program_is_measured() {
    let folder = TempDir::new().unwrap();
    let tokens = folder.path().join("tokens.npz");
    npz::write(&tokens, &BTreeMap::from([("tokens".to_string(), Array::I64(arr2(&[[7]]).into_dyn()))])).unwrap();
    let model = super::root().join("fixtures/model/models/llama_gqa_biased").display().to_string();
    let bench = |generate: &str, more: &[&str]| {
        let args = ["bench", "--model", &model, "--prompt", "4,9", "--generate", generate, "--repeats", "2"];
        let program = script(&format!("cp {} \"$outputs\"; {OK}", tokens.display()));
        goldref().args(args).args(more).arg("--").args(program).output().unwrap()
    };
    let json = ["--format", "json"];
    let output = bench("1", &[&json[..], &["--unjudged"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["latency"]["rows"].as_array().unwrap().len(), 2);
    // One token each is no basis for a word about the cache.
    assert_eq!(report["program"]["cache"]["verdict"], "too_short");
    assert_eq!(report["program"]["tokens"], serde_json::Value::Null);
    // The same token behind every prompt is wrong behind most.
    let judged = bench("1", &[&json[..], &["--seed", "7"]].concat());
    assert_eq!(judged.status.code(), Some(1), "{}", String::from_utf8_lossy(&judged.stderr));
    let report: serde_json::Value = serde_json::from_slice(&judged.stdout).unwrap();
    let (seed, first) = (&report["program"]["seed"], &report["program"]["tokens"]["wrong"][0]);
    assert_eq!(
        (seed, &first["generate"], &first["first_wrong"]["token"]),
        (&json!(7), &json!(1), &json!(7)),
        "{report}"
    );
    let number = |name: &str| first["first_wrong"][name].as_f64().unwrap();
    assert!(number("margin") > number("bound") && number("bound") > 0.0, "{first}");
    // The seed says which prompts: the margins come again to the bit.
    let again = bench("1", &[&json[..], &["--seed", "7"]].concat());
    let again: serde_json::Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(again["program"]["tokens"], report["program"]["tokens"]);
    let text = String::from_utf8(bench("1", &["--seed", "7"]).stdout).unwrap();
    assert!(text.contains("token 1 of 1 is wrong: 7 where ") && text.contains("Prompts: --seed 7."), "{text}");
    let refused = bench("3", &[]);
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{message}");
    assert!(
        message.contains("asked for 3 tokens after 4, wrote tokens of shape [1, 1]; they must be [1, 3]"),
        "{message}"
    );
}

#[test]
fn a_program_is_judged_on_fixtures_as_one_variant() {
    let folder = TempDir::new().unwrap();
    let check = |more: &[&str], program: &[String]| {
        let words = ["check", "--case", "ops/softmax_one_key,ops/softmax_plain", "--format", "json"];
        let mut command = super::command_line::goldref();
        let output = command.args(words).args(more).arg("--").args(program).output().unwrap();
        (output.status.code(), output.stdout, String::from_utf8(output.stderr).unwrap())
    };
    let (code, json, _) = check(&[], &always_the_same(folder.path()));
    let run: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!((code, run["variants"][0]["name"].as_str()), (Some(1), Some("f32")));
    assert!(run["variants"][0]["about"].as_str().unwrap().starts_with("answers of sh -c"), "{run}");
    let kinds: Vec<&str> =
        run["results"].as_array().unwrap().iter().map(|r| r["outcome"]["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["wrong_shape", "wrong_shape"]);
    // What it does not do counts neither way, and nothing asked is no success.
    let unsupported = script("printf '{\"id\":\"%s\",\"status\":\"unsupported\"}\\n' \"$id\"");
    let unsupported: Vec<String> = unsupported.into_iter().map(|word| word.into_string().unwrap()).collect();
    let (code, _, message) = check(&[], &unsupported);
    assert!(code == Some(2) && message.contains("nothing asked is not a success"), "{message}");
    let (code, _, message) = check(&["--variant", "bf16*"], &unsupported);
    assert!(code == Some(2) && message.contains("a program is judged as one of them"), "{message}");
    let (code, _, message) = check(&["--bits"], &unsupported);
    assert!(code == Some(2) && message.contains("leave out --bits"), "{message}");
}

#[test]
fn a_program_that_ended_is_started_anew_for_the_next_question() {
    let folder = TempDir::new().unwrap();
    // It answers the first question after each start, and ends at the second.
    let once = script(&format!(
        "if [ -n \"$seen\" ]; then exit 1; fi; seen=1; cp {} \"$outputs\"; {OK}",
        stored(folder.path())
    ));
    let mut program = Restarted::start(&once, LONG).unwrap();
    let inputs = BTreeMap::from([("x".to_string(), Array::F64(arr1(&[1.0]).into_dyn()))]);
    let question = ProgramQuestion { op: "softmax", params: &json!({"axis": 0}), model: None, inputs: &inputs };
    let outcomes: Vec<bool> =
        (0..4).map(|_| matches!(program.answer(&question).unwrap(), Outcome::Answered { .. })).collect();
    assert_eq!(outcomes, [true, false, true, false]);
}
