//! Rotations by other angles, of other pairs, of other tensors.

use super::{D, Sites, Table};
use crate::num::core_math;
use crate::num::{Dtype, round_f64};
use crate::ops::rope::{RopeLayout, RopeSpec, inv_freq};
use ndarray::{Array2, Array4, ArrayD, s};

const HERE: [D; 14] = [
    D::MixedConventions,
    D::Exponent,
    D::PartialDim,
    D::HeadsAsPositions,
    D::FirstHeadOnly,
    D::SignFlipped,
    D::KeysNotRotated,
    D::KeysOneAhead,
    D::BothOneAhead,
    D::HalvesCrossed,
    D::TablesOfOtherOffset,
    D::PositionsInBf16,
    D::FrequenciesInBf16,
    D::QkNormAfterRope,
];

fn in_bf16(x: f64) -> f64 {
    round_f64(x, Dtype::Bf16)
}

impl Sites<'_> {
    pub(super) fn wrong_rotation(&mut self, site: &str) -> Option<ArrayD<f64>> {
        if !self.any(&HERE) {
            return None;
        }
        let keys = site == "attn.k_rope";
        let mut x = self.last4(if keys { &["attn.k", "attn.k_norm"] } else { &["attn.q", "attn.q_norm"] })?;
        if self.has(D::HalvesCrossed) && !keys {
            let half = self.rope()?.rotary_dim / 2;
            let k = self.last4(&["attn.k", "attn.k_norm"])?;
            if k.dim() == x.dim() {
                x.slice_mut(s![.., .., .., ..half]).assign(&k.slice(s![.., .., .., ..half]));
            }
        }
        let now = self.now();
        let rotated = self.turn(x, &now, if keys { 'k' } else { 'q' })?;
        let normed = self.has(D::QkNormAfterRope).then(|| self.right_qk_norm(rotated.clone(), keys)).flatten();
        Some(normed.unwrap_or(rotated).into_dyn())
    }

    /// `x` rotated to `positions`; the role is q, k or v.
    pub(super) fn turn(&mut self, x: Array4<f64>, positions: &Array2<i64>, role: char) -> Option<Array4<f64>> {
        let rope = self.rope()?;
        if role == 'k' && self.has(D::KeysNotRotated) {
            return Some(x);
        }
        let (batch, heads, len, _) = x.dim();
        let (frequencies, factor) = self.frequencies(rope, positions);
        let ahead = self.has(D::BothOneAhead) || (role == 'k' && self.has(D::KeysOneAhead));
        let angle = |b: usize, h: usize, t: usize, i: usize| {
            let position = if self.has(D::HeadsAsPositions) { h as i64 } else { positions[[b, t]] };
            let position = position as f64 + if ahead { 1.0 } else { 0.0 };
            let position = if self.has(D::PositionsInBf16) { in_bf16(position) } else { position };
            position * frequencies[i]
        };
        let mut angles = Array4::zeros((batch, heads, len, frequencies.len()));
        for ((b, h, t, i), place) in angles.indexed_iter_mut() {
            *place = angle(b, h, t, i);
        }
        if self.has(D::TablesOfOtherOffset) {
            // Tables known by their length alone.
            let layer = self.layer?;
            let is_known =
                |(of_layer, of_role, known): &&Table| (*of_layer, *of_role, known.dim()) == (layer, role, angles.dim());
            match self.tables.iter().find(is_known) {
                Some((_, _, known)) => angles = known.clone(),
                None => self.tables.push((layer, role, angles.clone())),
            }
        }
        Some(self.rotate(&x, &angles, factor, rope))
    }

    fn frequencies(&self, rope: &RopeSpec, positions: &Array2<i64>) -> (Vec<f64>, f64) {
        let length = positions.iter().max().map_or(0, |&p| usize::try_from(p + 1).unwrap_or(0));
        let pairs = rope.rotary_dim / 2;
        let head_dim = self.attention().map_or(rope.rotary_dim, |attention| attention.head_dim);
        let (frequencies, factor) = if self.has(D::PartialDim) && head_dim != rope.rotary_dim {
            inv_freq(&RopeSpec { rotary_dim: head_dim, ..rope.clone() }, length)
        } else {
            inv_freq(rope, length)
        };
        let wrong = |frequency: f64| {
            let frequency = if self.has(D::Exponent) { frequency.sqrt() } else { frequency };
            if self.has(D::FrequenciesInBf16) { in_bf16(frequency) } else { frequency }
        };
        (frequencies.into_iter().take(pairs).map(|frequency| wrong(frequency.hi)).collect(), factor)
    }

    fn rotate(&self, x: &Array4<f64>, angles: &Array4<f64>, factor: f64, rope: &RopeSpec) -> Array4<f64> {
        let half = angles.dim().3;
        let mut y = x.clone();
        let (batch, heads, len, _) = x.dim();
        let sign = if self.has(D::SignFlipped) { -1.0 } else { 1.0 };
        let kept = |h: usize| self.has(D::FirstHeadOnly) && len == 1 && h > 0;
        for row in 0..batch * heads * len {
            let (b, h, t) = (row / (heads * len), row / len % heads, row % len);
            if kept(h) {
                continue;
            }
            let (from, table) = (x.slice(s![b, h, t, ..]), angles.slice(s![b, h, t, ..]));
            let mut to = y.slice_mut(s![b, h, t, ..]);
            let cos = |i: usize| core_math::cos(table[i]) * factor;
            let sin = |i: usize| sign * core_math::sin(table[i]) * factor;
            for place in 0..2 * half {
                // The other member of the pair, with the sign that it enters with.
                let (other, entering) = match rope.layout {
                    RopeLayout::HalfSplit if place < half => (place + half, -1.0),
                    RopeLayout::HalfSplit => (place - half, 1.0),
                    RopeLayout::Interleaved if place % 2 == 0 => (place + 1, -1.0),
                    RopeLayout::Interleaved => (place - 1, 1.0),
                };
                // Tables of one convention repeat what those of the other lay side by side.
                let by_halves = (rope.layout == RopeLayout::HalfSplit) != self.has(D::MixedConventions);
                let i = if by_halves { place % half } else { place / 2 };
                to[place] = from[place] * cos(i) + entering * from[other] * sin(i);
            }
        }
        y
    }
}
