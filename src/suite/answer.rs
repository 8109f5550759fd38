//! Asks a variant the question of a case.

use super::case::Case;
use crate::error::{Error, Result};
use crate::eval::{Evaluator, Trace};
use crate::fault::{Plan, PlannedRequest};
use crate::io::{Array, Checkpoint};
use crate::model::{Call, Model, Session};
use crate::num::{Dtype, Real};
use crate::ops::{self, Answer, Question};
use crate::variant::{Schedule, Variant};
use ndarray::{Array2, Ix2};
use serde::Deserialize;
use std::collections::BTreeMap;

/// A case's checkpoint, read once, and the models made of it: one for each format of weights.
#[derive(Debug, Default)]
pub struct Prepared {
    checkpoint: Option<Checkpoint>,
    wide: Option<Model<f64>>,
    narrow: Vec<(Dtype, Model<f32>)>,
}

impl Prepared {
    fn checkpoint(&mut self, case: &Case, folder: &str) -> Result<&Checkpoint> {
        if self.checkpoint.is_none() {
            self.checkpoint = Some(Checkpoint::open(case.folder_in_suite(folder)?)?);
        }
        self.checkpoint.as_ref().ok_or_else(|| Error::ask("the checkpoint was not read"))
    }

    fn wide(&mut self, case: &Case, folder: &str) -> Result<&Model<f64>> {
        if self.wide.is_none() {
            self.wide = Some(Model::load(self.checkpoint(case, folder)?, Dtype::F64)?);
        }
        self.wide.as_ref().ok_or_else(|| Error::ask("the model was not read"))
    }

    fn narrow(&mut self, case: &Case, folder: &str, stored: Dtype) -> Result<&Model<f32>> {
        let known = self.narrow.iter().position(|(dtype, _)| *dtype == stored);
        let index = match known {
            Some(index) => index,
            None => {
                let model = Model::load(self.checkpoint(case, folder)?, stored)?;
                self.narrow.push((stored, model));
                self.narrow.len() - 1
            }
        };
        Ok(&self.narrow[index].1)
    }
}

/// What came of asking.
#[derive(Debug)]
pub enum Asked {
    /// The answer.
    Answered(Answer),
    /// The question does not fit the variant, and why.
    NotAsked(String),
}

/// The answer of `variant` to `case`: at least the arrays named in `wanted`, where the operation has them.
///
/// # Errors
/// An unknown operation, parameters or arrays that do not fit, an unreadable checkpoint.
pub fn answer(
    case: &Case,
    inputs: &BTreeMap<String, Array>,
    wanted: &[&str],
    variant: &Variant,
    prepared: &mut Prepared,
) -> Result<Asked> {
    if case.op == "model" {
        return answer_model(case, inputs, wanted, variant, prepared);
    }
    let op = ops::find(&case.op).ok_or_else(|| {
        let known: Vec<&str> = ops::ALL.iter().map(|op| op.name).chain(["model"]).collect();
        Error::ask(format!("unknown op \"{}\"; there are: {}", case.op, known.join(", ")))
    })?;
    if !variant.answers_operations() {
        return Ok(Asked::NotAsked(
            "differs from another variant in cache or schedule only; operations have neither".to_string(),
        ));
    }
    let mut eval = Evaluator::new(variant.numerics);
    op.ask(&Question { params: &case.params, arrays: inputs }, &mut eval).map(Asked::Answered)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    model: String,
    #[serde(default)]
    steps: Steps,
}

/// Lengths of the calls, of one request or of each.
#[derive(Debug, Default, Deserialize)]
#[serde(untagged)]
enum Steps {
    #[default]
    Whole,
    One(Vec<usize>),
    Each(Vec<Vec<usize>>),
}

fn answer_model(
    case: &Case,
    inputs: &BTreeMap<String, Array>,
    wanted: &[&str],
    variant: &Variant,
    prepared: &mut Prepared,
) -> Result<Asked> {
    let question = Question { params: &case.params, arrays: inputs };
    let params: Params = question.params()?;
    let requests = requests(&question, &params.steps)?;
    let model = params.model.as_str();
    match variant.numerics.arithmetic {
        Dtype::F64 => run_requests(prepared.wide(case, model)?, &requests, wanted, variant),
        _ => run_requests(prepared.narrow(case, model, variant.numerics.weights)?, &requests, wanted, variant),
    }
}

/// The checkpoint's folder within the suite, and what is asked of it, call by call.
pub(super) fn planned(case: &Case, inputs: &BTreeMap<String, Array>) -> Result<(String, Plan)> {
    let question = Question { params: &case.params, arrays: inputs };
    let params: Params = question.params()?;
    let requests = requests(&question, &params.steps)?.into_iter().map(|request| {
        let lengths = Schedule::AsAsked.calls(request.input_ids.ncols(), request.steps.as_deref());
        let (ids, mask, positions) = (&request.input_ids, &request.attention_mask, &request.position_ids);
        PlannedRequest::new(&request.suffix, ids, mask.as_ref(), positions.as_ref(), &lengths)
    });
    Ok((params.model, Plan { requests: requests.collect(), clears: true }))
}

/// One request as the case's arrays say it.
struct Request {
    /// `""`, or `".0"`, `".1"` where there are several.
    suffix: String,
    input_ids: Array2<i64>,
    attention_mask: Option<Array2<bool>>,
    position_ids: Option<Array2<i64>>,
    steps: Option<Vec<usize>>,
}

fn requests(question: &Question, steps: &Steps) -> Result<Vec<Request>> {
    let mut suffixes: Vec<String> =
        (0..).map(|i| format!(".{i}")).take_while(|suffix| question.has(&format!("input_ids{suffix}"))).collect();
    if suffixes.is_empty() {
        suffixes.push(String::new());
    }
    let names = ["input_ids", "attention_mask", "position_ids"];
    let known = |name: &str| names.iter().any(|known| suffixes.iter().any(|suffix| format!("{known}{suffix}") == name));
    if let Some(unknown) = question.arrays.keys().find(|name| !known(name)) {
        return Err(Error::ask(format!(
            "model takes no array \"{unknown}\"; it takes {}, with .0, .1 … behind each for several requests",
            names.join(", ")
        )));
    }
    let count = suffixes.len();
    suffixes
        .into_iter()
        .enumerate()
        .map(|(i, suffix)| {
            let name = |base: &str| format!("{base}{suffix}");
            let integers = |base: &str| -> Result<Array2<i64>> {
                let array = question.integers(&name(base))?;
                let shape = array.shape().to_vec();
                array
                    .into_dimensionality::<Ix2>()
                    .map_err(|_| Error::ask(format!("{base} has shape {shape:?}; it must be [batch, len]")))
            };
            let input_ids = integers("input_ids")?;
            let attention_mask = if question.has(&name("attention_mask")) {
                Some(integers("attention_mask")?.mapv(|x| x != 0))
            } else {
                None
            };
            let position_ids = if question.has(&name("position_ids")) { Some(integers("position_ids")?) } else { None };
            let steps = match steps {
                Steps::Whole => None,
                Steps::One(steps) if count == 1 => Some(steps.clone()),
                Steps::Each(each) if each.len() == count => Some(each[i].clone()),
                Steps::One(_) | Steps::Each(_) => {
                    return Err(Error::ask(format!(
                        "params: steps must have one list for each of the {count} requests"
                    )));
                }
            };
            if let Some(steps) = &steps
                && (steps.iter().sum::<usize>() != input_ids.ncols() || steps.contains(&0))
            {
                return Err(Error::ask(format!(
                    "params: steps {steps:?} must be positive and sum to the {} tokens of {}",
                    input_ids.ncols(),
                    name("input_ids")
                )));
            }
            let shape = input_ids.dim();
            let other = attention_mask
                .as_ref()
                .map(|m| m.dim())
                .into_iter()
                .chain(position_ids.as_ref().map(|p| p.dim()))
                .find(|dim| *dim != shape);
            if let Some(other) = other {
                return Err(Error::ask(format!(
                    "attention_mask and position_ids must have the shape of input_ids, {shape:?}, not {other:?}"
                )));
            }
            Ok(Request { suffix, input_ids, attention_mask, position_ids, steps })
        })
        .collect()
}

/// Runs the requests one after the other on one model and, where the batch allows, on one session.
fn run_requests<T: Real>(model: &Model<T>, requests: &[Request], wanted: &[&str], variant: &Variant) -> Result<Asked> {
    if variant.schedule != Schedule::AsAsked && model.spec.depends_on_call_length() {
        return Ok(Asked::NotAsked(
            "its rotary frequencies depend on the length of the call, so another schedule is another question"
                .to_string(),
        ));
    }
    let mut answer = Answer::new();
    let mut session: Option<Session<T>> = None;
    for request in requests {
        let batch = request.input_ids.nrows();
        // A used session is cleared and used again: what it kept must not be seen by the next request.
        let mut session_of_batch = match session.take() {
            Some(mut used) if used.batch() == batch => {
                used.clear();
                used
            }
            _ => Session::new(&model.spec, batch, variant.cache, variant.numerics.cache),
        };
        let sites = wanted
            .iter()
            .filter_map(|name| name.strip_suffix(request.suffix.as_str()))
            .filter(|name| *name != "logits");
        let mut trace = Trace::of(sites);
        let calls = variant.schedule.calls(request.input_ids.ncols(), request.steps.as_deref());
        let mut eval = Evaluator::with_trace(variant.numerics, &mut trace);
        let tokens = Call {
            input_ids: &request.input_ids,
            attention_mask: request.attention_mask.as_ref(),
            position_ids: request.position_ids.as_ref(),
        };
        let logits = model.forward_in_calls(&tokens, &calls, &mut session_of_batch, &mut eval)?;
        session = Some(session_of_batch);
        answer
            .extend(trace.into_arrays().into_iter().map(|(site, array)| (format!("{site}{}", request.suffix), array)));
        answer.insert(format!("logits{}", request.suffix), logits.mapv(Real::to_f64).into_dyn());
    }
    Ok(Asked::Answered(answer))
}
