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
    let keys = (0..scores.len()).filter(|&j| there(j)).count() + usize::from(sink.is_some());
    let top = scores.iter().copied().chain(sink).fold(f64::NEG_INFINITY, super::larger);
    let delta = (0..scores.len()).filter(|&j| there(j)).fold(0.0, |m, j| super::larger(m, radii[j].worst));
    let rescalings = rescalings(scores);

    let u = steps.softmax.u;
    let exponent_of = |score: f64, radius: Radius| {
        let shifted = Radius::uniform(u * (top - score + 2.0 * delta));
        let function = Radius::several(1.0 + rescalings, (FUNCTION * steps.arithmetic.u) + u);
        radius.plus(shifted).plus(function)
    };
    let exponent =
        (0..scores.len()).map(|j| if there(j) { exponent_of(scores[j], radii[j]) } else { Radius::NONE }).collect();
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
    let records = |scores: &mut dyn Iterator<Item = &f64>| {
        let mut top = f64::NEG_INFINITY;
        scores
            .filter(|&&s| {
                s > top && {
                    top = s;
                    true
                }
            })
            .count()
            .saturating_sub(1)
    };
    records(&mut scores.iter()).max(records(&mut scores.iter().rev())) as f64
}

impl Row {
    /// The largest error of an exponent.
    pub(super) fn largest(&self) -> f64 {
        self.exponent.iter().map(|e| e.worst).fold(self.sink.1.worst, super::larger)
    }

    /// Factor of the worst case on each probability: `(1 + E)(1 + g) / (1 - Ē - g) - 1`, infinite where the denominator fails.
    pub(super) fn relative_worst(&self) -> Vec<f64> {
        let g = self.common.worst + self.own.worst;
        let mean: f64 = self.probs.iter().zip(&self.exponent).map(|(p, e)| p * e.worst.exp_m1()).sum::<f64>()
            + self.sink.0 * self.sink.1.worst.exp_m1();
        let rest = 1.0 - mean - g;
        let factor = |e: &Radius| {
            if rest > 0.0 { e.worst.exp() * (1.0 + g) / rest - 1.0 } else { f64::INFINITY }
        };
        self.exponent.iter().map(factor).collect()
    }

    /// The error of each probability, not yet stored.
    pub(super) fn radii(&self) -> Vec<Radius> {
        let phi = growth(4.0 * self.largest());
        let mean = |f: fn(&Radius) -> f64| -> f64 {
            self.probs.iter().zip(&self.exponent).map(|(p, e)| p * f(e)).sum::<f64>() + self.sink.0 * f(&self.sink.1)
        };
        let (mean_exponent, mean_variance) = (mean(|e| e.centred), {
            let squares = self.probs.iter().zip(&self.exponent).map(|(p, e)| p * p * e.variance).sum::<f64>();
            squares + self.sink.0.powi(2) * self.sink.1.variance
        });
        let worst = self.relative_worst();
        let shared = self.common.plus(self.own);
        self.probs
            .iter()
            .zip(&self.exponent)
            .zip(worst)
            .map(|((&p, e), relative)| {
                if p == 0.0 && e.worst == 0.0 {
                    return Radius::NONE;
                }
                // No probability leaves [0, 1] but by the rounding of its quotient.
                let cap = super::larger(p, 1.0 - p) + shared.worst;
                let others = mean_exponent - p * e.centred;
                let moved = p * ((1.0 - p) * e.centred + others);
                // Without a limit on φ or the factor anything is possible, even from a probability that is 0 in f64.
                let times = |factor: f64, size: f64| if factor.is_finite() { factor * size } else { f64::INFINITY };
                let centred = times(phi, moved) + p * shared.centred * (1.0 + shared.centred);
                Radius {
                    worst: super::smaller(times(relative, p), cap),
                    centred: super::smaller(centred, cap),
                    variance: p
                        * p
                        * ((1.0 - p).powi(2) * e.variance + mean_variance - p * p * e.variance + shared.variance),
                }
            })
            .collect()
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
        row.probs.iter().copied().zip(row.radii()).collect()
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
        let top = scores.iter().copied().fold(f64::NEG_INFINITY, super::larger);
        let log_sum = row.probs.iter().map(|&p| if p > 0.0 { p } else { 0.0 }).fold(0.0, super::larger).ln().abs();
        let u = steps.softmax.u;
        let summed = row.probs.iter().zip(&row.exponent).map(|(&p, e)| e.times(p)).fold(Radius::NONE, Radius::plus);
        let logarithm = Radius::uniform((FUNCTION * steps.arithmetic.u + u) * log_sum);
        let shared = summed.times(growth(2.0 * row.largest())).plus(row.common).plus(logarithm);
        let radius = |score: f64, value: f64| {
            shared.plus(Radius::uniform(u * (top - score))).plus(Radius::uniform(u * value.abs()))
        };
        scores.iter().zip(&values).map(|(&score, &value)| (value, radius(score, value))).collect()
    })
}

fn along_axis(
    question: &Question,
    numerics: &Numerics,
    of_row: &dyn Fn(&[f64]) -> Vec<(f64, Radius)>,
) -> Result<BoundedAnswer> {
    let SoftmaxInputs { x, axis } = SoftmaxInputs::<f64>::read(question, &Evaluator::new(*numerics))?;
    let mut bounded = Bounded::exact(&x);
    let (width, inner) = (x.shape()[axis], x.shape()[axis + 1..].iter().product::<usize>());
    for first in 0..x.len() / width.max(1) {
        // A row begins at each index of the axes before and after, and steps over the latter.
        let begin = first / inner * width * inner + first % inner;
        let places = || (0..width).map(|i| begin + i * inner);
        let row: Vec<f64> = places().map(|at| bounded.value[at]).collect();
        for (at, pair) in places().zip(of_row(&row)) {
            (bounded.value[at], bounded.radius[at]) = pair;
        }
    }
    let bounded = bounded.stored(Steps::of(numerics).activations);
    let shared = if axis + 1 == x.ndim() { bounded.shared } else { Shared::All };
    Ok(super::out(bounded.sharing(shared)))
}
