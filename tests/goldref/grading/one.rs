//! One submission: points, reasons, hints, ways to be asked.

use super::{Desk, goldref, python_can, reasons};
use goldref::io::{Array, npz};
use ndarray::ArrayD;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;

#[test]
fn points_are_fractions_of_the_cases_and_every_lost_one_has_a_reason() {
    if !python_can("import zipfile") {
        return;
    }
    let desk = Desk::new(1, 2);
    let (report, code) = desk.graded(&desk.student("right", "max(x, 0.0)"), &[]);
    assert_eq!((report["points"].as_str(), code), (Some("10"), 0), "{report}");
    assert_eq!(report["isolation"], "sandbox");
    // Off by 1e-4: half of each case. Case 0 of the hidden ones has the same inputs as the visible one.
    let (report, code) = desk.graded(&desk.student("inexact", "max(x, 0.0) + 1e-4"), &[]);
    assert_eq!((report["points"].as_str(), code), (Some("5"), 1), "{report}");
    let part = &report["parts"][0];
    assert_eq!(part["in_short"], "0 of 3 (3 at 1e-3)");
    assert_eq!(part["items"][0]["points"], "5/3");
    assert!(reasons(&report)[0].contains("correct up to an offset of 1.00e-4"), "{:?}", reasons(&report));
    let (report, _) = desk.graded(&desk.student("doubled", "max(x, 0.0) * 2"), &[]);
    assert_eq!(report["points"], "0");
    assert!(reasons(&report).iter().all(|why| why.contains("not rounding; correct up to a scale of 2.0")), "{report}");
    desk.is_clean();
}

#[test]
fn hints_keep_hidden_cases_hidden() {
    if !python_can("import zipfile") {
        return;
    }
    let desk = Desk::new(1, 1);
    let wrong = desk.program("tells", "raise SystemExit('the inputs are 1 2 3')");
    let said = |hints: &str| {
        let output = desk.grade().arg("--submission").arg(&wrong).args(["--hints", hints]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    for hints in ["none", "category"] {
        let text = said(hints);
        let hidden = text.lines().find(|line| line.contains("hidden case 2")).unwrap();
        assert!(!hidden.contains("the inputs are") && !text.contains("secret/case_0"), "{text}");
        // The visible one is told in full.
        assert!(text.contains("public/case_0: crashed: exit status: 1; the inputs are 1 2 3"), "{text}");
        assert_eq!(hidden.contains("crashed"), hints == "category", "{text}");
    }
    assert!(said("full").contains("secret/case_0: crashed: exit status: 1; the inputs are 1 2 3"));
}

#[test]
fn a_program_that_cannot_be_asked_is_said_to_be_so() {
    if !python_can("import zipfile") {
        return;
    }
    let desk = Desk::new(1, 0);
    let empty = desk.class().join("empty");
    fs::create_dir(&empty).unwrap();
    let (report, code) = desk.graded(&empty, &[]);
    assert_eq!((report["refused"].as_str(), code), (Some("it has no file candidate.py"), 1));
    assert_eq!(report["isolation"], "nothing_ran");
    let output = desk.grade().arg("--submission").arg(&empty).args(["--format", "prairielearn"]).output().unwrap();
    let results: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((results["gradable"].as_bool(), results.get("score")), (Some(false), None));
    // A link is no file of a submission.
    std::os::unix::fs::symlink("/etc/hostname", empty.join("candidate.py")).unwrap();
    let (report, _) = desk.graded(&empty, &[]);
    assert_eq!(report["refused"], "it has no file candidate.py");
}

#[test]
fn a_process_a_question_forgets_and_a_long_one_does_not() {
    if !python_can("import zipfile") {
        return;
    }
    // Right for the first question that a process is asked, wrong for the others.
    let forgets = fs::read_to_string(crate::root().join("tests/submissions/relu.py")).unwrap();
    let forgets = forgets
        .replace("max(x, 0.0)", "max(x, 0.0) + asked")
        .replace("for line in sys.stdin:\n", "asked = -1\nfor line in sys.stdin:\n    asked += 1\n");
    for (lifetime, points) in [("all-questions", "5"), ("one-question", "10")] {
        let desk = Desk::with(2, 0, &format!("lifetime = \"{lifetime}\""), "");
        let (report, _) = desk.graded(&desk.program("forgets", &forgets), &[]);
        assert_eq!(report["points"], points, "{lifetime}: {report}");
        desk.is_clean();
    }
}

#[test]
fn a_program_is_built_where_it_may_write_and_run_from_there() {
    if !python_can("import zipfile") {
        return;
    }
    let lines = "build = [\"sh\", \"-c\", \"cp candidate.py {build}/built.py && mkdir made-here\"]\n";
    let desk = Desk::with(1, 0, lines, "");
    let right = desk.student("right", "max(x, 0.0)");
    let (report, _) = desk.graded(&right, &[]);
    // Its own folder is not to be written, so the build fails at its second half.
    let refused = report["refused"].as_str().unwrap();
    assert!(refused.starts_with("building it failed: exit status: 1;"), "{refused}");
    assert!(!right.join("made-here").exists());
    let lines = "build = [\"cp\", \"candidate.py\", \"{build}/built.py\"]\n";
    let desk = Desk::with(1, 0, lines, "");
    let toml = fs::read_to_string(desk.staff().join("assignment.toml")).unwrap();
    let toml = toml.replace("[\"python3\", \"candidate.py\"]", "[\"python3\", \"{build}/built.py\"]");
    fs::write(desk.staff().join("assignment.toml"), toml).unwrap();
    let (report, code) = desk.graded(&desk.student("right", "max(x, 0.0)"), &[]);
    assert_eq!((report["points"].as_str(), code), (Some("10"), 0), "{report}");
    desk.is_clean();
}

#[test]
fn files_of_outputs_are_graded_and_links_are_not_followed() {
    let desk = Desk::new(2, 0);
    let outputs = desk.class().join("arrays");
    fs::create_dir_all(outputs.join("public")).unwrap();
    let right = npz::read(desk.staff().join("public/case_0/expected.npz")).unwrap();
    npz::write(outputs.join("public/case_0.npz"), &right).unwrap();
    std::os::unix::fs::symlink(desk.staff().join("public/case_1/expected.npz"), outputs.join("public/case_1.npz"))
        .unwrap();
    let graded = || {
        let output = desk.grade().arg("--outputs").arg(&outputs).args(["--format", "json"]).output().unwrap();
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    let report = graded();
    assert_eq!((report["points"].as_str(), report["isolation"].as_str()), (Some("5"), Some("nothing_ran")));
    assert_eq!(reasons(&report)[1], "broke the protocol: there is no file public/case_1.npz");
    // A folder that is a link is none either.
    fs::rename(outputs.join("public"), outputs.join("elsewhere")).unwrap();
    std::os::unix::fs::symlink(outputs.join("elsewhere"), outputs.join("public")).unwrap();
    assert_eq!(graded()["points"], "0");
    fs::remove_file(outputs.join("public")).unwrap();
    fs::create_dir(outputs.join("public")).unwrap();
    let nan = BTreeMap::from([("out".to_string(), Array::F64(ArrayD::from_elem(vec![3, 4], f64::NAN)))]);
    npz::write(outputs.join("public/case_0.npz"), &nan).unwrap();
    assert!(reasons(&graded())[0].starts_with("not finite; every element is NaN"));
}

#[test]
fn a_property_is_worth_a_case_and_a_part_can_be_all_or_nothing() {
    if !python_can("import zipfile") {
        return;
    }
    let desk = Desk::with(3, 0, "", "properties = [\"softmax-sum\"]\n");
    let (report, _) = desk.graded(&desk.program("right", include_str!("../../submissions/relu.py")), &[]);
    // It answers whatever it is asked with the relu of `x`: no softmax.
    assert_eq!(report["points"], "15/2", "{report}");
    assert_eq!(report["parts"][0]["items"][3]["standing"], "broken");
    let desk = Desk::with(2, 0, "", "scoring = \"worst-case\"\n");
    let half = "max(x, 0.0) if x < 5.6 else x + 1";
    let (report, _) = desk.graded(&desk.student("half", half), &[]);
    assert_eq!(report["points"], "0", "{report}");
    let (report, _) = desk.graded(&desk.student("right", "max(x, 0.0)"), &[]);
    assert_eq!(report["points"], "10");
}

#[test]
fn a_program_that_computes_nothing_earns_no_property() {
    if !python_can("import zipfile") {
        return;
    }
    let names = ["softmax-shift", "softmax-permuted", "rope-norm", "rms_norm-odd", "linear-exact", "matmul-exact"];
    let part = format!("properties = {names:?}\n");
    let desk = Desk::with(1, 0, "", &part);
    for (name, formula) in [("zeros", "0.0"), ("copies", "x"), ("halves", "x / 2"), ("signs", "float(x > 0)")] {
        // Of attention and products it has no `x` to read: it fails there, as it did.
        let (report, _) = desk.graded(&desk.student(name, formula), &[]);
        let items = report["parts"][0]["items"].as_array().unwrap();
        assert!(items[1..].iter().all(|item| item["points"] == "0"), "{name}: {report}");
        let standings: Vec<&str> = items.iter().map(|item| item["standing"].as_str().unwrap()).collect();
        assert!(standings[1..3].contains(&"not alive"), "{name}: {standings:?}");
    }
    let (report, _) = desk.graded(&desk.student("zeros", "0.0"), &[]);
    let item = &report["parts"][0]["items"][1];
    let said = "not alive: the answer does not follow the input \"x\": a right answer changes when it changes, and this one does not";
    assert_eq!((&item["standing"], &item["reason"]["full"]), (&json!("not alive"), &json!(said)));

    // A right softmax earns what it earned.
    let right = include_str!("../../submissions/relu.py").replace(
        "    write(question[\"outputs\"], shape, [answer(x) for x in numbers])",
        "    import math\n    n = shape[-1]\n    rows = [numbers[at:at + n] for at in range(0, len(numbers), n)]\n    soft = lambda row: [math.exp(x - max(row)) / sum(math.exp(y - max(row)) for y in row) for x in row]\n    softmax = [x for row in rows for x in soft(row)]\n    write(question[\"outputs\"], shape, softmax if question[\"op\"] == \"softmax\" else [answer(x) for x in numbers])",
    );
    let desk = Desk::with(
        1,
        0,
        "",
        "properties = [\"softmax-shift\", \"softmax-permuted\", \"softmax-sum\", \"softmax-exact\"]\n",
    );
    let (report, _) = desk.graded(&desk.program("right", &right), &[]);
    assert_eq!(report["points"], "10", "{report}");
}

#[test]
fn a_program_that_never_answers_is_not_asked_for_ever() {
    if !python_can("import zipfile") {
        return;
    }
    // Each sample of a property, and each step of shrinking it, would take the whole time.
    let desk = Desk::with(5, 0, "[limits]\nseconds = 0.5\n", "properties = [\"softmax-sum\", \"rope-norm\"]\n");
    let (report, _) = desk.graded(&desk.program("sleeps", "import time\ntime.sleep(600)\n"), &[]);
    let said = reasons(&report);
    assert!(said[..3].iter().all(|why| why == "timed out: it did not answer within 0.5 s"), "{said:?}");
    assert!(said[3..5].iter().all(|why| why.contains("did not survive 3 questions in a row")), "{said:?}");
    assert!(said[5..].iter().all(|why| why.starts_with("broken")), "{said:?}");
}

#[test]
fn a_submission_of_any_size_is_refused_and_not_read() {
    let desk = Desk::new(1, 0);
    let huge = desk.program("huge", "");
    fs::File::create(huge.join("data")).unwrap().set_len(1 << 40).unwrap();
    let (report, _) = desk.graded(&huge, &[]);
    assert!(report["refused"].as_str().unwrap().contains("more than 1024 MiB"), "{report}");
}

#[test]
fn a_build_may_say_a_lot() {
    if !python_can("import zipfile") {
        return;
    }
    let lines =
        "build = [\"sh\", \"-c\", \"yes a long line of a compiler | head -200000; cp candidate.py {build}/\"]\n";
    let desk = Desk::with(1, 0, lines, "");
    let (report, _) = desk.graded(&desk.student("right", "max(x, 0.0)"), &[]);
    assert_eq!(report["points"], "10", "{report}");
}

#[test]
fn a_program_that_ends_has_no_speed_up() {
    if !python_can("import zipfile") {
        return;
    }
    let part = format!(
        "[[part]]\nid = \"d\"\ntitle = \"speed-up\"\npoints = 10\n[part.speedup]\nmodel = \"{}\"\nprompts = [4, 8]\ngenerate = 2\n\
         repeats = 1\nladder = {{ \"0.001\" = 1 }}\n",
        crate::root().join("fixtures/decode/models/llama").display()
    );
    let desk = Desk::with(1, 0, "", &part);
    let (report, _) = desk.graded(&desk.program("student", "raise SystemExit(1)"), &[]);
    let part = &report["parts"][1];
    assert_eq!(part["points"], "0", "{part}");
    assert!(part["in_short"].as_str().unwrap().starts_with("no speed-up: "), "{part}");
}

#[test]
fn a_part_whose_prerequisite_failed_is_not_judged() {
    if !python_can("import zipfile") {
        return;
    }
    let second = "[[part]]\nid = \"b\"\ntitle = \"again\"\npoints = 10\nrequires = [\"a\"]\nhidden = [\"secret\"]\n";
    let desk = Desk::with(1, 1, "", second);
    let toml = desk.staff().join("assignment.toml");
    // The first part keeps the visible case alone.
    let text = fs::read_to_string(&toml).unwrap().replacen("hidden = [\"secret\"]\n", "", 1);
    fs::write(&toml, text).unwrap();
    let (report, _) = desk.graded(&desk.student("wrong", "x"), &[]);
    assert_eq!(report["parts"][1]["needs"][0], "a");
    assert_eq!(report["parts"][1]["in_short"], "not judged: it needs a");
    assert!(report["parts"][1]["items"].as_array().unwrap().is_empty());
    // Half of the points is enough to go on.
    let (report, _) = desk.graded(&desk.student("inexact", "max(x, 0.0) + 1e-4"), &[]);
    assert!(report["parts"][1]["needs"].as_array().unwrap().is_empty(), "{report}");
}

#[test]
fn what_cannot_be_asked_is_refused_in_a_sentence() {
    let desk = Desk::new(1, 0);
    let refused = |command: &mut assert_cmd::Command| {
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let said = refused(&mut desk.grade());
    assert!(said.contains("name one with --submission"), "{said}");
    let said = refused(desk.grade().args(["--submission", "nobody"]));
    assert!(said.contains("cannot read nobody"), "{said}");
    fs::write(desk.staff().join("candidate.py"), "").unwrap();
    // Whoever is in the same folder as the assignment could read what is expected.
    let said = refused(desk.grade().arg("--submission").arg(desk.staff()).current_dir(desk.staff()));
    assert!(said.contains("keep what is expected apart"), "{said}");
    let said = refused(desk.grade().args(["--submission", ".", "--", "true"]));
    assert!(said.contains("one submission or one class"), "{said}");
    let said = refused(desk.grade().args(["--submissions", ".", "--output", "x", "--partition", "slice:3/2"]));
    assert!(said.contains("slice:M/N"), "{said}");
    let said = refused(goldref().args(["grade", "no-such.toml", "--submission", "."]));
    assert!(said.contains("no-such.toml"), "{said}");
}

#[test]
fn a_starter_is_whole_and_its_empty_template_earns_nothing() {
    let folder = tempfile::TempDir::new().unwrap();
    let starter = folder.path().join("course");
    goldref().args(["grade", "new"]).arg(&starter).assert().success();
    let again = goldref().args(["grade", "new"]).arg(&starter).output().unwrap();
    assert_eq!(again.status.code(), Some(2));
    // The visible and the hidden cases are there, read, and differ by seed.
    let bytes = |folder: &std::path::Path| fs::read(folder.join("hidden/attention/scale_given/inputs.npz")).unwrap();
    let other = folder.path().join("other");
    goldref().args(["grade", "new", "--seed", "2"]).arg(&other).assert().success();
    assert_ne!(bytes(&starter), bytes(&other));
    goldref().args(["check", "--variant", "f32", "--fixtures"]).arg(starter.join("hidden")).assert().success();
    if !python_can("import numpy") {
        return;
    }
    for assignment in [starter.clone(), starter.join("handout")] {
        let graded = goldref()
            .arg("grade")
            .arg(&assignment)
            .arg("--submission")
            .arg(starter.join("handout/submission"))
            .args(["--format", "json"])
            .output()
            .unwrap();
        let report: serde_json::Value = serde_json::from_slice(&graded.stdout).unwrap();
        assert_eq!((report["points"].as_str(), graded.status.code()), (Some("0"), Some(1)), "{report}");
        let standing = |part: &serde_json::Value| part["items"][0]["standing"].as_str().map(String::from);
        assert!(
            report["parts"].as_array().unwrap().iter().any(|part| standing(part).as_deref() == Some("unsupported"))
        );
    }
}
