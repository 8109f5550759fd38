//! A class: side by side, interrupted, in parts; the files are the same.

use super::{Desk, python_can};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Names and bytes of the files of a folder.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().flatten();
    entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
}

/// Right, inexact, wrong and silent students.
fn class_of(count: usize) -> Desk {
    let desk = Desk::new(1, 2);
    for number in 0..count {
        let name = format!("student_{number:02}");
        match number % 4 {
            0 => desk.student(&name, "max(x, 0.0)"),
            1 => desk.student(&name, "max(x, 0.0) + 1e-4"),
            2 => desk.student(&name, "x"),
            _ => desk.program(&name, "raise SystemExit(3)"),
        };
    }
    desk
}

fn graded(desk: &Desk, output: &Path, more: &[&str]) -> std::process::Output {
    let output =
        desk.grade().arg("--submissions").arg(desk.class()).arg("--output").arg(output).args(more).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

#[test]
fn parts_of_a_class_merge_to_the_bytes_of_the_whole() {
    if !python_can("import zipfile") {
        return;
    }
    let desk = class_of(9);
    let at = |name: &str| desk.folder.path().join(name);
    graded(&desk, &at("whole"), &["--jobs", "2"]);
    let whole = files(&at("whole"));
    assert_eq!(whole.len(), 2 * 9 + 1);
    let table = String::from_utf8(whole["class.csv"].clone()).unwrap();
    assert!(table.starts_with("submission,points,out_of,a,cases_passed,cases,isolation,refused\r\n"), "{table}");
    assert!(table.contains("student_01,5,10,5,0,3,sandbox,\r\n"), "{table}");
    for kind in ["slice", "hash"] {
        let parts: Vec<_> = (1..=3).map(|number| at(&format!("{kind}-{number}"))).collect();
        for (number, part) in (1..).zip(&parts) {
            graded(&desk, part, &["--partition", &format!("{kind}:{number}/3")]);
        }
        let merged = at(&format!("{kind}-all"));
        super::goldref().arg("merge").args(&parts).arg("--output").arg(&merged).assert().success();
        assert_eq!(files(&merged), whole, "{kind}");
        let again = super::goldref().arg("merge").args(&parts).arg("--output").arg(&merged).output().unwrap();
        assert_eq!(again.status.code(), Some(2), "it would have written over results");
    }
    // A share that nobody falls to does no harm, and is no class by itself.
    graded(&desk, &at("empty"), &["--partition", "slice:10/10"]);
    let merge = |folders: &[&str], output: &str| {
        let folders = folders.iter().map(|name| at(name));
        super::goldref().arg("merge").args(folders).arg("--output").arg(at(output)).output().unwrap()
    };
    assert!(merge(&["whole", "empty"], "with-empty").status.success());
    assert_eq!(files(&at("with-empty")), whole);
    assert_eq!(merge(&["empty"], "nothing").status.code(), Some(2));
    // Two results of one student that differ are no class.
    let other = at("other");
    fs::create_dir(&other).unwrap();
    let text = String::from_utf8(whole["student_00.json"].clone()).unwrap();
    fs::write(other.join("student_00.json"), text.replace("\"points\": \"10\"", "\"points\": \"9\"")).unwrap();
    let said =
        super::goldref().arg("merge").arg(at("whole")).arg(&other).arg("--output").arg(at("both")).output().unwrap();
    assert_eq!(said.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&said.stderr).contains("says something else"));
    assert!(!at("both").exists());
}

#[test]
fn an_interrupted_class_goes_on_and_loses_and_repeats_nothing() {
    if !python_can("import zipfile") {
        return;
    }
    let desk = class_of(12);
    let at = |name: &str| desk.folder.path().join(name);
    graded(&desk, &at("whole"), &[]);
    let program = assert_cmd::cargo::cargo_bin("goldref");
    let results = at("results");
    let mut written = BTreeMap::new();
    for delay in [150, 400, 700] {
        let mut goldref = std::process::Command::new(&program)
            .arg("grade")
            .arg(desk.staff())
            .args(["--jobs", "2", "--resume", "--submissions"])
            .arg(desk.class())
            .arg("--output")
            .arg(&results)
            .env("TMPDIR", at("tmp"))
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(delay));
        goldref.kill().unwrap();
        goldref.wait().unwrap();
        if !results.exists() {
            continue;
        }
        let modified = |name: &str| fs::metadata(results.join(name)).unwrap().modified().unwrap();
        for name in files(&results).into_keys().filter(|name| name.ends_with(".json")) {
            // What was done before is not done again.
            let time = modified(&name);
            assert_eq!(*written.entry(name.clone()).or_insert(time), time, "{name} was written twice");
        }
    }
    let said = graded(&desk, &results, &["--resume"]);
    assert_eq!(files(&results), files(&at("whole")));
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.starts_with("12 of 12 submissions graded"), "{said}");
    // Whoever hands in anew is graded anew; nobody else is.
    desk.student("student_02", "max(x, 0.0)");
    let said = graded(&desk, &results, &["--resume"]);
    assert!(String::from_utf8(said.stdout).unwrap().starts_with("12 of 12 submissions graded, 11 of them before"));
    assert!(String::from_utf8(files(&results)["class.csv"].clone()).unwrap().contains("student_02,10,10"));
    // Without --resume nothing is written over.
    let refused = desk.grade().arg("--submissions").arg(desk.class()).arg("--output").arg(&results).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--resume goes on with them"));
}
