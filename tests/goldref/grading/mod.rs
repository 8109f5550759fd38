//! `goldref grade` as staff and students meet it.
//!
//! Submissions are Python programs. Where there is no `python3` (for the course: none with NumPy) these tests have nobody to grade and end early, unless
//! `GOLDREF_TEST_PYTHON` is set, as where goldref itself is tested; then that is a failure.
#![cfg(target_os = "linux")]

mod attacks;
mod bounds;
mod class;
mod course;
mod faces;
mod hostile;
mod leaks;
mod one;
mod speed_up;

use super::command_line::goldref;
use assert_cmd::Command;
use goldref::io::Array;
use goldref::suite::{NewCase, write_suite};
use ndarray::ArrayD;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Whether there is a Python that can do `statement`.
pub(super) fn python_can(statement: &str) -> bool {
    let found = std::process::Command::new("python3").args(["-c", statement]).output();
    let can = found.is_ok_and(|output| output.status.success());
    assert!(can || std::env::var_os("GOLDREF_TEST_PYTHON").is_none(), "there is no python3 that can {statement}");
    can
}

/// An assignment about `relu` and the folder of everything that belongs to it.
struct Desk {
    folder: TempDir,
}

impl Desk {
    /// With `visible` and `hidden` cases; `lines` come before the part, `part` in it.
    fn with(visible: usize, hidden: usize, lines: &str, part: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let case = |number: usize| {
            let x = ArrayD::from_shape_fn(vec![3, 4], |at| (at[0] * 4 + at[1]) as f32 - 5.5 + number as f32 / 8.0);
            let expected = x.mapv(|x| f64::from(if x > 0.0 { x } else { 0.0 }));
            NewCase {
                id: format!("case_{number}"),
                op: "relu".to_string(),
                params: json!({}),
                inputs: BTreeMap::from([("x".to_string(), Array::F32(x))]),
                expected: BTreeMap::from([("out".to_string(), expected)]),
                compare_where: None,
            }
        };
        let staff = folder.path().join("staff");
        fs::create_dir(&staff).unwrap();
        fs::create_dir(folder.path().join("class")).unwrap();
        let mut sets = String::new();
        if visible > 0 {
            write_suite(&staff.join("public"), "", (0..visible).map(case).collect(), None).unwrap();
            sets += "visible = [\"public\"]\n";
        }
        if hidden > 0 {
            write_suite(&staff.join("secret"), "", (0..hidden).map(case).collect(), None).unwrap();
            sets += "hidden = [\"secret\"]\n";
        }
        let text = format!(
            "format = \"goldref-assignment/1\"\ntitle = \"relu\"\n[candidate]\ncommand = [\"python3\", \"candidate.py\"]\n\
             files = [\"candidate.py\"]\n{lines}\n[[part]]\nid = \"a\"\ntitle = \"relu\"\npoints = 10\n\
             ladder = {{ \"1e-5\" = 1, \"1e-3\" = \"1/2\" }}\n{sets}{part}\n"
        );
        fs::write(staff.join("assignment.toml"), text).unwrap();
        Self { folder }
    }

    fn new(visible: usize, hidden: usize) -> Self {
        Self::with(visible, hidden, "", "")
    }

    fn staff(&self) -> PathBuf {
        self.folder.path().join("staff")
    }

    fn class(&self) -> PathBuf {
        self.folder.path().join("class")
    }

    /// A submission with this formula in place of `max(x, 0.0)`.
    fn student(&self, name: &str, formula: &str) -> PathBuf {
        let right = fs::read_to_string(crate::root().join("tests/submissions/relu.py")).unwrap();
        assert_eq!(right.matches("max(x, 0.0)").count(), 1);
        self.program(name, &right.replace("max(x, 0.0)", formula))
    }

    fn program(&self, name: &str, program: &str) -> PathBuf {
        let folder = self.class().join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("candidate.py"), program).unwrap();
        folder
    }

    /// `goldref grade` of this assignment, with its temporary files in a folder of their own.
    fn grade(&self) -> Command {
        let scratch = self.folder.path().join("tmp");
        fs::create_dir_all(&scratch).unwrap();
        let mut command = goldref();
        command.arg("grade").arg(self.staff()).env("TMPDIR", &scratch);
        command
    }

    /// The report of one submission, and the exit code.
    fn graded(&self, submission: &Path, more: &[&str]) -> (Value, i32) {
        let output =
            self.grade().arg("--submission").arg(submission).args(["--format", "json"]).args(more).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {stderr}"));
        (report, output.status.code().unwrap())
    }

    /// Nothing of a submission stays in the folder for temporary files.
    fn is_clean(&self) {
        let left: Vec<_> = fs::read_dir(self.folder.path().join("tmp")).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

/// The full reasons of all items, each with its standing.
fn reasons(report: &Value) -> Vec<String> {
    let items = report["parts"].as_array().unwrap().iter().flat_map(|part| part["items"].as_array().unwrap());
    items.map(|item| item["reason"]["full"].as_str().unwrap_or("agrees").to_string()).collect()
}
