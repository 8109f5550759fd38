//! A starter: an assignment that a teacher can hand out as it stands and change line by line.
//!
//! ```text
//! assignment.toml            what staff grade with
//! hidden/                    cases that students do not have
//! handout/                   what students get: README.md, an assignment of the visible parts, public/ cases, submission/ to fill in
//! ```
//! The cases are random, other ones for each seed, with the answers of the reference in f64. The task is that of the example in `examples/course`.

use crate::error::{Error, Result};
use crate::eval::Numerics;
use crate::fault::OperationQuestion;
use crate::io::{self, Array, Checkpoint, safetensors};
use crate::model::kv_cache::CacheKind;
use crate::model::{Model, Unwatched};
use crate::num::{Dtype, RandomStream};
use crate::suite::{NewCase, planned, write_suite};
use crate::variant::Schedule;
use ndarray::ArrayD;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// The part of the example's assignment that the starter has too: candidate, limits, paper.
const COURSE: &str = include_str!("../../examples/course/assignment.toml");
const TASK: &str = include_str!("../../examples/course/student/README.md");
const TEMPLATE: &str = include_str!("../../examples/course/student/candidate.py");
const ANSWERS: &str = include_str!("../../examples/course/student/answers.toml");
const SHIM: &str = include_str!("../../tools/goldref_candidate.py");

/// What a starter is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Starter {
    /// The same seed gives the same cases.
    pub seed: u64,
}

/// Writes the starter as the new folder `folder`.
///
/// # Errors
/// A folder that is there already; files that cannot be written.
pub fn write_starter(folder: &Path, starter: Starter) -> Result<()> {
    if folder.exists() {
        return Err(Error::write(folder, "it is there already; name another folder"));
    }
    let made = |path: &Path| std::fs::create_dir_all(path).map_err(|e| Error::write(path, e));
    let (public, hidden, submission) =
        (folder.join("handout/public"), folder.join("hidden"), folder.join("handout/submission"));
    for path in [&public, &hidden, &submission] {
        made(path)?;
    }
    let checkpoint = tempfile::tempdir().map_err(|e| Error::ask(format!("no temporary folder can be made: {e}")))?;
    let mut random = Random { seed: starter.seed, streams: 0 };
    write_checkpoint(checkpoint.path(), &mut random)?;
    let model = Model::<f64>::load(&Checkpoint::open(checkpoint.path())?, Dtype::F64)?;
    for (place, hidden) in [(&public, false), (&hidden, true)] {
        let about = if hidden { "Cases that students do not have." } else { "Cases that students have." };
        write_suite(&place.join("attention"), about, attention_cases(hidden, &mut random)?, None)?;
        for (name, cached) in [("transformer", false), ("cache", true)] {
            let cases = model_cases(hidden, cached, &model, &mut random)?;
            write_suite(&place.join(name), about, cases, Some(checkpoint.path()))?;
        }
    }
    let write = |name: &str, text: &str| io::write_text(folder.join(name), text);
    write("assignment.toml", &staff()?)?;
    write("README.md", &for_staff(starter.seed))?;
    write("handout/assignment.toml", &handout()?)?;
    write("handout/README.md", TASK)?;
    write("handout/submission/candidate.py", TEMPLATE)?;
    write("handout/submission/answers.toml", ANSWERS)?;
    write("handout/submission/goldref_candidate.py", SHIM)
}

/// Streams of random numbers, one after the other.
struct Random {
    seed: u64,
    streams: u64,
}

impl Random {
    fn stream(&mut self) -> RandomStream {
        self.streams += 1;
        RandomStream::new(self.seed, self.streams)
    }

    /// Uniform from `-size` to `size`, in steps of 1/8: products of such numbers are exact in f32, so that large scores are too.
    fn array(&mut self, shape: &[usize], size: f64) -> Array {
        let stream = self.stream();
        let next = |index| ((8.0 * size * (2.0 * stream.uniform(index) - 1.0)).round() / 8.0) as f32;
        Array::F32(drawn(shape, &next))
    }

    fn weight(&mut self, shape: &[usize], size: f64, about: f64) -> ArrayD<f32> {
        let stream = self.stream();
        drawn(shape, &|index| (about + size * (2.0 * stream.uniform(index) - 1.0)) as f32)
    }

    fn ids(&mut self, shape: &[usize]) -> Array {
        let stream = self.stream();
        Array::I64(drawn(shape, &|index| stream.below(index, VOCAB) as i64))
    }
}

/// An array of what `next` gives for 1, 2 and so on.
fn drawn<T>(shape: &[usize], next: &dyn Fn(u64) -> T) -> ArrayD<T> {
    let mut index = 0;
    ArrayD::from_shape_simple_fn(shape, || {
        index += 1;
        next(index)
    })
}

/// Whole numbers by row and column.
fn table(rows: usize, columns: usize, value: &dyn Fn(usize, usize) -> i64) -> Array {
    let (columns_of, mut at) = (columns.max(1), 0);
    Array::I64(ArrayD::from_shape_simple_fn(vec![rows, columns], || {
        at += 1;
        value((at - 1) / columns_of, (at - 1) % columns_of)
    }))
}

const VOCAB: usize = 61;
const HIDDEN: usize = 32;
const HEADS: usize = 4;
const KV_HEADS: usize = 2;
const HEAD_DIM: usize = 8;
const INNER: usize = 48;
const LAYERS: usize = 2;

fn write_checkpoint(folder: &Path, random: &mut Random) -> Result<()> {
    let config = json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "hidden_size": HIDDEN,
        "intermediate_size": INNER, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS, "head_dim": HEAD_DIM, "vocab_size": VOCAB, "max_position_embeddings": 4096,
        "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "attention_bias": false, "mlp_bias": false,
        "tie_word_embeddings": false, "dtype": "float32"
    });
    // Deviations of 1.5 over the root of the inputs: attention is neither even nor one-hot.
    let mut matrix =
        |[outputs, inputs]: [usize; 2]| random.weight(&[outputs, inputs], 1.5 * (3.0 / inputs as f64).sqrt(), 0.0);
    let mut tensors = BTreeMap::new();
    for name in ["model.embed_tokens.weight", "lm_head.weight"] {
        tensors.insert(name.to_string(), matrix([VOCAB, HIDDEN]));
    }
    for layer in 0..LAYERS {
        for (name, shape) in [
            ("self_attn.q_proj", [HEADS * HEAD_DIM, HIDDEN]),
            ("self_attn.k_proj", [KV_HEADS * HEAD_DIM, HIDDEN]),
            ("self_attn.v_proj", [KV_HEADS * HEAD_DIM, HIDDEN]),
            ("self_attn.o_proj", [HIDDEN, HEADS * HEAD_DIM]),
            ("mlp.gate_proj", [INNER, HIDDEN]),
            ("mlp.up_proj", [INNER, HIDDEN]),
            ("mlp.down_proj", [HIDDEN, INNER]),
        ] {
            tensors.insert(format!("model.layers.{layer}.{name}.weight"), matrix(shape));
        }
    }
    for layer in 0..LAYERS {
        for name in ["input_layernorm", "post_attention_layernorm"] {
            tensors.insert(format!("model.layers.{layer}.{name}.weight"), random.weight(&[HIDDEN], 0.5, 1.0));
        }
    }
    tensors.insert("model.norm.weight".to_string(), random.weight(&[HIDDEN], 0.5, 1.0));
    safetensors::write(folder.join("model.safetensors"), &tensors)?;
    io::write_text(folder.join("config.json"), &format!("{config:#}\n"))
}

/// Sizes of an attention question.
struct Shape {
    batch: usize,
    heads: usize,
    kv_heads: usize,
    q_len: usize,
    kv_len: usize,
    past_len: usize,
    dim: usize,
}

const fn shape(
    batch: usize,
    [heads, kv_heads]: [usize; 2],
    [q_len, kv_len, past_len]: [usize; 3],
    dim: usize,
) -> Shape {
    Shape { batch, heads, kv_heads, q_len, kv_len, past_len, dim }
}

fn attention_cases(hidden: bool, random: &mut Random) -> Result<Vec<NewCase>> {
    let causal = || json!({"causal": "bottom_right"});
    let cases = if hidden {
        vec![
            ("batch_of_three", json!({}), shape(3, [2, 2], [5, 5, 0], 8), 1.0),
            ("grouped_heads_causal", causal(), shape(2, [6, 2], [7, 7, 0], 8), 1.0),
            ("one_key_head", causal(), shape(1, [4, 1], [6, 6, 0], 16), 1.0),
            ("more_keys_than_queries", causal(), shape(1, [2, 2], [3, 9, 0], 8), 1.0),
            ("chunk_after_a_cache", json!({"causal": "past"}), shape(2, [4, 2], [3, 3, 8], 8), 1.0),
            ("one_token_after_a_cache", json!({"causal": "past"}), shape(1, [4, 2], [1, 1, 12], 8), 1.0),
            ("scale_given", json!({"scale": 0.5}), shape(1, [2, 2], [6, 6, 0], 8), 1.0),
            ("scores_above_88", causal(), shape(1, [2, 2], [6, 6, 0], 16), 6.0),
            ("padding_left", causal(), shape(2, [2, 1], [7, 7, 0], 8), 1.0),
            ("one_head_of_width_one", json!({}), shape(1, [1, 1], [4, 4, 0], 1), 2.0),
        ]
    } else {
        vec![
            ("plain", json!({}), shape(1, [2, 2], [5, 5, 0], 8), 1.0),
            ("causal", causal(), shape(1, [2, 2], [6, 6, 0], 8), 1.0),
            ("grouped_heads", json!({}), shape(1, [4, 2], [5, 5, 0], 8), 1.0),
            ("token_after_a_cache", json!({"causal": "past"}), shape(1, [2, 2], [1, 1, 6], 8), 1.0),
            ("padding_right", json!({}), shape(2, [2, 2], [6, 6, 0], 8), 1.0),
        ]
    };
    cases.into_iter().map(|(id, params, shape, size)| attention_case(id, params, &shape, size, random)).collect()
}

fn attention_case(id: &str, params: Value, shape: &Shape, size: f64, random: &mut Random) -> Result<NewCase> {
    let &Shape { batch, heads, kv_heads, q_len, kv_len, past_len, dim } = shape;
    let mut inputs = BTreeMap::new();
    for (name, heads, len, size) in
        [("q", heads, q_len, 2.0 * size), ("k", kv_heads, kv_len, 2.0 * size), ("v", kv_heads, kv_len, 2.0)]
    {
        inputs.insert(name.to_string(), random.array(&[batch, heads, len, dim], size));
    }
    if past_len > 0 {
        for (name, size) in [("past_key", 2.0 * size), ("past_value", 2.0)] {
            inputs.insert(name.to_string(), random.array(&[batch, kv_heads, past_len, dim], size));
        }
    }
    let all = past_len + kv_len;
    if id.starts_with("padding") {
        // The first row is padded by two; the others are whole.
        let real = |at: usize| if id == "padding_left" { at >= 2 } else { at + 2 < all };
        let mask = table(batch, all, &|row, at| i64::from(row > 0 || real(at)));
        inputs.insert("attention_mask".to_string(), mask);
    }
    let question = OperationQuestion { op: "attention".to_string(), params, inputs };
    let mut expected = question.ask()?;
    expected.retain(|name, _| name == "out");
    let OperationQuestion { op, params, inputs } = question;
    Ok(NewCase { id: id.to_string(), op, params, inputs, expected, compare_where: None })
}

/// A question to the model: its name, the lengths of its calls, its inputs.
type ModelCase = (&'static str, Option<Value>, BTreeMap<String, Array>);

fn model_cases(hidden: bool, cached: bool, model: &Model<f64>, random: &mut Random) -> Result<Vec<NewCase>> {
    let one = |name: &str, array: Array| {
        let mut inputs = BTreeMap::new();
        inputs.insert(name.to_string(), array);
        inputs
    };
    let left_padded = |random: &mut Random| {
        let mut inputs = one("input_ids", random.ids(&[2, 9]));
        inputs.insert("attention_mask".to_string(), table(2, 9, &|row, at| i64::from(row > 0 || at >= 3)));
        inputs
    };
    let cases: Vec<ModelCase> = match (cached, hidden) {
        (false, false) => vec![("short_text", None, one("input_ids", random.ids(&[1, 7])))],
        (false, true) => vec![
            ("batch_of_two", None, one("input_ids", random.ids(&[2, 9]))),
            ("one_token", None, one("input_ids", random.ids(&[1, 1]))),
            ("left_padded", None, left_padded(random)),
            ("longer_text", None, one("input_ids", random.ids(&[1, 24]))),
        ],
        (true, false) => vec![
            ("prompt_then_tokens", Some(json!([6, 1, 1, 1])), one("input_ids", random.ids(&[1, 9]))),
            ("one_token", Some(json!([1])), one("input_ids", random.ids(&[1, 1]))),
        ],
        (true, true) => {
            let mut two = one("input_ids.0", random.ids(&[1, 8]));
            two.insert("input_ids.1".to_string(), random.ids(&[1, 5]));
            let mut far = one("input_ids", random.ids(&[1, 8]));
            far.insert("position_ids".to_string(), table(1, 8, &|_, at| 700 + at as i64));
            vec![
                ("token_by_token", Some(json!([1, 1, 1, 1, 1, 1, 1])), one("input_ids", random.ids(&[2, 7]))),
                ("chunks", Some(json!([4, 3, 2])), one("input_ids", random.ids(&[1, 9]))),
                ("two_requests", Some(json!([[6, 1, 1], [3, 1, 1]])), two),
                ("left_padded_tokens", Some(json!([7, 1, 1])), left_padded(random)),
                ("far_positions", Some(json!([5, 1, 1, 1])), far),
                ("long_prompt", Some(json!([30, 1, 1])), one("input_ids", random.ids(&[1, 32]))),
            ]
        }
    };
    cases.into_iter().map(|case| model_case(case, model)).collect()
}

fn model_case((id, steps, inputs): ModelCase, model: &Model<f64>) -> Result<NewCase> {
    let mut params = json!({"model": "model"});
    if let Some(steps) = steps {
        params["steps"] = steps;
    }
    let (_, plan) = planned(&params, &inputs, Schedule::AsAsked)?;
    let logits = plan.run(model, Numerics::plain(Dtype::F64), CacheKind::Contiguous, &mut Unwatched)?;
    let mut expected = BTreeMap::new();
    for (suffix, x) in logits {
        expected.insert(format!("logits{suffix}"), x.into_dyn());
    }
    let compare_where = inputs.contains_key("attention_mask").then(|| "attention_mask".to_string());
    Ok(NewCase { id: id.to_string(), op: "model".to_string(), params, inputs, expected, compare_where })
}

/// Candidate, limits and paper as in the example.
fn beginning() -> Result<String> {
    let end =
        COURSE.find("[[part]]\nid = \"a\"").ok_or_else(|| Error::ask("the example's assignment has no part a"))?;
    let lines = COURSE[..end].lines().filter(|line| {
        // Students have the shim beside their program.
        !["read = ", "build = ", "environment = ", "# goldref_candidate.py"].iter().any(|begin| line.starts_with(begin))
    });
    Ok(lines.map(|line| format!("{line}\n")).collect())
}

/// The parts that are code, with the folders of their suites.
fn parts(sets: &dyn Fn(&str) -> String, model: &str) -> String {
    let part = |id: &str, title: &str, points: u32, requires: &str, ladder: &str, suite: &str| {
        let requires = if requires.is_empty() { String::new() } else { format!("requires = [\"{requires}\"]\n") };
        let sets = sets(suite);
        format!(
            "[[part]]\nid = \"{id}\"\ntitle = \"{title}\"\npoints = {points}\n{requires}ladder = {ladder}\n{sets}\n"
        )
    };
    let logits = r#"{ "1e-4" = 1, "1e-3" = "1/2" }"#;
    [
        part("a", "self-attention", 20, "", r#"{ "1e-5" = 1, "1e-4" = "3/4", "1e-3" = "1/2" }"#, "attention"),
        part("b", "transformer", 20, "", logits, "transformer"),
        part("c", "KV cache", 30, "b", logits, "cache"),
        format!(
            "[[part]]\nid = \"d\"\ntitle = \"speed-up\"\npoints = 10\nrequires = [\"c\"]\n\n[part.speedup]\nmodel = \"{model}\"\n\
             prompts = [10, 100, 1000]\ngenerate = 20\nat = 1000\nladder = {{ \"2\" = 1 }}\n"
        ),
    ]
    .concat()
}

fn staff() -> Result<String> {
    let sets = |suite: &str| format!("visible = [\"handout/public/{suite}\"]\nhidden = [\"hidden/{suite}\"]\n");
    Ok(beginning()? + &parts(&sets, "handout/public/cache/model"))
}

/// Without the paper part: its right answers are not for students.
fn handout() -> Result<String> {
    let beginning = beginning()?;
    let end = beginning.find("[[part]]").unwrap_or(beginning.len());
    let sets = |suite: &str| format!("visible = [\"public/{suite}\"]\n");
    Ok(format!("{}{}", &beginning[..end], parts(&sets, "public/cache/model")))
}

fn for_staff(seed: u64) -> String {
    format!(
        "# A course problem, ready to hand out\n\n\
         Written by `goldref grade new --seed {seed}`; another seed gives other cases.\n\n\
         * Hand out `handout/`, and nothing else. Its README is the task; `submission/` is what students fill in.\n\
         * Keep `hidden/` and this `assignment.toml` to yourself. Points, tolerances and limits are lines of it.\n\
         * Which bugs the cases show: `goldref fixtures power --fixtures hidden`.\n\n\
         ```sh\n\
         goldref grade assignment.toml --submission handout/submission      # the empty template: 0 points\n\
         goldref grade assignment.toml --submissions class --output results --jobs 4\n\
         ```\n"
    )
}
