//! The noise floor of a whole model: how far its own rounding moves it, measured.
//!
//! For a model a computed bound is of no use: products of Jacobians explode. So the same variant is evaluated again a few times,
//! with its sums in another order and its roundings stochastic (see [`crate::eval::Rounding`]), and each element gets
//!
//! ```text
//! σ² = max( mean over the evaluations of (yₖ - y)²,  the same mean over the element's row ) + (u y)²/3
//! R  = 3 σ        C = 9 σ
//! ```
//! with y the answer in f64. A few evaluations know a row of logits well and a single one of them badly; hence the maximum. The
//! last term is the storing of the element itself: a probability near 1 may come out as 1 in all of a few evaluations. There
//! is no W: the floor is an experiment and not a proof, and an error beyond 9 σ of its row is not called rounding.

use crate::linalg::arrays::values;
use crate::num::Dtype;
use ndarray::ArrayD;

/// Standard deviations of the estimate.
const ESTIMATE: f64 = 3.0;
/// Standard deviations beyond which rounding is no explanation.
const CENTRED: f64 = 9.0;

/// The floor of one array.
#[derive(Debug, Clone, PartialEq)]
pub struct Floor {
    /// R.
    pub estimate: ArrayD<f64>,
    /// C.
    pub centred: ArrayD<f64>,
    /// How many evaluations it rests on.
    pub evaluations: usize,
}

/// The floor from perturbed `evaluations` around `exact`, elements being stored in `stored`; `None` without any evaluation,
/// or if a shape differs.
pub fn floor(exact: &ArrayD<f64>, evaluations: &[&ArrayD<f64>], stored: Dtype) -> Option<Floor> {
    if evaluations.is_empty() || evaluations.iter().any(|y| y.shape() != exact.shape()) {
        return None;
    }
    let exact_values = values(exact);
    let mut variance = vec![0.0; exact_values.len()];
    for evaluation in evaluations {
        for ((variance, y), exact) in variance.iter_mut().zip(values(evaluation).iter()).zip(exact_values.iter()) {
            let error = y - exact;
            if error.is_finite() {
                *variance += error * error / evaluations.len() as f64;
            }
        }
    }
    if let Some(&width) = exact.shape().last() {
        for row in variance.chunks_mut(width.max(1)) {
            // In ndarray's order of the sum: eight running sums.
            let mean = ndarray::aview1(row).sum() / width as f64;
            for own in row {
                *own = if *own > mean { *own } else { mean };
            }
        }
    }
    let u = stored.unit_roundoff();
    for (variance, y) in variance.iter_mut().zip(exact_values.iter()) {
        if y.is_finite() {
            *variance += (u * y).powi(2) / 3.0;
        }
    }
    let times = |factor: f64| {
        let mut radii = variance.clone();
        for radius in &mut radii {
            *radius = radius.sqrt() * factor;
        }
        ArrayD::from_shape_vec(exact.raw_dim(), radii).expect("one radius for each value")
    };
    Some(Floor { estimate: times(ESTIMATE), centred: times(CENTRED), evaluations: evaluations.len() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn a_floor_is_the_spread_of_an_element_or_of_its_row() {
        // Errors 3 and 0 of the first element, 0 and 4 of the second: squares 9/2 and 16/2, mean of the row 25/4.
        let exact = array![[1.0, 1.0]].into_dyn();
        let (a, b) = (array![[4.0, 1.0]].into_dyn(), array![[1.0, 5.0]].into_dyn());
        let floor = floor(&exact, &[&a, &b], Dtype::F64).unwrap();
        assert_eq!(floor.evaluations, 2);
        assert!((floor.estimate[[0, 0]] - 3.0 * 2.5).abs() < 1e-15, "{floor:?}");
        assert!((floor.estimate[[0, 1]] - 3.0 * 8f64.sqrt()).abs() < 1e-15);
        assert!((floor.centred[[0, 0]] - 22.5).abs() < 1e-12);
    }

    #[test]
    fn an_element_is_stored_even_where_no_evaluation_moved_it() {
        // 2^-8 · 1 / √3 · 3 = 0.00677
        let exact = array![1.0].into_dyn();
        let floor = floor(&exact, &[&exact], Dtype::Bf16).unwrap();
        assert!((floor.estimate[0] - 3f64.sqrt() / 256.0).abs() < 1e-15);
    }

    #[test]
    fn without_evaluations_there_is_none() {
        let exact = array![1.0].into_dyn();
        assert_eq!(floor(&exact, &[], Dtype::F32), None);
        assert_eq!(floor(&exact, &[&array![1.0, 2.0].into_dyn()], Dtype::F32), None);
    }
}
