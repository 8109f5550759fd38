//! Softmax and its logarithm.
//!
//! ```text
//! softmax(s)ⱼ     = exp(sⱼ - m) / Σₗ exp(sₗ - m)          m = max s
//! log_softmax(s)ⱼ = (sⱼ - m) - ln Σₗ exp(sₗ - m)
//! ```
//! Subtracting the exact maximum keeps every exponential at most 1 (Blanchard, Higham & Higham, IMA J. Numer.
//! Anal. 41(4), 2021). The sum is the left fold of [`crate::num::sum`].
//!
//! Special values: a score of −∞ has probability +0, exactly. A row of nothing but −∞ has no key to attend
//! to: all its probabilities are 0 (PyTorch and ONNX agree). NaN or +∞ anywhere makes the row NaN.

use super::parameters::parameters;
use super::question::{Answer, Question, answer_out, axis_index};
use crate::error::Result;
use crate::eval::{Evaluator, Role};
use crate::linalg::arrays::{elements, in_order};
use crate::num::{Dtype, Real, divide_each, maximum, round_each, rounded_sum, subtract_each};
use ndarray::ArrayD;

/// Softmax of one row in place. Each intermediate is rounded to `inner`; the scalar's own format rounds nothing more.
///
/// ```
/// // exp(ln 3) = 3: the probabilities are 1/4 and 3/4, and a masked score has none.
/// let mut row = [0.0, 3f64.ln(), f64::NEG_INFINITY];
/// goldref_reference::ops::softmax::softmax(&mut row, goldref_reference::num::Dtype::F64);
/// assert!((row[0] - 0.25).abs() < 1e-15 && row[2] == 0.0);
/// ```
pub fn softmax<T: Real>(row: &mut [T], inner: Dtype) {
    softmax_with_sink(row, None, inner);
}

/// Softmax of one row with one more score, the attention sink, in the denominator only
/// (Xiao et al., arXiv:2309.17453; a learned logit a head in GPT-OSS):
/// `pⱼ = exp(sⱼ - m) / (exp(sink - m) + Σₗ exp(sₗ - m))`, `m = max(s, sink)`.
pub fn softmax_with_sink<T: Real>(row: &mut [T], sink: Option<T>, inner: Dtype) {
    // m = max s
    let mut m = maximum(row);
    if let Some(sink) = sink
        && (sink > m || sink.is_nan())
    {
        m = sink;
    }
    if m == T::NEG_INFINITY {
        row.fill(T::ZERO);
        return;
    }
    // exp(s - m)
    subtract_each(row, m);
    round_each(row, inner);
    T::exp_each(row);
    round_each(row, inner);
    // Σ exp(s - m)
    let of_sink = match sink {
        Some(sink) => (sink - m).round_to(inner).exp().round_to(inner),
        None => T::ZERO,
    };
    let sum = rounded_sum(of_sink, row, inner);
    // the quotient
    divide_each(row, sum);
    round_each(row, inner);
}

/// Logarithm of the softmax of one row in place.
pub fn log_softmax<T: Real>(row: &mut [T], inner: Dtype) {
    // m = max s
    let m = maximum(row);
    // s - m
    subtract_each(row, m);
    round_each(row, inner);
    // ln Σ exp(s - m)
    let mut exponentials = row.to_vec();
    T::exp_each(&mut exponentials);
    round_each(&mut exponentials, inner);
    let log_sum = rounded_sum(T::ZERO, &exponentials, inner).ln().round_to(inner);
    // (s - m) - ln Σ
    subtract_each(row, log_sum);
    round_each(row, inner);
}

parameters! {
    struct Params {
        axis: i64 = -1,
    }
}

/// The operation as a question: `x` → `out`.
pub(super) fn ask<T: Real>(question: &Question, eval: &mut Evaluator) -> Result<Answer> {
    along_axis(question, eval, softmax::<T>)
}

/// The logarithm as a question: `x` → `out`.
pub(super) fn ask_log<T: Real>(question: &Question, eval: &mut Evaluator) -> Result<Answer> {
    along_axis(question, eval, log_softmax::<T>)
}

/// What both as a question are asked with.
#[derive(Debug)]
pub(crate) struct SoftmaxInputs<T> {
    pub(crate) x: ArrayD<T>,
    /// An index below the number of axes.
    pub(crate) axis: usize,
}

impl<T: Real> SoftmaxInputs<T> {
    pub(crate) fn read(question: &Question, eval: &Evaluator) -> Result<Self> {
        let params: Params = question.read()?;
        let x: ArrayD<T> = question.activation("x", eval)?;
        let axis = axis_index(params.axis, x.ndim())?;
        Ok(Self { x, axis })
    }
}

fn along_axis<T: Real>(question: &Question, eval: &mut Evaluator, row: fn(&mut [T], Dtype)) -> Result<Answer> {
    let SoftmaxInputs { mut x, axis } = SoftmaxInputs::read(question, eval)?;
    // The axis last, each row in one piece, and back.
    let last = x.ndim() - 1;
    x.swap_axes(axis, last);
    let mut rows = in_order(x);
    let width = rows.shape()[last].max(1);
    for values in elements(&mut rows).chunks_exact_mut(width) {
        row(values, eval.numerics().softmax);
    }
    rows.swap_axes(axis, last);
    let x = in_order(rows);
    Ok(answer_out(eval.at("out", Role::Activation, x)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;
    use proptest::prelude::*;

    #[test]
    fn two_scores_a_logarithm_apart() {
        // exp(ln 3) = 3: probabilities 1/4 and 3/4.
        let mut row = [0.0, 3f64.ln()];
        softmax(&mut row, Dtype::F64);
        assert_relative_eq!(row[0], 0.25, max_relative = 1e-15);
        assert_relative_eq!(row[1], 0.75, max_relative = 1e-15);
        let mut row = [0.0, 3f64.ln()];
        log_softmax(&mut row, Dtype::F64);
        assert_relative_eq!(row[0], 0.25f64.ln(), max_relative = 1e-15);
    }

    #[test]
    fn special_rows() {
        let inf = f64::INFINITY;
        let of = |mut row: Vec<f64>| {
            softmax(&mut row, Dtype::F64);
            row
        };
        assert_eq!(of(vec![-inf, -inf]), [0.0, 0.0]);
        assert_eq!(of(vec![-inf, 5.0]), [0.0, 1.0]);
        assert_eq!(of(vec![1000.0, 1000.0]), [0.5, 0.5]);
        assert!(of(vec![f64::NAN, 1.0]).iter().all(|p| p.is_nan()));
        assert!(of(vec![inf, 1.0]).iter().any(|p| p.is_nan()));
        assert!(of(vec![]).is_empty());
    }

    #[test]
    fn a_sink_takes_its_share() {
        let mut row = [0.0, 0.0];
        softmax_with_sink(&mut row, Some(2f64.ln()), Dtype::F64);
        assert_relative_eq!(row[0], 0.25, max_relative = 1e-15);
        let mut row = [f64::NEG_INFINITY];
        softmax_with_sink(&mut row, Some(0.0), Dtype::F64);
        assert_eq!(row, [0.0]);
    }

    proptest! {
        #[test]
        fn rows_sum_to_one_and_a_shift_changes_nothing(row in prop::collection::vec(-50.0f64..50.0, 1..40), shift in -1000i32..1000) {
            let mut p = row.clone();
            softmax(&mut p, Dtype::F64);
            prop_assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-14);
            // Scores on a grid of 2^-20 stay exact under a whole shift, so the bits must be the same.
            let grid: Vec<f64> = row.iter().map(|s| (s * 1048576.0).round() / 1048576.0).collect();
            let (mut a, mut b) = (grid.clone(), grid.iter().map(|s| s + f64::from(shift)).collect::<Vec<_>>());
            softmax(&mut a, Dtype::F64);
            softmax(&mut b, Dtype::F64);
            prop_assert_eq!(a, b);
        }
    }
}
