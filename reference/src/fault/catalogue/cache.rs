//! Cache and batch.

use super::row;
use crate::fault::sites::Deviation as D;
use crate::fault::{Edit, Fault, Group, edits};

/// The rows.
pub(super) const ROWS: &[Fault] = &[
    row(Group::Cache, "cache-pre-rope-keys", Edit::Sites(D::KeysBeforeRope))
        .looking_at("keys are cached before their rotation and used so", "cache rope(k)")
        .known("one call; position 0", "EleutherAI/gpt-neox#363"),
    row(Group::Cache, "rope-applied-twice-to-cached-k", Edit::Sites(D::KeysRotatedTwice))
        .looking_at("cached keys are rotated again in every call", "cached keys are rotated already")
        .known("one call; position 0", "NeuraLegion/shainet#110"),
    row(Group::Cache, "cache-not-updated", Edit::Sites(D::NotUpdated))
        .looking_at("new keys and values are not kept: later calls find empty slots", "cache ← [cache, k]")
        .known("one call", "wyf3/llm_related#21"),
    row(Group::Cache, "cache-slot-overwritten", Edit::Sites(D::SlotOverwritten))
        .looking_at("a new key is written over the last one", "slot = past_len")
        .known("one call", "EricLBuehler/mistral.rs#300"),
    row(Group::Cache, "v-cache-stale", Edit::Sites(D::ValuesStale))
        .looking_at("keys are appended to the cache, values are not", "cache ← [cache, v]")
        .known("one call", ""),
    row(Group::Cache, "new-k-prepended", Edit::Sites(D::Prepended))
        .looking_at("new keys stand before the old ones", "cat(old, new)")
        .known("one token a call without a window or padding", ""),
    row(Group::Cache, "layer-index-ignored", Edit::Sites(D::LayerZero))
        .looking_at("all layers read the past of layer 0", "cache[layer]")
        .known("one layer; one call", "invergent-ai/surogate#115"),
    row(Group::Cache, "stale-cache-across-requests", Edit::Plan(edits::session_not_cleared))
        .looking_at(
            "the cache is not emptied: the next request sees the last one",
            "a request begins with an empty cache",
        )
        .known("one request", "Lightning-AI/litgpt#1596"),
    row(Group::Cache, "no-cache-path-wrong", Edit::Plan(edits::positions_go_on))
        .looking_at("without a cache, positions go on from the request before", "position = t")
        .known(
            "one request; rotary positions alone, where a constant shift does not count",
            "EricLBuehler/mistral.rs#765",
        ),
    row(Group::Cache, "ring-buffer-order", Edit::Sites(D::RingOrder))
        .looking_at("a ring is read in the order of its slots after it wrapped", "oldest first")
        .known("sequences shorter than the window; keys whose order does not count", "huggingface/transformers#47708"),
    row(Group::Cache, "ring-long-prefill-breaks-causality", Edit::Sites(D::RingOverwritten))
        .looking_at(
            "a prompt longer than the ring overwrites keys that earlier queries still need",
            "each query has its own window",
        )
        .known("prompts within the window", "Lightning-AI/litgpt#2182"),
    row(Group::Cache, "paged-block-table", Edit::Sites(D::PagesInOrder))
        .looking_at("the block table is not read: pages are taken to lie side by side", "row = table[page]")
        .known("one request of one page", "golang-design/accel#10"),
    row(Group::Cache, "cache-dtype-truncated", Edit::Numerics(edits::cache_in_bf16))
        .looking_at("keys and values are stored in bf16", "cache in the format of the model")
        .known("a bf16 program does so by right", "ggml-org/llama.cpp#7859")
        .precision(),
    row(Group::Cache, "batch-leak", Edit::Sites(D::RowZeroKeys))
        .looking_at("all rows of the batch use the keys and values of the first", "k[b]")
        .known("a batch of 1; equal rows", "waybarrios/vllm-mlx#384"),
];
