//! How well a prediction explains an answer.
//!
//! ```text
//! unexplained = ‖candidate - prediction‖ / ‖candidate - right‖          0: wholly explained, 1: no better than "right"
//! coefficient = ⟨candidate - right, prediction - right⟩ / ‖prediction - right‖²      1: fully that fault
//! ```
//! by the root of the mean square over the compared logits of a case, never below what rounding alone leaves.

use super::laboratory::Prediction;

/// One case of the candidate.
#[derive(Debug)]
pub(super) struct Observed<'a> {
    /// The candidate's answer.
    pub(super) actual: &'a [f64],
    /// The right one, in the candidate's format.
    pub(super) right: &'a [f64],
    /// Root of the mean square of what rounding leaves.
    pub(super) noise: f64,
    /// Whether rounding does not account for it.
    pub(super) deviates: bool,
}

/// Root of the mean square of differences of finite elements; infinite where other elements are finite.
fn rms(a: &[f64], b: &[f64]) -> f64 {
    let (mut sum, mut count) = (0.0, 0);
    for (a, b) in a.iter().zip(b) {
        match (a.is_finite(), b.is_finite()) {
            (true, true) => {
                sum += (a - b) * (a - b);
                count += 1;
            }
            (false, false) => {}
            _ => return f64::INFINITY,
        }
    }
    if count == 0 { 0.0 } else { (sum / f64::from(count)).sqrt() }
}

impl Observed<'_> {
    /// How much a prediction leaves unexplained, between what rounding leaves and 1. `None` where it says nothing: the candidate is right,
    /// and so is the prediction.
    pub(super) fn unexplained(&self, prediction: &Prediction) -> Option<f64> {
        let predicted = prediction.as_deref().map_or(self.right, Vec::as_slice);
        if !self.deviates {
            // A fault that ought to show and does not is evidence against it.
            let shows = rms(predicted, self.right) > 10.0 * self.noise;
            return shows.then_some(1.0);
        }
        let deviation = rms(self.actual, self.right);
        let left = rms(self.actual, predicted);
        if left == f64::INFINITY {
            return Some(1.0);
        }
        if deviation == f64::INFINITY {
            // Not finite in the same places: how much of the rest is explained is measured against the right values' size.
            let size = rms(predicted, &vec![0.0; predicted.len()]);
            let floor = self.noise / size.max(f64::MIN_POSITIVE);
            return Some((left / size.max(f64::MIN_POSITIVE)).max(floor).min(1.0));
        }
        Some((left / deviation).max(self.noise / deviation).min(1.0))
    }

    /// What rounding alone leaves unexplained.
    fn floor(&self) -> f64 {
        let deviation = rms(self.actual, self.right);
        if deviation.is_finite() && deviation > 0.0 { (self.noise / deviation).min(1.0) } else { 1.0 }
    }

    /// Whether a prediction leaves more unexplained than rounding does.
    pub(super) fn is_open(&self, prediction: &Prediction) -> bool {
        self.deviates && self.unexplained(prediction).is_some_and(|left| left > 5.0 * self.floor() && left > 1e-12)
    }

    /// Whether rounding cannot hide the difference of two predictions.
    pub(super) fn tells_apart(&self, one: &Prediction, other: &Prediction) -> bool {
        let values = |prediction| Option::as_deref(prediction).map_or(self.right, Vec::as_slice);
        rms(values(one), values(other)) > 5.0 * self.noise
    }

    /// How much of the fault is in the answer.
    pub(super) fn coefficient(&self, prediction: &Prediction) -> Option<f64> {
        let predicted = prediction.as_deref()?.as_slice();
        let (mut along, mut square) = (0.0, 0.0);
        for ((actual, predicted), right) in self.actual.iter().zip(predicted).zip(self.right) {
            let (one, other) = (actual - right, predicted - right);
            if one.is_finite() && other.is_finite() {
                along += one * other;
                square += other * other;
            }
        }
        (square > 0.0).then(|| along / square)
    }
}

/// The mean logarithm of what is left unexplained; 0: nothing is explained. The lower the better.
pub(super) fn score(unexplained: &[f64]) -> f64 {
    let mut sum = 0.0;
    for left in unexplained {
        sum += left.max(1e-12).ln();
    }
    if unexplained.is_empty() { 0.0 } else { sum / unexplained.len() as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RIGHT: [f64; 2] = [1.0, 2.0];

    fn some(values: &[f64]) -> Prediction {
        Some(std::sync::Arc::new(values.to_vec()))
    }

    fn observed(actual: &[f64]) -> Observed<'_> {
        Observed { actual, right: &RIGHT, noise: 1e-6, deviates: true }
    }

    #[test]
    fn a_prediction_explains_all_some_or_nothing() {
        let actual = [1.0, 4.0];
        let observed = observed(&actual);
        assert_eq!(observed.unexplained(&some(&[1.0, 4.0])), Some(1e-6 / 2f64.sqrt()));
        assert_eq!(observed.unexplained(&some(&[1.0, 3.0])), Some(0.5));
        assert_eq!(observed.unexplained(&some(&[9.0, 3.0])), Some(1.0));
        assert_eq!(observed.unexplained(&None), Some(1.0));
        assert_eq!(observed.coefficient(&some(&[1.0, 3.0])), Some(2.0));
        assert_eq!(observed.coefficient(&some(&RIGHT)), None);
    }

    #[test]
    fn what_is_not_finite_must_stand_in_the_same_places() {
        let actual = [f64::NAN, 2.0];
        let observed = observed(&actual);
        assert!(observed.unexplained(&some(&[f64::NAN, 2.0])).unwrap() < 1e-5);
        assert_eq!(observed.unexplained(&some(&[1.0, f64::NAN])), Some(1.0));
        assert_eq!(observed.unexplained(&some(&[1.0, 2.0])), Some(1.0));
    }

    #[test]
    fn a_fault_that_ought_to_show_and_does_not_counts_against_it() {
        let right = Observed { deviates: false, ..observed(&RIGHT) };
        assert_eq!(right.unexplained(&some(&[1.0, 3.0])), Some(1.0));
        assert_eq!(right.unexplained(&some(&[1.0, 2.0 + 1e-7])), None);
        assert_eq!(score(&[1.0, 1.0]), 0.0);
        assert!(score(&[1e-3, 1.0]) < score(&[1e-2, 1.0]));
        assert_eq!(score(&[]), 0.0);
    }
}
