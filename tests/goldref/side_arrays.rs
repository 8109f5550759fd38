//! Arrays beside the main one: each that a case expects counts, whoever is asked, and one that does not fit hides no other.
#![cfg(unix)]

use super::command_line::goldref;
use goldref::io::{Array, npz};
use ndarray::{ArrayD, IxDyn};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

type Arrays = BTreeMap<String, Array>;

/// A suite with the bundled case of a layer norm, which expects `out`, `mean` and `inv_std_dev`.
struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new(optional: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let case = folder.path().join("mine/norm");
        fs::create_dir_all(&case).unwrap();
        let bundled = crate::root().join("fixtures/ops/layer_norm_over_two_axes");
        for file in ["inputs.npz", "expected.npz"] {
            fs::copy(bundled.join(file), case.join(file)).unwrap();
        }
        let row =
            json!({"id": "norm", "op": "layer_norm", "params": {"norm_eps": 0.1, "axis": -2}, "optional": optional});
        let suite = json!({"format": "goldref-suite/1", "name": "mine", "about": "Mine.", "cases": [row]});
        fs::write(folder.path().join("mine/suite.json"), suite.to_string()).unwrap();
        let assignment = "format = \"goldref-assignment/1\"\ntitle = \"t\"\nhints = \"full\"\n[candidate]\ncommand = [\"sh\"]\n\
                          [[part]]\nid = \"a\"\ntitle = \"a\"\npoints = 6\nvisible = [\"mine\"]\n";
        fs::write(folder.path().join("assignment.toml"), assignment).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn right(&self) -> Arrays {
        npz::read(self.path("mine/norm/expected.npz")).unwrap()
    }

    fn write(&self, answer: &Arrays) {
        fs::create_dir_all(self.path("out/mine")).unwrap();
        npz::write(self.path("out/mine/norm.npz"), answer).unwrap();
    }

    /// A program that answers with what was written.
    fn program(&self) -> [String; 3] {
        let part =
            |name: &str| format!("{name}=$(printf '%s' \"$line\" | sed 's/.*\"{name}\":\"\\([^\"]*\\)\".*/\\1/')");
        let (id, outputs, stored) = (part("id"), part("outputs"), self.path("out/mine/norm.npz"));
        let ok = "printf '{\"id\":\"%s\",\"status\":\"ok\"}\\n' \"$id\"";
        let loop_ =
            format!("while IFS= read -r line; do {id}; {outputs}; cp {} \"$outputs\"; {ok}; done", stored.display());
        ["sh".to_string(), "-c".to_string(), loop_]
    }

    /// The outcome of `goldref check`, and the exit code.
    fn checked(&self, format: &str, asked: &[&str]) -> (String, i32) {
        let mut command = goldref();
        command.args(["check", "--variant", "f64", "--format", format, "--fixtures"]).arg(self.path("mine"));
        let output = command.args(asked).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        (said, output.status.code().unwrap())
    }

    /// The points of both ways to grade, with what is said of the case in full.
    fn graded(&self) -> [(String, String); 2] {
        let grade = |asked: &[String]| {
            let mut command = goldref();
            command.arg("grade").arg(self.path("assignment.toml")).args(["--no-sandbox", "--format", "json"]);
            let output = command.args(asked).output().unwrap();
            let report: Value = serde_json::from_slice(&output.stdout)
                .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
            let why = report["parts"][0]["items"][0]["reason"]["full"].as_str().unwrap_or("agrees");
            (report["points"].as_str().unwrap().to_string(), why.to_string())
        };
        let program = [["--".to_string()].as_slice(), &self.program()].concat();
        [grade(&program), grade(&["--outputs".to_string(), self.path("out").display().to_string()])]
    }
}

/// `answer` with each array named here taken away, and `77` in each element of each named behind it.
fn changed(right: &Arrays, without: &[&str], wrong: &[&str], reshaped: &[&str]) -> Arrays {
    let mut answer = right.clone();
    answer.retain(|name, _| !without.contains(&name.as_str()));
    for name in wrong {
        answer.insert(name.to_string(), Array::F64(right[*name].to_f64().mapv(|_| 77.0)));
    }
    for name in reshaped {
        answer.insert(name.to_string(), Array::F64(ArrayD::zeros(IxDyn(&[1]))));
    }
    answer
}

#[test]
fn every_expected_array_counts_whoever_is_asked() {
    let missing_mean = ["the answer has no array mean", "inv_std_dev: exact", "out: exact"];
    let (none, mean) = ([].as_slice(), ["mean"].as_slice());
    let both = ["the answer has no array mean", "inv_std_dev has shape [1]; expected [3, 1, 1]", "out: exact"];
    let shape = ["mean has shape [1]", "inv_std_dev: exact", "out: exact"];
    for (without, wrong, reshaped, kind, said) in [
        (none, none, none, "compared", [" exact\n"].as_slice()),
        (mean, none, none, "missing", &missing_mean),
        (none, mean, none, "compared", &["mean[", "not rounding"]),
        (none, none, mean, "wrong_shape", &shape),
        (mean, none, &["inv_std_dev"], "missing", &both),
        (mean, &["out"], none, "missing", &["the answer has no array mean", "inv_std_dev: exact", "out: not rounding"]),
        (&["out"], none, none, "missing", &["the answer has no array out", "mean: exact"]),
    ] {
        let bench = Bench::new(&[]);
        let about = format!("without {without:?}, wrong {wrong:?}, reshaped {reshaped:?}");
        bench.write(&changed(&bench.right(), without, wrong, reshaped));
        let out = bench.path("out").display().to_string();
        let program = bench.program();
        let right = kind == "compared" && wrong.is_empty();
        for asked in [vec!["--answers", &out], vec!["--", &program[0], &program[1], &program[2]]] {
            let (run, code) = bench.checked("json", &asked);
            assert_eq!(code, i32::from(!right), "{about}: {run}");
            let run: Value = serde_json::from_str(&run).unwrap();
            assert_eq!(run["results"][0]["outcome"]["kind"], kind, "{about}: {run}");
            let (text, _) = bench.checked("text", &asked);
            assert!(said.iter().all(|said| text.contains(said)), "{about}: {text}");
        }
        for (points, why) in bench.graded() {
            assert_eq!(points == "6", right, "{about}: {points}: {why}");
            for name in without {
                assert!(why.contains("missing array") && why.contains(&format!("\"{name}\"")), "{about}: {why}");
            }
            for name in reshaped {
                assert!(why.contains("wrong shape") && why.contains(&format!("{name} is [1]")), "{about}: {why}");
            }
            for name in wrong {
                assert!(why.contains("not rounding") && why.contains(name), "{about}: {why}");
            }
        }
    }
}

#[test]
fn an_optional_array_may_be_left_out_by_a_program_and_counts_where_it_is_there() {
    for (without, wrong, agrees) in [
        (vec!["mean", "inv_std_dev"], vec![], true),
        (vec!["mean"], vec!["inv_std_dev"], false),
        (vec!["out"], vec![], false),
    ] {
        let bench = Bench::new(&["mean", "inv_std_dev"]);
        bench.write(&changed(&bench.right(), &without, &wrong, &[]));
        let program = bench.program();
        let (said, code) = bench.checked("text", &["--", &program[0], &program[1], &program[2]]);
        assert_eq!(code, i32::from(!agrees), "{without:?}: {said}");
        for (points, why) in bench.graded() {
            assert_eq!(points == "6", agrees, "{without:?}: {why}");
        }
        // Files have all arrays.
        let out = bench.path("out").display().to_string();
        let (said, code) = bench.checked("text", &["--answers", &out]);
        assert!(code == 1 && said.contains("the answer has no array"), "{said}");
    }
}

#[test]
fn what_is_optional_is_expected_and_not_all_of_it() {
    for (optional, said) in [
        (vec!["lse"], "mine/norm: optional names \"lse\", which is no expected array"),
        (vec!["out", "mean", "inv_std_dev"], "mine/norm: optional names all expected arrays; a case must ask for one"),
    ] {
        let (message, code) = Bench::new(&optional).checked("text", &[]);
        assert_eq!((code, message.lines().count()), (2, 1), "{message}");
        assert!(message.contains(said), "{message}");
    }
}
