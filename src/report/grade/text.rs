//! A graded submission for people.

use super::lost::{findings, in_short, lost, said};
use super::{isolation, why_not};
use crate::grade::{GradeReport, PartReport, Points};
use crate::report::words::{name, sentence};

/// Lost points of a part that are listed.
const LISTED: usize = 12;

/// The answer first, then each lost point with its reason, then the plain count.
pub fn grade_text(report: &GradeReport) -> String {
    let mut out = format!("{} · {}\n\n", name(&report.title), name(&report.submission));
    if let Some(why) = why_not(report) {
        out += &format!(" {why}.\n\n");
    }
    let width = report.parts.iter().map(|part| name(&part.title).chars().count()).max().unwrap_or(0);
    let ids = report.parts.iter().map(|part| part.id.chars().count()).max().unwrap_or(0);
    let points = |part: &PartReport| of(&part.points, &part.out_of);
    let scores = report.parts.iter().map(|part| points(part).len()).max().unwrap_or(0);
    for part in &report.parts {
        let title = name(&part.title);
        out += &format!(" {:<ids$}  {title:<width$}  {:>scores$}  {}\n", part.id, points(part), in_short(report, part));
    }
    out += &format!(" {:<ids$}  {:<width$}  {:>scores$}\n", "", "points", of(&report.points, &report.out_of));
    for part in &report.parts {
        out += &details(report, part);
    }
    let count = report.evaluation();
    out += "\nEvaluation Results:\n";
    out += &format!("  Num test cases: {}\n", count.all);
    // Nothing asked is not all passed.
    let all = if count.all > 0 && count.passed == count.all { "True" } else { "False" };
    out += &format!("  All tests passed: {all}\n");
    let rate = if count.all == 0 {
        "—".to_string()
    } else {
        format!("{:.2}%", 100.0 * count.passed as f64 / count.all as f64)
    };
    out += &format!("  Pass rate: {rate} ({}/{})\n", count.passed, count.all);
    out += &format!("\n{}\n", sentence(&isolation(report)));
    out
}

/// `8/30`; a fraction is not divided once more: `4/3 of 20`.
fn of(points: &Points, out_of: &Points) -> String {
    let (points, out_of) = (points.to_string(), out_of.to_string());
    if points.contains('/') || out_of.contains('/') {
        format!("{points} of {out_of}")
    } else {
        format!("{points}/{out_of}")
    }
}

fn details(report: &GradeReport, part: &PartReport) -> String {
    let mut out = String::new();
    let told = findings(report, part);
    let items: Vec<_> = lost(part).collect();
    if told.is_empty() && items.is_empty() && part.speed_up.is_none() {
        return out;
    }
    out += &format!("\n {} · {}\n", part.id, name(&part.title));
    for finding in told {
        out += &format!("   {}\n", sentence(finding));
    }
    for &(number, item) in items.iter().take(LISTED) {
        let told = said(report, item, number);
        let points = &item.points - &item.out_of;
        out += &format!("   {points:>6}  {}: {}\n", told.name, told.why);
    }
    if items.len() > LISTED {
        out += &format!("           and {} more\n", items.len() - LISTED);
    }
    if let Some(speed_up) = &part.speed_up {
        out += &format!(
            "   {:>7}  {:>7}  {:>13}  {:>10}  {:>8}\n",
            "prompt", "tokens", "without cache", "with cache", "speed-up"
        );
        for row in &speed_up.rows {
            let milliseconds = |seconds: f64| format!("{:.1} ms", 1e3 * seconds);
            out += &format!(
                "   {:>7}  {:>7}  {:>13}  {:>10}  {:>8}\n",
                row.prompt,
                row.generate,
                milliseconds(row.without_cache),
                milliseconds(row.with_cache),
                format!("{:.1} ×", row.speed_up())
            );
        }
        out += &format!("   {}\n   {}\n", sentence(&speed_up.cache), sentence(&speed_up.tokens));
    }
    out
}
