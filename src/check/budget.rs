//! How far off a right answer may be: the only place with such numbers, each with its reason.
//!
//! The measure of a case's conditioning is PyTorch's own error on it ([`Evidence::baseline`], stored with the
//! case by the foreign oracle): what a competent evaluation in that format loses there. FlashAttention's tests
//! use the same rule (`error ≤ 2 × error of a plain evaluation of the same dtype`, Dao-AILab/flash-attention#410).

use crate::num::Dtype;
use std::collections::BTreeMap;

/// A plain evaluation in a format may be off twice as far as PyTorch's in the same format: other summation
/// orders and kernels move the largest error by about that much. A missing bias or a wrong scale exceed it
/// by orders of magnitude.
const OF_PYTORCH: f64 = 2.0;

/// Without PyTorch's error in the same format, its f32 error is scaled by the unit roundoffs.
const OF_SCALED: f64 = 4.0;

/// A variant that rounds in more places than PyTorch does (running sums, the inside of a softmax) loses with every
/// term: a bf16 sum of the 300 terms of `ops/linear_long_sum_one_sign` is off by 11 times PyTorch's scaled error.
const OF_SEQUENTIAL: f64 = 16.0;

/// The oracles that wrote the expected values are apart by `distance`; either may be the nearer one.
const OF_DISTANCE: f64 = 2.0;

/// The last steps of an answer (a sum in a row, a quotient, storing it) round it a few times even where PyTorch, which
/// sums in blocks, happens to be nearly exact on so small a case. In 16 bits and fewer only storing does.
fn stored_roundings(coarsest: Dtype) -> f64 {
    match coarsest {
        Dtype::F64 | Dtype::F32 | Dtype::Tf32 => 4.0,
        Dtype::F16 | Dtype::Bf16 | Dtype::F8E4M3 => 1.0,
    }
}

/// What is known of a case before it is judged.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// Largest absolute error of PyTorch's own evaluation, by format.
    pub baseline: BTreeMap<Dtype, f64>,
    /// Largest |expected| of the main output, which the baseline is about.
    pub scale: f64,
    /// How far the two foreign oracles are apart.
    pub distance: f64,
}

/// How a variant stands to PyTorch's evaluation in its coarsest format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Likeness {
    /// PyTorch rounds in the same places.
    Same,
    /// The variant rounds elsewhere or more often.
    Other,
}

/// The largest absolute error that rounding to `coarsest` explains. `None` where nothing is known of the case's
/// conditioning.
pub fn allowed(coarsest: Dtype, likeness: Likeness, evidence: &Evidence) -> Option<f64> {
    let u = Dtype::unit_roundoff;
    let own = evidence.baseline.get(&coarsest);
    let scaled = evidence.baseline.get(&Dtype::F32).map(|error| error * u(coarsest) / u(Dtype::F32));
    let explained = match (likeness, own, scaled) {
        (Likeness::Same, Some(own), _) => OF_PYTORCH * own,
        (Likeness::Same, None, Some(scaled)) => OF_SCALED * scaled,
        (Likeness::Other, own, Some(scaled)) => (OF_SEQUENTIAL * scaled).max(OF_PYTORCH * own.copied().unwrap_or(0.0)),
        (Likeness::Other, Some(own), None) => OF_SEQUENTIAL * own,
        (_, None, None) => return None,
    };
    let stored = stored_roundings(coarsest) * u(coarsest) * evidence.scale;
    Some(explained + stored + OF_DISTANCE * evidence.distance)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence() -> Evidence {
        Evidence { baseline: BTreeMap::from([(Dtype::F32, 1e-6), (Dtype::Bf16, 0.1)]), scale: 8.0, distance: 0.0 }
    }

    #[test]
    fn pytorchs_own_error_is_preferred_to_a_scaled_one() {
        assert_eq!(allowed(Dtype::Bf16, Likeness::Same, &evidence()), Some(0.2 + 8.0 / 256.0));
        assert_eq!(allowed(Dtype::Bf16, Likeness::Other, &evidence()), Some(16.0 * 1e-6 * 65536.0 + 8.0 / 256.0));
    }

    #[test]
    fn the_budget_shrinks_with_the_format() {
        let of = |dtype| allowed(dtype, Likeness::Same, &evidence()).unwrap();
        assert!(of(Dtype::F64) < 2e-14 && of(Dtype::F64) > 0.0);
        assert!(of(Dtype::F32) < of(Dtype::F16) && of(Dtype::F16) < of(Dtype::F8E4M3));
    }

    #[test]
    fn without_evidence_there_is_no_budget() {
        assert_eq!(allowed(Dtype::F32, Likeness::Same, &Evidence::default()), None);
    }
}
