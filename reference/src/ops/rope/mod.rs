//! Rotary position embedding (Su et al., RoFormer, arXiv:2104.09864).
//!
//! ```text
//! inv_freq[i] = rope_theta^(-2i/rotary_dim)                  i = 0 … rotary_dim/2 - 1
//! angle       = position · inv_freq[i]
//! (a, b)      → (a · cos angle - b · sin angle,  b · cos angle + a · sin angle)
//! ```
//! for each pair `(a, b)` of the layout. Scalings change `inv_freq` and may put a factor on cos and sin;
//! their formulas are those of Hugging Face's `modeling_rope_utils.py`, cited at each one.
//!
//! Accuracy: an angle carries the rounding of `inv_freq` times the position; in f32 a rotation at position 5000
//! would be off by 3e-4, and in f64 one at 10⁶ by 5e-11. Frequencies and angles are therefore double-double numbers,
//! for every scalar, and the tables are rounded once.

mod question;

pub(super) use question::ask;
pub(crate) use question::{RopeInputs, TableSource};

use crate::eval::{Evaluator, Role};
use crate::linalg::arrays::{copied, elements, shaped, values};
use crate::num::core_math;
use crate::num::parallel::in_pieces;
use crate::num::{DoubleDouble, Real, round_f64};
use ndarray::{Array2, Array3, Array4, Ix3};
use std::f64::consts::PI;

/// What a rotary embedding computes.
#[derive(Debug, Clone, PartialEq)]
pub struct RopeSpec {
    /// Which components of a head form a pair.
    pub layout: RopeLayout,
    /// Components rotated, from the front; the rest passes unchanged (partial rotary).
    pub rotary_dim: usize,
    /// Base of the frequencies: `inv_freq[i] = rope_theta^(-2i/rotary_dim)`.
    pub rope_theta: f64,
    /// How the frequencies are stretched for longer contexts.
    pub scaling: RopeScaling,
}

/// Which two components are rotated together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RopeLayout {
    /// `(i, i + rotary_dim/2)`: GPT-NeoX, Llama in Hugging Face (`rotate_half`).
    HalfSplit,
    /// `(2i, 2i + 1)`: the original RoFormer, GPT-J, Cohere, GLM.
    Interleaved,
}

/// Changes of `inv_freq` for contexts longer than the trained one. Field names are Hugging Face's.
#[derive(Debug, Clone, PartialEq)]
pub enum RopeScaling {
    /// As trained.
    None,
    /// All frequencies divided by `factor`.
    Linear {
        /// Stretch.
        factor: f64,
    },
    /// NTK by parts as in Llama 3.1.
    Llama3 {
        /// Stretch of the slow frequencies.
        factor: f64,
        /// Wavelengths above `original / low_freq_factor` are stretched fully.
        low_freq_factor: f64,
        /// Wavelengths below `original / high_freq_factor` are kept.
        high_freq_factor: f64,
        /// Context length of the training.
        original_max_position_embeddings: f64,
    },
    /// YaRN (Peng et al., arXiv:2309.00071).
    Yarn {
        /// Stretch.
        factor: f64,
        /// Factor on cos and sin, already worked out from `attention_factor`, `mscale`, `mscale_all_dim`.
        attention_factor: f64,
        /// Rotations above which a frequency is kept.
        beta_fast: f64,
        /// Rotations below which a frequency is stretched fully.
        beta_slow: f64,
        /// Context length of the training.
        original_max_position_embeddings: f64,
        /// Whether the correction range is rounded to whole dimensions.
        truncate: bool,
    },
    /// NTK-aware base change that grows with the length seen (`dynamic`).
    Dynamic {
        /// Stretch.
        factor: f64,
        /// Length up to which nothing changes.
        max_position_embeddings: f64,
    },
    /// Phi-3's `longrope`: a factor for each frequency, one list up to the trained length and one beyond it.
    LongRope {
        /// Divisors of `inv_freq` while the length is at most the original one.
        short_factor: Vec<f64>,
        /// Divisors beyond it.
        long_factor: Vec<f64>,
        /// Factor on cos and sin.
        attention_factor: f64,
        /// Context length of the training.
        original_max_position_embeddings: f64,
    },
}

/// Cosines and sines `[batch, len, rotary_dim/2]` of each token's angles.
#[derive(Debug, Clone, PartialEq)]
pub struct RopeTables<T> {
    /// Cosines, times the scaling's attention factor.
    pub cos: Array3<T>,
    /// Sines, times the scaling's attention factor.
    pub sin: Array3<T>,
}

/// `inv_freq` `[rotary_dim/2]` for a call whose largest position is `length - 1`, and the factor on cos and sin.
///
/// ```
/// use goldref_reference::ops::rope::{RopeLayout, RopeScaling, RopeSpec, inv_freq};
/// // 10000^0 = 1 and 10000^(-2/4) = 1/100.
/// let spec = RopeSpec { layout: RopeLayout::HalfSplit, rotary_dim: 4, rope_theta: 10000.0, scaling: RopeScaling::None };
/// let (freq, _) = inv_freq(&spec, 1);
/// assert_eq!((freq[0].hi, freq[1].hi), (1.0, 0.01));
/// ```
pub fn inv_freq(spec: &RopeSpec, length: usize) -> (Vec<DoubleDouble>, f64) {
    let dim = spec.rotary_dim;
    match &spec.scaling {
        RopeScaling::None => (unscaled(spec.rope_theta, dim), 1.0),
        RopeScaling::Linear { factor } => {
            let factor = DoubleDouble::from(*factor);
            (unscaled(spec.rope_theta, dim).into_iter().map(|freq| freq / factor).collect(), 1.0)
        }
        RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_position_embeddings } => {
            let [factor, low, high, original] =
                [*factor, *low_freq_factor, *high_freq_factor, *original_max_position_embeddings]
                    .map(DoubleDouble::from);
            let scaled = |freq: DoubleDouble| {
                let turns = original * freq / (DoubleDouble::PI + DoubleDouble::PI);
                if turns.hi < low.hi {
                    freq / factor
                } else if turns.hi > high.hi {
                    freq
                } else {
                    let smooth = (turns - low) / (high - low);
                    (DoubleDouble::ONE - smooth) * freq / factor + smooth * freq
                }
            };
            (unscaled(spec.rope_theta, dim).into_iter().map(scaled).collect(), 1.0)
        }
        RopeScaling::Yarn {
            factor,
            attention_factor,
            beta_fast,
            beta_slow,
            original_max_position_embeddings,
            truncate,
        } => {
            let kept = yarn_kept(spec, *beta_fast, *beta_slow, *original_max_position_embeddings, *truncate);
            let factor = DoubleDouble::from(*factor);
            // interpolated · (1 - kept) + extrapolated · kept
            let blend = |(freq, kept)| freq / factor * (DoubleDouble::ONE - kept) + freq * kept;
            (unscaled(spec.rope_theta, dim).into_iter().zip(kept).map(blend).collect(), *attention_factor)
        }
        RopeScaling::Dynamic { factor, max_position_embeddings } => {
            let length = (length as f64).max(*max_position_embeddings);
            let stretch = factor * length / max_position_embeddings - (factor - 1.0);
            // The base is theta · stretch^(d/(d-2)); its powers -2i/d are theta^(-2i/d) · stretch^(-2i/(d-2)).
            let step = DoubleDouble::pow_minus_two_over(stretch, dim.saturating_sub(2));
            let freq = unscaled(spec.rope_theta, dim).into_iter().enumerate().map(|(i, freq)| freq * step.powi(i));
            (freq.collect(), 1.0)
        }
        RopeScaling::LongRope { short_factor, long_factor, attention_factor, original_max_position_embeddings } => {
            let divisors = if length as f64 > *original_max_position_embeddings { long_factor } else { short_factor };
            let freq = unscaled(spec.rope_theta, dim).into_iter().zip(divisors);
            (freq.map(|(freq, &divisor)| freq / DoubleDouble::from(divisor)).collect(), *attention_factor)
        }
    }
}

/// `theta^(-2i/dim)`. An odd width still makes whole pairs (GPT-NeoX with 3 of 12 components rotates 4, exponents
/// over 3).
fn unscaled(theta: f64, dim: usize) -> Vec<DoubleDouble> {
    let step = DoubleDouble::pow_minus_two_over(theta, dim);
    (0..dim.div_ceil(2)).map(|i| step.powi(i)).collect()
}

/// YaRN's share of each frequency that is kept: 1 below the correction range, 0 above it, a ramp between.
fn yarn_kept(spec: &RopeSpec, beta_fast: f64, beta_slow: f64, original: f64, truncate: bool) -> Vec<DoubleDouble> {
    let dim = spec.rotary_dim as f64;
    // The dimension whose wavelength makes `rotations` turns over the original context.
    let correction = |rotations: f64| {
        dim * core_math::log(original / (rotations * 2.0 * PI)) / (2.0 * core_math::log(spec.rope_theta))
    };
    let (mut low, mut high) = (correction(beta_fast), correction(beta_slow));
    if truncate {
        (low, high) = (low.floor(), high.ceil());
    }
    (low, high) = (low.max(0.0), high.min(dim - 1.0));
    if low == high {
        high += 0.001;
    }
    let ramp = |i: usize| match i as f64 {
        i if i <= low => DoubleDouble::from(0.0),
        i if i >= high => DoubleDouble::ONE,
        i => DoubleDouble::from(i - low) / DoubleDouble::from(high - low),
    };
    (0..spec.rotary_dim.div_ceil(2)).map(|i| DoubleDouble::ONE - ramp(i)).collect()
}

/// The tables for `position_ids` `[batch, len]`, rounded once to their format.
pub fn tables<T: Real>(spec: &RopeSpec, position_ids: &Array2<i64>, eval: &mut Evaluator) -> RopeTables<T> {
    let length = position_ids.iter().max().map_or(0, |&p| usize::try_from(p + 1).unwrap_or(0));
    let (inv_freq, attention_factor) = inv_freq(spec, length);
    let (batch, len) = position_ids.dim();
    let shape = Ix3(batch, len, inv_freq.len());
    // angle = position · inv_freq
    let mut angles = Vec::with_capacity(batch * len * inv_freq.len());
    for &p in position_ids {
        for &freq in &inv_freq {
            angles.push(DoubleDouble::from(p as f64) * freq);
        }
    }
    let (cos, sin) = DoubleDouble::cos_sin_each(&angles);
    let stored = eval.numerics().rope_tables;
    let table = |values: Vec<f64>| {
        let mut rounded = Vec::with_capacity(values.len());
        for x in values {
            rounded.push(T::from_f64(round_f64(x * attention_factor, stored)));
        }
        shaped(rounded, shape)
    };
    let (cos, sin) = (table(cos), table(sin));
    RopeTables { cos: eval.at("rope.cos", Role::RopeTable, cos), sin: eval.at("rope.sin", Role::RopeTable, sin) }
}

/// YaRN's factor on cos and sin, where a config gives none: `m(mscale) / m(mscale_all_dim)` if both are given and not
/// 0, else `m(1)`, with `m(c) = 0.1 c ln(factor) + 1`, and 1 for a factor of at most 1 (equation 22 of the paper;
/// the two scales are DeepSeek's).
pub fn yarn_attention_factor(factor: f64, mscale: Option<f64>, mscale_all_dim: Option<f64>) -> f64 {
    let of = |scale: f64| if factor <= 1.0 { 1.0 } else { 0.1 * scale * core_math::log(factor) + 1.0 };
    match (mscale.filter(|m| *m != 0.0), mscale_all_dim.filter(|m| *m != 0.0)) {
        (Some(mscale), Some(mscale_all_dim)) => of(mscale) / of(mscale_all_dim),
        _ => of(1.0),
    }
}

/// Rotates x `[batch, heads, len, head_dim]`; components from `rotary_dim` on pass unchanged.
///
/// # Panics
/// If the tables are not `[batch, len, ≤ head_dim/2]`.
pub fn rotate<T: Real>(x: &Array4<T>, tables: &RopeTables<T>, layout: RopeLayout) -> Array4<T> {
    let (_, table_len, half) = tables.cos.dim();
    let (_, heads, len, dim) = x.dim();
    assert!(len <= table_len, "there are {table_len} rows of cosines for {len} tokens");
    let mut out = copied(x);
    if out.is_empty() {
        return out;
    }
    let (cos, sin) = (values(&tables.cos), values(&tables.sin));
    in_pieces(elements(&mut out), dim, &|first, rows| {
        for (row, index) in rows.chunks_exact_mut(dim).zip(first / dim..) {
            let (b, t) = (index / (heads * len), index % len);
            let angles = (b * table_len + t) * half..(b * table_len + t + 1) * half;
            rotate_row(&mut row[..2 * half], &cos[angles.clone()], &sin[angles], layout);
        }
    });
    out
}

/// Rotates the pairs of one row, each by its angle.
fn rotate_row<T: Real>(row: &mut [T], cos: &[T], sin: &[T], layout: RopeLayout) {
    let half = cos.len();
    for (i, (&cos, &sin)) in cos.iter().zip(sin).enumerate() {
        let (first, second) = match layout {
            RopeLayout::HalfSplit => (i, i + half),
            RopeLayout::Interleaved => (2 * i, 2 * i + 1),
        };
        let (a, b) = (row[first], row[second]);
        row[first] = a * cos - b * sin;
        row[second] = b * cos + a * sin;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::Numerics;
    use crate::num::Dtype;
    use approx::assert_relative_eq;
    use proptest::prelude::*;

    fn spec(layout: RopeLayout, rotary_dim: usize, scaling: RopeScaling) -> RopeSpec {
        RopeSpec { layout, rotary_dim, rope_theta: 10000.0, scaling }
    }

    fn rotated(x: &[f64], position: i64, spec: &RopeSpec) -> Vec<f64> {
        let mut eval = Evaluator::new(Numerics::plain(Dtype::F64));
        let x = Array4::from_shape_vec((1, 1, 1, x.len()), x.to_vec()).unwrap();
        let tables = tables(spec, &Array2::from_elem((1, 1), position), &mut eval);
        rotate(&x, &tables, spec.layout).iter().copied().collect()
    }

    #[test]
    fn position_zero_changes_nothing_and_the_layouts_pair_differently() {
        let x = [1.0, 2.0, 3.0, 4.0];
        for layout in [RopeLayout::HalfSplit, RopeLayout::Interleaved] {
            assert_eq!(rotated(&x, 0, &spec(layout, 4, RopeScaling::None)), x);
        }
        // Frequencies 1 and 1/100. Half split pairs (1, 3) and (2, 4), interleaved (1, 2) and (3, 4).
        let half = rotated(&x, 1, &spec(RopeLayout::HalfSplit, 4, RopeScaling::None));
        assert_relative_eq!(half[0], 1f64.cos() - 3.0 * 1f64.sin(), max_relative = 1e-15);
        assert_relative_eq!(half[3], 4.0 * 0.01f64.cos() + 2.0 * 0.01f64.sin(), max_relative = 1e-15);
        let pairs = rotated(&x, 1, &spec(RopeLayout::Interleaved, 4, RopeScaling::None));
        assert_relative_eq!(pairs[0], 1f64.cos() - 2.0 * 1f64.sin(), max_relative = 1e-15);
        assert_relative_eq!(pairs[2], 3.0 * 0.01f64.cos() - 4.0 * 0.01f64.sin(), max_relative = 1e-15);
    }

    #[test]
    fn a_partial_rotation_leaves_the_rest_alone() {
        let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let y = rotated(&x, 7, &spec(RopeLayout::HalfSplit, 2, RopeScaling::None));
        assert_eq!(y[2..], x[2..]);
        assert_relative_eq!(y[0], 7f64.cos() - 2.0 * 7f64.sin(), max_relative = 1e-15);
    }

    #[test]
    fn scalings_stretch_slow_frequencies_and_keep_fast_ones() {
        let plain = inv_freq(&spec(RopeLayout::HalfSplit, 16, RopeScaling::None), 1).0;
        let linear = inv_freq(&spec(RopeLayout::HalfSplit, 16, RopeScaling::Linear { factor: 4.0 }), 1).0;
        assert_eq!(linear, plain.iter().map(|&f| f / DoubleDouble::from(4.0)).collect::<Vec<_>>());
        let llama3 = RopeScaling::Llama3 {
            factor: 8.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_max_position_embeddings: 64.0,
        };
        let llama3 = inv_freq(&spec(RopeLayout::HalfSplit, 16, llama3), 1).0;
        assert_eq!(llama3[0], plain[0]);
        assert_eq!(llama3[7], plain[7] / DoubleDouble::from(8.0));
        let dynamic = RopeScaling::Dynamic { factor: 2.0, max_position_embeddings: 32.0 };
        let dynamic = spec(RopeLayout::HalfSplit, 16, dynamic);
        assert_eq!(inv_freq(&dynamic, 32).0, plain);
        assert!(inv_freq(&dynamic, 33).0[7].hi < plain[7].hi);
        assert_relative_eq!(yarn_attention_factor(4.0, None, None), 1.138629436111989, max_relative = 1e-15);
    }

    proptest! {
        #[test]
        fn products_depend_on_the_distance_only(
            q in prop::collection::vec(-1.0f64..1.0, 8), k in prop::collection::vec(-1.0f64..1.0, 8),
            i in 0i64..300, j in 0i64..300, shift in 0i64..300,
        ) {
            let spec = spec(RopeLayout::Interleaved, 8, RopeScaling::None);
            let dot = |i, j| rotated(&q, i, &spec).iter().zip(rotated(&k, j, &spec)).map(|(a, b)| a * b).sum::<f64>();
            // Angles up to 600 carry 600 · 2^-53; eight products of at most 1 each.
            prop_assert!((dot(i, j) - dot(i + shift, j + shift)).abs() < 8.0 * 600.0 * 4.0 * f64::EPSILON);
        }
    }
}
