//! GPT-NeoX and Pythia.

use super::names::{Mlp, Names, Qkv};
use super::parts::{Defaults, Sizes, activation, even_split, layer_norm, pre_norm_layer};
use super::rope;
use crate::error::Result;
use crate::model::config::Config;
use crate::model::layout::Layout;
use crate::model::spec::{AttentionLayerSpec, LayerSpec, MlpSpec, ModelSpec, Position, Residual};

const NAMES: Names = Names {
    embed_tokens: "gpt_neox.embed_in",
    layers: "gpt_neox.layers",
    qkv: Qkv::ByHead("attention.query_key_value"),
    o_proj: "attention.dense",
    mlp: Mlp::Plain(["mlp.dense_h_to_4h", "mlp.dense_4h_to_h"]),
    final_norm: "gpt_neox.final_layer_norm",
    lm_head: ["embed_out.weight", "embed_out.bias"],
    // Causal masks and rotary tables.
    ignored: &["*.attention.bias", "*.attention.masked_bias", "*.rotary_emb.inv_freq"],
    ..Names::LLAMA
};

/// GPT-NeoX: attention and MLP in parallel, each behind its own norm, or one after the other.
pub(super) fn gpt_neox(config: &Config<'_>) -> Result<(ModelSpec, Layout)> {
    let sizes = Sizes::read(
        config,
        &Defaults {
            vocab_size: 50_432,
            hidden_size: 6144,
            intermediate_size: 24_576,
            num_hidden_layers: 44,
            num_attention_heads: 64,
            num_key_value_heads: None,
            head_dim: None,
            max_position_embeddings: 2048,
        },
    )?;
    config.must_agree("num_key_value_heads", sizes.num_attention_heads)?;
    config.must_agree("head_dim", even_split(sizes.hidden_size, sizes.num_attention_heads)?)?;
    let attention_bias = config.bool_or("attention_bias", true)?;
    let attention = AttentionLayerSpec {
        qkv_bias: attention_bias,
        o_bias: attention_bias,
        position: Position::Rope(rope::read_gpt_neox(config, sizes.rope_rules(config)?)?),
        ..sizes.attention()
    };
    let mlp = MlpSpec {
        intermediate_size: sizes.intermediate_size,
        activation: activation(config, "hidden_act", "gelu")?,
        gated: false,
        bias: true,
    };
    let norm = layer_norm(config.norm_eps_or("layer_norm_eps", 1e-5)?);
    let residual =
        if config.bool_or("use_parallel_residual", true)? { Residual::Parallel } else { Residual::Sequential };
    let layer = LayerSpec { residual, ..pre_norm_layer(norm, attention, mlp) };
    let tied = config.bool_or("tie_word_embeddings", false)?;
    let spec = sizes.model("gpt_neox", sizes.repeat(layer), norm, tied);
    let layout = NAMES.layout(&spec);
    Ok((spec, layout))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{example, message_of, place_of, spec_of, with, without};
    use crate::model::layout::{Param, Part};
    use crate::model::spec::{Position, Residual};
    use crate::ops::activation::Activation;
    use crate::ops::norm::NormKind;
    use crate::ops::rope::{RopeLayout, RopeSpec};
    use serde_json::{Value, json};

    fn rope(file: &Value) -> RopeSpec {
        match spec_of(file).layers.remove(0).attention.position {
            Position::Rope(rope) => rope,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn gpt_neox_is_read() {
        let spec = spec_of(&example("gpt_neox"));
        let layer = &spec.layers[0];
        assert_eq!((layer.residual, layer.mlp_norm), (Residual::Parallel, layer.input_norm));
        assert_eq!(layer.input_norm.unwrap().kind, NormKind::Layer);
        assert_eq!((layer.mlp.activation, layer.mlp.gated, layer.mlp.bias), (Activation::GeluErf, false, true));
        let rope = rope(&example("gpt_neox"));
        assert_eq!((rope.layout, rope.rotary_dim, rope.rope_theta), (RopeLayout::HalfSplit, 4, 1e4));
        let sequential = spec_of(&with(example("gpt_neox"), json!({ "use_parallel_residual": false })));
        assert_eq!(sequential.layers[0].residual, Residual::Sequential);
    }

    #[test]
    fn rows_of_the_fused_tensor_go_by_heads() {
        let place = |param| place_of(&example("gpt_neox"), Some(1), param).unwrap();
        let keys = place(Param::KProj(Part::Bias));
        assert_eq!(keys.tensor, "gpt_neox.layers.1.attention.query_key_value.bias");
        // The rows of head h begin at 48 h: query, key, value.
        assert_eq!(keys.outputs.unwrap(), [16..32, 64..80, 112..128, 160..176]);
        assert_eq!(place(Param::QProj(Part::Weight)).outputs.unwrap(), [0..16, 48..64, 96..112, 144..160]);
        assert_eq!(place(Param::VProj(Part::Weight)).outputs.unwrap(), [32..48, 80..96, 128..144, 176..192]);
        let head = place_of(&example("gpt_neox"), None, Param::LmHead(Part::Weight)).unwrap();
        assert_eq!(head.tensor, "embed_out.weight");
    }

    #[test]
    fn attention_bias_is_on_by_default_and_the_mlps_always() {
        let file = without(example("gpt_neox"), &["attention_bias"]);
        assert!(spec_of(&file).layers[0].attention.o_bias);
        let layer = spec_of(&with(file, json!({ "attention_bias": false }))).layers.remove(0);
        assert_eq!((layer.attention.qkv_bias, layer.attention.o_bias, layer.mlp.bias), (false, false, true));
    }

    #[test]
    fn its_own_names_of_the_rotary_embedding_are_read() {
        let file = without(example("gpt_neox"), &["rope_parameters"]);
        assert_eq!(rope(&file).rotary_dim, 4);
        let file = with(file, json!({ "rotary_pct": 0.5, "rotary_emb_base": 500 }));
        let read = rope(&file);
        assert_eq!((read.rotary_dim, read.rope_theta), (8, 500.0));
        rope(&with(file.clone(), json!({ "rope_theta": 500, "partial_rotary_factor": 0.5 })));
        let message = message_of(&with(file, json!({ "rope_theta": 10_000 })));
        assert!(message.contains("rope_theta is 10000; rotary_emb_base, which GPT-NeoX goes by, is 500"), "{message}");
    }
}
