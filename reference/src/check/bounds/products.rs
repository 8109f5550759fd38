//! Products: linear, matmul, gemm.
//!
//! ```text
//! y = Σₖ xₖ wₖ         |ŷ - y| ≤ n u Σ |xₖ wₖ|                       for each order of the n terms
//! sd(ŷ)² = u²/3 · max( Σₖ sₖ²,  n/2 · Σ xₖ² wₖ² )                    sₖ the partial sums in ascending order
//! ```
//! The first without a condition on n·u (Jeannerod & Rump, SIAM J. Matrix Anal. Appl. 34(2), 2013); it holds for
//! fused multiply-adds too. The second is the running error of the ascending order (Higham, *Accuracy and
//! Stability*, 2nd ed., section 3.3), with what random signs give in another order as its floor. Errors of the
//! operands add `|x| δw + |w| δx + δx δw`.

use super::radius::{Radius, Step, Steps};
use super::{Bounded, BoundedAnswer, Shared};
use crate::error::Result;
use crate::eval::{Evaluator, Numerics};
use crate::linalg::arrays::{into_values, values};
use crate::ops::linear::{Linear, LinearInputs};
use crate::ops::matmul::{self, GemmInputs};
use crate::ops::question::Question;
use ndarray::{Array1, Array2};

/// The sum of the products of two rows, and its error.
#[derive(Debug, Default)]
pub(super) struct Dot {
    value: f64,
    /// Errors that the operands brought.
    inherited: Radius,
    /// Σ (|x| + δx) (|w| + δw)
    magnitude: f64,
    /// Σ x² w²
    squares: f64,
    /// Σ of the squared partial sums.
    partial_squares: f64,
    terms: usize,
}

impl Dot {
    /// One more term; a product that is exactly zero takes part in no rounding.
    #[inline]
    pub(super) fn add(&mut self, (x, dx): (f64, Radius), (w, dw): (f64, Radius), operands: Step) {
        let term = x * w;
        let magnitude = (x.abs() + dx.worst) * (w.abs() + dw.worst);
        if magnitude == 0.0 {
            return;
        }
        self.value = x.mul_add(w, self.value);
        self.inherited = self.inherited.plus(Radius {
            worst: magnitude - term.abs(),
            centred: (x.abs() + dx.centred) * (w.abs() + dw.centred) - term.abs(),
            variance: w * w * dx.variance + x * x * dw.variance,
        });
        if operands != Step::NONE {
            // Both operands are rounded: (1 + u)² - 1.
            let size = operands.u * (2.0 + operands.u) * magnitude;
            self.inherited = self
                .inherited
                .plus(Radius { variance: 2.0 * (operands.u * term).powi(2) / 3.0, ..Radius::uniform(size) });
        }
        self.magnitude += magnitude;
        self.squares += term * term;
        self.partial_squares += self.value * self.value;
        self.terms += 1;
    }

    /// The value and its error after summing in `step`.
    pub(super) fn finish(self, step: Step) -> (f64, Radius) {
        let terms = self.terms as f64;
        let size = terms * (step.u * self.magnitude + step.floor);
        let spread = self.partial_squares.max(0.5 * terms * self.squares) + terms * (step.floor / step.u).powi(2);
        let summed = Radius { worst: size, centred: size, variance: step.u * step.u / 3.0 * spread };
        (self.value, self.inherited.plus(summed))
    }
}

/// `x W + b` over the last axis, not yet stored.
pub(super) fn linear(x: &Bounded, layer: &Linear<f64>, steps: &Steps) -> Bounded {
    let (width, outputs) = layer.weight.dim();
    let rows = x.value.len() / width.max(1);
    // [out, in]: each output reads its weights in turn.
    let weights: Vec<f64> = layer.weight.to_array().t().iter().copied().collect();
    let mut out = Vec::with_capacity(rows * outputs);
    for row in 0..rows {
        let factors = row * width..(row + 1) * width;
        for o in 0..outputs {
            let mut dot = Dot::default();
            for (at, &weight) in factors.clone().zip(&weights[o * width..][..width]) {
                dot.add(x.pair(at), (weight, Radius::NONE), steps.operands);
            }
            let (mut value, mut radius) = dot.finish(steps.accumulator);
            if let Some(bias) = &layer.bias {
                // Some store the product before the bias is added.
                radius = radius.rounded(value, steps.activations);
                value += bias[o];
                radius = radius.rounded(value, steps.arithmetic);
            }
            out.push((value, radius));
        }
    }
    let mut shape = x.shape.clone();
    let last = shape.len() - 1;
    shape[last] = outputs;
    Bounded::from_pairs(&shape, out)
}

/// [`crate::ops::linear`] as a question.
pub(super) fn ask_linear(question: &Question, numerics: &Numerics) -> Result<BoundedAnswer> {
    let steps = Steps::of(numerics);
    let LinearInputs { x, layer } = LinearInputs::<f64>::read(question, &Evaluator::new(*numerics))?;
    Ok(super::out(linear(&Bounded::exact(&x), &layer, &steps).stored(steps.activations)))
}

/// A matrix product of two matrices without errors of their own.
fn product(a: Array2<f64>, b: Array2<f64>, steps: &Steps) -> Bounded {
    let layer = Linear { weight: b.into(), bias: None::<Array1<f64>> };
    linear(&Bounded::exact(&a.into_dyn()), &layer, steps)
}

/// [`crate::ops::matmul::matmul`] as a question.
pub(super) fn ask_matmul(question: &Question, numerics: &Numerics) -> Result<BoundedAnswer> {
    let steps = Steps::of(numerics);
    let (a, b) = matmul::read::<f64>(question, &Evaluator::new(*numerics))?;
    let mut radii: Vec<Radius> = Vec::new();
    // The same batches and shapes as the value; each product hands its radii over in that order.
    let value = matmul::matmul_with(&a, &b, &mut |a: ndarray::ArrayView2<f64>, b: ndarray::ArrayView2<f64>| {
        let bounded = product(a.to_owned(), b.to_owned(), &steps);
        radii.extend_from_slice(&bounded.radius);
        Array2::from_shape_vec((a.nrows(), b.ncols()), bounded.value)
            .expect("a row for each of a, a column for each of b")
    })?;
    let shape = value.shape().to_vec();
    Ok(super::out(Bounded::new(&shape, into_values(value), radii).stored(steps.activations)))
}

/// [`crate::ops::matmul`]'s general form as a question: `alpha · a b + beta · c`.
pub(super) fn ask_gemm(question: &Question, numerics: &Numerics) -> Result<BoundedAnswer> {
    let steps = Steps::of(numerics);
    let GemmInputs { a, b, c, alpha, beta } = GemmInputs::<f64>::read(question, &Evaluator::new(*numerics))?;
    let shape = (a.nrows(), b.ncols());
    let mut out = product(a, b, &steps);
    // The factors are constants of the arithmetic: one rounding of the constant, one of the product.
    if alpha != 1.0 {
        out = out.map(|value, radius| {
            let value = alpha * value;
            (value, radius.times(alpha).rounded(value, steps.arithmetic).rounded(value, steps.arithmetic))
        });
    }
    if let Some(c) = c {
        let scaled = |x: f64| Radius::several(2.0, steps.arithmetic.u * (beta * x).abs());
        let c = c.broadcast(shape).map_or_else(|| Array2::zeros(shape), |c| c.to_owned());
        for ((value, radius), c) in out.value.iter_mut().zip(&mut out.radius).zip(values(&c).iter()) {
            *value += beta * c;
            *radius = radius.plus(scaled(*c)).rounded(*value, steps.arithmetic);
        }
    }
    // The factors are one rounded constant for all.
    Ok(super::out(out.stored(steps.activations).sharing(Shared::All)))
}
