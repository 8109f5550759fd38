//! Formats that a part is kept in.

use super::row;
use crate::fault::{Edit, Fault, Group, edits};

/// The rows.
pub(super) const ROWS: &[Fault] = &[
    row(Group::Precision, "products-in-tf32", Edit::Numerics(edits::products_in_tf32))
        .looking_at("operands of products are rounded to tf32: the default of some GPUs for f32", "q kᵀ and W x in f32")
        .known("a tolerance of 1e-2", "pytorch/pytorch#67384")
        .precision(),
    row(Group::Precision, "activations-in-bf16", Edit::Numerics(edits::activations_in_bf16))
        .looking_at("activations are stored in bf16", "x in f32")
        .known("a bf16 program does so by right", "")
        .precision(),
    row(Group::Precision, "activations-in-f16", Edit::Numerics(edits::activations_in_f16))
        .looking_at("activations are stored in f16", "x in f32")
        .known("an f16 program does so by right", "")
        .precision(),
    row(Group::Precision, "norms-in-bf16", Edit::Numerics(edits::norms_in_bf16))
        .looking_at("norms are computed in bf16", "statistics and x̂ in f32")
        .known("a tolerance of 1e-1", "")
        .precision(),
    row(Group::Precision, "norms-in-f16", Edit::Numerics(edits::norms_in_f16))
        .looking_at("norms are computed in f16", "statistics and x̂ in f32")
        .known("a tolerance of 1e-2", "")
        .precision(),
    row(Group::Precision, "scores-in-f16", Edit::Numerics(edits::scores_in_f16))
        .looking_at("scores are stored in f16", "scores in f32")
        .known("a tolerance of 1e-2", "")
        .precision(),
    row(Group::Precision, "probs-in-f16", Edit::Numerics(edits::probs_in_f16))
        .looking_at("probabilities are rounded to f16", "probs in f32")
        .known("a tolerance of 1e-2", "")
        .precision(),
    row(Group::Precision, "rope-tables-in-f16", Edit::Numerics(edits::tables_in_f16))
        .looking_at("cosines and sines are rounded to f16", "cos and sin in f32")
        .known("a tolerance of 1e-2", "")
        .precision(),
    row(Group::Precision, "cache-in-f16", Edit::Numerics(edits::cache_in_f16))
        .looking_at("keys and values are stored in f16", "cache in the format of the model")
        .known("a tolerance of 1e-2", "")
        .precision(),
    row(Group::Precision, "cache-in-f8", Edit::Numerics(edits::cache_in_f8))
        .looking_at("keys and values are stored in f8 e4m3", "cache in the format of the model")
        .known("never", "")
        .precision(),
    row(Group::Precision, "cache-in-int8", Edit::Numerics(edits::cache_in_int8))
        .looking_at("keys and values are stored in int8, a scale for each head", "cache in the format of the model")
        .known("a tolerance of 1e-1", "")
        .precision(),
    row(Group::Precision, "logits-in-bf16", Edit::Numerics(edits::logits_in_bf16))
        .looking_at("logits are rounded to bf16", "logits in f32")
        .known("a bf16 program does so by right", "")
        .precision(),
];
