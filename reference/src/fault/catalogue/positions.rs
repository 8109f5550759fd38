//! Rotary and learned positions.

use super::row;
use crate::fault::sites::Deviation as D;
use crate::fault::{Edit, Fault, Group, edits};

/// The rows.
pub(super) const ROWS: &[Fault] = &[
    row(Group::Positions, "rope-pairing", Edit::Model(edits::rope_pairing))
        .looking_at(
            "dimensions are paired (2i, 2i+1) where (i, i + half) is meant, or the reverse",
            "(a, b) = (x_i, x_(i + d/2))",
        )
        .known("position 0; rotary_dim 2", "vllm-project/vllm#941"),
    row(Group::Positions, "rope-mixed-conventions", Edit::Sites(D::MixedConventions))
        .looking_at(
            "the table is laid out for one pairing and the rotation made for the other",
            "cos and sin of the pair that is rotated",
        )
        .known("position 0", "raiyanyahya/how-to-train-your-gpt#6"),
    row(Group::Positions, "rope-theta-wrong", Edit::Model(edits::rope_theta))
        .looking_at("the base of the frequencies is another one, usually 10000", "inv_freq = rope_theta^(-2i/d)")
        .known("small positions", "lyogavin/airllm#368"),
    row(Group::Positions, "rope-scaling-ignored", Edit::Model(edits::rope_scaling_ignored))
        .looking_at("rope_scaling of the config is ignored", "inv_freq after scaling")
        .known("no scaling; short sequences", "lablup/mlxcel#1385"),
    row(Group::Positions, "yarn-mscale-missing-or-doubled", Edit::Model(edits::attention_factor_missing))
        .looking_at("YaRN's factor on cosines and sines is left out", "cos · attention_factor")
        .known("a scaling without one", "guoqingbao/xinfer#329"),
    row(Group::Positions, "rope-exponent", Edit::Sites(D::Exponent))
        .looking_at("the exponent of the frequencies is -i/d; it must be -2i/d", "inv_freq = rope_theta^(-2i/d)")
        .known("position 0", "rasbt/LLMs-from-scratch#410"),
    row(Group::Positions, "partial-rotary-dim", Edit::Sites(D::PartialDim))
        .looking_at(
            "the frequencies are those of head_dim; they must be those of rotary_dim",
            "inv_freq = rope_theta^(-2i/rotary_dim)",
        )
        .known("rotary_dim = head_dim", "pie-project/pie#602"),
    row(Group::Positions, "rope-on-wrong-axis", Edit::Sites(D::HeadsAsPositions))
        .looking_at(
            "the rotation is by the number of the head; it must be by the position of the token",
            "angle = position · inv_freq",
        )
        .known("one head at position 0", "mlfoundations/open_lm#4"),
    row(Group::Positions, "rope-only-rotates-first-head-at-t-1", Edit::Sites(D::FirstHeadOnly))
        .looking_at("with one token only the first head is rotated", "q and k of every head")
        .known("calls of several tokens; one head", "oxiglade/mlx-rs#357"),
    row(Group::Positions, "rope-sign-flipped", Edit::Sites(D::SignFlipped))
        .looking_at("the rotation is in the other direction", "(a cos - b sin, b cos + a sin)")
        .known("position 0", "trymirai/lalamo#268"),
    row(Group::Positions, "rope-on-v", Edit::Sites(D::ValuesRotated))
        .looking_at("values are rotated too", "q and k alone are rotated")
        .known("position 0", ""),
    row(Group::Positions, "rope-not-applied-to-k", Edit::Sites(D::KeysNotRotated))
        .looking_at("keys are not rotated", "q and k are rotated")
        .known("position 0", "kvcache-ai/sglang#66"),
    row(Group::Positions, "rope-position-k-off-by-one", Edit::Sites(D::KeysOneAhead))
        .looking_at("keys are rotated to the next position", "one position for q and k of a token")
        .known("never", "fla-org/flash-linear-attention#766"),
    row(Group::Positions, "rope-both-off-by-one", Edit::Sites(D::BothOneAhead))
        .looking_at("all positions are off by one", "only differences of positions count")
        .known("always: a rotation of both leaves their product", "")
        .equivalent(),
    row(Group::Positions, "fused-rope-q-k-halves-crossed", Edit::Sites(D::HalvesCrossed))
        .looking_at(
            "the first half of the queries is taken from the keys before the rotation",
            "q and k rotated each for itself",
        )
        .known("q = k", "hpcaitech/ColossalAI#6429"),
    row(Group::Positions, "positions-restart-at-0-in-decode", Edit::Plan(edits::positions_restart))
        .looking_at("each call counts its positions from 0; decode must go on from past_len", "position = past_len + t")
        .known("one call", "Blaizzy/mlx-vlm#1983"),
    row(Group::Positions, "decode-offset-by-one", Edit::Plan(edits::decode_offset))
        .looking_at("positions after the prompt are one too far", "position = past_len + t")
        .known("one call", "fla-org/flash-linear-attention#766"),
    row(Group::Positions, "left-pad-ignored-in-positions", Edit::Plan(edits::positions_ignored))
        .looking_at("padding on the left is counted as positions", "position = cumsum(attention_mask) - 1")
        .known("no padding; rotary positions alone, where a constant shift does not count", "ndif-team/nnsight#673"),
    row(Group::Positions, "rope-ignores-position_ids", Edit::Plan(edits::positions_ignored))
        .looking_at("position_ids are ignored and counted from 0 instead", "position = position_ids")
        .known("position_ids that count from 0", "NVIDIA/Megatron-LM#453"),
    row(Group::Positions, "rope-cache-keyed-without-offset", Edit::Sites(D::TablesOfOtherOffset))
        .looking_at(
            "tables are found by their length alone and so belong to another offset",
            "angle = (past_len + t) · inv_freq",
        )
        .known("calls of different lengths", "lucidrains/rotary-embedding-torch#11"),
    row(Group::Positions, "eviction-desync", Edit::Plan(edits::positions_of_kept_keys))
        .looking_at("positions are counted from the keys that were kept, not from the start", "position = past_len + t")
        .known("nothing evicted", "rajveer43/VeloxQuant-MLX#389"),
    row(Group::Positions, "rope-positions-in-bf16", Edit::Sites(D::PositionsInBf16))
        .looking_at("positions are rounded to bf16: beyond 256 many become the same", "angle = position · inv_freq")
        .known("positions up to 256", "huggingface/candle#3520"),
    row(Group::Positions, "rope-inv_freq-in-bf16", Edit::Sites(D::FrequenciesInBf16))
        .looking_at("frequencies are rounded to bf16", "inv_freq in f32")
        .known("small positions", "sgl-project/sglang-jax#1472")
        .precision(),
    row(Group::Positions, "rope-cos-sin-in-bf16", Edit::Numerics(edits::tables_in_bf16))
        .looking_at("cosines and sines are rounded to bf16", "cos and sin in f32")
        .known("a bf16 program does so by right", "KellerJordan/modded-nanogpt#39")
        .precision(),
    row(Group::Positions, "learned-position-offset", Edit::Model(edits::learned_position_offset))
        .looking_at("learned positions are read from another row", "P[position]")
        .known("never", "EleutherAI/gpt-neox#650"),
    row(Group::Positions, "qk-norm-order", Edit::Sites(D::QkNormAfterRope))
        .looking_at("queries and keys are normed after the rotation; they must be normed before", "rope(norm(q))")
        .known("a weight that is alike within pairs", "vllm-project/vllm-metal#660"),
];
