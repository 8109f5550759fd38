//! Reads a saved run back. The file may come from a stranger: what it says must hold together before a report is made of it.

use super::report_data::{ArrayResult, Beside, CaseResult, ErrorRatios, FORMAT, Outcome, RunReport, Unfit};
use crate::check::{Rung, Verdict, WrongShape};
use crate::error::{Error, Result};
use crate::io::disk::read_whole;
use crate::io::limits::RUN_BYTES;
use crate::io::wording::{quoted, reason, size};
use serde::{Deserialize, Deserializer};
use std::collections::HashSet;
use std::path::Path;

/// The one field that is read before all others: another version may have other fields.
#[derive(Deserialize)]
struct Head {
    format: Option<String>,
}

impl RunReport {
    /// The report that `goldref check --format json` saved.
    ///
    /// # Errors
    /// Anything else: another format or version, unknown or missing fields, results of variants or cases that are not
    /// listed, numbers that contradict each other, more than [`RUN_BYTES`].
    pub fn from_json(json: impl AsRef<[u8]>) -> Result<Self> {
        let json = json.as_ref();
        if json.len() as u64 > RUN_BYTES {
            return Err(Error::ask(format!("it is longer than {}", size(RUN_BYTES))));
        }
        let head: Head =
            serde_json::from_slice(json).map_err(|e| Error::ask(format!("it is no saved run: {}", reason(e))))?;
        match head.format {
            Some(format) if format == FORMAT => {}
            Some(format) => {
                return Err(Error::ask(format!("its format is {}; this version reads {FORMAT}", quoted(&format))));
            }
            None => return Err(Error::ask(format!("it has no \"format\"; a saved run is of format {FORMAT}"))),
        }
        let report: Self = serde_json::from_slice(json).map_err(|e| Error::ask(reason(e)))?;
        consistent(&report).map_err(Error::ask)?;
        Ok(report)
    }

    /// Reads a file that `goldref check --format json` saved.
    ///
    /// # Errors
    /// Those of [`Self::from_json`], with the path.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::from_json(read_whole(path, RUN_BYTES)?).map_err(|e| e.at(path))
    }
}

/// Variants, and suites, of a run: tables have a row for each, and each row looks at every result.
const LISTED: usize = 1000;

type Check = std::result::Result<(), String>;

/// Whether the parts of a report fit each other, so that whoever walks it need not ask again.
fn consistent(report: &RunReport) -> Check {
    for (number, rung) in report.ladder.0.iter().enumerate() {
        let Rung { atol, rtol, max_ulps } = *rung;
        if !(atol >= 0.0 && rtol >= 0.0 && max_ulps.is_none_or(|n| n >= 0.0)) {
            return Err(format!("rung {number} of its ladder is below 0"));
        }
    }
    for (what, count) in [("variants", report.variants.len()), ("suites", report.suites.len())] {
        if count > LISTED {
            return Err(format!("it lists {count} {what}; a run has at most {LISTED}"));
        }
    }
    unique("variants", report.variants.iter().map(|variant| variant.name.as_str()))?;
    unique("suites", report.suites.iter().map(|suite| suite.name.as_str()))?;
    let of_first = ask_in_order(report)?;
    for suite in &report.suites {
        let found = of_first.iter().filter(|case| suite_of(case) == Some(&suite.name)).count();
        // Without a variant there is no result to count.
        if !report.variants.is_empty() && found != suite.cases {
            let name = quoted(&suite.name);
            return Err(format!("suite {name} has {} cases and results of {found}", suite.cases));
        }
    }
    for result in &report.results {
        outcome(&result.outcome, report.ladder.0.len())
            .map_err(|why| format!("variant {}, case {}: {why}", quoted(&result.variant), quoted(&result.case)))?;
    }
    Ok(())
}

/// The results are there once for each variant and case, in this order. Gives the cases.
fn ask_in_order(report: &RunReport) -> std::result::Result<Vec<&str>, String> {
    let variants = report.variants.len();
    if variants == 0 || report.results.is_empty() {
        return if report.results.is_empty() { Ok(Vec::new()) } else { Err("it has results and no variants".into()) };
    }
    if !report.results.len().is_multiple_of(variants) {
        return Err(format!("it has {} results of {variants} variants; each has one a case", report.results.len()));
    }
    let cases = report.results.len() / variants;
    let of_first: Vec<&str> = report.results[..cases].iter().map(|result| result.case.as_str()).collect();
    unique("cases", of_first.iter().copied())?;
    let suites: HashSet<&str> = report.suites.iter().map(|suite| suite.name.as_str()).collect();
    if let Some(stray) = of_first.iter().find(|case| !suite_of(case).is_some_and(|suite| suites.contains(suite))) {
        return Err(format!("case {} is of no suite that it lists; a case is suite/id", quoted(stray)));
    }
    for (variant, results) in report.variants.iter().zip(report.results.chunks(cases)) {
        for (CaseResult { variant: name, case, .. }, expected) in results.iter().zip(&of_first) {
            if *name != variant.name || case != expected {
                let (found, wanted) = ((quoted(name), quoted(case)), (quoted(&variant.name), quoted(expected)));
                return Err(format!(
                    "its results go by variants, then by cases: where variant {} has its case {}, there is variant {} with case {}",
                    wanted.0, wanted.1, found.0, found.1
                ));
            }
        }
    }
    Ok(of_first)
}

fn suite_of(case: &str) -> Option<&str> {
    case.split_once('/').filter(|(_, id)| !id.is_empty()).map(|(suite, _)| suite)
}

fn unique<'n>(what: &str, names: impl Iterator<Item = &'n str>) -> Check {
    let mut seen = HashSet::new();
    for name in names {
        if name.is_empty() {
            return Err(format!("one of its {what} has no name"));
        }
        if !seen.insert(name) {
            return Err(format!("two of its {what} are called {}", quoted(name)));
        }
    }
    Ok(())
}

fn outcome(outcome: &Outcome, rungs: usize) -> Check {
    let (passes, verdict, arrays) = match outcome {
        Outcome::Compared { passes, verdict, arrays, .. } => (passes, verdict, arrays),
        Outcome::WrongShape { array, beside, .. } | Outcome::Missing { array, beside } => {
            return beside_it(array, beside, rungs);
        }
        Outcome::Failed { .. } | Outcome::NotAsked { .. } => return Ok(()),
    };
    if passes.len() != rungs {
        return Err(format!("passes has {} entries; the ladder has {rungs} rungs", passes.len()));
    }
    unique("arrays", arrays.iter().map(|array| array.name.as_str()))?;
    for array in arrays {
        array_facts(array, rungs).map_err(|why| format!("array {}: {why}", quoted(&array.name)))?;
    }
    for (rung, &passes) in passes.iter().enumerate() {
        if passes != arrays.iter().all(|array| array.facts.mismatches[rung] == 0) {
            return Err(format!("passes at rung {rung} is {passes}; the mismatches of the arrays say otherwise"));
        }
    }
    let Some(worst) = arrays.iter().map(|array| array.judged.verdict).max() else {
        return Err("it was compared and has no arrays".into());
    };
    if *verdict != worst {
        return Err(format!("the verdict is \"{verdict}\"; the worst of its arrays is \"{worst}\""));
    }
    Ok(())
}

fn beside_it(array: &str, beside: &Beside, rungs: usize) -> Check {
    let also = beside.also.iter().map(|unfit| unfit.array.as_str());
    let compared = beside.arrays.iter().map(|array| array.name.as_str());
    unique("arrays", std::iter::once(array).chain(also).chain(compared))?;
    for array in &beside.arrays {
        array_facts(array, rungs).map_err(|why| format!("array {}: {why}", quoted(&array.name)))?;
    }
    Ok(())
}

fn array_facts(array: &ArrayResult, rungs: usize) -> Check {
    let facts = &array.facts;
    if facts.mismatches.len() != rungs {
        return Err(format!("mismatches has {} entries; the ladder has {rungs} rungs", facts.mismatches.len()));
    }
    for (what, entries) in
        [("infeasible", array.tolerance.infeasible.len()), ("vacuous", array.tolerance.vacuous.len())]
    {
        if entries != rungs {
            return Err(format!("{what} has {entries} entries; the ladder has {rungs} rungs"));
        }
    }
    if facts.compared.checked_add(facts.left_out).is_none() {
        return Err("compared and left_out are more than any array holds".into());
    }
    let counted = facts.mismatches.iter().chain([&facts.non_finite_mismatches]);
    if let Some(more) = counted.into_iter().find(|&&count| count > facts.compared) {
        return Err(format!("{more} elements disagree of {} compared", facts.compared));
    }
    if let Some(missed) = array.tolerance.infeasible.iter().find(|&&missed| missed > facts.compared) {
        return Err(format!("{missed} elements miss a tolerance of {} compared", facts.compared));
    }
    if array.argmax.as_ref().is_some_and(|found| found.equal.checked_add(found.flips) != Some(found.rows)) {
        return Err("its argmax rows are not those that are equal and those that flip".into());
    }
    for worst in facts.worst_abs.iter().chain(&facts.worst_rel).chain(&facts.worst_ulps) {
        if worst.err < 0.0 || worst.err.is_nan() {
            return Err(format!("an error is {}; it is a number of at least 0", worst.err));
        }
    }
    Ok(())
}

/// An [`Outcome`] as it is read: field by field, so that a stranger's file is not first copied into a tree of values
/// many times its size, and with every field that is not of its kind refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OutcomeFields {
    kind: Kind,
    #[serde(default, deserialize_with = "present")]
    passes: Option<Vec<bool>>,
    #[serde(default, deserialize_with = "present")]
    meets_tolerance: Option<Option<bool>>,
    #[serde(default, deserialize_with = "present")]
    verdict: Option<Verdict>,
    #[serde(default, deserialize_with = "present")]
    arrays: Option<Vec<ArrayResult>>,
    #[serde(default, deserialize_with = "present")]
    same_bits: Option<Option<bool>>,
    #[serde(default, deserialize_with = "present")]
    error_ratios: Option<ErrorRatios>,
    #[serde(default, deserialize_with = "present")]
    array: Option<String>,
    #[serde(default, deserialize_with = "present")]
    shapes: Option<WrongShape>,
    #[serde(default, deserialize_with = "present")]
    also: Option<Vec<Unfit>>,
    #[serde(default, deserialize_with = "present")]
    reason: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Compared,
    WrongShape,
    Missing,
    Failed,
    NotAsked,
}

/// A field that is there, were it `null`: absent is another thing.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> std::result::Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl TryFrom<OutcomeFields> for Outcome {
    type Error = String;

    fn try_from(fields: OutcomeFields) -> std::result::Result<Self, String> {
        let given = [
            ("passes", fields.passes.is_some()),
            ("meets_tolerance", fields.meets_tolerance.is_some()),
            ("verdict", fields.verdict.is_some()),
            ("arrays", fields.arrays.is_some()),
            ("same_bits", fields.same_bits.is_some()),
            ("error_ratios", fields.error_ratios.is_some()),
            ("array", fields.array.is_some()),
            ("shapes", fields.shapes.is_some()),
            ("also", fields.also.is_some()),
            ("reason", fields.reason.is_some()),
        ];
        let wanted: &[&str] = match fields.kind {
            Kind::Compared => &["passes", "meets_tolerance", "verdict", "arrays", "same_bits", "error_ratios"],
            Kind::WrongShape => &["array", "shapes"],
            Kind::Missing => &["array"],
            Kind::Failed | Kind::NotAsked => &["reason"],
        };
        // What stands beside an array that is missing or has another shape is left out where there is nothing.
        let free: &[&str] = match fields.kind {
            Kind::WrongShape | Kind::Missing => &["also", "arrays"],
            Kind::Compared | Kind::Failed | Kind::NotAsked => &[],
        };
        let known = |field: &&str| wanted.contains(field) || free.contains(field);
        if let Some((field, _)) = given.iter().find(|(field, given)| *given && !known(field)) {
            return Err(format!("an outcome has the field `{field}`, which its kind has not; it has {wanted:?}"));
        }
        let outcome = match fields.kind {
            Kind::Compared => (|| {
                Some(Self::Compared {
                    passes: fields.passes?,
                    meets_tolerance: fields.meets_tolerance?,
                    verdict: fields.verdict?,
                    arrays: fields.arrays?,
                    same_bits: fields.same_bits?,
                    error_ratios: fields.error_ratios?,
                })
            })(),
            Kind::WrongShape => {
                let beside =
                    Beside { also: fields.also.unwrap_or_default(), arrays: fields.arrays.unwrap_or_default() };
                fields.array.zip(fields.shapes).map(|(array, shapes)| Self::WrongShape { array, shapes, beside })
            }
            Kind::Missing => {
                let beside =
                    Beside { also: fields.also.unwrap_or_default(), arrays: fields.arrays.unwrap_or_default() };
                fields.array.map(|array| Self::Missing { array, beside })
            }
            Kind::Failed => fields.reason.map(|reason| Self::Failed { reason }),
            Kind::NotAsked => fields.reason.map(|reason| Self::NotAsked { reason }),
        };
        outcome.ok_or_else(|| format!("an outcome lacks a field of its kind; it has {wanted:?}"))
    }
}
