//! The table for people.

use super::BenchReport;
use crate::bench::{CacheWork, ProgramFindings};
use crate::report::units::{plain_table, seconds, shown, significant};
use crate::report::words::name;
use std::fmt::Write;

/// Plain text, no colour.
pub fn bench_text(report: &BenchReport) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let limits = &report.limits;
    let _ = writeln!(
        out,
        "{} · {} · {} threads · measured: {} GFLOP/s in f32, {} in f64, reading {} GB/s\n",
        name(&report.model),
        name(&report.variant),
        limits.threads,
        significant(limits.f32_peak / 1e9),
        significant(limits.f64_peak / 1e9),
        significant(limits.bandwidth / 1e9)
    );
    let mut table = plain_table(&[
        "prompt",
        "tokens",
        "without cache",
        "with cache",
        "least–most",
        "speed-up",
        "limit",
        "prefill",
        "predicted",
        "a token",
        "predicted",
    ]);
    for row in &report.latency.rows {
        table.add_row([
            row.prompt.to_string(),
            row.generate.to_string(),
            seconds(row.without_cache),
            seconds(row.with_cache.median),
            format!("{}–{}", seconds(row.with_cache.least), seconds(row.with_cache.most)),
            format!("{} ×", significant(row.speed_up)),
            format!("{} ×", row.generate),
            seconds(row.prefill.median),
            seconds(row.predicted_prefill),
            row.decode.map_or_else(|| "–".to_string(), |decode| seconds(decode.median)),
            seconds(row.predicted_decode),
        ]);
    }
    let _ = writeln!(out, "{}\n", shown(table, 0));
    let few = report.latency.rows.iter().any(|row| row.recomputed < row.generate);
    if few {
        let _ = writeln!(
            out,
            "Without a cache each token is a prefill of everything before it; some lengths are measured, the others lie on lines between."
        );
    }
    if let Some(found) = &report.program {
        out.push_str(&findings(found));
    }
    let _ = writeln!(out, "Predicted: the roofline of the formulas of `goldref cost` and of the limits above.");
    out
}

/// What a program's times and tokens say of its cache.
fn findings(found: &ProgramFindings) -> String {
    let grows = |recomputed: f64| {
        format!("{} of what the longer prompt adds to the prefill comes again with every token", percent(recomputed))
    };
    let mut out = match found.cache {
        CacheWork::Saves { recomputed } => format!("The cache saves work: {}.\n", grows(recomputed)),
        CacheWork::Recomputes { recomputed } => {
            format!("The cache saves no work: {}, as if the prompt were computed anew for each.\n", grows(recomputed))
        }
        CacheWork::TooShort => {
            "Whether the cache saves work cannot be told: the longest prompt does not take twice as long as the shortest; give longer ones, and at least two tokens.\n".to_string()
        }
    };
    for differ in &found.differing {
        let _ = writeln!(
            out,
            "With the cache other tokens come than without: behind a prompt of {} from token {} of {} on.",
            differ.prompt, differ.first, differ.generate
        );
    }
    out
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}
