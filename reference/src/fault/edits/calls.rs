//! What a program says of its tokens: positions, and when a session ends.

use crate::model::spec::Position;
use crate::model::{Model, Plan, PlannedCall};
use ndarray::Array2;

/// Whether positions enter at all.
fn has_positions(model: &Model<f64>) -> bool {
    let used = |position: &Position| *position != Position::None;
    model.spec.embedding.learned_positions.is_some()
        || model.spec.layers.iter().any(|layer| used(&layer.attention.position))
}

/// Edits each call, told how many tokens earlier requests have and how many of its own come before it; whether any had a place.
fn each_call(plan: &mut Plan, edit: &dyn Fn(usize, usize, &mut PlannedCall) -> bool) -> bool {
    let (mut any, mut earlier) = (false, 0);
    for request in &mut plan.requests {
        let mut before = 0;
        for call in &mut request.calls {
            any |= edit(earlier, before, call);
            before += call.input_ids.ncols();
        }
        earlier += before;
    }
    any
}

fn counted(shape: (usize, usize), from: usize) -> Array2<i64> {
    Array2::from_shape_fn(shape, |(_, t)| (from + t) as i64)
}

/// Each call counts from 0.
pub(crate) fn positions_restart(plan: &mut Plan, model: &Model<f64>) -> bool {
    each_call(plan, &|_, before, call| {
        if before > 0 {
            call.positions = counted(call.positions.dim(), 0);
        }
        before > 0
    }) && has_positions(model)
}

/// Positions after the first call one too far.
pub(crate) fn decode_offset(plan: &mut Plan, model: &Model<f64>) -> bool {
    each_call(plan, &|_, before, call| {
        if before > 0 {
            call.positions += 1;
        }
        before > 0
    }) && has_positions(model)
}

/// Positions counted from the keys that a window has kept.
pub(crate) fn positions_of_kept_keys(plan: &mut Plan, model: &Model<f64>) -> bool {
    let windows = model.spec.layers.iter().filter_map(|layer| layer.attention.sliding_window);
    let Some(window) = windows.min() else { return false };
    each_call(plan, &|_, before, call| {
        if before > 0 {
            call.positions = counted(call.positions.dim(), before.min(window));
        }
        before > 0
    }) && has_positions(model)
}

/// 0, 1, 2, … whatever was given and wherever padding is.
pub(crate) fn positions_ignored(plan: &mut Plan, model: &Model<f64>) -> bool {
    each_call(plan, &|_, before, call| {
        let plain = counted(call.positions.dim(), before);
        std::mem::replace(&mut call.positions, plain.clone()) != plain
    }) && has_positions(model)
}

/// Positions go on from the request before.
pub(crate) fn positions_go_on(plan: &mut Plan, model: &Model<f64>) -> bool {
    each_call(plan, &|earlier, _, call| {
        call.positions += earlier as i64;
        earlier > 0
    }) && has_positions(model)
}

/// The next request sees the keys of the last one.
pub(crate) fn session_not_cleared(plan: &mut Plan, _: &Model<f64>) -> bool {
    plan.clears = false;
    plan.requests.windows(2).any(|pair| pair[0].batch() == pair[1].batch())
}
