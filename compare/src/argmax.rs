//! Whether errors of logits change which token is the likeliest, row by row over the last axis.
//!
//! Knows rows of numbers; which arrays are logits is known elsewhere.

use super::comparison::Operand;
use crate::num::{json_number, parallel};
use serde::{Deserialize, Serialize};

/// Parts of a large array that threads share.
const PARTS: usize = 128;

/// What the errors do to the argmax.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Argmax {
    /// Rows over the last axis.
    pub rows: usize,
    /// Rows whose likeliest index is the same, or is one of those that tie for it in the expected row.
    pub equal: usize,
    /// The other rows; those with a NaN on either side among them.
    pub flips: usize,
    /// Rows in which errors as large as the row's largest could flip it: the distance of the two largest expected values
    /// is at most twice that error.
    pub can_flip: usize,
    /// The smallest ratio, over the rows with an error, of that distance to the largest error of the row; `None` where no
    /// row has an error. Below 2 a flip is possible.
    #[serde(with = "json_number::optional")]
    pub closest_margin_ratio: Option<f64>,
}

impl Argmax {
    const NONE: Self = Self { rows: 0, equal: 0, flips: 0, can_flip: 0, closest_margin_ratio: None };

    fn add(mut self, other: Self) -> Self {
        self.rows += other.rows;
        self.equal += other.equal;
        self.flips += other.flips;
        self.can_flip += other.can_flip;
        self.closest_margin_ratio = match (self.closest_margin_ratio, other.closest_margin_ratio) {
            (Some(a), Some(b)) => Some(if b < a { b } else { a }),
            (a, b) => a.or(b),
        };
        self
    }
}

/// The argmax of rows of `width` values each; a last part that is shorter is left out.
///
/// ```
/// use goldref_compare::argmax;
/// // Margin 1 and largest error 0.75: 1 ≤ 2 · 0.75, and it does flip.
/// let found = argmax(&[1.25, 1.75], &[2.0, 1.0], 2);
/// assert_eq!((found.rows, found.flips, found.can_flip), (1, 1, 1));
/// assert_eq!(found.closest_margin_ratio, Some(1.0 / 0.75));
/// ```
pub fn argmax(actual: &[f64], expected: &[f64], width: usize) -> Argmax {
    if width == 0 {
        return Argmax::NONE;
    }
    let rows = actual.chunks_exact(width).zip(expected.chunks_exact(width));
    rows.map(|(actual, expected)| of_row(actual, expected)).fold(Argmax::NONE, Argmax::add)
}

/// As [`argmax`], over the last axis of two arrays of equal shape; `None` where there is no axis, or no row.
pub fn argmax_of_operands(actual: &Operand, expected: &Operand) -> Option<Argmax> {
    let width = *expected.shape().last()?;
    if actual.shape() != expected.shape() || expected.is_empty() {
        return None;
    }
    let rows = expected.len() / width;
    let length = rows.div_ceil(PARTS);
    // Counts and minima: the order in which they are gathered changes nothing.
    let parts = parallel::map(rows.div_ceil(length), &|part| {
        let (mut a, mut e) = (vec![0.0; width], vec![0.0; width]);
        let mut found = Argmax::NONE;
        for row in part * length..rows.min((part + 1) * length) {
            actual.values(row * width, &mut a);
            expected.values(row * width, &mut e);
            found = found.add(of_row(&a, &e));
        }
        found
    });
    Some(parts.into_iter().fold(Argmax::NONE, Argmax::add))
}

fn of_row(actual: &[f64], expected: &[f64]) -> Argmax {
    let row = Argmax { rows: 1, ..Argmax::NONE };
    if actual.iter().chain(expected).any(|x| x.is_nan()) {
        return Argmax { flips: 1, can_flip: 1, ..row };
    }
    let (best_actual, _) = top_two(actual);
    let (best, second) = top_two(expected);
    let flips = expected[best_actual] != expected[best];
    // Equal infinities are no distance apart, and a row of one value has no second.
    let margin = match second {
        None => f64::INFINITY,
        Some(second) if expected[best] == expected[second] => 0.0,
        Some(second) => expected[best] - expected[second],
    };
    let err = actual.iter().zip(expected).fold(0.0, |largest: f64, (a, e)| {
        let err = if a == e { 0.0 } else { (a - e).abs() };
        if err > largest { err } else { largest }
    });
    Argmax {
        equal: usize::from(!flips),
        flips: usize::from(flips),
        can_flip: usize::from(flips || (err > 0.0 && second.is_some() && margin <= 2.0 * err)),
        closest_margin_ratio: (err > 0.0).then(|| if margin == err { 1.0 } else { margin / err }),
        ..row
    }
}

/// The index of the first largest value, and of the largest of the others. No value is NaN.
fn top_two(row: &[f64]) -> (usize, Option<usize>) {
    let (mut best, mut second) = (0, None);
    for (index, &x) in row.iter().enumerate().skip(1) {
        if x > row[best] {
            (best, second) = (index, Some(best));
        } else if second.is_none_or(|second: usize| x > row[second]) {
            second = Some(index);
        }
    }
    (best, second)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(actual: &[f64], expected: &[f64], width: usize) -> (usize, usize, usize, usize) {
        let found = argmax(actual, expected, width);
        (found.rows, found.equal, found.flips, found.can_flip)
    }

    #[test]
    fn a_row_flips_when_another_index_is_largest() {
        assert_eq!(counts(&[0.0, 3.0, 2.0, 1.0], &[0.0, 1.0, 2.0, 1.0], 2), (2, 2, 0, 1));
        assert_eq!(counts(&[0.0, 3.0, 2.5], &[0.0, 1.0, 2.0], 3), (1, 0, 1, 1));
    }

    #[test]
    fn a_tie_may_be_broken_either_way() {
        assert_eq!(counts(&[1.0, 2.0, 0.0], &[2.0, 2.0, 0.0], 3), (1, 1, 0, 1));
        // Without an error nothing can flip, even at a margin of 0.
        let found = argmax(&[2.0, 2.0], &[2.0, 2.0], 2);
        assert_eq!((found.can_flip, found.closest_margin_ratio), (0, None));
    }

    #[test]
    fn a_margin_of_twice_the_error_can_flip_and_a_larger_one_cannot() {
        assert_eq!(counts(&[4.0, 1.5], &[4.0, 1.0], 2).3, 0);
        assert_eq!(counts(&[4.0, 2.5], &[4.0, 1.0], 2).3, 1);
        let found = argmax(&[4.0, 1.5, 4.0, 2.0], &[4.0, 1.0, 4.0, 1.0], 2);
        assert_eq!(found.closest_margin_ratio, Some(3.0));
    }

    #[test]
    fn nan_and_infinities() {
        assert_eq!(counts(&[f64::NAN, 1.0], &[0.0, 1.0], 2), (1, 0, 1, 1));
        assert_eq!(counts(&[0.0, 1.0], &[f64::NAN, 1.0], 2), (1, 0, 1, 1));
        let masked = f64::NEG_INFINITY;
        // Masked entries are equal and no error; a leak through a mask is an infinite one.
        let found = argmax(&[masked, 1.0, 0.0], &[masked, 1.0, 0.0], 3);
        assert_eq!((found.equal, found.can_flip, found.closest_margin_ratio), (1, 0, None));
        let found = argmax(&[0.5, 1.0, 0.0], &[masked, 1.0, 0.0], 3);
        assert_eq!((found.equal, found.can_flip, found.closest_margin_ratio), (1, 1, Some(0.0)));
        assert_eq!(argmax(&[masked, masked], &[masked, masked], 2).closest_margin_ratio, None);
    }

    #[test]
    fn arrays_go_by_their_last_axis() {
        let expected = ndarray::Array3::from_shape_fn((2, 3, 5), |(i, j, k)| ((i + 2 * j + 3 * k) % 5) as f32);
        let mut actual = expected.clone();
        actual[[1, 2, 0]] = 9.0;
        let found =
            argmax_of_operands(&Operand::from_view(actual.view()), &Operand::from_view(expected.view())).unwrap();
        assert_eq!((found.rows, found.flips), (6, 1));
        let scalar = ndarray::arr0(1.0f32);
        assert_eq!(argmax_of_operands(&Operand::from_view(scalar.view()), &Operand::from_view(scalar.view())), None);
    }
}
