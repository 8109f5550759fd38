//! A part whose points are a measured speed-up.

use super::assignment::SpeedUp;
use super::course::{Course, ReadySpeedUp};
use super::points::Points;
use super::report_data::{SpeedUpReport, SpeedUpRow};
use super::respondent::Respondent;
use crate::bench::{CacheWork, program_latency};
use crate::cost::Roofline;
use crate::error::Result;

/// What came of it: the points, one line, findings, the times.
pub(super) type Measured = (Points, String, Vec<String>, Option<SpeedUpReport>);

/// Without a cache a token takes a pass over everything before it, which the program has done in its prefill; what it takes beyond twice that is none of the cache's work.
fn counted(row: &crate::bench::LatencyRow) -> f64 {
    let most = 2.0 * row.generate as f64 * row.prefill.median;
    if row.without_cache > most { most } else { row.without_cache }
}

/// Measures a submission.
///
/// # Errors
/// What is no fault of the submission.
pub(super) fn measured(
    speed_up: &SpeedUp,
    ready: &ReadySpeedUp,
    course: &Course,
    respondent: &mut Respondent,
    points: &Points,
) -> Result<Measured> {
    let nothing = |why: String| (Points::zero(), why, Vec::new(), None);
    // Whoever panicked while measuring left nothing behind that matters.
    let _alone = course.measuring.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let limit = course.assignment.limits.seconds;
    let program = match respondent.program() {
        Err(why) => return Ok(nothing(why)),
        Ok(program) => program,
    };
    // What the machine could do is not asked here.
    let roofline = Roofline { peak: 1e12, bandwidth: 1e11 };
    let found = program_latency(program, (&speed_up.model, &ready.spec), &ready.question, &roofline, limit, &|| ());
    let (latency, findings) = match found {
        Ok(found) => found,
        Err(e) => {
            respondent.give_up();
            return Ok(nothing(format!("no speed-up: {e}")));
        }
    };
    let mut rows = Vec::with_capacity(latency.rows.len());
    for row in &latency.rows {
        rows.push(SpeedUpRow {
            prompt: row.prompt,
            generate: row.generate,
            with_cache: row.with_cache.median,
            without_cache: counted(row),
        });
    }
    let ratio = rows.iter().find(|row| row.prompt == speed_up.at).map_or(0.0, SpeedUpRow::speed_up);
    let needed = speed_up.ladder.first().map_or(0.0, |(ratio, _)| *ratio);
    let (saves, cache) = match findings.cache {
        CacheWork::Saves { .. } => (true, "the cache saves work"),
        CacheWork::Recomputes { .. } => {
            (false, "the cache saves no work: a token takes as long as if the prompt were computed anew")
        }
        CacheWork::TooShort => (true, "the prompts are too short to tell whether the cache saves work"),
    };
    // Whoever is quick with other tokens does other work.
    let first = findings.first_tokens.iter().find(|(prompt, _)| *prompt == speed_up.at).map(|(_, token)| *token);
    if let Some(wrong) = first.filter(|token| *token != ready.first_token) {
        return Ok(nothing(format!("the first token behind a prompt of {} is {wrong}, which is wrong", speed_up.at)));
    }
    let earned = speed_up.ladder.iter().find(|(least, _)| ratio >= *least).map(|(_, share)| share.clone());
    let share = earned.filter(|_| saves).unwrap_or_else(Points::zero);
    let mut summary = format!("{ratio:.1} × at {} tokens (needed {needed} ×)", speed_up.at);
    if !saves {
        summary = format!("{cache}; {summary}");
    }
    let mut differing = Vec::new();
    for differ in &findings.differing {
        differing.push(format!(
            "with the cache other tokens come than without: behind a prompt of {} from token {} of {} on; no points are lost by it here",
            differ.prompt, differ.first, differ.generate
        ));
    }
    let report = SpeedUpReport { rows, at: speed_up.at, needed, cache: cache.to_string() };
    Ok((&share * points, summary, differing, Some(report)))
}
