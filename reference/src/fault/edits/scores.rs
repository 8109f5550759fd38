//! The scale of scores, softcaps and windows.

use super::each_attention;
use crate::model::Model;
use crate::num::{Dtype, round_f64};

fn scale(model: &mut Model<f64>, other: &dyn Fn(f64) -> f64) -> bool {
    each_attention(model, &|attention| {
        attention.scale = other(attention.scale);
        true
    })
}

/// 1 instead of 1/√head_dim.
pub(crate) fn scale_missing(model: &mut Model<f64>) -> bool {
    scale(model, &|_| 1.0)
}

/// 1/√hidden_size.
pub(crate) fn scale_of_model(model: &mut Model<f64>) -> bool {
    let width = model.spec.hidden_size as f64;
    scale(model, &|_| 1.0 / width.sqrt())
}

/// 1/√num_attention_heads.
pub(crate) fn scale_of_heads(model: &mut Model<f64>) -> bool {
    each_attention(model, &|attention| {
        attention.scale = 1.0 / (attention.num_attention_heads as f64).sqrt();
        true
    })
}

/// The scale in the query and in the kernel.
pub(crate) fn scale_twice(model: &mut Model<f64>) -> bool {
    scale(model, &|scale| scale * scale)
}

/// 1/√head_dim or 1/√(hidden_size / heads), whichever the model has not.
pub(crate) fn scale_of_another_head_dim(model: &mut Model<f64>) -> bool {
    let hidden = model.spec.hidden_size as f64;
    each_attention(model, &|attention| {
        let by_heads = (hidden / attention.num_attention_heads as f64).sqrt();
        let others = [1.0 / (attention.head_dim as f64).sqrt(), 1.0 / by_heads];
        let other = others.into_iter().find(|other| (other - attention.scale).abs() > 1e-9);
        attention.scale = other.unwrap_or(attention.scale);
        other.is_some()
    })
}

/// The scale stored in bf16.
pub(crate) fn scale_in_bf16(model: &mut Model<f64>) -> bool {
    each_attention(model, &|attention| {
        let rounded = round_f64(attention.scale, Dtype::Bf16);
        rounded != std::mem::replace(&mut attention.scale, rounded)
    })
}

/// No softcap on scores.
pub(crate) fn softcap_dropped(model: &mut Model<f64>) -> bool {
    each_attention(model, &|attention| attention.softcap.take().is_some())
}

/// No softcap on logits.
pub(crate) fn final_softcap_dropped(model: &mut Model<f64>) -> bool {
    model.spec.head.softcap.take().is_some()
}

/// No window.
pub(crate) fn window_ignored(model: &mut Model<f64>) -> bool {
    each_attention(model, &|attention| attention.sliding_window.take().is_some())
}

/// One key more.
pub(crate) fn window_wider(model: &mut Model<f64>) -> bool {
    each_attention(model, &|attention| match &mut attention.sliding_window {
        None => false,
        Some(window) => {
            *window += 1;
            true
        }
    })
}

/// Windows on the other layers.
pub(crate) fn window_on_other_layers(model: &mut Model<f64>) -> bool {
    let windows: Vec<_> = model.spec.layers.iter().map(|layer| layer.attention.sliding_window).collect();
    let Some(width) = windows.iter().copied().flatten().next() else { return false };
    if !windows.contains(&None) {
        return false;
    }
    each_attention(model, &|attention| {
        attention.sliding_window = if attention.sliding_window.is_some() { None } else { Some(width) };
        true
    })
}
