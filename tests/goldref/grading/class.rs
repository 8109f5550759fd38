//! A class: side by side, interrupted, in parts; the files are the same.

use super::{Desk, python_can};
use serde_json::Value;
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
    let hash = serde_json::from_str::<Value>(&text).unwrap()["submission_sha256"].as_str().unwrap().to_string();
    fs::write(other.join("student_00.json"), text.replace(&hash, &"0".repeat(64))).unwrap();
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

/// What merging these folders, and going on with the first, says: the exit codes and standard errors.
fn merged(desk: &Desk, folders: &[&str], output: &str) -> (i32, String) {
    let at = |name: &str| desk.folder.path().join(name);
    let folders = folders.iter().map(|name| at(name));
    let said = super::goldref().arg("merge").args(folders).arg("--output").arg(at(output)).output().unwrap();
    (said.status.code().unwrap(), String::from_utf8(said.stderr).unwrap())
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for (name, bytes) in files(from) {
        fs::write(to.join(name), bytes).unwrap();
    }
}

#[test]
fn results_that_were_edited_renamed_or_linked_are_found_out() {
    if !python_can("import zipfile") {
        return;
    }
    let desk = class_of(3);
    let at = |name: &str| desk.folder.path().join(name);
    graded(&desk, &at("whole"), &[]);
    let whole = files(&at("whole"));
    let edited = |pairs: &[(&str, &str, usize)]| {
        let mut text = String::from_utf8(whole["student_01.json"].clone()).unwrap();
        for (old, new, count) in pairs {
            assert!(text.contains(old), "{old} in {text}");
            text = text.replacen(old, new, *count);
        }
        text.into_bytes()
    };
    let last = |old: &str, new: &str| {
        let text = String::from_utf8(whole["student_01.json"].clone()).unwrap();
        let (before, after) = text.rsplit_once(old).unwrap();
        format!("{before}{new}{after}").into_bytes()
    };
    // Points 5 of 10, three items of 5/3 each.
    let wrong: Vec<(&str, Vec<u8>)> = vec![
        ("the sum", last("\"points\": \"5\"", "\"points\": \"10\"")),
        ("the sum and the part", edited(&[("\"points\": \"5\"", "\"points\": \"10\"", 9)])),
        ("an item", edited(&[("\"points\": \"5/3\"", "\"points\": \"10/3\"", 1)])),
        ("more than all of an item", {
            let more =
                [("\"points\": \"5/3\"", "\"points\": \"20/3\"", 1), ("\"points\": \"5\"", "\"points\": \"10\"", 9)];
            edited(&more)
        }),
        ("out of fewer", edited(&[("\"out_of\": \"10\"", "\"out_of\": \"5\"", 9)])),
        (
            "out of fewer, all of it",
            edited(&[
                ("\"out_of\": \"10\"", "\"out_of\": \"5\"", 9),
                ("\"out_of\": \"10/3\"", "\"out_of\": \"5/3\"", 9),
            ]),
        ),
        ("not judged with points", edited(&[("\"needs\": []", "\"needs\": [\"z\"]", 1)])),
        ("a word of its own", edited(&[("\"standing\": \"not rounding\"", "\"standing\": \"excellent\"", 1)])),
        (
            "another submission's name",
            edited(&[("\"submission\": \"student_01\"", "\"submission\": \"student_09\"", 1)]),
        ),
        ("no result", b"{}".to_vec()),
    ];
    for (number, (what, bytes)) in wrong.iter().enumerate() {
        let folder = at(&format!("edited-{number}"));
        copy(&at("whole"), &folder);
        fs::write(folder.join("student_01.json"), bytes).unwrap();
        let output = format!("out-{number}");
        let (code, said) = merged(&desk, &[&format!("edited-{number}")], &output);
        assert!(code == 2 && said.contains("student_01.json") && !at(&output).exists(), "{what}: {said}");
        // A class that goes on grades it anew, says so, and loses nothing.
        let said = graded(&desk, &folder, &["--resume"]);
        let told = String::from_utf8(said.stderr).unwrap();
        assert!(told.contains("student_01 is graded anew"), "{what}: {told}");
        assert_eq!(files(&folder), whole, "{what}");
    }
    // A copy under another name counts for nobody.
    let renamed = at("renamed");
    copy(&at("whole"), &renamed);
    fs::write(renamed.join("student_07.json"), &whole["student_00.json"]).unwrap();
    let (code, said) = merged(&desk, &["renamed"], "out-renamed");
    assert!(code == 2 && said.contains("it is the result of student_00"), "{said}");
    // Links are not followed, whatever they are called and wherever they lead.
    for name in ["student_08.json", "student_00.md", "elsewhere"] {
        let linked = at("linked");
        copy(&at("whole"), &linked);
        let _ = fs::remove_file(linked.join(name));
        std::os::unix::fs::symlink(at("whole/student_00.json"), linked.join(name)).unwrap();
        let (code, said) = merged(&desk, &["linked"], "out-linked");
        assert!(code == 2 && said.contains(name) && said.contains("it is a link"), "{said}");
        let going_on =
            desk.grade().arg("--submissions").arg(desk.class()).arg("--output").arg(&linked).arg("--resume").output();
        let going_on = going_on.unwrap();
        assert!(going_on.status.code() == Some(2), "{going_on:?}");
        assert_eq!(files(&at("whole")), whole);
        fs::remove_dir_all(&linked).unwrap();
    }
    // The same result twice counts once, and is told.
    let (code, said) = merged(&desk, &["whole", "edited-0"], "twice");
    assert!(code == 0 && said.matches("counts once").count() == 3, "{said}");
    assert_eq!(files(&at("twice")), whole);
}

#[test]
fn pages_that_are_missing_or_stale_are_made_anew() {
    if !python_can("import zipfile") {
        return;
    }
    let desk = class_of(3);
    let at = |name: &str| desk.folder.path().join(name);
    graded(&desk, &at("whole"), &[]);
    let whole = files(&at("whole"));
    let spoil = |name: &str| {
        copy(&at("whole"), &at(name));
        fs::remove_file(at(name).join("student_00.md")).unwrap();
        fs::write(at(name).join("student_01.md"), "10 of 10").unwrap();
        // Of a speed-up that nobody measured.
        fs::write(at(name).join("student_02.svg"), "<svg/>").unwrap();
        at(name)
    };
    graded(&desk, &spoil("resumed"), &["--resume"]);
    assert_eq!(files(&at("resumed")), whole);
    spoil("part");
    fs::write(at("part").join("notes.txt"), "mine").unwrap();
    let (code, said) = merged(&desk, &["part"], "merged");
    assert!(code == 0 && said.contains("notes.txt is no result and is left out"), "{said}");
    assert_eq!(files(&at("merged")), whole);
}

#[test]
fn odd_names_are_graded_or_skipped_with_a_reason_and_nobody_else_minds() {
    use std::os::unix::ffi::OsStrExt;
    if !python_can("import zipfile") {
        return;
    }
    let desk = Desk::new(1, 0);
    let long = "l".repeat(250);
    let fine = ["class", "a.json", "a", "A", "a.md", "class.csv", "-rf", "con", "ein Name: äöü", "..b", "'=1+1", &long];
    let graded_names: Vec<&str> = fine.iter().copied().filter(|name| !name.starts_with('.')).collect();
    for name in fine {
        desk.student(name, "max(x, 0.0)");
    }
    let class = desk.class();
    let odd = |bytes: &[u8]| fs::create_dir(class.join(std::ffi::OsStr::from_bytes(bytes))).unwrap();
    odd(b"latin-\xe9");
    odd(b"two\nlines");
    odd(b"esc\x1b[2J");
    odd("x".repeat(251).as_bytes());
    odd(b".git");
    fs::write(class.join("notes.txt"), "").unwrap();
    fs::write(class.join(".DS_Store"), "").unwrap();
    std::os::unix::fs::symlink(class.join("a"), class.join("link")).unwrap();
    let output = desk.folder.path().join("results");
    let said = graded(&desk, &output, &["--jobs", "2"]);
    let told = String::from_utf8(said.stderr).unwrap();
    let out = String::from_utf8(said.stdout).unwrap();
    assert!(out.starts_with(&format!("{0} of {0} submissions graded; 8 skipped\n", graded_names.len())), "{out}");
    let found = files(&output);
    for name in &graded_names {
        let report: Value = serde_json::from_slice(&found[&format!("{name}.json")]).unwrap();
        assert_eq!((report["submission"].as_str(), report["points"].as_str()), (Some(*name), Some("10")));
        assert!(found.contains_key(&format!("{name}.md")));
    }
    assert_eq!(found.len(), 2 * graded_names.len() + 2);
    let skipped = String::from_utf8(found["skipped.csv"].clone()).unwrap();
    for (name, why) in [
        ("latin-\u{fffd}", "not text in UTF-8"),
        ("two\\nlines", "control characters"),
        ("esc\\u{1b}[2J", "control characters"),
        ("xxxxx", "longer than 250 bytes"),
        (".git", "begins with a dot"),
        ("..b", "begins with a dot"),
        ("notes.txt", "it is not a folder"),
        ("link", "it is a link"),
    ] {
        assert!(skipped.lines().any(|line| line.contains(name) && line.contains(why)), "{name}: {skipped}");
        assert!(told.lines().any(|line| line.contains("is skipped: ") && line.contains(why)), "{name}: {told}");
    }
    assert_eq!(skipped.lines().count(), 9);
    assert!(!told.contains('\u{1b}'));
    // Parts of it merge to the same.
    for number in ["1", "2"] {
        graded(&desk, &desk.folder.path().join(number), &["--partition", &format!("slice:{number}/2")]);
    }
    assert_eq!(merged(&desk, &["1", "2"], "all").0, 0);
    assert_eq!(files(&desk.folder.path().join("all")), found);
}

#[test]
fn whoever_cannot_be_graded_is_told_and_the_class_has_all_results() {
    if !python_can("import zipfile") {
        return;
    }
    let desk = Desk::new(2, 1);
    let at = |name: &str| desk.folder.path().join(name);
    // Without a sandbox a program can take the folder for temporary files away from all.
    desk.program("b_takes", "import os\nos.rename(os.environ['TMPDIR'], os.environ['TMPDIR'] + '-away')\n");
    for name in ["a_right", "c_right", "d_right", "f_page"] {
        desk.student(name, "max(x, 0.0)");
    }
    fs::create_dir(desk.class().join("e_empty")).unwrap();
    fs::create_dir_all(at("results/f_page.md")).unwrap();
    let run = || {
        let mut command = desk.grade();
        command
            .args(["--no-sandbox", "--resume", "--submissions"])
            .arg(desk.class())
            .arg("--output")
            .arg(at("results"));
        let said = command.output().unwrap();
        (said.status.code().unwrap(), String::from_utf8(said.stdout).unwrap(), String::from_utf8(said.stderr).unwrap())
    };
    let report = |name: &str| -> Value {
        serde_json::from_slice(&fs::read(at("results").join(format!("{name}.json"))).unwrap()).unwrap()
    };
    let (code, out, told) = run();
    assert_eq!(code, 1, "{out}{told}");
    assert_eq!((report("a_right")["points"].as_str(), report("b_takes")["points"].as_str()), (Some("10"), Some("0")));
    assert_eq!(report("e_empty")["refused"], "it has no file candidate.py");
    let table = fs::read_to_string(at("results/class.csv")).unwrap();
    assert_eq!(table.lines().count(), 7, "{table}");
    for name in ["c_right", "d_right", "f_page"] {
        assert!(report(name)["failed"].as_str().unwrap().contains("temporary folder"), "{}", report(name));
        // No points are not 0 points.
        assert!(table.lines().any(|line| line.starts_with(&format!("{name},,10,,0,3,"))), "{table}");
        assert!(told.contains(&format!("{name} was not graded: no temporary folder")), "{told}");
        let page = fs::read_to_string(at("results").join(format!("{name}.md")));
        assert!(name == "f_page" || page.unwrap().contains("It was not graded: goldref could not do so"));
    }
    assert!(told.contains("f_page.md"), "{told}");
    fs::rename(at("tmp-away"), at("tmp")).unwrap_or_default();
    fs::remove_dir_all(desk.class().join("b_takes")).unwrap();
    let (code, out, told) = run();
    assert_eq!(code, 0, "{out}{told}");
    for name in ["a_right", "c_right", "d_right", "f_page"] {
        assert_eq!(report(name)["points"], "10", "{name}");
    }
    assert!(told.contains("f_page.md") && out.starts_with("5 of 5 submissions graded"), "{out}{told}");
}

#[test]
fn a_folder_that_nobody_may_read_and_one_without_submissions() {
    if !python_can("import zipfile") {
        return;
    }
    let desk = Desk::new(1, 0);
    let output = desk.folder.path().join("results");
    fs::write(desk.class().join("notes.txt"), "").unwrap();
    let said = desk.grade().arg("--submissions").arg(desk.class()).arg("--output").arg(&output).output().unwrap();
    let told = String::from_utf8(said.stderr).unwrap();
    assert!(said.status.code() == Some(2) && told.contains("such as notes.txt: it is not a folder"), "{told}");
    let closed = desk.student("closed", "max(x, 0.0)");
    desk.student("right", "max(x, 0.0)");
    let mode = |mode| fs::set_permissions(&closed, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    mode(0o000);
    graded(&desk, &output, &[]);
    mode(0o755);
    let table = fs::read_to_string(output.join("class.csv")).unwrap();
    // Root reads it, and its program, which has no rights of root, does not.
    assert!(table.contains("closed,0,10,0,0,1,") && table.contains("right,10,10,10,1,1,"), "{table}");
}
