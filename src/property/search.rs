//! Tries a property on many samples and shrinks a failure.

use super::alive::Lives;
use super::sample::{Sample, samples};
use super::subject::Subject;
use super::tried::{Broken, Tried, tried};
use super::{Kind, Property};
use crate::candidate::Candidate;
use crate::error::{Error, Result};
use crate::num::Dtype;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use serde::Serialize;
use std::cell::{Cell, RefCell};

/// Steps of shrinking, each a question or two.
const SHRINKING: u32 = 200;

/// How thorough a search is.
#[derive(Debug, Clone, Copy)]
pub struct Search {
    /// Samples of each property.
    pub samples: u32,
    /// Where they begin: the same seed gives the same samples.
    pub seed: u64,
    /// The candidate's format of storage.
    pub stored: Dtype,
}

/// What is found of one property on one subject.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PropertyResult {
    /// Its name.
    pub property: &'static str,
    /// How strictly it holds.
    pub kind: Kind,
    /// The checkpoint, where it is about one.
    pub model: Option<String>,
    /// The verdict.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// The verdict on one property.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// It held each time.
    Holds {
        /// Samples.
        samples: u32,
    },
    /// It was broken.
    Broken(Failure),
    /// It held, of answers that do not follow their inputs.
    NotAlive {
        /// The input.
        input: String,
        /// What was seen.
        reason: String,
    },
    /// The candidate does not answer such questions.
    Unsupported {
        /// What it says.
        why: String,
    },
    /// The property says nothing of this model.
    NoPlace,
}

/// The smallest counterexample that was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Failure {
    /// Its sizes and numbers.
    pub sample: Sample,
    /// What was seen.
    pub reason: String,
    /// Largest difference; `None` where there is none that is finite.
    pub error: Option<f64>,
    /// What rounding may do.
    pub allowed: f64,
}

impl Failure {
    pub(super) fn of(sample: Sample, broken: Broken) -> Self {
        let Broken { reason, error, allowed } = broken;
        Self { sample, reason, error, allowed }
    }
}

/// Tries one property on `search.samples` samples; a failure is shrunk. Of a candidate that is not alive in the questions of the property it does not hold;
/// `lives` keeps what is known of this candidate's life from property to property.
///
/// # Errors
/// A candidate that cannot be asked.
pub fn check(
    property: &Property,
    subject: &Subject,
    candidate: &mut dyn Candidate,
    search: &Search,
    lives: &mut Lives,
) -> Result<PropertyResult> {
    let candidate = RefCell::new(candidate);
    let error: RefCell<Option<Error>> = RefCell::new(None);
    let unsupported: RefCell<Option<String>> = RefCell::new(None);
    let (held, last) = (Cell::new(0), RefCell::new(None));
    let config =
        Config { cases: search.samples, max_shrink_iters: SHRINKING, failure_persistence: None, ..Config::default() };
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&search.seed.to_le_bytes());
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    let outcome = runner.run(&samples(), |sample| {
        // A candidate that cannot be asked, or does not answer, need not be asked again.
        if error.borrow().is_some() || unsupported.borrow().is_some() {
            return Ok(());
        }
        let Some(trial) = property.trial(&sample, subject) else { return Ok(()) };
        match tried(property, &trial, subject, search.stored, *candidate.borrow_mut()) {
            Ok(Tried::Holds) => held.set(held.get() + 1),
            Ok(Tried::Unsupported(why)) => _ = unsupported.replace(Some(why)),
            Ok(Tried::Broken(broken)) => {
                let reason = broken.reason.clone();
                last.replace(Some(broken));
                return Err(TestCaseError::fail(reason));
            }
            Err(e) => _ = error.replace(Some(e)),
        }
        Ok(())
    });
    if let Some(error) = error.into_inner() {
        return Err(error);
    }
    let verdict = match outcome {
        // The last sample that failed is the smallest.
        Err(TestError::Fail(_, sample)) => {
            let fallback = || Broken { reason: "it failed".to_string(), error: None, allowed: 0.0 };
            Verdict::Broken(Failure::of(sample, last.into_inner().unwrap_or_else(fallback)))
        }
        Err(TestError::Abort(why)) => return Err(Error::ask(format!("the search was given up: {why}"))),
        Ok(()) => match unsupported.into_inner() {
            Some(why) => Verdict::Unsupported { why },
            None if held.get() == 0 => Verdict::NoPlace,
            None => Verdict::Holds { samples: held.get() },
        },
    };
    let verdict = judged(verdict, property, subject, candidate.into_inner(), search.stored, lives)?;
    let model = subject.name().map(str::to_string);
    Ok(PropertyResult { property: property.name, kind: property.kind, model, verdict })
}

/// Tries one property on one sample, as it was saved.
///
/// # Errors
/// As [`check`]; a sample for which the property has no place.
pub fn check_again(
    property: &Property,
    sample: &Sample,
    subject: &Subject,
    candidate: &mut dyn Candidate,
    stored: Dtype,
) -> Result<PropertyResult> {
    let trial = property
        .trial(sample, subject)
        .ok_or_else(|| Error::ask(format!("{} says nothing of this sample", property.name)))?;
    let verdict = match tried(property, &trial, subject, stored, candidate)? {
        Tried::Holds => Verdict::Holds { samples: 1 },
        Tried::Unsupported(why) => Verdict::Unsupported { why },
        Tried::Broken(broken) => Verdict::Broken(Failure::of(sample.clone(), broken)),
    };
    let verdict = judged(verdict, property, subject, candidate, stored, &mut Lives::default())?;
    let model = subject.name().map(str::to_string);
    Ok(PropertyResult { property: property.name, kind: property.kind, model, verdict })
}

/// Whether a candidate is alive is looked into where the property was not broken.
fn judged(
    verdict: Verdict,
    property: &Property,
    subject: &Subject,
    candidate: &mut dyn Candidate,
    stored: Dtype,
    lives: &mut Lives,
) -> Result<Verdict> {
    match verdict {
        Verdict::Holds { .. } | Verdict::NoPlace => lives.judged(verdict, property, subject, candidate, stored),
        other => Ok(other),
    }
}
