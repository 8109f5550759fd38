//! BLOOM.

use super::names::{Mlp, Names, Qkv};
use super::parts::{Sizes, even_split, layer_norm, pre_norm_layer};
use crate::error::Result;
use crate::model::config::Config;
use crate::model::layout::Layout;
use crate::model::spec::{AttentionLayerSpec, EmbeddingSpec, LayerSpec, MlpSpec, ModelSpec, Position, Residual};
use crate::ops::activation::Activation;

const NAMES: Names = Names {
    embed_tokens: "transformer.word_embeddings",
    embed_norm: "transformer.word_embeddings_layernorm",
    layers: "transformer.h",
    qkv: Qkv::ByHead("self_attention.query_key_value"),
    o_proj: "self_attention.dense",
    mlp: Mlp::Plain(["mlp.dense_h_to_4h", "mlp.dense_4h_to_h"]),
    final_norm: "transformer.ln_f",
    ignored: &[],
    ..Names::LLAMA
};

/// BLOOM: a norm behind the embedding, positions by ALiBi, biases everywhere.
pub(super) fn bloom(config: &Config<'_>) -> Result<(ModelSpec, Layout)> {
    let hidden_size = config.usize_or("hidden_size", 64)?;
    let num_attention_heads = config.usize_or("n_head", 8)?;
    let sizes = Sizes {
        vocab_size: config.usize_or("vocab_size", 250_880)?,
        hidden_size,
        intermediate_size: 4 * hidden_size,
        num_hidden_layers: config.usize_or("n_layer", 2)?,
        num_attention_heads,
        num_key_value_heads: num_attention_heads,
        head_dim: even_split(hidden_size, num_attention_heads)?,
        // ALiBi has no longest position.
        max_position_embeddings: usize::MAX,
    };
    let sizes = sizes.checked()?;
    config.must_agree("head_dim", sizes.head_dim)?;
    let pretraining_tp = config.usize_or("pretraining_tp", 1)?;
    if config.bool_or("slow_but_exact", false)? && pretraining_tp > 1 {
        // Hugging Face then sums the output projections by slices and leaves their biases out.
        return Err(config.refuse("slow_but_exact", "with pretraining_tp above 1 it drops biases"));
    }
    let attention = AttentionLayerSpec { qkv_bias: true, o_bias: true, position: Position::Alibi, ..sizes.attention() };
    let mlp = MlpSpec {
        intermediate_size: sizes.intermediate_size,
        // √(2/π) as BLOOM wrote it down.
        activation: Activation::GeluTanhShort { root: 0.797_884_56 },
        gated: false,
        bias: true,
    };
    let norm = layer_norm(config.norm_eps_or("layer_norm_epsilon", 1e-5)?);
    let residual = match config.bool_or("apply_residual_connection_post_layernorm", false)? {
        true => Residual::SequentialFromNorm,
        false => Residual::Sequential,
    };
    let layer = LayerSpec { residual, ..pre_norm_layer(norm, attention, mlp) };
    let tied = config.bool_or("tie_word_embeddings", true)?;
    let spec = sizes.model("bloom", sizes.repeat(layer), norm, tied);
    let spec = ModelSpec { embedding: EmbeddingSpec { norm: Some(norm), ..spec.embedding }, ..spec };
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
    use serde_json::json;

    #[test]
    fn bloom_is_read() {
        let spec = spec_of(&example("bloom"));
        let layer = &spec.layers[0];
        assert_eq!((&layer.attention.position, layer.residual), (&Position::Alibi, Residual::Sequential));
        assert_eq!((layer.attention.qkv_bias, layer.attention.o_bias, layer.mlp.bias), (true, true, true));
        assert_eq!((layer.mlp.intermediate_size, layer.mlp.gated), (256, false));
        assert_eq!(layer.mlp.activation, Activation::GeluTanhShort { root: 0.797_884_56 });
        let norm = spec.embedding.norm.unwrap();
        assert_eq!((norm.kind, norm.norm_eps, norm.bias), (NormKind::Layer, 1e-5, true));
        assert!(spec.head.tied);
        let place = |layer, param| place_of(&example("bloom"), layer, param).unwrap();
        let embed_norm = place(None, Param::EmbedNorm(Part::Bias));
        assert_eq!(embed_norm.tensor, "transformer.word_embeddings_layernorm.bias");
        let keys = place(Some(1), Param::KProj(Part::Weight));
        assert_eq!(keys.tensor, "transformer.h.1.self_attention.query_key_value.weight");
        assert_eq!(keys.outputs.unwrap(), [16..32, 64..80, 112..128, 160..176]);
    }

    #[test]
    fn sums_may_start_from_the_normed_stream() {
        let file = with(example("bloom"), json!({ "apply_residual_connection_post_layernorm": true }));
        assert_eq!(spec_of(&file).layers[0].residual, Residual::SequentialFromNorm);
    }

    #[test]
    fn sizes_have_three_sets_of_names() {
        let file = without(example("bloom"), &["hidden_size", "n_head", "n_layer"]);
        let file = with(file, json!({ "n_embed": 48, "num_attention_heads": 6, "num_hidden_layers": 2 }));
        let spec = spec_of(&file);
        assert_eq!((spec.hidden_size, spec.layers.len(), spec.layers[0].attention.num_attention_heads), (48, 2, 6));
    }

    #[test]
    fn the_slow_path_that_drops_biases_is_refused() {
        spec_of(&with(example("bloom"), json!({ "slow_but_exact": true })));
        let file = with(example("bloom"), json!({ "slow_but_exact": true, "pretraining_tp": 4 }));
        let message = message_of(&file);
        assert!(message.contains("slow_but_exact is true; with pretraining_tp above 1"), "{message}");
    }
}
