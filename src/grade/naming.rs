//! Names the fault behind wrong answers.

use super::assignment::Rung;
use super::course::ReadyCases;
use crate::diagnose::{diagnose, largest_gap};
use crate::error::Result;
use crate::fault::{self, has_operation_form, run_operation};
use crate::ops::Answer;
use crate::suite::{Exam, ModelQuestion, OperationCase};
use crate::variant::Variant;

/// A case with what was answered.
pub(super) struct Given<'g> {
    pub(super) exam: &'g Exam,
    /// `None` where there are no numbers in the right shape.
    pub(super) answer: Option<Answer>,
    /// Whether points were lost.
    pub(super) failed: bool,
    /// Whether students do not have it.
    pub(super) hidden: bool,
}

impl Given<'_> {
    /// Whether it has numbers, and wrong ones.
    pub(super) fn is_wrong(&self) -> bool {
        self.failed && self.answer.is_some()
    }
}

/// Suspects that are named where several explain the answers equally.
const MOST: usize = 3;
/// What may be left of a fault's error where it explains an answer.
const LEFT: f64 = 1e-2;

/// What a case is about, for people: its operation, or how a model is asked.
pub(super) fn kind_of(exam: &Exam) -> String {
    let case = exam.case();
    if case.op == "model" && case.params.get("steps").is_some() {
        "model through a cache".to_string()
    } else {
        case.op.clone()
    }
}

/// The faults that explain these answers of a part, and no others: `noun` says which they are.
///
/// # Errors
/// Models that cannot be read.
pub(super) fn findings(
    given: &[&Given],
    noun: &str,
    ready: &ReadyCases,
    variant: &Variant,
    ladder: &[Rung],
) -> Result<Vec<String>> {
    let mut found = of_models(given, noun, ready, variant)?;
    let loosest = ladder.last().map_or(0.0, |rung| rung.atol);
    let mut ops: Vec<&str> = Vec::new();
    for given in given {
        let op = given.exam.case().op.as_str();
        if op != "model" && !ops.contains(&op) {
            ops.push(op);
        }
    }
    ops.sort_unstable();
    for op in ops {
        found.extend(of_operation(op, given, noun, loosest)?);
    }
    Ok(found)
}

fn of_models(given: &[&Given], noun: &str, ready: &ReadyCases, variant: &Variant) -> Result<Vec<String>> {
    let wrong = given.iter().any(|given| given.is_wrong() && given.exam.case().op == "model");
    if !wrong {
        return Ok(Vec::new());
    }
    let laboratory = ready.laboratory(variant)?;
    let answer = |question: &ModelQuestion| {
        let given = given.iter().find(|given| given.exam.case().name == question.name)?;
        question.chosen_from(given.answer.as_ref()?)
    };
    let mut answers = Vec::with_capacity(laboratory.questions.len());
    for question in &laboratory.questions {
        answers.push(answer(question));
    }
    let diagnosis = diagnose(laboratory, &answers, &|| ())?;
    if diagnosis.deviating == 0 || !diagnosis.named {
        return Ok(Vec::new());
    }
    let suspects = &diagnosis.suspects[..diagnosis.tied.max(1).min(diagnosis.suspects.len())];
    let mut named = Vec::new();
    for suspect in &suspects[..suspects.len().min(MOST)] {
        named.push(format!("{} ({})", suspect.look_at.join(", and "), suspect.faults.join(" and ")));
    }
    let explained = format!("explains {} of {} {noun}", suspects[0].explained, diagnosis.deviating);
    Ok(vec![format!("model: {}; {explained}", named.join(", or "))])
}

/// Faults that have a form as another question: those that explain every wrong answer, and change the fewest right ones.
fn of_operation(op: &str, given: &[&Given], noun: &str, atol: f64) -> Result<Vec<String>> {
    let mut cases = Vec::new();
    for given in given {
        if given.exam.case().op != op {
            continue;
        }
        let (Some(answer), Some(case)) = (&given.answer, OperationCase::of(given.exam.case())?) else { continue };
        if let Some(actual) = case.compared(answer) {
            cases.push((case, actual, given.failed));
        }
    }
    let wrong = cases.iter().filter(|(_, _, failed)| *failed).count();
    if wrong == 0 {
        return Ok(Vec::new());
    }
    let mut named: Vec<String> = Vec::new();
    let mut fewest = usize::MAX;
    for fault in fault::all() {
        if !has_operation_form(fault.name, op) {
            continue;
        }
        let explains = |(case, actual, failed): &(OperationCase, Vec<f64>, bool)| {
            let wrong =
                run_operation(&case.question, fault.name).ok().flatten().and_then(|answer| case.compared(&answer));
            match (wrong, failed) {
                (None, failed) => !failed,
                (Some(predicted), _) => {
                    let gap = largest_gap(&predicted, &case.expected);
                    largest_gap(actual, &predicted) <= atol.max(LEFT * gap)
                }
            }
        };
        if cases.iter().all(|case| !case.2 || explains(case)) {
            // A fault that has an exception, such as a default that is wrong, leaves right answers where it should show.
            let exceptions = cases.iter().filter(|case| !case.2 && !explains(case)).count();
            if exceptions < fewest {
                named.clear();
                fewest = exceptions;
            }
            if exceptions == fewest {
                named.push(format!("{} ({})", fault.look_at, fault.name));
            }
        }
    }
    if named.is_empty() {
        return Ok(Vec::new());
    }
    let right = cases.len() - wrong;
    if (fewest > 0 && 2 * fewest >= wrong + right) || named.len() > MOST {
        return Ok(Vec::new());
    }
    Ok(vec![format!("{op}: {}; explains {wrong} of {wrong} {noun}", named.join(", or "))])
}
