//! GLM-4 9B.

use super::names::{Mlp, Names};
use super::parts::{Defaults, Sizes, activation, pre_norm_layer, rms_norm};
use super::rope::{self, RopeRules};
use crate::error::Result;
use crate::model::config::Config;
use crate::model::layout::Layout;
use crate::model::spec::{AttentionLayerSpec, ModelSpec, Position};
use crate::ops::rope::RopeLayout;

const NAMES: Names = Names { mlp: Mlp::GateUp(["mlp.gate_up_proj", "mlp.down_proj"]), ..Names::LLAMA };

/// GLM: neighbouring components of the front of each head are rotated, one tensor for gate and up.
pub(super) fn glm(config: &Config<'_>) -> Result<(ModelSpec, Layout)> {
    let sizes = Sizes::read(
        config,
        &Defaults {
            vocab_size: 151_552,
            hidden_size: 4096,
            intermediate_size: 13_696,
            num_hidden_layers: 40,
            num_attention_heads: 32,
            num_key_value_heads: Some(2),
            head_dim: Some(128),
            max_position_embeddings: 131_072,
        },
    )?;
    let rules =
        RopeRules { layout: RopeLayout::Interleaved, partial_rotary_factor: Some(0.5), ..sizes.rope_rules(config)? };
    let attention = AttentionLayerSpec {
        qkv_bias: config.bool_or("attention_bias", true)?,
        position: Position::Rope(rope::read(config, rules)?),
        ..sizes.attention()
    };
    let mlp = sizes.gated_mlp(activation(config, "hidden_act", "silu")?);
    let norm = rms_norm(config.norm_eps_or("rms_norm_eps", 1.5625e-7)?);
    let layers = sizes.repeat(pre_norm_layer(norm, attention, mlp));
    let spec = sizes.model("glm", layers, norm, config.bool_or("tie_word_embeddings", false)?);
    let layout = NAMES.layout(&spec);
    Ok((spec, layout))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{example, place_of, spec_of, with, without};
    use crate::model::layout::{Param, Part, Source};
    use crate::model::spec::Position;
    use crate::ops::rope::RopeLayout;
    use serde_json::json;

    #[test]
    fn glm_is_read() {
        for file in [example("glm"), without(example("glm"), &["rope_parameters", "attention_bias", "rms_norm_eps"])] {
            let spec = spec_of(&file);
            let layer = &spec.layers[0];
            assert_eq!((layer.attention.qkv_bias, layer.attention.o_bias), (true, false));
            assert_eq!(layer.input_norm.unwrap().norm_eps, 1.5625e-7);
            match &layer.attention.position {
                Position::Rope(rope) => assert_eq!((rope.layout, rope.rotary_dim), (RopeLayout::Interleaved, 8)),
                other => panic!("{other:?}"),
            }
        }
        let whole = spec_of(&with(example("glm"), json!({ "attention_bias": false })));
        assert!(!whole.layers[0].attention.qkv_bias);
    }

    #[test]
    fn gate_and_up_share_a_tensor() {
        let place = |param| place_of(&example("glm"), Some(2), param).unwrap();
        let rows = |source: &Source| source.outputs.clone().unwrap().into_iter().flatten();
        let (gate, up) = (place(Param::GateProj(Part::Weight)), place(Param::UpProj(Part::Weight)));
        assert!(rows(&gate).eq(0..112) && rows(&up).eq(112..224));
        assert_eq!((gate.tensor, up.tensor.as_str()), (up.tensor.clone(), "model.layers.2.mlp.gate_up_proj.weight"));
        assert_eq!(place(Param::QProj(Part::Bias)).tensor, "model.layers.2.self_attn.q_proj.bias");
    }
}
