//! Which properties a candidate has.

use super::units::{plain_table, shown};
use super::words::name;
use crate::io::json;
use crate::property::{self, Failure, Kind, PropertyResult, Verdict};
use serde::Serialize;
use std::fmt::Write;

/// A candidate and what is found of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PropertiesReport {
    /// Its command or variant.
    pub candidate: String,
    /// Its format of storage.
    pub stored: &'static str,
    /// Where the samples begin.
    pub seed: u64,
    /// Property by property, model by model.
    pub results: Vec<PropertyResult>,
    /// Where counterexamples were saved.
    pub saved: Vec<String>,
}

/// Everything, for programs.
pub fn properties_json(report: &PropertiesReport) -> String {
    // Plain data without maps of odd keys always serialises.
    let json = json::pretty(report).unwrap_or_default();
    format!("{json}\n")
}

/// A line a property, then each counterexample.
pub fn properties_text(report: &PropertiesReport) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{} · stored in {} · seed {}\n", name(&report.candidate), report.stored, report.seed);
    let mut table = plain_table(&["property", "", "what must hold"]);
    for property in property::ALL {
        let results: Vec<&PropertyResult> =
            report.results.iter().filter(|result| result.property == property.name).collect();
        if !results.is_empty() {
            table.add_row([property.name.to_string(), verdict(property.kind, &results), property.about.to_string()]);
        }
    }
    let _ = writeln!(out, "{}", shown(table, 3));
    for result in &report.results {
        match &result.verdict {
            Verdict::Broken(failure) => out.push_str(&counterexample(result, failure)),
            Verdict::NotAlive { reason, .. } => {
                let _ = writeln!(out, "\n{} is not alive: {}", subject(result), name(reason));
            }
            _ => {}
        }
    }
    for folder in &report.saved {
        let _ = writeln!(out, "\nsaved: {}", name(folder));
    }
    out
}

fn verdict(kind: Kind, results: &[&PropertyResult]) -> String {
    let of = |wanted: fn(&Verdict) -> bool| results.iter().filter(|result| wanted(&result.verdict)).count();
    let broken = of(|verdict| matches!(verdict, Verdict::Broken(_)));
    let not_alive = of(|verdict| matches!(verdict, Verdict::NotAlive { .. }));
    let holds = of(|verdict| matches!(verdict, Verdict::Holds { .. }));
    let asked = broken + not_alive + holds;
    let models = results.iter().any(|result| result.model.is_some());
    let (word, on) = match (kind, broken, not_alive) {
        (Kind::Hygiene, 1.., _) => ("broken (hygiene)", broken),
        (_, 1.., _) => ("BROKEN", broken),
        (_, 0, 1..) => ("NOT ALIVE", not_alive),
        (Kind::Exact, 0, 0) => ("holds exactly", holds),
        (_, 0, 0) => ("holds", holds),
    };
    match (asked, models) {
        (0, _) => "not asked".to_string(),
        (_, false) => word.to_string(),
        (_, true) if holds < asked => format!("{word} on {on} of {asked} models"),
        (_, true) => format!("{word} on {asked} model{}", if asked == 1 { "" } else { "s" }),
    }
}

/// The property and its checkpoint.
fn subject(result: &PropertyResult) -> String {
    let on = result.model.as_deref().map_or_else(String::new, |model| format!(" on {}", name(model)));
    format!("{}{on}", result.property)
}

fn counterexample(result: &PropertyResult, failure: &Failure) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "\n{} is broken: {}", subject(result), name(&failure.reason));
    if let Some(error) = failure.error {
        let _ = writeln!(out, "  off by {error:.1e}, {:.1e} allowed", failure.allowed);
    }
    let _ = writeln!(out, "  smallest counterexample: {}", failure.sample.in_words());
    if let Some(property) = property::find(result.property) {
        let _ = writeln!(out, "  look at: {}", property.look_at);
    }
    out
}
