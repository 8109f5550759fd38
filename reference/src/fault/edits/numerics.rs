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

/// Cosines and sines in bf16.
pub(crate) fn tables_in_bf16(numerics: &mut Numerics, model: &Model<f64>) -> bool {
    tables_in(numerics, model, Dtype::Bf16)
}

/// Cosines and sines in f16.
pub(crate) fn tables_in_f16(numerics: &mut Numerics, model: &Model<f64>) -> bool {
    tables_in(numerics, model, Dtype::F16)
}

fn tables_in(numerics: &mut Numerics, model: &Model<f64>, dtype: Dtype) -> bool {
    let rotates = |position: &Position| matches!(position, Position::Rope(_));
    let any = model.spec.layers.iter().any(|layer| rotates(&layer.attention.position));
    any && std::mem::replace(&mut numerics.rope_tables, dtype) != dtype
}

/// A field of the numerics gets another format; whether it had not before.
macro_rules! kept_in {
    ($($(#[$doc:meta])* $name:ident: $field:ident = $value:expr;)*) => {$(
        $(#[$doc])*
        pub(crate) fn $name(numerics: &mut Numerics, _: &Model<f64>) -> bool {
            std::mem::replace(&mut numerics.$field, $value) != $value
        }
    )*};
}

kept_in! {
    /// Probabilities in bf16.
    probs_in_bf16: probs = Dtype::Bf16;
    /// Running sums of products in bf16.
    accumulate_in_bf16: accumulator = Dtype::Bf16;
    /// Keys and values in bf16.
    cache_in_bf16: cache = CacheStorage::Float(Dtype::Bf16);
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
    /// Keys and values in f16.
    cache_in_f16: cache = CacheStorage::Float(Dtype::F16);
    /// Keys and values in f8.
    cache_in_f8: cache = CacheStorage::Float(Dtype::F8E4M3);
    /// Keys and values in int8, a scale for each head.
    cache_in_int8: cache = CacheStorage::Int8 { block: 1024 };
    /// Logits in bf16.
    logits_in_bf16: logits = Dtype::Bf16;
}
