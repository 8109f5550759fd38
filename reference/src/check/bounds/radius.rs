//! How far a correct evaluation may be from the exact value of one element, and the rounding steps that add to it.

use crate::eval::Numerics;
use crate::num::Dtype;

/// Three measures of the same error.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Radius {
    /// Never exceeded, whatever the order of the sums.
    pub(super) worst: f64,
    /// Never exceeded either, but knows that an error common to all scores of a row cancels.
    pub(super) centred: f64,
    /// Variance, each rounding being independent and uniform.
    pub(super) variance: f64,
}

impl Radius {
    pub(super) const NONE: Self = Self { worst: 0.0, centred: 0.0, variance: 0.0 };

    /// An error of at most `size`, uniform within it.
    pub(super) fn uniform(size: f64) -> Self {
        Self { worst: size, centred: size, variance: size * size / 3.0 }
    }

    /// `count` independent errors of at most `size` each.
    pub(super) fn several(count: f64, size: f64) -> Self {
        Self { worst: count * size, centred: count * size, variance: count * size * size / 3.0 }
    }

    /// Both errors at once, independent of each other.
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            worst: self.worst + other.worst,
            centred: self.centred + other.centred,
            variance: self.variance + other.variance,
        }
    }

    /// The error of `factor` times the value.
    pub(super) fn times(self, factor: f64) -> Self {
        let size = factor.abs();
        Self { worst: self.worst * size, centred: self.centred * size, variance: self.variance * size * size }
    }

    /// The error after the value, `value` if it were exact, is rounded once more.
    pub(super) fn rounded(self, value: f64, step: Step) -> Self {
        if step == Step::NONE {
            return self;
        }
        let size = step.u * value.abs() + step.floor;
        Self {
            worst: self.worst + size + step.u * self.worst,
            centred: self.centred + size + step.u * self.centred,
            variance: self.variance + size * size / 3.0,
        }
    }
}

/// One rounding: at most `u · |x| + floor`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Step {
    /// Unit roundoff.
    pub(super) u: f64,
    /// Half the smallest subnormal: the error near 0.
    pub(super) floor: f64,
}

impl Step {
    pub(super) const NONE: Self = Self { u: 0.0, floor: 0.0 };

    fn of(dtype: Dtype) -> Self {
        Self { u: dtype.unit_roundoff(), floor: dtype.smallest_subnormal() / 2.0 }
    }

    /// The rounding into `dtype` on top of the arithmetic's own; none if `dtype` is as wide.
    fn beyond(arithmetic: Dtype, dtype: Dtype) -> Self {
        if dtype.precision() < arithmetic.precision() { Self::of(dtype) } else { Self::NONE }
    }

    /// One rounding, then another.
    fn then(self, other: Self) -> Self {
        Self { u: self.u + other.u, floor: self.floor + other.floor }
    }
}

/// The rounding steps of an evaluation, from its [`Numerics`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Steps {
    /// Each operation of the scalar type.
    pub(super) arithmetic: Step,
    /// Each operand of a product.
    pub(super) operands: Step,
    /// Each step of a running sum in a product.
    pub(super) accumulator: Step,
    /// A stored activation.
    pub(super) activations: Step,
    /// Stored scores.
    pub(super) scores: Step,
    /// Each step inside a softmax.
    pub(super) softmax: Step,
    /// Stored probabilities.
    pub(super) probs: Step,
    /// Each stored value inside a norm, on top of the arithmetic.
    pub(super) norm: Step,
    /// Stored cosines and sines.
    pub(super) rope_tables: Step,
    /// Below this an evaluation may flush to zero.
    pub(super) smallest_normal: f64,
}

/// Relative error of an elementary function, in unit roundoffs: 2 ulps, as vector libraries promise.
/// This crate's own are correctly rounded.
pub(super) const FUNCTION: f64 = 4.0;

impl Steps {
    pub(super) fn of(numerics: &Numerics) -> Self {
        let arithmetic = Step::of(numerics.arithmetic);
        let beyond = |dtype| Step::beyond(numerics.arithmetic, dtype);
        Self {
            arithmetic,
            operands: beyond(numerics.operands),
            accumulator: arithmetic.then(beyond(numerics.accumulator)),
            activations: beyond(numerics.activations),
            scores: beyond(numerics.scores),
            softmax: arithmetic.then(beyond(numerics.softmax)),
            probs: beyond(numerics.probs),
            norm: beyond(numerics.norm),
            rope_tables: beyond(numerics.rope_tables),
            smallest_normal: numerics.arithmetic.smallest_normal(),
        }
    }
}

/// How much the roundings of a sum lean together: equal terms round alike. 1 where all of them differ, their number where none
/// does.
pub(super) fn repetition(terms: &[f64]) -> f64 {
    let mut sizes: Vec<u64> = terms.iter().map(|x| x.abs().to_bits()).collect();
    sizes.sort_unstable();
    sizes.dedup();
    terms.len() as f64 / sizes.len().max(1) as f64
}
