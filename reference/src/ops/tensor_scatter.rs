//! Writing new rows into a cache of fixed length (ONNX `TensorScatter`, opset 24).
//!
//! ```text
//! present[b, .., w + t, :] = update[b, .., t, :]        w = write_indices[b], 0 without
//! ```
//! In `circular` mode the row is `(w + t) mod max_len`; in `linear` mode a row beyond the end is refused.

use super::parameters::{parameters, spelled};
use super::question::{Answer, Question, axis_index};
use crate::error::{Error, Result};
use crate::eval::Evaluator;
use crate::linalg::arrays::assign;
use crate::linalg::convert::to_f64;
use crate::num::Real;
use ndarray::Axis;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Mode {
    #[default]
    Linear,
    Circular,
}

spelled! {
    Mode {
        "linear" => Self::Linear,
        "circular" => Self::Circular,
    }
}

parameters! {
    struct Params {
        axis: i64 = -2,
        mode: Mode = Mode::default(),
    }
}

/// The operation as a question: `past_cache`, `update`, `[write_indices]` → `present_cache`.
pub(super) fn ask<T: Real>(question: &Question, eval: &mut Evaluator) -> Result<Answer> {
    let params: Params = question.read()?;
    let mut cache = question.activation::<T>("past_cache", eval)?;
    let update = question.activation::<T>("update", eval)?;
    let axis = axis_index(params.axis, cache.ndim())?;
    if axis == 0 {
        return Err(Error::ask("the axis of a cache's rows cannot be the batch axis"));
    }
    let fits = cache.ndim() == update.ndim()
        && cache
            .shape()
            .iter()
            .zip(update.shape())
            .enumerate()
            .all(|(i, (c, u))| if i == axis { u <= c } else { u == c });
    if !fits {
        return Err(Error::ask(format!(
            "update {:?} does not fit into past_cache {:?}",
            update.shape(),
            cache.shape()
        )));
    }
    let batch = cache.shape()[0];
    let starts = if question.has("write_indices") {
        question.integers("write_indices")?.into_raw_vec_and_offset().0
    } else {
        vec![0; batch]
    };
    if starts.len() != batch {
        return Err(Error::ask(format!("write_indices must have {batch} entries, one a batch row")));
    }
    let max_len = cache.shape()[axis];
    for (b, &start) in starts.iter().enumerate() {
        for t in 0..update.shape()[axis] {
            let row = usize::try_from(start).ok().map(|start| start + t).and_then(|row| match params.mode {
                Mode::Circular => Some(row % max_len),
                Mode::Linear => (row < max_len).then_some(row),
            });
            let row = row.ok_or_else(|| {
                Error::ask(format!(
                    "row {t} of batch {b} would be written at {start} + {t}, outside the cache of {max_len}"
                ))
            })?;
            let source = update.index_axis(Axis(0), b);
            let mut target = cache.index_axis_mut(Axis(0), b);
            assign(target.index_axis_mut(Axis(axis - 1), row), source.index_axis(Axis(axis - 1), t));
        }
    }
    let mut answer = Answer::new();
    answer.insert("present_cache".to_string(), to_f64(&cache));
    Ok(answer)
}
