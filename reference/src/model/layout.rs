//! Where a checkpoint keeps each weight: the other half of reading a family.
//!
//! Families differ in tensor names, in orientation (GPT-2 stores `[in, out]`) and in fused projections
//! (one `qkv` tensor, rows per part or per head). A [`Layout`] says it as data, so that loading is one loop.

use std::ops::Range;

/// A weight of the model under its canonical name: Hugging Face's Llama names, extended where Llama has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Param {
    /// Token embedding `[vocab_size, hidden_size]`.
    EmbedTokens,
    /// Learned positions `[rows, hidden_size]`.
    EmbedPositions,
    /// Norm after the embedding.
    EmbedNorm(Part),
    /// Norm before attention.
    InputNorm(Part),
    /// Query projection `[heads · head_dim, hidden_size]`.
    QProj(Part),
    /// Key projection `[kv_heads · head_dim, hidden_size]`.
    KProj(Part),
    /// Value projection `[kv_heads · head_dim, hidden_size]`.
    VProj(Part),
    /// Output projection `[hidden_size, heads · head_dim]`.
    OProj(Part),
    /// Norm of queries.
    QNorm(Part),
    /// Norm of keys.
    KNorm(Part),
    /// Norm on the output of attention.
    PostAttentionNorm(Part),
    /// Norm before the MLP.
    MlpNorm(Part),
    /// Gate projection `[intermediate_size, hidden_size]`.
    GateProj(Part),
    /// Up projection `[intermediate_size, hidden_size]`.
    UpProj(Part),
    /// Down projection `[hidden_size, intermediate_size]`.
    DownProj(Part),
    /// Norm on the output of the MLP.
    PostMlpNorm(Part),
    /// Norm after the last layer.
    FinalNorm(Part),
    /// Head `[vocab_size, hidden_size]`.
    LmHead(Part),
}

/// Weight or bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// The weight.
    Weight,
    /// The bias.
    Bias,
}

/// Where one weight stands in the checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Name of the tensor.
    pub tensor: String,
    /// Order of a matrix's axes; [`Orientation::OutIn`] for vectors too.
    pub orientation: Orientation,
    /// The part of a fused tensor's output axis that is this weight, in order; `None`: all of it.
    pub outputs: Option<Vec<Range<usize>>>,
}

impl Source {
    /// A tensor of its own, `[out, in]`, as `torch.nn.Linear` stores it.
    pub fn whole(tensor: impl Into<String>) -> Self {
        Self { tensor: tensor.into(), orientation: Orientation::OutIn, outputs: None }
    }
}

/// Order of a matrix's axes in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Orientation {
    /// `[out, in]`: `y = x Wᵀ` (`torch.nn.Linear`).
    OutIn,
    /// `[in, out]`: `y = x W` (GPT-2's `Conv1D`).
    InOut,
}

/// Where every weight of a model stands.
#[derive(Debug, Clone, Default)]
pub struct Layout {
    /// `(layer, weight, place)`; the layer is `None` for weights outside the layers.
    pub sources: Vec<(Option<usize>, Param, Source)>,
    /// Tensors that a checkpoint of this family may hold and that do not change the mathematics
    /// (rotary tables, causal masks, a stored copy of a tied head); `*` stands for any run of characters.
    pub ignored: Vec<&'static str>,
}
