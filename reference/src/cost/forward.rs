//! The work of a forward pass as closed formulas, one line an operation.
//!
//! With `M = batch · q_len` tokens in the call, `N` keys, `H = hidden_size`, `I = intermediate_size`, `h` query heads, `g` key heads,
//! head width `d` and vocabulary `V`, in multiply-adds:
//! ```text
//! projections   M H (h d + 2 g d) + M h d H
//! scores        h d M N
//! context       h d M N
//! MLP           2 M H I, with a gate 3 M H I
//! head          M H V
//! ```
//! Scores are counted for all `q_len · N` pairs, as attention without a fused kernel computes them; see
//! [`Step::visible_pairs`] for those that a causal mask lets through.

use crate::eval::{Numbers, Operation, Work};
use crate::model::ModelSpec;
use crate::model::kv_cache::CacheKind;
use crate::model::spec::{AttentionLayerSpec, LayerSpec, Position, QkNormOver, Scale};
use crate::ops::norm::{NormKind, NormSpec, WeightForm};
use serde::Serialize;
use std::collections::BTreeMap;

/// One call of a model: `q_len` new tokens of each request behind `past_len` that are in the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Requests side by side.
    pub batch: usize,
    /// New tokens of each.
    pub q_len: usize,
    /// Tokens of each in the cache before.
    pub past_len: usize,
    /// Which old keys a layer is handed.
    pub cache: CacheKind,
    /// New tokens whose logits are wanted, counted from the last one: `q_len` for all of them, 1 in generation.
    pub logits: usize,
}

impl Step {
    /// Keys that attention of a layer goes over: `past_len + q_len`, of which a ring has forgotten those outside the window.
    pub fn keys(&self, sliding_window: Option<usize>) -> usize {
        let past = match (self.cache, sliding_window) {
            (CacheKind::Ring, Some(window)) => self.past_len.min(window),
            _ => self.past_len,
        };
        past + self.q_len
    }

    /// Pairs of a query and a key that the causal mask and the window let through: `Σᵢ min(past_len + i, window)`, i = 1 … q_len.
    pub fn visible_pairs(&self, sliding_window: Option<usize>) -> u128 {
        let (past, q) = (self.past_len as u128, self.q_len as u128);
        let window = sliding_window.map_or(u128::MAX, |window| window as u128);
        // The first queries see all keys before them, the others a whole window.
        let growing = q.min(window.saturating_sub(past));
        let rest = q - growing;
        growing * past + growing * (growing + 1) / 2 + if rest > 0 { rest * window } else { 0 }
    }
}

/// What one layer does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct LayerWork {
    /// All norms.
    pub norms: Work,
    /// Projections of queries, keys, values and output.
    pub projections: Work,
    /// Rotation of queries and keys.
    pub rope: Work,
    /// New keys and values go into the cache.
    pub cache: Work,
    /// `scale · q kᵀ`.
    pub scores: Work,
    /// Mask and softmax.
    pub softmax: Work,
    /// `probs v`.
    pub context: Work,
    /// Linear layers of the MLP.
    pub mlp: Work,
    /// Activation and gate.
    pub activation: Work,
    /// Sums on the residual stream.
    pub residual: Work,
}

impl LayerWork {
    /// Scores, softmax and context together.
    pub fn attention(&self) -> Work {
        self.scores + self.softmax + self.context
    }

    /// The whole layer.
    pub fn total(&self) -> Work {
        self.by_operation().into_iter().map(|(_, work)| work).sum()
    }

    fn by_operation(&self) -> [(Operation, Work); 9] {
        [
            (Operation::Norm, self.norms),
            (Operation::Linear, self.projections + self.mlp),
            (Operation::Rope, self.rope),
            (Operation::Cache, self.cache),
            (Operation::Scores, self.scores),
            (Operation::Softmax, self.softmax),
            (Operation::Context, self.context),
            (Operation::Activation, self.activation),
            (Operation::Residual, self.residual),
        ]
    }
}

/// What a whole call does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ForwardWork {
    /// Embedding and learned positions.
    pub embedding: Work,
    /// Norms outside the layers.
    pub norms: Work,
    /// One entry a layer.
    pub layers: Vec<LayerWork>,
    /// The head.
    pub head: Work,
    /// Factor and softcap of the logits.
    pub logits: Work,
}

impl ForwardWork {
    /// Everything together.
    pub fn total(&self) -> Work {
        let layers: Work = self.layers.iter().map(LayerWork::total).sum();
        self.embedding + self.norms + layers + self.head + self.logits
    }

    /// All layers together, part by part.
    pub fn all_layers(&self) -> LayerWork {
        self.layers.iter().fold(LayerWork::default(), |all, layer| LayerWork {
            norms: all.norms + layer.norms,
            projections: all.projections + layer.projections,
            rope: all.rope + layer.rope,
            cache: all.cache + layer.cache,
            scores: all.scores + layer.scores,
            softmax: all.softmax + layer.softmax,
            context: all.context + layer.context,
            mlp: all.mlp + layer.mlp,
            activation: all.activation + layer.activation,
            residual: all.residual + layer.residual,
        })
    }

    /// By operation, without those that do nothing: what a [`Counter`](crate::eval::Counter) of the same call says.
    pub fn by_operation(&self) -> BTreeMap<Operation, Work> {
        let mut all: BTreeMap<Operation, Work> = BTreeMap::new();
        let outside = [
            (Operation::Embedding, self.embedding),
            (Operation::Norm, self.norms),
            (Operation::Linear, self.head),
            (Operation::Logits, self.logits),
        ];
        for (operation, work) in outside.into_iter().chain(self.layers.iter().flat_map(LayerWork::by_operation)) {
            if work != Work::default() {
                *all.entry(operation).or_default() += work;
            }
        }
        all
    }
}

/// The work of one call of a model.
pub fn forward(spec: &ModelSpec, step: &Step) -> ForwardWork {
    let tokens = count(step.batch) * count(step.q_len);
    let (hidden, vocab) = (count(spec.hidden_size), count(spec.vocab_size));
    let x = tokens * hidden;

    let embedding = Work {
        other_flops: if spec.embedding.scale.is_some() { x } else { 0 },
        read: Numbers { weights: x, ..Numbers::default() },
        written: activations(x),
        ..Work::default()
    };
    let positions = match spec.embedding.learned_positions {
        None => Work::default(),
        // Their rows, and the sum.
        Some(_) => Work {
            other_flops: x,
            read: Numbers { weights: x, activations: 2 * x, ..Numbers::default() },
            written: activations(2 * x),
            ..Work::default()
        },
    };
    let embed_norm = spec.embedding.norm.map_or(Work::default(), |norm| norm_work(&norm, tokens, hidden, 1));
    let final_norm = spec.final_norm.map_or(Work::default(), |norm| norm_work(&norm, tokens, hidden, 1));

    let last = count(step.batch) * count(step.logits);
    let factor = if spec.head.scale == Scale::None { 0 } else { 1 };
    let softcap = if spec.head.softcap.is_some() { 1 } else { 0 };
    ForwardWork {
        embedding: embedding + positions,
        norms: embed_norm + final_norm,
        layers: spec.layers.iter().map(|layer| layer_work(layer, hidden, step)).collect(),
        head: linear_work(last, hidden, vocab, spec.head.bias),
        logits: elementwise(factor * last * vocab, 1, 1) + elementwise(softcap * last * vocab, 3, 1),
    }
}

fn layer_work(spec: &LayerSpec, hidden: u128, step: &Step) -> LayerWork {
    let tokens = count(step.batch) * count(step.q_len);
    let x = tokens * hidden;
    let attention = &spec.attention;
    let (heads, kv_heads, dim) =
        (count(attention.num_attention_heads), count(attention.num_key_value_heads), count(attention.head_dim));
    let (q_width, kv_width) = (heads * dim, kv_heads * dim);

    let around = [spec.input_norm, spec.post_attention_norm, spec.mlp_norm, spec.post_mlp_norm];
    let norms: Work = around.iter().flatten().map(|norm| norm_work(norm, tokens, hidden, 1)).sum();

    let (qkv_bias, o_bias) = (attention.qkv_bias, attention.o_bias);
    let projections = linear_work(tokens, hidden, q_width, qkv_bias)
        + linear_work(tokens, hidden, kv_width, qkv_bias)
        + linear_work(tokens, hidden, kv_width, qkv_bias)
        + linear_work(tokens, q_width, hidden, o_bias);

    let inner = count(spec.mlp.intermediate_size);
    let up_and_gate = if spec.mlp.gated { 2 } else { 1 };
    let up: Work = (0..up_and_gate).map(|_| linear_work(tokens, hidden, inner, spec.mlp.bias)).sum();
    let gate = if spec.mlp.gated { 1 } else { 0 };

    let scaled = if spec.residual_scale.is_some() { 2 } else { 0 };
    let [scores, softmax, context] = attention_work(attention, step);
    let new = tokens * kv_width;
    LayerWork {
        norms: norms + qk_norm_work(attention, tokens),
        projections,
        rope: rope_work(attention, tokens, heads) + rope_work(attention, tokens, kv_heads),
        cache: Work {
            read: activations(2 * new),
            written: Numbers { cache: 2 * new, ..Numbers::default() },
            ..Work::default()
        },
        scores,
        softmax,
        context,
        mlp: up + linear_work(tokens, inner, hidden, spec.mlp.bias),
        activation: elementwise(tokens * inner, 1, 1) + elementwise(gate * tokens * inner, 1, 2),
        residual: elementwise(2 * x, 1, 2) + elementwise(scaled * x, 1, 1),
    }
}

/// `scale · q kᵀ`, softmax, `probs v` of one layer.
fn attention_work(spec: &AttentionLayerSpec, step: &Step) -> [Work; 3] {
    let (batch, q_len, keys) = (count(step.batch), count(step.q_len), count(step.keys(spec.sliding_window)));
    let (heads, kv_heads, dim) =
        (count(spec.num_attention_heads), count(spec.num_key_value_heads), count(spec.head_dim));
    let queries = batch * heads * q_len;
    let (scores, cached) = (queries * keys, batch * kv_heads * keys * dim);
    // The scale; a quotient, a tanh and a product of a softcap. Then s - m, exp, sum, quotient; ALiBi's summand.
    let before = if spec.softcap.is_some() { 4 } else { 1 };
    let after = if spec.position == Position::Alibi { 5 } else { 4 };
    let of_scores = Numbers { scores, ..Numbers::default() };
    [
        Work {
            multiply_adds: scores * dim,
            other_flops: before * scores,
            read: Numbers { activations: queries * dim, cache: cached, ..Numbers::default() },
            written: of_scores,
        },
        Work { other_flops: after * scores, read: of_scores, written: of_scores, ..Work::default() },
        Work {
            multiply_adds: scores * dim,
            read: Numbers { scores, cache: cached, ..Numbers::default() },
            written: activations(queries * dim),
            ..Work::default()
        },
    ]
}

fn qk_norm_work(spec: &AttentionLayerSpec, tokens: u128) -> Work {
    let Some(qk_norm) = &spec.qk_norm else { return Work::default() };
    let dim = count(spec.head_dim);
    let of = |heads: u128| match qk_norm.over {
        QkNormOver::Head => norm_work(&qk_norm.norm, tokens * heads, dim, 1),
        QkNormOver::HeadWithOwnWeight => norm_work(&qk_norm.norm, tokens * heads, dim, heads),
        QkNormOver::AllHeads => norm_work(&qk_norm.norm, tokens, heads * dim, 1),
    };
    of(count(spec.num_attention_heads)) + of(count(spec.num_key_value_heads))
}

/// Norm of `rows` of `width` numbers, with `sets` vectors of weights.
fn norm_work(spec: &NormSpec, rows: u128, width: u128, sets: u128) -> Work {
    // Σx², its mean, + eps, 1/√, x · r; before that, for a LayerNorm, twice Σx, its mean, x - mean.
    let statistics = match spec.kind {
        NormKind::Rms => 3 * width + 3,
        NormKind::Layer => 7 * width + 5,
    };
    let weight = match (spec.weight, spec.weight_form) {
        (false, _) => 0,
        (true, WeightForm::W) => width,
        (true, WeightForm::OnePlusW) => 2 * width,
    };
    let bias = if spec.bias { width } else { 0 };
    let vectors = u128::from(spec.weight) + u128::from(spec.bias);
    Work {
        other_flops: rows * (statistics + weight + bias),
        read: Numbers { activations: rows * width, weights: sets * vectors * width, ..Numbers::default() },
        written: activations(rows * width),
        ..Work::default()
    }
}

/// Four products and two sums for each of the pairs of each head; each token's cosines and sines are read once.
fn rope_work(spec: &AttentionLayerSpec, tokens: u128, heads: u128) -> Work {
    let Position::Rope(rope) = &spec.position else { return Work::default() };
    let pairs = count(rope.rotary_dim) / 2;
    let rotated = tokens * heads * count(spec.head_dim);
    Work {
        other_flops: 6 * pairs * tokens * heads,
        read: activations(rotated + 2 * pairs * tokens),
        written: activations(rotated),
        ..Work::default()
    }
}

/// `x Wᵀ + b`.
fn linear_work(rows: u128, input: u128, output: u128, bias: bool) -> Work {
    let bias = u128::from(bias);
    Work {
        multiply_adds: rows * input * output,
        other_flops: bias * rows * output,
        read: Numbers { weights: input * output + bias * output, activations: rows * input, ..Numbers::default() },
        written: activations(rows * output),
    }
}

/// `flops` operations for each of `len` results of `inputs` numbers each.
fn elementwise(len: u128, flops: u128, inputs: u128) -> Work {
    Work { other_flops: flops * len, read: activations(inputs * len), written: activations(len), ..Work::default() }
}

fn activations(numbers: u128) -> Numbers {
    Numbers { activations: numbers, ..Numbers::default() }
}

fn count(size: usize) -> u128 {
    size as u128
}
