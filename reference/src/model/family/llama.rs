//! Llama and Mistral.

use super::names::Names;
use super::parts::{Defaults, Sizes, activation, one_window, pre_norm_layer, rms_norm};
use crate::error::Result;
use crate::model::config::Config;
use crate::model::layout::Layout;
use crate::model::spec::{AttentionLayerSpec, MlpSpec, ModelSpec, Position};

/// Llama 1 to 3.
pub(super) fn llama(config: &Config<'_>) -> Result<(ModelSpec, Layout)> {
    // Some files say that their rotary pairs are not the interleaved ones of the original weights.
    config.must_be("rope_interleaved", false, "Llama's rotary pairs are half a head apart")?;
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
        ..sizes.attention()
    };
    let mlp = MlpSpec {
        bias: config.bool_or("mlp_bias", false)?,
        ..sizes.gated_mlp(activation(config, "hidden_act", "silu")?)
    };
    let norm = rms_norm(config.norm_eps_or("rms_norm_eps", 1e-6)?);
    let layers = sizes.repeat(pre_norm_layer(norm, attention, mlp));
    let spec = sizes.model("llama", layers, norm, config.bool_or("tie_word_embeddings", false)?);
    let layout = Names::LLAMA.layout(&spec);
    Ok((spec, layout))
}

/// Mistral: Llama without biases, with a window.
pub(super) fn mistral(config: &Config<'_>) -> Result<(ModelSpec, Layout)> {
    let sizes = Sizes::read(
        config,
        &Defaults {
            vocab_size: 32_000,
            hidden_size: 4096,
            intermediate_size: 14_336,
            num_hidden_layers: 32,
            num_attention_heads: 32,
            num_key_value_heads: Some(8),
            head_dim: None,
            max_position_embeddings: 131_072,
        },
    )?;
    config.must_be("attention_bias", false, "Mistral's projections have no bias")?;
    config.must_be("mlp_bias", false, "Mistral's projections have no bias")?;
    // A missing window is 4096; `null` is none.
    let window = config.nullable_usize("sliding_window", Some(4096))?;
    let attention = AttentionLayerSpec {
        position: Position::Rope(sizes.rope(config)?),
        sliding_window: one_window(config, sizes.num_hidden_layers, window)?,
        ..sizes.attention()
    };
    let mlp = sizes.gated_mlp(activation(config, "hidden_act", "silu")?);
    let norm = rms_norm(config.norm_eps_or("rms_norm_eps", 1e-6)?);
    let layers = sizes.repeat(pre_norm_layer(norm, attention, mlp));
    let spec = sizes.model("mistral", layers, norm, config.bool_or("tie_word_embeddings", false)?);
    let layout = Names::LLAMA.layout(&spec);
    Ok((spec, layout))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{example, message_of, place_of, spec_of, with, without};
    use crate::model::layout::{Param, Part, Source};
    use crate::model::spec::{Position, Residual, Scale};
    use crate::ops::activation::Activation;
    use crate::ops::norm::{Downcast, NormKind, WeightForm};
    use crate::ops::rope::{RopeLayout, RopeScaling, RopeSpec};
    use serde_json::json;

    #[test]
    fn llama_is_read() {
        let spec = spec_of(&example("llama"));
        let layer = &spec.layers[2];
        let attention = &layer.attention;
        assert_eq!((attention.num_attention_heads, attention.num_key_value_heads, attention.head_dim), (4, 2, 16));
        assert_eq!(
            (attention.qkv_bias, attention.o_bias, layer.mlp.bias, layer.mlp.gated),
            (false, false, false, true)
        );
        // 1/√16
        assert_eq!((attention.scale, attention.softcap, attention.sliding_window), (0.25, None, None));
        let rope = RopeSpec {
            layout: RopeLayout::HalfSplit,
            rotary_dim: 16,
            rope_theta: 10_000.0,
            scaling: RopeScaling::None,
        };
        assert_eq!(attention.position, Position::Rope(rope));
        assert_eq!((layer.mlp.intermediate_size, layer.mlp.activation), (112, Activation::Silu { alpha: 1.0 }));
        assert_eq!((layer.residual, layer.residual_scale), (Residual::Sequential, None));
        let norm = layer.input_norm.unwrap();
        assert_eq!((norm.kind, norm.norm_eps, norm.bias), (NormKind::Rms, 1e-5, false));
        assert_eq!((norm.weight_form, norm.downcast), (WeightForm::W, Downcast::BeforeWeight));
        assert_eq!((layer.mlp_norm, spec.final_norm), (Some(norm), Some(norm)));
        assert_eq!((layer.post_attention_norm, layer.post_mlp_norm, attention.qk_norm), (None, None, None));
        assert_eq!((spec.embedding.scale, spec.embedding.learned_positions), (None, None));
        assert_eq!((spec.head.tied, spec.head.bias, spec.head.scale), (false, false, Scale::None));
    }

    #[test]
    fn biases_stand_on_all_four_projections_and_on_the_mlp() {
        let file = with(example("llama"), json!({ "attention_bias": true, "mlp_bias": true }));
        let place = |param| place_of(&file, Some(1), param).map(|source| source.tensor);
        assert_eq!(place(Param::OProj(Part::Bias)).unwrap(), "model.layers.1.self_attn.o_proj.bias");
        assert_eq!(place(Param::KProj(Part::Bias)).unwrap(), "model.layers.1.self_attn.k_proj.bias");
        assert_eq!(place(Param::DownProj(Part::Bias)).unwrap(), "model.layers.1.mlp.down_proj.bias");
        assert_eq!(place_of(&example("llama"), Some(1), Param::OProj(Part::Bias)), None);
    }

    #[test]
    fn names_are_hugging_faces() {
        let place = |layer, param| place_of(&example("llama"), layer, param).unwrap();
        let whole = Source::whole;
        assert_eq!(place(None, Param::EmbedTokens), whole("model.embed_tokens.weight"));
        assert_eq!(place(Some(2), Param::GateProj(Part::Weight)), whole("model.layers.2.mlp.gate_proj.weight"));
        let mlp_norm = whole("model.layers.0.post_attention_layernorm.weight");
        assert_eq!(place(Some(0), Param::MlpNorm(Part::Weight)), mlp_norm);
        assert_eq!(place(None, Param::FinalNorm(Part::Weight)), whole("model.norm.weight"));
        assert_eq!(place(None, Param::LmHead(Part::Weight)), whole("lm_head.weight"));
    }

    #[test]
    fn llama_3_1_is_read_in_its_published_spelling() {
        let file = json!({
            "architectures": ["LlamaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
            "bos_token_id": 128_000, "eos_token_id": [128_001, 128_008, 128_009], "hidden_act": "silu",
            "hidden_size": 4096, "initializer_range": 0.02, "intermediate_size": 14_336,
            "max_position_embeddings": 131_072, "mlp_bias": false, "model_type": "llama", "num_attention_heads": 32,
            "num_hidden_layers": 32, "num_key_value_heads": 8, "pretraining_tp": 1, "rms_norm_eps": 1e-5,
            "rope_scaling": {
                "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                "original_max_position_embeddings": 8192, "rope_type": "llama3",
            },
            "rope_theta": 500_000.0, "tie_word_embeddings": false, "torch_dtype": "bfloat16",
            "transformers_version": "4.42.3", "use_cache": true, "vocab_size": 128_256,
        });
        let scaling = RopeScaling::Llama3 {
            factor: 8.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_max_position_embeddings: 8192.0,
        };
        let rope = RopeSpec { layout: RopeLayout::HalfSplit, rotary_dim: 128, rope_theta: 500_000.0, scaling };
        assert_eq!(spec_of(&file).layers[31].attention.position, Position::Rope(rope));
    }

    #[test]
    fn interleaved_pairs_are_refused() {
        let message = message_of(&with(example("llama"), json!({ "rope_interleaved": true })));
        assert!(message.contains("rope_interleaved is true;"), "{message}");
    }

    #[test]
    fn mistral_has_a_window_unless_it_is_null() {
        let window = |file| spec_of(&file).layers[1].attention.sliding_window;
        assert_eq!(window(example("mistral")), Some(8));
        assert_eq!(window(with(example("mistral"), json!({ "sliding_window": null }))), None);
        assert_eq!(window(without(example("mistral"), &["sliding_window"])), Some(4096));
        let message = message_of(&with(example("mistral"), json!({ "sliding_window": 0 })));
        assert!(message.contains("sliding_window is 0; it must be a positive whole number"), "{message}");
    }

    #[test]
    fn mistral_has_no_layers_of_another_kind_and_no_biases() {
        let types = |name: &str| with(example("mistral"), json!({ "layer_types": [name, "sliding_attention", name] }));
        spec_of(&types("sliding_attention"));
        let message = message_of(&types("full_attention"));
        assert!(message.contains("one window, sliding_window, for all layers"), "{message}");
        let message = message_of(&types("chunked_attention"));
        assert!(message.contains("and not \"chunked_attention\""), "{message}");
        let message = message_of(&with(example("mistral"), json!({ "attention_bias": true })));
        assert!(message.contains("attention_bias is true; Mistral's projections have no bias"), "{message}");
    }
}
