//! Whether a candidate is alive: whether its answers follow its inputs.
//!
//! Zeros are causal, a batch of zeros is as alone, and a program that rotates nothing changes no norm: a property that compares two answers of a candidate
//! holds of a candidate that computes nothing. So where a property holds, its questions are asked with each input changed a little in turn, and the change
//! of the answer must point where the change of goldref's answer points. That is far from being right: an answer twice as large is alive.

use super::sample::Sample;
use super::search::{Failure, Verdict};
use super::steps::{Steps, samples};
use super::subject::Subject;
use super::trial::{Arrays, Posed, Trial, is_main, part};
use super::tried::{self, Broken, Said, missing};
use super::{Property, find};
use crate::candidate::Candidate;
use crate::error::{Error, Result};
use crate::eval::Numerics;
use crate::num::Dtype;
use crate::num::sort::sort_by;
use std::collections::BTreeMap;

/// The cosine, between the change of an answer and the change of the right one, from which on it follows.
const COSINE: f64 = 0.5;

/// Questions of one form that are asked at most.
const QUESTIONS: usize = 24;

/// A change of the right answer below so much of its size is rounding, and is not counted.
const NOTHING: f64 = 1e-9;

/// How far an answer followed one change of one input.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// The cosine between its change and that of the right answer, over all elements; 0 where it did not change.
    pub cosine: f64,
    /// The norm of its change over that of the right answer's.
    pub times: f64,
}

/// How far answers followed the changes of one input, sample by sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Followed {
    /// The input's name.
    pub input: String,
    /// Those samples in which the right answer changes.
    pub changes: Vec<Change>,
}

impl Followed {
    /// Whether they follow in half of the samples; an input that never matters is not judged.
    pub fn is_alive(&self) -> bool {
        let follow = self.changes.iter().filter(|change| change.cosine >= COSINE).count();
        2 * follow >= self.changes.len()
    }

    /// What was seen of an input that is not followed.
    fn in_words(&self) -> String {
        let Self { input, changes } = self;
        if changes.iter().all(|change| change.times == 0.0) {
            return format!(
                "the answer does not follow the input \"{input}\": a right answer changes when it changes, and this one does not"
            );
        }
        let mut cosines: Vec<f64> = changes.iter().map(|change| change.cosine).collect();
        sort_by(&mut cosines, &f64::total_cmp);
        let median = cosines[(cosines.len() - 1) / 2];
        format!(
            "the answer does not follow the input \"{input}\": when it changes, this answer changes otherwise than a right one (the cosine of the two \
             changes is {median:.2} in the middle of {} samples, and {COSINE} is needed)",
            cosines.len()
        )
    }
}

/// What is known of a candidate's life: questions of one form are asked once, whatever properties share it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lives {
    known: BTreeMap<String, Life>,
}

/// What came of the questions of one form.
#[derive(Debug, Clone, PartialEq)]
enum Life {
    /// How far each input was followed.
    Asked(Vec<Followed>),
    /// The candidate does not answer such questions, and what it says.
    Unsupported(String),
    /// It did not survive a question of this sample, or its answer cannot be read.
    Broken(Sample, Broken),
}

impl Lives {
    /// What is known of each form of question: how far each input was followed.
    pub fn followed(&self) -> impl Iterator<Item = (&str, &[Followed])> {
        self.known.iter().filter_map(|(form, life)| match life {
            Life::Asked(followed) => Some((form.as_str(), followed.as_slice())),
            Life::Unsupported(_) | Life::Broken(..) => None,
        })
    }

    /// The verdict on a property that was not broken, once it is known whether the candidate is alive in the questions of it.
    ///
    /// # Errors
    /// A candidate that cannot be asked.
    pub fn judged(
        &mut self,
        verdict: Verdict,
        property: &Property,
        subject: &Subject,
        candidate: &mut dyn Candidate,
        stored: Dtype,
    ) -> Result<Verdict> {
        let asked = matches!(verdict, Verdict::Holds { .. });
        for form in forms(property, subject) {
            let key = form.known_as(subject);
            let life = match self.known.remove(&key) {
                Some(life) => life,
                None => form.life(subject, candidate, stored)?,
            };
            let found = match &life {
                Life::Asked(followed) => followed
                    .iter()
                    .find(|followed| !followed.is_alive())
                    .map(|dead| Verdict::NotAlive { input: dead.input.clone(), reason: dead.in_words() }),
                Life::Unsupported(why) => asked.then(|| Verdict::Unsupported { why: why.clone() }),
                Life::Broken(sample, broken) => Some(Verdict::Broken(Failure::of(sample.clone(), broken.clone()))),
            };
            self.known.insert(key, life);
            if let Some(found) = found {
                return Ok(found);
            }
        }
        Ok(verdict)
    }
}

/// Questions of the same operation with the same parameters and inputs.
struct Form {
    samples: Vec<(Sample, Steps)>,
    key: String,
}

/// The forms of a property's questions. A property that says nothing of a model is asked as one that says something of each.
fn forms(property: &Property, subject: &Subject) -> Vec<Form> {
    let mut forms: Vec<Form> = Vec::new();
    let fallback = find("causal");
    for sample in samples() {
        let trial = property.trial(&sample, subject);
        let trial = trial.or_else(|| fallback.and_then(|causal| causal.trial(&sample, subject)));
        let mut seen: Vec<String> = Vec::new();
        for posed in trial.iter().flat_map(|Trial { posed, .. }| posed) {
            let key = key(posed);
            // The first question of a form, of each sample.
            if seen.contains(&key) {
                continue;
            }
            let steps = Steps::of(posed, &sample, subject);
            match forms.iter_mut().find(|form| form.key == key) {
                Some(form) => form.samples.push((sample.clone(), steps)),
                None => forms.push(Form { samples: vec![(sample.clone(), steps)], key: key.clone() }),
            }
            seen.push(key);
        }
    }
    forms
}

/// Lengths and the layout of rotary features vary within a form.
fn key(posed: &Posed) -> String {
    let params: Vec<&String> = posed.params.as_object().into_iter().flat_map(serde_json::Map::keys).collect();
    let inputs: Vec<&String> = posed.inputs.keys().collect();
    format!("{} {params:?} {inputs:?}", posed.op)
}

impl Form {
    fn known_as(&self, subject: &Subject) -> String {
        subject.folder().map_or_else(|| self.key.clone(), |folder| format!("{} {}", folder.display(), self.key))
    }

    fn life(&self, subject: &Subject, candidate: &mut dyn Candidate, stored: Dtype) -> Result<Life> {
        let mut followed: BTreeMap<&String, Vec<Change>> = BTreeMap::new();
        let (mut left, exact) = (QUESTIONS, Numerics::in_format(Dtype::F64));
        for (sample, steps) in &self.samples {
            let questions = 1 + steps.changed.len();
            if questions > left && left < QUESTIONS {
                break;
            }
            left = left.saturating_sub(questions);
            let right = |posed| Ok::<_, Error>(looked_at(subject.answer(posed, exact)?, steps));
            let mut said = |posed, right: &Arrays| match tried::asked(posed, subject, stored, candidate)? {
                Said::Answered(arrays) => {
                    let arrays = looked_at(arrays, steps);
                    Ok(if fits(&arrays, right) { Ok(arrays) } else { Err(Life::Broken(sample.clone(), missing())) })
                }
                Said::Unsupported(why) => Ok(Err(Life::Unsupported(why))),
                Said::Broken(broken) => Ok::<_, Error>(Err(Life::Broken(sample.clone(), broken))),
            };
            let right_base = right(&steps.base)?;
            let base = match said(&steps.base, &right_base)? {
                Ok(base) => base,
                Err(ended) => return Ok(ended),
            };
            for (input, posed) in &steps.changed {
                let right_now = right(posed)?;
                let now = match said(posed, &right_now)? {
                    Ok(now) => now,
                    Err(ended) => return Ok(ended),
                };
                followed.entry(input).or_default().extend(change([&base, &now], [&right_base, &right_now]));
            }
        }
        let followed = followed.into_iter().map(|(input, changes)| Followed { input: input.clone(), changes });
        Ok(Life::Asked(followed.collect()))
    }
}

/// The main arrays, as far as they are looked at.
fn looked_at(mut arrays: Arrays, steps: &Steps) -> Arrays {
    arrays.retain(|name, _| is_main(name));
    if let Some(from) = steps.from {
        for array in arrays.values_mut().filter(|array| array.ndim() > 1) {
            let from = from.min(array.shape()[1]);
            *array = part(array, 1, from, array.shape()[1]);
        }
    }
    arrays
}

fn fits(actual: &Arrays, right: &Arrays) -> bool {
    right.iter().all(|(name, right)| actual.get(name).is_some_and(|actual| actual.shape() == right.shape()))
}

/// The change of an answer beside that of the right one; `None` where the right one does not change.
fn change([base, now]: [&Arrays; 2], [right_base, right_now]: [&Arrays; 2]) -> Option<Change> {
    let (mut both, mut own, mut other, mut size) = (0.0, 0.0, 0.0, 0.0);
    for (name, right_base) in right_base {
        let [base, now, right_now] = [base.get(name)?, now.get(name)?, right_now.get(name)?];
        for (((&a, &b), &c), &d) in base.iter().zip(now).zip(right_base).zip(right_now) {
            let (x, y) = (less(b, a), less(d, c));
            both += x * y;
            own += x * x;
            other += y * y;
            size += c * c;
        }
    }
    // What is no number is no change that a right answer makes.
    if !(other > NOTHING * NOTHING * size) {
        return None;
    }
    let cosine = if own == 0.0 { 0.0 } else { both / (own * other).sqrt() };
    Some(Change { cosine, times: (own / other).sqrt() })
}

/// The same infinity is no change.
fn less(now: f64, base: f64) -> f64 {
    if now == base { 0.0 } else { now - base }
}
