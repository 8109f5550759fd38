//! What a wrong answer has in common with the right one: words for whoever wrote it.

use ndarray::{ArrayD, Axis};

/// Errors smaller than this share of the largest value leave a pattern as it is.
const LEFT: f64 = 1e-4;

/// What can be said of `actual`, whose elements are compared where `compared` is true; `atol` is what a right one may be off by.
pub(super) fn pattern(actual: &ArrayD<f64>, expected: &ArrayD<f64>, compared: &[bool], atol: f64) -> Option<String> {
    let mut chosen = Vec::new();
    for ((&actual, &expected), &compared) in actual.iter().zip(expected).zip(compared) {
        if compared {
            chosen.push((actual, expected));
        }
    }
    if chosen.iter().all(|(actual, _)| actual.is_nan()) {
        return Some("every element is NaN".to_string());
    }
    if chosen.iter().all(|(actual, _)| *actual == 0.0) {
        return Some("every element is 0".to_string());
    }
    if chosen.iter().all(|(actual, _)| actual.is_finite()) && chosen.len() > 2 {
        let found = scale(&chosen, atol).or_else(|| offset(&chosen, atol));
        if found.is_some() {
            return found;
        }
    }
    prefix(actual, expected, compared, atol)
}

/// The largest expected value.
fn size(chosen: &[(f64, f64)]) -> f64 {
    let mut most = 0.0;
    for (_, expected) in chosen {
        if expected.abs() > most {
            most = expected.abs();
        }
    }
    most
}

/// One factor on all of it.
fn scale(chosen: &[(f64, f64)], atol: f64) -> Option<String> {
    let (mut product, mut square) = (0.0, 0.0);
    for (a, e) in chosen {
        product += a * e;
        square += e * e;
    }
    let factor = product / square;
    if !(factor.is_finite() && (factor - 1.0).abs() > 1e-3) {
        return None;
    }
    let left = |(a, e): &(f64, f64)| (a - factor * e).abs();
    let allowed = atol.max(LEFT * size(chosen)) * factor.abs().max(1e-6);
    // Where the right answer is 0 everywhere no factor is one.
    (size(chosen) > 10.0 * atol && chosen.iter().all(|pair| left(pair) <= allowed))
        .then(|| format!("correct up to a scale of {}", short(factor)))
}

/// One term on all of it.
fn offset(chosen: &[(f64, f64)], atol: f64) -> Option<String> {
    let mean = chosen.iter().map(|(a, e)| a - e).sum::<f64>() / chosen.len() as f64;
    let even = chosen.iter().all(|(a, e)| (a - e - mean).abs() <= atol);
    (mean.abs() > 3.0 * atol && even).then(|| format!("correct up to an offset of {}", short(mean)))
}

/// Positions that are right up to some place and wrong from there on: of logits `[batch, len, vocab]` and of outputs `[batch, heads, len, dim]` the axis before the last.
fn prefix(actual: &ArrayD<f64>, expected: &ArrayD<f64>, compared: &[bool], atol: f64) -> Option<String> {
    let axis = expected.ndim().checked_sub(2)?;
    let length = expected.shape()[axis];
    let compared = ArrayD::from_shape_vec(expected.raw_dim(), compared.to_vec()).ok()?;
    let right = |at: usize| {
        let (a, e) = (actual.index_axis(Axis(axis), at), expected.index_axis(Axis(axis), at));
        let c = compared.index_axis(Axis(axis), at);
        a.iter().zip(e).zip(c).all(|((a, e), c)| !*c || a == e || (a - e).abs() <= atol)
    };
    let rights: Vec<bool> = (0..length).map(right).collect();
    let first = rights.iter().position(|right| !right)?;
    let after = rights[first..].iter().filter(|right| **right).count();
    let positions = |count: usize| if count == 1 { "position".to_string() } else { format!("{count} positions") };
    if length < 3 || first == 0 {
        return (length > 2 && first == 0 && after == length - 1)
            .then(|| "wrong at the first position only".to_string());
    }
    if first == length - 1 {
        return Some("wrong at the last position only".to_string());
    }
    (after == 0).then(|| format!("first {} right, then wrong", positions(first)))
}

/// How axes have to be swapped to make `actual` right, where its shape is another one.
pub(super) fn swapped(actual: &ArrayD<f64>, expected: &ArrayD<f64>, atol: f64) -> Option<String> {
    let axes = actual.ndim();
    if axes != expected.ndim() {
        return None;
    }
    for one in 0..axes {
        for other in one + 1..axes {
            let mut view = actual.view();
            view.swap_axes(one, other);
            if view.shape() == expected.shape()
                && view.iter().zip(expected).all(|(a, e)| a == e || (a - e).abs() <= atol)
            {
                return Some(format!("right once axes {one} and {other} are swapped"));
            }
        }
    }
    None
}

/// Three digits, as people say them: 8, 0.125, 1.02.
fn short(x: f64) -> String {
    let near = x.round();
    if near != 0.0 && near.abs() < 1e6 && (x - near).abs() <= 1e-3 * near.abs() {
        return format!("{near:.1}");
    }
    if (1e-3..1e6).contains(&x.abs()) {
        let digits = usize::try_from(2 - x.abs().log10().floor() as i64).unwrap_or(0);
        return format!("{x:.digits$}");
    }
    format!("{x:.2e}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected() -> ArrayD<f64> {
        ArrayD::from_shape_fn(vec![2, 5, 3], |at| ((at[0] * 31 + at[1] * 7 + at[2] * 3) as f64).sin())
    }

    fn said(actual: &ArrayD<f64>) -> Option<String> {
        let expected = expected();
        pattern(actual, &expected, &vec![true; expected.len()], 1e-5)
    }

    #[test]
    fn the_usual_patterns_have_words() {
        let right = expected();
        assert_eq!(said(&(&right * 8.0)).unwrap(), "correct up to a scale of 8.0");
        assert_eq!(said(&(&right * -0.125)).unwrap(), "correct up to a scale of -0.125");
        assert_eq!(said(&(&right + 0.5)).unwrap(), "correct up to an offset of 0.500");
        assert_eq!(said(&(&right * f64::NAN)).unwrap(), "every element is NaN");
        assert_eq!(said(&(&right * 0.0)).unwrap(), "every element is 0");
        let mut later = right.clone();
        later.slice_axis_mut(Axis(1), (2..).into()).mapv_inplace(|x| x * x + 1.0);
        assert_eq!(said(&later).unwrap(), "first 2 positions right, then wrong");
        let mut last = right.clone();
        last[[1, 4, 2]] += 1.0;
        assert_eq!(said(&last).unwrap(), "wrong at the last position only");
        let mut holes = right.clone();
        holes[[0, 1, 0]] += 1.0;
        holes[[0, 3, 0]] = f64::INFINITY;
        assert_eq!(said(&holes), None);
        let mut swap = right.clone();
        swap.swap_axes(0, 1);
        assert_eq!(swapped(&swap, &right, 1e-5).unwrap(), "right once axes 0 and 1 are swapped");
        assert_eq!(swapped(&swap.mapv(|x| x + 1.0), &right, 1e-5), None);
    }

    #[test]
    fn padding_is_not_looked_at() {
        let right = expected();
        let mut padded = right.clone();
        padded.slice_axis_mut(Axis(0), (1..).into()).fill(f64::NAN);
        let mut compared = vec![true; 30];
        compared[15..].fill(false);
        assert_eq!(pattern(&(&padded * 3.0), &right, &compared, 1e-5).unwrap(), "correct up to a scale of 3.0");
    }
}
