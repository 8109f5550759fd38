//! What the times with and without a cache say of the cache.
//!
//! ```text
//! recomputed = (t(P₂) - t(P₁)) / (p(P₂) - p(P₁))      t: a token with the cache, p: the prefill, P₁ and P₂: the shortest and the longest prompt
//! ```
//! A program that computes everything anew for each token, whatever it calls a cache, has a growth of 1; one that reads its cache has one of about
//! `1 / P₂`. What each question costs besides (files, the process) grows with neither and drops out.
//!
//! Waiting does not help: a prefill is part of what the same program takes with the cache, so no more than that is believed of it, and a token behind
//! the short prompt is believed to take no more than that prompt's prefill. A short prompt's token that is slow on purpose needs a slow prefill
//! beside it, which takes as much from what lies below the line as from what lies above.

use super::latency::LatencyRow;
use crate::num::sort::sort_by;
use serde::Serialize;

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

/// From this growth on a cache is said to save nothing: halfway between one that works and none.
const HALF: f64 = 0.5;

/// The lesser of two; the other one of a NaN.
fn least(a: f64, b: f64) -> f64 {
    if a < b { a } else { b }
}

impl CacheWork {
    /// Of the rows with the most tokens, by the shortest prompt and the longest.
    pub(super) fn of(rows: &[LatencyRow]) -> Self {
        let most = rows.iter().map(|row| row.generate).max().unwrap_or(0);
        let mut rows: Vec<&LatencyRow> = rows.iter().filter(|row| row.generate == most).collect();
        sort_by(&mut rows, &|a, b| a.prompt.cmp(&b.prompt));
        let (Some(short), Some(long)) = (rows.first(), rows.last()) else { return Self::TooShort };
        let (Some(short_token), Some(long_token)) = (short.decode, long.decode) else { return Self::TooShort };
        // The least of the runs: what a busy machine adds is no work of the program.
        let [short_pass, long_pass] = [short, long].map(|row| least(row.prefill.least, row.with_cache.least));
        let told = long_pass >= 2.0 * short_pass;
        if !told {
            return Self::TooShort;
        }
        let growth = long_token.least - least(short_token.least, short_pass);
        let recomputed = if growth > 0.0 { growth / (long_pass - short_pass) } else { 0.0 };
        if recomputed < HALF { Self::Saves { recomputed } } else { Self::Recomputes { recomputed } }
    }
}

#[cfg(test)]
mod tests {
    use super::super::latency::Spread;
    use super::*;

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
        assert_eq!(CacheWork::of(&rows(&[(10, f64::NAN, 0.002), (20, f64::NAN, 0.002)])), CacheWork::TooShort);
        assert_eq!(CacheWork::of(&[]), CacheWork::TooShort);
    }

    #[test]
    fn waiting_behind_the_short_prompt_hides_no_growth() {
        // Without a cache, 0.1 s a token; behind the short prompt as slow on purpose.
        let waits = CacheWork::of(&rows(&[(10, 0.004, 0.1), (1000, 0.1, 0.1)]));
        assert!(matches!(waits, CacheWork::Recomputes { recomputed } if recomputed >= 1.0), "{waits:?}");
        // The short prefill too, as much as is believed.
        let both = CacheWork::of(&rows(&[(10, 0.05, 0.1), (1000, 0.1, 0.1)]));
        assert!(matches!(both, CacheWork::Recomputes { recomputed } if recomputed >= 1.0), "{both:?}");
        assert_eq!(CacheWork::of(&rows(&[(10, 0.06, 0.1), (1000, 0.1, 0.1)])), CacheWork::TooShort);
    }

    #[test]
    fn no_more_is_believed_of_a_prefill_than_the_whole_answer_takes() {
        // 20 tokens in 2 s; a prefill that waits for 100 s, so that 2 s are little beside it.
        let mut waits = rows(&[(10, 0.004, 0.002), (1000, 0.1, 0.1)]);
        waits[1].prefill = Spread { median: 100.0, least: 100.0, most: 100.0 };
        let found = CacheWork::of(&waits);
        assert!(
            matches!(found, CacheWork::Saves { recomputed } if (recomputed - 0.098 / 1.996).abs() < 1e-9),
            "{found:?}"
        );
    }
}
