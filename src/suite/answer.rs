//! Asks a variant the question of a case.

use super::case::Case;
use super::generation_case::GENERATE;
use crate::candidate::ProgramQuestion;
use crate::error::{Error, Result};
use crate::eval::Evaluator;
use crate::io::{Array, Checkpoint};
use crate::linalg::convert::to_f64;
use crate::model::{Call, Model, Plan, PlannedRequest, Recorder};
use crate::num::{Dtype, Real};
use crate::ops::{self, Answer, Question};
use crate::variant::{Schedule, Variant};
use ndarray::{Array2, Ix2};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where a checkpoint lies; asked before it is read.
type Folder<'f> = &'f dyn Fn() -> Result<PathBuf>;

/// A case's checkpoint, read once, and the models made of it: one for each format of weights.
#[derive(Debug, Default)]
pub struct Prepared {
    checkpoint: Option<Checkpoint>,
    wide: Option<Model<f64>>,
    narrow: Vec<(Dtype, Model<f32>)>,
}

impl Prepared {
    fn checkpoint(&mut self, folder: Folder) -> Result<&Checkpoint> {
        if self.checkpoint.is_none() {
            self.checkpoint = Some(Checkpoint::open(folder()?)?);
        }
        self.checkpoint.as_ref().ok_or_else(|| Error::ask("the checkpoint was not read"))
    }

    fn wide(&mut self, folder: Folder) -> Result<&Model<f64>> {
        if self.wide.is_none() {
            self.wide = Some(Model::load(self.checkpoint(folder)?, Dtype::F64)?);
        }
        self.wide.as_ref().ok_or_else(|| Error::ask("the model was not read"))
    }

    fn narrow(&mut self, folder: Folder, stored: Dtype) -> Result<&Model<f32>> {
        let known = self.narrow.iter().position(|(dtype, _)| *dtype == stored);
        let index = match known {
            Some(index) => index,
            None => {
                let model = Model::load(self.checkpoint(folder)?, stored)?;
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
        let (relative, plan) = planned(&case.params, inputs, variant.schedule)?;
        return run_plan(&plan, &|| case.folder_in_suite(&relative), wanted, variant, prepared);
    }
    if case.op == GENERATE {
        let why = "programs are asked for tokens; of a variant the logits are judged that they are chosen from";
        return Ok(Asked::NotAsked(why.to_string()));
    }
    answer_operation(&Question { params: &case.params, arrays: inputs }, &case.op, variant)
}

/// The answer of `variant` to a question that is in no suite.
///
/// # Errors
/// As [`answer`].
pub(super) fn answer_question(asked: &ProgramQuestion, variant: &Variant, prepared: &mut Prepared) -> Result<Asked> {
    if asked.op == "model" {
        let (_, plan) = planned(asked.params, asked.inputs, variant.schedule)?;
        let folder =
            || asked.model.map(Path::to_path_buf).ok_or_else(|| Error::ask("the question names no checkpoint"));
        return run_plan(&plan, &folder, &[], variant, prepared);
    }
    answer_operation(&Question { params: asked.params, arrays: asked.inputs }, asked.op, variant)
}

fn answer_operation(question: &Question, op: &str, variant: &Variant) -> Result<Asked> {
    let op = ops::find(op).ok_or_else(|| {
        let known: Vec<&str> = ops::ALL.iter().map(|op| op.name).chain(["model"]).collect();
        Error::ask(format!("unknown op \"{op}\"; there are: {}", known.join(", ")))
    })?;
    if !variant.answers_operations() {
        return Ok(Asked::NotAsked(
            "differs from another variant in cache or schedule only; operations have neither".to_string(),
        ));
    }
    let mut eval = Evaluator::new(variant.numerics);
    op.ask(question, &mut eval).map(Asked::Answered)
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

/// The checkpoint's folder within the suite, and what is asked of it, call by call: the parameters and arrays of a case about a model.
///
/// # Errors
/// Parameters or arrays that do not fit.
pub fn planned(params: &Value, inputs: &BTreeMap<String, Array>, schedule: Schedule) -> Result<(String, Plan)> {
    let question = Question { params, arrays: inputs };
    let params: Params = question.params()?;
    let requests = requests(&question, &params.steps, schedule)?;
    Ok((params.model, Plan { requests, clears: true }))
}

/// The requests as the case's arrays say them.
fn requests(question: &Question, steps: &Steps, schedule: Schedule) -> Result<Vec<PlannedRequest>> {
    let mut suffixes = Vec::new();
    loop {
        let suffix = format!(".{}", suffixes.len());
        if !question.has(&format!("input_ids{suffix}")) {
            break;
        }
        suffixes.push(suffix);
    }
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
    let mut requests = Vec::with_capacity(count);
    for (i, suffix) in suffixes.into_iter().enumerate() {
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
                return Err(Error::ask(format!("params: steps must have one list for each of the {count} requests")));
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
        let tokens = Call {
            input_ids: &input_ids,
            attention_mask: attention_mask.as_ref(),
            position_ids: position_ids.as_ref(),
        };
        let calls = schedule.calls(input_ids.ncols(), steps.as_deref());
        requests.push(PlannedRequest::new(&suffix, &tokens, &calls)?);
    }
    Ok(requests)
}

/// Runs the requests one after the other, and records the sites among `wanted`.
fn run_plan(plan: &Plan, folder: Folder, wanted: &[&str], variant: &Variant, prepared: &mut Prepared) -> Result<Asked> {
    match variant.numerics.arithmetic {
        Dtype::F64 => run_model(prepared.wide(folder)?, plan, wanted, variant),
        _ => run_model(prepared.narrow(folder, variant.numerics.weights)?, plan, wanted, variant),
    }
}

fn run_model<T: Real>(model: &Model<T>, plan: &Plan, wanted: &[&str], variant: &Variant) -> Result<Asked> {
    if variant.schedule != Schedule::AsAsked && model.spec.depends_on_call_length() {
        return Ok(Asked::NotAsked(
            "its rotary frequencies depend on the length of the call, so another schedule is another question"
                .to_string(),
        ));
    }
    let mut recorder = recorder_of(plan, wanted);
    let logits = plan.run(model, variant.numerics, variant.cache, &mut recorder)?;
    let mut answer = recorded(recorder, wanted);
    for (suffix, array) in logits {
        answer.insert(format!("logits{suffix}"), to_f64(&array));
    }
    Ok(Asked::Answered(answer))
}

fn recorder_of(plan: &Plan, wanted: &[&str]) -> Recorder {
    let mut sites = Vec::new();
    for request in &plan.requests {
        let names = wanted.iter().filter_map(|name| name.strip_suffix(request.suffix.as_str()));
        sites.extend(names.filter(|name| *name != "logits"));
    }
    Recorder::of(sites)
}

fn recorded(recorder: Recorder, wanted: &[&str]) -> Answer {
    let mut answer = Answer::new();
    for (site, array) in recorder.into_arrays() {
        if wanted.contains(&site.as_str()) {
            answer.insert(site, array);
        }
    }
    answer
}
