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
        for case in operations {
            each.push(of_operation(case, fault));
        }
        (*fault, each)
    });
    let mut held = Vec::with_capacity(questions.len() + operations.len());
    for question in questions {
        held.push(Held { name: question.name.clone(), cost: laboratory.cost(question) });
    }
    for case in operations {
        let mut cost = 0;
        for input in case.question.inputs.values() {
            cost += input.shape().iter().product::<usize>() as u128;
        }
        held.push(Held { name: case.name.clone(), cost });
    }
    let tightest = tolerances.first().copied().unwrap_or(0.0);
    let mut ops: Vec<&str> = Vec::new();
    for case in operations {
        if !ops.contains(&case.question.op.as_str()) {
            ops.push(&case.question.op);
        }
    }
    let mut faults = Vec::with_capacity(distances.len());
    for (fault, each) in &distances {
        faults.push(of_fault(&held, &ops, tolerances, fault, each));
    }
    let shows =
        |case: usize, fault: usize| distances[fault].1[case] > tightest && distances[fault].0.kind != Kind::Equivalent;
    let minimal = minimal(&held, distances.len(), &shows);
    let mut cases = Vec::with_capacity(held.len());
    for case in held {
        cases.push(case.name);
    }
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

fn of_fault(held: &[Held], ops: &[&str], tolerances: &[f64], fault: &Fault, each: &[f64]) -> FaultPower {
    let tightest = tolerances.first().copied().unwrap_or(0.0);
    let named = |case: usize| held[case].name.clone();
    let mut shown_by = vec![0; tolerances.len()];
    let (mut cheapest, mut most): (Option<usize>, Option<usize>) = (None, None);
    let mut errors = Vec::with_capacity(each.len());
    for (case, &gap) in each.iter().enumerate() {
        for (count, &tolerance) in shown_by.iter_mut().zip(tolerances) {
            *count += usize::from(gap > tolerance);
        }
        // The first of the cheapest, the last of the largest.
        if gap > tightest && cheapest.is_none_or(|least| held[case].cost < held[least].cost) {
            cheapest = Some(case);
        }
        if gap > 0.0 && most.is_none_or(|most| gap >= each[most]) {
            most = Some(case);
        }
        errors.push(gap.is_finite().then_some(gap));
    }
    FaultPower {
        name: fault.name,
        group: Group::title(fault.group),
        equivalent: fault.kind == Kind::Equivalent,
        shown_by,
        cheapest: cheapest.map(named),
        most: most.map(|case| (named(case), errors[case])),
        invisible: fault.invisible,
        has_operation_form: ops.iter().any(|op| has_operation_form(fault.name, op)),
        errors,
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
fn minimal(held: &[Held], faults: usize, shows: &dyn Fn(usize, usize) -> bool) -> Vec<String> {
    let mut shown = Vec::new();
    for fault in 0..faults {
        if (0..held.len()).any(|case| shows(case, fault)) {
            shown.push(fault);
        }
    }
    let mut left = shown.clone();
    let mut chosen = Vec::new();
    while !left.is_empty() {
        let mut best: Option<(usize, usize)> = None;
        for case in 0..held.len() {
            let count = left.iter().filter(|&&fault| shows(case, fault)).count();
            let better =
                |(best, most): (usize, usize)| count > most || (count == most && held[case].cost <= held[best].cost);
            if best.is_none_or(better) {
                best = Some((case, count));
            }
        }
        let Some((best, _)) = best else { break };
        left.retain(|&fault| !shows(best, fault));
        chosen.push(best);
    }
    // What was chosen early may be shown by what came later.
    for at in (0..chosen.len()).rev() {
        let mut others = chosen.clone();
        others.remove(at);
        if shown.iter().all(|&fault| others.iter().any(|&case| shows(case, fault))) {
            chosen = others;
        }
    }
    chosen.sort_unstable();
    let mut names = Vec::with_capacity(chosen.len());
    for case in chosen {
        names.push(held[case].name.clone());
    }
    names
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
