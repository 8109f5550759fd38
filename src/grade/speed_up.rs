//! A part whose points are a measured speed-up.
//!
//! **Why there is nothing for free.** The ratio is time without the cache over time with it, and both are the program's own. What a program does
//! to move it, and what stands against it:
//!
//! * *With the cache quick and wrong* (zeros, a right token and then others, half of an answer, an answer to a shorter text): every token of every answer is held
//!   against the reference, behind the answer's own tokens before it. One wrong token, in any run and asked in any way, and nothing is earned.
//! * *Answers known beforehand* (a table, earlier questions, work done between two questions): each question has a prompt of its own, which nobody
//!   can predict ([`crate::bench`]), of so many tokens that no table holds all. A prompt behind which the model repeats itself is drawn again: there a
//!   right answer would be no work.
//! * *Work done while no clock runs*: the clock begins before the inputs are written and ends when the tokens are in memory; the tokens are judged
//!   behind the last question.
//! * *Without the cache slow on purpose*: without a cache a token takes a pass over everything before it, and a pass is what the program does in its
//!   prefill. A pass over `P + i` tokens takes at most `((P + i) / P)²` times what one over `P` takes; no more than their sum is counted.
//! * *The prefill slow on purpose*, so that more is counted: an answer with the cache contains the prefill, so no more than that answer takes is
//!   believed of a pass. A program without a cache that makes its prefill as slow as its whole answer would still have a ratio of `G`. No
//!   comparison of a program's own times can tell it from one with a slow prefill and a quick cache: whatever a ratio of times is, it rises if some
//!   of them do. So no more is believed of a pass than `slow_factor` times what goldref takes for it, measured when the assignment is read and no
//!   submission runs. A program that is `s` times as slow as goldref has a ratio of at most `slow_factor / s` without a cache, and with one of about
//!   `G`, or `G · slow_factor / s` where it is slower than that.
//! * *Nothing to tell*: prompts too short to say whether a cache saves work earn nothing.

use super::assignment::SpeedUp;
use super::course::{Course, ReadySpeedUp};
use super::points::Points;
use super::report_data::{Findings, SpeedUpReport, SpeedUpRow};
use super::respondent::Respondent;
use crate::bench::{
    CacheWork, LatencyRow, Measured as Asked, TokensFound, WrongAnswer, program_latency, unpredictable_seed,
};
use crate::cost::Roofline;
use crate::error::Result;
use std::sync::PoisonError;

/// What came of it: the points, one line, findings, the times.
pub(super) type Measured = (Points, String, Findings, Option<SpeedUpReport>);

/// Seconds that are believed of a pass over the prompt, `own` being goldref's.
fn believed(row: &LatencyRow, own: f64, slow_factor: f64) -> f64 {
    let mut pass = row.prefill.median;
    for most in [row.with_cache.median, slow_factor * own] {
        pass = if pass < most { pass } else { most };
    }
    pass
}

/// Seconds without the cache that count: no more than a pass over everything before each token.
fn counted(row: &LatencyRow, pass: f64) -> f64 {
    let mut most = 0.0;
    for i in 0..row.generate {
        most += pass * ((row.prompt + i) as f64 / row.prompt as f64).powi(2);
    }
    if row.without_cache < most { row.without_cache } else { most }
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
    let nothing = |why: String| (Points::zero(), why, Findings::default(), None);
    // Whoever panicked while measuring left nothing behind that matters.
    let _alone = course.measuring.lock().unwrap_or_else(PoisonError::into_inner);
    let limit = course.assignment.limits.seconds;
    let program = match respondent.program()? {
        Err(why) => return Ok(nothing(why)),
        Ok(program) => program,
    };
    let seed = unpredictable_seed();
    let prompts = ready.prompts(&ready.question, seed)?;
    let mut judge = ready.judge.lock().unwrap_or_else(PoisonError::into_inner);
    // What the machine could do is not asked here.
    let roofline = Roofline { peak: 1e12, bandwidth: 1e11 };
    let asked = Asked { program, folder: &speed_up.model, spec: &ready.spec, limit, judge: Some(&mut judge) };
    let (latency, findings) = match program_latency(asked, &ready.question, &prompts, &roofline, &|| ()) {
        Ok(found) => found,
        Err(e) => {
            respondent.give_up();
            return Ok(nothing(format!("no speed-up: {e}")));
        }
    };
    let tokens = findings.tokens.unwrap_or_default();
    let (mut rows, mut told) = (Vec::with_capacity(latency.rows.len()), Vec::new());
    for (row, &own) in latency.rows.iter().zip(&ready.own) {
        let pass = believed(row, own, speed_up.slow_factor);
        let without_cache = counted(row, pass);
        let costs = row.prompt == speed_up.at && without_cache < row.without_cache && pass < row.prefill.median;
        if costs && tokens.wrong.is_empty() {
            told.push(slow(row, pass, own));
        }
        rows.push(SpeedUpRow {
            prompt: row.prompt,
            generate: row.generate,
            with_cache: row.with_cache.median,
            without_cache,
        });
    }
    let ratio = rows.iter().find(|row| row.prompt == speed_up.at).map_or(0.0, SpeedUpRow::speed_up);
    let needed = speed_up.ladder.first().map_or(0.0, |(ratio, _)| *ratio);
    let (saves, cache) = match findings.cache {
        CacheWork::Saves { .. } => (true, "the cache saves work"),
        CacheWork::Recomputes { .. } => {
            (false, "the cache saves no work: a token takes as long as if the prompt were computed anew")
        }
        CacheWork::TooShort => (
            false,
            "the prompts of the assignment are too short to tell whether the cache saves work; longer ones would",
        ),
    };
    let right = tokens.answers > 0 && tokens.wrong.is_empty();
    let earned = speed_up.ladder.iter().find(|(least, _)| ratio >= *least).map(|(_, share)| share.clone());
    let share = earned.filter(|_| saves && right).unwrap_or_else(Points::zero);
    let mut summary = format!("{ratio:.1} × at {} tokens (needed {needed} ×)", speed_up.at);
    if !saves {
        summary = format!("{cache}; {summary}");
    }
    if let Some(first) = tokens.wrong.first() {
        summary = format!("{}; other tokens are other work", wrong(first));
    }
    told.extend(tokens.wrong.iter().skip(1).map(wrong));
    let report =
        SpeedUpReport { rows, at: speed_up.at, needed, cache: cache.to_string(), tokens: in_words(&tokens), seed };
    // Its process has seen nothing hidden.
    Ok((&share * points, summary, Findings::open(told), Some(report)))
}

/// Where the first wrong token is. Which token it is instead could be chosen to tell something, and stays unsaid.
fn wrong(answer: &WrongAnswer) -> String {
    let WrongAnswer { prompt, generate, use_cache, first_wrong } = answer;
    format!(
        "{} the cache, token {} of {generate} behind a prompt of {prompt} is wrong: another one leads by {:.1e}, and rounding explains {:.1e}",
        if *use_cache { "with" } else { "without" },
        first_wrong.at,
        first_wrong.margin,
        first_wrong.bound
    )
}

fn slow(row: &LatencyRow, pass: f64, own: f64) -> String {
    format!(
        "a pass over {} tokens takes {:.1} ms, and {:.1} ms of it count: no more than an answer with the cache takes, nor than {:.1} times goldref's \
         {:.1} ms",
        row.prompt,
        1e3 * row.prefill.median,
        1e3 * pass,
        pass / own,
        1e3 * own
    )
}

fn in_words(tokens: &TokensFound) -> String {
    let ties = match tokens.ties {
        0 => "no ties".to_string(),
        ties => format!("{ties} in ties that rounding decides"),
    };
    let right = if tokens.wrong.is_empty() { "all right" } else { "some wrong" };
    format!("{} tokens of {} answers judged: {right}, {ties}", tokens.tokens, tokens.answers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Spread;

    /// Times of 20 tokens behind 1000: without the cache, with it, the prefill.
    fn row(without_cache: f64, with_cache: f64, prefill: f64) -> LatencyRow {
        let spread = |seconds: f64| Spread { median: seconds, least: seconds, most: seconds };
        LatencyRow {
            prompt: 1000,
            generate: 20,
            with_cache: spread(with_cache),
            without_cache,
            recomputed: 20,
            speed_up: without_cache / with_cache,
            prefill: spread(prefill),
            decode: None,
            predicted_prefill: 0.0,
            predicted_decode: 0.0,
        }
    }

    /// The ratio that counts beside a goldref that takes 25 ms for a pass.
    fn ratio(row: &LatencyRow) -> f64 {
        counted(row, believed(row, 0.025, 4.0)) / row.with_cache.median
    }

    #[test]
    fn what_a_pass_takes_bounds_what_counts() {
        // An honest one: 50 ms a pass, half a millisecond a token.
        assert!((ratio(&row(1.0, 0.06, 0.05)) - 1.0 / 0.06).abs() < 1e-9);
        // No cache: 20 passes either way, and waiting adds nothing but what longer texts could take.
        for without in [1.0, 10.0, 1e6] {
            assert!(ratio(&row(without, 1.0, 0.05)) < 1.03, "{without}");
        }
        // Waiting in the prefill as well.
        for prefill in [0.1, 0.5, 1.0, 100.0, f64::INFINITY, f64::NAN] {
            assert!(ratio(&row(1e6, 1.0, prefill)) < 4.0 * 0.025 * 20.0 * 1.03, "{prefill}");
        }
        // An honest one, ten times as slow as goldref.
        assert!((ratio(&row(5.0, 0.26, 0.25)) - 20.0 * 0.1 / 0.26) < 0.2);
    }

    #[test]
    fn a_time_that_is_no_number_counts_nothing_more() {
        assert!(ratio(&row(f64::NAN, 1.0, 0.05)) < 1.03);
        assert!(counted(&row(f64::INFINITY, 0.06, 0.05), 0.05).is_finite());
    }
}
