//! `goldref check --answers`: arrays in files, judged as the answers of a variant.

use assert_cmd::Command;
use goldref::io::{Array, npz};
use ndarray::ArrayD;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// A folder with this answer to a case.
fn answers(case: &str, out: Array) -> TempDir {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join(format!("{case}.npz"));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    npz::write(&path, &BTreeMap::from([("out".to_string(), out)])).unwrap();
    folder
}

fn judged(folder: &Path, case: &str, variant: &str) -> (Option<i32>, String) {
    let mut command = Command::cargo_bin("goldref").unwrap();
    command.env("NO_COLOR", "1").env_remove("GITHUB_ACTIONS").args(["check", "--answers"]).arg(folder);
    let result = command.args(["--case", case, "--variant", variant]).output().unwrap();
    let said = [result.stdout, result.stderr].concat();
    (result.status.code(), String::from_utf8(said).unwrap())
}

const CASE: &str = "ops/linear_square_out_in";

/// What is expected of a bundled case.
fn expected() -> ArrayD<f64> {
    let path = super::root().join("fixtures").join(CASE).join("expected.npz");
    npz::read(path).unwrap()["out"].to_f64()
}

#[test]
fn each_answer_gets_its_verdict_and_exit_code() {
    let verdict = |out: Array, variant: &str| {
        let folder = answers(CASE, out);
        judged(folder.path(), CASE, variant)
    };
    let exact = verdict(Array::F64(expected()), "f64");
    assert!(exact.0 == Some(0) && exact.1.contains(" exact\n"), "{exact:?}");
    // bf16 as 16-bit words: each element rounded once.
    let words = expected().mapv(half::bf16::from_f64);
    let stored = verdict(Array::Bf16(words.clone()), "bf16");
    assert!(stored.0 == Some(0), "{stored:?}");
    // The same numbers are no f32 answer.
    let coarse = verdict(Array::F64(words.mapv(f64::from)), "f32");
    assert!(coarse.0 == Some(1) && coarse.1.contains("not rounding"), "{coarse:?}");
    let nan = verdict(Array::F64(expected().mapv(|_| f64::NAN)), "bf16");
    assert!(nan.0 == Some(1) && nan.1.contains("not finite"), "{nan:?}");
    let shape = verdict(Array::F64(ArrayD::zeros(vec![1])), "bf16");
    assert!(shape.0 == Some(1) && shape.1.contains("wrong shape"), "{shape:?}");
}

#[test]
fn a_case_without_a_file_is_a_failure_and_no_file_at_all_is_no_question() {
    let folder = answers(CASE, Array::F64(expected()));
    let (code, said) = judged(folder.path(), "ops/linear_*", "f64");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("could not answer"), "{said}");
    let (code, said) = judged(TempDir::new().unwrap().path(), CASE, "f64");
    assert!(code == Some(2) && said.contains("it holds no answer to any selected case"), "{said}");
    let (code, said) = judged(Path::new("/nowhere"), CASE, "f64");
    assert!(code == Some(2) && said.contains("it is no folder"), "{said}");
}

#[test]
fn the_variant_must_be_one() {
    let folder = answers(CASE, Array::F64(expected()));
    let (code, said) = judged(folder.path(), CASE, "f32*");
    assert!(code == Some(2) && said.contains("name it with --variant"), "{said}");
}
