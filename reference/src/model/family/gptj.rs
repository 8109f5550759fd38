//! GPT-J.

use super::names::{Mlp, Names, Qkv};
use super::parts::{Sizes, activation, even_split, layer_norm, pre_norm_layer};
use super::rope;
use crate::error::Result;
use crate::model::config::Config;
use crate::model::layout::Layout;
use crate::model::spec::{AttentionLayerSpec, HeadSpec, LayerSpec, MlpSpec, ModelSpec, Position, Residual};
use crate::ops::rope::{RopeLayout, RopeScaling, RopeSpec};

const NAMES: Names = Names {
    embed_tokens: "transformer.wte",
    layers: "transformer.h",
    input_norm: "ln_1",
    qkv: Qkv::Separate(["attn.q_proj", "attn.k_proj", "attn.v_proj"]),
    o_proj: "attn.out_proj",
    mlp: Mlp::Plain(["mlp.fc_in", "mlp.fc_out"]),
    final_norm: "transformer.ln_f",
    // Causal masks.
    ignored: &["*.attn.bias", "*.attn.masked_bias"],
    ..Names::LLAMA
};

/// GPT-J: attention and MLP read one norm, neighbouring components of the front of each head are rotated.
pub(super) fn gptj(config: &Config<'_>) -> Result<(ModelSpec, Layout)> {
    config.must_be("rotary", true, "GPT-J's positions are rotary")?;
    config.must_be("scale_attn_weights", true, "GPT-J always scales its scores")?;
    let hidden_size = config.usize_or("n_embd", 4096)?;
    let num_attention_heads = config.usize_or("n_head", 16)?;
    let sizes = Sizes {
        vocab_size: config.usize_or("vocab_size", 50_400)?,
        hidden_size,
        intermediate_size: config.usize_or("n_inner", 4 * hidden_size)?,
        num_hidden_layers: config.usize_or("n_layer", 28)?,
        num_attention_heads,
        num_key_value_heads: num_attention_heads,
        head_dim: even_split(hidden_size, num_attention_heads)?,
        max_position_embeddings: config.usize_or("n_positions", 2048)?,
    };
    let sizes = sizes.checked()?;
    config.must_agree("head_dim", sizes.head_dim)?;
    config.must_agree("num_key_value_heads", num_attention_heads)?;
    let Some(rotary_dim) = config.nullable_usize("rotary_dim", Some(64))? else {
        return Err(config.refuse("rotary_dim", "Hugging Face's table is then wider than a head"));
    };
    rope::check_rotary_dim(rotary_dim, sizes.head_dim)?;
    if rotary_dim % 2 == 1 {
        return Err(config.refuse("rotary_dim", "it must be an even number"));
    }
    let rope = RopeSpec {
        layout: RopeLayout::Interleaved,
        rotary_dim,
        // Fixed in Hugging Face's code.
        rope_theta: 10_000.0,
        scaling: RopeScaling::None,
    };
    let attention = AttentionLayerSpec { position: Position::Rope(rope), ..sizes.attention() };
    let mlp = MlpSpec {
        intermediate_size: sizes.intermediate_size,
        activation: activation(config, "activation_function", "gelu_new")?,
        gated: false,
        bias: true,
    };
    let norm = layer_norm(config.norm_eps_or("layer_norm_epsilon", 1e-5)?);
    let layer = LayerSpec { residual: Residual::Parallel, mlp_norm: None, ..pre_norm_layer(norm, attention, mlp) };
    let tied = config.bool_or("tie_word_embeddings", false)?;
    let spec = sizes.model("gptj", sizes.repeat(layer), norm, tied);
    let spec = ModelSpec { head: HeadSpec { bias: true, ..spec.head }, ..spec };
    let layout = NAMES.layout(&spec);
    Ok((spec, layout))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{example, message_of, place_of, spec_of, with, without};
    use crate::model::layout::{Orientation, Param, Part};
    use crate::model::spec::{Position, Residual};
    use crate::ops::rope::{RopeLayout, RopeScaling, RopeSpec};
    use serde_json::{Value, json};

    fn refused(more: Value, part: &str) {
        let message = message_of(&with(example("gptj"), more));
        assert!(message.contains(part), "{message}");
    }

    #[test]
    fn gptj_is_read() {
        let spec = spec_of(&example("gptj"));
        let layer = &spec.layers[0];
        assert_eq!((layer.residual, layer.mlp_norm, layer.mlp.intermediate_size), (Residual::Parallel, None, 256));
        assert_eq!((layer.attention.qkv_bias, layer.attention.o_bias, layer.mlp.bias), (false, false, true));
        assert_eq!((spec.head.bias, spec.head.tied, spec.embedding.learned_positions), (true, false, None));
        let rope =
            RopeSpec { layout: RopeLayout::Interleaved, rotary_dim: 8, rope_theta: 1e4, scaling: RopeScaling::None };
        assert_eq!(layer.attention.position, Position::Rope(rope));
        let place = |param| place_of(&example("gptj"), Some(1), param).unwrap();
        assert_eq!(place(Param::QProj(Part::Weight)).tensor, "transformer.h.1.attn.q_proj.weight");
        assert_eq!(place(Param::OProj(Part::Weight)).orientation, Orientation::OutIn);
    }

    #[test]
    fn rotated_components_stand_in_a_head() {
        refused(json!({ "rotary_dim": 18 }), "18 components of a head of 16 would be rotated");
        refused(json!({ "rotary_dim": 7 }), "rotary_dim is 7");
        refused(json!({ "rotary_dim": null }), "rotary_dim is null;");
        let message = message_of(&without(example("gptj"), &["rotary_dim"]));
        assert!(message.contains("64 components of a head of 16 would be rotated"), "{message}");
    }

    #[test]
    fn keys_of_the_published_file_are_read_with_their_only_value() {
        spec_of(&with(example("gptj"), json!({ "rotary": true, "scale_attn_weights": true, "n_ctx": 2048 })));
        refused(json!({ "rotary": false }), "rotary is false;");
        refused(json!({ "scale_attn_weights": false }), "scale_attn_weights is false;");
    }
}
