//! The plain block that course evaluators print, once for each suite and variant.

use super::words::name;
use crate::suite::RunReport;
use std::fmt::Write;

/// A case counts as passed at the loosest rung of the ladder; the block's first line says which.
pub fn summary(report: &RunReport) -> String {
    let mut out = String::new();
    let rung = report.ladder.0.len().saturating_sub(1);
    let label = report.ladder.0.last().map_or_else(String::new, |rung| rung.label());
    for suite in &report.suites {
        for variant in &report.variants {
            let of_suite = |case: &str| case.split_once('/').is_some_and(|(name, _)| name == suite.name);
            let asked: Vec<_> = report
                .results
                .iter()
                .filter(|r| r.variant == variant.name && of_suite(&r.case) && r.outcome.was_asked())
                .collect();
            if asked.is_empty() {
                continue;
            }
            let passed = asked.iter().filter(|r| r.outcome.passes(rung)).count();
            let rate = 100.0 * passed as f64 / asked.len() as f64;
            let all = if passed == asked.len() { "True" } else { "False" };
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{} · {} · {label}", name(&suite.name), name(&variant.name));
            let _ = writeln!(out, "Evaluation Results:");
            let _ = writeln!(out, "  Num test cases: {}", asked.len());
            let _ = writeln!(out, "  All tests passed: {all}");
            let _ = writeln!(out, "  Pass rate: {rate:.2}% ({passed}/{})\n", asked.len());
        }
    }
    out
}
