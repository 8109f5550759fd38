//! What got better or worse between two runs, case by case and variant by variant, as plain data.

use super::report_data::{ArrayResult, Outcome, RunReport};
use super::standing::Standing;
use crate::check::Ladder;
use crate::error::{Error, Result};
use crate::num::json_number;
use serde::Serialize;
use std::collections::{HashMap, HashSet};

/// The value of `format` of a difference.
pub const FORMAT: &str = "goldref-diff/1";

/// The difference of two runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunDiff {
    /// `goldref-diff/1`.
    pub format: String,
    /// The tolerances of both runs.
    pub ladder: Ladder,
    /// The folder of the fixtures of the second run, to run a case again.
    pub fixtures: Option<String>,
    /// An error is another one when it is more than so many times the other.
    pub factor: f64,
    /// Variants and cases that were asked in both runs.
    pub compared: usize,
    /// Those that changed, in the order of the second run; those of removed or new variants and cases are not repeated.
    pub changes: Vec<Change>,
    /// Variants that only the first run has.
    pub removed_variants: Vec<String>,
    /// Cases that only the first run has.
    pub removed_cases: Vec<String>,
    /// Variants that only the second run has.
    pub new_variants: Vec<String>,
    /// Cases that only the second run has.
    pub new_cases: Vec<String>,
}

/// What changed in one variant's answer to one case.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// Name of the variant.
    pub variant: String,
    /// `suite/id`.
    pub case: String,
    /// Worse if anything is.
    pub direction: Direction,
    /// What.
    pub differences: Vec<Difference>,
}

/// Where a change leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// To the worse.
    Worse,
    /// To the better.
    Better,
    /// Neither: it was not asked before.
    New,
}

/// One thing that changed.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Difference {
    /// The verdict, or what stands in its place.
    Standing {
        /// In the first run.
        before: Standing,
        /// In the second.
        after: Standing,
    },
    /// A tolerance that was met is missed now, or the reverse.
    Rung {
        /// Which of the ladder.
        rung: usize,
        /// Whether the second run meets it.
        passes: bool,
    },
    /// The largest absolute error of an array.
    Error {
        /// Its name.
        array: String,
        /// In the first run.
        #[serde(with = "json_number")]
        before: f64,
        /// In the second.
        #[serde(with = "json_number")]
        after: f64,
    },
    /// An array that is not compared any more.
    RemovedArray {
        /// Its name.
        array: String,
    },
}

impl Difference {
    /// Where it leads.
    pub fn direction(&self) -> Direction {
        let worse = match self {
            Self::Standing { before: Standing::NotAsked, .. } => return Direction::New,
            Self::Standing { before, after } => after > before,
            Self::Rung { passes, .. } => !passes,
            Self::Error { before, after, .. } => after > before,
            Self::RemovedArray { .. } => true,
        };
        if worse { Direction::Worse } else { Direction::Better }
    }
}

impl RunDiff {
    /// What changed from `before` to `after`. An error counts as changed beyond `factor`, as 2: more than twice or
    /// less than half.
    ///
    /// # Errors
    /// Ladders that differ, nothing asked in both, a factor below 1: such runs cannot be compared.
    pub fn between(before: &RunReport, after: &RunReport, factor: f64) -> Result<Self> {
        if factor < 1.0 || factor.is_nan() {
            return Err(Error::ask(format!("the factor is {factor}; it is a number of at least 1")));
        }
        if before.ladder != after.ladder {
            return Err(Error::ask(format!(
                "the first run has the tolerances {} and the second {}; run both with the same",
                labels(&before.ladder),
                labels(&after.ladder)
            )));
        }
        let earlier: HashMap<(&str, &str), &Outcome> =
            before.results.iter().map(|r| ((r.variant.as_str(), r.case.as_str()), &r.outcome)).collect();
        let mut compared = 0;
        let mut changes = Vec::new();
        for result in &after.results {
            let Some(&earlier) = earlier.get(&(result.variant.as_str(), result.case.as_str())) else { continue };
            compared += usize::from(earlier.was_asked() && result.outcome.was_asked());
            let differences = differences(earlier, &result.outcome, factor);
            if let Some(direction) = differences.iter().map(Difference::direction).min() {
                let (variant, case) = (result.variant.clone(), result.case.clone());
                changes.push(Change { variant, case, direction, differences });
            }
        }
        if compared == 0 {
            return Err(Error::ask(
                "the two runs have no answer in common: no variant was asked the same case in both",
            ));
        }
        let (variants_before, variants_after) = (variants(before), variants(after));
        let (cases_before, cases_after) = (cases(before), cases(after));
        Ok(Self {
            format: FORMAT.to_string(),
            ladder: after.ladder.clone(),
            fixtures: after.fixtures.clone(),
            factor,
            compared,
            changes,
            removed_variants: missing_from(&variants_after, &variants_before),
            removed_cases: missing_from(&cases_after, &cases_before),
            new_variants: missing_from(&variants_before, &variants_after),
            new_cases: missing_from(&cases_before, &cases_after),
        })
    }

    /// Whether anything got worse. What was removed counts: nobody knows any more how it stands.
    pub fn got_worse(&self) -> bool {
        self.count(Direction::Worse) > 0 || !self.removed_variants.is_empty() || !self.removed_cases.is_empty()
    }

    /// How many answers changed in this direction.
    pub fn count(&self, direction: Direction) -> usize {
        self.changes.iter().filter(|change| change.direction == direction).count()
    }
}

fn labels(ladder: &Ladder) -> String {
    ladder.0.iter().map(|rung| rung.label()).collect::<Vec<_>>().join(", ")
}

fn variants(report: &RunReport) -> Vec<&str> {
    report.variants.iter().map(|variant| variant.name.as_str()).collect()
}

/// The cases of all results, each once, in their order.
fn cases(report: &RunReport) -> Vec<&str> {
    let mut seen = HashSet::new();
    let mut cases = Vec::new();
    for result in &report.results {
        if seen.insert(result.case.as_str()) {
            cases.push(result.case.as_str());
        }
    }
    cases
}

/// Those of `names` that `there` lacks.
fn missing_from(there: &[&str], names: &[&str]) -> Vec<String> {
    let there: HashSet<&&str> = there.iter().collect();
    let mut missing = Vec::new();
    for name in names {
        if !there.contains(name) {
            missing.push(name.to_string());
        }
    }
    missing
}

fn differences(before: &Outcome, after: &Outcome, factor: f64) -> Vec<Difference> {
    let mut found = Vec::new();
    let (standing_before, standing_after) = (before.standing(), after.standing());
    if standing_before != standing_after {
        found.push(Difference::Standing { before: standing_before, after: standing_after });
    }
    // Where one of them has no numbers, the standing has said it all.
    if let Outcome::Compared { passes: passes_before, arrays: arrays_before, .. } = before
        && let Outcome::Compared { passes: passes_after, arrays: arrays_after, .. } = after
    {
        for (rung, (&passed, &passes)) in passes_before.iter().zip(passes_after).enumerate() {
            if passed != passes {
                found.push(Difference::Rung { rung, passes });
            }
        }
        let later: HashMap<&str, &ArrayResult> = arrays_after.iter().map(|a| (a.name.as_str(), a)).collect();
        for array in arrays_before {
            let Some(now) = later.get(array.name.as_str()) else {
                found.push(Difference::RemovedArray { array: array.name.clone() });
                continue;
            };
            let (before, after) = (worst_error(array), worst_error(now));
            if after > before * factor || before > after * factor {
                found.push(Difference::Error { array: array.name.clone(), before, after });
            }
        }
    }
    found
}

fn worst_error(array: &ArrayResult) -> f64 {
    array.facts.worst_abs.as_ref().map_or(0.0, |worst| worst.err)
}
