//! GPT-2.

use super::names::{Mlp, Names, Qkv};
use super::parts::{Sizes, activation, even_split, layer_norm, pre_norm_layer};
use crate::error::Result;
use crate::model::config::Config;
use crate::model::layout::{Layout, Orientation};
use crate::model::spec::{AttentionLayerSpec, EmbeddingSpec, LayerSpec, MlpSpec, ModelSpec};

const NAMES: Names = Names {
    embed_tokens: "transformer.wte",
    embed_positions: "transformer.wpe",
    layers: "transformer.h",
    input_norm: "ln_1",
    qkv: Qkv::ByPart("attn.c_attn"),
    o_proj: "attn.c_proj",
    mlp_norm: "ln_2",
    mlp: Mlp::Plain(["mlp.c_fc", "mlp.c_proj"]),
    final_norm: "transformer.ln_f",
    // `Conv1D` computes x W.
    orientation: Orientation::InOut,
    // Causal masks; they do not end in `.c_attn.bias`, which is a bias.
    ignored: &["*.attn.bias", "*.attn.masked_bias"],
    ..Names::LLAMA
};

/// GPT-2: learned positions, LayerNorm, one tensor for queries, keys and values.
pub(super) fn gpt2(config: &Config<'_>) -> Result<(ModelSpec, Layout)> {
    let hidden_size = config.usize_or("n_embd", 768)?;
    let num_attention_heads = config.usize_or("n_head", 12)?;
    let sizes = Sizes {
        vocab_size: config.usize_or("vocab_size", 50_257)?,
        hidden_size,
        intermediate_size: config.usize_or("n_inner", 4 * hidden_size)?,
        num_hidden_layers: config.usize_or("n_layer", 12)?,
        num_attention_heads,
        num_key_value_heads: num_attention_heads,
        head_dim: even_split(hidden_size, num_attention_heads)?,
        max_position_embeddings: config.usize_or("n_positions", 1024)?,
    };
    let sizes = sizes.checked()?;
    config.must_agree("head_dim", sizes.head_dim)?;

    let plain = AttentionLayerSpec { qkv_bias: true, o_bias: true, ..sizes.attention() };
    let scale = if config.bool_or("scale_attn_weights", true)? { plain.scale } else { 1.0 };
    let by_layer = config.bool_or("scale_attn_by_inverse_layer_idx", false)?;
    let mlp = MlpSpec {
        intermediate_size: sizes.intermediate_size,
        activation: activation(config, "activation_function", "gelu_new")?,
        gated: false,
        bias: true,
    };
    let norm = layer_norm(config.norm_eps_or("layer_norm_epsilon", 1e-5)?);
    let layer = pre_norm_layer(norm, plain, mlp);
    let layers = (0..sizes.num_hidden_layers).map(|number| {
        let scale = if by_layer { scale / (number + 1) as f64 } else { scale };
        LayerSpec { attention: AttentionLayerSpec { scale, ..layer.attention.clone() }, ..layer.clone() }
    });
    let spec = sizes.model("gpt2", layers.collect(), norm, config.bool_or("tie_word_embeddings", true)?);
    let learned_positions = Some(sizes.max_position_embeddings);
    let spec = ModelSpec { embedding: EmbeddingSpec { learned_positions, ..spec.embedding }, ..spec };
    let layout = NAMES.layout(&spec);
    Ok((spec, layout))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{example, message_of, place_of, spec_of, with};
    use crate::model::layout::{Orientation, Param, Part, Source};
    use crate::model::spec::Position;
    use crate::ops::activation::Activation;
    use crate::ops::norm::{Downcast, NormKind};
    use serde_json::{Value, json};

    fn scales(more: Value) -> Vec<f64> {
        let spec = spec_of(&with(example("gpt2"), more));
        spec.layers.iter().map(|layer| layer.attention.scale).collect()
    }

    #[test]
    fn gpt2_is_read() {
        let spec = spec_of(&example("gpt2"));
        let layer = &spec.layers[0];
        assert_eq!((spec.embedding.learned_positions, spec.head.tied), (Some(64), true));
        assert_eq!((&layer.attention.position, layer.attention.head_dim), (&Position::None, 16));
        assert_eq!((layer.attention.qkv_bias, layer.attention.o_bias), (true, true));
        let mlp = layer.mlp;
        assert_eq!(
            (mlp.intermediate_size, mlp.activation, mlp.gated, mlp.bias),
            (256, Activation::GeluTanh, false, true)
        );
        let norm = layer.input_norm.unwrap();
        assert_eq!((norm.kind, norm.norm_eps, norm.bias), (NormKind::Layer, 1e-5, true));
        assert_eq!((norm.downcast, layer.mlp_norm), (Downcast::AfterWeight, Some(norm)));
    }

    #[test]
    fn scores_are_scaled_by_width_and_by_depth_as_asked() {
        assert_eq!(scales(json!({})), [0.25; 3]);
        assert_eq!(scales(json!({ "scale_attn_weights": false })), [1.0; 3]);
        assert_eq!(scales(json!({ "scale_attn_by_inverse_layer_idx": true })), [0.25, 0.125, 0.25 / 3.0]);
    }

    #[test]
    fn keys_are_the_middle_third_of_one_transposed_tensor() {
        let place = |param| place_of(&example("gpt2"), Some(1), param).unwrap();
        let source = |tensor: &str, orientation| Source {
            tensor: tensor.to_owned(),
            orientation,
            outputs: Some(std::iter::once(64..128).collect()),
        };
        let weight = source("transformer.h.1.attn.c_attn.weight", Orientation::InOut);
        assert_eq!(place(Param::KProj(Part::Weight)), weight);
        let bias = source("transformer.h.1.attn.c_attn.bias", Orientation::OutIn);
        assert_eq!(place(Param::KProj(Part::Bias)), bias);
        assert_eq!(place(Param::UpProj(Part::Weight)).tensor, "transformer.h.1.mlp.c_fc.weight");
        assert_eq!(place(Param::DownProj(Part::Weight)).orientation, Orientation::InOut);
        let positions = place_of(&example("gpt2"), None, Param::EmbedPositions).unwrap();
        assert_eq!(positions, Source::whole("transformer.wpe.weight"));
    }

    #[test]
    fn sizes_may_have_llamas_names() {
        let spec = spec_of(&json!({
            "model_type": "gpt2", "hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
            "max_position_embeddings": 50, "vocab_size": 96,
        }));
        assert_eq!((spec.hidden_size, spec.layers.len(), spec.embedding.learned_positions), (48, 2, Some(50)));
        assert_eq!((spec.layers[0].attention.head_dim, spec.layers[0].mlp.intermediate_size), (12, 192));
    }

    #[test]
    fn cross_attention_is_refused() {
        let message = message_of(&with(example("gpt2"), json!({ "add_cross_attention": true })));
        assert!(message.contains("add_cross_attention is true;"), "{message}");
    }
}
