//! Edits of the spec, the weights, the calls and the numerics. Each returns whether there was a place for it.

mod calls;
mod heads;
mod norms;
mod numerics;
mod positions;
mod scores;

pub(super) use calls::*;
pub(super) use heads::*;
pub(super) use norms::*;
pub(super) use numerics::*;
pub(super) use positions::*;
pub(super) use scores::*;

use crate::model::Model;
use crate::model::spec::{AttentionLayerSpec, LayerSpec, Position};
use crate::ops::rope::RopeSpec;

/// Edits each layer; whether any had a place.
fn each_layer(model: &mut Model<f64>, edit: &dyn Fn(&mut LayerSpec) -> bool) -> bool {
    model.spec.layers.iter_mut().fold(false, |any, layer| edit(layer) | any)
}

fn each_attention(model: &mut Model<f64>, edit: &dyn Fn(&mut AttentionLayerSpec) -> bool) -> bool {
    each_layer(model, &|layer| edit(&mut layer.attention))
}

fn each_rope(model: &mut Model<f64>, edit: &dyn Fn(&mut RopeSpec) -> bool) -> bool {
    each_attention(model, &|attention| match &mut attention.position {
        Position::Rope(rope) => edit(rope),
        Position::None | Position::Alibi => false,
    })
}
