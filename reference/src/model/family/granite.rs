//! Granite.

use super::names::Names;
use super::parts::{Defaults, Sizes, activation, pre_norm_layer, rms_norm};
use crate::error::Result;
use crate::model::config::Config;
use crate::model::layout::Layout;
use crate::model::spec::{AttentionLayerSpec, EmbeddingSpec, HeadSpec, LayerSpec, MlpSpec, ModelSpec, Position, Scale};

/// Granite: Llama with four factors, on the embedding, the scores, the sublayers and the logits.
pub(super) fn granite(config: &Config<'_>) -> Result<(ModelSpec, Layout)> {
    let sizes = Sizes::read(
        config,
        &Defaults {
            vocab_size: 32_000,
            hidden_size: 4096,
            intermediate_size: 11_008,
            num_hidden_layers: 32,
            num_attention_heads: 32,
            num_key_value_heads: None,
            head_dim: None,
            max_position_embeddings: 2048,
        },
    )?;
    let attention_bias = config.bool_or("attention_bias", false)?;
    let attention = AttentionLayerSpec {
        qkv_bias: attention_bias,
        o_bias: attention_bias,
        position: Position::Rope(sizes.rope(config)?),
        // Instead of 1/√head_dim, and 1 where the file says nothing.
        scale: config.f64_or("attention_multiplier", 1.0)?,
        ..sizes.attention()
    };
    let mlp = MlpSpec {
        bias: config.bool_or("mlp_bias", false)?,
        ..sizes.gated_mlp(activation(config, "hidden_act", "silu")?)
    };
    let norm = rms_norm(config.norm_eps_or("rms_norm_eps", 1e-6)?);
    let residual_scale = Some(config.f64_or("residual_multiplier", 1.0)?);
    let layer = LayerSpec { residual_scale, ..pre_norm_layer(norm, attention, mlp) };
    let tied = config.bool_or("tie_word_embeddings", false)?;
    let spec = sizes.model("granite", sizes.repeat(layer), norm, tied);
    let embedding = EmbeddingSpec { scale: Some(config.f64_or("embedding_multiplier", 1.0)?), ..spec.embedding };
    let head = HeadSpec { scale: Scale::Divide(config.positive_or("logits_scaling", 1.0)?), ..spec.head };
    let spec = ModelSpec { embedding, head, ..spec };
    let layout = Names::LLAMA.layout(&spec);
    Ok((spec, layout))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{example, message_of, spec_of, with, without};
    use crate::model::spec::Scale;
    use serde_json::json;

    #[test]
    fn granite_is_read() {
        let spec = spec_of(&example("granite"));
        assert_eq!((spec.embedding.scale, spec.head.scale), (Some(6.0), Scale::Divide(2.0)));
        for layer in &spec.layers {
            assert_eq!((layer.attention.scale, layer.residual_scale), (0.3, Some(0.22)));
        }
    }

    #[test]
    fn scores_are_not_scaled_by_default() {
        let keys = ["attention_multiplier", "embedding_multiplier", "logits_scaling", "residual_multiplier"];
        let spec = spec_of(&without(example("granite"), &keys));
        assert_eq!((spec.embedding.scale, spec.head.scale), (Some(1.0), Scale::Divide(1.0)));
        assert_eq!((spec.layers[0].attention.scale, spec.layers[0].residual_scale), (1.0, Some(1.0)));
    }

    #[test]
    fn logits_cannot_be_divided_by_zero() {
        let message = message_of(&with(example("granite"), json!({ "logits_scaling": 0 })));
        assert!(message.contains("logits_scaling is 0; it must be a positive number"), "{message}");
    }
}
