//! Faults that hide within rounding.
//!
//! An error of thousands of logits that rounding alone accounts for may still have the pattern of a fault: rounding has no direction, a fault has. By
//! least squares over all logits, each case weighted by its noise,
//!
//! ```text
//! coefficient = Σ w e p / Σ w p²       e = candidate - right, p = fault - right without any rounding, w = 1 / noise²
//! significance = coefficient · √(Σ w p²)
//! ```
//! A coefficient near 1 that stands far above its own uncertainty names the fault.

use super::laboratory::{Laboratory, Prediction};
use super::score::Observed;
use crate::error::Result;
use crate::eval::Numerics;
use crate::fault::{Fault, Kind};
use crate::num::{Dtype, parallel, sort};

/// Below this nothing is said. Logits of a case share roundings, so that they count for fewer than they are, and a right program must not reach it: none of
/// the 20 of docs/diagnose.md does.
const SIGNIFICANT: f64 = 12.0;

/// A pattern found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pattern {
    pub(super) fault: &'static Fault,
    pub(super) coefficient: f64,
    pub(super) significance: f64,
}

/// The patterns in what is within rounding, the clearest first.
pub(super) fn patterns(
    laboratory: &Laboratory,
    asked: &[usize],
    observed: &[Observed],
    progress: &(dyn Fn() + Sync),
) -> Result<Vec<Pattern>> {
    let exact = Numerics::plain(Dtype::F64);
    let right =
        parallel::try_map(asked.len(), &|at| laboratory.predict_in(&laboratory.questions[asked[at]], &exact, &[]))?;
    let mut catalogue = laboratory.exact_catalogue(asked, progress)?;
    catalogue.retain(|(fault, _)| fault.kind != Kind::Equivalent);
    let each = parallel::map(catalogue.len(), &|at| {
        let (fault, answers) = &catalogue[at];
        pattern(fault, answers, observed, &right)
    });
    let mut found = Vec::new();
    for pattern in each {
        found.extend(pattern);
    }
    sort::sort_by(&mut found, &|a, b| b.significance.total_cmp(&a.significance));
    Ok(found)
}

/// The pattern of one fault, if it is there. `right` is without any rounding.
fn pattern(
    fault: &'static Fault,
    answers: &[Prediction],
    observed: &[Observed],
    right: &[Prediction],
) -> Option<Pattern> {
    let (mut along, mut square) = (0.0, 0.0);
    for ((faulty, observed), right) in answers.iter().zip(observed).zip(right) {
        let (Some(faulty), Some(right)) = (faulty, right) else { continue };
        let weight = 1.0 / (observed.noise * observed.noise);
        for (((actual, stored), faulty), right) in
            observed.actual.iter().zip(observed.right).zip(faulty.iter()).zip(right.iter())
        {
            let (error, pattern) = (actual - stored, faulty - right);
            if error.is_finite() && pattern.is_finite() {
                along += weight * error * pattern;
                square += weight * pattern * pattern;
            }
        }
    }
    let coefficient = along / square;
    let significance = along / square.sqrt();
    // Half of a fault or twice of it is another one.
    let near = (0.6..1.6).contains(&coefficient) && significance > SIGNIFICANT;
    near.then_some(Pattern { fault, coefficient, significance })
}
