//! Activation functions, element by element, and the gated pairs of an MLP.
//!
//! ```text
//! GELU, erf    x · Φ(x) = x/2 · erfc(-x/√2)
//! GELU, tanh   x/2 · (1 + tanh u) = x / (1 + exp(-2u)),   u = √(2/π) · (x + 0.044715 x³)
//! GELU, quick  x / (1 + exp(-1.702 x))
//! SiLU         x / (1 + exp(-alpha x))
//! ReLU         max(x, 0)
//! SwiGLU       silu(gate) · up          GeGLU   gelu(gate) · up     (Shazeer, arXiv:2002.05202)
//! ```
//! `1 + erf(x/√2)` and `1 + tanh u` cancel for negative x; the forms on the right are the same functions
//! without the cancellation (Hendrycks & Gimpel, arXiv:1606.08415, give the left ones).

use super::question::{self, Answer, NoParams, Question, answer_out};
use crate::error::{Error, Result};
use crate::eval::{Evaluator, Role};
use crate::num::Real;
use ndarray::ArrayD;
use serde::Deserialize;
use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

/// An activation function.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Activation {
    /// `x/2 · (1 + erf(x/√2))`: Hugging Face's `gelu`.
    GeluErf,
    /// `x/2 · (1 + tanh(√(2/π) (x + 0.044715 x³)))`: `gelu_new`, `gelu_pytorch_tanh`.
    GeluTanh,
    /// [`Self::GeluTanh`] with a shortened √(2/π), as some models wrote it down: BLOOM 0.79788456, `gelu_fast` 0.7978845608.
    GeluTanhShort {
        /// The constant in place of √(2/π).
        root: f64,
    },
    /// `x · σ(1.702 x)`: `quick_gelu`.
    GeluQuick,
    /// `x · σ(alpha x)`: `silu` and `swish` with alpha 1.
    Silu {
        /// Factor inside the sigmoid.
        alpha: f64,
    },
    /// `max(x, 0)`: `relu`.
    Relu,
}

impl Activation {
    /// SiLU with alpha 1.
    pub const SILU: Self = Self::Silu { alpha: 1.0 };

    /// The function of one value. NaN stays NaN; ReLU of −0 is +0.
    ///
    /// ```
    /// use goldref::ops::activation::Activation;
    /// // σ(0) = 1/2 and erfc(0) = 1; far out each is the identity.
    /// assert_eq!(Activation::SILU.apply(0.0f64), 0.0);
    /// assert_eq!(Activation::GeluErf.apply(40.0f64), 40.0);
    /// assert_eq!(Activation::Relu.apply(-3.0f32), 0.0);
    /// ```
    pub fn apply<T: Real>(self, x: T) -> T {
        match self {
            Self::GeluErf => gelu_erf(x),
            // √(2/π) = 2/√π · 1/√2
            Self::GeluTanh => gelu_tanh(x, FRAC_2_SQRT_PI * FRAC_1_SQRT_2),
            Self::GeluTanhShort { root } => gelu_tanh(x, root),
            Self::GeluQuick => swish(x, 1.702),
            Self::Silu { alpha } => swish(x, alpha),
            Self::Relu => relu(x),
        }
    }
}

/// `x/2 · erfc(-x/√2)`.
fn gelu_erf<T: Real>(x: T) -> T {
    T::from_f64(0.5) * x * (-x * T::from_f64(FRAC_1_SQRT_2)).erfc()
}

/// `x / (1 + exp(-2u))`, `u = root · (x + 0.044715 x³)`.
fn gelu_tanh<T: Real>(x: T, root: f64) -> T {
    let u = T::from_f64(root) * (x + T::from_f64(0.044715) * (x * x * x));
    x / (T::ONE + (-(u + u)).exp())
}

/// `x / (1 + exp(-alpha x))`.
fn swish<T: Real>(x: T, alpha: f64) -> T {
    x / (T::ONE + (-(T::from_f64(alpha) * x)).exp())
}

/// `max(x, 0)`, NaN for NaN.
fn relu<T: Real>(x: T) -> T {
    if x > T::ZERO || x.is_nan() { x } else { T::ZERO }
}

/// Which GELU, in PyTorch's words.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Approximate {
    #[default]
    None,
    Tanh,
    Quick,
}

impl Approximate {
    fn activation(self) -> Activation {
        match self {
            Self::None => Activation::GeluErf,
            Self::Tanh => Activation::GeluTanh,
            Self::Quick => Activation::GeluQuick,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GeluParams {
    #[serde(default)]
    approximate: Approximate,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SiluParams {
    #[serde(default = "question::one")]
    alpha: f64,
}

/// What an activation as a question is asked with.
#[derive(Debug)]
pub(crate) struct ActivationInputs<T> {
    pub(crate) x: ArrayD<T>,
    pub(crate) function: Activation,
}

/// What a gated pair as a question is asked with; both arrays have one shape.
#[derive(Debug)]
pub(crate) struct GatedInputs<T> {
    pub(crate) gate: ArrayD<T>,
    pub(crate) up: ArrayD<T>,
    pub(crate) function: Activation,
}

pub(crate) fn read_gelu<T: Real>(question: &Question, eval: &Evaluator) -> Result<ActivationInputs<T>> {
    let params: GeluParams = question.params()?;
    Ok(ActivationInputs { x: question.activation("x", eval)?, function: params.approximate.activation() })
}

pub(crate) fn read_silu<T: Real>(question: &Question, eval: &Evaluator) -> Result<ActivationInputs<T>> {
    let params: SiluParams = question.params()?;
    Ok(ActivationInputs { x: question.activation("x", eval)?, function: Activation::Silu { alpha: params.alpha } })
}

pub(crate) fn read_relu<T: Real>(question: &Question, eval: &Evaluator) -> Result<ActivationInputs<T>> {
    let NoParams {} = question.params()?;
    Ok(ActivationInputs { x: question.activation("x", eval)?, function: Activation::Relu })
}

pub(crate) fn read_swiglu<T: Real>(question: &Question, eval: &Evaluator) -> Result<GatedInputs<T>> {
    let params: SiluParams = question.params()?;
    gated_inputs(question, eval, Activation::Silu { alpha: params.alpha })
}

pub(crate) fn read_geglu<T: Real>(question: &Question, eval: &Evaluator) -> Result<GatedInputs<T>> {
    let params: GeluParams = question.params()?;
    gated_inputs(question, eval, params.approximate.activation())
}

fn gated_inputs<T: Real>(question: &Question, eval: &Evaluator, function: Activation) -> Result<GatedInputs<T>> {
    let gate = question.activation::<T>("gate", eval)?;
    let up = question.activation::<T>("up", eval)?;
    if gate.shape() != up.shape() {
        return Err(Error::ask(format!(
            "gate and up must have the same shape, not {:?} and {:?}",
            gate.shape(),
            up.shape()
        )));
    }
    Ok(GatedInputs { gate, up, function })
}

/// GELU as a question: `x` → `out`.
pub(super) fn ask_gelu<T: Real>(question: &Question, eval: &mut Evaluator) -> Result<Answer> {
    Ok(elementwise::<T>(read_gelu(question, eval)?, eval))
}

/// SiLU as a question: `x` → `out`.
pub(super) fn ask_silu<T: Real>(question: &Question, eval: &mut Evaluator) -> Result<Answer> {
    Ok(elementwise::<T>(read_silu(question, eval)?, eval))
}

/// ReLU as a question: `x` → `out`.
pub(super) fn ask_relu<T: Real>(question: &Question, eval: &mut Evaluator) -> Result<Answer> {
    Ok(elementwise::<T>(read_relu(question, eval)?, eval))
}

/// SwiGLU as a question: `gate`, `up` → `out`.
pub(super) fn ask_swiglu<T: Real>(question: &Question, eval: &mut Evaluator) -> Result<Answer> {
    Ok(gated::<T>(read_swiglu(question, eval)?, eval))
}

/// GeGLU as a question: `gate`, `up` → `out`.
pub(super) fn ask_geglu<T: Real>(question: &Question, eval: &mut Evaluator) -> Result<Answer> {
    Ok(gated::<T>(read_geglu(question, eval)?, eval))
}

fn elementwise<T: Real>(inputs: ActivationInputs<T>, eval: &mut Evaluator) -> Answer {
    answer_out(eval.at("out", Role::Activation, inputs.x.mapv(|x| inputs.function.apply(x))))
}

fn gated<T: Real>(inputs: GatedInputs<T>, eval: &mut Evaluator) -> Answer {
    // The activated gate is stored before the product, as everywhere.
    let activated = eval.at("activated", Role::Activation, inputs.gate.mapv(|x| inputs.function.apply(x)));
    answer_out(eval.at("out", Role::Activation, activated * inputs.up))
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn values_from_a_table() {
        // Φ(1) = 0.841_344_746_068_542_9…, Φ(-3) = 0.001_349_898_031_630_094_5… (Abramowitz & Stegun 26.2).
        assert_relative_eq!(Activation::GeluErf.apply(1.0), 0.841_344_746_068_542_9, max_relative = 4e-16);
        assert_relative_eq!(Activation::GeluErf.apply(-3.0), -3.0 * 0.001_349_898_031_630_094_5, max_relative = 2e-15);
        // σ(ln 3) = 3/4.
        assert_relative_eq!(Activation::SILU.apply(3f64.ln()), 0.75 * 3f64.ln(), max_relative = 4e-16);
        assert_eq!(Activation::Relu.apply(-2.0), 0.0);
        assert_eq!(Activation::Relu.apply(2.0), 2.0);
    }

    #[test]
    fn the_three_gelus_are_different_functions() {
        let at = |activation: Activation| activation.apply(1.5f64);
        assert!((at(Activation::GeluErf) - at(Activation::GeluTanh)).abs() > 1e-5);
        assert!((at(Activation::GeluErf) - at(Activation::GeluQuick)).abs() > 1e-3);
    }

    #[test]
    fn far_out_they_are_zero_or_the_identity_and_nan_stays() {
        for activation in
            [Activation::GeluErf, Activation::GeluTanh, Activation::GeluQuick, Activation::SILU, Activation::Relu]
        {
            assert_eq!(activation.apply(1e4f64), 1e4, "{activation:?}");
            assert_eq!(activation.apply(-1e4f64), 0.0, "{activation:?}");
            assert_eq!(activation.apply(-1e4f32), 0.0, "{activation:?}");
            assert!(activation.apply(f64::NAN).is_nan(), "{activation:?}");
        }
        assert!(Activation::Relu.apply(-0.0f64).is_sign_positive());
    }
}
