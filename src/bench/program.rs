//! The latency of somebody else's program, and whether its cache saves work.
//!
//! The program is asked to `generate` with `use_cache` true and false, and the time from question to answer counts. With `G = 1` it does the
//! prefill alone; a token behind it takes `(T(G) - T(1)) / (G - 1)`.
//!
//! ```text
//! recomputed = (t(P₂) - t(P₁)) / (p(P₂) - p(P₁))      t: a token with the cache, p: the prefill, P₁ and P₂: the shortest and the longest prompt
//! ```
//! A program that computes everything anew for each token, whatever it calls a cache, has a growth of 1; one that reads its cache has one of about
//! `1 / P₂`. What each question costs besides (files, the process) grows with neither and drops out.

use super::latency::{Bytes, LatencyQuestion, LatencyReport, LatencyRow, Spread};
use crate::candidate::{Outcome, Program, ProgramQuestion};
use crate::cost::Roofline;
use crate::error::{Error, Result};
use crate::io::Array;
use crate::model::ModelSpec;
use crate::num::sort::sort_by;
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// What the times with and without a cache say of the cache.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum CacheWork {
    /// A token costs little more behind a longer prompt.
    Saves {
        /// Growth of a token over growth of the prefill.
        recomputed: f64,
    },
    /// A token costs more behind a longer prompt, as if the prompt were computed again: at least half of it.
    Recomputes {
        /// Growth of a token over growth of the prefill.
        recomputed: f64,
    },
    /// The prefill of the longest prompt does not take twice as long as that of the shortest: nothing can be said.
    TooShort,
}

/// Tokens that differ with the cache and without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TokensDiffer {
    /// Tokens of the prompt.
    pub prompt: usize,
    /// Generated tokens.
    pub generate: usize,
    /// The first token that differs, from 1 on.
    pub first: usize,
}

/// What was found besides times.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProgramFindings {
    /// Whether the cache saves work.
    pub cache: CacheWork,
    /// Where the cache changes the tokens.
    pub differing: Vec<TokensDiffer>,
    /// The first token behind each prompt, with the cache.
    pub first_tokens: Vec<(usize, i64)>,
}

/// Times of one prompt.
struct Timed {
    prefill: Vec<f64>,
    /// For each number of tokens, with the cache and without.
    runs: Vec<(usize, [Vec<f64>; 2])>,
}

impl Timed {
    /// Where the runs of this number of tokens are.
    fn place(&mut self, generate: usize) -> usize {
        if let Some(known) = self.runs.iter().position(|(tokens, _)| *tokens == generate) {
            return known;
        }
        self.runs.push((generate, Default::default()));
        self.runs.len() - 1
    }
}

/// Measures a program; `progress` is called after each run. `limit` is for one question.
///
/// # Errors
/// Nothing to measure; a program that does not answer, and why; tokens of another shape or kind.
pub fn program_latency(
    program: &mut Program,
    model: (&Path, &ModelSpec),
    question: &LatencyQuestion,
    roofline: &Roofline,
    limit: Duration,
    progress: &dyn Fn(),
) -> Result<(LatencyReport, ProgramFindings)> {
    question.refuse()?;
    let (folder, spec) = model;
    let (mut rows, mut differing, mut first_tokens) = (Vec::new(), Vec::new(), Vec::new());
    for &prompt in &question.prompts {
        let ids = question.prompt_ids(spec, prompt);
        let inputs = BTreeMap::from([("input_ids".to_string(), Array::I64(ids.into_dyn()))]);
        let mut ask = |generate: usize, use_cache: bool| {
            let params = json!({"max_new_tokens": generate, "use_cache": use_cache});
            let asked = ProgramQuestion { op: "generate", params: &params, model: Some(folder), inputs: &inputs };
            let outcome = program.ask(&asked, limit)?;
            progress();
            tokens_of(outcome, generate)
                .map_err(|why| Error::ask(format!("the program, asked for {generate} tokens after {prompt}, {why}")))
        };
        let mut timed = Timed { prefill: Vec::new(), runs: Vec::new() };
        for run in 0..question.warmup + question.repeats {
            let counts = run >= question.warmup;
            let (seconds, token) = ask(1, true)?;
            if run == 0 {
                first_tokens.extend(token.first().map(|&token| (prompt, token)));
            }
            if counts {
                timed.prefill.push(seconds);
            }
            for &generate in &question.generate {
                // In turn, so that both see the same phases of a machine that is shared.
                let (with, tokens) = ask(generate, true)?;
                let (without, right) = ask(generate, false)?;
                if counts {
                    let place = timed.place(generate);
                    let [cached, recomputed] = &mut timed.runs[place].1;
                    cached.push(with);
                    recomputed.push(without);
                }
                let first = tokens.iter().zip(&right).position(|(a, b)| a != b);
                if let (Some(at), 0) = (first, run) {
                    differing.push(TokensDiffer { prompt, generate, first: at + 1 });
                }
            }
        }
        for &generate in &question.generate {
            let place = timed.place(generate);
            rows.push(row(spec, question, [prompt, generate], roofline, (&timed.prefill, &timed.runs[place].1)));
        }
    }
    let cache = CacheWork::of(&rows);
    Ok((LatencyReport { rows }, ProgramFindings { cache, differing, first_tokens }))
}

impl LatencyQuestion {
    /// Questions to a program.
    pub fn program_steps(&self) -> usize {
        self.prompts.len() * (self.warmup + self.repeats) * (1 + 2 * self.generate.len())
    }
}

/// Seconds and tokens of an answer; `Err` says what it is instead.
fn tokens_of(outcome: Outcome, generate: usize) -> std::result::Result<(f64, Vec<i64>), String> {
    let Outcome::Answered { arrays, took } = outcome else { return Err(outcome.in_words()) };
    let Some(tokens) = arrays.get("tokens") else { return Err("wrote no array \"tokens\"".to_string()) };
    if tokens.shape() != [1, generate] {
        return Err(format!("wrote tokens of shape {:?}; they must be [1, {generate}]", tokens.shape()));
    }
    let tokens = tokens.to_i64().map_err(|e| format!("wrote tokens that are no whole numbers: {e}"))?;
    Ok((took.as_secs_f64(), tokens.into_iter().collect()))
}

fn row(
    spec: &ModelSpec,
    question: &LatencyQuestion,
    [prompt, generate]: [usize; 2],
    roofline: &Roofline,
    (prefills, [cached, recomputed]): (&[f64], &[Vec<f64>; 2]),
) -> LatencyRow {
    let prefill = Spread::of(prefills.to_vec());
    let (with_cache, without_cache) = (Spread::of(cached.clone()), Spread::of(recomputed.clone()).median);
    // Less than nothing is what a busy machine adds to one of the two; the question behind the prefill saw the same phase of it.
    let a_token =
        |(all, prefill): (&f64, &f64)| if all > prefill { (all - prefill) / (generate - 1) as f64 } else { 0.0 };
    let tokens = || cached.iter().zip(prefills).map(a_token).collect();
    LatencyRow {
        prompt,
        generate,
        with_cache,
        without_cache,
        recomputed: generate,
        speed_up: without_cache / with_cache.median,
        prefill,
        decode: (generate > 1).then(|| Spread::of(tokens())),
        predicted_prefill: question.predicted(spec, Bytes { weight: 4, number: 4 }, roofline, prompt, 0),
        predicted_decode: question.predicted(
            spec,
            Bytes { weight: 4, number: 4 },
            roofline,
            1,
            prompt + (generate - 1) / 2,
        ),
    }
}

/// From this growth on a cache is said to save nothing: halfway between one that works and none.
const HALF: f64 = 0.5;

impl CacheWork {
    /// Of the rows with the most tokens, by the shortest prompt and the longest.
    fn of(rows: &[LatencyRow]) -> Self {
        let most = rows.iter().map(|row| row.generate).max().unwrap_or(0);
        let mut rows: Vec<&LatencyRow> = rows.iter().filter(|row| row.generate == most).collect();
        sort_by(&mut rows, &|a, b| a.prompt.cmp(&b.prompt));
        let (Some(short), Some(long)) = (rows.first(), rows.last()) else { return Self::TooShort };
        let (Some(short_token), Some(long_token)) = (short.decode, long.decode) else { return Self::TooShort };
        // The least of the runs: what a busy machine adds is no work of the program.
        let prefill = long.prefill.least - short.prefill.least;
        let told = long.prefill.least >= 2.0 * short.prefill.least;
        if !told {
            return Self::TooShort;
        }
        let growth = long_token.least - short_token.least;
        let recomputed = if growth > 0.0 { growth / prefill } else { 0.0 };
        if recomputed < HALF { Self::Saves { recomputed } } else { Self::Recomputes { recomputed } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    fn rows(times: &[(usize, f64, f64)]) -> Vec<LatencyRow> {
        let spread = |seconds: f64| Spread { median: seconds, least: seconds, most: seconds };
        let row = |&(prompt, prefill, token): &(usize, f64, f64)| LatencyRow {
            prompt,
            generate: 20,
            with_cache: spread(prefill + 19.0 * token),
            without_cache: 1.0,
            recomputed: 20,
            speed_up: 1.0,
            prefill: spread(prefill),
            decode: Some(spread(token)),
            predicted_prefill: 0.0,
            predicted_decode: 0.0,
        };
        times.iter().map(row).collect()
    }

    #[test]
    fn a_cache_that_recomputes_grows_as_the_prefill_does() {
        // 3 ms a question besides: it drops out.
        let fake = CacheWork::of(&rows(&[(10, 0.004, 0.002), (1000, 0.103, 0.101)]));
        assert!(matches!(fake, CacheWork::Recomputes { recomputed } if (recomputed - 1.0).abs() < 1e-9), "{fake:?}");
        let real = CacheWork::of(&rows(&[(1000, 0.103, 0.0021), (10, 0.004, 0.002)]));
        assert!(matches!(real, CacheWork::Saves { recomputed } if (0.0..0.01).contains(&recomputed)), "{real:?}");
        assert_eq!(CacheWork::of(&rows(&[(10, 0.004, 0.002), (20, 0.0041, 0.002)])), CacheWork::TooShort);
        assert_eq!(CacheWork::of(&rows(&[(10, 0.004, 0.002)])), CacheWork::TooShort);
        assert_eq!(CacheWork::of(&rows(&[(10, f64::NAN, 0.002), (20, 0.0041, 0.002)])), CacheWork::TooShort);
        assert_eq!(CacheWork::of(&[]), CacheWork::TooShort);
    }

    #[test]
    fn tokens_of_another_shape_are_none() {
        let answered = |shape: (usize, usize)| Outcome::Answered {
            arrays: BTreeMap::from([("tokens".into(), Array::I64(Array2::zeros(shape).into_dyn()))]),
            took: Duration::from_secs(2),
        };
        assert_eq!(tokens_of(answered((1, 3)), 3).unwrap(), (2.0, vec![0, 0, 0]));
        assert!(tokens_of(answered((3, 1)), 3).unwrap_err().contains("[3, 1]; they must be [1, 3]"));
        assert!(tokens_of(Outcome::Unsupported("no".into()), 3).unwrap_err().contains("does not answer this: no"));
    }
}
