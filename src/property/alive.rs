//! Whether a candidate is alive: whether its answers follow its inputs.
//!
//! Zeros are causal, a batch of zeros is as alone, and a program that rotates nothing changes no norm: a property that compares two answers of a candidate
//! holds of a candidate that computes nothing. So where a property holds, its questions are asked with each input changed a little in turn, and the change
//! of the answer must point where the change of goldref's answer points. That is far from being right: an answer twice as large is alive.

use super::sample::Sample;
use super::search::{Failure, Verdict};
use super::steps::{Bar, Look, SEED, Step, Steps, samples};
use super::subject::Subject;
use super::trial::{Arrays, Posed, Trial, is_main};
use super::tried::{self, Broken, Said, missing};
use super::{Property, find};
use crate::candidate::Candidate;
use crate::error::{Error, Result};
use crate::eval::Numerics;
use crate::num::Dtype;
use crate::num::sort::sort_by;
use ndarray::{ArrayD, ArrayViewD, Axis, Slice};
use std::collections::BTreeMap;

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
    /// What was looked at, for people.
    pub answer: &'static str,
    /// What each change must meet.
    pub bar: Bar,
    /// Those samples in which the right answer changes.
    pub changes: Vec<Change>,
}

impl Bar {
    fn is_met(self, change: &Change) -> bool {
        match self {
            Self::Cosine(least) => change.cosine >= least,
            Self::Norm(least) => change.times >= least,
        }
    }
}

impl Followed {
    /// Whether they follow in half of the samples; an input that never matters is not judged.
    pub fn is_alive(&self) -> bool {
        let follow = self.changes.iter().filter(|change| self.bar.is_met(change)).count();
        2 * follow >= self.changes.len()
    }

    /// What was seen of an input that is not followed.
    fn in_words(&self) -> String {
        let Self { input, answer, bar, changes } = self;
        let begins = format!("{answer} does not follow the input \"{input}\"");
        if changes.iter().all(|change| change.times == 0.0) {
            return format!("{begins}: a right answer changes when it changes, and this one does not");
        }
        let middle = |number: fn(&Change) -> f64| {
            let mut numbers: Vec<f64> = changes.iter().map(number).collect();
            sort_by(&mut numbers, &f64::total_cmp);
            numbers[(numbers.len() - 1) / 2]
        };
        let (found, needed, what) = match bar {
            Bar::Cosine(least) => (middle(|change| change.cosine), least, "the cosine of the two changes is"),
            Bar::Norm(least) => (middle(|change| change.times), least, "its change, over that of a right one, is"),
        };
        format!(
            "{begins}: when it changes, this answer changes otherwise than a right one ({what} {found:.2} in the middle of {} samples, and {needed} is \
             needed)",
            changes.len()
        )
    }
}

/// What is known of a candidate's life: questions of one form are asked once, whatever properties share it.
#[derive(Debug, Clone, PartialEq)]
pub struct Lives {
    seed: u64,
    known: BTreeMap<String, Life>,
}

impl Default for Lives {
    fn default() -> Self {
        Self::of(SEED)
    }
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
    /// Of a candidate that is asked with the samples of this seed: one that nobody knows before leaves no use for answers learnt by heart.
    pub fn of(seed: u64) -> Self {
        Self { seed, known: BTreeMap::new() }
    }

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
        for form in forms(property, subject, self.seed) {
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
fn forms(property: &Property, subject: &Subject, seed: u64) -> Vec<Form> {
    let mut forms: Vec<Form> = Vec::new();
    let fallback = find("causal");
    for sample in samples(seed) {
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
        let mut all: Vec<Followed> = Vec::new();
        let (mut left, exact) = (QUESTIONS, Numerics::in_format(Dtype::F64));
        for (sample, Steps { base, changed }) in &self.samples {
            let questions = 1 + changed.len();
            if questions > left && left < QUESTIONS {
                break;
            }
            left = left.saturating_sub(questions);
            let right = |posed| subject.answer(posed, exact);
            let mut said = |posed, right: &Arrays| match tried::asked(posed, subject, stored, candidate)? {
                Said::Answered(arrays) if fits(&arrays, right) => Ok(Ok(arrays)),
                Said::Answered(_) => Ok(Err(Life::Broken(sample.clone(), missing()))),
                Said::Unsupported(why) => Ok(Err(Life::Unsupported(why))),
                Said::Broken(broken) => Ok::<_, Error>(Err(Life::Broken(sample.clone(), broken))),
            };
            let right_base = right(base)?;
            let base = match said(base, &right_base)? {
                Ok(base) => base,
                Err(ended) => return Ok(ended),
            };
            for Step { input, posed, looks } in changed {
                let right_now = right(posed)?;
                let now = match said(posed, &right_now)? {
                    Ok(now) => now,
                    Err(ended) => return Ok(ended),
                };
                for &Look { answer, from, bar } in looks {
                    let seen = change([&base, &now], [&right_base, &right_now], from);
                    match all.iter_mut().find(|known| known.input == *input && known.answer == answer) {
                        Some(known) => known.changes.extend(seen),
                        None => all.push(Followed {
                            input: input.clone(),
                            answer,
                            bar,
                            changes: seen.into_iter().collect(),
                        }),
                    }
                }
            }
        }
        Ok(Life::Asked(all))
    }
}

/// Whether the main arrays are there and have their shapes.
fn fits(actual: &Arrays, right: &Arrays) -> bool {
    let mut right = right.iter().filter(|(name, _)| is_main(name));
    right.all(|(name, right)| actual.get(name).is_some_and(|actual| actual.shape() == right.shape()))
}

/// The change of an answer beside that of the right one, of tokens from `from` on; `None` where the right one does not change.
fn change([base, now]: [&Arrays; 2], [right_base, right_now]: [&Arrays; 2], from: Option<usize>) -> Option<Change> {
    let (mut both, mut own, mut other, mut size) = (0.0, 0.0, 0.0, 0.0);
    for name in right_base.keys().filter(|name| is_main(name)) {
        let [base, now, right_base, right_now] = [base, now, right_base, right_now].map(|arrays| arrays.get(name));
        let [base, now, right_base, right_now] =
            [seen(base?, from), seen(now?, from), seen(right_base?, from), seen(right_now?, from)];
        for (((&a, &b), &c), &d) in base.iter().zip(now).zip(right_base).zip(right_now) {
            let (x, y) = (less(b, a), less(d, c));
            both += x * y;
            own += x * x;
            other += y * y;
            size += c * c;
        }
    }
    let changes = other > NOTHING * NOTHING * size;
    if !changes {
        return None;
    }
    let cosine = if own == 0.0 { 0.0 } else { both / (own * other).sqrt() };
    Some(Change { cosine, times: (own / other).sqrt() })
}

/// Logits `[batch, len, vocab_size]` of the tokens that are looked at, or all of an array.
fn seen(array: &ArrayD<f64>, from: Option<usize>) -> ArrayViewD<'_, f64> {
    match from {
        Some(from) if array.ndim() > 1 => array.slice_axis(Axis(1), Slice::from(from.min(array.shape()[1])..)),
        _ => array.view(),
    }
}

/// The same infinity is no change.
fn less(now: f64, base: f64) -> f64 {
    if now == base { 0.0 } else { now - base }
}
