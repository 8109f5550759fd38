//! Activation functions, element by element, and the gated pairs.
//!
//! Bounds hold for the textbook forms too, which cancel for negative x:
//!
//! ```text
//! GELU, erf    x/2 (1 + erf(x/√2))    u (3 |x| + 3 |y|)        (2/√π) z exp(-z²) ≤ 1/2 for the rounding of x/√2
//! GELU, tanh   x/2 (1 + tanh v)       u (4 |x| + 3 |y|)        |v| (1 - tanh² v) ≤ 1/2 for the roundings of v
//! SiLU, quick  x σ(αx)                u |y| (2 |αx| (1 - σ) + 8)
//! ReLU         max(x, 0)              0
//! ```
//! and `|f'| δx` for an error of x: at most 1.13 (GELU), 1.1 (SiLU), 1 (ReLU).

use super::radius::{FUNCTION, Radius, Steps};
use super::{Bounded, BoundedAnswer};
use crate::error::Result;
use crate::eval::{Evaluator, Numerics};
use crate::linalg::arrays::values;
use crate::num::Dtype;
use crate::ops::activation::{self, Activation, ActivationInputs, GatedInputs};
use crate::ops::question::Question;

/// GELU as a question.
pub(super) fn ask_gelu(question: &Question, numerics: &Numerics) -> Result<BoundedAnswer> {
    ask(numerics, activation::read_gelu(question, &Evaluator::new(*numerics))?)
}

/// SiLU as a question.
pub(super) fn ask_silu(question: &Question, numerics: &Numerics) -> Result<BoundedAnswer> {
    ask(numerics, activation::read_silu(question, &Evaluator::new(*numerics))?)
}

/// ReLU as a question.
pub(super) fn ask_relu(question: &Question, numerics: &Numerics) -> Result<BoundedAnswer> {
    ask(numerics, activation::read_relu(question, &Evaluator::new(*numerics))?)
}

/// SwiGLU as a question.
pub(super) fn ask_swiglu(question: &Question, numerics: &Numerics) -> Result<BoundedAnswer> {
    ask_gated(numerics, activation::read_swiglu(question, &Evaluator::new(*numerics))?)
}

/// GeGLU as a question.
pub(super) fn ask_geglu(question: &Question, numerics: &Numerics) -> Result<BoundedAnswer> {
    ask_gated(numerics, activation::read_geglu(question, &Evaluator::new(*numerics))?)
}

fn ask(numerics: &Numerics, inputs: ActivationInputs<f64>) -> Result<BoundedAnswer> {
    let steps = Steps::of(numerics);
    let ActivationInputs { x, function } = inputs;
    Ok(super::out(activate(Bounded::exact(&x), function, numerics.arithmetic, &steps).stored(steps.activations)))
}

/// The activated gate is stored before the product, or is not.
fn ask_gated(numerics: &Numerics, inputs: GatedInputs<f64>) -> Result<BoundedAnswer> {
    let steps = Steps::of(numerics);
    let GatedInputs { gate, up, function } = inputs;
    let mut out = activate(Bounded::exact(&gate), function, numerics.arithmetic, &steps).stored(steps.activations);
    for ((value, radius), up) in out.value.iter_mut().zip(&mut out.radius).zip(values(&up).iter()) {
        *value *= up;
        *radius = radius.times(*up).rounded(*value, steps.arithmetic);
    }
    Ok(super::out(out.stored(steps.activations)))
}

/// The function of each element, not yet stored.
fn activate(x: Bounded, function: Activation, arithmetic: Dtype, steps: &Steps) -> Bounded {
    x.map(|x, radius| {
        let y = function.apply(x);
        let (own, slope) = own_error(x, y, function, arithmetic, steps.arithmetic.u);
        let steepest = match function {
            Activation::Relu => 1.0,
            Activation::Silu { .. } => 1.1,
            _ => 1.13,
        };
        let inherited = Radius { variance: radius.variance * slope * slope, ..radius.times(steepest) };
        (y, inherited.plus(own))
    })
}

/// The function's own roundings, and its slope here.
fn own_error(x: f64, y: f64, function: Activation, arithmetic: Dtype, u: f64) -> (Radius, f64) {
    let step = 1e-5 * (1.0 + x.abs());
    let slope = (function.apply(x + step) - function.apply(x - step)) / (2.0 * step);
    let sigmoid = |alpha: f64| {
        let rest = 1.0 / (1.0 + (alpha * x).exp());
        // Where exp(-αx) overflows the quotient is 0, and the answer is below |x| times the smallest normal number.
        let flushed = x.abs() * arithmetic.smallest_normal();
        Radius::uniform(u * y.abs() * (2.0 * (alpha * x).abs() * rest + FUNCTION + 4.0) + flushed)
    };
    let own = match function {
        Activation::GeluErf => Radius::uniform(u * 3.0 * (x.abs() + y.abs())),
        Activation::GeluTanh | Activation::GeluTanhShort { .. } => Radius::uniform(u * (4.0 * x.abs() + 3.0 * y.abs())),
        Activation::GeluQuick => sigmoid(1.702),
        Activation::Silu { alpha } => sigmoid(alpha),
        Activation::Relu => Radius::NONE,
    };
    (own, slope)
}
