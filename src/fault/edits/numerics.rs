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

/// The last field of each rounds to its format; whether it did not before.
macro_rules! kept_in {
    ($($(#[$doc:meta])* $name:ident: $field:ident = $value:expr;)*) => {$(
        $(#[$doc])*
        pub(crate) fn $name(numerics: &mut Numerics, _: &Model<f64>) -> bool {
            std::mem::replace(&mut numerics.$field, $value) != $value
        }
    )*};
}

kept_in! {
    /// Operands of products in tf32.
    products_in_tf32: operands = Dtype::Tf32;
    /// Activations in bf16.
    activations_in_bf16: activations = Dtype::Bf16;
    /// Activations in f16.
    activations_in_f16: activations = Dtype::F16;
    /// Norms in bf16.
    norms_in_bf16: norm = Dtype::Bf16;
    /// Norms in f16.
    norms_in_f16: norm = Dtype::F16;
    /// Scores in f16.
    scores_in_f16: scores = Dtype::F16;
    /// Probabilities in f16.
    probs_in_f16: probs = Dtype::F16;
    /// Cosines and sines in f16.
    tables_in_f16: rope_tables = Dtype::F16;
    /// Keys and values in f16.
    cache_in_f16: cache = CacheStorage::Float(Dtype::F16);
    /// Keys and values in f8.
    cache_in_f8: cache = CacheStorage::Float(Dtype::F8E4M3);
    /// Keys and values in int8, a scale for each head.
    cache_in_int8: cache = CacheStorage::Int8 { block: 1024 };
    /// Logits in bf16.
    logits_in_bf16: logits = Dtype::Bf16;
}
