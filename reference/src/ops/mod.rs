//! The operations: one file each, formula and shapes in its doc, code in the order of the formula.
//!
//! This is the text to read when in doubt about the mathematics. Everything is generic over f64 and f32
//! and built from the scalars of [`crate::num`] and the products of [`crate::linalg`]; values that are
//! stored pass a site of the [`Evaluator`], which rounds them as the numerics say. Knows nothing of
//! models, suites or verdicts.
//!
//! Shapes: `[batch, num_heads, q_len, head_dim]` for queries, `[batch, num_key_value_heads, kv_len, head_dim]`
//! for keys, the last axis is the one that a token-wise operation works on.

pub mod activation;
pub mod alibi;
pub mod attention;
pub mod embedding;
mod encoder_decoder;
pub mod linear;
pub mod mask;
pub mod matmul;
pub mod multihead_attention;
pub mod norm;
mod parameters;
pub(crate) mod question;
pub mod rope;
pub mod softmax;
pub mod tensor_scatter;
pub mod weight;

pub(crate) use question::refuse_positions;
pub use question::{Answer, Question};

use crate::error::{Error, Result};
use crate::eval::{Evaluator, matches_pattern};
use crate::num::Dtype;

/// How an operation is asked: case parameters and arrays in, named arrays out.
type Ask = fn(&Question<'_>, &mut Evaluator<'_>) -> Result<Answer>;

/// A row of the table of operations.
#[derive(Debug, Clone, Copy)]
pub struct Op {
    /// Name in a case file.
    pub name: &'static str,
    /// One line for people.
    pub about: &'static str,
    /// Names of the arrays it takes, the optional ones included (`*`: any run of characters); any other name is refused.
    pub inputs: &'static [&'static str],
    /// The operation in f64.
    pub ask_f64: Ask,
    /// The operation in f32.
    pub ask_f32: Ask,
}

macro_rules! op {
    ($name:literal, $about:literal, [$($input:literal),*], $($ask:tt)+) => {
        Op {
            name: $name,
            about: $about,
            inputs: &[$($input),*],
            ask_f64: $($ask)+::<f64>,
            ask_f32: $($ask)+::<f32>,
        }
    };
}

/// Every operation a case can ask for, besides whole models.
pub const ALL: &[Op] = &[
    op!("linear", "y = x Wᵀ + b", ["x", "weight", "bias"], linear::ask),
    op!("matmul", "NumPy's matmul, batches broadcast", ["a", "b"], matmul::ask),
    op!("gemm", "y = alpha · a b + beta · c", ["a", "b", "c"], matmul::ask_gemm),
    op!("softmax", "probabilities along one axis", ["x"], softmax::ask),
    op!("log_softmax", "their logarithms", ["x"], softmax::ask_log),
    op!("rms_norm", "root-mean-square norm", ["x", "weight"], norm::ask_rms),
    op!("layer_norm", "mean-and-variance norm", ["x", "weight", "bias"], norm::ask_layer),
    op!("gelu", "Gaussian error linear unit: erf, tanh or quick", ["x"], activation::ask_gelu),
    op!("silu", "x · sigmoid(alpha · x)", ["x"], activation::ask_silu),
    op!("relu", "max(x, 0)", ["x"], activation::ask_relu),
    op!("swiglu", "silu(gate) · up", ["gate", "up"], activation::ask_swiglu),
    op!("geglu", "gelu(gate) · up", ["gate", "up"], activation::ask_geglu),
    op!("embedding", "rows of a table, scaled or not", ["input_ids", "weight"], embedding::ask),
    op!("rope", "rotary position embedding", ["x", "position_ids", "cos_cache", "sin_cache"], rope::ask),
    op!("alibi", "linear position biases", ["q_positions", "kv_positions"], alibi::ask),
    op!("mask", "which key a query may attend to", ["attention_mask"], mask::ask),
    op!(
        "attention",
        "scores → softcap → mask → softmax → context",
        ["q", "k", "v", "past_key", "past_value", "attn_mask", "attention_mask", "kv_lens", "sinks"],
        attention::ask
    ),
    op!(
        "tensor_scatter",
        "writes new rows into a cache",
        ["past_cache", "update", "write_indices"],
        tensor_scatter::ask
    ),
    op!(
        "multihead_attention",
        "torch.nn.MultiheadAttention",
        [
            "query",
            "key",
            "value",
            "in_proj_weight",
            "q_proj_weight",
            "k_proj_weight",
            "v_proj_weight",
            "in_proj_bias",
            "out_proj.weight",
            "out_proj.bias",
            "bias_k",
            "bias_v",
            "attn_mask",
            "key_padding_mask"
        ],
        multihead_attention::ask
    ),
    op!(
        "encoder_layer",
        "torch.nn.TransformerEncoderLayer, or a stack of them",
        [
            "src",
            "src_mask",
            "src_key_padding_mask",
            "self_attn.*",
            "linear1.*",
            "linear2.*",
            "norm1.*",
            "norm2.*",
            "layers.*",
            "norm.*"
        ],
        encoder_decoder::ask_encoder
    ),
    op!(
        "decoder_layer",
        "torch.nn.TransformerDecoderLayer",
        [
            "tgt",
            "memory",
            "tgt_mask",
            "tgt_key_padding_mask",
            "memory_mask",
            "memory_key_padding_mask",
            "self_attn.*",
            "multihead_attn.*",
            "linear1.*",
            "linear2.*",
            "norm1.*",
            "norm2.*",
            "norm3.*"
        ],
        encoder_decoder::ask_decoder
    ),
];

impl Op {
    /// Asks the operation in the scalar of the numerics.
    ///
    /// # Errors
    /// Arrays or parameters that it does not know or that do not fit.
    pub fn ask(&self, question: &Question, eval: &mut Evaluator) -> Result<Answer> {
        let known = |name: &str| self.inputs.iter().any(|input| matches_pattern(input, name));
        if let Some(unknown) = question.arrays.keys().find(|name| !known(name)) {
            return Err(Error::ask(format!(
                "{} takes no array \"{unknown}\"; it takes {}",
                self.name,
                self.inputs.join(", ")
            )));
        }
        match eval.numerics().arithmetic {
            Dtype::F64 => (self.ask_f64)(question, eval),
            _ => (self.ask_f32)(question, eval),
        }
    }
}

/// The row of an operation.
pub fn find(name: &str) -> Option<&'static Op> {
    ALL.iter().find(|op| op.name == name)
}
