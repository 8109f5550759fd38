//! What is asked of a model, call by call, as plain data, and the asking.

use super::kv_cache::CacheKind;
use super::session::counted_positions;
use super::{Call, Model, Session};
use crate::error::{Error, Result};
use crate::eval::{Evaluator, Numerics, Streams, Trace};
use crate::linalg::arrays::concatenated;
use crate::num::Real;
use ndarray::{Array2, Array3, Axis, s};
use std::collections::BTreeMap;

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

/// Somebody who follows a plan as it is run, and may stand at the sites of each call.
pub trait Watcher {
    /// A request begins.
    fn request(&mut self, request: &PlannedRequest);

    /// A call of it begins: what `eval` is from then on.
    fn call<'w>(&'w mut self, call: &PlannedCall, eval: Evaluator<'w>) -> Evaluator<'w>;
}

/// Watches nothing.
#[derive(Debug, Clone, Copy)]
pub struct Unwatched;

impl Watcher for Unwatched {
    fn request(&mut self, _: &PlannedRequest) {}

    fn call<'w>(&'w mut self, _: &PlannedCall, eval: Evaluator<'w>) -> Evaluator<'w> {
        eval
    }
}

/// Records sites, each under its name and the suffix of its request.
#[derive(Debug)]
pub struct Recorder {
    patterns: Vec<String>,
    /// By suffix, in the order in which they began.
    recorded: Vec<(String, Trace)>,
    suffix: String,
}

impl Recorder {
    /// Of the sites that match one of `patterns`, as in [`Trace::of`].
    pub fn of<S: Into<String>>(patterns: impl IntoIterator<Item = S>) -> Self {
        let patterns = patterns.into_iter().map(Into::into).collect();
        Self { patterns, recorded: Vec::new(), suffix: String::new() }
    }

    /// The patterns that no recorded site matches.
    pub fn unmatched(&self) -> Vec<&str> {
        let missed =
            |pattern: &&String| self.recorded.iter().all(|(_, trace)| trace.unmatched().contains(&pattern.as_str()));
        self.patterns.iter().filter(missed).map(String::as_str).collect()
    }

    /// Each site as one array, `layers.0.attn.q` or `layers.0.attn.q.1` in the second of several requests.
    pub fn into_arrays(self) -> BTreeMap<String, ndarray::ArrayD<f64>> {
        let mut arrays = BTreeMap::new();
        for (suffix, trace) in self.recorded {
            for (site, array) in trace.into_arrays() {
                arrays.insert(format!("{site}{suffix}"), array);
            }
        }
        arrays
    }
}

impl Watcher for Recorder {
    fn request(&mut self, request: &PlannedRequest) {
        self.suffix = request.suffix.clone();
    }

    fn call<'w>(&'w mut self, _: &PlannedCall, eval: Evaluator<'w>) -> Evaluator<'w> {
        let known = self.recorded.iter().position(|(suffix, _)| *suffix == self.suffix);
        let index = known.unwrap_or_else(|| {
            self.recorded.push((self.suffix.clone(), Trace::of(self.patterns.iter().cloned())));
            self.recorded.len() - 1
        });
        eval.recorded_by(&mut self.recorded[index].1)
    }
}

impl PlannedRequest {
    /// The tokens of a request cut into calls. Positions that are not given count real tokens, from 0.
    ///
    /// # Errors
    /// Lengths that do not make up the tokens; a mask or positions of another shape.
    pub fn new(suffix: &str, tokens: &Call, lengths: &[usize]) -> Result<Self> {
        let input_ids = tokens.input_ids;
        if lengths.iter().sum::<usize>() != input_ids.ncols() || lengths.is_empty() {
            let total = input_ids.ncols();
            return Err(Error::ask(format!("calls of {lengths:?} tokens do not make up the {total} tokens")));
        }
        let all = Array2::from_elem(input_ids.dim(), true);
        let real = tokens.attention_mask.unwrap_or(&all);
        if real.dim() != input_ids.dim() || tokens.position_ids.is_some_and(|ids| ids.dim() != input_ids.dim()) {
            let shape = input_ids.dim();
            return Err(Error::ask(format!(
                "attention_mask and position_ids must have the shape of input_ids, {shape:?}"
            )));
        }
        let counted = counted_positions(&Array2::from_elem((real.nrows(), 0), true), real);
        let positions = tokens.position_ids.unwrap_or(&counted);
        let mut start = 0;
        let calls = lengths.iter().map(|&len| {
            let columns = s![.., start..start + len];
            start += len;
            PlannedCall {
                input_ids: input_ids.slice(columns).to_owned(),
                real: real.slice(columns).to_owned(),
                positions: positions.slice(columns).to_owned(),
            }
        });
        Ok(Self { suffix: suffix.to_string(), calls: calls.collect() })
    }

    /// Requests side by side.
    pub fn batch(&self) -> usize {
        self.calls.first().map_or(0, |call| call.input_ids.nrows())
    }

    /// Tokens of the first call.
    pub fn prompt(&self) -> usize {
        self.calls.first().map_or(0, |call| call.input_ids.ncols())
    }

    /// Logits `[batch, len, vocab_size]` of all its tokens, call by call.
    ///
    /// # Errors
    /// As [`Model::forward`]; a request without calls.
    pub fn run<T: Real>(
        &self,
        model: &Model<T>,
        session: &mut Session<T>,
        numerics: Numerics,
        watcher: &mut dyn Watcher,
    ) -> Result<Array3<T>> {
        watcher.request(self);
        let mut pieces = Vec::with_capacity(self.calls.len());
        let mut streams = Streams::default();
        for call in &self.calls {
            let mut eval = watcher.call(call, Evaluator::new(numerics).after(streams));
            let call = Call {
                input_ids: &call.input_ids,
                attention_mask: Some(&call.real),
                position_ids: Some(&call.positions),
            };
            pieces.push(model.forward(&call, session, &mut eval)?);
            streams = eval.streams();
        }
        if pieces.len() == 1 {
            return Ok(pieces.remove(0));
        }
        let views: Vec<_> = pieces.iter().map(|piece| piece.view()).collect();
        concatenated(Axis(1), &views)
            .ok_or_else(|| Error::ask("the calls of a request do not fit together, or there are none"))
    }
}

impl Plan {
    /// Logits of each request by its suffix: one after the other and, where the batch allows, on one session.
    ///
    /// # Errors
    /// As [`PlannedRequest::run`].
    pub fn run<T: Real>(
        &self,
        model: &Model<T>,
        numerics: Numerics,
        cache: CacheKind,
        watcher: &mut dyn Watcher,
    ) -> Result<BTreeMap<String, Array3<T>>> {
        let mut answer = BTreeMap::new();
        let mut session: Option<Session<T>> = None;
        for request in &self.requests {
            let batch = request.batch();
            // A used session is used again: what it kept must not be seen by the next request.
            let mut of_request = match session.take().filter(|used| used.batch() == batch) {
                Some(mut used) => {
                    if self.clears {
                        used.clear();
                    }
                    used
                }
                None => Session::new(&model.spec, batch, cache, numerics.cache),
            };
            let logits = request.run(model, &mut of_request, numerics, watcher)?;
            session = Some(of_request);
            answer.insert(request.suffix.clone(), logits);
        }
        Ok(answer)
    }
}
