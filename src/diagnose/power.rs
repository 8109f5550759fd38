//! Which faults a suite shows, at which tolerance, and by which case.
//!
//! A case shows a fault at a tolerance τ if some compared logit is off by more than τ *and* by more than a right program in f32 may be, four times
//! PyTorch's own error on the case: where right programs fail too, nothing is shown. An answer that is not finite shows itself.

use super::laboratory::Laboratory;
use crate::error::{Error, Result};
use crate::fault::{Fault, Group, Kind, has_operation_form, run_operation};
use crate::num::{Dtype, parallel};
use crate::suite::OperationCase;
use serde::Serialize;
use std::collections::BTreeSet;

/// What is known of one fault.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FaultPower {
    /// Its name.
    pub name: &'static str,
    /// Where it is.
    pub group: &'static str,
    /// Whether it is the same function, and need not be shown.
    pub equivalent: bool,
    /// For each tolerance, how many cases show it.
    pub shown_by: Vec<usize>,
    /// The cheapest case that shows it at the tightest tolerance.
    pub cheapest: Option<String>,
    /// The case that shows it most, and by how much; not finite: `None`.
    pub most: Option<(String, Option<f64>)>,
    /// When no test can see it.
    pub invisible: &'static str,
    /// Whether it has a form for some operation that a case asks.
    pub has_operation_form: bool,
    /// Largest error of each case, 0 where a right program may be off as far; not finite: `None`.
    pub errors: Vec<Option<f64>>,
}

/// The power of some suites.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PowerReport {
    /// Absolute tolerances, tightest first.
    pub tolerances: Vec<f64>,
    /// The cases.
    pub cases: Vec<String>,
    /// How many of them ask an operation: the last ones.
    pub operations: usize,
    /// Fault by fault.
    pub faults: Vec<FaultPower>,
    /// Few cases that show, at the tightest tolerance, all that all cases show.
    pub minimal: Vec<String>,
}

impl PowerReport {
    /// Faults that must be shown.
    pub fn wrong(&self) -> impl Iterator<Item = &FaultPower> {
        // Where no case asks a model, what only a model can have is not looked for.
        let models = self.operations < self.cases.len();
        self.faults.iter().filter(move |fault| !fault.equivalent && (models || fault.has_operation_form))
    }

    /// Faults that no case shows at the tolerance of this index.
    pub fn survivors(&self, tolerance: usize) -> impl Iterator<Item = &FaultPower> {
        self.wrong().filter(move |fault| fault.shown_by.get(tolerance) == Some(&0))
    }
}

/// A case as power sees it.
struct Held {
    name: String,
    /// How long it takes, in some unit.
    cost: u128,
}

/// Holds every fault against every case: about models those of the laboratory, about operations `operations`, where a fault has a form for them. `progress` is called once a case
/// about a model, from any thread.
///
/// # Errors
/// No case at all; what the models refuse.
pub fn power(
    laboratory: &Laboratory,
    operations: &[OperationCase],
    tolerances: &[f64],
    progress: &(dyn Fn() + Sync),
) -> Result<PowerReport> {
    let all: Vec<usize> = (0..laboratory.questions.len()).collect();
    if all.is_empty() && operations.is_empty() {
        return Err(Error::ask("no case is selected, and faults are held against cases"));
    }
    let catalogue = laboratory.catalogue(&all, progress)?;
    let questions = &laboratory.questions;
    let floors = parallel::try_map(questions.len(), &|at| laboratory.floor(&questions[at], Dtype::F32))?;
    let distances = parallel::map(catalogue.len(), &|at| {
        let (fault, answers) = &catalogue[at];
        let mut each = Vec::with_capacity(questions.len() + operations.len());
        for ((answer, question), &floor) in answers.iter().zip(questions).zip(&floors) {
            let worst = answer.as_ref().map_or(0.0, |answer| largest_gap(answer, &question.expected));
            each.push(if worst > floor { worst } else { 0.0 });
        }
        each.extend(operations.iter().map(|case| of_operation(case, fault)));
        (*fault, each)
    });
    let mut held = Vec::with_capacity(questions.len() + operations.len());
    for question in questions {
        held.push(Held { name: question.name.clone(), cost: laboratory.cost(question) });
    }
    for case in operations {
        let numbers = case.question.inputs.values().map(|x| x.shape().iter().product::<usize>() as u128);
        held.push(Held { name: case.name.clone(), cost: numbers.sum() });
    }
    let tightest = tolerances.first().copied().unwrap_or(0.0);
    let ops: BTreeSet<&str> = operations.iter().map(|case| case.question.op.as_str()).collect();
    let faults = distances.iter().map(|(fault, each)| of_fault(&held, &ops, tolerances, fault, each)).collect();
    let shows =
        |case: usize, fault: usize| distances[fault].1[case] > tightest && distances[fault].0.kind != Kind::Equivalent;
    let minimal = minimal(&held, distances.len(), shows);
    let cases = held.into_iter().map(|case| case.name).collect();
    Ok(PowerReport { tolerances: tolerances.to_vec(), cases, operations: operations.len(), faults, minimal })
}

/// How far a fault moves the answer to a case about an operation, 0 where it has no form there or right programs may be off as far.
fn of_operation(case: &OperationCase, fault: &Fault) -> f64 {
    // An edit that the operation refuses is no question.
    let Ok(Some(answer)) = run_operation(&case.question, fault.name) else { return 0.0 };
    let floor = 4.0 * case.baseline.get(&Dtype::F32).copied().unwrap_or(0.0);
    let worst = case.compared(&answer).map_or(f64::INFINITY, |answer| largest_gap(&answer, &case.expected));
    if worst > floor { worst } else { 0.0 }
}

fn of_fault(held: &[Held], ops: &BTreeSet<&str>, tolerances: &[f64], fault: &Fault, each: &[f64]) -> FaultPower {
    let tightest = tolerances.first().copied().unwrap_or(0.0);
    let named = |case: usize| held[case].name.clone();
    let showing = (0..each.len()).filter(|&case| each[case] > tightest);
    let cheapest = showing.min_by_key(|&case| held[case].cost);
    let most = (0..each.len()).filter(|&case| each[case] > 0.0).max_by(|&a, &b| each[a].total_cmp(&each[b]));
    FaultPower {
        name: fault.name,
        group: Group::title(fault.group),
        equivalent: fault.kind == Kind::Equivalent,
        shown_by: tolerances.iter().map(|&tolerance| each.iter().filter(|&&gap| gap > tolerance).count()).collect(),
        cheapest: cheapest.map(named),
        most: most.map(|case| (named(case), Some(each[case]).filter(|gap| gap.is_finite()))),
        invisible: fault.invisible,
        has_operation_form: ops.iter().any(|op| has_operation_form(fault.name, op)),
        errors: each.iter().map(|gap| Some(*gap).filter(|gap| gap.is_finite())).collect(),
    }
}

/// Largest difference; infinite where only one side is finite.
pub fn largest_gap(actual: &[f64], expected: &[f64]) -> f64 {
    actual.iter().zip(expected).fold(0.0, |worst: f64, (a, b)| {
        let same = a == b || (a.is_nan() && b.is_nan());
        let gap = if same { 0.0 } else { (a - b).abs() };
        if gap.is_nan() {
            f64::INFINITY
        } else if gap > worst {
            gap
        } else {
            worst
        }
    })
}

/// Case by case, each time one that shows most of what is left, the cheaper of equals.
fn minimal(held: &[Held], faults: usize, shows: impl Fn(usize, usize) -> bool) -> Vec<String> {
    let mut left: Vec<usize> = (0..faults).filter(|&fault| (0..held.len()).any(|case| shows(case, fault))).collect();
    let mut chosen = Vec::new();
    while !left.is_empty() {
        let shown = |case: usize| left.iter().filter(|&&fault| shows(case, fault)).count();
        let cost = |case: usize| std::cmp::Reverse(held[case].cost);
        let Some(best) = (0..held.len()).max_by_key(|&case| (shown(case), cost(case))) else { break };
        left.retain(|&fault| !shows(best, fault));
        chosen.push(best);
    }
    // What was chosen early may be shown by what came later.
    let all: Vec<usize> = (0..faults).filter(|&fault| chosen.iter().any(|&case| shows(case, fault))).collect();
    for at in (0..chosen.len()).rev() {
        let others = || chosen.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, case)| *case);
        if all.iter().all(|&fault| others().any(|case| shows(case, fault))) {
            chosen.remove(at);
        }
    }
    chosen.sort_unstable();
    chosen.into_iter().map(|case| held[case].name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_never_hidden_by_what_is_not_finite() {
        assert_eq!(largest_gap(&[1.0, 2.0], &[1.0, 2.5]), 0.5);
        assert_eq!(largest_gap(&[f64::NAN, 9.0], &[1.0, 2.5]), f64::INFINITY);
        assert_eq!(largest_gap(&[f64::NAN, f64::INFINITY], &[f64::NAN, f64::INFINITY]), 0.0);
        assert_eq!(largest_gap(&[f64::INFINITY], &[f64::NEG_INFINITY]), f64::INFINITY);
    }
}
