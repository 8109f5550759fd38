//! What an assignment may ask for: what no system can do is refused when it is opened, in one sentence, and costs no submission anything.

use super::{Desk, goldref};
use std::fs;

/// What `goldref grade` says of an assignment with these lines; it must refuse it.
fn refusal(lines: &str, part: &str) -> String {
    let desk = Desk::with(1, 0, lines, part);
    let submission = desk.student("right", "max(x, 0.0)");
    let output = goldref().arg("grade").arg(desk.staff()).arg("--submission").arg(submission).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{lines}{part}: {message}");
    assert!(message.starts_with("goldref: ") && message.lines().count() == 1, "{message}");
    assert!(message.len() < 600, "{message}");
    message
}

#[test]
fn limits_that_no_system_keeps_are_refused() {
    let numbers =
        ["0", "-1", "9223372036854775807", "9223372036854775805", "18446744073709551615", "1e30", "nan", "\"x\""];
    for field in ["cpu_seconds", "tasks", "files", "threads"] {
        for number in numbers {
            let message = refusal(&format!("[limits]\n{field} = {number}"), "");
            assert!(message.contains(field) || message.contains("line "), "{message}");
        }
    }
    for field in ["seconds", "build_seconds"] {
        for number in ["0", "0.0", "-1", "1e-30", "1e9", "9223372036854775807", "1e308", "inf", "nan", "\"x\""] {
            let message = refusal(&format!("[limits]\n{field} = {number}"), "");
            assert!(message.contains(field) || message.contains("line "), "{message}");
        }
    }
    for field in ["memory", "file", "disk", "output"] {
        for text in ["0", "-1 GiB", "1e30", "17179869184 GiB", "nan", "inf", "1e999", "much", ""] {
            let message = refusal(&format!("[limits]\n{field} = \"{text}\""), "");
            assert!(message.contains(field), "{message}");
        }
    }
    assert!(refusal("[limits]\nmemory = \"100 bytes\"", "").contains("from 1 MiB to 1024 TiB"));
    for number in ["0.5", "nan", "inf", "-3"] {
        refusal(&format!("[limits]\nslow_factor = {number}"), "");
    }
}

#[test]
fn commands_that_no_system_starts_are_refused() {
    let long = "x".repeat(200 << 10);
    let many = vec!["\"{submission}\""; 300].join(", ");
    let escaped = "\\u0001".repeat(12 << 10);
    for (lines, said) in [
        (format!("environment = {{ A = \"{long}\" }}"), "a program is started with at most 65536"),
        (format!("environment = {{ \"{long}\" = \"\" }}"), "a program is started with at most 65536"),
        (format!("environment = {{ A = \"{escaped}\" }}"), "a program is started with at most 65536"),
        (format!("build = [\"true\", \"{long}\"]"), "build, environment and read have"),
        (format!("build = [\"true\", {many}]"), "build, environment and read have"),
        ("environment = { A = \"a\\u0000b\" }".to_string(), "holds a NUL"),
        ("environment = { \"A\\u0000\" = \"\" }".to_string(), "holds a NUL"),
        ("environment = { \"\" = \"x\" }".to_string(), "has a variable \"\""),
        ("environment = { \"A=B\" = \"x\" }".to_string(), "has a variable \"A=B\""),
        ("build = [\"\"]".to_string(), "build begins with an empty word"),
        ("build = [\"a\\u0000\"]".to_string(), "holds a NUL"),
        ("read = [\"a\\u0000\"]".to_string(), "holds a NUL"),
    ] {
        let message = refusal(&lines, "");
        assert!(message.contains(said), "{message}");
    }
    for (command, said) in [
        ("[]", "has an empty command"),
        ("[\"\"]", "command begins with an empty word"),
        ("[\"python3\", \"a\\u0000\"]", "holds a NUL"),
        (&format!("[\"python3\", \"{long}\"]"), "command, environment and read have"),
    ] {
        let desk = Desk::new(1, 0);
        let path = desk.staff().join("assignment.toml");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("[\"python3\", \"candidate.py\"]", command)).unwrap();
        let submission = desk.student("right", "max(x, 0.0)");
        let output = desk.grade().arg("--submission").arg(submission).output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && message.contains(said), "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
    }
}

#[test]
fn parts_that_ask_for_nothing_or_too_much_are_refused() {
    let digits = "1".repeat(1 << 20);
    for part in [
        "passed_at = \"3/2\"",
        "passed_at = \"1/0\"",
        "ladder = { \"1e-5\" = 2 }",
        "ladder = { \"inf\" = 1 }",
        "ladder = { \"-1\" = 1 }",
        "ladder = { }",
        &format!("passed_at = \"0.{digits}\""),
        &format!("passed_at = \"{digits}/{digits}\""),
        "requires = [\"a\"]",
        "properties = [\"\"]",
        "hidden = [{ suite = \"public\", cases = [\"no_such_*\"] }]",
        "hidden = [{ suite = \"public\\u0000\" }]",
    ] {
        refusal("", part);
    }
    let model = crate::root().join("fixtures/decode/models/llama");
    let speedup = |fields: &str| {
        format!(
            "[[part]]\nid = \"s\"\ntitle = \"s\"\npoints = 1\n[part.speedup]\nmodel = \"{}\"\nladder = {{ \"2\" = 1 }}\n{fields}",
            model.display()
        )
    };
    for fields in [
        "prompts = []\ngenerate = 5",
        "prompts = [0]\ngenerate = 5",
        "prompts = [10, 9223372036854775807]\ngenerate = 5",
        "prompts = [10]\ngenerate = 0",
        "prompts = [10]\ngenerate = 9223372036854775807",
        "prompts = [10]\ngenerate = 5\nrepeats = 9223372036854775807",
        "prompts = [10]\ngenerate = 5\nrepeats = 0",
        "prompts = [10]\ngenerate = 5\nat = 11",
    ] {
        refusal("", &speedup(fields));
    }
    let paper = |fields: &str| {
        format!(
            "[[part]]\nid = \"s\"\ntitle = \"s\"\npoints = 1\n[part.answers]\nfile = \"answers.toml\"\nmodel = \"llama-3-8b\"\n\
             [[part.answers.question]]\nid = \"q\"\n{fields}"
        )
    };
    for fields in [
        "expected = nan",
        "expected = inf",
        "expected = 1\nrtol = 1.0",
        "expected = 1\nrtol = nan",
        "value = \"kv_cache.bytes_a_token\"\ncontext = 0",
        "value = \"kv_cache.bytes_a_token\"\ncontext = 9223372036854775807",
        "value = \"kv_cache.bytes_a_token\"\nbatch = 9223372036854775807",
        "value = \"kv_cache.bytes_a_token\"\ndevices = 0",
        "value = \"capacity.largest_batch\"\ndevice = \"a100-80gb\"\ndevices = 9223372036854775807",
    ] {
        refusal("", &paper(fields));
    }
}
