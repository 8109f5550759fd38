//! Projections, embedding and head.

use crate::model::{LayerWeights, Model};
use crate::num::{Dtype, round_f64};
use crate::ops::linear::Linear;
use ndarray::{Array1, Array2, Axis, concatenate};

/// Inputs to outputs and the biases, as arrays to cut.
struct Columns {
    weight: Array2<f64>,
    bias: Option<Array1<f64>>,
}

impl Columns {
    fn of(linear: &Linear<f64>) -> Self {
        Self { weight: linear.weight.to_array(), bias: linear.bias.clone() }
    }

    /// These columns in this order.
    fn chosen(&self, columns: &[usize]) -> Linear<f64> {
        let weight = self.weight.select(Axis(1), columns).as_standard_layout().into_owned();
        Linear { weight: weight.into(), bias: self.bias.as_ref().map(|bias| bias.select(Axis(0), columns)) }
    }
}

/// Every head with the projection of head 0.
pub(crate) fn same_projection(model: &mut Model<f64>) -> bool {
    for (layer, spec) in model.weights.layers.iter_mut().zip(&model.spec.layers) {
        let dim = spec.attention.head_dim;
        for linear in [&mut layer.q_proj, &mut layer.k_proj, &mut layer.v_proj] {
            let columns: Vec<usize> = (0..linear.weight.ncols()).map(|column| column % dim).collect();
            *linear = Columns::of(linear).chosen(&columns);
        }
    }
    true
}

/// A packed q, k, v weight cut in another way: blocks of q, k and v for head by head, and the reverse; k, v, q for q, k, v where the parts differ
/// in width.
pub(crate) fn qkv_order(model: &mut Model<f64>) -> bool {
    let by_head = match model.spec.model_type.as_str() {
        "gpt_neox" | "bloom" => true,
        "gpt2" | "phi3" => false,
        _ => return false,
    };
    for (layer, spec) in model.weights.layers.iter_mut().zip(&model.spec.layers) {
        let (heads, dim) = (spec.attention.num_attention_heads, spec.attention.head_dim);
        let parts = [&layer.q_proj, &layer.k_proj, &layer.v_proj];
        let (q, k) = (parts[0].weight.ncols(), parts[1].weight.ncols());
        let Some(packed) = packed(parts) else { return false };
        // Columns of `packed`, which has all of q, then k, then v, as they stand in the file and as they are read there.
        let width = q + 2 * k;
        let in_file = |at: usize| {
            // Head by head, each with its part of q, of k and of v.
            let (h, part, i) = (at / (3 * dim), at / dim % 3, at % dim);
            if by_head { part * heads * dim + h * dim + i } else { at }
        };
        let read = |part: usize, column: usize| match model.spec.model_type.as_str() {
            "gpt2" => 3 * dim * (column / dim) + part * dim + column % dim,
            "phi3" => [2 * k, 0, k][part] + column,
            _ => part * heads * dim + column,
        };
        let widths = if model.spec.model_type == "phi3" { [width - 2 * k, k, k] } else { [heads * dim; 3] };
        let chosen = |part: usize| {
            let columns: Vec<usize> = (0..widths[part]).map(|column| in_file(read(part, column))).collect();
            packed.chosen(&columns)
        };
        (layer.q_proj, layer.k_proj, layer.v_proj) = (chosen(0), chosen(1), chosen(2));
    }
    true
}

fn packed(parts: [&Linear<f64>; 3]) -> Option<Columns> {
    let parts = parts.map(Columns::of);
    let weights = [parts[0].weight.view(), parts[1].weight.view(), parts[2].weight.view()];
    let bias = match &parts {
        [Columns { bias: Some(q), .. }, Columns { bias: Some(k), .. }, Columns { bias: Some(v), .. }] => {
            Some(q.iter().chain(k).chain(v).copied().collect())
        }
        _ => None,
    };
    Some(Columns { weight: concatenate(Axis(1), &weights).ok()?, bias })
}

/// No biases of q, k and v.
pub(crate) fn qkv_bias_dropped(model: &mut Model<f64>) -> bool {
    let mut any = false;
    for layer in &mut model.weights.layers {
        for linear in [&mut layer.q_proj, &mut layer.k_proj, &mut layer.v_proj] {
            any |= linear.bias.take().is_some();
        }
    }
    any
}

/// x W where x Wᵀ is meant, wherever a weight is square in its file.
pub(crate) fn weight_transposed(model: &mut Model<f64>) -> bool {
    let mut any = false;
    let packed = ["gpt2", "gpt_neox", "bloom", "phi3"].contains(&model.spec.model_type.as_str());
    for layer in &mut model.weights.layers {
        let LayerWeights { q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj, .. } = layer;
        let of_queries = if packed { Vec::new() } else { vec![q_proj, k_proj, v_proj] };
        for linear in of_queries.into_iter().chain([o_proj, up_proj, down_proj]).chain(gate_proj) {
            let (rows, columns) = linear.weight.dim();
            if rows == columns {
                linear.weight = linear.weight.clone().transposed();
                any = true;
            }
        }
    }
    any
}

/// Logits from the embedding where the head has its own; from a head that was never loaded where it is tied.
pub(crate) fn other_head(model: &mut Model<f64>) -> bool {
    let head = &mut model.weights.lm_head;
    head.weight = if model.spec.head.tied {
        Array2::zeros(head.weight.dim()).into()
    } else {
        model.weights.embed_tokens.clone().transposed()
    };
    true
}

/// Embeddings not scaled.
pub(crate) fn embedding_scale_missing(model: &mut Model<f64>) -> bool {
    model.spec.embedding.scale.take().is_some_and(|scale| scale != 1.0)
}

/// The scale of embeddings in bf16.
pub(crate) fn embedding_scale_in_bf16(model: &mut Model<f64>) -> bool {
    let Some(scale) = &mut model.spec.embedding.scale else { return false };
    *scale = round_f64(*scale, Dtype::Bf16);
    true
}

/// silu(up) · gate.
pub(crate) fn gate_and_up_swapped(model: &mut Model<f64>) -> bool {
    let mut any = false;
    for layer in &mut model.weights.layers {
        if let Some(gate) = &mut layer.gate_proj {
            std::mem::swap(gate, &mut layer.up_proj);
            any = true;
        }
    }
    any
}

/// Heads not projected: possible where their width is the stream's.
pub(crate) fn no_output_projection(model: &mut Model<f64>) -> bool {
    let hidden = model.spec.hidden_size;
    for layer in &mut model.weights.layers {
        if layer.o_proj.weight.dim() != (hidden, hidden) {
            return false;
        }
        layer.o_proj = Linear { weight: Array2::eye(hidden).into(), bias: None };
    }
    true
}
