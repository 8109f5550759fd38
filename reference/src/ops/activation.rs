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

use super::parameters::{parameters, spelled};
use super::question::{Answer, Question, answer_out, no_params};
use crate::error::{Error, Result};
use crate::eval::{Evaluator, Role};
use crate::linalg::arrays::{elements, multiply};
use crate::num::parallel::in_pieces;
use crate::num::{Real, divide_each, scale_each};
use ndarray::{Array, ArrayD, Dimension};
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
    /// use goldref_reference::ops::activation::Activation;
    /// // σ(0) = 1/2 and erfc(0) = 1; far out each is the identity.
    /// assert_eq!(Activation::SILU.apply(0.0f64), 0.0);
    /// assert_eq!(Activation::GeluErf.apply(40.0f64), 40.0);
    /// assert_eq!(Activation::Relu.apply(-3.0f32), 0.0);
    /// ```
    pub fn apply<T: Real>(self, x: T) -> T {
        match self {
            Self::GeluErf => gelu_erf(x),
            Self::GeluTanh => gelu_tanh(x, ROOT_2_OVER_PI),
            Self::GeluTanhShort { root } => gelu_tanh(x, root),
            Self::GeluQuick => swish(x, QUICK),
            Self::Silu { alpha } => swish(x, alpha),
            Self::Relu => relu(x),
        }
    }

    /// Each value becomes [`Self::apply`] of it, to the bit (a NaN is some NaN); sooner than one after the other.
    pub fn apply_each<T: Real>(self, values: &mut [T]) {
        match self {
            Self::GeluErf => inner_outer(values, gelu_erf_inner, T::erfc_each, gelu_erf_outer),
            Self::GeluTanh => Self::GeluTanhShort { root: ROOT_2_OVER_PI }.apply_each(values),
            Self::GeluTanhShort { root } => {
                inner_outer(values, |x| gelu_tanh_inner(x, root), T::exp_each, logistic_outer);
            }
            Self::GeluQuick => Self::Silu { alpha: QUICK }.apply_each(values),
            Self::Silu { alpha } => inner_outer(values, |x| swish_inner(x, alpha), T::exp_each, logistic_outer),
            Self::Relu => values.iter_mut().for_each(|x| *x = relu(*x)),
        }
    }

    /// [`Self::apply_each`] on an array of any shape.
    pub fn apply_to<T: Real, D: Dimension>(self, mut array: Array<T, D>) -> Array<T, D> {
        in_pieces(elements(&mut array), 1, &|_, piece| self.apply_each(piece));
        array
    }
}

/// √(2/π) = 2/√π · 1/√2
const ROOT_2_OVER_PI: f64 = FRAC_2_SQRT_PI * FRAC_1_SQRT_2;
/// The alpha of quick GELU.
const QUICK: f64 = 1.702;

/// `x/2 · erfc(-x/√2)`.
fn gelu_erf<T: Real>(x: T) -> T {
    gelu_erf_outer(x, gelu_erf_inner(x).erfc())
}

fn gelu_erf_inner<T: Real>(x: T) -> T {
    -x * T::from_f64(FRAC_1_SQRT_2)
}

fn gelu_erf_outer<T: Real>(x: T, erfc: T) -> T {
    T::from_f64(0.5) * x * erfc
}

/// `x / (1 + exp(-2u))`, `u = root · (x + 0.044715 x³)`.
fn gelu_tanh<T: Real>(x: T, root: f64) -> T {
    logistic_outer(x, gelu_tanh_inner(x, root).exp())
}

fn gelu_tanh_inner<T: Real>(x: T, root: f64) -> T {
    let u = T::from_f64(root) * (x + T::from_f64(0.044715) * (x * x * x));
    -(u + u)
}

/// `x / (1 + exp(-alpha x))`.
fn swish<T: Real>(x: T, alpha: f64) -> T {
    logistic_outer(x, swish_inner(x, alpha).exp())
}

fn swish_inner<T: Real>(x: T, alpha: f64) -> T {
    -(T::from_f64(alpha) * x)
}

fn logistic_outer<T: Real>(x: T, exp: T) -> T {
    x / (T::ONE + exp)
}

/// `max(x, 0)`, NaN for NaN.
fn relu<T: Real>(x: T) -> T {
    if x > T::ZERO || x.is_nan() { x } else { T::ZERO }
}

/// `x = outer(x, function(inner(x)))` for each x, in pieces that stay in the cache.
fn inner_outer<T: Real>(values: &mut [T], inner: impl Fn(T) -> T, function: fn(&mut [T]), outer: impl Fn(T, T) -> T) {
    let mut buffer = [T::ZERO; 512];
    for values in values.chunks_mut(buffer.len()) {
        let middle = &mut buffer[..values.len()];
        for (middle, &x) in middle.iter_mut().zip(values.iter()) {
            *middle = inner(x);
        }
        function(middle);
        for (x, &middle) in values.iter_mut().zip(middle.iter()) {
            *x = outer(*x, middle);
        }
    }
}

/// `softcap · tanh(z / softcap)` of each element.
pub(crate) fn soften<T: Real, D: Dimension>(mut z: Array<T, D>, softcap: f64) -> Array<T, D> {
    soften_each(elements(&mut z), softcap);
    z
}

/// [`soften`] in place.
pub(crate) fn soften_each<T: Real>(values: &mut [T], softcap: f64) {
    let softcap = T::from_f64(softcap);
    divide_each(values, softcap);
    T::tanh_each(values);
    scale_each(values, softcap);
}

/// Which GELU, in PyTorch's words.
#[derive(Debug, Clone, Copy, Default)]
enum Approximate {
    #[default]
    None,
    Tanh,
    Quick,
}

spelled! {
    Approximate {
        "none" => Self::None,
        "tanh" => Self::Tanh,
        "quick" => Self::Quick,
    }
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

parameters! {
    struct GeluParams {
        approximate: Approximate = Approximate::default(),
    }
}

parameters! {
    struct SiluParams {
        alpha: f64 = 1.0,
    }
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
    let params: GeluParams = question.read()?;
    Ok(ActivationInputs { x: question.activation("x", eval)?, function: params.approximate.activation() })
}

pub(crate) fn read_silu<T: Real>(question: &Question, eval: &Evaluator) -> Result<ActivationInputs<T>> {
    let params: SiluParams = question.read()?;
    Ok(ActivationInputs { x: question.activation("x", eval)?, function: Activation::Silu { alpha: params.alpha } })
}

pub(crate) fn read_relu<T: Real>(question: &Question, eval: &Evaluator) -> Result<ActivationInputs<T>> {
    no_params(question)?;
    Ok(ActivationInputs { x: question.activation("x", eval)?, function: Activation::Relu })
}

pub(crate) fn read_swiglu<T: Real>(question: &Question, eval: &Evaluator) -> Result<GatedInputs<T>> {
    let params: SiluParams = question.read()?;
    gated_inputs(question, eval, Activation::Silu { alpha: params.alpha })
}

pub(crate) fn read_geglu<T: Real>(question: &Question, eval: &Evaluator) -> Result<GatedInputs<T>> {
    let params: GeluParams = question.read()?;
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
    answer_out(eval.at("out", Role::Activation, inputs.function.apply_to(inputs.x)))
}

fn gated<T: Real>(inputs: GatedInputs<T>, eval: &mut Evaluator) -> Answer {
    // The activated gate is stored before the product, as everywhere.
    let activated = eval.at("activated", Role::Activation, inputs.function.apply_to(inputs.gate));
    answer_out(eval.at("out", Role::Activation, multiply(activated, &inputs.up)))
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

    #[test]
    fn each_is_apply_to_the_bit() {
        fn check<T: Real>(activation: Activation, values: &[f64]) {
            let values: Vec<T> = values.iter().map(|&x| T::from_f64(x)).collect();
            let mut each = values.clone();
            activation.apply_each(&mut each);
            for (&x, &y) in values.iter().zip(&each) {
                let (x, y) = (activation.apply(x).to_f64(), y.to_f64());
                assert!(x.to_bits() == y.to_bits() || (x.is_nan() && y.is_nan()), "{activation:?}: {y:e}, not {x:e}");
            }
        }
        let mut values: Vec<f64> = (-1000..1000).map(|i| f64::from(i) * 0.0173).collect();
        values.extend([0.0, -0.0, 1e-310, 1e4, -1e4, -88.0, -709.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN]);
        let all = [
            Activation::GeluErf,
            Activation::GeluTanh,
            Activation::GeluTanhShort { root: 0.79788456 },
            Activation::GeluQuick,
            Activation::SILU,
            Activation::Silu { alpha: 1.3 },
            Activation::Relu,
        ];
        for activation in all {
            check::<f64>(activation, &values);
            check::<f32>(activation, &values);
        }
        // A gap between the rows of an array is left out.
        let wide = Array::from_shape_fn((3, 8), |(i, j)| (i * 8 + j) as f64 - 12.0);
        let narrow = wide.clone().slice_move(ndarray::s![.., 2..5]);
        let expected = narrow.mapv(|x| Activation::SILU.apply(x));
        assert_eq!(Activation::SILU.apply_to(narrow), expected);
    }
}
