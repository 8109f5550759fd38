//! What a model costs: against the bundled checkpoints, PyTorch's own count, the worked problem of a course, and as a user asks.

use super::command_line::goldref;
use goldref::cost::{
    AttentionSteps, DEVICES, Device, IntensityLimits, Memory, ParallelMemory, Preset, Step, forward, parameters,
};
use goldref::eval::matches_pattern;
use goldref::io::{Array, Checkpoint};
use goldref::model::family;
use goldref::model::kv_cache::CacheKind;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;

/// The bundled checkpoints by name.
fn checkpoints() -> BTreeMap<String, Checkpoint> {
    let folder = super::root().join("fixtures/model/models");
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries.map(|e| (e.file_name().into_string().unwrap(), Checkpoint::open(e.path()).unwrap())).collect()
}

#[test]
fn parameters_are_the_numbers_in_the_checkpoint() {
    let all = checkpoints();
    assert!(all.len() >= 30);
    for (name, checkpoint) in all {
        let (spec, layout) = family::read(checkpoint.config()).unwrap();
        let is_parameter = |tensor: &str| !layout.ignored.iter().any(|pattern| matches_pattern(pattern, tensor));
        let numbers: u128 = checkpoint
            .names()
            .filter(|tensor| is_parameter(tensor))
            .map(|tensor| {
                let array: Array = checkpoint.tensor(tensor).unwrap().to_array().unwrap();
                array.shape().iter().product::<usize>() as u128
            })
            .sum();
        assert_eq!(parameters(&spec).total(), numbers, "{name}");
    }
}

/// `flops.json` was written by `tools/oracle_flops.py`: FlopCounterMode over transformers' own models.
#[test]
fn products_are_those_that_pytorch_counts() {
    let oracle: Value = serde_json::from_str(include_str!("flops.json")).unwrap();
    let size = |key: &str| usize::try_from(oracle[key].as_u64().unwrap()).unwrap();
    let (batch, prompt) = (size("batch"), size("prompt"));
    let mut families = std::collections::BTreeSet::new();
    for (name, checkpoint) in checkpoints() {
        let (spec, _) = family::read(checkpoint.config()).unwrap();
        for (phase, q_len, past_len) in [("prefill", prompt, 0), ("decode", 1, prompt)] {
            // transformers keeps a window in a cache of one row less than goldref's ring: the new row is the last of the window.
            let step = Step { batch, q_len, past_len, cache: CacheKind::Ring, logits: q_len };
            let attention = spec.layers.iter().map(|layer| &layer.attention);
            let full = attention.filter(|spec| spec.sliding_window.is_some_and(|window| window <= past_len));
            let one_key: usize = full.map(|spec| 4 * batch * spec.num_attention_heads * spec.head_dim * q_len).sum();
            let counted = 2 * forward(&spec, &step).total().multiply_adds - one_key as u128;
            assert_eq!(u128::from(oracle["models"][&name][phase].as_u64().unwrap()), counted, "{name}, {phase}");
        }
        families.insert(spec.model_type.clone());
    }
    assert!(families.len() >= 6, "{families:?}");
}

#[test]
fn the_worked_answers_of_the_course() {
    // Llama-3 8B under K = V = hidden size: 2 · 2 bytes · 32 layers · 4096 · 8192 tokens.
    let request = 2 * 2 * 32 * 4096 * 8192u128;
    assert_eq!(request, 4_294_967_296);
    // 80 GB, weights of 15 GB, 4 GB a request: 16 on one device, ⌊(80 X - 15) / 4⌋ on X.
    let gb = 1_000_000_000;
    let memory = Memory { device: 80 * gb, reserve: 0, weights: 15 * gb, request: 4 * gb };
    assert_eq!(memory.largest_batch(1).unwrap(), 16);
    for x in 1..=8 {
        assert_eq!(memory.largest_batch(x).unwrap(), (80 * x - 15) / 4);
    }
    // Their FLOPs and bytes.
    let (n, d, b) = (8192u128, 128u128, 2u128);
    let prefill = AttentionSteps::course(n, n, d, b).total();
    assert_eq!((prefill.flops, prefill.bytes), (4 * n * n * d + 3 * n * n + 2 * n, (4 * n * d + 4 * n * n) * b));
    let decode = AttentionSteps::course(1, n, d, b).total();
    assert_eq!((decode.flops, decode.bytes), (4 * n * d + 3 * n, (2 * d + 2 * n * d + 4 * n) * b));
    let limits = IntensityLimits::course(d, b);
    assert_eq!((limits.prefill, limits.decode), (515.0 / 8.0, 515.0 / 520.0));
    // What the model is: 8 key heads of 128, 128 KiB a token, 1 GiB a request; 65 of them beside 15 GiB on 80 GiB.
    let spec = Preset::find("llama-3-8b").unwrap().spec().unwrap();
    let cache = goldref::cost::KvCacheSize::new(
        &spec,
        CacheKind::Contiguous,
        goldref::eval::CacheStorage::AsComputed,
        goldref::num::Dtype::Bf16,
    )
    .unwrap();
    assert_eq!((cache.bytes_a_token(), cache.bytes_a_request(8192)), (128 << 10, 1 << 30));
    let gib = 1u128 << 30;
    let real = Memory { device: 80 * gib, reserve: 0, weights: 2 * parameters(&spec).total(), request: gib };
    assert_eq!(real.largest_batch(1).unwrap(), 65);
}

/// Published sizes of a token's keys and values in 16 bits. Llama-2 7B: "0.5 MB a token" (512 KiB); 13B of 40 layers and 40 heads,
/// as OPT-13B: 800 KB (Kwon et al., arXiv:2309.06180, section 1); GPT-2 XL 300 KiB and Llama-3 8B 128 KiB (Raschka, *LLM Architecture
/// Gallery*, sebastianraschka.com/llm-architecture-gallery). The others: the gallery's formula, 4 · key heads · head width a layer, by hand from the
/// published `config.json` that the preset names.
#[test]
fn a_token_takes_what_is_published() {
    for (name, kib) in [
        ("llama-2-7b", 512),
        ("llama-2-13b", 800),
        ("llama-2-70b", 320),
        ("llama-3-8b", 128),
        ("llama-3-70b", 320),
        ("mistral-7b", 128),
        ("qwen2.5-7b", 56),
        ("qwen2.5-72b", 320),
        ("qwen3-8b", 144),
        ("gemma-2-9b", 336),
        ("phi-3-mini", 384),
        ("gpt2", 36),
        ("gpt2-xl", 300),
    ] {
        let spec = Preset::find(name).unwrap().spec().unwrap();
        let cache = goldref::cost::KvCacheSize::new(
            &spec,
            CacheKind::Contiguous,
            goldref::eval::CacheStorage::AsComputed,
            goldref::num::Dtype::F16,
        )
        .unwrap();
        assert_eq!(cache.bytes_a_token(), kib << 10, "{name}");
    }
}

#[test]
fn key_heads_that_are_fewer_than_the_devices_are_copied() {
    let spec = Preset::find("llama-3-8b").unwrap().spec().unwrap();
    let of = |devices| ParallelMemory::of(&spec, devices).unwrap();
    assert_eq!((of(4).kv_heads, of(4).copies, of(4).request(1 << 30)), (2, 1, 1 << 28));
    // 8 key heads on 16 devices: one on each, twice in all.
    assert_eq!((of(16).kv_heads, of(16).copies, of(16).request(1 << 30)), (1, 2, 1 << 27));
    // Each device has a sixteenth of all but the norms, and of the copied projections: 2 · 1024 · 4096 · 32 more in all.
    let parameters = parameters(&spec);
    let shared = parameters.total() - parameters.norms + 2 * 1024 * 4096 * 32;
    assert_eq!(of(16).parameters, shared.div_ceil(16) + parameters.norms);
    for (devices, why) in [(3, "32 query heads"), (0, "at least 1"), (5, "32 query heads")] {
        assert!(ParallelMemory::of(&spec, devices).unwrap_err().to_string().contains(why), "{devices}");
    }
    // 28 query heads over 4 key heads: 7 divides the one and not the other.
    let spec = Preset::find("qwen2.5-7b").unwrap().spec().unwrap();
    assert!(ParallelMemory::of(&spec, 7).unwrap_err().to_string().contains("4 key heads"));
}

fn cost(args: &[&str]) -> String {
    let output = goldref().arg("cost").args(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn json(args: &[&str]) -> Value {
    serde_json::from_str(&cost(&[args, &["--format", "json"]].concat())).unwrap()
}

#[test]
fn the_table_answers_first() {
    let text = cost(&["--model", "llama-3-8b", "--device", "a100-80gb"]);
    for line in [
        " parameters           8 030 261 248 = 16.1 GB (14.96 GiB)",
        " KV cache, a token    131 072 bytes = 128 KiB",
        " a request of 8192    1 073 741 824 bytes = 1 GiB (4 GiB if keys and values were as wide as the hidden size)",
        " largest batch        59 on a100-80gb = ⌊(80.00 - 16.06) / 1.07⌋ GB",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
    }
    assert!(text.contains("the ridge point is 153 FLOPs a byte"));
    // The same model from a folder and from its file.
    let folder = super::root().join("fixtures/model/models/llama_gqa_biased");
    let (folder, file) = (folder.display().to_string(), folder.join("config.json").display().to_string());
    let rest = |text: String| text.split_once(" · ").unwrap().1.to_string();
    assert_eq!(rest(cost(&["--model", &folder])), rest(cost(&["--model", &file])));
}

#[test]
fn curves_are_drawn_and_in_the_json() {
    let folder = tempfile::TempDir::new().unwrap();
    let plot = folder.path().join("cost.svg");
    let report = json(&["--model", "llama-3-8b", "--device", "a100-80gb", "--plot", plot.to_str().unwrap()]);
    let curve = report["curve"].as_array().unwrap();
    let last = curve.last().unwrap();
    assert_eq!((curve[0]["context"].as_u64(), last["context"].as_u64()), (Some(16), Some(4 * 8192)));
    assert_eq!(last["kv_bytes"].as_u64(), Some(4 << 30));
    let svg = fs::read_to_string(plot).unwrap();
    let document = roxmltree::Document::parse(&svg).unwrap();
    let words: String = document.descendants().filter(|node| node.is_text()).filter_map(|node| node.text()).collect();
    for word in ["prefill, fused", "ridge point", "KV cache of a request", "parts of decode"] {
        assert!(words.contains(word), "{word}: {words}");
    }
}

#[test]
fn assumptions_are_flags() {
    let of = |more: &[&str]| json(&[&["--model", "llama-3-8b", "--device", "h100"], more].concat());
    let whole = of(&[]);
    let number = |value: &Value| value.as_f64().unwrap();
    assert_eq!(number(&of(&["--kv", "hidden"])["kv_cache"]["bytes_a_request"]), 4294967296.0);
    assert_eq!(number(&of(&["--cache-dtype", "f8_e4m3"])["kv_cache"]["bytes_a_token"]), 65536.0);
    // 8 bits a number, and 4 bytes for each of 2 · 32 · 8 heads of 128.
    assert_eq!(number(&of(&["--cache-dtype", "int8"])["kv_cache"]["bytes_a_token"]), 65536.0 + 4.0 * 512.0);
    assert_eq!(number(&of(&["--weights", "f32", "--memory", "200GB"])["weights_bytes"]), 4.0 * 8030261248.0);
    let paged = of(&["--context", "8193", "--cache", "paged", "--page-size", "16"]);
    assert_eq!(number(&paged["kv_cache"]["waste"]), 15.0 * 131072.0);
    // Fused attention moves fewer bytes and does the same FLOPs.
    let fused = of(&["--attention", "fused"]);
    assert_eq!(fused["prefill"]["total"]["flops"], whole["prefill"]["total"]["flops"]);
    assert!(number(&fused["prefill"]["total"]["bytes"]) < 0.5 * number(&whole["prefill"]["total"]["bytes"]));
    // A ring keeps a window: Mistral's 4096 of 8192 tokens.
    let ring = json(&["--model", "mistral-7b", "--cache", "ring"]);
    assert_eq!(number(&ring["kv_cache"]["bytes_a_request"]), 4096.0 * 131072.0);
    // Two devices hold more than twice the requests of one.
    let batch = |value: &Value| number(&value["capacity"]["largest_batch"]);
    assert!(batch(&of(&["--devices", "2"])) > 2.0 * batch(&whole));
    assert!(of(&["--devices", "16"])["capacity"]["whole_heads"]["memory"]["copies"] == 2);
    // Learned positions end somewhere.
    let gpt2 = json(&["--model", "gpt2", "--context", "1000", "--device", "h100"]);
    assert_eq!(number(&gpt2["capacity"]["longest_context"]), 1024.0);
    // The longest context of one request is what a batch of one allows.
    let longest = of(&[])["capacity"]["longest_context"].as_u64().unwrap();
    let batch_at = |context: u64| batch(&of(&["--context", &context.to_string()]));
    assert_eq!((batch_at(longest), batch_at(longest + 1)), (1.0, 0.0));
}

#[rstest::rstest]
#[case(&["--model", "llama3-8b"], "like it are: llama-2-7b")]
#[case(&["--model", "no/such/config.json"], "no model is called \"no/such/config.json\", and there is no such file")]
#[case(&["--model", "llama-3-8b", "--device", "h101"], "there are: a100-40gb")]
#[case(&["--model", "llama-3-8b", "--context", "0"], "--context is 0; it must be at least 1")]
#[case(&["--model", "gpt2", "--context", "1025"], "--context is 1025; this model has 1024 learned positions")]
#[case(&["--model", "llama-3-8b", "--batch", "0"], "--batch is 0")]
#[case(&["--model", "llama-3-8b", "--devices", "0"], "--devices is 0")]
#[case(&["--model", "llama-3-8b", "--devices", "3", "--device", "h100"], "3 devices cannot share 32 query heads evenly")]
#[case(&["--model", "llama-3-70b", "--device", "a100-80gb"], "61.11 GB are missing")]
#[case(&["--model", "llama-3-8b", "--cache", "paged", "--page-size", "0"], "a page of 0 tokens holds nothing")]
#[case(&["--model", "llama-3-8b", "--context", "1000000000", "--batch", "100000"], "more than a trillion")]
#[case(&["--model", "llama-3-8b", "--device", "l4", "--weights", "f64", "--memory", "100GB"], "no published peak for f64")]
fn bad_questions_get_one_sentence(#[case] args: &[&str], #[case] expected: &str) {
    let output = goldref().arg("cost").args(args).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.contains(expected) && message.trim_end().lines().count() == 1, "{message}");
    assert!(output.stdout.is_empty());
}

/// Sizes that no product of them may overflow: a wrong number would be worse than a refusal.
#[test]
fn absurd_sizes_are_refused_or_counted_and_never_wrap() {
    let folder = tempfile::TempDir::new().unwrap();
    let config = folder.path().join("config.json");
    let text = r#"{"model_type":"llama","hidden_size":1,"intermediate_size":1,"num_hidden_layers":1000,"head_dim":2147483648,
        "num_attention_heads":1000,"num_key_value_heads":1000,"vocab_size":2}"#;
    fs::write(&config, text).unwrap();
    let output = goldref().args(["cost", "--model", config.to_str().unwrap()]).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && message.contains("sizes up to 1e13 are counted"), "{message}");
    let most = ["--model", "llama-3-8b", "--context", "1000000000000", "--memory", "1000000000TB"];
    let text = cost(&[&most[..], &["--format", "json"]].concat());
    // 2 N² d of the head, N = 10^12.
    assert!(text.contains("\"flops\": 256000000000000000000000000,"), "{text}");
    let output = goldref().args(["cost"]).args(most).args(["--devices", "18446744073709551615"]).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && message.contains("cannot share 32 query heads"), "{message}");
}

#[test]
fn units_are_not_guessed() {
    let output = goldref().args(["cost", "--model", "gpt2", "--memory", "80"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("80GB is 80·10⁹ bytes, 80GiB is 80·2³⁰"));
}

#[test]
fn every_preset_and_device_answers() {
    let list = cost(&["--list"]);
    for preset in Preset::all() {
        assert!(list.contains(&format!("  {} ", preset.name)), "{}", preset.name);
        let report = json(&["--model", &preset.name, "--devices", "1", "--context", "1000", "--memory", "200GB"]);
        assert_eq!(report["parameter_count"].as_u64().map(u128::from), Some(preset.parameters));
    }
    // This machine is measured: whatever comes out, it is a peak and a bandwidth.
    let cpu = json(&["--model", "gpt2", "--context", "1000", "--device", "cpu", "--weights", "f32"]);
    let roofline = &cpu["capacity"]["machine"]["roofline"];
    assert!(roofline["peak"].as_f64().unwrap() > 0.0 && roofline["bandwidth"].as_f64().unwrap() > 0.0, "{cpu}");
    assert!(list.contains("  cpu "));
    for device in DEVICES {
        assert!(Device::find(device.name).is_ok() && list.contains(device.name));
        assert!(cost(&["--model", "gpt2", "--context", "1000", "--device", device.name]).contains("at least"));
    }
}
