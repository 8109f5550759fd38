//! RMSNorm and LayerNorm over the last axis.
//!
//! ```text
//! RMSNorm:    y = x / √(mean(x²) + eps) · w            (Zhang & Sennrich, arXiv:1910.07467)
//! LayerNorm:  y = (x - mean) / √(variance + eps) · w + b    (Ba, Kiros & Hinton, arXiv:1607.06450)
//! ```
//! `eps` stands inside the root; the variance is divided by n. Statistics are the defined sums of
//! [`crate::num`]; the quotient is a product with the correctly rounded `1/√`.

use super::parameters::{parameters, spelled};
use super::question::{self, Answer, Question, axis_index};
use crate::error::{Error, Result};
use crate::eval::{Evaluator, Numerics, Operation, Role, Rounding, Work};
use crate::linalg::arrays;
use crate::num::parallel::in_pieces;
use crate::num::{Dtype, Real, mean, mean_square, round_each, scale_each, subtract_each};
use ndarray::{Array, Array1, ArrayD, Dimension, IxDyn};
use serde::{Deserialize, Serialize};

/// Weight and bias of a norm, as stored.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Norm<T> {
    /// `[width]`; `[heads · width]` where each head has its own.
    pub weight: Option<Array1<T>>,
    /// `[width]`.
    pub bias: Option<Array1<T>>,
}

/// Mean and `1/√(variance + eps)` of one row of a LayerNorm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LayerStatistics<T> {
    /// The mean.
    pub mean: T,
    /// `1/√(variance + eps)`.
    pub inv_std_dev: T,
}

/// The norm over the last axis: x `[.., width]`, result of the same shape, not yet rounded as an activation.
///
/// # Panics
/// If weight or bias are not as wide as the last axis.
pub fn norm<T: Real, D: Dimension>(
    x: &Array<T, D>,
    weights: &Norm<T>,
    spec: &NormSpec,
    eval: &Evaluator,
) -> Array<T, D> {
    let mut out = arrays::copied(x);
    let width = out.shape().last().copied().unwrap_or(0);
    norm_rows(arrays::elements(&mut out), width, weights, spec, eval);
    out
}

/// The norm of each row of `width` values.
fn norm_rows<T: Real>(values: &mut [T], width: usize, weights: &Norm<T>, spec: &NormSpec, eval: &Evaluator) {
    if width == 0 {
        return;
    }
    eval.count(Operation::Norm, work(values.len() / width, width, weights, spec));
    let numerics = *eval.numerics();
    let stored = numerics.dtype_of(Role::Activation);
    match numerics.rounding {
        Rounding::Nearest => in_pieces(values, width, &|_, rows| {
            for row in rows.chunks_exact_mut(width) {
                norm_row(row, weights, spec, &numerics, &|row| round_each(row, stored));
            }
        }),
        // Each row draws its random numbers in turn.
        Rounding::Perturbed { .. } => {
            for row in values.chunks_exact_mut(width) {
                norm_row(row, weights, spec, &numerics, &|row| eval.round_each(row, stored));
            }
        }
    }
}

/// What the norm of some rows takes.
fn work<T>(rows: usize, width: usize, weights: &Norm<T>, spec: &NormSpec) -> Work {
    let statistics = match spec.kind {
        // Σ x², its mean, + eps, 1/√, and x · r.
        NormKind::Rms => 3 * width + 3,
        // Twice Σ x, its mean and x - mean; then as above.
        NormKind::Layer => 2 * (2 * width + 1) + 3 * width + 3,
    };
    let weight = match (&weights.weight, spec.weight_form) {
        (None, _) => 0,
        (Some(_), WeightForm::W) => width,
        (Some(_), WeightForm::OnePlusW) => 2 * width,
    };
    let bias = weights.bias.as_ref().map_or(0, |_| width);
    let stored = weights.weight.iter().chain(&weights.bias).map(|vector| vector.len()).sum();
    Work::flops(rows * (statistics + weight + bias)).reads(rows * width).reads_weights(stored).writes(rows * width)
}

/// The norm of one row; `store` rounds to the activation dtype.
fn norm_row<T: Real>(row: &mut [T], weights: &Norm<T>, spec: &NormSpec, numerics: &Numerics, store: &dyn Fn(&mut [T])) {
    match spec.kind {
        NormKind::Rms => rms_normalise(row, spec.norm_eps, numerics),
        NormKind::Layer => {
            layer_normalise(row, spec.norm_eps, numerics);
        }
    }
    if spec.downcast == Downcast::BeforeWeight {
        store(row);
    }
    apply_weights(row, weights, spec);
}

/// `x ← x · r` with `r = 1/√(mean(x²) + eps)`.
fn rms_normalise<T: Real>(row: &mut [T], norm_eps: f64, numerics: &Numerics) {
    let inner = numerics.dtype_of(Role::Norm);
    // mean(x²)
    let mean_square = mean_square(row).round_to(inner);
    // 1/√(mean(x²) + eps)
    let r = (mean_square + T::from_f64(norm_eps)).rsqrt().round_to(inner);
    scale_each(row, r);
    round_each(row, inner);
}

/// `x ← (x - mean) · r` with `r = 1/√(variance + eps)`.
fn layer_normalise<T: Real>(row: &mut [T], norm_eps: f64, numerics: &Numerics) -> LayerStatistics<T> {
    let inner = numerics.dtype_of(Role::Norm);
    // x - mean, twice: the rounding of a large mean would stay in the centred values
    let first = mean(row).round_to(inner);
    centre(row, first, inner);
    let rest = mean(row).round_to(inner);
    centre(row, rest, inner);
    // variance
    let variance = mean_square(row).round_to(inner);
    // 1/√(variance + eps)
    let inv_std_dev = (variance + T::from_f64(norm_eps)).rsqrt().round_to(inner);
    scale_each(row, inv_std_dev);
    round_each(row, inner);
    LayerStatistics { mean: first + rest, inv_std_dev }
}

fn centre<T: Real>(row: &mut [T], mean: T, inner: Dtype) {
    subtract_each(row, mean);
    round_each(row, inner);
}

/// `y = x̂ · w + b`.
fn apply_weights<T: Real>(row: &mut [T], weights: &Norm<T>, spec: &NormSpec) {
    if let Some(weight) = &weights.weight {
        assert_eq!(weight.len(), row.len(), "norm: the weight is not as wide as the last axis");
        let weight = arrays::values(weight);
        match spec.weight_form {
            WeightForm::W => row.iter_mut().zip(weight.iter()).for_each(|(x, &w)| *x = *x * w),
            WeightForm::OnePlusW => row.iter_mut().zip(weight.iter()).for_each(|(x, &w)| *x = *x * (T::ONE + w)),
        }
    }
    if let Some(bias) = &weights.bias {
        assert_eq!(bias.len(), row.len(), "norm: the bias is not as wide as the last axis");
        arrays::add_each(row, &arrays::values(bias));
    }
}

/// What a norm computes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NormSpec {
    /// Root mean square, or mean and variance.
    pub kind: NormKind,
    /// Added to the mean square or the variance, inside the root.
    pub norm_eps: f64,
    /// Whether the stored weight is `w` or `w - 1`.
    pub weight_form: WeightForm,
    /// Whether the normalised value is stored before or after the weight is applied.
    pub downcast: Downcast,
    /// Whether there is a weight.
    pub weight: bool,
    /// Whether there is a bias.
    pub bias: bool,
}

/// The statistic a norm divides by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormKind {
    /// RMSNorm.
    Rms,
    /// LayerNorm.
    Layer,
}

/// How the stored weight enters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WeightForm {
    /// `y = x̂ · w`.
    #[default]
    W,
    /// `y = x̂ · (1 + w)` (Gemma).
    OnePlusW,
}

spelled! {
    WeightForm {
        "w" => Self::W,
        "one_plus_w" => Self::OnePlusW,
    }
}

/// Where a low-precision norm rounds. In exact arithmetic both are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Downcast {
    /// `x̂` is rounded to the activation dtype, then multiplied by the weight (Llama).
    #[default]
    BeforeWeight,
    /// `x̂ · w` is computed in the statistics' dtype and rounded once (Gemma, LayerNorm).
    AfterWeight,
}

spelled! {
    Downcast {
        "before_weight" => Self::BeforeWeight,
        "after_weight" => Self::AfterWeight,
    }
}

parameters! {
    struct RmsParams {
        norm_eps: f64,
        axis: i64 = -1,
        weight_form: WeightForm = WeightForm::default(),
        downcast: Downcast = Downcast::default(),
    }
}

parameters! {
    struct LayerParams {
        norm_eps: f64,
        axis: i64 = -1,
    }
}

/// What a norm as a question is asked with.
#[derive(Debug)]
pub(crate) struct NormInputs<T> {
    /// The normalised axes as one row each.
    pub(crate) rows: ndarray::Array2<T>,
    pub(crate) weights: Norm<T>,
    pub(crate) spec: NormSpec,
    /// The input's own shape.
    pub(crate) shape: Vec<usize>,
    /// The first of the normalised axes.
    pub(crate) axis: usize,
}

impl<T: Real> NormInputs<T> {
    pub(crate) fn read_rms(question: &Question, eval: &Evaluator) -> Result<Self> {
        let params: RmsParams = question.read()?;
        let spec = NormSpec {
            kind: NormKind::Rms,
            norm_eps: params.norm_eps,
            weight_form: params.weight_form,
            downcast: params.downcast,
            weight: question.has("weight"),
            bias: false,
        };
        Self::rows(question, eval, spec, params.axis)
    }

    pub(crate) fn read_layer(question: &Question, eval: &Evaluator) -> Result<Self> {
        let params: LayerParams = question.read()?;
        let spec = NormSpec {
            kind: NormKind::Layer,
            norm_eps: params.norm_eps,
            weight_form: WeightForm::W,
            downcast: Downcast::AfterWeight,
            weight: question.has("weight"),
            bias: question.has("bias"),
        };
        Self::rows(question, eval, spec, params.axis)
    }

    fn rows(question: &Question, eval: &Evaluator, spec: NormSpec, axis: i64) -> Result<Self> {
        let (rows, weights, shape) = normalised_rows::<T>(question, eval, axis)?;
        let axis = axis_index(axis, shape.len())?;
        Ok(Self { rows, weights, spec, shape, axis })
    }
}

/// RMSNorm as a question: `x`, `[weight]` → `out`. Statistics run over the axes from `axis` on, together.
pub(super) fn ask_rms<T: Real>(question: &Question, eval: &mut Evaluator) -> Result<Answer> {
    let NormInputs { rows, weights, spec, shape, .. } = NormInputs::<T>::read_rms(question, eval)?;
    let out = norm(&rows, &weights, &spec, eval);
    Ok(question::answer_out(with_shape(eval.at("out", Role::Activation, out), &shape)))
}

/// Mean and `1/√(variance + eps)` of one row, nothing rounded but by the scalar.
pub(crate) fn layer_statistics<T: Real>(row: &[T], norm_eps: f64) -> LayerStatistics<T> {
    layer_normalise(&mut row.to_vec(), norm_eps, &Numerics::plain(T::DTYPE))
}

/// LayerNorm as a question: `x`, `[weight]`, `[bias]` → `out`, and its statistics `mean`, `inv_std_dev` with
/// the normalised axes kept at size 1.
pub(super) fn ask_layer<T: Real>(question: &Question, eval: &mut Evaluator) -> Result<Answer> {
    let NormInputs { rows, weights, spec, shape, axis } = NormInputs::<T>::read_layer(question, eval)?;
    let out = norm(&rows, &weights, &spec, eval);
    let mut answer = question::answer_out(with_shape(eval.at("out", Role::Activation, out), &shape));

    let statistics = |row| layer_normalise(&mut rows.row(row).to_vec(), spec.norm_eps, eval.numerics());
    let statistics: Vec<LayerStatistics<T>> = (0..rows.nrows()).map(statistics).collect();
    let kept: Vec<usize> = shape.iter().enumerate().map(|(i, &n)| if i < axis { n } else { 1 }).collect();
    let (mut mean, mut inv_std_dev) = (Vec::with_capacity(rows.nrows()), Vec::with_capacity(rows.nrows()));
    for statistics in &statistics {
        mean.push(statistics.mean.to_f64());
        inv_std_dev.push(statistics.inv_std_dev.to_f64());
    }
    for (name, values) in [("mean", mean), ("inv_std_dev", inv_std_dev)] {
        answer.insert(name.to_string(), arrays::shaped(values, IxDyn(&kept)));
    }
    Ok(answer)
}

/// `x` with the axes from `axis` on as one row each, its weights flattened, and its own shape.
fn normalised_rows<T: Real>(
    question: &Question,
    eval: &Evaluator,
    axis: i64,
) -> Result<(ndarray::Array2<T>, Norm<T>, Vec<usize>)> {
    let x: ArrayD<T> = question.activation("x", eval)?;
    let shape = x.shape().to_vec();
    let axis = axis_index(axis, x.ndim())?;
    let width: usize = shape[axis..].iter().product();
    let count: usize = shape[..axis].iter().product();
    let rows = arrays::reshaped(x, ndarray::Ix2(count, width));
    let flat = |name: &str| -> Result<Option<Array1<T>>> {
        let Some(weight) = question.optional_weight::<T>(name, eval)? else { return Ok(None) };
        let full = weight.broadcast(&shape[axis..]).ok_or_else(|| {
            Error::ask(format!(
                "{name} has shape {:?}; it must fit the normalised axes {:?}",
                weight.shape(),
                &shape[axis..]
            ))
        })?;
        Ok(Some(arrays::values(&full).into_owned().into()))
    };
    Ok((rows, Norm { weight: flat("weight")?, bias: flat("bias")? }, shape))
}

/// The same values in another shape of the same size.
fn with_shape<T: Real, D: Dimension>(x: Array<T, D>, shape: &[usize]) -> ArrayD<T> {
    arrays::reshaped(x, IxDyn(shape))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::num::Float;
    use ndarray::array;

    fn assert_close(actual: &ndarray::Array2<f64>, expected: &[f64]) {
        assert_eq!(actual.len(), expected.len());
        for (a, e) in actual.iter().zip(expected) {
            approx::assert_relative_eq!(a, e, max_relative = 4e-16);
        }
    }

    fn spec(kind: NormKind) -> NormSpec {
        NormSpec {
            kind,
            norm_eps: 0.0,
            weight_form: WeightForm::W,
            downcast: Downcast::BeforeWeight,
            weight: true,
            bias: true,
        }
    }

    #[test]
    fn rms_norm_divides_by_the_root_mean_square() {
        // mean(1, 49, 25, 25) = 25: x / 5.
        let weights = Norm { weight: Some(array![1.0, 10.0, 1.0, 2.0]), bias: None };
        let eval = Evaluator::new(Numerics::plain(Dtype::F64));
        let y = norm(&array![[1.0, 7.0, 5.0, -5.0]], &weights, &spec(NormKind::Rms), &eval);
        assert_close(&y, &[0.2, 14.0, 1.0, -2.0]);
        let one_plus = NormSpec { weight_form: WeightForm::OnePlusW, ..spec(NormKind::Rms) };
        let y = norm(
            &array![[1.0, 7.0, 5.0, -5.0]],
            &Norm { weight: Some(array![0.0, 9.0, 0.0, 1.0]), bias: None },
            &one_plus,
            &eval,
        );
        assert_close(&y, &[0.2, 14.0, 1.0, -2.0]);
    }

    #[test]
    fn eps_stands_inside_the_root() {
        // mean(x²) = 9, eps = 16: 3 / √25. Outside the root it would be 3 / (3 + 16).
        let eval = Evaluator::new(Numerics::plain(Dtype::F64));
        let with_eps = NormSpec { norm_eps: 16.0, ..spec(NormKind::Rms) };
        let y = norm(&array![[3.0, -3.0]], &Norm::default(), &with_eps, &eval);
        approx::assert_relative_eq!(y[[0, 0]], 0.6, max_relative = 1e-15);
    }

    #[test]
    fn layer_norm_centres_and_divides_by_n() {
        // mean 5, variance (16 + 16) / 2 = 16.
        let weights = Norm { weight: Some(array![1.0, 2.0]), bias: Some(array![0.5, 0.0]) };
        let y =
            norm(&array![[1.0, 9.0]], &weights, &spec(NormKind::Layer), &Evaluator::new(Numerics::plain(Dtype::F64)));
        assert_eq!(y, array![[-0.5, 2.0]]);
    }

    #[test]
    fn a_large_mean_does_not_cancel() {
        // Mean 1e9 + 1, variance 1: the one-pass formula E[x²] - E[x]² has nothing left of it, in f32 not even the mean.
        let spec = spec(NormKind::Layer);
        let y = norm(&array![[1e9, 1e9 + 2.0]], &Norm::default(), &spec, &Evaluator::new(Numerics::plain(Dtype::F64)));
        assert_eq!(y, array![[-1.0, 1.0]]);
        let x = array![[16777216.0f32, 16777216.0 + 2.0, 16777216.0 + 4.0, 16777216.0 + 10.0]];
        let y = norm(&x, &Norm::default(), &spec, &Evaluator::new(Numerics::plain(Dtype::F32)));
        // Deviations -4, -2, 0, 6 over √14.
        approx::assert_relative_eq!(y[[0, 3]], 6.0 / 14f32.sqrt(), max_relative = 1e-6);
    }

    #[test]
    fn the_downcast_decides_what_bf16_stores() {
        // x̂ is about 1.00390625 · k; rounded before the weight 3 it loses bits that the weight would have kept.
        let numerics = Numerics { norm: Dtype::F32, ..Numerics::eager(Dtype::Bf16) };
        let x = array![[1.0f32, 1.01, 0.99, 0.5]];
        let weights = Norm { weight: Some(array![3.0f32, 3.0, 3.0, 3.0]), bias: None };
        let of = |downcast| {
            let spec = NormSpec { downcast, ..spec(NormKind::Rms) };
            norm(&x, &weights, &spec, &Evaluator::new(numerics)).mapv(|y| Float::round_to(y, Dtype::Bf16))
        };
        assert_ne!(of(Downcast::BeforeWeight), of(Downcast::AfterWeight));
    }
}
