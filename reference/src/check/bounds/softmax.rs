//! Softmax and its logarithm.
//!
//! With an error `εⱼ`, `|εⱼ| ≤ eⱼ`, in the exponent of each key, and roundings of the sum and the quotient,
//!
//! ```text
//! eⱼ = δⱼ + u (zⱼ + 2 max δ) + (c + 1) u (1 + rescalings)     zⱼ = m - sⱼ,  m = max s
//! W: pⱼ ((1 + Eⱼ)(1 + g) / (1 - Ē - g) - 1)                    Eⱼ = exp(eⱼ) - 1,  Ē = Σ pⱼ Eⱼ,  g = (n + 2) u
//! C: φ(max e) pⱼ ((1 - pⱼ) eⱼ + Σₗ≠ⱼ pₗ eₗ) + g pⱼ              φ(a) = (exp(4a) - 1) / 4a
//! ```
//! W is that of Blanchard, Higham & Higham (IMA J. Numer. Anal. 41(4), 2021, theorem 3.2) with errors in the scores. C follows
//! the path `p(t) = softmax(s + tε)`: `ṗⱼ = pⱼ(t) (εⱼ - Σ pₗ(t) εₗ)` and `p(t) ≤ exp(2ta) p`, `a = max e`, so the mean of
//! `exp(4ta)` over the path bounds it. A shift common to all scores changes nothing, which W does not know. Probabilities lie
//! between 0 and 1, which caps both.
//!
//! Rescalings: an evaluation by blocks of keys multiplies what it has by `exp(m - m')` whenever the maximum grows; in the
//! order of the keys, or from their end, that is at most the number of times a new maximum comes up.

use super::radius::{FUNCTION, Radius, Steps, repetition};
use super::{Bounded, BoundedAnswer, Shared};
use crate::error::Result;
use crate::eval::{Evaluator, Numerics};
use crate::num::Dtype;
use crate::ops::question::Question;
use crate::ops::softmax::{self, SoftmaxInputs};

/// One row of probabilities and what is known of their errors.
pub(super) struct Row {
    /// Exact probabilities; the sink's is not among them.
    pub(super) probs: Vec<f64>,
    /// Error in each exponent.
    pub(super) exponent: Vec<Radius>,
    /// Relative error that all probabilities of the row share: the sum.
    pub(super) common: Radius,
    /// Relative error of each quotient.
    pub(super) own: Radius,
    /// Probability of the sink and the error in its exponent.
    sink: (f64, Radius),
}

/// What is known of a row of scores; a score of −∞ is a key that is not there.
pub(super) fn row(scores: &[f64], radii: &[Radius], sink: Option<f64>, steps: &Steps) -> Row {
    let mut probs = scores.to_vec();
    softmax::softmax_with_sink(&mut probs, sink, Dtype::F64);
    let there = |j: usize| scores[j] > f64::NEG_INFINITY;
    let (mut keys, mut top, mut delta) = (usize::from(sink.is_some()), f64::NEG_INFINITY, 0.0);
    for (j, &score) in scores.iter().enumerate() {
        top = super::larger(top, score);
        if there(j) {
            keys += 1;
            delta = super::larger(delta, radii[j].worst);
        }
    }
    let top = sink.map_or(top, |sink| super::larger(top, sink));
    let rescalings = rescalings(scores);

    let u = steps.softmax.u;
    let exponent_of = |score: f64, radius: Radius| {
        let shifted = Radius::uniform(u * (top - score + 2.0 * delta));
        let function = Radius::several(1.0 + rescalings, (FUNCTION * steps.arithmetic.u) + u);
        radius.plus(shifted).plus(function)
    };
    let mut exponent = vec![Radius::NONE; scores.len()];
    for (j, exponent) in exponent.iter_mut().enumerate() {
        if there(j) {
            *exponent = exponent_of(scores[j], radii[j]);
        }
    }
    let sink = match sink {
        None => (0.0, Radius::NONE),
        Some(score) => (1.0 - probs.iter().sum::<f64>(), exponent_of(score, Radius::NONE)),
    };
    let additions = keys.saturating_sub(1) as f64;
    let size = additions * u;
    // The partial sums of n probabilities in order, squared and summed: at most n, and n/3 where they are alike.
    let common = Radius { variance: repetition(&probs) * additions * u * u / 3.0, ..Radius::uniform(size) };
    let own = if keys > 1 { Radius::several(2.0, u) } else { Radius::NONE };
    Row { probs, exponent, common, own, sink }
}

/// How often a new maximum comes up, from the front or from the back, whichever is more.
fn rescalings(scores: &[f64]) -> f64 {
    let records = |from_the_end: usize| {
        let (mut top, mut records) = (f64::NEG_INFINITY, 0usize);
        for at in 0..scores.len() {
            let score = scores[at.abs_diff(from_the_end)];
            if score > top {
                top = score;
                records += 1;
            }
        }
        records.saturating_sub(1)
    };
    records(0).max(records(scores.len().saturating_sub(1))) as f64
}

impl Row {
    /// The largest error of an exponent.
    pub(super) fn largest(&self) -> f64 {
        let mut largest = self.sink.1.worst;
        for exponent in &self.exponent {
            largest = super::larger(largest, exponent.worst);
        }
        largest
    }

    /// Factor of the worst case on each probability: `(1 + E)(1 + g) / (1 - Ē - g) - 1`, infinite where the denominator fails.
    pub(super) fn relative_worst(&self) -> Vec<f64> {
        let g = self.common.worst + self.own.worst;
        let mut mean = 0.0;
        for (p, e) in self.probs.iter().zip(&self.exponent) {
            mean += p * e.worst.exp_m1();
        }
        mean += self.sink.0 * self.sink.1.worst.exp_m1();
        let rest = 1.0 - mean - g;
        let mut factors = Vec::with_capacity(self.exponent.len());
        for e in &self.exponent {
            factors.push(if rest > 0.0 { e.worst.exp() * (1.0 + g) / rest - 1.0 } else { f64::INFINITY });
        }
        factors
    }

    /// The error of each probability, not yet stored.
    pub(super) fn radii(&self) -> Vec<Radius> {
        let phi = growth(4.0 * self.largest());
        let (mut mean_exponent, mut mean_variance) = (0.0, 0.0);
        for (p, e) in self.probs.iter().zip(&self.exponent) {
            mean_exponent += p * e.centred;
            mean_variance += p * p * e.variance;
        }
        mean_exponent += self.sink.0 * self.sink.1.centred;
        mean_variance += self.sink.0.powi(2) * self.sink.1.variance;
        let worst = self.relative_worst();
        let shared = self.common.plus(self.own);
        let mut radii = vec![Radius::NONE; self.probs.len()];
        for (j, radius) in radii.iter_mut().enumerate() {
            let (p, e) = (self.probs[j], &self.exponent[j]);
            if p == 0.0 && e.worst == 0.0 {
                continue;
            }
            // No probability leaves [0, 1] but by the rounding of its quotient.
            let cap = super::larger(p, 1.0 - p) + shared.worst;
            let others = mean_exponent - p * e.centred;
            let moved = p * ((1.0 - p) * e.centred + others);
            // Without a limit on φ or the factor anything is possible, even from a probability that is 0 in f64.
            let times = |factor: f64, size: f64| if factor.is_finite() { factor * size } else { f64::INFINITY };
            let centred = times(phi, moved) + p * shared.centred * (1.0 + shared.centred);
            *radius = Radius {
                worst: super::smaller(times(worst[j], p), cap),
                centred: super::smaller(centred, cap),
                variance: p
                    * p
                    * ((1.0 - p).powi(2) * e.variance + mean_variance - p * p * e.variance + shared.variance),
            };
        }
        radii
    }
}

/// `(exp(a) - 1) / a`.
pub(super) fn growth(a: f64) -> f64 {
    if a == 0.0 { 1.0 } else { a.exp_m1() / a }
}

/// Softmax as a question.
pub(super) fn ask(question: &Question, numerics: &Numerics) -> Result<BoundedAnswer> {
    let steps = Steps::of(numerics);
    along_axis(question, numerics, &|scores| {
        let row = row(scores, &vec![Radius::NONE; scores.len()], None, &steps);
        let radii = row.radii();
        (row.probs, radii)
    })
}

/// Its logarithm as a question.
///
/// `yⱼ = (sⱼ - m) - L`, `L = ln Σ exp(s - m)`: roundings of the shift, of the sum (relative, hence absolute in L), of the
/// logarithm and of the difference.
pub(super) fn ask_log(question: &Question, numerics: &Numerics) -> Result<BoundedAnswer> {
    let steps = Steps::of(numerics);
    along_axis(question, numerics, &|scores| {
        let row = row(scores, &vec![Radius::NONE; scores.len()], None, &steps);
        let mut values = scores.to_vec();
        softmax::log_softmax(&mut values, Dtype::F64);
        let (mut top, mut largest, mut summed) = (f64::NEG_INFINITY, 0.0, Radius::NONE);
        for (j, &p) in row.probs.iter().enumerate() {
            top = super::larger(top, scores[j]);
            largest = super::larger(largest, p);
            summed = summed.plus(row.exponent[j].times(p));
        }
        let (u, log_sum) = (steps.softmax.u, largest.ln().abs());
        let logarithm = Radius::uniform((FUNCTION * steps.arithmetic.u + u) * log_sum);
        let shared = summed.times(growth(2.0 * row.largest())).plus(row.common).plus(logarithm);
        let mut radii = Vec::with_capacity(values.len());
        for (score, value) in scores.iter().zip(&values) {
            radii.push(shared.plus(Radius::uniform(u * (top - score))).plus(Radius::uniform(u * value.abs())));
        }
        (values, radii)
    })
}

fn along_axis(
    question: &Question,
    numerics: &Numerics,
    of_row: &dyn Fn(&[f64]) -> (Vec<f64>, Vec<Radius>),
) -> Result<BoundedAnswer> {
    let SoftmaxInputs { x, axis } = SoftmaxInputs::<f64>::read(question, &Evaluator::new(*numerics))?;
    let mut bounded = Bounded::exact(&x);
    let (width, inner) = (x.shape()[axis], x.shape()[axis + 1..].iter().product::<usize>());
    let mut row = vec![0.0; width];
    for first in 0..x.len() / width.max(1) {
        // A row begins at each index of the axes before and after, and steps over the latter.
        let begin = first / inner * width * inner + first % inner;
        for (i, x) in row.iter_mut().enumerate() {
            *x = bounded.value[begin + i * inner];
        }
        let (values, radii) = of_row(&row);
        for i in 0..width {
            let at = begin + i * inner;
            (bounded.value[at], bounded.radius[at]) = (values[i], radii[i]);
        }
    }
    let bounded = bounded.stored(Steps::of(numerics).activations);
    let shared = if axis + 1 == x.ndim() { bounded.shared } else { Shared::All };
    Ok(super::out(bounded.sharing(shared)))
}
