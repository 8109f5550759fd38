//! The plain block that course evaluators print, once for each suite and variant.

use super::rates::{asked_of, count};
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
            let answers = asked_of(report, variant);
            let asked = count(&answers, &|answer| of_suite(&answer.case));
            if asked == 0 {
                continue;
            }
            let passed = count(&answers, &|answer| of_suite(&answer.case) && answer.outcome.passes(rung));
            let rate = 100.0 * passed as f64 / asked as f64;
            let all = if passed == asked { "True" } else { "False" };
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{} · {} · {label}", name(&suite.name), name(&variant.name));
            let _ = writeln!(out, "Evaluation Results:");
            let _ = writeln!(out, "  Num test cases: {asked}");
            let _ = writeln!(out, "  All tests passed: {all}");
            let _ = writeln!(out, "  Pass rate: {rate:.2}% ({passed}/{asked})\n");
        }
    }
    out
}
