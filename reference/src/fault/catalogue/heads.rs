//! Heads, layout, projections.

use super::row;
use crate::fault::sites::Deviation as D;
use crate::fault::{Edit, Fault, Group, edits};

/// The rows.
pub(super) const ROWS: &[Fault] = &[
    row(Group::Heads, "gqa-tile-vs-repeat", Edit::Sites(D::HeadsTiled))
        .looking_at("query head h reads key head h mod groups; it must read ⌊h / (heads / groups)⌋", "key head = ⌊h / (heads / kv_heads)⌋")
        .known("as many key heads as heads; one key head", "onnx/onnx#7274"),
    row(Group::Heads, "gqa-all-use-head-0", Edit::Sites(D::HeadZero))
        .looking_at("all query heads read key head 0", "key head = ⌊h / (heads / kv_heads)⌋")
        .known("one key head", "PSAL-POSTECH/ONNXim#34"),
    row(Group::Heads, "gqa-repeat-on-wrong-dim", Edit::Sites(D::RepeatedAlongTokens))
        .looking_at("key heads are repeated along the tokens; they must be repeated along the heads", "repeat_interleave(k, groups, dim=1)")
        .known("as many key heads as heads", "PrimeIntellect-ai/prime-rl#2681"),
    row(Group::Heads, "qkv-split-order-layout", Edit::Model(edits::qkv_order))
        .looking_at("the packed q, k, v weight is cut in another order than it was packed", "[q, k, v] by blocks, or head by head")
        .known("one head", "tenstorrent/tt-metal#6243"),
    row(Group::Heads, "view-without-transpose", Edit::Sites(D::SplitWithoutTranspose))
        .looking_at("heads are split by a view without moving the axis: tokens get mixed", "view(b, t, h, d).transpose(1, 2)")
        .known("one head or one token", "reczoo/FuxiCTR#30"),
    row(Group::Heads, "merge-without-transpose", Edit::Sites(D::MergedWithoutTranspose))
        .looking_at("heads are merged by a view without moving the axis back: tokens get mixed", "transpose(1, 2).reshape(b, t, h·d)")
        .known("one head or one token", "jsbaan/transformer-from-scratch#6"),
    row(Group::Heads, "weight-transposed", Edit::Model(edits::weight_transposed))
        .looking_at("x W is computed where x Wᵀ is meant", "y = x Wᵀ")
        .known("a symmetric weight", "nntile/nntile#402"),
    row(Group::Heads, "output-projection-missing", Edit::Model(edits::no_output_projection))
        .looking_at("the heads are not projected by o_proj", "out = W_o context")
        .known("W_o = I", "Kyubyong/transformer#117"),
    row(Group::Heads, "same-projection-for-all-heads", Edit::Model(edits::same_projection))
        .looking_at("all heads use the projection of one", "a part of W_q, W_k, W_v for each head")
        .known("one head", "MarcoMeter/episodic-transformer-memory-ppo#22"),
    row(Group::Heads, "qkv-bias-dropped", Edit::Model(edits::qkv_bias_dropped))
        .looking_at("the biases of q_proj, k_proj and v_proj are not added", "q = W_q x + b_q")
        .known("no biases", "sbryngelson/ANEForge#253"),
    row(Group::Heads, "tied-untied-head-confusion", Edit::Model(edits::other_head))
        .looking_at("logits come from the embedding although the head has weights of its own, or from a head that was never loaded although it is tied", "logits = W_head x; W_head = E where tied")
        .known("a head equal to the embedding", "huggingface/candle#2930"),
    row(Group::Heads, "embedding-scale-missing", Edit::Model(edits::embedding_scale_missing))
        .looking_at("embeddings are not scaled by √hidden_size", "x = √hidden_size · E[ids]")
        .known("no scale", "TensorAuto/OpenTau#179"),
    row(Group::Heads, "embedding-scale-rounding", Edit::Model(edits::embedding_scale_in_bf16))
        .looking_at("the scale of embeddings is rounded to bf16", "x = √hidden_size · E[ids]")
        .known("√hidden_size is a bf16 number", "huggingface/transformers#29402").precision(),
];
