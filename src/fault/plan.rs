//! What is asked of a model, call by call, as plain data that a fault may edit.

use crate::model::counted_positions;
use ndarray::Array2;

/// Requests one after the other.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// In order.
    pub requests: Vec<PlannedRequest>,
    /// Whether a request begins with an empty cache.
    pub clears: bool,
}

/// One request.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedRequest {
    /// `""`, or `".0"`, `".1"` where there are several.
    pub suffix: String,
    /// In order.
    pub calls: Vec<PlannedCall>,
}

/// One call.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedCall {
    /// `[batch, q_len]`.
    pub input_ids: Array2<i64>,
    /// `[batch, q_len]`: true for a real token.
    pub real: Array2<bool>,
    /// `[batch, q_len]`.
    pub positions: Array2<i64>,
}

impl PlannedRequest {
    /// The tokens of a request cut into calls. Positions that are not given count real tokens, from 0.
    pub fn new(
        suffix: &str,
        input_ids: &Array2<i64>,
        real: Option<&Array2<bool>>,
        positions: Option<&Array2<i64>>,
        lengths: &[usize],
    ) -> Self {
        let all = Array2::from_elem(input_ids.dim(), true);
        let real = real.unwrap_or(&all);
        let counted = counted_positions(&Array2::from_elem((real.nrows(), 0), true), real);
        let positions = positions.unwrap_or(&counted);
        let mut start = 0;
        let calls = lengths.iter().map(|&len| {
            let columns = ndarray::s![.., start..start + len];
            start += len;
            PlannedCall {
                input_ids: input_ids.slice(columns).to_owned(),
                real: real.slice(columns).to_owned(),
                positions: positions.slice(columns).to_owned(),
            }
        });
        Self { suffix: suffix.to_string(), calls: calls.collect() }
    }

    /// Requests side by side.
    pub(super) fn batch(&self) -> usize {
        self.calls.first().map_or(0, |call| call.input_ids.nrows())
    }

    /// Tokens of the first call.
    pub(super) fn prompt(&self) -> usize {
        self.calls.first().map_or(0, |call| call.input_ids.ncols())
    }
}
