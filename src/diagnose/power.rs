//! Which faults a suite shows, at which tolerance, and by which case.
//!
//! A case shows a fault at a tolerance τ if some compared logit is off by more than τ *and* by more than a right program in f32 may be, four times
//! PyTorch's own error on the case: where right programs fail too, nothing is shown. An answer that is not finite shows itself.

use super::laboratory::Laboratory;
use crate::error::Result;
use crate::fault::{Fault, Group, Kind};
use crate::num::Dtype;
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
    /// Fault by fault.
    pub faults: Vec<FaultPower>,
    /// Few cases that show, at the tightest tolerance, all that all cases show.
    pub minimal: Vec<String>,
}

impl PowerReport {
    /// Faults that must be shown.
    pub fn wrong(&self) -> impl Iterator<Item = &FaultPower> {
        self.faults.iter().filter(|fault| !fault.equivalent)
    }

    /// Faults that no case shows at the tolerance of this index.
    pub fn survivors(&self, tolerance: usize) -> impl Iterator<Item = &FaultPower> {
        self.wrong().filter(move |fault| fault.shown_by.get(tolerance) == Some(&0))
    }
}

/// Holds every fault against every case; `progress` is called once a case, from any thread.
///
/// # Errors
/// What the models refuse.
pub fn power(laboratory: &Laboratory, tolerances: &[f64], progress: &(dyn Fn() + Sync)) -> Result<PowerReport> {
    let all: Vec<usize> = (0..laboratory.questions.len()).collect();
    let catalogue = laboratory.catalogue(&all, progress)?;
    let distances: Vec<(&Fault, Vec<f64>)> = catalogue
        .iter()
        .map(|(fault, answers)| {
            let each = answers.iter().zip(&laboratory.questions).map(|(answer, question)| {
                let floor = laboratory.floor(question, Dtype::F32);
                let worst = answer.as_ref().map_or(0.0, |answer| largest_gap(answer, &question.expected));
                if worst > floor { worst } else { 0.0 }
            });
            (*fault, each.collect())
        })
        .collect();
    let tightest = tolerances.first().copied().unwrap_or(0.0);
    let faults = distances.iter().map(|(fault, each)| of_fault(laboratory, tolerances, fault, each)).collect();
    let shows =
        |case: usize, fault: usize| distances[fault].1[case] > tightest && distances[fault].0.kind != Kind::Equivalent;
    let minimal = minimal(laboratory, distances.len(), shows);
    let cases = laboratory.questions.iter().map(|question| question.name.clone()).collect();
    Ok(PowerReport { tolerances: tolerances.to_vec(), cases, faults, minimal })
}

fn of_fault(laboratory: &Laboratory, tolerances: &[f64], fault: &Fault, each: &[f64]) -> FaultPower {
    let tightest = tolerances.first().copied().unwrap_or(0.0);
    let named = |case: usize| laboratory.questions[case].name.clone();
    let showing = (0..each.len()).filter(|&case| each[case] > tightest);
    let cheapest = showing.min_by_key(|&case| laboratory.cost(&laboratory.questions[case]));
    let most = (0..each.len()).filter(|&case| each[case] > 0.0).max_by(|&a, &b| each[a].total_cmp(&each[b]));
    FaultPower {
        name: fault.name,
        group: Group::title(fault.group),
        equivalent: fault.kind == Kind::Equivalent,
        shown_by: tolerances.iter().map(|&tolerance| each.iter().filter(|&&gap| gap > tolerance).count()).collect(),
        cheapest: cheapest.map(named),
        most: most.map(|case| (named(case), Some(each[case]).filter(|gap| gap.is_finite()))),
        invisible: fault.invisible,
        errors: each.iter().map(|gap| Some(*gap).filter(|gap| gap.is_finite())).collect(),
    }
}

/// Largest difference; infinite where only one side is finite.
pub(super) fn largest_gap(actual: &[f64], expected: &[f64]) -> f64 {
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
fn minimal(laboratory: &Laboratory, faults: usize, shows: impl Fn(usize, usize) -> bool) -> Vec<String> {
    let questions = &laboratory.questions;
    let mut left: Vec<usize> =
        (0..faults).filter(|&fault| (0..questions.len()).any(|case| shows(case, fault))).collect();
    let mut chosen = Vec::new();
    while !left.is_empty() {
        let shown = |case: usize| left.iter().filter(|&&fault| shows(case, fault)).count();
        let cost = |case: usize| std::cmp::Reverse(laboratory.cost(&questions[case]));
        let Some(best) = (0..questions.len()).max_by_key(|&case| (shown(case), cost(case))) else { break };
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
    chosen.into_iter().map(|case| questions[case].name.clone()).collect()
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
