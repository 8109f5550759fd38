//! Which keys are seen, and what stands in place of the others.

use super::{D, Sites};
use crate::num::core_math;
use crate::ops::alibi;
use ndarray::{Array2, Array4, ArrayD};

const HERE: [D; 18] = [
    D::TopLeft,
    D::Strict,
    D::NextToken,
    D::NoCausality,
    D::NoCausalityWithCache,
    D::FillMinusTen,
    D::FillMinusTenThousand,
    D::Multiplied,
    D::AfterSoftmax,
    D::Inverted,
    D::PaddingSeen,
    D::PaddingSeenInDecode,
    D::PaddingReversed,
    D::RowZeroPadding,
    D::RingOverwritten,
    D::SoftcapAfterMask,
    D::AlibiSlopes,
    D::AlibiOffset,
];

impl Sites<'_> {
    pub(super) fn wrong_masked_scores(&self) -> Option<ArrayD<f64>> {
        if !self.any(&HERE) {
            return None;
        }
        let attention = self.attention()?;
        let softcap_late = attention.softcap.filter(|_| self.has(D::SoftcapAfterMask));
        let sites: &[&str] =
            if softcap_late.is_some() { &["attn.scores"] } else { &["attn.scores", "attn.softcapped_scores"] };
        let mut scores = self.last4(sites)?;
        if attention.position == crate::model::spec::Position::Alibi {
            self.add_distances(&mut scores, attention.num_attention_heads);
        }
        let fill = match self.which(&[D::FillMinusTen, D::FillMinusTenThousand, D::Multiplied]) {
            Some(D::FillMinusTen) => -10.0,
            Some(D::FillMinusTenThousand) => -1e4,
            Some(_) => 0.0,
            None => f64::NEG_INFINITY,
        };
        if !self.has(D::AfterSoftmax) {
            let real = self.wrong_padding(scores.dim().3);
            for ((b, _, i, j), score) in scores.indexed_iter_mut() {
                if !self.allows(&real, b, i, j) {
                    *score = fill;
                }
            }
        }
        if let Some(softcap) = softcap_late {
            for score in &mut scores {
                *score = softcap * core_math::tanh(*score / softcap);
            }
        }
        Some(scores.into_dyn())
    }

    /// Where masking comes after the softmax.
    pub(super) fn mask_probs(&self, probs: &mut Array4<f64>) {
        let real = self.wrong_padding(probs.dim().3);
        for ((b, _, i, j), p) in probs.indexed_iter_mut() {
            if !self.allows(&real, b, i, j) {
                *p = 0.0;
            }
        }
    }

    /// Keys that are no padding. What stands before this request's own keys belongs to an earlier one, and is seen.
    fn wrong_padding(&self, kv_len: usize) -> Array2<bool> {
        let (batch, own) = self.real.dim();
        let stale = kv_len.saturating_sub(own);
        let seen = self.has(D::PaddingSeen) || (self.past_len() > 0 && self.has(D::PaddingSeenInDecode));
        let mut real = Array2::from_elem((batch, kv_len), true);
        for ((b, j), real) in real.indexed_iter_mut() {
            let Some(j) = j.checked_sub(stale) else { continue };
            let j = if self.has(D::PaddingReversed) && j < self.prompt { self.prompt - 1 - j } else { j };
            let b = if self.has(D::RowZeroPadding) { 0 } else { b };
            *real = seen || self.real[[b, j]];
        }
        real
    }

    /// Whether query `i` of this call sees key `j`.
    fn allows(&self, real: &Array2<bool>, b: usize, i: usize, j: usize) -> bool {
        let window = self.attention().and_then(|attention| attention.sliding_window).map(|window| window as i64);
        let kv_len = real.ncols() as i64;
        let own = kv_len - self.q_len as i64;
        let aligned = i as i64 + own;
        let shift = i64::from(self.has(D::NextToken)) - i64::from(self.has(D::Strict));
        let diagonal = if self.has(D::TopLeft) { aligned - self.past_len() as i64 } else { aligned } + shift;
        let skipped = self.has(D::NoCausality) || (self.past_len() > 0 && self.has(D::NoCausalityWithCache));
        let j_at = j as i64;
        let in_time = match window {
            // Written before they are read: every query finds the last keys of the call.
            Some(window) if self.has(D::RingOverwritten) && self.q_len as i64 > window => j_at > kv_len - 1 - window,
            Some(window) => (skipped || j_at <= diagonal) && j_at > aligned - window,
            None => skipped || j_at <= diagonal,
        };
        (in_time && real[[b, j]]) != self.has(D::Inverted)
    }

    /// ALiBi with its own slopes and distances.
    fn add_distances(&self, scores: &mut Array4<f64>, heads: usize) {
        let slopes = alibi::slopes::<f64>(heads);
        let power_of_two = heads.is_power_of_two();
        let offset = if self.has(D::AlibiOffset) { 1 } else { 0 };
        let past_len = self.past_len();
        for ((b, h, i, j), score) in scores.indexed_iter_mut() {
            let slope = if self.has(D::AlibiSlopes) {
                // One step off for a power of two, the formula of powers of two for another number.
                let step = h + usize::from(!power_of_two);
                core_math::exp2(-8.0 * step as f64 / heads as f64)
            } else {
                slopes[h]
            };
            let distance = self.positions[[b, past_len + i]] - self.positions[[b, j]] + offset;
            *score -= slope * distance as f64;
        }
    }
}
