//! Activation functions in the forms of the papers, which cancel for negative x, and the gated pairs.

use super::inputs::Inputs;
use super::style::Style;
use super::{Answer, only};
use ndarray::{ArrayD, Zip};
use std::f64::consts::{PI, SQRT_2};

pub(super) fn gelu(inputs: &Inputs, style: &Style) -> Answer {
    inputs.knows(&["approximate"], &["x"]);
    let approximate = inputs.word("approximate");
    only(inputs.floats("x").mapv(|x| style.stored(gelu_of(x, approximate, style))))
}

pub(super) fn silu(inputs: &Inputs, style: &Style) -> Answer {
    inputs.knows(&["alpha"], &["x"]);
    let alpha = inputs.number("alpha").unwrap_or(1.0);
    only(inputs.floats("x").mapv(|x| style.stored(swish(x, alpha, style))))
}

pub(super) fn relu(inputs: &Inputs, style: &Style) -> Answer {
    inputs.knows(&[], &["x"]);
    only(inputs.floats("x").mapv(|x| style.stored(x.max(0.0))))
}

/// `silu(gate) · up`.
pub(super) fn swiglu(inputs: &Inputs, style: &Style) -> Answer {
    inputs.knows(&["alpha"], &["gate", "up"]);
    let alpha = inputs.number("alpha").unwrap_or(1.0);
    only(gated(inputs, style, |x| swish(x, alpha, style)))
}

/// `gelu(gate) · up`.
pub(super) fn geglu(inputs: &Inputs, style: &Style) -> Answer {
    inputs.knows(&["approximate"], &["gate", "up"]);
    let approximate = inputs.word("approximate");
    only(gated(inputs, style, |x| gelu_of(x, approximate, style)))
}

fn gated(inputs: &Inputs, style: &Style, activation: impl Fn(f64) -> f64) -> ArrayD<f64> {
    let (gate, up) = (inputs.floats("gate"), inputs.floats("up"));
    Zip::from(&gate).and(&up).map_collect(|&gate, &up| style.stored(style.mul(style.between(activation(gate)), up)))
}

fn gelu_of(x: f64, approximate: Option<&str>, s: &Style) -> f64 {
    let half = s.mul(0.5, x);
    match approximate {
        // x/2 · (1 + erf(x/√2))
        None | Some("none") => {
            let erf = s.r(goldref::num::core_math::erf(s.div(x, s.r(SQRT_2))));
            s.mul(half, s.add(1.0, erf))
        }
        // x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³)))
        Some("tanh") => {
            let cube = s.mul(s.mul(x, x), x);
            let inner = s.add(x, s.mul(s.r(0.044715), cube));
            s.mul(half, s.add(1.0, s.tanh(s.mul(s.r((2.0 / PI).sqrt()), inner))))
        }
        Some("quick") => swish(x, 1.702, s),
        Some(other) => panic!("no gelu by {other}"),
    }
}

/// `x · sigmoid(alpha x)`, `sigmoid(z) = 1/(1 + exp(−z))`.
fn swish(x: f64, alpha: f64, s: &Style) -> f64 {
    let z = s.mul(s.r(alpha), x);
    s.mul(x, s.div(1.0, s.add(1.0, s.exp(-z))))
}
