//! Which keys are seen.

use super::row;
use crate::fault::sites::Deviation as D;
use crate::fault::{Edit, Fault, Group, edits};

/// The rows.
pub(super) const ROWS: &[Fault] = &[
    row(Group::Masks, "mask-top-left", Edit::Sites(D::TopLeft))
        .looking_at(
            "your causal mask is aligned top-left; in decode it must be aligned to the end of the keys",
            "j ≤ i + kv_len - q_len",
        )
        .known("as many queries as keys", "pytorch/pytorch#103082"),
    row(Group::Masks, "mask-strict", Edit::Sites(D::Strict))
        .looking_at("a query does not see its own key", "j ≤ i, not j < i")
        .known("never", ""),
    row(Group::Masks, "mask+1", Edit::Sites(D::NextToken))
        .looking_at("a query sees the key after its own", "j ≤ i, not j ≤ i + 1")
        .known("the last query alone", "RVC-Boss/GPT-SoVITS#965"),
    row(Group::Masks, "mask-none", Edit::Sites(D::NoCausality))
        .looking_at("there is no causal mask", "j ≤ i + past_len")
        .known("one query at a time", "keras-team/keras#23038"),
    row(Group::Masks, "mask-skipped-when-cache-present", Edit::Sites(D::NoCausalityWithCache))
        .looking_at("there is no causal mask in calls that have a cache behind them", "j ≤ i + past_len")
        .known("one token a call after the prompt", "Mikyx-1/TinyLLM#18"),
    row(Group::Masks, "mask-skipped-on-later-chunks", Edit::Sites(D::NoCausalityWithCache))
        .looking_at("there is no causal mask in later chunks of a prompt", "j ≤ i + past_len")
        .known("one call, then one token a call", "huggingface/candle#3743"),
    row(Group::Masks, "mask-finite-small", Edit::Sites(D::FillMinusTen))
        .looking_at("masked scores get a small finite number such as -10; they must get -∞", "s = -∞ where masked")
        .known("scores that lie close together", "openai/gpt-2#122"),
    row(Group::Masks, "mask-1e4-fill", Edit::Sites(D::FillMinusTenThousand))
        .looking_at("masked scores get -10000", "s = -∞ where masked")
        .known("always, but for scores near 10000 and rows without a key", "huggingface/transformers#17306")
        .equivalent(),
    row(Group::Masks, "mask-multiplied", Edit::Sites(D::Multiplied))
        .looking_at("scores are multiplied by the mask: masked keys have score 0 and a weight", "s = -∞ where masked")
        .known("never", "timeseriesAI/tsai#171"),
    row(Group::Masks, "mask-after-softmax-no-renorm", Edit::Sites(D::AfterSoftmax))
        .looking_at("probabilities are masked after the softmax and do not sum to 1 any more", "mask, then softmax")
        .known("nothing masked", "huggingface/pytorch-image-models#2236"),
    row(Group::Masks, "mask-polarity-inverted", Edit::Sites(D::Inverted))
        .looking_at("the mask is read the other way round: what may be seen is hidden", "s = -∞ where masked")
        .known("never", "rasbt/LLMs-from-scratch#1061"),
    row(Group::Masks, "fully-masked-row-nan", Edit::Sites(D::NanRows))
        .looking_at("a row without any key becomes NaN; its result must be 0", "probs = 0 where no key is allowed")
        .known("every row has a key", "tracel-ai/burn#4697"),
    row(Group::Masks, "pad-mask-dropped", Edit::Sites(D::PaddingSeen))
        .looking_at("padding is attended", "s = -∞ where attention_mask is 0")
        .known("no padding", "thu-nics/C2C#19"),
    row(Group::Masks, "pad-mask-dropped-in-decode-only", Edit::Sites(D::PaddingSeenInDecode))
        .looking_at("padding is attended in calls after the first", "s = -∞ where attention_mask is 0, in every call")
        .known("no padding; one call", "thu-nics/C2C#19"),
    row(Group::Masks, "padding-side-wrong", Edit::Sites(D::PaddingReversed))
        .looking_at("the mask is made for padding on the other side", "s = -∞ where attention_mask is 0")
        .known("requests of one length", "huggingface/transformers#18478"),
    row(Group::Masks, "mask-of-batch-row-0", Edit::Sites(D::RowZeroPadding))
        .looking_at("all rows of the batch use the padding mask of the first", "attention_mask[b, j]")
        .known("requests of one length; a batch of 1", "lsdefine/attention-is-all-you-need-keras#36"),
    row(Group::Masks, "window-+1", Edit::Model(edits::window_wider))
        .looking_at("the window is one key too wide", "j > i - window")
        .known("sequences shorter than the window", "huggingface/transformers#39408"),
    row(Group::Masks, "window-ignored", Edit::Model(edits::window_ignored))
        .looking_at("there is no sliding window", "j > i - window")
        .known("sequences shorter than the window", "unslothai/unsloth#8253"),
    row(Group::Masks, "window-on-wrong-layers", Edit::Model(edits::window_on_other_layers))
        .looking_at("the windows are on the other layers", "layer_types")
        .known("sequences shorter than the window; all layers alike", ""),
];
