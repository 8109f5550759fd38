//! Cases about generation: tokens are judged by how far their logits lie apart, not element by element.
//!
//! ```text
//! exact         the expected tokens
//! explained     other tokens, each in a tie that rounding decides
//! not rounding  some token is wrong
//! ```
//! What is expected comes from a foreign oracle; behind a tie the answer's text is another one, which the reference judges ([`crate::generation`]).

use super::case::Case;
use super::expectation::Expectation;
use super::report_data::{ArrayResult, Beside, ErrorRatios, Outcome};
use crate::check::{Basis, FormatFacts, FormatOf, Judged, Ladder, Selection, Verdict, compare};
use crate::error::{Error, Result};
use crate::generation::{EVALUATIONS, TokenJudge, TokenJudgement, Way};
use crate::io::{Array, Checkpoint};
use crate::num::Dtype;
use crate::ops::Answer;
use crate::variant::Variant;
use ndarray::{Array2, ArrayD, Ix2};
use std::collections::BTreeMap;

/// The operation of these cases.
pub(super) const GENERATE: &str = "generate";

/// The array of an answer.
const TOKENS: &str = "tokens";

/// The opinion on an answer of `variant`.
///
/// # Errors
/// A case without a prompt, expected tokens or a checkpoint.
pub(super) fn judge_tokens(
    case: &Case,
    variant: &'static Variant,
    inputs: &BTreeMap<String, Array>,
    expectation: &Expectation,
    answer: &Answer,
    ladder: &Ladder,
) -> Result<Outcome> {
    let unfit = |what: &str| Error::ask(format!("{}: a case about generation must have {what}", case.name));
    let (_, dtype, expected) = expectation
        .arrays
        .iter()
        .find(|(name, ..)| name == TOKENS)
        .ok_or_else(|| unfit("an expected array \"tokens\""))?;
    let prompt = inputs.get("input_ids").and_then(|ids| ids.to_i64().ok()?.into_dimensionality::<Ix2>().ok());
    let prompt = prompt.ok_or_else(|| unfit("an array input_ids [batch, len] of integers"))?;
    let Some(actual) = answer.get(TOKENS) else {
        return Ok(Outcome::Missing { array: TOKENS.to_string(), beside: Beside::default() });
    };
    let compared = |expected| compare(actual, expected, *dtype, Selection::All, ladder);
    let facts = match compared(expected) {
        Ok(facts) => facts,
        Err(shapes) => return Ok(Outcome::WrongShape { array: TOKENS.to_string(), shapes, beside: Beside::default() }),
    };
    let judgement = if actual == expected {
        TokenJudgement { tokens: actual.len(), ties: 0, wrong: 0, first_wrong: None }
    } else {
        let folder = case.params.get("model").and_then(|model| model.as_str());
        let folder = case.folder_in_suite(folder.ok_or_else(|| unfit("a checkpoint, params.model"))?)?;
        let way = match case.params.get("use_cache").and_then(|use_cache| use_cache.as_bool()) {
            Some(true) => Way::WithCache,
            Some(false) => Way::WithoutCache,
            None => return Err(unfit("params.use_cache, true or false")),
        };
        let mut judge = TokenJudge::open(Checkpoint::open(folder)?, variant)?;
        let Some(tokens) = whole(actual, judge.spec().vocab_size) else {
            let reason = "its tokens are no whole numbers of the vocabulary".to_string();
            return Ok(Outcome::Failed { reason });
        };
        judge.judge(&prompt, &tokens, way)?
    };
    if judgement.tokens == 0 {
        return Ok(Outcome::Failed {
            reason: "no token was compared, and nothing compared is not a success".to_string(),
        });
    }
    let facts = match judgement.is_right() {
        // Behind a tie the answer is held against its own text: nothing in it disagrees.
        true => compared(actual).unwrap_or(facts),
        false => facts,
    };
    let judged = opinion(&judgement);
    let format = FormatOf { expected: *dtype, output: Dtype::F64 };
    let tolerance = FormatFacts::of(expected, Selection::All, format, ladder).with_bound(0.0);
    let verdict = judged.verdict;
    let tokens =
        ArrayResult { name: TOKENS.to_string(), dtype: "i64".to_string(), facts, judged, tolerance, argmax: None };
    Ok(Outcome::Compared {
        passes: vec![judgement.is_right(); ladder.0.len()],
        meets_tolerance: None,
        verdict,
        arrays: vec![tokens],
        same_bits: None,
        error_ratios: ErrorRatios::default(),
    })
}

/// Tokens of a vocabulary; `None` where one of them is none.
fn whole(tokens: &ArrayD<f64>, vocab: usize) -> Option<Array2<i64>> {
    let is_token = |x: &f64| *x >= 0.0 && *x < vocab as f64 && x.fract() == 0.0;
    let whole = tokens.iter().all(is_token).then(|| tokens.mapv(|x| x as i64))?;
    whole.into_dimensionality::<Ix2>().ok()
}

/// The first wrong token and its margin, and the ties.
fn opinion(judgement: &TokenJudgement) -> Judged {
    let TokenJudgement { tokens, ties, wrong, first_wrong } = judgement;
    let ties_in_words = match ties {
        0 => "no ties".to_string(),
        ties => format!("{ties} are others than the reference's, in ties that rounding decides"),
    };
    let (verdict, reason) = match first_wrong {
        None if *ties == 0 => (Verdict::Exact, "no token differs".to_string()),
        None => (Verdict::Explained, format!("of {tokens} tokens {ties_in_words}")),
        Some(first) => {
            let row = if first.row > 0 { format!(" of row {}", first.row) } else { String::new() };
            let reason = format!(
                "{wrong} of {tokens} tokens are wrong, first token {}{row}: {} where {} is right, whose logit is larger by {:.2e}; rounding \
                 explains {:.1e}; {ties_in_words}",
                first.at, first.token, first.right, first.margin, first.bound
            );
            (Verdict::NotRounding, reason)
        }
    };
    Judged { verdict, basis: Basis::Floor { evaluations: EVALUATIONS }, ratios: None, bias: None, reason }
}
