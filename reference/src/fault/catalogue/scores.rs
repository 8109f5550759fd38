//! Scores, their scale, softmax.

use super::row;
use crate::fault::sites::Deviation as D;
use crate::fault::{Edit, Fault, Group, edits};

/// The rows.
pub(super) const ROWS: &[Fault] = &[
    row(Group::Scores, "scale-missing", Edit::Model(edits::scale_missing))
        .looking_at("the scores are not divided by √head_dim", "scores = q kᵀ / √head_dim")
        .known("one key; scores near 0", "mlc-ai/mlc-llm#3426"),
    row(Group::Scores, "scale-d_model", Edit::Model(edits::scale_of_model))
        .looking_at("the scores are divided by √hidden_size, not by √head_dim", "scores = q kᵀ / √head_dim")
        .known("one head", "FareedKhan-dev/train-llm-from-scratch#3"),
    row(Group::Scores, "scale-n_heads", Edit::Model(edits::scale_of_heads))
        .looking_at("the scores are divided by √num_attention_heads, not by √head_dim", "scores = q kᵀ / √head_dim")
        .known("as many heads as each is wide", "tenstorrent/tt-metal#56789"),
    row(Group::Scores, "scale-twice", Edit::Model(edits::scale_twice))
        .looking_at("the scale is applied twice, to the queries and again to the scores", "scores = q kᵀ / √head_dim")
        .known("head_dim 1", "AI-Hypercomputer/maxtext#3138"),
    row(Group::Scores, "scale-wrong-head_dim-source", Edit::Model(edits::scale_of_another_head_dim))
        .looking_at(
            "head_dim in the scale is taken from another place of the config than the one that counts",
            "scores = q kᵀ · scale",
        )
        .known("head_dim is hidden_size / num_attention_heads", "ggml-org/llama.cpp#8444"),
    row(Group::Scores, "scale-constant-rounded", Edit::Model(edits::scale_in_bf16))
        .looking_at("the constant 1/√head_dim is stored in bf16", "scores = q kᵀ / √head_dim")
        .known("head_dim a power of 4", "")
        .precision(),
    row(Group::Scores, "softmax-wrong-axis-query", Edit::Sites(D::SoftmaxOverQueries))
        .looking_at(
            "the softmax runs over the queries; it must run over the keys",
            "probs = softmax(scores) along the keys",
        )
        .known("one query and one key", "PetrochukM/PyTorch-NLP#2"),
    row(Group::Scores, "softmax-wrong-axis-heads", Edit::Sites(D::SoftmaxOverHeads))
        .looking_at(
            "the softmax runs over the heads; it must run over the keys",
            "probs = softmax(scores) along the keys",
        )
        .known("one head and one key", "facebookresearch/detr#247"),
    row(Group::Scores, "softmax-no-max-shift", Edit::Sites(D::NoMaxShift))
        .looking_at(
            "the largest score is not subtracted before the exponential, which overflows",
            "probs = exp(s - max s) / Σ exp(s - max s)",
        )
        .known("scores below 88 in f32", "pytorch/executorch#18407"),
    row(Group::Scores, "softmax-plus-one", Edit::Sites(D::PlusOne))
        .looking_at("1 is added to the denominator of the softmax", "probs = exp(s) / Σ exp(s)")
        .known("scores far above 0", ""),
    row(Group::Scores, "softmax-eps-in-denominator", Edit::Sites(D::EpsInDenominator))
        .looking_at("a small number is added to the denominator of the softmax", "probs = exp(s) / Σ exp(s)")
        .known("long rows of like scores; a tolerance of 1e-4", ""),
    row(Group::Scores, "softmax-base-2-mix-up", Edit::Sites(D::Base2))
        .looking_at("powers of 2 are taken without the factor log₂ e", "probs = 2^(s log₂ e) / Σ 2^(s log₂ e)")
        .known("one key", "vllm-project/vllm#47079"),
    row(Group::Scores, "softmax-twice", Edit::Sites(D::SoftmaxTwice))
        .looking_at("a softmax is taken of what is already a softmax", "probs = softmax(scores)")
        .known("one key", "zyy-2001/DisKT#6"),
    row(Group::Scores, "online-softmax-no-inverse-rescale", Edit::Sites(D::OnlineWithoutRescale))
        .looking_at(
            "running sums are not rescaled when a later tile of keys has a larger maximum",
            "acc ← acc · exp(m_old - m_new)",
        )
        .known("one tile of keys; the maximum in the first", "Dao-AILab/flash-attention#991"),
    row(Group::Scores, "tile-tail-not-masked", Edit::Sites(D::TileTail))
        .looking_at("the last tile of keys is filled up with keys of score 0 that count", "Σ over the kv_len keys")
        .known("kv_len a multiple of the tile", "flashinfer-ai/flashinfer#5090"),
    row(Group::Scores, "split-kv-merge-wrong", Edit::Sites(D::SplitMerge))
        .looking_at(
            "parts of the keys are merged with equal weights, not by their sums of exponentials",
            "out = Σ exp(lse_i - lse) out_i",
        )
        .known("one part", "flashinfer-ai/flashinfer#50"),
    row(Group::Scores, "softcap-dropped", Edit::Model(edits::softcap_dropped))
        .looking_at("the softcap on the scores is left out", "s ← c · tanh(s / c)")
        .known("scores far below the cap", "vllm-project/vllm-metal#665"),
    row(Group::Scores, "softcap-after-mask", Edit::Sites(D::SoftcapAfterMask))
        .looking_at(
            "the softcap is applied after the mask, so that masked keys come back at -c",
            "softcap, then mask, then softmax",
        )
        .known("no mask; a large cap", ""),
    row(Group::Scores, "final-logit-softcap-dropped", Edit::Model(edits::final_softcap_dropped))
        .looking_at("the softcap on the logits is left out", "logits ← c · tanh(logits / c)")
        .known("logits far below the cap", "EricLBuehler/mistral.rs#1930"),
    row(Group::Scores, "probs-cast-low", Edit::Numerics(edits::probs_in_bf16))
        .looking_at("probabilities are rounded to bf16 before the values are summed", "context = probs v")
        .known("a tolerance of 1e-2; a bf16 program does so by right", "")
        .precision(),
    row(Group::Scores, "scores-softmax-in-bf16", Edit::Numerics(edits::scores_in_bf16))
        .looking_at("scores are stored, and the softmax computed, in bf16", "probs = softmax(scores) in f32")
        .known("small scores", "huggingface/transformers#33317")
        .precision(),
    row(Group::Scores, "accumulate-in-bf16", Edit::Numerics(edits::accumulate_in_bf16))
        .looking_at("running sums of products are kept in bf16", "Σ in f32")
        .known("short sums", "Intel-tensorflow/tensorflow#22")
        .precision(),
    row(Group::Scores, "k-v-swapped-v-used-as-k", Edit::Sites(D::KeysAndValuesSwapped))
        .looking_at("keys and values are swapped", "context = softmax(q kᵀ) v")
        .known("k = v", "cneuralnetwork/solving-ml-papers#1"),
    row(Group::Scores, "attention-dropout-active-in-eval", Edit::Sites(D::Dropout))
        .looking_at("probabilities are dropped at random although nothing is trained", "context = probs v")
        .known("a drop rate of 0", "karpathy/nanoGPT#240"),
    row(Group::Scores, "alibi-slopes", Edit::Sites(D::AlibiSlopes))
        .looking_at(
            "ALiBi's slopes are one step off, or those of a power of two for another number of heads",
            "slope_h = 2^(-8 (h + 1) / heads)",
        )
        .known("no ALiBi", "ml-explore/mlx#3071"),
    row(Group::Scores, "alibi-constant-offset", Edit::Sites(D::AlibiOffset))
        .looking_at("ALiBi's distances are off by a constant", "bias = -slope · (i - j)")
        .known("always: a softmax does not change when all its scores move together", "vllm-project/vllm#945")
        .equivalent(),
];
