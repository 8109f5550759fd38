//! Evaluations that are correct and not goldref's own: the textbook's formulas, in any format, order and blocking.
//!
//! A judge that says "more than rounding" of one of these is wrong. So nothing here calls [`goldref::ops`]: the formulas
//! are other ones where several are right (GELU by `erf`, not `erfc`; a quotient by the root, not a product with its
//! inverse), sums run in the order that a [`Style`] says, and elementary functions come from the system's library. Only
//! the roundings of [`goldref::num`] are shared.
//!
//! Ask with [`evaluate`]; [`Question::random`] invents questions, [`Style::random`] ways to answer
//! them.

mod activations;
mod agreement;
mod arithmetic;
mod attention;
mod inputs;
mod norms;
mod positions;
mod products;
mod questions;
mod softmax;
pub(crate) mod style;

#[path = "../../fuzz/random.rs"]
mod random;

pub(crate) use questions::{OPS, Question};
pub(crate) use random::Random;

use goldref::io::Array;
use inputs::Inputs;
use ndarray::ArrayD;
use serde_json::Value;
use std::collections::BTreeMap;
use style::Style;

/// The named arrays of an answer.
pub(crate) type Answer = BTreeMap<String, ArrayD<f64>>;

/// The answer to a case's parameters and arrays: input arrays are rounded to the style's storage, and so are the answers.
///
/// # Panics
/// For an operation that is not one of [`OPS`], and for a parameter that is not known here.
pub(crate) fn evaluate(op: &str, params: &Value, arrays: &BTreeMap<String, Array>, style: &Style) -> Answer {
    let inputs = Inputs::new(params, arrays, style);
    match op {
        "linear" => products::linear(&inputs, style),
        "matmul" => products::matmul(&inputs, style),
        "softmax" => softmax::softmax(&inputs, style),
        "log_softmax" => softmax::log_softmax(&inputs, style),
        "rms_norm" => norms::rms_norm(&inputs, style),
        "layer_norm" => norms::layer_norm(&inputs, style),
        "gelu" => activations::gelu(&inputs, style),
        "silu" => activations::silu(&inputs, style),
        "relu" => activations::relu(&inputs, style),
        "swiglu" => activations::swiglu(&inputs, style),
        "geglu" => activations::geglu(&inputs, style),
        "embedding" => positions::embedding(&inputs, style),
        "rope" => positions::rope(&inputs, style),
        "alibi" => positions::alibi(&inputs, style),
        "attention" => attention::attention(&inputs, style),
        other => panic!("no evaluation of {other}"),
    }
}

/// An answer of one array.
fn only(out: ArrayD<f64>) -> Answer {
    Answer::from([("out".to_owned(), out)])
}
