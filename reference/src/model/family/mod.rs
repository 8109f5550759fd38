//! The families: one row each, and a reading of `config.json` instead of a second forward pass.
//!
//! A family turns a [`Config`] into a [`ModelSpec`] and the [`Layout`] of its checkpoint. It knows JSON keys and
//! tensor names; it knows nothing of arrays, files or arithmetic.

use serde_json::{Map, Value};

use crate::error::Result;
use crate::model::config::Config;
use crate::model::layout::Layout;
use crate::model::spec::ModelSpec;

mod bloom;
mod cohere;
mod gemma;
mod glm;
mod gpt2;
mod gpt_neox;
mod gptj;
mod granite;
mod llama;
mod names;
mod olmo2;
mod parts;
mod phi;
mod phi3;
mod qwen;
mod rope;
#[cfg(test)]
mod tests;

/// What a checkpoint's `model_type` means.
pub struct Family {
    /// `model_type` of the `config.json`.
    pub model_type: &'static str,
    /// The classes of Hugging Face whose checkpoints are read, as `architectures` names them.
    pub architectures: &'static [&'static str],
    /// One line about it.
    pub about: &'static str,
    /// What the names of all tensors but the head's begin with; checkpoints of the model without its head
    /// (and the first GPT-2 and BLOOM files) leave it out.
    pub prefix: &'static str,
    /// `(other name, name)` of a field with two names.
    aliases: &'static [(&'static str, &'static str)],
    /// Keys of this family's files that change nothing.
    neutral: &'static [&'static str],
    read: fn(&Config<'_>) -> Result<(ModelSpec, Layout)>,
}

/// Other names of the sizes of GPT-2 and GPT-J.
const GPT_ALIASES: &[(&str, &str)] = &[
    ("hidden_size", "n_embd"),
    ("num_attention_heads", "n_head"),
    ("num_hidden_layers", "n_layer"),
    ("max_position_embeddings", "n_positions"),
];

/// Keys of the classification heads of GPT-2 and GPT-J, and of their attention's speed.
const GPT_NEUTRAL: &[&str] = &[
    "n_ctx",
    "reorder_and_upcast_attn",
    "summary_activation",
    "summary_first_dropout",
    "summary_proj_to_labels",
    "summary_type",
    "summary_use_proj",
];

/// Keys of Llama-like files: how the weights were split in training, and where the file came from.
const LLAMA_NEUTRAL: &[&str] = &["is_llama_config", "pretraining_tp"];

const BLOOM_NEUTRAL: &[&str] = &[
    "attention_softmax_in_fp32",
    "bias_dropout_fusion",
    "masked_softmax_fusion",
    "offset_alibi",
    "seq_length",
    "skip_bias_add",
    "skip_bias_add_qkv",
];

/// Every family, sorted by `model_type`.
pub const ALL: &[Family] = &[
    Family {
        model_type: "bloom",
        architectures: &["BloomForCausalLM"],
        about: "BLOOM: ALiBi, LayerNorm, a norm behind the embedding",
        prefix: "transformer.",
        aliases: &[("n_embed", "hidden_size"), ("num_attention_heads", "n_head"), ("num_hidden_layers", "n_layer")],
        neutral: BLOOM_NEUTRAL,
        read: bloom::bloom,
    },
    Family {
        model_type: "cohere",
        architectures: &["CohereForCausalLM"],
        about: "Command R: parallel sublayers, interleaved rotary pairs, scaled logits, optional norms of queries and keys",
        prefix: "model.",
        aliases: &[],
        neutral: LLAMA_NEUTRAL,
        read: cohere::cohere,
    },
    Family {
        model_type: "gemma",
        architectures: &["GemmaForCausalLM"],
        about: "Gemma: norm weights 1 + w, scaled embedding, GeGLU",
        prefix: "model.",
        aliases: &[],
        neutral: &[],
        read: gemma::gemma,
    },
    Family {
        model_type: "gemma2",
        architectures: &["Gemma2ForCausalLM"],
        about: "Gemma2: four norms a layer, alternating windows, capped scores and logits",
        prefix: "model.",
        aliases: &[],
        neutral: &[],
        read: gemma::gemma2,
    },
    Family {
        model_type: "gemma3_text",
        architectures: &["Gemma3ForCausalLM"],
        about: "Gemma3's text model: norms of queries and keys, a rotary embedding for each kind of layer",
        prefix: "model.",
        aliases: &[],
        neutral: &["_sliding_window_pattern"],
        read: gemma::gemma3_text,
    },
    Family {
        model_type: "glm",
        architectures: &["GlmForCausalLM"],
        about: "GLM-4: interleaved partial rotary embedding, one tensor for gate and up",
        prefix: "model.",
        aliases: &[],
        neutral: &[],
        read: glm::glm,
    },
    Family {
        model_type: "gpt2",
        architectures: &["GPT2LMHeadModel"],
        about: "GPT-2: learned positions, LayerNorm, matrices stored as [in, out]",
        prefix: "transformer.",
        aliases: GPT_ALIASES,
        neutral: GPT_NEUTRAL,
        read: gpt2::gpt2,
    },
    Family {
        model_type: "gpt_neox",
        architectures: &["GPTNeoXForCausalLM"],
        about: "GPT-NeoX and Pythia: parallel or sequential sublayers, partial rotary embedding, biases",
        prefix: "gpt_neox.",
        aliases: &[],
        neutral: &[],
        read: gpt_neox::gpt_neox,
    },
    Family {
        model_type: "gptj",
        architectures: &["GPTJForCausalLM"],
        about: "GPT-J: parallel sublayers, interleaved partial rotary embedding, a bias on the head",
        prefix: "transformer.",
        aliases: GPT_ALIASES,
        neutral: GPT_NEUTRAL,
        read: gptj::gptj,
    },
    Family {
        model_type: "granite",
        architectures: &["GraniteForCausalLM"],
        about: "Granite: Llama with factors on embedding, scores, sublayers and logits",
        prefix: "model.",
        aliases: &[],
        neutral: LLAMA_NEUTRAL,
        read: granite::granite,
    },
    Family {
        model_type: "llama",
        architectures: &["LlamaForCausalLM"],
        about: "Llama 1 to 3: RMSNorm, rotary embedding, SwiGLU, grouped queries",
        prefix: "model.",
        aliases: &[],
        neutral: LLAMA_NEUTRAL,
        read: llama::llama,
    },
    Family {
        model_type: "mistral",
        architectures: &["MistralForCausalLM"],
        about: "Mistral: Llama without biases, with a window",
        prefix: "model.",
        aliases: &[],
        neutral: LLAMA_NEUTRAL,
        read: llama::mistral,
    },
    Family {
        model_type: "olmo2",
        architectures: &["Olmo2ForCausalLM"],
        about: "OLMo2: norms behind the sublayers, and over all queries and all keys",
        prefix: "model.",
        aliases: &[],
        neutral: LLAMA_NEUTRAL,
        read: olmo2::olmo2,
    },
    Family {
        model_type: "phi",
        architectures: &["PhiForCausalLM"],
        about: "Phi 1 to 2: parallel sublayers, partial rotary embedding, biases everywhere",
        prefix: "model.",
        aliases: &[],
        neutral: &[],
        read: phi::phi,
    },
    Family {
        model_type: "phi3",
        architectures: &["Phi3ForCausalLM"],
        about: "Phi-3: Llama with fused projections and longrope",
        prefix: "model.",
        aliases: &[],
        neutral: &[],
        read: phi3::phi3,
    },
    Family {
        model_type: "qwen2",
        architectures: &["Qwen2ForCausalLM"],
        about: "Qwen2: Llama with biases on queries, keys and values, windows in the later layers",
        prefix: "model.",
        aliases: &[],
        neutral: &[],
        read: qwen::qwen2,
    },
    Family {
        model_type: "qwen3",
        architectures: &["Qwen3ForCausalLM"],
        about: "Qwen3: norms of queries and keys",
        prefix: "model.",
        aliases: &[],
        neutral: &[],
        read: qwen::qwen3,
    },
];

/// Families with several experts a layer, which are refused with their reason.
const MIXTURES: &[&str] = &[
    "dbrx",
    "deepseek_v2",
    "deepseek_v3",
    "glm4_moe",
    "gpt_oss",
    "granitemoe",
    "jetmoe",
    "llama4",
    "llama4_text",
    "minimax",
    "mixtral",
    "olmoe",
    "phimoe",
    "qwen2_moe",
    "qwen3_moe",
];

impl Family {
    /// The family that `config` names.
    ///
    /// # Errors
    /// A missing or unknown `model_type`, or `architectures` of another class than the language model's.
    pub fn of(config: &Map<String, Value>) -> Result<&'static Self> {
        let file = Config::new(config);
        let known = || ALL.iter().map(|family| family.model_type).collect::<Vec<_>>().join(", ");
        let Some(model_type) = file.optional_string("model_type")? else {
            return Err(file.refuse("model_type", format!("it must be one of {}", known())));
        };
        let Some(family) = ALL.iter().find(|family| family.model_type == model_type) else {
            let why = if MIXTURES.contains(&model_type) { "goldref does not read mixtures of experts; " } else { "" };
            return Err(file.refuse("model_type", format!("{why}goldref reads {}", known())));
        };
        let architectures = file.optional_strings("architectures")?.unwrap_or_default();
        if architectures.iter().any(|name| !family.architectures.contains(name)) {
            let readable = family.architectures.join(" or ");
            return Err(file.refuse("architectures", format!("of {model_type}, goldref reads only {readable}")));
        }
        Ok(family)
    }

    /// What a file of this family says.
    pub fn read(&self, config: &Map<String, Value>) -> Result<(ModelSpec, Layout)> {
        let config = Config::with_aliases(config, self.aliases);
        config.refuse_other_mathematics()?;
        let read = (self.read)(&config)?;
        config.finish(self.neutral)?;
        Ok(read)
    }
}

/// The model that `config`, the object of a `config.json`, describes, and where its weights stand.
///
/// # Errors
/// An unknown family, a value that makes no sense or that goldref does not compute, and any key that it does not
/// know: each refused by name.
pub fn read(config: &Map<String, Value>) -> Result<(ModelSpec, Layout)> {
    Family::of(config)?.read(config)
}

/// `layout` for a checkpoint whose tensors lack the family's `prefix`.
#[must_use]
pub fn without_prefix(mut layout: Layout, prefix: &str) -> Layout {
    for (_, _, source) in &mut layout.sources {
        if let Some(rest) = source.tensor.strip_prefix(prefix) {
            source.tensor = rest.to_owned();
        }
    }
    layout
}
