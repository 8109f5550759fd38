//! Nothing from outside steers the terminal: names and values of files, words of the command line, messages of programs.

use super::command_line::goldref;
use super::hand_made;
use goldref::io::{Array, npz};
use goldref::report;
use goldref::suite::RunReport;
use ndarray::arr1;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Control characters of both sets, both turns of direction, no width, an end of a line, a tag.
const STEERS: &str = "a\u{1b}[2J\u{1b}]0;x\u{7}\u{9b}2J\u{202e}\u{2066}\u{200b}\u{2028}\u{feff}\u{e0041}\u{7f}z";
/// The same for names that may hold no control character.
const TURNS: &str = "a\u{202e}\u{2066}\u{200b}\u{2028}\u{feff}\u{e0041}z";

/// Whether none of the characters is there that the tests put into names, and no other control character but ends of lines and tabs.
pub(super) fn is_harmless(text: &str) -> bool {
    let steers = "\u{202e}\u{2066}\u{200b}\u{2028}\u{feff}\u{e0041}\u{61c}";
    !text.chars().any(|c| steers.contains(c) || (c.is_control() && c != '\n' && c != '\t'))
}

/// What a command writes to a terminal, with colours, and that nothing in it steers but those.
fn said(args: &[&dyn AsRef<OsStr>]) -> String {
    let mut command = goldref();
    command.env_remove("NO_COLOR").env("CLICOLOR_FORCE", "1");
    for arg in args {
        command.arg(arg.as_ref());
    }
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    let mut plain = said.clone();
    for style in [0, 1, 2, 4, 31, 32, 33, 36] {
        plain = plain.replace(&format!("\u{1b}[{style}m"), "");
    }
    assert!(
        is_harmless(&plain),
        "{:?}: {plain:?}",
        args.iter().map(|arg| arg.as_ref().to_os_string()).collect::<Vec<_>>()
    );
    assert!(!plain.is_empty());
    plain
}

/// Whether it says `z` behind a spelled-out character: the name is told, and harmlessly.
fn tells(said: &str) -> bool {
    said.contains("\\u{e0041}") || said.contains("\\udb40\\udc41")
}

fn safetensors(path: &Path, header: &Value, bytes: usize) {
    let header = header.to_string();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.extend(vec![0; bytes]);
    fs::write(path, file).unwrap();
}

fn tensor(dtype: &str) -> Value {
    json!({"dtype": dtype, "shape": [1], "data_offsets": [0, 4]})
}

#[test]
fn names_of_tensors_and_members_steer_nobody() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    safetensors(&path("a.safetensors"), &json!({STEERS: tensor("F32")}), 4);
    safetensors(
        &path("b.safetensors"),
        &json!({STEERS: tensor("F32"), "x": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}),
        8,
    );
    for format in ["text", "json"] {
        for (actual, expected) in [("a", "a"), ("a", "b"), ("b", "a")] {
            let files = [actual, expected].map(|name| path(&format!("{name}.safetensors")));
            assert!(tells(&said(&[&"compare", &files[0], &files[1], &"--format", &format])));
        }
    }
    // None on both sides, one refused by its type, one by a header that is none.
    safetensors(&path("other.safetensors"), &json!({"x": tensor("F32")}), 4);
    safetensors(&path("dtype.safetensors"), &json!({"x": tensor(STEERS)}), 4);
    safetensors(&path("field.safetensors"), &json!({"x": {STEERS: 1}}), 4);
    for name in ["other", "dtype", "field"] {
        said(&[&"compare", &path("a.safetensors"), &path(&format!("{name}.safetensors"))]);
    }
    npz::write(path("a.npz"), &BTreeMap::from([(TURNS.to_string(), Array::F64(arr1(&[1.0]).into_dyn()))])).unwrap();
    assert!(tells(&said(&[&"compare", &path("a.npz"), &path("a.npz")])));
    let header = format!("{{'descr': '{TURNS}', 'fortran_order': False, 'shape': (1,), }}\n");
    let mut npy = b"\x93NUMPY\x03\x00".to_vec();
    npy.extend((header.len() as u32).to_le_bytes());
    npy.extend(header.as_bytes());
    fs::write(path("a.npy"), npy).unwrap();
    said(&[&"compare", &path("a.npy"), &path("a.npy")]);
}

#[test]
fn words_of_the_command_line_steer_nobody() {
    let folder = TempDir::new().unwrap();
    let missing = folder.path().join(format!("{STEERS}.npy"));
    assert!(tells(&said(&[&"compare", &missing, &missing])));
    assert!(tells(&said(&[&"report", &missing])));
    for args in [
        vec!["check", "--variant", STEERS],
        vec!["check", "--case", STEERS],
        vec!["check", "--format", STEERS],
        vec!["check", "--atol", STEERS],
        vec!["cost", "--model", STEERS],
        vec!["diagnose", "--answers", STEERS],
        vec![STEERS],
    ] {
        said(&args.iter().map(|arg| arg as &dyn AsRef<OsStr>).collect::<Vec<_>>());
    }
    // A file that is there, in the table of its comparison.
    let there = folder.path().join(format!("{STEERS}.npz"));
    npz::write(&there, &BTreeMap::from([("x".to_string(), Array::F64(arr1(&[1.0]).into_dyn()))])).unwrap();
    let other = folder.path().join("other.npz");
    let both = ["x", "y"].map(|name| (name.to_string(), Array::F64(arr1(&[1.0]).into_dyn())));
    npz::write(&other, &BTreeMap::from(both)).unwrap();
    assert!(tells(&said(&[&"compare", &there, &other])));
}

#[test]
fn a_config_steers_nobody() {
    let bundled = super::root().join("fixtures/model/models/llama_mha");
    let config: Value = serde_json::from_slice(&fs::read(bundled.join("config.json")).unwrap()).unwrap();
    let folder = TempDir::new().unwrap();
    fs::copy(bundled.join("model.safetensors"), folder.path().join("model.safetensors")).unwrap();
    for field in ["model_type", "hidden_act", "hidden_size", "rope_theta", "tie_word_embeddings", STEERS] {
        let mut config = config.clone();
        config[field] = json!(STEERS);
        fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
        assert!(tells(&said(&[&"cost", &"--model", &folder.path()])), "{field}");
    }
}

/// A suite with one case, changed by `edit`.
fn suite(edit: &dyn Fn(&mut Value)) -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let suite = folder.path().join("mine");
    fs::create_dir_all(suite.join("one")).unwrap();
    let x = || BTreeMap::from([("x".to_string(), Array::F64(arr1(&[1.0]).into_dyn()))]);
    npz::write(suite.join("one/inputs.npz"), &x()).unwrap();
    let out = BTreeMap::from([("out".to_string(), Array::F64(arr1(&[1.0]).into_dyn()))]);
    npz::write(suite.join("one/expected.npz"), &out).unwrap();
    let mut whole =
        json!({"format": "goldref-suite/1", "name": "mine", "about": "Mine.", "cases": [{"id": "one", "op": "relu"}]});
    edit(&mut whole);
    fs::write(suite.join("suite.json"), whole.to_string()).unwrap();
    (folder, suite)
}

#[test]
fn a_suite_steers_nobody() {
    let edits: [&dyn Fn(&mut Value); 6] = [
        &|suite| suite["name"] = json!(STEERS),
        &|suite| suite[STEERS] = json!(1),
        &|suite| suite["cases"][0]["id"] = json!(STEERS),
        &|suite| suite["cases"][0]["op"] = json!(STEERS),
        &|suite| suite["cases"][0]["params"] = json!({STEERS: 1}),
        &|suite| suite["cases"][0]["optional"] = json!([STEERS]),
    ];
    for edit in edits {
        let (_folder, suite) = suite(edit);
        for format in ["text", "markdown", "json"] {
            said(&[&"check", &"--fixtures", &suite, &"--format", &format]);
        }
    }
}

#[test]
fn a_saved_run_steers_nobody() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("run.json");
    fs::write(&path, report::json(&hand_made::hostile())).unwrap();
    for format in ["text", "json", "summary", "junit", "markdown", "github"] {
        said(&[&"report", &path, &"--format", &format]);
    }
    let mut other = hand_made::hostile();
    other.variants.pop();
    other.results.truncate(12);
    let before = folder.path().join("before.json");
    fs::write(&before, report::json(&other)).unwrap();
    assert!(RunReport::read(&before).is_ok());
    for format in ["text", "json", "markdown"] {
        said(&[&"diff", &before, &path, &"--format", &format]);
    }
    for (field, value) in
        [("format", json!(STEERS)), ("arch", json!(STEERS)), (STEERS, json!(1)), ("suites", json!([STEERS]))]
    {
        let mut run: Value = serde_json::from_str(&report::json(&hand_made::report())).unwrap();
        run[field] = value;
        fs::write(&path, run.to_string()).unwrap();
        said(&[&"report", &path]);
    }
}

#[test]
#[cfg(unix)]
fn a_program_steers_nobody() {
    let (_folder, suite) = suite(&|_| ());
    let answer = |json: &str| format!("while read -r line; do printf '%b\\n' '{json}'; done");
    let escaped = STEERS.chars().map(|c| format!("\\0{:o}", c as u32)).take(2).collect::<String>();
    let raw = STEERS.replace('\u{7f}', "");
    for program in [
        answer(&format!("{{\"id\":\"1\",\"status\":\"error\",\"message\":\"{escaped}\u{202e}\u{9b}\"}}")),
        answer(r#"{"id":"1","status":"unsupported","message":"\\u001b[2J\\u202e\\u009b"}"#),
        answer(&format!("{{\"id\":\"{TURNS}\",\"status\":\"ok\"}}")),
        answer(&raw),
        format!("read -r line; printf '%s' '{raw}' >&2; exit 3"),
    ] {
        for format in ["text", "json", "markdown", "junit", "github"] {
            said(&[&"check", &"--fixtures", &suite, &"--format", &format, &"--", &"sh", &"-c", &program]);
        }
    }
}

#[test]
#[cfg(target_os = "linux")]
fn an_assignment_and_what_is_said_of_it_steer_nobody() {
    let (folder, _suite) = suite(&|_| ());
    let spelled: String = STEERS.chars().map(|c| format!("\\U{:08x}", c as u32)).collect();
    let whole = |title: &str, more: &str, part: &str| {
        format!(
            "format = \"goldref-assignment/1\"\ntitle = \"{title}\"\n[candidate]\ncommand = [\"sh\", \"-c\", \"printf '{TURNS}' >&2; exit 3\"]\n{more}\n\
             [[part]]\nid = \"a\"\ntitle = \"{title}\"\npoints = 1\nvisible = [\"mine\"]\n{part}\n"
        )
    };
    let submission = folder.path().join(TURNS);
    fs::create_dir(&submission).unwrap();
    let path = folder.path().join("assignment.toml");
    for text in [
        whole(&spelled, "", ""),
        whole("t", &format!("\"{spelled}\" = 1"), ""),
        whole("t", &format!("stored = \"{spelled}\""), ""),
        whole("t", &format!("lifetime = \"{spelled}\""), ""),
        whole("t", &format!("[limits]\nmemory = \"{spelled}\""), ""),
        whole("t", "", &format!("properties = [\"{spelled}\"]")),
        whole("t", "", &format!("requires = [\"{spelled}\"]")),
        whole("t", "", &format!("ladder = {{ \"{spelled}\" = 1 }}")),
        whole("t", "", &format!("hidden = [\"{spelled}\"]")),
        whole("t", "", "").replace("id = \"a\"", &format!("id = \"{spelled}\"")),
        format!("= {STEERS}"),
    ] {
        fs::write(&path, text).unwrap();
        for format in ["text", "json", "markdown", "gradescope", "prairielearn"] {
            said(&[&"grade", &path, &"--no-sandbox", &"--submission", &submission, &"--format", &format]);
        }
    }
}
