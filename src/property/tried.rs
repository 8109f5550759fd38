//! One sample of one property, tried.

use super::subject::Subject;
use super::trial::{Arrays, Pair, Posed, Trial};
use super::{Kind, Property};
use crate::candidate::{Candidate, Outcome, ProgramQuestion, numbers_in};
use crate::error::{Error, Result};
use crate::io::Array;
use crate::num::Dtype;
use crate::suite::widened;
use std::collections::BTreeMap;

/// A right program adds in another order: so many times what goldref in the same format is off by.
const ORDER: f64 = 8.0;
/// And so many gaps of the largest value, for roundings that goldref does not make.
const GAPS: f64 = 4.0;

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Tried {
    Holds,
    /// The candidate does not answer such questions, and what it says.
    Unsupported(String),
    /// How it was broken.
    Broken(Broken),
}

/// How a property was broken.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Broken {
    pub(super) reason: String,
    /// Largest difference; `None` where one side is not finite, or there is none.
    pub(super) error: Option<f64>,
    pub(super) allowed: f64,
}

impl Broken {
    fn because(reason: String) -> Self {
        Self { reason, error: None, allowed: 0.0 }
    }
}

/// What is said to one question.
pub(super) enum Said {
    Answered(Arrays),
    Unsupported(String),
    Broken(Broken),
}

/// An answer lacks an array, or one has not the shape that its question gives it.
pub(super) fn missing() -> Broken {
    Broken::because("an array of its answer is missing or has another shape".to_string())
}

/// Asks one question.
pub(super) fn asked(posed: &Posed, subject: &Subject, stored: Dtype, candidate: &mut dyn Candidate) -> Result<Said> {
    let (params, model) = (subject.params(posed), subject.folder());
    let question = ProgramQuestion { op: posed.op, params: &params, model, inputs: &posed.inputs };
    Ok(match candidate.answer(&question)? {
        Outcome::Answered { arrays, .. } if too_many(&arrays) => {
            Said::Broken(Broken::because("it wrote far more numbers than were asked".to_string()))
        }
        Outcome::Answered { arrays, .. } => match widened(arrays, stored) {
            Ok(arrays) => Said::Answered(arrays),
            Err(e) => Said::Broken(Broken::because(format!("its answer cannot be read: {e}"))),
        },
        Outcome::Unsupported(why) => Said::Unsupported(why),
        outcome => Said::Broken(Broken::because(format!("it {}", outcome.in_words()))),
    })
}

/// The questions are small; who writes more numbers than that would fill the memory of whoever asks.
fn too_many(arrays: &BTreeMap<String, Array>) -> bool {
    const MOST: usize = 1 << 22;
    numbers_in(arrays) > MOST
}

/// Asks the questions of one sample.
pub(super) fn tried(
    property: &Property,
    trial: &Trial,
    subject: &Subject,
    stored: Dtype,
    candidate: &mut dyn Candidate,
) -> Result<Tried> {
    let mut answers = Vec::new();
    for posed in &trial.posed {
        match asked(posed, subject, stored, candidate)? {
            Said::Answered(arrays) => answers.push(arrays),
            Said::Unsupported(why) => return Ok(Tried::Unsupported(why)),
            Said::Broken(broken) => return Ok(Tried::Broken(broken)),
        }
    }
    let Some(pair) = (trial.equal)(&answers) else { return Ok(Tried::Broken(missing())) };
    let allowed = match property.kind {
        Kind::Exact => 0.0,
        Kind::Equation | Kind::Hygiene => allowed(trial, subject, stored)?,
    };
    Ok(compared(&pair, allowed))
}

fn compared(pair: &Pair, allowed: f64) -> Tried {
    if pair.actual.shape() != pair.expected.shape() {
        let (a, b) = (pair.actual.shape(), pair.expected.shape());
        return Tried::Broken(Broken { reason: format!("{a:?} beside {b:?}"), error: None, allowed });
    }
    let mut worst: Option<(f64, Vec<usize>, f64, f64)> = None;
    for ((at, &actual), &expected) in pair.actual.indexed_iter().zip(&pair.expected) {
        // The same infinity is no difference; what is no number is one.
        let gap = if actual == expected { 0.0 } else { (actual - expected).abs() };
        let within = gap <= allowed;
        let larger = worst.as_ref().is_none_or(|(worst, ..)| gap.is_nan() || gap > *worst);
        if !within && larger && !worst.as_ref().is_some_and(|(worst, ..)| worst.is_nan()) {
            use ndarray::Dimension;
            worst = Some((gap, at.slice().to_vec(), actual, expected));
        }
    }
    match worst {
        None => Tried::Holds,
        Some((gap, at, actual, expected)) => Tried::Broken(Broken {
            reason: format!("{actual} beside {expected} at {at:?}"),
            error: Some(gap).filter(|gap| gap.is_finite()),
            allowed,
        }),
    }
}

/// What a right program in this format may be off by: measured on goldref itself.
fn allowed(trial: &Trial, subject: &Subject, stored: Dtype) -> Result<f64> {
    // f64 is measured in f32, whose rounding can be seen beside f64's, and scaled.
    let measured_in = if stored == Dtype::F64 { Dtype::F32 } else { stored };
    let (exact, rounded) = (subject.answers(&trial.posed, Dtype::F64)?, subject.answers(&trial.posed, measured_in)?);
    let (Some(exact), Some(rounded)) = ((trial.equal)(&exact), (trial.equal)(&rounded)) else {
        return Err(Error::ask("goldref itself does not answer a question of a property"));
    };
    let (mut gap, mut size) = (0.0, 0.0);
    for (rounded, exact) in [(&rounded.actual, &exact.actual), (&rounded.expected, &exact.expected)] {
        for (rounded, exact) in rounded.iter().zip(exact).filter(|(a, b)| a.is_finite() && b.is_finite()) {
            gap = larger(gap, (rounded - exact).abs());
            size = larger(size, exact.abs());
        }
    }
    Ok(ORDER * gap * stored.eps() / measured_in.eps() + GAPS * stored.eps() * size)
}

fn larger(a: f64, b: f64) -> f64 {
    if b > a { b } else { a }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn outcome(actual: [f64; 3], expected: [f64; 3], allowed: f64) -> Tried {
        compared(&Pair { actual: array![actual].into_dyn(), expected: array![expected].into_dyn() }, allowed)
    }

    #[test]
    fn what_is_no_number_breaks_an_equation_and_the_same_infinity_does_not() {
        let inf = f64::INFINITY;
        assert_eq!(outcome([1.0, inf, -0.0], [1.0, inf, 0.0], 0.0), Tried::Holds);
        assert_eq!(outcome([1.0, 2.0, 3.0], [1.0, 2.5, 3.0], 0.5), Tried::Holds);
        for wrong in [[f64::NAN, 2.0, 3.0], [1.0, -inf, 3.0], [1.0, 2.0, 4.0]] {
            assert!(matches!(outcome(wrong, [1.0, 2.0, 3.0], 0.5), Tried::Broken(_)), "{wrong:?}");
        }
        let Tried::Broken(worst) = outcome([1.5, f64::NAN, 9.0], [1.0, 2.0, 3.0], 0.1) else { panic!() };
        assert_eq!((worst.reason.as_str(), worst.error), ("NaN beside 2 at [0, 1]", None));
    }
}
