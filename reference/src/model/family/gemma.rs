//! Gemma, Gemma2 and the text model of Gemma3.

use super::names::Names;
use super::parts::{Defaults, Sizes, activation, activation_by_name, pre_norm_layer, rms_norm, windows};
use super::rope::{self, RopeRules};
use crate::error::Result;
use crate::model::config::Config;
use crate::model::layout::Layout;
use crate::model::spec::{
    AttentionLayerSpec, EmbeddingSpec, HeadSpec, LayerSpec, ModelSpec, Position, QkNorm, QkNormOver,
};
use crate::num::core_math;
use crate::ops::activation::Activation;
use crate::ops::norm::{Downcast, NormSpec, WeightForm};
use crate::ops::rope::RopeSpec;

/// Names of the layers with four norms.
const FOUR_NORMS: Names = Names {
    post_attention_norm: "post_attention_layernorm",
    mlp_norm: "pre_feedforward_layernorm",
    post_mlp_norm: "post_feedforward_layernorm",
    ..Names::LLAMA
};

/// Gemma2's and Gemma3's sizes but for the vocabulary and the length.
const DEFAULTS: Defaults = Defaults {
    vocab_size: 256_000,
    hidden_size: 2304,
    intermediate_size: 9216,
    num_hidden_layers: 26,
    num_attention_heads: 8,
    num_key_value_heads: Some(4),
    head_dim: Some(256),
    max_position_embeddings: 8192,
};

/// Gemma: the weight of a norm is `1 + w`, the embedding is scaled by `√hidden_size`.
pub(super) fn gemma(config: &Config<'_>) -> Result<(ModelSpec, Layout)> {
    let sizes = Sizes::read(
        config,
        &Defaults {
            hidden_size: 3072,
            intermediate_size: 24_576,
            num_hidden_layers: 28,
            num_attention_heads: 16,
            num_key_value_heads: Some(16),
            ..DEFAULTS
        },
    )?;
    let attention_bias = config.bool_or("attention_bias", false)?;
    let attention = AttentionLayerSpec {
        qkv_bias: attention_bias,
        o_bias: attention_bias,
        position: Position::Rope(sizes.rope(config)?),
        ..sizes.attention()
    };
    let mlp = sizes.gated_mlp(gemma_activation(config)?);
    let norm = norm(config)?;
    let layers = sizes.repeat(pre_norm_layer(norm, attention, mlp));
    let spec = scaled(sizes.model("gemma", layers, norm, config.bool_or("tie_word_embeddings", true)?));
    let layout = Names::LLAMA.layout(&spec);
    Ok((spec, layout))
}

/// Gemma2: four norms a layer, every second layer with a window, both kinds of scores capped.
pub(super) fn gemma2(config: &Config<'_>) -> Result<(ModelSpec, Layout)> {
    let sizes = Sizes::read(config, &DEFAULTS)?;
    let window = config.nullable_usize("sliding_window", Some(4096))?;
    if let Some(window) = window {
        // The name that the first files had beside the other.
        config.must_agree("sliding_window_size", window)?;
    }
    let windows =
        windows(config, sizes.num_hidden_layers, ("sliding_window", window), &|layer| layer.is_multiple_of(2))?;
    let rope = sizes.rope(config)?;
    let attention = AttentionLayerSpec {
        softcap: config.nullable_positive("attn_logit_softcapping", Some(50.0))?,
        ..attention(config, &sizes)?
    };
    let layers = windows.into_iter().map(|window| (window, rope.clone()));
    let softcap = config.nullable_positive("final_logit_softcapping", Some(30.0))?;
    model("gemma2", config, &sizes, attention, layers.collect(), softcap)
}

/// Gemma3's text model: norms of queries and keys, a rotary embedding for each kind of layer.
pub(super) fn gemma3_text(config: &Config<'_>) -> Result<(ModelSpec, Layout)> {
    let defaults = Defaults { vocab_size: 262_208, max_position_embeddings: 131_072, ..DEFAULTS };
    let sizes = Sizes::read(config, &defaults)?;
    let window = config.nullable_usize("sliding_window", Some(4096))?;
    let pattern = config.usize_or("sliding_window_pattern", 6)?;
    if !config.has("layer_types") {
        // Hugging Face writes this key and does not read it.
        config.must_agree("_sliding_window_pattern", pattern)?;
    }
    let windows = windows(config, sizes.num_hidden_layers, ("sliding_window", window), &|layer| {
        !(layer + 1).is_multiple_of(pattern)
    })?;
    let [local, global] = gemma3_ropes(config, sizes.rope_rules(config)?)?;
    if config.has("attn_logit_softcapping") {
        let why = "Gemma3's attention in Hugging Face does not cap its scores";
        return Err(config.refuse("attn_logit_softcapping", why));
    }
    let qk_norm = QkNorm { norm: norm(config)?, over: QkNormOver::Head };
    let attention = AttentionLayerSpec { qk_norm: Some(qk_norm), ..attention(config, &sizes)? };
    let layers = windows.into_iter().map(|window| {
        let rope = if window.is_some() { &local } else { &global };
        (window, rope.clone())
    });
    let softcap = config.nullable_positive("final_logit_softcapping", None)?;
    model("gemma3_text", config, &sizes, attention, layers.collect(), softcap)
}

/// The rotary embeddings of the layers with a window and of those without.
fn gemma3_ropes(config: &Config<'_>, rules: RopeRules) -> Result<[RopeSpec; 2]> {
    let global = RopeRules { rope_theta: config.positive_or("rope_theta", 1_000_000.0)?, ..rules };
    let local = RopeRules { rope_theta: config.positive_or("rope_local_base_freq", 10_000.0)?, ..rules };
    // The old spelling stretches the layers without a window only.
    let old = config.optional_object("rope_scaling")?;
    let Some(new) = config.optional_object("rope_parameters")? else {
        return Ok([rope::parameters(None, local)?, rope::parameters(old.as_ref(), global)?]);
    };
    if old.is_some() {
        return Err(config.refuse("rope_scaling", "rope_parameters is given too"));
    }
    let sliding = new.optional_object("sliding_attention")?;
    let full = new.optional_object("full_attention")?;
    new.finish(&[])?;
    Ok([rope::parameters(sliding.as_ref(), local)?, rope::parameters(full.as_ref(), global)?])
}

/// Gemma's activation function: `gelu` in the first files means the tanh form.
fn gemma_activation(config: &Config<'_>) -> Result<Activation> {
    let tanh = |activation| if activation == Activation::GeluErf { Activation::GeluTanh } else { activation };
    let hidden_act = tanh(activation(config, "hidden_act", "gelu_pytorch_tanh")?);
    match config.optional_string("hidden_activation")? {
        Some(name) if activation_by_name(name).map(tanh) != Some(hidden_act) => {
            Err(config.refuse("hidden_activation", "hidden_act says something else"))
        }
        _ => Ok(hidden_act),
    }
}

/// The activation function of Gemma2 and Gemma3. Old files give it under its old name too, where `gelu` means the
/// tanh form.
fn gemma2_activation(config: &Config<'_>) -> Result<Activation> {
    let hidden_activation = activation(config, "hidden_activation", "gelu_pytorch_tanh")?;
    match config.optional_string("hidden_act")? {
        Some(name) if name != "gelu" && activation_by_name(name) != Some(hidden_activation) => {
            Err(config.refuse("hidden_act", "hidden_activation says something else"))
        }
        _ => Ok(hidden_activation),
    }
}

/// `x̂ · (1 + w)`, rounded once.
fn norm(config: &Config<'_>) -> Result<NormSpec> {
    let norm_eps = config.norm_eps_or("rms_norm_eps", 1e-6)?;
    Ok(NormSpec { weight_form: WeightForm::OnePlusW, downcast: Downcast::AfterWeight, ..rms_norm(norm_eps) })
}

/// Attention of Gemma2 and Gemma3, scaled by `1/√query_pre_attn_scalar`.
fn attention(config: &Config<'_>, sizes: &Sizes) -> Result<AttentionLayerSpec> {
    let attention_bias = config.bool_or("attention_bias", false)?;
    Ok(AttentionLayerSpec {
        qkv_bias: attention_bias,
        o_bias: attention_bias,
        scale: core_math::rsqrt(config.positive_or("query_pre_attn_scalar", 256.0)?),
        ..sizes.attention()
    })
}

/// A model with four norms a layer.
fn model(
    model_type: &str,
    config: &Config<'_>,
    sizes: &Sizes,
    attention: AttentionLayerSpec,
    layers: Vec<(Option<usize>, RopeSpec)>,
    softcap: Option<f64>,
) -> Result<(ModelSpec, Layout)> {
    let norm = norm(config)?;
    let mlp = sizes.gated_mlp(gemma2_activation(config)?);
    let layers = layers.into_iter().map(|(sliding_window, rope)| {
        let attention = AttentionLayerSpec { sliding_window, position: Position::Rope(rope), ..attention.clone() };
        let layer = pre_norm_layer(norm, attention, mlp);
        LayerSpec { post_attention_norm: Some(norm), post_mlp_norm: Some(norm), ..layer }
    });
    let spec = sizes.model(model_type, layers.collect(), norm, config.bool_or("tie_word_embeddings", true)?);
    let spec = scaled(ModelSpec { head: HeadSpec { softcap, ..spec.head }, ..spec });
    let layout = FOUR_NORMS.layout(&spec);
    Ok((spec, layout))
}

/// The same model with the embedding scaled by `√hidden_size`.
fn scaled(spec: ModelSpec) -> ModelSpec {
    let scale = Some((spec.hidden_size as f64).sqrt());
    ModelSpec { embedding: EmbeddingSpec { scale, ..spec.embedding }, ..spec }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{example, message_of, place_of, spec_of, with, without};
    use crate::model::layout::{Param, Part};
    use crate::model::spec::{ModelSpec, Position, QkNormOver};
    use crate::ops::activation::Activation;
    use crate::ops::norm::{Downcast, NormKind, WeightForm};
    use crate::ops::rope::RopeScaling;
    use serde_json::{Value, json};

    fn windows(spec: &ModelSpec) -> Vec<Option<usize>> {
        spec.layers.iter().map(|layer| layer.attention.sliding_window).collect()
    }

    fn thetas(spec: &ModelSpec) -> Vec<f64> {
        let theta = |position: &Position| match position {
            Position::Rope(rope) => rope.rope_theta,
            other => panic!("{other:?}"),
        };
        spec.layers.iter().map(|layer| theta(&layer.attention.position)).collect()
    }

    #[test]
    fn gemma_is_read() {
        let spec = spec_of(&example("gemma"));
        // √64
        assert_eq!((spec.embedding.scale, spec.head.tied, spec.head.softcap), (Some(8.0), true, None));
        let layer = &spec.layers[0];
        assert_eq!((layer.attention.head_dim, layer.attention.sliding_window), (32, None));
        let norm = layer.input_norm.unwrap();
        assert_eq!((norm.kind, norm.norm_eps, norm.bias), (NormKind::Rms, 1e-6, false));
        assert_eq!((norm.weight_form, norm.downcast), (WeightForm::OnePlusW, Downcast::AfterWeight));
        assert_eq!((layer.mlp.activation, layer.mlp.gated), (Activation::GeluTanh, true));
        assert_eq!((layer.post_attention_norm, layer.post_mlp_norm), (None, None));
    }

    #[test]
    fn gelu_in_a_file_of_gemma_means_the_tanh_form_and_in_gemma2_it_does_not() {
        let activation = |file: Value| spec_of(&file).layers[0].mlp.activation;
        assert_eq!(activation(with(example("gemma"), json!({ "hidden_act": "gelu" }))), Activation::GeluTanh);
        let both = json!({ "hidden_act": "gelu", "hidden_activation": "gelu_pytorch_tanh" });
        assert_eq!(activation(with(example("gemma"), both.clone())), Activation::GeluTanh);
        assert_eq!(activation(with(example("gemma2"), both)), Activation::GeluTanh);
        assert_eq!(activation(with(example("gemma2"), json!({ "hidden_activation": "gelu" }))), Activation::GeluErf);
        let message = message_of(&with(example("gemma"), json!({ "hidden_activation": "relu" })));
        assert!(message.contains("hidden_activation is \"relu\"; hidden_act says something else"), "{message}");
        let message = message_of(&with(example("gemma2"), json!({ "hidden_act": "relu" })));
        assert!(message.contains("hidden_act is \"relu\"; hidden_activation says something else"), "{message}");
    }

    #[test]
    fn gemma2_is_read() {
        let spec = spec_of(&example("gemma2"));
        let layer = &spec.layers[0];
        // 1/√16, from query_pre_attn_scalar and not from head_dim
        assert_eq!((layer.attention.scale, layer.attention.softcap), (0.25, Some(50.0)));
        assert_eq!((spec.head.softcap, spec.embedding.scale), (Some(30.0), Some(8.0)));
        let norm = layer.input_norm;
        assert_eq!([layer.post_attention_norm, layer.mlp_norm, layer.post_mlp_norm], [norm; 3]);
        assert_eq!(windows(&spec), [Some(8), None, Some(8)]);
        let place = |param| place_of(&example("gemma2"), Some(0), param).unwrap().tensor;
        let names = ["post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm"];
        let params = [Param::PostAttentionNorm, Param::MlpNorm, Param::PostMlpNorm];
        for (param, name) in params.into_iter().zip(names) {
            assert_eq!(place(param(Part::Weight)), format!("model.layers.0.{name}.weight"));
        }
    }

    #[test]
    fn caps_of_gemma2_are_there_unless_they_are_null() {
        let caps = |file: Value| {
            let spec = spec_of(&file);
            (spec.layers[0].attention.softcap, spec.head.softcap)
        };
        let keys = ["attn_logit_softcapping", "final_logit_softcapping"];
        assert_eq!(caps(without(example("gemma2"), &keys)), (Some(50.0), Some(30.0)));
        let null = json!({ "attn_logit_softcapping": null, "final_logit_softcapping": null });
        assert_eq!(caps(with(example("gemma2"), null)), (None, None));
    }

    #[test]
    fn every_second_layer_of_gemma2_has_a_window_by_default() {
        let file = without(example("gemma2"), &["layer_types", "sliding_window"]);
        assert_eq!(windows(&spec_of(&file)), [Some(4096), None, Some(4096)]);
        spec_of(&with(file.clone(), json!({ "sliding_window_size": 4096 })));
        let message = message_of(&with(file.clone(), json!({ "sliding_window_size": 17 })));
        assert!(message.contains("sliding_window_size is 17;"), "{message}");
        let message = message_of(&with(file, json!({ "sliding_window": null })));
        assert!(message.contains("sliding_window is null; there are layers of sliding_attention"), "{message}");
    }

    #[test]
    fn gemma3_is_read() {
        let spec = spec_of(&example("gemma3_text"));
        assert_eq!(windows(&spec), [Some(8), None, Some(8)]);
        assert_eq!(thetas(&spec), [1e4, 1e6, 1e4]);
        let attention = &spec.layers[0].attention;
        let qk_norm = attention.qk_norm.unwrap();
        assert_eq!((qk_norm.over, Some(qk_norm.norm)), (QkNormOver::Head, spec.final_norm));
        assert_eq!((attention.softcap, spec.head.softcap), (None, None));
        assert!((attention.scale * attention.scale * 32.0 - 1.0).abs() < 1e-15);
    }

    #[test]
    fn the_old_spelling_of_gemma3_stretches_the_layers_without_a_window_only() {
        let file = without(example("gemma3_text"), &["layer_types", "rope_parameters", "_sliding_window_pattern"]);
        let plain = spec_of(&file);
        assert_eq!((windows(&plain), thetas(&plain)), (vec![Some(8); 3], vec![1e4; 3]));
        let file = with(
            file,
            json!({
                "sliding_window_pattern": 2, "rope_theta": 5e5, "rope_local_base_freq": 900.0,
                "rope_scaling": { "rope_type": "linear", "factor": 8.0 },
            }),
        );
        let spec = spec_of(&file);
        assert_eq!((windows(&spec), thetas(&spec)), (vec![Some(8), None, Some(8)], vec![900.0, 5e5, 900.0]));
        let scalings = spec.layers.iter().map(|layer| match &layer.attention.position {
            Position::Rope(rope) => rope.scaling.clone(),
            other => panic!("{other:?}"),
        });
        let expected = [RopeScaling::None, RopeScaling::Linear { factor: 8.0 }, RopeScaling::None];
        assert_eq!(scalings.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_gemma3_does_not_compute_is_refused() {
        for (more, part) in [
            (json!({ "attn_logit_softcapping": 50.0 }), "attn_logit_softcapping is 50.0;"),
            (json!({ "use_bidirectional_attention": true }), "use_bidirectional_attention is true;"),
            (json!({ "rope_scaling": { "rope_type": "linear", "factor": 8.0 } }), "rope_parameters is given too"),
            (json!({ "rope_parameters": { "rope_theta": 1e4 } }), "unknown field \"rope_parameters.rope_theta\""),
        ] {
            let message = message_of(&with(example("gemma3_text"), more));
            assert!(message.contains(part), "{message}");
        }
    }
}
