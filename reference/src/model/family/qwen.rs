//! Qwen2 and Qwen3.

use super::names::Names;
use super::parts::{Defaults, Sizes, activation, pre_norm_layer, rms_norm, windows};
use crate::error::Result;
use crate::model::config::Config;
use crate::model::layout::Layout;
use crate::model::spec::{AttentionLayerSpec, LayerSpec, ModelSpec, Position, QkNorm, QkNormOver};
use crate::ops::norm::NormSpec;

const DEFAULTS: Defaults = Defaults {
    vocab_size: 151_936,
    hidden_size: 4096,
    intermediate_size: 22_016,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    num_key_value_heads: Some(32),
    head_dim: None,
    max_position_embeddings: 32_768,
};

/// Qwen2 and Qwen2.5: Llama with biases on queries, keys and values, and perhaps a window in the later layers.
pub(super) fn qwen2(config: &Config<'_>) -> Result<(ModelSpec, Layout)> {
    let sizes = Sizes::read(config, &DEFAULTS)?;
    let attention = AttentionLayerSpec { qkv_bias: true, ..sizes.attention() };
    let norm = rms_norm(config.norm_eps_or("rms_norm_eps", 1e-6)?);
    model("qwen2", config, &sizes, attention, norm)
}

/// Qwen3: norms of queries and keys, biases only if asked for.
pub(super) fn qwen3(config: &Config<'_>) -> Result<(ModelSpec, Layout)> {
    let sizes = Sizes::read(config, &Defaults { head_dim: Some(128), ..DEFAULTS })?;
    let norm = rms_norm(config.norm_eps_or("rms_norm_eps", 1e-6)?);
    let attention_bias = config.bool_or("attention_bias", false)?;
    let attention = AttentionLayerSpec {
        qkv_bias: attention_bias,
        o_bias: attention_bias,
        qk_norm: Some(QkNorm { norm, over: QkNormOver::Head }),
        ..sizes.attention()
    };
    model("qwen3", config, &sizes, attention, norm)
}

fn model(
    model_type: &str,
    config: &Config<'_>,
    sizes: &Sizes,
    attention: AttentionLayerSpec,
    norm: NormSpec,
) -> Result<(ModelSpec, Layout)> {
    config.must_be("use_mrope", false, "positions are one number for each token")?;
    let window = config.nullable_usize("sliding_window", Some(4096))?;
    let use_sliding_window = config.bool_or("use_sliding_window", false)?;
    let first_sliding = match config.has("max_window_layers") {
        // Zero is a sound value here: every layer slides.
        true if config.optional_f64("max_window_layers")? == Some(0.0) => 0,
        _ => config.usize_or("max_window_layers", 28)?,
    };
    let window = window.filter(|_| use_sliding_window);
    let switch = if use_sliding_window { "sliding_window" } else { "use_sliding_window" };
    let windows = windows(config, sizes.num_hidden_layers, (switch, window), &|layer| {
        window.is_some() && layer >= first_sliding
    })?;

    let mlp = sizes.gated_mlp(activation(config, "hidden_act", "silu")?);
    let attention = AttentionLayerSpec { position: Position::Rope(sizes.rope(config)?), ..attention };
    let layer = pre_norm_layer(norm, attention, mlp);
    let layers = windows.into_iter().map(|sliding_window| {
        let attention = AttentionLayerSpec { sliding_window, ..layer.attention.clone() };
        LayerSpec { attention, ..layer.clone() }
    });
    let spec = sizes.model(model_type, layers.collect(), norm, config.bool_or("tie_word_embeddings", false)?);
    let layout = Names::LLAMA.layout(&spec);
    Ok((spec, layout))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{example, message_of, place_of, spec_of, with, without};
    use crate::model::layout::{Param, Part};
    use crate::model::spec::QkNormOver;
    use serde_json::{Value, json};

    fn windows(file: &Value) -> Vec<Option<usize>> {
        spec_of(file).layers.iter().map(|layer| layer.attention.sliding_window).collect()
    }

    #[test]
    fn qwen2_has_biases_on_queries_keys_and_values_only() {
        let spec = spec_of(&example("qwen2"));
        let attention = &spec.layers[0].attention;
        assert_eq!((attention.qkv_bias, attention.o_bias, attention.qk_norm), (true, false, None));
        let place = |param| place_of(&example("qwen2"), Some(0), param).map(|source| source.tensor);
        assert_eq!(place(Param::VProj(Part::Bias)).unwrap(), "model.layers.0.self_attn.v_proj.bias");
        assert_eq!(place(Param::OProj(Part::Bias)), None);
        assert_eq!(spec.layers[0].input_norm.unwrap().norm_eps, 1e-6);
    }

    #[test]
    fn layers_from_max_window_layers_on_have_a_window() {
        let file = without(example("qwen2"), &["layer_types"]);
        let file = with(file, json!({ "sliding_window": 6, "max_window_layers": 1 }));
        assert_eq!(windows(&file), [None, None, None]);
        let used = with(file.clone(), json!({ "use_sliding_window": true }));
        assert_eq!(windows(&used), [None, Some(6), Some(6)]);
        assert_eq!(windows(&with(used, json!({ "max_window_layers": 0 }))), [Some(6); 3]);
    }

    #[test]
    fn layer_types_win_over_max_window_layers() {
        let types = json!({ "layer_types": ["sliding_attention", "full_attention", "sliding_attention"] });
        let file = with(example("qwen2"), types);
        let used = with(file.clone(), json!({ "use_sliding_window": true, "sliding_window": 6 }));
        assert_eq!(windows(&used), [Some(6), None, Some(6)]);
        let message = message_of(&file);
        assert!(message.contains("use_sliding_window is false; there are layers of sliding_attention"), "{message}");
        let message = message_of(&with(file, json!({ "num_hidden_layers": 2 })));
        assert!(message.contains("it has 3 names for 2 layers"), "{message}");
    }

    #[test]
    fn qwen3_norms_each_head_and_has_biases_if_asked() {
        let spec = spec_of(&example("qwen3"));
        let attention = &spec.layers[0].attention;
        assert_eq!((attention.head_dim, attention.qkv_bias, attention.o_bias), (128, false, false));
        let qk_norm = attention.qk_norm.unwrap();
        assert_eq!((qk_norm.over, Some(qk_norm.norm)), (QkNormOver::Head, spec.final_norm));
        let place = |param| place_of(&example("qwen3"), Some(0), param).unwrap().tensor;
        assert_eq!(place(Param::KNorm(Part::Weight)), "model.layers.0.self_attn.k_norm.weight");
        let biased = spec_of(&with(example("qwen3"), json!({ "attention_bias": true, "head_dim": 16 })));
        let attention = &biased.layers[0].attention;
        assert_eq!((attention.head_dim, attention.qkv_bias, attention.o_bias), (16, true, true));
    }
}
