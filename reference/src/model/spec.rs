//! What a decoder-only model computes: plain data, read from a Hugging Face `config.json` by [`super::family`].
//!
//! One [`ModelSpec`] describes every family. The forward pass reads the spec and nothing else, so a
//! family is a reading of `config.json` and never a second forward pass, and a fault is an edited spec.

use crate::ops::activation::Activation;
use crate::ops::norm::NormSpec;
use crate::ops::rope::{RopeScaling, RopeSpec};

/// A whole model: embedding → layers → final norm → head.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelSpec {
    /// `model_type` of the `config.json`.
    pub model_type: String,
    /// Number of token ids; ids are `0..vocab_size`.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// How token ids become the first residual stream.
    pub embedding: EmbeddingSpec,
    /// The layers in order.
    pub layers: Vec<LayerSpec>,
    /// Norm after the last layer.
    pub final_norm: Option<NormSpec>,
    /// How the residual stream becomes logits.
    pub head: HeadSpec,
}

impl ModelSpec {
    /// Whether the same token is computed differently in a longer call (dynamic and long rotary scaling look at
    /// the largest position of the call). For such a model, prefill in chunks is another function than prefill whole.
    pub fn depends_on_call_length(&self) -> bool {
        self.layers.iter().any(|layer| match &layer.attention.position {
            Position::Rope(rope) => matches!(rope.scaling, RopeScaling::Dynamic { .. } | RopeScaling::LongRope { .. }),
            Position::None | Position::Alibi => false,
        })
    }
}

/// `x = norm(scale · E[ids] + P[positions])`.
#[derive(Debug, Clone, PartialEq)]
pub struct EmbeddingSpec {
    /// Factor on the token embedding (Gemma: √hidden_size, Granite: `embedding_multiplier`).
    pub scale: Option<f64>,
    /// Rows of the learned position table (GPT-2), `None` without one.
    pub learned_positions: Option<usize>,
    /// Norm right after the embedding (BLOOM).
    pub norm: Option<NormSpec>,
}

/// One layer: two sublayers, attention and MLP, on a residual stream.
///
/// Sequential:
/// ```text
/// h = x + residual_scale · post_attention_norm(attention(input_norm(x)))
/// y = h + residual_scale · post_mlp_norm(mlp(mlp_norm(h)))
/// ```
/// Parallel (`mlp_norm: None` means that the MLP reads what attention reads):
/// ```text
/// y = x + attention(input_norm(x)) + mlp(mlp_norm(x))
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct LayerSpec {
    /// How the two sublayers are joined.
    pub residual: Residual,
    /// Norm before attention; `None`: attention reads the residual stream (OLMo2).
    pub input_norm: Option<NormSpec>,
    /// The attention sublayer.
    pub attention: AttentionLayerSpec,
    /// Norm on the output of attention (OLMo2, Gemma2, Gemma3).
    pub post_attention_norm: Option<NormSpec>,
    /// Norm before the MLP.
    pub mlp_norm: Option<NormSpec>,
    /// The MLP sublayer.
    pub mlp: MlpSpec,
    /// Norm on the output of the MLP (OLMo2, Gemma2, Gemma3).
    pub post_mlp_norm: Option<NormSpec>,
    /// Factor on each sublayer's output before it is added (Granite: `residual_multiplier`).
    pub residual_scale: Option<f64>,
}

/// How attention and MLP are joined to the residual stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Residual {
    /// The MLP reads the stream after attention was added.
    Sequential,
    /// As `Sequential`, but each sum starts from the normed stream (BLOOM's `apply_residual_connection_post_layernorm`).
    SequentialFromNorm,
    /// Both read the stream before the layer (GPT-J, GPT-NeoX, Phi, Cohere).
    Parallel,
}

/// Projections, position code, score rule and mask of one attention sublayer.
#[derive(Debug, Clone, PartialEq)]
pub struct AttentionLayerSpec {
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads; query head `h` reads key head `⌊h / (num_attention_heads / num_key_value_heads)⌋`.
    pub num_key_value_heads: usize,
    /// Width of one head.
    pub head_dim: usize,
    /// Whether `q_proj`, `k_proj`, `v_proj` have biases.
    pub qkv_bias: bool,
    /// Whether `o_proj` has a bias.
    pub o_bias: bool,
    /// Norm of queries and keys before the position code.
    pub qk_norm: Option<QkNorm>,
    /// The position code.
    pub position: Position,
    /// Factor on `q·k`, usually `1/√head_dim`.
    pub scale: f64,
    /// `c · tanh(scores / c)` before the mask (Gemma2).
    pub softcap: Option<f64>,
    /// Query `i` sees keys `i - window < j ≤ i` (Mistral, Gemma); `None`: all earlier keys.
    pub sliding_window: Option<usize>,
}

/// Norm of queries and keys.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QkNorm {
    /// The norm.
    pub norm: NormSpec,
    /// What its statistics run over.
    pub over: QkNormOver,
}

/// The axis of a query-key norm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QkNormOver {
    /// Each head alone, one weight `[head_dim]` for all heads (Qwen3, Gemma3, Phi).
    Head,
    /// Each head alone, a weight of its own for each head, `[heads · head_dim]` (Cohere).
    HeadWithOwnWeight,
    /// All heads together, weight `[heads · head_dim]` (OLMo2).
    AllHeads,
}

/// How attention learns of positions.
#[derive(Debug, Clone, PartialEq)]
pub enum Position {
    /// Not in attention (GPT-2 adds a learned table to the embedding).
    None,
    /// Queries and keys are rotated.
    Rope(RopeSpec),
    /// Scores get `-slope · (query position - key position)`.
    Alibi,
}

/// `down(act(gate x) · up x)` or, without a gate, `down(act(up x))`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MlpSpec {
    /// Width between the two projections.
    pub intermediate_size: usize,
    /// The activation function.
    pub activation: Activation,
    /// Whether there is a `gate_proj`.
    pub gated: bool,
    /// Whether the projections have biases.
    pub bias: bool,
}

/// `logits = softcap(scale · (x Wᵀ + b))`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeadSpec {
    /// The head's weight is the token embedding.
    pub tied: bool,
    /// Whether there is a bias (GPT-J, Phi).
    pub bias: bool,
    /// Factor on the logits (Cohere: `logit_scale`; Granite: `1 / logits_scaling`).
    pub scale: Scale,
    /// `c · tanh(logits / c)` (Gemma2).
    pub softcap: Option<f64>,
}

/// A factor, written the way the formula applies it: multiplying by a rounded reciprocal is not dividing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scale {
    /// 1.
    None,
    /// `x · s`.
    Multiply(f64),
    /// `x / s`.
    Divide(f64),
}
