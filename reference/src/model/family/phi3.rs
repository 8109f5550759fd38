//! Phi-3 and Phi-4-mini.

use super::names::{Mlp, Names, Qkv};
use super::parts::{Defaults, Sizes, activation, one_window, pre_norm_layer, rms_norm};
use super::rope::{self, RopeRules};
use crate::error::Result;
use crate::model::config::Config;
use crate::model::layout::Layout;
use crate::model::spec::{AttentionLayerSpec, ModelSpec, Position};

const NAMES: Names = Names {
    qkv: Qkv::ByPart("self_attn.qkv_proj"),
    mlp: Mlp::GateUp(["mlp.gate_up_proj", "mlp.down_proj"]),
    ..Names::LLAMA
};

/// Phi-3: Llama with one tensor for queries, keys and values, one for gate and up, and `longrope`.
pub(super) fn phi3(config: &Config<'_>) -> Result<(ModelSpec, Layout)> {
    let sizes = Sizes::read(
        config,
        &Defaults {
            vocab_size: 32_064,
            hidden_size: 3072,
            intermediate_size: 8192,
            num_hidden_layers: 32,
            num_attention_heads: 32,
            num_key_value_heads: None,
            head_dim: None,
            max_position_embeddings: 4096,
        },
    )?;
    for key in ["attention_bias", "mlp_bias", "lm_head_bias"] {
        config.must_be(key, false, "Phi-3's projections have no bias")?;
    }
    for key in ["full_attn_mod", "interpolate_factor"] {
        config.must_be(key, 1, "all layers attend alike")?;
    }
    let rules = sizes.rope_rules(config)?;
    let rules = RopeRules {
        partial_rotary_factor: Some(1.0),
        only_longrope: true,
        original_max_position_embeddings: rules.original_max_position_embeddings.or(Some(4096)),
        ..rules
    };
    let window = config.nullable_usize("sliding_window", None)?;
    let attention = AttentionLayerSpec {
        position: Position::Rope(rope::read(config, rules)?),
        sliding_window: one_window(config, sizes.num_hidden_layers, window)?,
        ..sizes.attention()
    };
    let mlp = sizes.gated_mlp(activation(config, "hidden_act", "silu")?);
    let norm = rms_norm(config.norm_eps_or("rms_norm_eps", 1e-5)?);
    let layers = sizes.repeat(pre_norm_layer(norm, attention, mlp));
    let spec = sizes.model("phi3", layers, norm, config.bool_or("tie_word_embeddings", false)?);
    let layout = NAMES.layout(&spec);
    Ok((spec, layout))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{example, message_of, place_of, spec_of, with, without};
    use crate::model::layout::{Param, Part};
    use crate::model::spec::Position;
    use crate::ops::rope::{RopeScaling, RopeSpec};
    use serde_json::{Value, json};

    fn rope(file: &Value) -> RopeSpec {
        match spec_of(file).layers.remove(0).attention.position {
            Position::Rope(rope) => rope,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn phi3_is_read() {
        let spec = spec_of(&example("phi3"));
        let layer = &spec.layers[0];
        assert_eq!((layer.attention.qkv_bias, layer.attention.o_bias, layer.mlp.gated), (false, false, true));
        assert_eq!(layer.input_norm.unwrap().norm_eps, 1e-5);
        assert_eq!((rope(&example("phi3")).rotary_dim, layer.attention.sliding_window), (16, None));
        let windowed = spec_of(&with(example("phi3"), json!({ "sliding_window": 9 })));
        assert_eq!(windowed.layers[2].attention.sliding_window, Some(9));
    }

    #[test]
    fn fused_tensors_are_split_by_rows() {
        let rows = |param: fn(Part) -> Param| {
            let place = place_of(&example("phi3"), Some(0), param(Part::Weight)).unwrap();
            place.outputs.unwrap().into_iter().flatten()
        };
        // 4 query heads and 2 key heads of 16, 112 gate rows
        assert!(rows(Param::QProj).eq(0..64));
        assert!(rows(Param::KProj).eq(64..96));
        assert!(rows(Param::VProj).eq(96..128));
        assert!(rows(Param::GateProj).eq(0..112));
        assert!(rows(Param::UpProj).eq(112..224));
        let place = place_of(&example("phi3"), Some(0), Param::UpProj(Part::Weight)).unwrap();
        assert_eq!(place.tensor, "model.layers.0.mlp.gate_up_proj.weight");
    }

    #[rstest::rstest]
    #[case("longrope")]
    #[case("su")]
    #[case("yarn")]
    fn longrope_has_three_names(#[case] name: &str) {
        let file = without(example("phi3"), &["rope_parameters"]);
        let (short, long) = (vec![1.0; 8], vec![4.0; 8]);
        let file = with(
            file,
            json!({
                "rope_theta": 1e4, "rope_scaling": { "type": name, "short_factor": short, "long_factor": long },
            }),
        );
        match rope(&file).scaling {
            RopeScaling::LongRope { long_factor, attention_factor, original_max_position_embeddings, .. } => {
                assert_eq!((long_factor, original_max_position_embeddings), (long, 64.0));
                // √(1 + ln 2 / ln 64)
                assert!((attention_factor - (7.0_f64 / 6.0).sqrt()).abs() < 1e-15);
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn other_ways_to_stretch_and_biases_are_refused() {
        let linear = json!({ "rope_parameters": { "rope_type": "linear", "factor": 2.0 } });
        let message = message_of(&with(example("phi3"), linear));
        assert!(message.contains("rope_type is \"linear\"; this family has default, longrope"), "{message}");
        let message = message_of(&with(example("phi3"), json!({ "attention_bias": true })));
        assert!(message.contains("attention_bias is true;"), "{message}");
    }
}
