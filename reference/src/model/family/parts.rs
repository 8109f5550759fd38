//! Readings which several families share: sizes, norms, activation functions, windows.

use crate::error::Result;
use crate::model::config::{Config, ask};
use crate::model::spec::{
    AttentionLayerSpec, EmbeddingSpec, HeadSpec, LayerSpec, MlpSpec, ModelSpec, Position, Residual, Scale,
};
use crate::num::core_math;
use crate::ops::activation::Activation;
use crate::ops::norm::{Downcast, NormKind, NormSpec, WeightForm};
use crate::ops::rope::{RopeLayout, RopeSpec};

use super::rope::{self, RopeRules};

/// Deeper or wider-split models do not exist, and a mistyped number must not fill the memory with layers.
const MAX_LAYERS: usize = 1024;
const MAX_HEADS: usize = 4096;

/// What Hugging Face's config class of a family says where the file says nothing.
pub(super) struct Defaults {
    pub(super) vocab_size: usize,
    pub(super) hidden_size: usize,
    pub(super) intermediate_size: usize,
    pub(super) num_hidden_layers: usize,
    pub(super) num_attention_heads: usize,
    /// `None`: as many as query heads. A `null` in the file always means that.
    pub(super) num_key_value_heads: Option<usize>,
    /// `None`: `hidden_size / num_attention_heads`. A `null` in the file always means that.
    pub(super) head_dim: Option<usize>,
    pub(super) max_position_embeddings: usize,
}

/// The sizes of a model whose layers are all alike.
pub(super) struct Sizes {
    pub(super) vocab_size: usize,
    pub(super) hidden_size: usize,
    pub(super) intermediate_size: usize,
    pub(super) num_hidden_layers: usize,
    pub(super) num_attention_heads: usize,
    pub(super) num_key_value_heads: usize,
    pub(super) head_dim: usize,
    pub(super) max_position_embeddings: usize,
}

impl Sizes {
    /// Sizes under Llama's names.
    pub(super) fn read(config: &Config<'_>, defaults: &Defaults) -> Result<Self> {
        let num_attention_heads = config.usize_or("num_attention_heads", defaults.num_attention_heads)?;
        let num_key_value_heads = config.nullable_usize("num_key_value_heads", defaults.num_key_value_heads)?;
        let hidden_size = config.usize_or("hidden_size", defaults.hidden_size)?;
        let head_dim = match config.nullable_usize("head_dim", defaults.head_dim)? {
            Some(head_dim) => head_dim,
            None => even_split(hidden_size, num_attention_heads)?,
        };
        let sizes = Self {
            vocab_size: config.usize_or("vocab_size", defaults.vocab_size)?,
            hidden_size,
            intermediate_size: config.usize_or("intermediate_size", defaults.intermediate_size)?,
            num_hidden_layers: config.usize_or("num_hidden_layers", defaults.num_hidden_layers)?,
            num_attention_heads,
            num_key_value_heads: num_key_value_heads.unwrap_or(num_attention_heads),
            head_dim,
            max_position_embeddings: config.usize_or("max_position_embeddings", defaults.max_position_embeddings)?,
        };
        sizes.checked()
    }

    /// The same sizes if heads can be shared out and their number is one of this world.
    pub(super) fn checked(self) -> Result<Self> {
        let Self { num_hidden_layers, num_attention_heads, num_key_value_heads, .. } = self;
        for (name, number, most) in [
            ("layers", num_hidden_layers, MAX_LAYERS),
            ("query heads", num_attention_heads, MAX_HEADS),
            ("key heads", num_key_value_heads, MAX_HEADS),
        ] {
            if number > most {
                return Err(ask(format!("{number} {name}; goldref reads up to {most}")));
            }
        }
        if !num_attention_heads.is_multiple_of(num_key_value_heads) {
            return Err(ask(format!(
                "{num_attention_heads} query heads cannot share {num_key_value_heads} key heads; \
                 num_attention_heads must be a multiple of num_key_value_heads"
            )));
        }
        Ok(self)
    }

    /// Attention without biases, norms, position code or window, scaled by `1/√head_dim`.
    pub(super) fn attention(&self) -> AttentionLayerSpec {
        AttentionLayerSpec {
            num_attention_heads: self.num_attention_heads,
            num_key_value_heads: self.num_key_value_heads,
            head_dim: self.head_dim,
            qkv_bias: false,
            o_bias: false,
            qk_norm: None,
            position: Position::None,
            scale: core_math::rsqrt(self.head_dim as f64),
            softcap: None,
            sliding_window: None,
        }
    }

    /// The rotary embedding of whole heads in pairs half a head apart, `rope_theta` 10000 by default.
    pub(super) fn rope_rules(&self, config: &Config<'_>) -> Result<RopeRules> {
        Ok(RopeRules {
            layout: RopeLayout::HalfSplit,
            rope_theta: 10_000.0,
            partial_rotary_factor: None,
            head_dim: self.head_dim,
            only_longrope: false,
            max_position_embeddings: self.max_position_embeddings,
            original_max_position_embeddings: config.optional_usize("original_max_position_embeddings")?,
        })
    }

    /// That rotary embedding as the file has it.
    pub(super) fn rope(&self, config: &Config<'_>) -> Result<RopeSpec> {
        rope::read(config, self.rope_rules(config)?)
    }

    /// `down(act(gate x) · up x)` without biases.
    pub(super) fn gated_mlp(&self, activation: Activation) -> MlpSpec {
        MlpSpec { intermediate_size: self.intermediate_size, activation, gated: true, bias: false }
    }

    /// A model of these layers with a final norm: plain embedding, plain head.
    pub(super) fn model(
        &self,
        model_type: &str,
        layers: Vec<LayerSpec>,
        final_norm: NormSpec,
        tied: bool,
    ) -> ModelSpec {
        ModelSpec {
            model_type: model_type.to_owned(),
            vocab_size: self.vocab_size,
            hidden_size: self.hidden_size,
            embedding: EmbeddingSpec { scale: None, learned_positions: None, norm: None },
            layers,
            final_norm: Some(final_norm),
            head: HeadSpec { tied, bias: false, scale: Scale::None, softcap: None },
        }
    }

    /// `layer` for each layer.
    pub(super) fn repeat(&self, layer: LayerSpec) -> Vec<LayerSpec> {
        vec![layer; self.num_hidden_layers]
    }
}

/// `hidden_size / num_attention_heads`, which must come out even.
pub(super) fn even_split(hidden_size: usize, num_attention_heads: usize) -> Result<usize> {
    if !hidden_size.is_multiple_of(num_attention_heads) {
        return Err(ask(format!(
            "hidden_size {hidden_size} is not a multiple of num_attention_heads {num_attention_heads}"
        )));
    }
    Ok(hidden_size / num_attention_heads)
}

/// Norm, attention, sum, norm, MLP, sum.
pub(super) fn pre_norm_layer(norm: NormSpec, attention: AttentionLayerSpec, mlp: MlpSpec) -> LayerSpec {
    LayerSpec {
        residual: Residual::Sequential,
        input_norm: Some(norm),
        attention,
        post_attention_norm: None,
        mlp_norm: Some(norm),
        mlp,
        post_mlp_norm: None,
        residual_scale: None,
    }
}

/// Llama's RMSNorm: rounded to the activation dtype before the weight.
pub(super) fn rms_norm(norm_eps: f64) -> NormSpec {
    NormSpec {
        kind: NormKind::Rms,
        norm_eps,
        weight_form: WeightForm::W,
        downcast: Downcast::BeforeWeight,
        weight: true,
        bias: false,
    }
}

/// `torch.nn.LayerNorm` with weight and bias: rounded once, at its end.
pub(super) fn layer_norm(norm_eps: f64) -> NormSpec {
    NormSpec { kind: NormKind::Layer, downcast: Downcast::AfterWeight, bias: true, ..rms_norm(norm_eps) }
}

/// The activation function named by `key`.
pub(super) fn activation(config: &Config<'_>, key: &str, default: &'static str) -> Result<Activation> {
    let name = config.string_or(key, default)?;
    activation_by_name(name).ok_or_else(|| {
        let known = "gelu, gelu_new, gelu_pytorch_tanh, gelu_fast, quick_gelu, silu, swish and relu";
        config.refuse(key, format!("goldref knows {known}"))
    })
}

/// The activation function that Hugging Face calls `name`.
pub(super) fn activation_by_name(name: &str) -> Option<Activation> {
    Some(match name {
        "gelu" | "gelu_python" => Activation::GeluErf,
        "gelu_new" | "gelu_pytorch_tanh" | "gelu_python_tanh" | "gelu_accurate" => Activation::GeluTanh,
        // √(2/π) as Hugging Face wrote it down there.
        "gelu_fast" => Activation::GeluTanhShort { root: 0.797_884_560_8 },
        "quick_gelu" => Activation::GeluQuick,
        "silu" | "swish" => Activation::Silu { alpha: 1.0 },
        "relu" => Activation::Relu,
        _ => return None,
    })
}

/// The window of each layer: `window` where `layer_types` (or, without it, `slides`) says `sliding_attention`.
/// `switch` is the key to blame where there is none.
pub(super) fn windows(
    config: &Config<'_>,
    num_hidden_layers: usize,
    (switch, window): (&str, Option<usize>),
    slides: &dyn Fn(usize) -> bool,
) -> Result<Vec<Option<usize>>> {
    let sliding = sliding_layers(config, num_hidden_layers, slides)?;
    if window.is_none() && sliding.contains(&true) {
        return Err(config.refuse(switch, "there are layers of sliding_attention, and they need a window"));
    }
    Ok(sliding.into_iter().map(|slides| window.filter(|_| slides)).collect())
}

/// Which layers are of `sliding_attention`.
pub(super) fn sliding_layers(
    config: &Config<'_>,
    num_hidden_layers: usize,
    slides: &dyn Fn(usize) -> bool,
) -> Result<Vec<bool>> {
    let Some(types) = config.optional_strings("layer_types")? else {
        return Ok((0..num_hidden_layers).map(slides).collect());
    };
    if types.len() != num_hidden_layers {
        let why = format!("it has {} names for {num_hidden_layers} layers", types.len());
        return Err(config.refuse("layer_types", why));
    }
    let one = |name: &str| match name {
        "sliding_attention" => Ok(true),
        // "attention" is the old name.
        "full_attention" | "attention" => Ok(false),
        other => {
            let why = format!("goldref knows full_attention and sliding_attention, and not \"{other}\"");
            Err(config.refuse("layer_types", why))
        }
    };
    types.into_iter().map(one).collect()
}

/// One window for all layers, as Mistral and Phi-3 have it: Hugging Face's models of these two do not look at
/// `layer_types`, so a list that says something else is refused.
pub(super) fn one_window(
    config: &Config<'_>,
    num_hidden_layers: usize,
    window: Option<usize>,
) -> Result<Option<usize>> {
    let sliding = sliding_layers(config, num_hidden_layers, &|_| window.is_some())?;
    if sliding.iter().any(|slides| *slides != window.is_some()) {
        return Err(config.refuse("layer_types", "this family has one window, sliding_window, for all layers"));
    }
    Ok(window)
}
