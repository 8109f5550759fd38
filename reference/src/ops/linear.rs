//! Linear layer.
//!
//! ```text
//! y[.., o] = Σᵢ x[.., i] · W[o, i]  (+ b[o])
//! ```
//! The sum is that of [`crate::linalg::matmul`]; the bias is added last, one rounding of its own.

use super::parameters::{parameters, spelled};
use super::question::{Answer, Question, answer_out, with_axes};
use super::weight::Weight;
use crate::error::{Error, Result};
use crate::eval::{Evaluator, Operation, Role, Work};
use crate::linalg::arrays;
use crate::num::Real;
use ndarray::{Array, Array1, Array2, ArrayD, ArrayView2, Dimension, Ix1, Ix2, s};
use std::borrow::Cow;

/// Weight and bias of a linear layer.
#[derive(Debug, Clone)]
pub struct Linear<T> {
    /// `[in, out]`. Checkpoints mostly store `[out, in]`; it is then the transpose of what lies in memory.
    pub weight: Weight<T>,
    /// `[out]`.
    pub bias: Option<Array1<T>>,
}

/// `x Wᵀ + b` over the last axis: x `[.., in]`, result `[.., out]`.
///
/// ```
/// use goldref_reference::{eval::{Evaluator, Numerics}, num::Dtype, ops::linear::{Linear, linear}};
/// use ndarray::array;
/// // [1 2] · [[3], [4]] + 5 = 16.
/// let layer = Linear { weight: array![[3.0], [4.0]].into(), bias: Some(array![5.0]) };
/// let y = linear(&array![[1.0, 2.0]], &layer, &Evaluator::new(Numerics::plain(Dtype::F64)));
/// assert_eq!(y, array![[16.0]]);
/// ```
///
/// # Panics
/// If the last axis of `x` is not `in`.
pub fn linear<T: Real, D: Dimension>(x: &Array<T, D>, layer: &Linear<T>, eval: &Evaluator) -> Array<T, D> {
    let (values, [rows, width]) = as_rows(x);
    let product = product(matrix(&values, rows, width), &layer.weight, eval);
    finish(x, product, layer, eval)
}

/// `x Wᵀ`: x `[rows, in]`.
fn product<T: Real>(x: ArrayView2<T>, weight: &Weight<T>, eval: &Evaluator) -> Array2<T> {
    let product = weight.product(x, eval.numerics().product_rules());
    let (inputs, outputs) = weight.dim();
    let work = Work::multiply_adds(x.nrows() * inputs * outputs).reads(x.len()).reads_weights(inputs * outputs);
    eval.count(Operation::Linear, work.writes(product.len()));
    product
}

/// [`linear`] with its input axis split over the devices of [`crate::eval::TensorParallel`]: partial sums are
/// rounded, then added in rank order. `unit` components of the input axis stay together (a head's).
///
/// Without tensor parallelism in the numerics this is [`linear`].
///
/// # Panics
/// As [`linear`].
pub fn row_parallel_linear<T: Real, D: Dimension>(
    x: &Array<T, D>,
    layer: &Linear<T>,
    unit: usize,
    eval: &Evaluator,
) -> Array<T, D> {
    let Some(parallel) = eval.numerics().tensor_parallel else {
        return linear(x, layer, eval);
    };
    let (values, [rows, width]) = as_rows(x);
    let rows = matrix(&values, rows, width);
    let units = width / unit;
    let mut total: Option<Array2<T>> = None;
    for rank in 0..parallel.shards {
        // Shares differ by at most one unit where the units do not divide evenly.
        let start = rank * units / parallel.shards * unit;
        let end = (rank + 1) * units / parallel.shards * unit;
        let (x, weight) = (rows.slice(s![.., start..end]), layer.weight.rows(start..end));
        let mut partial = product(x, &weight, eval);
        eval.round(partial.view_mut().into_dyn(), parallel.partial_sums);
        total = Some(match total {
            None => partial,
            Some(total) => arrays::add(total, &partial),
        });
    }
    match total {
        Some(total) => finish(x, total, layer, eval),
        None => linear(x, layer, eval),
    }
}

/// The values of `x`, and how many rows and columns they make with all axes but the last as rows.
fn as_rows<T: Real, D: Dimension>(x: &Array<T, D>) -> (Cow<'_, [T]>, [usize; 2]) {
    let width = x.shape().last().copied().unwrap_or(1);
    let rows: usize = x.shape().iter().rev().skip(1).product();
    (arrays::values(x), [rows, width])
}

fn matrix<T: Real>(values: &[T], rows: usize, columns: usize) -> ArrayView2<'_, T> {
    ArrayView2::from_shape((rows, columns), values).expect("rows · columns is the size of x")
}

/// Adds the bias and gives the rows the leading axes of `x` back.
fn finish<T: Real, D: Dimension>(
    x: &Array<T, D>,
    product: Array2<T>,
    layer: &Linear<T>,
    eval: &Evaluator,
) -> Array<T, D> {
    let mut product = arrays::in_order(product);
    if let Some(bias) = &layer.bias {
        add_bias(arrays::elements(&mut product), bias, eval);
    }
    let mut shape = x.raw_dim();
    let last = shape.ndim() - 1;
    shape[last] = layer.weight.ncols();
    arrays::reshaped(product, shape)
}

/// `y + b` in each row.
fn add_bias<T: Real>(product: &mut [T], bias: &Array1<T>, eval: &Evaluator) {
    eval.count(Operation::Linear, Work::flops(product.len()).reads_weights(bias.len()));
    let bias = arrays::values(bias);
    for row in product.chunks_mut(bias.len().max(1)) {
        arrays::add_each(row, &bias);
    }
}

/// Which axis of a stored weight is the output.
#[derive(Debug, Clone, Copy, Default)]
enum WeightLayout {
    #[default]
    OutIn,
    InOut,
}

spelled! {
    WeightLayout {
        "out_in" => Self::OutIn,
        "in_out" => Self::InOut,
    }
}

parameters! {
    struct Params {
        weight_layout: WeightLayout = WeightLayout::default(),
    }
}

/// What the operation as a question is asked with; the shapes fit.
#[derive(Debug)]
pub(crate) struct LinearInputs<T> {
    pub(crate) x: ArrayD<T>,
    pub(crate) layer: Linear<T>,
}

impl<T: Real> LinearInputs<T> {
    pub(crate) fn read(question: &Question, eval: &Evaluator) -> Result<Self> {
        let params: Params = question.read()?;
        let x = question.activation::<T>("x", eval)?;
        let weight = Weight::from(with_axes::<T, Ix2>("weight", "a matrix", question.weight("weight", eval)?)?);
        let weight = match params.weight_layout {
            WeightLayout::OutIn => weight.transposed(),
            WeightLayout::InOut => weight,
        };
        let bias = question
            .optional_weight("bias", eval)?
            .map(|bias| with_axes::<T, Ix1>("bias", "[out]", bias))
            .transpose()?;
        if x.shape().last() != Some(&weight.nrows()) {
            return Err(Error::ask(format!(
                "x has shape {:?}, but the weight takes {} inputs",
                x.shape(),
                weight.nrows()
            )));
        }
        if bias.as_ref().is_some_and(|bias| bias.len() != weight.ncols()) {
            return Err(Error::ask(format!("the bias must have {} elements, one an output", weight.ncols())));
        }
        Ok(Self { x, layer: Linear { weight, bias } })
    }
}

/// The operation as a question: `x`, `weight`, `[bias]` → `out`.
pub(super) fn ask<T: Real>(question: &Question, eval: &mut Evaluator) -> Result<Answer> {
    let LinearInputs { x, layer } = LinearInputs::<T>::read(question, eval)?;
    let y = linear(&x, &layer, eval);
    Ok(answer_out(eval.at("out", Role::Activation, y)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::{Numerics, TensorParallel};
    use crate::num::Dtype;
    use ndarray::array;

    #[test]
    fn linear_is_x_times_weight_plus_bias() {
        // [1 2] · [[3 4 5] [6 7 8]] = [15 18 21], plus [1 0 -1].
        let layer =
            Linear { weight: array![[3.0, 4.0, 5.0], [6.0, 7.0, 8.0]].into(), bias: Some(array![1.0, 0.0, -1.0]) };
        let y = linear(&array![[1.0, 2.0]], &layer, &Evaluator::new(Numerics::plain(Dtype::F64)));
        assert_eq!(y, array![[16.0, 18.0, 20.0]]);
    }

    #[test]
    fn partial_sums_are_rounded_before_they_are_added() {
        // Shards: 1·256 = 256 and 1·1.5. bf16 keeps 256 and 1.5; their f32 sum is exact.
        // One shard alone would sum to 257.5 and round that to 258.
        let layer = Linear { weight: array![[256.0f32], [1.5]].into(), bias: None };
        let with = |shards| {
            let numerics = Numerics {
                tensor_parallel: Some(TensorParallel { shards, partial_sums: Dtype::Bf16 }),
                ..Numerics::plain(Dtype::F32)
            };
            row_parallel_linear(&array![[1.0f32, 1.0]], &layer, 1, &Evaluator::new(numerics))[[0, 0]]
        };
        assert_eq!(with(2), 257.5);
        assert_eq!(with(1), 258.0);
    }
}
