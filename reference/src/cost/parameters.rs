//! How many parameters a model has.

use crate::model::ModelSpec;
use crate::model::spec::{AttentionLayerSpec, QkNormOver};
use crate::ops::norm::NormSpec;
use serde::Serialize;

/// Parameters by place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Parameters {
    /// Token embedding and learned positions.
    pub embedding: u128,
    /// Projections of attention, with their biases.
    pub attention: u128,
    /// MLP, with its biases.
    pub mlp: u128,
    /// Norms everywhere.
    pub norms: u128,
    /// The head, where it is not the embedding.
    pub head: u128,
}

impl Parameters {
    /// All of them.
    pub fn total(&self) -> u128 {
        self.embedding + self.attention + self.mlp + self.norms + self.head
    }

    /// Those that a matrix product reads for each token: all but the embedding, a tied head too.
    pub fn read_a_token(&self, spec: &ModelSpec) -> u128 {
        let tied = if spec.head.tied { product(spec.vocab_size, spec.hidden_size) } else { 0 };
        self.attention + self.mlp + self.norms + self.head + tied
    }
}

/// Counts a model's parameters.
///
/// A projection has `in · out`, a bias `out`, a norm its width. A tied head is counted once, as the embedding.
pub fn parameters(spec: &ModelSpec) -> Parameters {
    let hidden = spec.hidden_size;
    let mut all = Parameters {
        embedding: product(spec.vocab_size, hidden)
            + spec.embedding.learned_positions.map_or(0, |rows| product(rows, hidden)),
        norms: norm(spec.embedding.norm.as_ref(), hidden) + norm(spec.final_norm.as_ref(), hidden),
        ..Parameters::default()
    };
    for layer in &spec.layers {
        let attention = &layer.attention;
        let (q_width, kv_width) = widths(attention);
        let (qkv_bias, o_bias) = (attention.qkv_bias, attention.o_bias);
        all.attention += linear(hidden, q_width, qkv_bias)
            + 2 * linear(hidden, kv_width, qkv_bias)
            + linear(q_width, hidden, o_bias);
        let (inner, bias) = (layer.mlp.intermediate_size, layer.mlp.bias);
        let up = if layer.mlp.gated { 2 } else { 1 };
        all.mlp += up * linear(hidden, inner, bias) + linear(inner, hidden, bias);
        let around = [layer.input_norm, layer.post_attention_norm, layer.mlp_norm, layer.post_mlp_norm];
        all.norms += around.iter().map(|spec| norm(spec.as_ref(), hidden)).sum::<u128>() + qk_norms(attention);
    }
    let head = linear(hidden, spec.vocab_size, spec.head.bias);
    all.head = if spec.head.tied { head - product(hidden, spec.vocab_size) } else { head };
    all
}

/// Widths of the queries and of the keys of all heads.
fn widths(spec: &AttentionLayerSpec) -> (usize, usize) {
    (spec.num_attention_heads * spec.head_dim, spec.num_key_value_heads * spec.head_dim)
}

fn qk_norms(spec: &AttentionLayerSpec) -> u128 {
    let Some(qk_norm) = &spec.qk_norm else { return 0 };
    let (q_width, kv_width) = match qk_norm.over {
        QkNormOver::Head => (spec.head_dim, spec.head_dim),
        QkNormOver::HeadWithOwnWeight | QkNormOver::AllHeads => widths(spec),
    };
    norm(Some(&qk_norm.norm), q_width) + norm(Some(&qk_norm.norm), kv_width)
}

fn norm(spec: Option<&NormSpec>, width: usize) -> u128 {
    spec.map_or(0, |spec| (u128::from(spec.weight) + u128::from(spec.bias)) * width as u128)
}

fn linear(input: usize, output: usize, bias: bool) -> u128 {
    product(input, output) + u128::from(bias) * output as u128
}

fn product(a: usize, b: usize) -> u128 {
    a as u128 * b as u128
}
