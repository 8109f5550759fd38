//! Values rounded where they should not be.

use crate::eval::{CacheStorage, Numerics};
use crate::model::Model;
use crate::model::spec::Position;
use crate::num::Dtype;

/// Scores and probabilities stored in bf16.
pub(crate) fn scores_in_bf16(numerics: &mut Numerics, _: &Model<f64>) -> bool {
    (numerics.scores, numerics.probs) = (Dtype::Bf16, Dtype::Bf16);
    true
}

/// Probabilities stored in bf16.
pub(crate) fn probs_in_bf16(numerics: &mut Numerics, _: &Model<f64>) -> bool {
    std::mem::replace(&mut numerics.probs, Dtype::Bf16) != Dtype::Bf16
}

/// Running sums of products in bf16.
pub(crate) fn accumulate_in_bf16(numerics: &mut Numerics, _: &Model<f64>) -> bool {
    numerics.accumulator = Dtype::Bf16;
    true
}

/// Cosines and sines in bf16.
pub(crate) fn tables_in_bf16(numerics: &mut Numerics, model: &Model<f64>) -> bool {
    let rotates = |position: &Position| matches!(position, Position::Rope(_));
    let any = model.spec.layers.iter().any(|layer| rotates(&layer.attention.position));
    any && std::mem::replace(&mut numerics.rope_tables, Dtype::Bf16) != Dtype::Bf16
}

/// Keys and values in bf16.
pub(crate) fn cache_in_bf16(numerics: &mut Numerics, _: &Model<f64>) -> bool {
    numerics.cache = CacheStorage::Float(Dtype::Bf16);
    true
}
