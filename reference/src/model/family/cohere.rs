//! Cohere's Command R.

use super::names::Names;
use super::parts::{Defaults, Sizes, activation, layer_norm, pre_norm_layer};
use super::rope::{self, RopeRules};
use crate::error::Result;
use crate::model::config::Config;
use crate::model::layout::Layout;
use crate::model::spec::{
    AttentionLayerSpec, HeadSpec, LayerSpec, ModelSpec, Position, QkNorm, QkNormOver, Residual, Scale,
};
use crate::ops::norm::NormSpec;
use crate::ops::rope::RopeLayout;

/// Cohere: attention and MLP read one LayerNorm without bias, neighbouring components are rotated, logits are scaled.
pub(super) fn cohere(config: &Config<'_>) -> Result<(ModelSpec, Layout)> {
    let sizes = Sizes::read(
        config,
        &Defaults {
            vocab_size: 256_000,
            hidden_size: 8192,
            intermediate_size: 22_528,
            num_hidden_layers: 40,
            num_attention_heads: 64,
            num_key_value_heads: None,
            head_dim: None,
            max_position_embeddings: 8192,
        },
    )?;
    let norm = NormSpec { bias: false, ..layer_norm(config.norm_eps_or("layer_norm_eps", 1e-5)?) };
    let qk_norm = QkNorm { norm, over: QkNormOver::HeadWithOwnWeight };
    let rules = RopeRules { layout: RopeLayout::Interleaved, rope_theta: 500_000.0, ..sizes.rope_rules(config)? };
    let attention_bias = config.bool_or("attention_bias", false)?;
    let attention = AttentionLayerSpec {
        qkv_bias: attention_bias,
        o_bias: attention_bias,
        qk_norm: config.bool_or("use_qk_norm", false)?.then_some(qk_norm),
        position: Position::Rope(rope::read(config, rules)?),
        ..sizes.attention()
    };
    let mlp = sizes.gated_mlp(activation(config, "hidden_act", "silu")?);
    let layer = LayerSpec { residual: Residual::Parallel, mlp_norm: None, ..pre_norm_layer(norm, attention, mlp) };
    let tied = config.bool_or("tie_word_embeddings", true)?;
    let spec = sizes.model("cohere", sizes.repeat(layer), norm, tied);
    let scale = Scale::Multiply(config.f64_or("logit_scale", 0.0625)?);
    let spec = ModelSpec { head: HeadSpec { scale, ..spec.head }, ..spec };
    let layout = Names::LLAMA.layout(&spec);
    Ok((spec, layout))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{example, place_of, spec_of, with, without};
    use crate::model::layout::{Param, Part};
    use crate::model::spec::{Position, QkNormOver, Residual, Scale};
    use crate::ops::norm::{Downcast, NormKind};
    use crate::ops::rope::RopeLayout;
    use serde_json::json;

    #[test]
    fn cohere_is_read() {
        let spec = spec_of(&example("cohere"));
        let layer = &spec.layers[0];
        assert_eq!((layer.residual, layer.mlp_norm), (Residual::Parallel, None));
        let norm = layer.input_norm.unwrap();
        assert_eq!((norm.kind, norm.weight, norm.bias), (NormKind::Layer, true, false));
        assert_eq!((norm.downcast, layer.attention.qk_norm), (Downcast::AfterWeight, None));
        assert_eq!((spec.head.scale, spec.head.tied), (Scale::Multiply(0.5), true));
        match &layer.attention.position {
            Position::Rope(rope) => assert_eq!((rope.layout, rope.rotary_dim), (RopeLayout::Interleaved, 16)),
            other => panic!("{other:?}"),
        }
        assert_eq!(place_of(&example("cohere"), Some(0), Param::InputNorm(Part::Bias)), None);
    }

    #[test]
    fn norms_of_queries_have_a_weight_for_each_head() {
        let file = with(example("cohere"), json!({ "use_qk_norm": true }));
        let qk_norm = spec_of(&file).layers[0].attention.qk_norm.unwrap();
        assert_eq!((qk_norm.over, qk_norm.norm.bias), (QkNormOver::HeadWithOwnWeight, false));
        let place = place_of(&file, Some(0), Param::QNorm(Part::Weight)).unwrap();
        assert_eq!(place.tensor, "model.layers.0.self_attn.q_norm.weight");
    }

    #[test]
    fn defaults_of_its_own() {
        let spec = spec_of(&without(example("cohere"), &["logit_scale", "rope_parameters", "tie_word_embeddings"]));
        assert_eq!((spec.head.scale, spec.head.tied), (Scale::Multiply(0.0625), true));
        match &spec.layers[0].attention.position {
            Position::Rope(rope) => assert_eq!(rope.rope_theta, 500_000.0),
            other => panic!("{other:?}"),
        }
    }
}
