//! The program as a user meets it: outputs, exit codes, and one clear sentence for each bad input.

use assert_cmd::Command;
use goldref::io::{Array, npy, npz};
use ndarray::{Array2, ArrayD, array};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

pub(super) fn goldref() -> Command {
    let mut command = Command::cargo_bin("goldref").unwrap();
    // What the surrounding CI says is not what a test asks.
    command.env("NO_COLOR", "1").env_remove("GITHUB_ACTIONS");
    command
}

/// A bundled checkpoint.
fn model(name: &str) -> PathBuf {
    super::root().join("fixtures/model/models").join(name)
}

/// A copy of a bundled checkpoint that a test may damage.
fn copy_of(name: &str) -> TempDir {
    let copy = TempDir::new().unwrap();
    for entry in fs::read_dir(model(name)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    copy
}

fn tokens(folder: &Path, ids: Array2<i64>) -> PathBuf {
    let path = folder.join("ids.npy");
    npy::write(&path, &Array::I64(ids.into_dyn())).unwrap();
    path
}

/// `goldref run`, expected to refuse: exit code 2, one sentence, nothing written.
fn refusal(model: &Path, tokens: &Path, more: &[&str]) -> String {
    let folder = TempDir::new().unwrap();
    let output = folder.path().join("out.npz");
    let mut command = goldref();
    command.arg("run").arg("--model").arg(model).arg("--tokens").arg(tokens).arg("--output").arg(&output).args(more);
    let result = command.output().unwrap();
    let lines = String::from_utf8(result.stderr).unwrap();
    let message: String = lines.lines().filter(|line| !line.starts_with("goldref: note: ")).collect();
    assert_eq!(result.status.code(), Some(2), "{message}");
    assert!(message.starts_with("goldref: ") && message.trim_end().lines().count() == 1, "{message}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "something was left behind");
    message
}

/// An npy file with this header and these bytes behind it.
fn raw_npy(folder: &Path, header: &str, data: &[u8]) -> PathBuf {
    let path = folder.join("raw.npy");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    let padded = format!("{header}{}\n", " ".repeat((64 - (header.len() + 11) % 64) % 64));
    bytes.extend((padded.len() as u16).to_le_bytes());
    bytes.extend(padded.as_bytes());
    bytes.extend(data);
    fs::write(&path, bytes).unwrap();
    path
}

fn run(model: &Path, tokens: &Path, more: &[&str]) -> BTreeMap<String, Array> {
    let folder = TempDir::new().unwrap();
    let output = folder.path().join("out.npz");
    goldref()
        .arg("run")
        .arg("--model")
        .arg(model)
        .arg("--tokens")
        .arg(tokens)
        .arg("--output")
        .arg(&output)
        .args(more)
        .assert()
        .success();
    npz::read(&output).unwrap()
}

#[test]
fn run_writes_logits_and_sites_and_decoding_changes_no_bit() {
    let folder = TempDir::new().unwrap();
    let ids = tokens(folder.path(), array![[3, 1, 4, 1, 5, 9], [2, 6, 5, 3, 5, 8]]);
    let whole =
        run(&model("llama_gqa_biased"), &ids, &["--trace", "embed,layers.*.output,layers.0.attn.probs,final_norm"]);
    assert_eq!(whole["logits"].shape()[..2], [2, 6]);
    assert_eq!(whole["layers.0.attn.probs"].shape()[2..], [6, 6]);
    assert!(
        ["embed", "layers.1.output", "final_norm"].iter().all(|site| whole.contains_key(*site)),
        "{:?}",
        whole.keys()
    );
    for variant in ["f64", "f32", "bf16", "f16", "f32-paged"] {
        let whole = run(&model("llama_gqa_biased"), &ids, &["--variant", variant]);
        let decoded = run(&model("llama_gqa_biased"), &ids, &["--variant", variant, "--prompt-len", "2"]);
        assert_eq!(whole["logits"], decoded["logits"], "{variant}");
        assert_eq!(whole["logits"].dtype_name(), if variant == "f64" { "f64" } else { "f32" });
    }
}

#[test]
fn run_generates_the_most_likely_tokens() {
    let folder = TempDir::new().unwrap();
    let prompt = array![[3, 1, 4], [2, 6, 5]];
    let ids = tokens(folder.path(), prompt.clone());
    let out = run(&model("gpt2"), &ids, &["--generate", "4"]);
    let Array::I64(generated) = &out["generated"] else { panic!("{out:?}") };
    assert_eq!(generated.shape(), [2, 4]);
    // The same tokens as a prompt: each generated one is the argmax of the logits before it.
    let generated = generated.clone().into_dimensionality().unwrap();
    let all = ndarray::concatenate(ndarray::Axis(1), &[prompt.view(), generated.view()]).unwrap();
    let again = run(&model("gpt2"), &tokens(folder.path(), all.clone()), &[]);
    let logits = again["logits"].to_f64();
    for b in 0..2 {
        for t in 3..7 {
            let row: Vec<f64> = (0..logits.shape()[2]).map(|v| logits[[b, t - 1, v]]).collect();
            let best = (0..row.len()).max_by(|&i, &j| row[i].total_cmp(&row[j])).unwrap();
            assert_eq!(all[[b, t]], best as i64);
        }
    }
}

#[test]
fn tokens_may_be_big_endian_or_in_fortran_order() {
    let folder = TempDir::new().unwrap();
    let expected = run(&model("gpt2"), &tokens(folder.path(), array![[1, 2, 3], [4, 5, 6]]), &[]);
    let big: Vec<u8> = [1i64, 2, 3, 4, 5, 6].iter().flat_map(|x| x.to_be_bytes()).collect();
    let path = raw_npy(folder.path(), "{'descr': '>i8', 'fortran_order': False, 'shape': (2, 3), }", &big);
    assert_eq!(run(&model("gpt2"), &path, &[])["logits"], expected["logits"]);
    let fortran: Vec<u8> = [1i32, 4, 2, 5, 3, 6].iter().flat_map(|x| x.to_le_bytes()).collect();
    let path = raw_npy(folder.path(), "{'descr': '<i4', 'fortran_order': True, 'shape': (2, 3), }", &fortran);
    assert_eq!(run(&model("gpt2"), &path, &[])["logits"], expected["logits"]);
}

#[test]
fn bad_tokens_are_refused_with_path_and_reason() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    let gpt2 = model("gpt2");
    let refuse = |path: PathBuf, reason: &str| {
        let message = refusal(&gpt2, &path, &[]);
        assert!(message.contains(reason), "{message}");
        assert!(
            message.contains(path.file_name().unwrap().to_str().unwrap()) || reason.contains("token id"),
            "{message}"
        );
    };
    refuse(at.join("absent.npy"), "cannot read");
    refuse(tokens(at, Array2::zeros((1, 0))), "at least one token");
    refuse(tokens(at, array![[1, 61_000]]), "token id 61000 at [0, 1] is outside the vocabulary");
    refuse(tokens(at, array![[1, -1]]), "token id -1");
    let floats = at.join("floats.npy");
    npy::write(&floats, &Array::F32(ArrayD::zeros(vec![1, 3]))).unwrap();
    refuse(floats, "f32");
    refuse(raw_npy(at, "{'descr': '<i8', 'fortran_order': False, 'shape': (2, 3), }", &[0; 40]), "40 of the 48 bytes");
    refuse(
        raw_npy(at, "{'descr': '|O', 'fortran_order': False, 'shape': (2,), }", b"\x80\x04"),
        "pickled object array",
    );
    refuse(raw_npy(at, "{'descr': [('a', '<i8')], 'fortran_order': False, 'shape': (2,), }", &[0; 16]), "structured");
    let huge = "{'descr': '<i8', 'fortran_order': False, 'shape': (4294967296, 4294967296), }";
    refuse(raw_npy(at, huge, &[]), "raw.npy");
    let long_header = at.join("header.npy");
    fs::write(&long_header, b"\x93NUMPY\x02\x00\xff\xff\xff\xff{").unwrap();
    refuse(long_header, "header");
}

#[test]
fn bad_checkpoints_are_refused_by_name() {
    let folder = TempDir::new().unwrap();
    let ids = tokens(folder.path(), array![[1, 2, 3]]);
    let edited = |edit: &dyn Fn(&mut serde_json::Map<String, serde_json::Value>)| {
        let copy = copy_of("llama_mha");
        let path = copy.path().join("config.json");
        let mut config = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        edit(&mut config);
        fs::write(path, serde_json::to_string(&config).unwrap()).unwrap();
        refusal(copy.path(), &ids, &[])
    };
    assert!(edited(&|c| drop(c.insert("model_type".into(), "mamba".into()))).contains("\"mamba\""));
    assert!(edited(&|c| drop(c.insert("attention_soup".into(), 3.into()))).contains("attention_soup"));
    assert!(edited(&|c| drop(c.insert("num_attention_heads".into(), 0.into()))).contains("num_attention_heads"));
    assert!(edited(&|c| drop(c.insert("hidden_act".into(), "mish".into()))).contains("mish"));
    assert!(edited(&|c| drop(c.insert("vocab_size".into(), 7.into()))).contains("shape"));

    let missing = copy_of("llama_mha");
    fs::remove_file(missing.path().join("model.safetensors")).unwrap();
    assert!(refusal(missing.path(), &ids, &[]).contains("model.safetensors"));
    let truncated = copy_of("llama_mha");
    let weights = truncated.path().join("model.safetensors");
    let bytes = fs::read(&weights).unwrap();
    fs::write(&weights, &bytes[..bytes.len() - 5]).unwrap();
    assert!(refusal(truncated.path(), &ids, &[]).contains("model.safetensors"));
}

/// A checkpoint with its tensors changed.
fn with_tensors(edit: impl Fn(&mut BTreeMap<String, (Vec<usize>, Vec<u8>)>)) -> TempDir {
    let copy = copy_of("llama_mha");
    let path = copy.path().join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut all: BTreeMap<String, (Vec<usize>, Vec<u8>)> =
        tensors.iter().map(|(name, t)| (name.to_string(), (t.shape().to_vec(), t.data().to_vec()))).collect();
    edit(&mut all);
    let views = all.iter().map(|(name, (shape, data))| {
        (name.clone(), safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), data).unwrap())
    });
    safetensors::serialize_to_file(views.collect::<Vec<_>>(), None, &path).unwrap();
    copy
}

#[test]
fn missing_surplus_and_misshapen_weights_are_named() {
    let folder = TempDir::new().unwrap();
    let ids = tokens(folder.path(), array![[1, 2, 3]]);
    let up = "model.layers.1.mlp.up_proj.weight";
    let missing = with_tensors(|t| drop(t.remove(up)));
    assert!(refusal(missing.path(), &ids, &[]).contains(up));
    let surplus =
        with_tensors(|t| drop(t.insert("model.layers.0.self_attn.q_proj.bias".into(), (vec![2], vec![0; 8]))));
    assert!(refusal(surplus.path(), &ids, &[]).contains("q_proj.bias"));
    let misshapen = with_tensors(|t| t.get_mut(up).unwrap().0.reverse());
    let message = refusal(misshapen.path(), &ids, &[]);
    assert!(message.contains(up) && message.contains("config.json asks for"), "{message}");
}

#[test]
fn nan_weights_are_said_and_not_hidden() {
    let folder = TempDir::new().unwrap();
    let ids = tokens(folder.path(), array![[1, 2, 3]]);
    let poisoned =
        with_tensors(|t| t.get_mut("model.norm.weight").unwrap().1[..4].copy_from_slice(&f32::NAN.to_le_bytes()));
    let output = folder.path().join("out.npz");
    let result = goldref()
        .arg("run")
        .arg("--model")
        .arg(poisoned.path())
        .arg("--tokens")
        .arg(&ids)
        .arg("--output")
        .arg(&output)
        .output()
        .unwrap();
    assert!(result.status.success());
    assert!(
        String::from_utf8(result.stderr).unwrap().contains("\"model.norm.weight\" holds 1 values that are not finite")
    );
    assert!(npz::read(&output).unwrap()["logits"].to_f64().iter().any(|x| x.is_nan()));
    assert!(refusal(poisoned.path(), &ids, &["--generate", "1"]).contains("NaN"));
}

#[test]
fn bad_arguments_are_refused_before_anything_runs() {
    let folder = TempDir::new().unwrap();
    let ids = tokens(folder.path(), array![[1, 2, 3]]);
    let gpt2 = model("gpt2");
    assert!(refusal(&gpt2, &ids, &["--variant", "f8"]).contains("no variant is called \"f8\"; there are: f64"));
    assert!(refusal(&gpt2, &ids, &["--prompt-len", "0"]).contains("--prompt-len is 0"));
    assert!(refusal(&gpt2, &ids, &["--prompt-len", "4"]).contains("3 tokens"));
    assert!(refusal(&gpt2, &ids, &["--trace", "layers.9.output"]).contains("layers.9.output"));
    let nowhere = folder.path().join("no/such/folder/out.npz");
    let result = goldref()
        .arg("run")
        .arg("--model")
        .arg(&gpt2)
        .arg("--tokens")
        .arg(&ids)
        .arg("--output")
        .arg(nowhere)
        .output()
        .unwrap();
    assert_eq!(result.status.code(), Some(2));
    assert!(String::from_utf8(result.stderr).unwrap().contains("cannot write"));
}

#[test]
fn check_exits_by_what_it_found() {
    let check = |arguments: &[&str]| goldref().arg("check").args(arguments).output().unwrap();
    assert_eq!(check(&["--suite", "model", "--case", "gpt2", "--variant", "f64"]).status.code(), Some(0));
    for nothing in [
        ["--case", "nope"],
        ["--suite", "nope"],
        ["--variant", "nope"],
        ["--fixtures", "/nope"],
        ["--atol", "-1"],
        ["--atol", "nan"],
    ] {
        let result = check(&nothing);
        assert_eq!(result.status.code(), Some(2), "{nothing:?}");
        assert_eq!(String::from_utf8(result.stderr).unwrap().trim_end().lines().count(), 1);
        assert!(result.stdout.is_empty());
    }
    let empty = TempDir::new().unwrap();
    assert_eq!(check(&["--fixtures", empty.path().to_str().unwrap()]).status.code(), Some(2));
}

/// Somebody else's suite of one case: softmax of two scores.
fn foreign_suite(case: &str, expected: Array) -> TempDir {
    let suite = TempDir::new().unwrap();
    let json = format!(r#"{{"format": "goldref-suite/1", "name": "mine", "about": "one case", "cases": [{case}]}}"#);
    fs::write(suite.path().join("suite.json"), json).unwrap();
    fs::create_dir(suite.path().join("two")).unwrap();
    npz::write(
        suite.path().join("two/inputs.npz"),
        &BTreeMap::from([("x".to_string(), Array::F64(array![0.0, 0.0].into_dyn()))]),
    )
    .unwrap();
    npz::write(suite.path().join("two/expected.npz"), &BTreeMap::from([("out".to_string(), expected)])).unwrap();
    suite
}

fn check_suite(suite: &TempDir) -> (Option<i32>, String) {
    let result =
        goldref().arg("check").arg("--fixtures").arg(suite.path()).args(["--variant", "f64"]).output().unwrap();
    (result.status.code(), String::from_utf8(result.stdout).unwrap() + &String::from_utf8(result.stderr).unwrap())
}

#[test]
fn somebody_elses_suite_is_judged() {
    let case = r#"{"id": "two", "op": "softmax"}"#;
    let right = Array::F64(array![0.5, 0.5].into_dyn());
    assert_eq!(check_suite(&foreign_suite(case, right.clone())).0, Some(0));

    let (code, text) = check_suite(&foreign_suite(case, Array::F64(array![0.5, 0.6].into_dyn())));
    assert_eq!(code, Some(1));
    assert!(
        text.contains("out[1]  actual 0.5  expected 0.6")
            && text.contains("--variant f64 --case mine/two")
            && text.contains("goldref check --fixtures '"),
        "{text}"
    );

    let (code, text) = check_suite(&foreign_suite(case, Array::F64(array![[0.5, 0.5]].into_dyn())));
    assert_eq!(code, Some(1), "a shape that only broadcasts is a disagreement");
    assert!(text.contains("shape"), "{text}");

    let (code, text) =
        check_suite(&foreign_suite(r#"{"id": "two", "op": "softmax", "params": {"axes": 0}}"#, right.clone()));
    assert_eq!(code, Some(1));
    assert!(text.contains("axes"), "{text}");
}

#[test]
fn a_main_output_of_zeros_excuses_nothing_beside_it() {
    // LayerNorm of (0, 0) is (0, 0) with mean 0; a mean of 3 is expected.
    let case = r#"{"id": "two", "op": "layer_norm", "params": {"norm_eps": 1e-5}, "baseline": {"f32": 1e-7}}"#;
    let suite = foreign_suite(case, Array::F64(array![0.0, 0.0].into_dyn()));
    let expected = [("out", array![0.0, 0.0]), ("mean", array![3.0])];
    let expected = expected.map(|(name, array)| (name.to_string(), Array::F64(array.into_dyn())));
    npz::write(suite.path().join("two/expected.npz"), &expected.into()).unwrap();
    let (code, text) = check_suite(&suite);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("mean[0]  actual 0.0  expected 3.0"), "{text}");
}

#[test]
fn an_expected_array_that_is_not_answered_is_a_failure() {
    // Real checkers skip outputs that match nothing, with a warning at best.
    let suite = foreign_suite(r#"{"id": "two", "op": "softmax"}"#, Array::F64(array![0.5, 0.5].into_dyn()));
    let expected = ["out", "logits"].map(|name| (name.to_string(), Array::F64(array![0.5, 0.5].into_dyn())));
    npz::write(suite.path().join("two/expected.npz"), &expected.into()).unwrap();
    let (code, text) = check_suite(&suite);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("the answer has no array logits"), "{text}");
}

#[test]
fn a_variant_that_was_not_asked_has_no_rate() {
    let suite = foreign_suite(r#"{"id": "two", "op": "softmax"}"#, Array::F64(array![0.5, 0.5].into_dyn()));
    let result =
        goldref().arg("check").arg("--fixtures").arg(suite.path()).args(["--variant", "f64-cached"]).output().unwrap();
    let text = String::from_utf8(result.stdout).unwrap();
    let row = text.lines().find(|line| line.contains("f64-cached")).unwrap();
    assert!(row.contains('—') && row.ends_with("not asked") && !row.contains('%'), "{row}");
    assert_eq!(result.status.code(), Some(2), "nothing asked is not a success");
}

#[test]
fn the_bundled_suites_are_unpacked_into_the_cache_or_refused_in_one_sentence() {
    let folder = TempDir::new().unwrap();
    let check = |cache: &Path| {
        let arguments = ["check", "--case", "ops/log_softmax_plain", "--variant", "f64", "--format", "summary"];
        goldref().args(arguments).env("GOLDREF_CACHE", cache).output().unwrap()
    };
    let cache = folder.path().join("cache");
    for _ in 0..2 {
        assert_eq!(check(&cache).status.code(), Some(0));
        assert_eq!(fs::read_dir(&cache).unwrap().count(), 1);
    }
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let refused = check(&file);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        said.starts_with(&format!("goldref: cannot write {}: the bundled suites are unpacked there (", file.display()))
    );
    assert!(said.ends_with("); set GOLDREF_CACHE to a folder that can be written\n"), "{said}");

    let nowhere = goldref().arg("check").env_clear().output().unwrap();
    assert_eq!(nowhere.status.code(), Some(2));
    let said = String::from_utf8(nowhere.stderr).unwrap();
    assert_eq!(
        said,
        "goldref: the bundled suites cannot be unpacked: no folder for a cache is known; set GOLDREF_CACHE to one that can be written\n"
    );
}

#[test]
fn bad_suites_are_refused() {
    let right = || Array::F64(array![0.5, 0.5].into_dyn());
    let refuse = |suite: &TempDir, reason: &str| {
        let (code, text) = check_suite(suite);
        assert_eq!(code, Some(2), "{text}");
        assert!(text.contains(reason), "{text}");
    };
    refuse(&foreign_suite(r#"{"id": "two", "op": "softmax", "atol": 1}"#, right()), "atol");
    refuse(&foreign_suite(r#"{"id": "../two", "op": "softmax"}"#, right()), "../two");
    refuse(&foreign_suite(r#"{"id": "two", "op": "softmax"}, {"id": "two", "op": "relu"}"#, right()), "two cases");
    refuse(&foreign_suite(r#"{"id": "two", "op": "softmax", "sha256": {"expected.npz": "00"}}"#, right()), "sha256");
    refuse(&foreign_suite(r#"{"id": "three", "op": "softmax"}"#, right()), "expected.npz");
    refuse(&foreign_suite("", right()), "no case is selected");
    let escaping = foreign_suite(r#"{"id": "two", "op": "model", "params": {"model": "../../etc"}}"#, right());
    let ids = BTreeMap::from([("input_ids".to_string(), Array::I64(array![[1, 2]].into_dyn()))]);
    npz::write(escaping.path().join("two/inputs.npz"), &ids).unwrap();
    assert!(check_suite(&escaping).1.contains("not a path inside the suite"));
}

#[test]
fn sizes_that_would_not_fit_are_said_and_not_tried() {
    let huge = r#"{"id": "two", "op": "mask", "params": {"q_len": 4000000000, "kv_len": 4000000000}}"#;
    let suite = foreign_suite(huge, Array::F64(array![0.5, 0.5].into_dyn()));
    fs::remove_file(suite.path().join("two/inputs.npz")).unwrap();
    let (code, text) = check_suite(&suite);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("[4000000000, 4000000000]"), "{text}");

    let folder = TempDir::new().unwrap();
    let ids = tokens(folder.path(), array![[1, 2, 3]]);
    let far = folder.path().join("far.npy");
    npy::write(&far, &Array::I64(array![[0, 1, i64::MAX]].into_dyn())).unwrap();
    let message = refusal(&model("llama_mha"), &ids, &["--position-ids", far.to_str().unwrap()]);
    assert!(message.contains("positions are between 0 and 2^53"), "{message}");
}

#[test]
fn help_has_examples() {
    for command in ["check", "diff", "report", "run"] {
        let help = String::from_utf8(goldref().args([command, "--help"]).output().unwrap().stdout).unwrap();
        assert!(help.contains(&format!("Examples:\n  goldref {command}")), "{help}");
    }
}

/// `goldref`, its exit code, and what it printed on both streams.
fn goldref_says(arguments: &[&str]) -> (Option<i32>, String, String) {
    let result = goldref().args(arguments).output().unwrap();
    (result.status.code(), String::from_utf8(result.stdout).unwrap(), String::from_utf8(result.stderr).unwrap())
}

/// A case whose author asks for more than the bounds of rounding might.
const STRICT: &str = r#"{"id": "two", "op": "softmax", "tolerance": {"atol": 1e-7}}"#;

/// A suite that f64 answers wrongly, and the file of its run.
fn saved_disagreement(folder: &Path) -> (TempDir, PathBuf) {
    let suite = foreign_suite(STRICT, Array::F64(array![0.5, 0.6].into_dyn()));
    let (path, saved) = (suite.path().to_str().unwrap().to_string(), folder.join("run.json"));
    let arguments = ["check", "--fixtures", &path, "--variant", "f64", "--format", "json", "--output"];
    let (code, table, _) = goldref_says(&[&arguments[..], &[saved.to_str().unwrap()]].concat());
    assert_eq!(code, Some(1));
    assert!(table.contains("out[1]  actual 0.5  expected 0.6"), "the table is printed beside the file: {table}");
    (suite, saved)
}

#[test]
fn a_saved_run_is_converted_whatever_it_says() {
    let folder = TempDir::new().unwrap();
    let (_suite, saved) = saved_disagreement(folder.path());
    let saved = saved.to_str().unwrap();
    let starts = [
        ("text", "goldref "),
        ("json", "{\n  \"format\": \"goldref-run/1\""),
        ("summary", "mine · f64 · 1e-3\n"),
        ("junit", "<?xml"),
        ("markdown", "### goldref: 1 of 1 answer disagrees"),
        ("github", "::error title="),
    ];
    for (format, start) in starts {
        let (code, printed, said) = goldref_says(&["report", saved, "--format", format]);
        assert_eq!((code, said.as_str()), (Some(0), ""), "{format}");
        assert!(printed.starts_with(start), "{format}: {printed}");
    }
    let (_, again, _) = goldref_says(&["report", saved, "--format", "json"]);
    assert_eq!(again, fs::read_to_string(saved).unwrap());

    let junit = folder.path().join("junit.xml");
    let (code, printed, _) = goldref_says(&["report", saved, "--format", "junit", "--output", junit.to_str().unwrap()]);
    assert_eq!(code, Some(0));
    assert!(printed.starts_with("goldref ") && fs::read_to_string(junit).unwrap().starts_with("<?xml"));
}

#[test]
fn files_that_are_no_saved_runs_are_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("run.json");
    let path = path.to_str().unwrap();
    for (content, reason) in [
        ("", "it is no saved run: EOF"),
        ("[1]", "it is no saved run"),
        ("{}", "it has no \"format\"; a saved run is of format goldref-run/1"),
        (r#"{"format": "goldref-run/2"}"#, "its format is \"goldref-run/2\"; this version reads goldref-run/1"),
        (r#"{"format": "goldref-run/1"}"#, "missing field"),
    ] {
        fs::write(path, content).unwrap();
        for arguments in [vec!["report", path], vec!["diff", path, path]] {
            let (code, printed, said) = goldref_says(&arguments);
            assert_eq!((code, printed.as_str()), (Some(2), ""), "{said}");
            assert!(said.starts_with(&format!("goldref: cannot read {path}: ")) && said.contains(reason), "{said}");
            assert_eq!(said.trim_end().lines().count(), 1);
        }
    }
    assert_eq!(goldref_says(&["report", "/nope.json"]).0, Some(2));
    assert_eq!(goldref_says(&["report", folder.path().to_str().unwrap()]).0, Some(2));
    // Sparse: it takes no place on the disk and must take none in memory.
    fs::File::create(path).unwrap().set_len((256 << 20) + 1).unwrap();
    let (code, _, said) = goldref_says(&["report", path]);
    assert_eq!(code, Some(2));
    assert!(said.contains("it is longer than 256 MiB"), "{said}");
}

#[test]
fn a_file_that_cannot_be_written_is_said_before_anything_runs() {
    let folder = TempDir::new().unwrap();
    for output in [folder.path().join("no/such/folder/x.xml"), folder.path().to_path_buf()] {
        let output = output.to_str().unwrap();
        let (code, printed, said) = goldref_says(&["check", "--format", "junit", "--output", output]);
        assert_eq!((code, printed.as_str()), (Some(2), ""));
        assert!(said.contains("cannot write"), "{said}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "something was left behind");
}

#[test]
fn annotations_follow_the_table_where_github_runs_it() {
    let suite = foreign_suite(STRICT, Array::F64(array![0.5, 0.6].into_dyn()));
    let check = |github: Option<&str>, more: &[&str]| {
        let mut command = goldref();
        command.arg("check").arg("--fixtures").arg(suite.path()).args(["--variant", "f64"]).args(more);
        if let Some(value) = github {
            command.env("GITHUB_ACTIONS", value);
        }
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    let table = check(None, &[]);
    assert!(!table.contains("::"), "{table}");
    assert_eq!(check(Some("false"), &[]), table);
    let annotated = check(Some("true"), &[]);
    let annotations = annotated.strip_prefix(&table).unwrap();
    assert!(annotations.starts_with("::error title=goldref%3A f64 mine/two%3A "), "{annotations}");
    assert!(annotations.ends_with("::notice title=goldref::1 of 1 answer disagrees\n"), "{annotations}");
    // A program reads these.
    assert!(!check(Some("true"), &["--format", "summary"]).contains("::"));
    serde_json::from_str::<serde_json::Value>(&check(Some("true"), &["--format", "json"])).unwrap();
}

#[test]
fn diff_exits_by_what_got_worse() {
    let folder = TempDir::new().unwrap();
    let (suite, wrong) = saved_disagreement(folder.path());
    let right = folder.path().join("right.json");
    let expected = BTreeMap::from([("out".to_string(), Array::F64(array![0.5, 0.5].into_dyn()))]);
    npz::write(suite.path().join("two/expected.npz"), &expected).unwrap();
    let check = |more: &[&str], output: &Path| {
        let fixtures = suite.path().to_str().unwrap();
        let arguments = ["check", "--fixtures", fixtures, "--format", "json", "--output", output.to_str().unwrap()];
        goldref_says(&[&arguments[..], more].concat()).0
    };
    assert_eq!(check(&["--variant", "f64"], &right), Some(0));
    let diff = |a: &Path, b: &Path, more: &[&str]| {
        goldref_says(&[&["diff", a.to_str().unwrap(), b.to_str().unwrap()], more].concat())
    };
    let (code, printed, _) = diff(&right, &wrong, &[]);
    assert_eq!(code, Some(1), "{printed}");
    assert!(
        printed.starts_with("1 worse, 0 better of 1 answer in both runs\n\nworse\n f64  mine/two  exact → "),
        "{printed}"
    );
    assert!(printed.trim_end().ends_with("--variant f64 --case mine/two"), "{printed}");
    assert_eq!(diff(&wrong, &right, &[]).0, Some(0), "better");
    assert_eq!(diff(&wrong, &wrong, &[]).0, Some(0), "the same");
    let (_, json, _) = diff(&right, &wrong, &["--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["format"], &json["changes"][0]["direction"]), (&"goldref-diff/1".into(), &"worse".into()));
    assert!(diff(&right, &wrong, &["--format", "markdown"]).1.starts_with("### goldref: something got worse\n"));

    let other = folder.path().join("other.json");
    assert_eq!(check(&["--variant", "f32"], &other), Some(0));
    let (code, _, said) = diff(&right, &other, &[]);
    assert_eq!(code, Some(2));
    assert!(said.contains("no answer in common"), "{said}");
    assert_eq!(check(&["--variant", "f64", "--atol", "1e-9"], &other), Some(0));
    let (code, _, said) = diff(&right, &other, &[]);
    assert_eq!(code, Some(2));
    assert!(said.contains("the first run has the tolerances 1e-5, 1e-4, 1e-3 and the second 1e-9"), "{said}");
    for factor in ["0.5", "-2", "nan"] {
        assert_eq!(diff(&right, &right, &["--factor", factor]).0, Some(2), "{factor}");
    }
}
