//! A case that tells suspects apart where no case of the suites does, made on request.
//!
//! Random questions of each situation that faults hide from (decode, chunks, padding, far positions, a second request) are put to each checkpoint of the
//! laboratory with each suspect's fault in it; the question whose answers are farthest apart, in proportion to their size, is it. Suspects that are the same function
//! stay together in all of them, and then there is none.

use super::Laboratory;
use super::power::largest_gap;
use crate::error::{Error, Result};
use crate::fault::{self, Fault, FaultAnswer};
use crate::io::Array;
use crate::model::{Model, Plan};
use crate::num::{RandomStream, parallel};
use crate::suite::{NewCase, planned};
use crate::variant::Schedule;
use ndarray::{Array2, Array3, ArrayD, s};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Questions for each checkpoint.
const QUESTIONS: usize = 24;
/// Answers nearer to each other than this, in proportion to their size, are the same function: their arithmetic differs, not they.
const APART: f64 = 1e-4;

/// A case that tells suspects apart.
#[derive(Debug, Clone, PartialEq)]
pub struct TellingCase {
    /// The question, with the right answer.
    pub case: NewCase,
    /// The checkpoint that is asked.
    pub checkpoint: PathBuf,
    /// How far apart the nearest two suspects are, over the largest logit.
    pub apart: f64,
}

/// Logits by the suffix of their request.
type Logits = BTreeMap<String, Array3<f64>>;

/// A question and what it is compared on.
struct Question {
    params: Value,
    inputs: BTreeMap<String, Array>,
    compare_where: Option<String>,
}

impl Laboratory {
    /// The case that tells all of `suspects` apart best, each one fault or two; `None` where they are the same function in each question that was tried.
    ///
    /// # Errors
    /// Fewer than two suspects; a name that is not known; what the models refuse.
    pub fn telling_case(&self, suspects: &[Vec<&'static str>], seed: u64) -> Result<Option<TellingCase>> {
        if suspects.len() < 2 {
            return Err(Error::ask("there is nothing to tell apart: one suspect alone explains the answers"));
        }
        let mut faults: Vec<Vec<&'static Fault>> = Vec::new();
        for names in suspects {
            let mut named = Vec::new();
            for name in names {
                named.push(fault::find(name).ok_or_else(|| Error::ask(format!("no fault is called \"{name}\"")))?);
            }
            faults.push(named);
        }
        // Model by model, all of its questions.
        let found = parallel::try_map(self.models().len() * QUESTIONS, &|at| {
            let ((folder, model), number) = (&self.models()[at / QUESTIONS], (at % QUESTIONS) as u64);
            let question = question(model, RandomStream::new(seed, number), number);
            Ok(self.apart(model, &question, &faults)?.map(|(apart, right)| (apart, folder.clone(), question, right)))
        })?;
        let best = found.into_iter().flatten().max_by(|(a, ..), (b, ..)| a.total_cmp(b));
        Ok(best.filter(|(apart, ..)| *apart > APART).map(|(apart, folder, question, right)| {
            let mut expected = BTreeMap::new();
            for (suffix, x) in right {
                expected.insert(format!("logits{suffix}"), x.into_dyn());
            }
            let Question { params, inputs, compare_where } = question;
            let (id, op) = ("telling".to_string(), "model".to_string());
            TellingCase { case: NewCase { id, op, params, inputs, expected, compare_where }, checkpoint: folder, apart }
        }))
    }

    /// How far apart the nearest two suspects are in one question, and its right answer; `None` where the model does not take it.
    fn apart(
        &self,
        model: &Model<f64>,
        question: &Question,
        faults: &[Vec<&'static Fault>],
    ) -> Result<Option<(f64, Logits)>> {
        let mut params = question.params.clone();
        params["model"] = "model".into();
        let (_, plan) = planned(&params, &question.inputs, Schedule::AsAsked)?;
        let numerics = self.numerics();
        let answer = |faults: &[&Fault]| -> Result<Option<Logits>> {
            Ok(match fault::run(model, &plan, &numerics, faults)? {
                FaultAnswer::Logits(logits) => Some(logits),
                FaultAnswer::NoPlace => None,
            })
        };
        let Some(right) = answer(&[])? else { return Ok(None) };
        let flat_right = compared(&right, &plan);
        let size = flat_right.iter().fold(0.0, |size: f64, x| if x.abs() > size { x.abs() } else { size });
        let mut answers = Vec::new();
        for faults in faults {
            // Where a fault has no place the candidate is right.
            answers.push(answer(faults)?.map_or_else(|| flat_right.clone(), |logits| compared(&logits, &plan)));
        }
        let mut nearest = f64::INFINITY;
        for (at, one) in answers.iter().enumerate() {
            for other in &answers[at + 1..] {
                let gap = largest_gap(one, other) / size;
                nearest = if gap < nearest { gap } else { nearest };
            }
        }
        // Answers that are not finite tell little about anything else.
        let apart = if nearest.is_finite() { nearest } else { APART };
        Ok(Some((apart, right)))
    }
}

/// The logits of real tokens.
fn compared(logits: &Logits, plan: &Plan) -> Vec<f64> {
    let mut all = Vec::new();
    for request in &plan.requests {
        let Some(logits) = logits.get(&request.suffix) else { continue };
        let mut first = 0;
        for call in &request.calls {
            for ((row, token), _) in call.real.indexed_iter().filter(|(_, real)| **real) {
                all.extend(logits.slice(s![row, first + token, ..]).iter());
            }
            first += call.input_ids.ncols();
        }
    }
    all
}

/// An array `[batch, len]` of a number for each token.
fn each_token(batch: usize, len: usize, number: &dyn Fn(usize, usize) -> i64) -> ArrayD<i64> {
    Array2::from_shape_fn((batch, len), |(b, t)| number(b, t)).into_dyn()
}

/// One question of the situation that its number stands for.
fn question(model: &Model<f64>, stream: RandomStream, number: u64) -> Question {
    let most = model.spec.embedding.learned_positions.unwrap_or(usize::MAX).min(24);
    let len = 2 + stream.below(0, most.saturating_sub(1).max(1));
    let len = len.min(most.max(1));
    let first = 1 + stream.below(1, len.max(2) - 1);
    let ids = |salt: u64, batch: usize| -> ArrayD<i64> {
        each_token(batch, len, &|b, t| {
            stream.below(salt + 1000 * (b * len + t) as u64 + 10, model.spec.vocab_size) as i64
        })
    };
    let named = |name: &str, array: ArrayD<i64>| (name.to_string(), Array::I64(array));
    let single = || std::iter::once(first).chain(std::iter::repeat_n(1, len - first)).collect::<Vec<_>>();
    let chunks = || if first < len { vec![first, len - first] } else { vec![len] };
    let plain = |params: Value, named: Vec<(String, Array)>| {
        let mut inputs = BTreeMap::new();
        for (name, array) in named {
            inputs.insert(name, array);
        }
        Question { params, inputs, compare_where: None }
    };
    match number % 6 {
        0 => plain(json!({}), vec![named("input_ids", ids(1, 2))]),
        1 => plain(json!({"steps": single()}), vec![named("input_ids", ids(1, 1))]),
        2 => plain(json!({"steps": chunks()}), vec![named("input_ids", ids(1, 2))]),
        3 => {
            let padding = stream.below(2, len);
            let mask = each_token(2, len, &|b, t| i64::from(b == 1 || t >= padding));
            let inputs = vec![named("input_ids", ids(1, 2)), named("attention_mask", mask)];
            Question { compare_where: Some("attention_mask".to_string()), ..plain(json!({"steps": single()}), inputs) }
        }
        4 => {
            let room = model.spec.embedding.learned_positions.map_or(2000, |rows| rows.saturating_sub(len));
            let from = stream.below(3, room.max(1));
            let positions = each_token(1, len, &|_, t| (from + t) as i64);
            plain(json!({"steps": chunks()}), vec![named("input_ids", ids(1, 1)), named("position_ids", positions)])
        }
        _ => plain(
            json!({"steps": [single(), single()]}),
            vec![named("input_ids.0", ids(1, 1)), named("input_ids.1", ids(2, 1))],
        ),
    }
}
