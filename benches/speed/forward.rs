//! A whole model of the shape of a Llama: 4 layers of 256, 8 heads over 4, an MLP of 704, 1024 words; an item is a token.

use crate::numbers::numbers;
use divan::Bencher;
use divan::counter::ItemsCount;
use goldref::eval::{CacheStorage, Evaluator, Numerics};
use goldref::io::Checkpoint;
use goldref::model::kv_cache::CacheKind;
use goldref::model::{Call, Model, Session, generate};
use goldref::num::{Dtype, Real};
use ndarray::{Array2, s};
use safetensors::tensor::TensorView;

const LAYERS: usize = 4;
const HIDDEN: usize = 256;
const KV_WIDTH: usize = 128;
const INNER: usize = 704;
const WORDS: usize = 1024;
/// Tokens of the prompt.
const PROMPT: usize = 256;
/// Tokens decoded one by one.
const STEPS: usize = 8;

const F64: Numerics = Numerics::plain(Dtype::F64);
const F32: Numerics = Numerics::plain(Dtype::F32);
const BF16: Numerics = Numerics::stored_in(Dtype::Bf16);

#[divan::bench]
fn prefill_f64(bencher: Bencher) {
    prefill::<f64>(bencher, F64);
}

#[divan::bench]
fn prefill_f32(bencher: Bencher) {
    prefill::<f32>(bencher, F32);
}

#[divan::bench]
fn prefill_bf16(bencher: Bencher) {
    prefill::<f32>(bencher, BF16);
}

#[divan::bench]
fn decode_f64(bencher: Bencher) {
    decode::<f64>(bencher, F64);
}

#[divan::bench]
fn decode_f32(bencher: Bencher) {
    decode::<f32>(bencher, F32);
}

#[divan::bench]
fn decode_bf16(bencher: Bencher) {
    decode::<f32>(bencher, BF16);
}

/// The prompt in one call, with an empty cache.
fn prefill<T: Real>(bencher: Bencher, numerics: Numerics) {
    let model = model::<T>(numerics.weights);
    bencher.counter(ItemsCount::new(PROMPT)).bench_local(|| prompted(&model, numerics));
}

/// Tokens one by one behind the prompt, each the most likely one. The first one is chosen from what the prompt gave.
fn decode<T: Real>(bencher: Bencher, numerics: Numerics) {
    let model = model::<T>(numerics.weights);
    bencher.counter(ItemsCount::new(STEPS)).with_inputs(|| prompted(&model, numerics)).bench_local_values(
        |(mut session, last)| {
            let mut eval = Evaluator::new(numerics);
            generate(&model, last, STEPS + 1, &mut session, &mut eval).expect("random logits are no NaN")
        },
    );
}

/// A session that has read the prompt, and its last logits.
fn prompted<T: Real>(model: &Model<T>, numerics: Numerics) -> (Session<T>, Array2<T>) {
    let ids = Array2::from_shape_fn((1, PROMPT), |(_, i)| (i * 37 % WORDS) as i64);
    let mut session = Session::new(&model.spec, 1, CacheKind::Contiguous, CacheStorage::AsComputed);
    let mut eval = Evaluator::new(numerics);
    let call = Call { input_ids: &ids, attention_mask: None, position_ids: None };
    let logits = model.forward(&call, &mut session, &mut eval).expect("ids are below the number of words");
    (session, logits.slice(s![.., PROMPT - 1, ..]).to_owned())
}

/// Written into a folder as any checkpoint, and read.
fn model<T: Real>(stored: Dtype) -> Model<T> {
    let folder = tempfile::tempdir().expect("a folder for the model");
    std::fs::write(folder.path().join("config.json"), config()).expect("config.json is written");
    let tensors: Vec<_> = weights().collect();
    let views = tensors.iter().map(|(name, shape, bytes)| {
        let view = TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes);
        (name, view.expect("as many bytes as the shape takes"))
    });
    safetensors::serialize_to_file(views, None, &folder.path().join("model.safetensors")).expect("weights are written");
    let checkpoint = Checkpoint::open(folder.path()).expect("the folder is a checkpoint");
    Model::load(&checkpoint, stored).expect("the weights are those of the config")
}

fn config() -> String {
    serde_json::json!({
        "model_type": "llama", "hidden_act": "silu", "hidden_size": HIDDEN, "intermediate_size": INNER,
        "max_position_embeddings": 2048, "num_attention_heads": 8, "num_hidden_layers": LAYERS,
        "num_key_value_heads": 4, "rms_norm_eps": 1e-5, "rope_theta": 10_000.0, "vocab_size": WORDS,
    })
    .to_string()
}

/// Name, shape and bytes of each tensor: about 0 with a spread of 1/√columns, norms 1.
fn weights() -> impl Iterator<Item = (String, Vec<usize>, Vec<u8>)> {
    let layer = [
        ("self_attn.q_proj", HIDDEN, HIDDEN),
        ("self_attn.k_proj", KV_WIDTH, HIDDEN),
        ("self_attn.v_proj", KV_WIDTH, HIDDEN),
        ("self_attn.o_proj", HIDDEN, HIDDEN),
        ("mlp.gate_proj", INNER, HIDDEN),
        ("mlp.up_proj", INNER, HIDDEN),
        ("mlp.down_proj", HIDDEN, INNER),
    ];
    let in_layers = move |i| layer.map(|(name, rows, columns)| (format!("model.layers.{i}.{name}"), rows, columns));
    let outside = [("model.embed_tokens", WORDS, HIDDEN), ("lm_head", WORDS, HIDDEN)];
    let matrices = (0..LAYERS).flat_map(in_layers);
    let matrices = matrices.chain(outside.map(|(name, rows, columns)| (name.to_string(), rows, columns)));
    let matrices = matrices.map(|(name, rows, columns)| {
        let scale = 1.0 / (columns as f32).sqrt();
        let bytes = numbers::<f32>(rows * columns).iter().flat_map(|x| (scale * x).to_le_bytes()).collect();
        (format!("{name}.weight"), vec![rows, columns], bytes)
    });
    let norms = (0..LAYERS).flat_map(|i| {
        ["input_layernorm", "post_attention_layernorm"].map(|name| format!("model.layers.{i}.{name}.weight"))
    });
    let norms = norms.chain(["model.norm.weight".to_string()]);
    matrices.chain(norms.map(|name| (name, vec![HIDDEN], 1f32.to_le_bytes().repeat(HIDDEN))))
}
