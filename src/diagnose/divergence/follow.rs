//! Puts the candidate's values at the sites, and keeps what the oracle had there.

use crate::eval::{Evaluator, Intervention};
use crate::model::{PlannedCall, PlannedRequest, Watcher};
use ndarray::{Array2, ArrayD, ArrayViewD, Axis, Slice, concatenate};
use std::collections::BTreeMap;

/// What the oracle had at one site, call by call.
pub(super) struct Followed {
    pub(super) site: String,
    pub(super) request: String,
    pub(super) pieces: Vec<Piece>,
}

impl Followed {
    /// With the suffix of its request.
    pub(super) fn name(&self) -> String {
        format!("{}{}", self.site, self.request)
    }
}

/// One call's.
pub(super) struct Piece {
    /// As it came, before the candidate's values were put there.
    pub(super) value: ArrayD<f64>,
    /// Its first row among the rows of the whole request.
    pub(super) first_row: usize,
    /// `[batch, tokens so far]`: true for a real token.
    pub(super) real: Array2<bool>,
}

/// The part of a whole request's array that stands beside a call's: rows from `first_row` on, and as many columns.
pub(super) fn beside<'a>(whole: &'a ArrayD<f64>, piece: &Piece) -> Option<ArrayViewD<'a, f64>> {
    let (shape, axes) = (piece.value.shape(), whole.ndim());
    if axes < 2 || shape.len() != axes {
        return None;
    }
    let (rows, columns) = (shape[axes - 2], shape[axes - 1]);
    if piece.first_row + rows > whole.shape()[axes - 2] || columns > whole.shape()[axes - 1] {
        return None;
    }
    let mut part = whole.view();
    part.slice_axis_inplace(Axis(axes - 2), Slice::from(piece.first_row..piece.first_row + rows));
    part.slice_axis_inplace(Axis(axes - 1), Slice::from(0..columns));
    (part.shape() == shape).then_some(part)
}

/// Follows a plan.
pub(super) struct Follower<'c> {
    candidate: &'c BTreeMap<String, ArrayD<f64>>,
    followed: Vec<Followed>,
    places: BTreeMap<String, usize>,
    request: String,
    /// `[batch, tokens so far]`, this call's last.
    real: Array2<bool>,
    q_len: usize,
}

impl<'c> Follower<'c> {
    pub(super) fn new(candidate: &'c BTreeMap<String, ArrayD<f64>>) -> Self {
        Self {
            candidate,
            followed: Vec::new(),
            places: BTreeMap::new(),
            request: String::new(),
            real: Array2::from_elem((0, 0), true),
            q_len: 0,
        }
    }

    /// In the order in which sites were first passed.
    pub(super) fn into_followed(self) -> Vec<Followed> {
        self.followed
    }
}

impl Watcher for Follower<'_> {
    fn request(&mut self, request: &PlannedRequest) {
        self.request = request.suffix.clone();
        self.real = Array2::from_elem((request.batch(), 0), true);
    }

    fn call<'w>(&'w mut self, call: &PlannedCall, eval: Evaluator<'w>) -> Evaluator<'w> {
        // Calls of one request have the rows of its first.
        self.real = concatenate(Axis(1), &[self.real.view(), call.real.view()]).unwrap_or_else(|_| call.real.clone());
        self.q_len = call.input_ids.ncols();
        eval.changed_by(self)
    }
}

impl std::fmt::Debug for Follower<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follower").field("request", &self.request).finish_non_exhaustive()
    }
}

impl Intervention for Follower<'_> {
    fn wants(&self, _: &str) -> bool {
        true
    }

    fn at(&mut self, layer: Option<usize>, site: &str, value: &mut ArrayD<f64>) {
        let site = layer.map_or_else(|| site.to_string(), |layer| format!("layers.{layer}.{site}"));
        let name = format!("{site}{}", self.request);
        // What is read from the cache holds the earlier calls too.
        let first_row = if of_the_cache(&site) { 0 } else { self.real.ncols() - self.q_len };
        let piece = Piece { value: value.clone(), first_row, real: self.real.clone() };
        if let Some(part) = self.candidate.get(&name).and_then(|whole| beside(whole, &piece)) {
            value.assign(&part);
        }
        let place = *self.places.entry(name).or_insert_with(|| {
            self.followed.push(Followed { site, request: self.request.clone(), pieces: Vec::new() });
            self.followed.len() - 1
        });
        self.followed[place].pieces.push(piece);
    }
}

/// Whether a site is read from the cache.
pub(super) fn of_the_cache(site: &str) -> bool {
    site.ends_with("attn.keys") || site.ends_with("attn.values")
}

/// Whether the last axis of a site is the keys.
pub(super) fn over_keys(site: &str) -> bool {
    site.ends_with("scores") || site.ends_with("attn.probs")
}
