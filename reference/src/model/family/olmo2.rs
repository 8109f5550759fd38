//! OLMo2.

use super::names::Names;
use super::parts::{Defaults, Sizes, activation, pre_norm_layer, rms_norm};
use crate::error::Result;
use crate::model::config::Config;
use crate::model::layout::Layout;
use crate::model::spec::{AttentionLayerSpec, LayerSpec, ModelSpec, Position, QkNorm, QkNormOver};
use crate::ops::norm::{Downcast, NormSpec};

const NAMES: Names = Names {
    post_attention_norm: "post_attention_layernorm",
    post_mlp_norm: "post_feedforward_layernorm",
    ..Names::LLAMA
};

/// OLMo2: norms behind the sublayers instead of before them, and over all queries and all keys of a token.
pub(super) fn olmo2(config: &Config<'_>) -> Result<(ModelSpec, Layout)> {
    let sizes = Sizes::read(
        config,
        &Defaults {
            vocab_size: 50_304,
            hidden_size: 4096,
            intermediate_size: 11_008,
            num_hidden_layers: 32,
            num_attention_heads: 32,
            num_key_value_heads: None,
            head_dim: None,
            max_position_embeddings: 2048,
        },
    )?;
    // Unlike Llama's, the weight is applied before the value is rounded.
    let norm_eps = config.norm_eps_or("rms_norm_eps", 1e-5)?;
    let norm = NormSpec { downcast: Downcast::AfterWeight, ..rms_norm(norm_eps) };
    let attention_bias = config.bool_or("attention_bias", false)?;
    let attention = AttentionLayerSpec {
        qkv_bias: attention_bias,
        o_bias: attention_bias,
        qk_norm: Some(QkNorm { norm, over: QkNormOver::AllHeads }),
        position: Position::Rope(sizes.rope(config)?),
        ..sizes.attention()
    };
    let mlp = sizes.gated_mlp(activation(config, "hidden_act", "silu")?);
    let layer = LayerSpec {
        input_norm: None,
        post_attention_norm: Some(norm),
        mlp_norm: None,
        post_mlp_norm: Some(norm),
        ..pre_norm_layer(norm, attention, mlp)
    };
    let tied = config.bool_or("tie_word_embeddings", false)?;
    let spec = sizes.model("olmo2", sizes.repeat(layer), norm, tied);
    let layout = NAMES.layout(&spec);
    Ok((spec, layout))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{example, place_of, spec_of};
    use crate::model::layout::{Param, Part};
    use crate::model::spec::{QkNormOver, Residual};
    use crate::ops::norm::{Downcast, WeightForm};

    #[test]
    fn olmo2_is_read() {
        let spec = spec_of(&example("olmo2"));
        let layer = &spec.layers[0];
        assert_eq!((layer.residual, layer.input_norm, layer.mlp_norm), (Residual::Sequential, None, None));
        let norm = layer.post_attention_norm.unwrap();
        assert_eq!((layer.post_mlp_norm, spec.final_norm), (Some(norm), Some(norm)));
        assert_eq!((norm.weight_form, norm.downcast, norm.norm_eps), (WeightForm::W, Downcast::AfterWeight, 1e-6));
        let qk_norm = layer.attention.qk_norm.unwrap();
        assert_eq!((qk_norm.over, qk_norm.norm), (QkNormOver::AllHeads, norm));
        let place = |param| place_of(&example("olmo2"), Some(0), param).map(|source| source.tensor);
        let behind = place(Param::PostAttentionNorm(Part::Weight)).unwrap();
        assert_eq!(behind, "model.layers.0.post_attention_layernorm.weight");
        let behind = place(Param::PostMlpNorm(Part::Weight)).unwrap();
        assert_eq!(behind, "model.layers.0.post_feedforward_layernorm.weight");
        assert_eq!((place(Param::InputNorm(Part::Weight)), place(Param::MlpNorm(Part::Weight))), (None, None));
    }
}
