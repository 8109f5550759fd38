//! Which key a query may attend to.
//!
//! ```text
//! causal      j ≤ i + offset       offset = kv_len - q_len (bottom right), 0 (top left) or past_len (past)
//! window      j > i + offset - window
//! right       j ≤ i + offset + right_window
//! padding     attention_mask[b, j] = 1
//! ```
//! `i` counts the queries of this call and `j` all keys, the cached ones first. Bottom right is right whenever
//! the queries are the last tokens; top left is what `is_causal` means in PyTorch when the lengths differ.
//! A row without any allowed key is legal: its probabilities are 0.

use super::parameters::{parameters, spelled};
use super::question::{Answer, Question, answer_out, refuse_oversize, with_axes};
use crate::error::{Error, Result};
use crate::eval::Evaluator;
use crate::linalg::arrays::shaped;
use crate::num::Real;
use ndarray::{Array2, Ix2, Ix3};
use serde::Deserialize;

/// How queries are aligned with keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Causal {
    /// A query may see every key.
    #[default]
    None,
    /// The last query is aligned with the last key.
    BottomRight,
    /// The first query is aligned with the first key.
    TopLeft,
    /// The first query is aligned with the first key after the cached ones.
    Past,
}

spelled! {
    Causal {
        "none" => Self::None,
        "bottom_right" => Self::BottomRight,
        "top_left" => Self::TopLeft,
        "past" => Self::Past,
    }
}

/// The rule for one query and one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MaskRule {
    /// Whether later keys are hidden.
    pub causal: bool,
    /// Added to a query's index to get the index of the key it is aligned with.
    pub offset: i64,
    /// A query sees this many keys, the one it is aligned with the last of them.
    pub window: Option<i64>,
    /// A query sees so many keys after the one it is aligned with.
    pub right_window: Option<i64>,
}

impl MaskRule {
    /// Whether query `i` may attend to key `j`.
    ///
    /// ```
    /// use goldref_reference::ops::mask::{Causal, MaskRule};
    /// // One new query after three cached keys: aligned at the bottom right it sees all four.
    /// let rule = |causal: Causal| MaskRule { causal: true, offset: causal.offset(1, 4, 3), ..MaskRule::default() };
    /// assert!(rule(Causal::BottomRight).allows(0, 3));
    /// assert!(!rule(Causal::TopLeft).allows(0, 1));
    /// ```
    pub fn allows(&self, i: i64, j: i64) -> bool {
        let aligned = i + self.offset;
        (!self.causal || j <= aligned)
            && self.window.is_none_or(|window| j > aligned.saturating_sub(window))
            && self.right_window.is_none_or(|right| j <= aligned.saturating_add(right))
    }

    /// The last key that query `i` may attend to, were there no end of keys; `None` where it may attend to all that
    /// come. Later queries have later ones.
    pub fn last_key(&self, i: i64) -> Option<i64> {
        let aligned = i + self.offset;
        let causal = self.causal.then_some(aligned);
        let right = self.right_window.map(|right| aligned.saturating_add(right));
        causal.into_iter().chain(right).min()
    }

    /// The first key that query `i` may attend to.
    pub fn first_key(&self, i: i64) -> i64 {
        self.window.map_or(i64::MIN, |window| (i + self.offset).saturating_sub(window).saturating_add(1))
    }
}

impl Causal {
    /// The offset of this alignment.
    pub fn offset(self, q_len: usize, kv_len: usize, past_len: usize) -> i64 {
        match self {
            Self::TopLeft => 0,
            Self::None | Self::BottomRight => kv_len as i64 - q_len as i64,
            Self::Past => past_len as i64,
        }
    }
}

/// Where a window is counted from when there is no causality to say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum WindowAlign {
    #[default]
    BottomRight,
    TopLeft,
    Past,
}

spelled! {
    WindowAlign {
        "bottom_right" => Self::BottomRight,
        "top_left" => Self::TopLeft,
        "past" => Self::Past,
    }
}

impl WindowAlign {
    /// The alignment that decides the offset.
    pub(super) fn of(self, causal: Causal) -> Causal {
        match (causal, self) {
            (Causal::None, Self::BottomRight) => Causal::BottomRight,
            (Causal::None, Self::TopLeft) => Causal::TopLeft,
            (Causal::None, Self::Past) => Causal::Past,
            (causal, _) => causal,
        }
    }
}

parameters! {
    struct Params {
        q_len: usize,
        kv_len: usize,
        causal: Causal = Causal::default(),
        past_len: usize = 0,
        window: Option<i64> = None,
        right_window: Option<i64> = None,
        window_align: WindowAlign = WindowAlign::default(),
    }
}

/// The operation as a question: `[attention_mask]` → `out` `[batch or 1, q_len, kv_len]`, 1 where allowed.
#[expect(clippy::extra_unused_type_parameters, reason = "the table of operations holds one function a scalar")]
pub(super) fn ask<T: Real>(question: &Question, _eval: &mut Evaluator) -> Result<Answer> {
    allowed_pairs(question)
}

fn allowed_pairs(question: &Question) -> Result<Answer> {
    let params: Params = question.read()?;
    refuse_oversize("the mask", &[params.q_len, params.kv_len])?;
    let padding = if question.has("attention_mask") {
        with_axes::<bool, Ix2>("attention_mask", "[batch, kv_len]", question.booleans("attention_mask")?)?
    } else {
        Array2::from_elem((1, params.kv_len), true)
    };
    if padding.ncols() != params.kv_len {
        return Err(Error::ask(format!("attention_mask has {} columns; kv_len is {}", padding.ncols(), params.kv_len)));
    }
    refuse_oversize("the mask", &[padding.nrows(), params.q_len, params.kv_len])?;
    let rule = MaskRule {
        causal: params.causal != Causal::None,
        offset: params.window_align.of(params.causal).offset(params.q_len, params.kv_len, params.past_len),
        window: params.window,
        right_window: params.right_window,
    };
    let mut out = Vec::with_capacity(padding.nrows() * params.q_len * params.kv_len);
    for b in 0..padding.nrows() {
        for i in 0..params.q_len {
            for j in 0..params.kv_len {
                out.push(f64::from(u8::from(padding[[b, j]] && rule.allows(i as i64, j as i64))));
            }
        }
    }
    Ok(answer_out(shaped(out, Ix3(padding.nrows(), params.q_len, params.kv_len))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(causal: Causal, window: Option<i64>) -> Vec<String> {
        // Two queries, four keys, one of them cached before this call.
        let rule =
            MaskRule { causal: causal != Causal::None, offset: causal.offset(2, 4, 1), window, right_window: None };
        (0..2).map(|i| (0..4).map(|j| if rule.allows(i, j) { 'x' } else { '.' }).collect()).collect()
    }

    #[test]
    fn alignments_differ_when_lengths_differ() {
        assert_eq!(allowed(Causal::BottomRight, None), ["xxx.", "xxxx"]);
        assert_eq!(allowed(Causal::TopLeft, None), ["x...", "xx.."]);
        assert_eq!(allowed(Causal::Past, None), ["xx..", "xxx."]);
        assert_eq!(allowed(Causal::None, None), ["xxxx", "xxxx"]);
    }

    #[test]
    fn a_window_of_w_sees_w_keys() {
        assert_eq!(allowed(Causal::BottomRight, Some(2)), [".xx.", "..xx"]);
        assert_eq!(allowed(Causal::BottomRight, Some(1)), ["..x.", "...x"]);
    }
}
