//! Phi 1, 1.5 and 2.

use super::names::{Mlp, Names, Qkv};
use super::parts::{Defaults, Sizes, activation, even_split, layer_norm, pre_norm_layer};
use super::rope::{self, RopeRules};
use crate::error::Result;
use crate::model::config::Config;
use crate::model::layout::Layout;
use crate::model::spec::{
    AttentionLayerSpec, HeadSpec, LayerSpec, MlpSpec, ModelSpec, Position, QkNorm, QkNormOver, Residual,
};

const NAMES: Names = Names {
    qkv: Qkv::Separate(["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]),
    o_proj: "self_attn.dense",
    q_norm: "self_attn.q_layernorm",
    k_norm: "self_attn.k_layernorm",
    mlp: Mlp::Plain(["mlp.fc1", "mlp.fc2"]),
    final_norm: "model.final_layernorm",
    ..Names::LLAMA
};

/// Phi: attention and MLP read one norm, a part of each head is rotated, biases everywhere.
pub(super) fn phi(config: &Config<'_>) -> Result<(ModelSpec, Layout)> {
    let sizes = Sizes::read(
        config,
        &Defaults {
            vocab_size: 51_200,
            hidden_size: 2048,
            intermediate_size: 8192,
            num_hidden_layers: 24,
            num_attention_heads: 32,
            num_key_value_heads: None,
            head_dim: None,
            max_position_embeddings: 2048,
        },
    )?;
    let norm = layer_norm(config.norm_eps_or("layer_norm_eps", 1e-5)?);
    let qk_norm = config.bool_or("qk_layernorm", false)?.then_some(QkNorm { norm, over: QkNormOver::Head });
    if qk_norm.is_some() && sizes.head_dim != even_split(sizes.hidden_size, sizes.num_attention_heads)? {
        return Err(config.refuse("head_dim", "Phi's norms of queries are hidden_size / num_attention_heads wide"));
    }
    let rules = RopeRules { partial_rotary_factor: Some(0.5), ..sizes.rope_rules(config)? };
    let attention = AttentionLayerSpec {
        qkv_bias: true,
        o_bias: true,
        qk_norm,
        position: Position::Rope(rope::read(config, rules)?),
        ..sizes.attention()
    };
    let mlp = MlpSpec {
        intermediate_size: sizes.intermediate_size,
        activation: activation(config, "hidden_act", "gelu_new")?,
        gated: false,
        bias: true,
    };
    let layer = LayerSpec { residual: Residual::Parallel, mlp_norm: None, ..pre_norm_layer(norm, attention, mlp) };
    let tied = config.bool_or("tie_word_embeddings", false)?;
    let spec = sizes.model("phi", sizes.repeat(layer), norm, tied);
    let spec = ModelSpec { head: HeadSpec { bias: true, ..spec.head }, ..spec };
    let layout = NAMES.layout(&spec);
    Ok((spec, layout))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{example, message_of, place_of, spec_of, with};
    use crate::model::layout::{Param, Part};
    use crate::model::spec::{Position, QkNormOver, Residual};
    use crate::ops::activation::Activation;
    use crate::ops::norm::NormKind;
    use serde_json::json;

    #[test]
    fn phi_is_read() {
        let spec = spec_of(&example("phi"));
        let layer = &spec.layers[0];
        assert_eq!((layer.residual, layer.mlp_norm), (Residual::Parallel, None));
        let norm = layer.input_norm.unwrap();
        assert_eq!((norm.kind, norm.norm_eps, norm.bias), (NormKind::Layer, 1e-5, true));
        let attention = &layer.attention;
        assert_eq!((attention.qkv_bias, attention.o_bias, spec.head.bias), (true, true, true));
        assert_eq!((layer.mlp.activation, layer.mlp.gated, layer.mlp.bias), (Activation::GeluTanh, false, true));
        match &attention.position {
            Position::Rope(rope) => assert_eq!(rope.rotary_dim, 8),
            other => panic!("{other:?}"),
        }
        let place = |layer, param| place_of(&example("phi"), layer, param).unwrap().tensor;
        assert_eq!(place(Some(0), Param::OProj(Part::Bias)), "model.layers.0.self_attn.dense.bias");
        assert_eq!(place(Some(2), Param::UpProj(Part::Weight)), "model.layers.2.mlp.fc1.weight");
        assert_eq!(place(None, Param::FinalNorm(Part::Bias)), "model.final_layernorm.bias");
        assert_eq!(place(None, Param::LmHead(Part::Bias)), "lm_head.bias");
    }

    #[test]
    fn norms_of_queries_are_layer_norms_of_each_head() {
        let file = with(example("phi"), json!({ "qk_layernorm": true }));
        let spec = spec_of(&file);
        let qk_norm = spec.layers[0].attention.qk_norm.unwrap();
        assert_eq!((qk_norm.over, Some(qk_norm.norm)), (QkNormOver::Head, spec.final_norm));
        let place = place_of(&file, Some(1), Param::QNorm(Part::Bias)).unwrap();
        assert_eq!(place.tensor, "model.layers.1.self_attn.q_layernorm.bias");
        let message = message_of(&with(file, json!({ "head_dim": 8 })));
        assert!(message.contains("head_dim is 8;"), "{message}");
    }
}
