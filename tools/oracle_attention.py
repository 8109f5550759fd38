"""Attention by its definition: NumPy f64 (the expected values) and, for tiny cases, mpmath at 50 digits.

    softmax(softcap(scale * q k^T) + mask) v        a row with no key allowed gives probs 0 and out 0

Shapes: q [batch, num_heads, q_len, head_dim], k and v [batch, num_key_value_heads, len, dim], or all three
[batch, len, heads * dim]. Options and names are those of fixtures/README.md.
"""

import math

import mpmath
import numpy as np

from oracle_ops import alibi_exponents, lift, lower

STAGES = ("scores", "softcapped_scores", "masked_scores", "probs")


def split_heads(x, heads):
    """[batch, len, heads * dim] to [batch, heads, len, dim]; four axes stay."""
    if x.ndim == 4:
        return x
    batch, length, width = x.shape
    return x.reshape(batch, length, heads, width // heads).transpose(0, 2, 1, 3)


def gather(params, inputs):
    """q, and the keys and values a query can see: the past ones first, then the new ones."""
    q = split_heads(np.asarray(inputs["q"]), params.get("num_heads"))
    k = split_heads(np.asarray(inputs["k"]), params.get("num_key_value_heads"))
    v = split_heads(np.asarray(inputs["v"]), params.get("num_key_value_heads"))
    past_len = 0
    if "past_key" in inputs:
        past_len = inputs["past_key"].shape[2]
        k = np.concatenate([inputs["past_key"], k], axis=2)
        v = np.concatenate([inputs["past_value"], v], axis=2)
    return q, k, v, past_len


def offsets(align, q_len, kv_len, past_len, batch, kv_lens):
    """Per batch row: what is added to the index of a query to get its place among the keys."""
    if align == "top_left":
        return np.zeros(batch, dtype=np.int64)
    if align == "past":
        return np.full(batch, past_len, dtype=np.int64)
    if align == "bottom_right":
        ends = np.full(batch, kv_len) if kv_lens is None else np.asarray(kv_lens).reshape(-1)
        return ends - q_len
    raise ValueError(align)


def allowed_keys(params, inputs, shape, past_len):
    """Boolean [batch, heads, q_len, kv_len] and the additive part of the mask (0 where there is none)."""
    batch, heads, q_len, kv_len = shape
    kv_lens = inputs.get("kv_lens")
    causal = params.get("causal", "none")
    align = causal if causal != "none" else params.get("window_align", "bottom_right")
    place = np.arange(q_len)[None, :] + offsets(align, q_len, kv_len, past_len, batch, kv_lens)[:, None]
    place = place[:, None, :, None]
    key = np.arange(kv_len)[None, None, None, :]
    allowed = np.ones(shape, dtype=bool)
    if causal != "none":
        allowed &= key <= place
    if params.get("window") is not None:
        allowed &= key > place - params["window"]
    if params.get("right_window") is not None:
        allowed &= key <= place + params["right_window"]
    if kv_lens is not None:
        allowed &= key < np.asarray(kv_lens).reshape(-1, 1, 1, 1)
    if "attention_mask" in inputs:
        allowed &= (np.asarray(inputs["attention_mask"]) != 0)[:, None, None, :]
    added = np.zeros(shape)
    mask = inputs.get("attn_mask")
    if mask is not None:
        mask = np.asarray(mask)
        short = kv_len - mask.shape[-1]
        if short and mask.shape[-1] > 1:
            fill = False if mask.dtype == bool else -np.inf
            mask = np.pad(mask, [(0, 0)] * (mask.ndim - 1) + [(0, short)], constant_values=fill)
        if mask.dtype == bool:
            allowed &= mask
        else:
            mask = mask.astype(np.float64)
            allowed &= ~np.isneginf(mask)
            added = added + np.where(np.isneginf(mask), 0.0, mask)
    if params.get("alibi"):
        slopes = np.array([2.0 ** (-n / d) for n, d in alibi_exponents(heads)])
        added = added - slopes[None, :, None, None] * (place - key)
    return allowed, added


def attention_f64(params, inputs):
    """All outputs and stages in NumPy f64."""
    q, k, v, past_len = gather(params, inputs)
    q, k, v = (x.astype(np.float64) for x in (q, k, v))
    batch, heads, q_len, head_dim = q.shape
    kv_heads, kv_len = k.shape[1:3]
    scale = params.get("scale")
    scale = 1.0 / math.sqrt(head_dim) if scale is None else scale
    shape = (batch, heads, q_len, kv_len)
    allowed, added = allowed_keys(params, inputs, shape, past_len)
    stages = {name: np.empty(shape) for name in STAGES}
    out = np.empty((batch, heads, q_len, v.shape[-1]))
    for b in range(batch):
        for h in range(heads):
            group = h // (heads // kv_heads)
            scores = scale * (q[b, h] @ k[b, group].T)
            capped = scores
            if params.get("softcap"):
                capped = params["softcap"] * np.tanh(scores / params["softcap"])
            masked = np.where(allowed[b, h], capped + added[b, h], -np.inf)
            top = masked.max(axis=-1, keepdims=True)
            if "sinks" in inputs:
                top = np.maximum(top, float(inputs["sinks"][h]))
            top = np.where(np.isneginf(top), 0.0, top)
            weights = np.exp(masked - top)
            total = weights.sum(axis=-1, keepdims=True)
            if "sinks" in inputs:
                # The sink takes part of the probability and has no value.
                total = total + np.exp(float(inputs["sinks"][h]) - top)
            probs = weights / np.where(total == 0, 1.0, total)
            for name, value in zip(STAGES, (scores, capped, masked, probs)):
                stages[name][b, h] = value
            out[b, h] = probs @ v[b, group]
    if np.asarray(inputs["q"]).ndim == 3:
        out = out.transpose(0, 2, 1, 3).reshape(batch, q_len, -1)
    return {"out": out, **stages, "present_key": k, "present_value": v}


def attention_mp(params, inputs):
    """The same, element by element at 50 digits, without the shift by the largest score."""
    q, k, v, past_len = gather(params, inputs)
    batch, heads, q_len, head_dim = q.shape
    kv_heads, kv_len = k.shape[1:3]
    mpf = mpmath.mpf
    scale = params.get("scale")
    scale = 1 / mpmath.sqrt(head_dim) if scale is None else mpf(scale)
    shape = (batch, heads, q_len, kv_len)
    allowed, added = allowed_keys(params, inputs, shape, past_len)
    q, k, v, added = lift(q), lift(k), lift(v), lift(added)
    stages = {name: np.empty(shape, dtype=object) for name in STAGES}
    out = np.empty((batch, heads, q_len, v.shape[-1]), dtype=object)
    for b, h, i in np.ndindex(batch, heads, q_len):
        group = h * kv_heads // heads
        weights = []
        for j in range(kv_len):
            score = scale * mpmath.fdot(q[b, h, i], k[b, group, j])
            capped = score
            if params.get("softcap"):
                cap = mpf(params["softcap"])
                capped = cap * mpmath.tanh(score / cap)
            masked = capped + added[b, h, i, j] if allowed[b, h, i, j] else mpf("-inf")
            stages["scores"][b, h, i, j] = score
            stages["softcapped_scores"][b, h, i, j] = capped
            stages["masked_scores"][b, h, i, j] = masked
            weights.append(mpmath.exp(masked))
        total = mpmath.fsum(weights)
        if "sinks" in inputs:
            total += mpmath.exp(mpf(float(inputs["sinks"][h])))
        probs = [w / total if total else mpf(0) for w in weights]
        stages["probs"][b, h, i] = probs
        for c in range(v.shape[-1]):
            out[b, h, i, c] = mpmath.fdot(probs, v[b, group, :, c])
    if np.asarray(inputs["q"]).ndim == 3:
        out = out.transpose(0, 2, 1, 3).reshape(batch, q_len, -1)
    return {name: lower(x) for name, x in {"out": out, **stages, "present_key": k, "present_value": v}.items()}
