//! Greedy generation.

use super::{Call, Model, Session};
use crate::error::{Error, Result};
use crate::eval::Evaluator;
use crate::linalg::arrays::{concatenated, reshaped, shaped};
use crate::num::Real;
use ndarray::{Array2, Array3, ArrayView1, ArrayView3, Axis, Ix2, Ix3};

/// What greedy generation produced.
#[derive(Debug, Clone)]
pub struct Generated<T> {
    /// `[batch, count]`: the new tokens.
    pub tokens: Array2<i64>,
    /// `[batch, count, vocab_size]`: the logits each was chosen from.
    pub logits: Array3<T>,
}

/// Appends `count` tokens, each the most likely one, to a session whose last logits `[batch, vocab_size]` are given.
///
/// # Errors
/// Logits that are NaN; whatever [`Model::forward`] refuses.
pub fn generate<T: Real>(
    model: &Model<T>,
    last_logits: Array2<T>,
    count: usize,
    session: &mut Session<T>,
    eval: &mut Evaluator,
) -> Result<Generated<T>> {
    let (batch, vocab) = last_logits.dim();
    let mut tokens = Array2::from_elem((batch, count), 0);
    // `[batch, 1, vocab_size]` of each step.
    let mut logits = Vec::with_capacity(count);
    let mut last = last_logits;
    for step in 0..count {
        let mut chosen = Vec::with_capacity(batch);
        for b in 0..batch {
            let token = argmax(last.row(b)).ok_or_else(|| {
                Error::ask(format!(
                    "the logits of row {b} are NaN at generated token {step}; there is no most likely token"
                ))
            })?;
            chosen.push(token as i64);
            tokens[[b, step]] = token as i64;
        }
        logits.push(reshaped(last, Ix3(batch, 1, vocab)));
        if step + 1 == count {
            break;
        }
        let call = Call { input_ids: &shaped(chosen, Ix2(batch, 1)), attention_mask: None, position_ids: None };
        last = model.last_logits(&call, session, eval)?;
    }
    let logits: Vec<ArrayView3<T>> = logits.iter().map(|logits| logits.view()).collect();
    let none = || Array3::from_elem((batch, 0, vocab), T::ZERO);
    Ok(Generated { tokens, logits: concatenated(Axis(1), &logits).unwrap_or_else(none) })
}

/// Index of the largest value, the lowest one of equals; `None` if any is NaN or there are none.
pub fn argmax<T: Real>(row: ArrayView1<T>) -> Option<usize> {
    let mut best: Option<(usize, T)> = None;
    for (i, &x) in row.iter().enumerate() {
        if x.is_nan() {
            return None;
        }
        if best.is_none_or(|(_, largest)| x > largest) {
            best = Some((i, x));
        }
    }
    best.map(|(i, _)| i)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn ties_go_to_the_lowest_index_and_nan_is_no_choice() {
        assert_eq!(argmax(array![1.0, 3.0, 3.0].view()), Some(1));
        assert_eq!(argmax(array![f64::NEG_INFINITY].view()), Some(0));
        assert_eq!(argmax(array![1.0, f64::NAN].view()), None);
        assert_eq!(argmax::<f64>(array![].view()), None);
    }
}
