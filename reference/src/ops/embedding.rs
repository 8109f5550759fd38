//! Token embedding.
//!
//! ```text
//! x[b, t, :] = scale · E[ids[b, t], :]
//! ```
//! Gemma's scale is √hidden_size, itself stored as an activation before the product.

use super::parameters::parameters;
use super::question::{Answer, Question, answer_out, refuse_oversize, with_axes};
use super::weight::Weight;
use crate::error::{Error, Result};
use crate::eval::{Evaluator, Operation, Role, Work};
use crate::num::{Real, scale_each};
use ndarray::{ArrayD, Dimension, Ix2, IxDyn};

/// Rows of `table` `[vocab_size, hidden_size]` for `ids` `[..]`, as `[.., hidden_size]`.
///
/// # Errors
/// If an id is outside the table, which and where.
pub fn embedding<T: Real>(
    ids: &ArrayD<i64>,
    table: &Weight<T>,
    scale: Option<f64>,
    eval: &Evaluator,
) -> Result<ArrayD<T>> {
    let (vocab_size, width) = table.dim();
    refuse_oversize("the embedding", &[ids.len(), width])?;
    let mut values = Vec::with_capacity(ids.len() * width);
    // The scale is stored like any activation: in bf16, √3072 is 55.5 (huggingface/transformers#29402).
    let scale = scale.map(|scale| T::from_f64(crate::num::round_f64(scale, eval.numerics().activations)));
    for (index, &id) in ids.indexed_iter() {
        let row = usize::try_from(id).ok().filter(|&row| row < vocab_size).ok_or_else(|| {
            Error::ask(format!("token id {id} at {:?} is outside the vocabulary 0..{vocab_size}", index.slice()))
        })?;
        table.extend_by_row(row, &mut values);
    }
    if let Some(scale) = scale {
        scale_each(&mut values, scale);
    }
    let scaled = if scale.is_some() { values.len() } else { 0 };
    eval.count(Operation::Embedding, Work::flops(scaled).reads_weights(values.len()).writes(values.len()));
    let mut shape = ids.shape().to_vec();
    shape.push(width);
    ArrayD::from_shape_vec(IxDyn(&shape), values).map_err(Error::ask)
}

parameters! {
    struct Params {
        scale: Option<f64> = None,
    }
}

/// The operation as a question: `input_ids`, `weight` → `out`.
pub(super) fn ask<T: Real>(question: &Question, eval: &mut Evaluator) -> Result<Answer> {
    let params: Params = question.read()?;
    let ids = question.integers("input_ids")?;
    let table = with_axes::<T, Ix2>("weight", "[vocab_size, hidden_size]", question.weight("weight", eval)?)?;
    let out = embedding(&ids, &table.into(), params.scale, eval)?;
    Ok(answer_out(eval.at("out", Role::Activation, out)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::Numerics;
    use crate::num::Dtype;
    use ndarray::array;

    #[test]
    fn rows_are_looked_up_and_scaled() {
        let table = array![[1.0, 2.0], [3.0, 4.0]].into();
        let eval = Evaluator::new(Numerics::plain(Dtype::F64));
        let x = embedding(&array![[1, 0, 1]].into_dyn(), &table, Some(10.0), &eval).unwrap();
        assert_eq!(x, array![[[30.0, 40.0], [10.0, 20.0], [30.0, 40.0]]].into_dyn());
    }

    #[test]
    fn an_id_outside_the_vocabulary_is_named() {
        let table = array![[1.0], [2.0]].into();
        let eval = Evaluator::new(Numerics::plain(Dtype::F64));
        for bad in [2, -1] {
            let error = embedding(&array![[0, bad]].into_dyn(), &table, None, &eval).unwrap_err().to_string();
            assert_eq!(error, format!("token id {bad} at [0, 1] is outside the vocabulary 0..2"));
        }
    }
}
