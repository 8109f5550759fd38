//! `goldref bench` as a user meets it. Times are shown, never judged: what is asserted is which were measured.

use super::command_line::goldref;
use serde_json::Value;
use std::fs;
use tempfile::TempDir;

fn model() -> String {
    super::root().join("fixtures/model/models/llama_gqa_biased").display().to_string()
}

fn bench(args: &[&str]) -> (String, String) {
    let output = goldref().arg("bench").args(args).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{message}");
    (String::from_utf8(output.stdout).unwrap(), message)
}

#[test]
fn each_prompt_and_number_of_tokens_has_a_row() {
    let folder = TempDir::new().unwrap();
    let plot = folder.path().join("latency.svg");
    let model = model();
    let args = ["--model", &model, "--prompt", "4,9", "--generate", "2,6", "--repeats", "2", "--warmup", "0"];
    let (json, _) = bench(&[&args[..], &["--format", "json", "--plot", plot.to_str().unwrap()]].concat());
    let report: Value = serde_json::from_str(&json).unwrap();
    let rows = report["latency"]["rows"].as_array().unwrap();
    let asked: Vec<_> = rows.iter().map(|row| (row["prompt"].as_u64(), row["generate"].as_u64())).collect();
    assert_eq!(asked, [(4, 2), (4, 6), (9, 2), (9, 6)].map(|(p, g)| (Some(p), Some(g))));
    for row in rows {
        let number = |value: &Value| value.as_f64().unwrap();
        let (with, without) = (number(&row["with_cache"]["median"]), number(&row["without_cache"]));
        assert!(with > 0.0 && without > 0.0 && number(&row["speed_up"]) == without / with, "{row}");
        assert!(number(&row["with_cache"]["least"]) <= with && with <= number(&row["with_cache"]["most"]));
    }
    assert!(report["limits"]["bandwidth"].as_f64().unwrap() > 0.0);
    let svg = fs::read_to_string(plot).unwrap();
    let document = roxmltree::Document::parse(&svg).unwrap();
    let words: String = document.descendants().filter(|node| node.is_text()).filter_map(|node| node.text()).collect();
    for word in ["6 tokens without cache", "2 tokens with cache", "a token, predicted", "tokens of the prompt"] {
        assert!(words.contains(word), "{word}: {words}");
    }
    let (text, _) = bench(&args);
    assert_eq!(text.lines().filter(|line| line.contains(" × ")).count(), 4, "{text}");
    assert!(text.contains("some lengths are measured"));
}

#[test]
fn a_model_without_weights_gets_random_ones_and_says_so() {
    let folder = TempDir::new().unwrap();
    let config = folder.path().join("config.json");
    fs::copy(super::root().join("fixtures/model/models/gpt2/config.json"), &config).unwrap();
    let name = config.display().to_string();
    let (text, message) =
        bench(&["--model", &name, "--prompt", "3", "--generate", "2", "--repeats", "1", "--variant", "bf16-paged"]);
    assert!(message.contains("has no weights here; they are random") && text.contains("bf16-paged"), "{message}");
}

#[rstest::rstest]
#[case(&["--prompt", "0"], "--prompt is [0]; each must be at least 1")]
#[case(&["--generate", "5,0"], "--generate is [5, 0]")]
#[case(&["--repeats", "0"], "--repeats is 0")]
#[case(&["--variant", "fp4"], "no variant is called \"fp4\"")]
#[case(&["--plot", "/no/such/folder/x.svg"], "cannot write /no/such/folder/x.svg")]
fn bad_questions_get_one_sentence(#[case] args: &[&str], #[case] expected: &str) {
    let output = goldref().args(["bench", "--model", &model()]).args(args).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.contains(expected) && message.trim_end().lines().count() == 1, "{message}");
}

#[test]
fn a_model_larger_than_the_memory_is_refused_before_it_is_made() {
    let folder = TempDir::new().unwrap();
    let config = folder.path().join("config.json");
    let text = r#"{"model_type":"llama","hidden_size":65536,"intermediate_size":262144,"num_hidden_layers":500,
        "num_attention_heads":512,"num_key_value_heads":8,"vocab_size":128256}"#;
    fs::write(&config, text).unwrap();
    let output = goldref().args(["bench", "--model", config.to_str().unwrap()]).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.contains("GB of memory are free"), "{message}");
}
