//! The table for people.

use super::BenchReport;
use crate::bench::{CacheWork, ProgramFindings, TokensFound, WrongAnswer};
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

/// What a program's times say of its cache, and what was found of its tokens.
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
    out += &match &found.tokens {
        None => "The tokens were not held against the reference.\n".to_string(),
        Some(tokens) => of_tokens(tokens),
    };
    let _ = writeln!(out, "Prompts: --seed {}.", found.seed);
    out
}

/// What was found of the tokens, and where the first wrong ones are.
fn of_tokens(found: &TokensFound) -> String {
    let mut out = if found.wrong.is_empty() {
        format!("All {} tokens of {} answers are right; {}.\n", found.tokens, found.answers, ties(found.ties))
    } else {
        format!("Of {} tokens of {} answers some are wrong; {}.\n", found.tokens, found.answers, ties(found.ties))
    };
    for WrongAnswer { prompt, generate, use_cache, first_wrong: wrong } in &found.wrong {
        let _ = writeln!(
            out,
            "{} the cache, behind a prompt of {prompt}, token {} of {generate} is wrong: {} where {} is right, whose logit is larger by {}; rounding explains {}.",
            if *use_cache { "With" } else { "Without" },
            wrong.at,
            wrong.token,
            wrong.right,
            significant(wrong.margin),
            significant(wrong.bound)
        );
    }
    out
}

fn ties(count: usize) -> String {
    match count {
        0 => "no ties".to_string(),
        1 => "1 is another than the reference's, in a tie that rounding decides".to_string(),
        _ => format!("{count} are others than the reference's, in ties that rounding decides"),
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}
