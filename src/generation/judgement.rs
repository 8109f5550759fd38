//! Which tokens of an answer are right, from logits and how far each may be off.

use crate::error::{Error, Result};
use crate::model::argmax;
use crate::num::json_number;
use ndarray::{Array2, ArrayView3};
use serde::{Deserialize, Serialize};

/// What is said of the tokens of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenJudgement {
    /// Tokens that were judged: all of the answer.
    pub tokens: usize,
    /// Those that are not the reference's, in a way that rounding explains.
    pub ties: usize,
    /// Those that rounding does not explain.
    pub wrong: usize,
    /// The first of them.
    pub first_wrong: Option<WrongToken>,
}

/// A token that rounding does not explain.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrongToken {
    /// Which of the requests side by side, from 0 on.
    pub row: usize,
    /// Which of the generated tokens, from 1 on.
    pub at: usize,
    /// The token of the answer.
    pub token: i64,
    /// The token that the reference chooses there.
    pub right: i64,
    /// By how much the logit of the right one is larger.
    #[serde(with = "json_number")]
    pub margin: f64,
    /// What rounding explains of that.
    #[serde(with = "json_number")]
    pub bound: f64,
}

impl TokenJudgement {
    /// Whether there are tokens, and none is wrong.
    pub fn is_right(&self) -> bool {
        self.tokens > 0 && self.first_wrong.is_none()
    }

    /// Judges `tokens` `[batch, count]` by the exact `logits` `[batch, count, vocab_size]` that each was chosen from, and by the `radii` within
    /// which a candidate's own logits lie; without radii the largest logit alone is right.
    ///
    /// A candidate chose `a` because its own logit of `a` was no smaller than that of any other token `b`. Both of its logits are off by at most
    /// their radius C from the exact ones `y`, so
    ///
    /// ```text
    /// y[a] + C[a] ≥ own[a] ≥ own[b] ≥ y[b] - C[b]        hence        y[b] - y[a] ≤ C[a] + C[b]
    /// ```
    /// A token is wrong where that does not hold for `b`, the token of the largest exact logit (the lowest of equals); it is a tie where it holds
    /// and `a` is not `b`.
    ///
    /// # Errors
    /// Logits that have no largest one, tokens that have no logit, shapes that do not fit.
    pub(super) fn of(tokens: &Array2<i64>, logits: ArrayView3<f64>, radii: Option<ArrayView3<f64>>) -> Result<Self> {
        let (batch, count, vocab) = logits.dim();
        let fits = radii.is_none_or(|radii| radii.dim() == logits.dim()) && tokens.dim() == (batch, count);
        if !fits {
            return Err(Error::ask(format!(
                "tokens of shape {:?} cannot be judged by logits of shape {:?}",
                tokens.dim(),
                logits.dim()
            )));
        }
        let mut judgement = Self { tokens: tokens.len(), ties: 0, wrong: 0, first_wrong: None };
        for t in 0..count {
            for row in 0..batch {
                let token = tokens[[row, t]];
                let chosen = usize::try_from(token)
                    .ok()
                    .filter(|&chosen| chosen < vocab)
                    .ok_or_else(|| Error::ask(format!("the token {token} is none of a vocabulary of {vocab}")))?;
                let here = logits.slice(ndarray::s![row, t, ..]);
                let right = argmax(here).ok_or_else(|| {
                    Error::ask(format!("the reference's logits of generated token {} are NaN", t + 1))
                })?;
                if chosen == right {
                    continue;
                }
                let bound = radii.map_or(0.0, |radii| radii[[row, t, chosen]] + radii[[row, t, right]]);
                // Infinite logits of the same sign are equal.
                let margin = if here[right] == here[chosen] { 0.0 } else { here[right] - here[chosen] };
                if margin <= bound {
                    judgement.ties += 1;
                    continue;
                }
                judgement.wrong += 1;
                let wrong = WrongToken { row, at: t + 1, token, right: right as i64, margin, bound };
                judgement.first_wrong = judgement.first_wrong.or(Some(wrong));
            }
        }
        Ok(judgement)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array3, array};

    fn judged(tokens: &Array2<i64>, logits: &Array3<f64>, radius: f64) -> TokenJudgement {
        let radii = Array3::from_elem(logits.dim(), radius);
        TokenJudgement::of(tokens, logits.view(), Some(radii.view())).unwrap()
    }

    #[test]
    fn a_token_may_lose_to_the_right_one_by_two_radii() {
        // The gap is 0.5, and both logits may be off by 0.25.
        let logits = array![[[1.0, 1.5, 0.0], [2.0, 0.0, 1.0]]];
        let tokens = array![[0, 0]];
        let tie = judged(&tokens, &logits, 0.25);
        assert_eq!((tie.tokens, tie.ties, tie.wrong, tie.is_right()), (2, 1, 0, true));
        let wrong = judged(&tokens, &logits, 0.24);
        let first = WrongToken { row: 0, at: 1, token: 0, right: 1, margin: 0.5, bound: 0.48 };
        assert_eq!((wrong.first_wrong, wrong.wrong, wrong.is_right()), (Some(first), 1, false));
    }

    #[test]
    fn the_first_wrong_token_is_the_earliest_of_all_requests() {
        let logits = array![[[1.0, 0.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 1.0]]];
        let judgement = judged(&array![[0, 1], [0, 0]], &logits, 0.1);
        assert_eq!((judgement.wrong, judgement.first_wrong.map(|wrong| (wrong.row, wrong.at))), (3, Some((1, 1))));
    }

    #[test]
    fn what_cannot_be_compared_is_never_right() {
        let nan = array![[[f64::NAN, 0.0]]];
        assert!(TokenJudgement::of(&array![[1]], nan.view(), None).is_err());
        let logits = array![[[1.0, 0.0]]];
        for token in [-1, 2, i64::MIN, i64::MAX] {
            assert!(TokenJudgement::of(&array![[token]], logits.view(), None).is_err(), "{token}");
        }
        assert!(TokenJudgement::of(&array![[0, 0]], logits.view(), None).is_err());
        assert!(!judged(&array![[1]], &logits, f64::NAN).is_right());
        let masked = array![[[1.0, f64::NEG_INFINITY]]];
        assert!(!judged(&array![[1]], &masked, 1e9).is_right());
        assert!(!TokenJudgement::of(&Array2::zeros((0, 0)), Array3::zeros((0, 0, 2)).view(), None).unwrap().is_right());
    }

    #[test]
    fn of_equal_logits_the_lowest_is_the_reference_s_and_the_other_a_tie() {
        let logits = array![[[1.0, 1.0]]];
        let judgement = TokenJudgement::of(&array![[1]], logits.view(), None).unwrap();
        assert_eq!((judgement.ties, judgement.is_right()), (1, true));
    }
}
