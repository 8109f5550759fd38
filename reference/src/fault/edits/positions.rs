//! Rotary specs and learned positions.

use super::each_rope;
use crate::model::Model;
use crate::ops::rope::{RopeLayout, RopeScaling};
use ndarray::{Axis, concatenate, s};

/// 10 000 for another base, 500 000 for 10 000.
pub(crate) fn rope_theta(model: &mut Model<f64>) -> bool {
    each_rope(model, &|rope| {
        rope.rope_theta = if rope.rope_theta == 1e4 { 5e5 } else { 1e4 };
        true
    })
}

/// Frequencies not scaled.
pub(crate) fn rope_scaling_ignored(model: &mut Model<f64>) -> bool {
    each_rope(model, &|rope| std::mem::replace(&mut rope.scaling, RopeScaling::None) != RopeScaling::None)
}

/// The other pairing.
pub(crate) fn rope_pairing(model: &mut Model<f64>) -> bool {
    each_rope(model, &|rope| {
        rope.layout = match rope.layout {
            RopeLayout::HalfSplit => RopeLayout::Interleaved,
            RopeLayout::Interleaved => RopeLayout::HalfSplit,
        };
        true
    })
}

/// No factor on cosines and sines.
pub(crate) fn attention_factor_missing(model: &mut Model<f64>) -> bool {
    each_rope(model, &|rope| match &mut rope.scaling {
        RopeScaling::Yarn { attention_factor, .. } | RopeScaling::LongRope { attention_factor, .. } => {
            std::mem::replace(attention_factor, 1.0) != 1.0
        }
        _ => false,
    })
}

/// Learned positions two rows on, the last two those of the start.
pub(crate) fn learned_position_offset(model: &mut Model<f64>) -> bool {
    let Some(table) = &model.weights.embed_positions else { return false };
    let rows = table.to_array();
    let start = 2.min(rows.nrows());
    let rolled = concatenate(Axis(0), &[rows.slice(s![start.., ..]), rows.slice(s![..start, ..])]);
    model.weights.embed_positions = rolled.ok().map(|rows| rows.as_standard_layout().into_owned().into());
    true
}
