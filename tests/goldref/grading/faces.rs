//! Faces of a graded submission: the same numbers, in the forms that grading sites read.

use super::{Desk, python_can};
use crate::schema::refusal_by;
use serde_json::Value;

#[test]
fn gradescope_and_prairielearn_take_the_results() {
    if !python_can("import zipfile") {
        return;
    }
    let desk = Desk::new(1, 2);
    let students = [
        desk.student("right", "max(x, 0.0)"),
        desk.student("inexact", "max(x, 0.0) + 1e-4"),
        desk.program("silent", "raise SystemExit(1)"),
    ];
    for (student, points) in students.iter().zip([10.0, 5.0, 0.0]) {
        let results = |face: &str| -> Value {
            let output = desk.grade().arg("--submission").arg(student).args(["--format", face]).output().unwrap();
            serde_json::from_slice(&output.stdout).unwrap()
        };
        let gradescope = results("gradescope");
        assert_eq!(refusal_by("gradescope-results.schema.json", &gradescope), None, "{gradescope}");
        assert_eq!(gradescope["score"], points);
        let sum: f64 = gradescope["tests"].as_array().unwrap().iter().map(|test| test["score"].as_f64().unwrap()).sum();
        assert!((sum - points).abs() < 1e-9, "{gradescope}");
        let prairielearn = results("prairielearn");
        assert_eq!(refusal_by("prairielearn-results.schema.json", &prairielearn), None, "{prairielearn}");
        assert_eq!(prairielearn["score"], points / 10.0);
    }
    // The schemas refuse what the sites would not take.
    assert!(
        refusal_by("gradescope-results.schema.json", &serde_json::json!({"output": "no score, no tests"})).is_some()
    );
    assert!(refusal_by("gradescope-results.schema.json", &serde_json::json!({"score": "10", "tests": []})).is_some());
    assert!(
        refusal_by("prairielearn-results.schema.json", &serde_json::json!({"gradable": true, "score": 1.5})).is_some()
    );
}

#[test]
fn the_text_has_the_plain_block_and_the_file_has_the_other_face() {
    if !python_can("import zipfile") {
        return;
    }
    let desk = Desk::new(2, 0);
    let student = desk.student("half", "max(x, 0.0) if x != 5.5 else 0.0");
    let file = desk.folder.path().join("results.json");
    let output =
        desk.grade().arg("--submission").arg(&student).args(["--format", "gradescope", "--output"]).arg(&file).output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    let block = "Evaluation Results:\n  Num test cases: 2\n  All tests passed: False\n  Pass rate: 50.00% (1/2)\n";
    assert!(text.contains(block) && text.contains("\nasked in the sandbox\n"), "{text}");
    assert!(text.contains("a  relu  5/10  1 of 2 (1 at 1e-5): not rounding"), "{text}");
    assert!(std::fs::read_to_string(&file).unwrap().contains("\"stdout_visibility\": \"hidden\""));
}
