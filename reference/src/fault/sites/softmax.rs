//! Softmax along another axis, with other terms, or by tiles that are not joined rightly.

use super::{D, Sites};
use crate::num::core_math;
use ndarray::{Array4, ArrayD, Axis};

const HERE: [D; 13] = [
    D::SoftmaxOverQueries,
    D::SoftmaxOverHeads,
    D::NoMaxShift,
    D::PlusOne,
    D::EpsInDenominator,
    D::Base2,
    D::SoftmaxTwice,
    D::OnlineWithoutRescale,
    D::TileTail,
    D::SplitMerge,
    D::Dropout,
    D::NanRows,
    D::AfterSoftmax,
];

/// Keys a tile: few, so that the lengths of small cases need several.
const TILE: usize = 4;

impl Sites<'_> {
    pub(super) fn wrong_probs(&self) -> Option<ArrayD<f64>> {
        if !self.any(&HERE) {
            return None;
        }
        let scores = self.last4(&["attn.masked_scores"])?;
        let axis = match self.which(&[D::SoftmaxOverQueries, D::SoftmaxOverHeads]) {
            Some(D::SoftmaxOverQueries) => 2,
            Some(_) => 1,
            None => 3,
        };
        let mut probs = scores.clone();
        for mut lane in probs.lanes_mut(Axis(axis)) {
            let wrong = self.lane(&lane.to_vec());
            lane.iter_mut().zip(wrong).for_each(|(p, wrong)| *p = wrong);
        }
        if self.has(D::SoftmaxTwice) {
            twice(&scores, &mut probs);
        }
        if self.has(D::Dropout) {
            // A tenth of them, and the same ones each time.
            for (p, at) in probs.iter_mut().zip(1u64..) {
                let kept = (at.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) % 10 != 0;
                *p = if kept { *p / 0.9 } else { 0.0 };
            }
        }
        if self.has(D::AfterSoftmax) {
            self.mask_probs(&mut probs);
        }
        Some(probs.into_dyn())
    }

    fn lane(&self, scores: &[f64]) -> Vec<f64> {
        if self.has(D::NoMaxShift) {
            let mut e = scores.to_vec();
            for e in &mut e {
                *e = f64::from(core_math::exp(*e as f32 as f64) as f32);
            }
            let total: f64 = e.iter().sum();
            return over(e, total);
        }
        if self.has(D::SplitMerge) {
            // Each part with its own softmax; the parts that have a key count alike.
            let (mut probs, mut count) = (Vec::with_capacity(scores.len()), 0);
            for part in scores.chunks(TILE) {
                let part = self.shifted(part);
                count += usize::from(part.iter().any(|p| *p > 0.0));
                probs.extend_from_slice(&part);
            }
            return over(probs, count.max(1) as f64);
        }
        self.shifted(scores)
    }

    /// Exponentials over their sum.
    fn shifted(&self, scores: &[f64]) -> Vec<f64> {
        let largest = |part: &[f64]| part.iter().fold(f64::NEG_INFINITY, |top, &s| if s > top { s } else { top });
        let finite = |top: f64| if top.is_finite() || self.has(D::NanRows) { top } else { 0.0 };
        let online = self.has(D::OnlineWithoutRescale);
        let top = |at: usize| {
            // A tile's keys keep the largest score up to the end of their tile.
            let end = if online { (at / TILE * TILE + TILE).min(scores.len()) } else { scores.len() };
            finite(largest(&scores[..end]))
        };
        let last = top(scores.len().saturating_sub(1));
        let power = |x: f64| if self.has(D::Base2) { core_math::exp2(x) } else { core_math::exp(x) };
        let whole = finite(largest(scores));
        let mut e = scores.to_vec();
        for (at, e) in e.iter_mut().enumerate() {
            *e = power(*e - if online { top(at) } else { whole });
        }
        let mut total: f64 = e.iter().sum();
        if self.has(D::PlusOne) {
            total += core_math::exp(-last);
        }
        if self.has(D::EpsInDenominator) {
            total += 1e-5;
        }
        if self.has(D::TileTail) {
            total += ((TILE - scores.len() % TILE) % TILE) as f64 * core_math::exp(-last);
        }
        let total = if total == 0.0 && !self.has(D::NanRows) { 1.0 } else { total };
        over(e, total)
    }
}

/// Each of them over `total`.
fn over(mut numbers: Vec<f64>, total: f64) -> Vec<f64> {
    for number in &mut numbers {
        *number /= total;
    }
    numbers
}

/// Softmax of the probabilities; masked keys stay out of the second one as well.
fn twice(scores: &Array4<f64>, probs: &mut Array4<f64>) {
    for (mut probs, scores) in probs.rows_mut().into_iter().zip(scores.rows()) {
        for (p, &s) in probs.iter_mut().zip(scores) {
            *p = if s > f64::NEG_INFINITY { core_math::exp(*p) } else { 0.0 };
        }
        let total: f64 = probs.sum();
        let total = if total == 0.0 { 1.0 } else { total };
        for p in &mut probs {
            *p /= total;
        }
    }
}
