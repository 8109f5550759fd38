"""Attention with one known fault: shows that a case sees the fault it says it catches. NumPy only.

Not a model of any code: each fault is the shortest edit of the definition in oracle_attention.py.
"""

import numpy as np

import oracle_attention
from npz_write import bf16_values, bf16_words

INF = float("inf")


def in_bf16(x):
    return bf16_values(bf16_words(x.astype(np.float32))).astype(np.float64)


def by_tiles(name, masked, v, tile=16):
    """Keys in tiles: either each tile's own softmax, averaged, or running sums that are never rescaled."""
    starts = range(0, masked.shape[-1], tile)
    if name == "split-kv-merge-wrong":
        parts = []
        for j in starts:
            weights = np.exp(masked[..., j:j + tile] - masked[..., j:j + tile].max(-1, keepdims=True))
            parts.append(weights / weights.sum(-1, keepdims=True) @ v[..., j:j + tile, :])
        return sum(parts) / len(parts)
    top, total, out = -np.inf, 0.0, 0.0
    for j in starts:
        top = np.maximum(top, masked[..., j:j + tile].max(-1, keepdims=True))
        weights = np.exp(masked[..., j:j + tile] - top)
        total, out = total + weights.sum(-1, keepdims=True), out + weights @ v[..., j:j + tile, :]
    return out / total


def faulty(name, params, inputs):
    """The output with one known fault, or None if the fault has no evaluation here."""
    a, p = dict(inputs), dict(params)
    q, k, v, past_len = oracle_attention.gather(p, a)
    q, k, v = (x.astype(np.float64) for x in (q, k, v))
    batch, heads, q_len, head_dim = q.shape
    kv_heads, kv_len = k.shape[1:3]
    shape = (batch, heads, q_len, kv_len)
    scale = p.get("scale") or head_dim ** -0.5
    group = np.arange(heads) // (heads // kv_heads)
    axis, base, extra, f32 = -1, np.e, 0.0, False
    cap, cap_late, sinks = p.get("softcap"), False, a.get("sinks")
    causal = p.get("causal", "none")
    new = kv_len - past_len
    cache_faults = ("cache-not-updated", "v-cache-stale", "cache-slot-overwritten", "new-k-prepended")
    if name in cache_faults and "past_key" not in a:
        return None
    if name == "mask-top-left" and causal in ("none", "top_left"):
        return None
    if name == "scale-missing":
        scale = 1.0
    elif name == "scale-d_model":
        scale = (head_dim * heads) ** -0.5
    elif name == "scale-n_heads":
        scale = heads ** -0.5
    elif name == "scale-twice":
        scale = scale * scale
    elif name == "scale-wrong-head_dim-source":
        scale = head_dim ** -0.5
    elif name == "scale-constant-rounded":
        scale = float(bf16_values(bf16_words(np.float32(scale))))
    elif name == "softmax-wrong-axis-query":
        axis = -2
    elif name == "softmax-wrong-axis-heads":
        axis = 1
    elif name == "softmax-no-max-shift":
        f32 = True
    elif name == "softmax-plus-one":
        extra = 1.0
    elif name == "softmax-base-2-mix-up":
        base = 2.0
    elif name == "softcap-dropped":
        cap = None
    elif name == "softcap-after-mask":
        cap_late = True
    elif name == "attention-sink-missing":
        sinks = None
    elif name == "k-v-swapped-v-used-as-k":
        if v.shape != k.shape:
            return None
        k, v = v, k
    elif name == "gqa-tile-vs-repeat":
        group = np.arange(heads) % kv_heads
    elif name == "gqa-all-use-head-0":
        group = np.zeros(heads, dtype=int)
    elif name == "gqa-repeat-on-wrong-dim":
        # Each key repeated along the sequence, then read as if along the heads.
        k, v = (np.repeat(x, heads // kv_heads, axis=2).reshape(batch, heads, kv_len, -1) for x in (k, v))
        group = np.arange(heads)
    elif name == "batch-leak":
        k, v = (np.broadcast_to(x[:1], x.shape) for x in (k, v))
    elif name == "mask-none":
        p["causal"] = "none"
        p.pop("window", None)
    elif name in ("mask-skipped-when-cache-present", "mask-skipped-on-later-chunks"):
        if "past_key" not in a and causal == "none":
            return None
        p["causal"] = "none"
    elif name == "window-ignored":
        p.pop("window", None)
        p.pop("right_window", None)
    elif name == "pad-mask-dropped":
        a.pop("attention_mask", None)
        a.pop("kv_lens", None)
    elif name == "padding-side-wrong":
        a["attention_mask"] = a["attention_mask"][:, ::-1]
    elif name == "mask-of-batch-row-0":
        for key in ("attention_mask", "kv_lens", "attn_mask"):
            if key in a and len(a[key]) == batch:
                a[key] = np.broadcast_to(a[key][:1], a[key].shape)
    elif name == "cache-not-updated":
        k, v = k[:, :, kv_len - new:], v[:, :, kv_len - new:]
    elif name == "cache-concatenated-on-wrong-axis":
        if "past_key" not in a or past_len != new or heads % (2 * kv_heads):
            return None
        # The new keys become more heads; nothing clashes where both are as long.
        k, v = (np.concatenate([x[:, :, :past_len], x[:, :, past_len:]], axis=1) for x in (k, v))
        group = np.arange(heads) // (heads // (2 * kv_heads))
    elif name == "v-cache-stale":
        v = v.copy()
        v[:, :, kv_len - new:] = 0
    elif name == "cache-slot-overwritten":
        k, v = k.copy(), v.copy()
        k[:, :, past_len - 1] = k[:, :, past_len]
        v[:, :, past_len - 1] = v[:, :, past_len]
    elif name == "new-k-prepended":
        k, v = (np.concatenate([x[:, :, past_len:], x[:, :, :past_len]], axis=2) for x in (k, v))
    elif name == "alibi-slopes":
        pass
    elif name == "view-without-transpose":
        if np.asarray(a["q"]).ndim != 3:
            return None
        q = np.asarray(a["q"], dtype=np.float64).reshape(q.shape)
    elif name not in ("mask-top-left", "mask-strict", "mask+1", "mask-finite-small", "mask-multiplied",
                      "mask-after-softmax-no-renorm", "mask-polarity-inverted", "fully-masked-row-nan", "softmax-twice",
                      "softmax-eps-in-denominator", "window-+1", "merge-without-transpose", "tile-tail-not-masked",
                      "pad-mask-dropped-in-decode-only", "double-min-mask", "qkt-overflow-f16", "probs-cast-low",
                      "scores-softmax-in-bf16", "mask-1e4-fill", "split-kv-merge-wrong",
                      "online-softmax-no-inverse-rescale", "attention-dropout-active-in-eval"):
        return None
    allowed, added = oracle_attention.allowed_keys(p, a, shape, past_len)
    if name == "mask-top-left":
        allowed, added = oracle_attention.allowed_keys({**p, "causal": "top_left"}, a, shape, past_len)
    elif name in ("mask-strict", "mask+1"):
        # Move the diagonal alone: the widest causal mask, cut by the one that is shifted by a key.
        free, _ = oracle_attention.allowed_keys({**p, "causal": "none", "window_align": causal}, a, shape, past_len)
        frontier, _ = oracle_attention.allowed_keys({"causal": causal}, {k: a[k] for k in ("kv_lens",) if k in a},
                                                    shape, past_len)
        moved = np.zeros_like(frontier)
        if name == "mask-strict":
            moved[..., :-1] = frontier[..., 1:]
            moved &= frontier
        else:
            moved[..., 1:] = frontier[..., :-1]
            moved |= frontier
            moved[..., 0] |= (frontier.sum(-1) == 0)
        allowed = free & moved
    elif name == "window-+1":
        allowed, added = oracle_attention.allowed_keys({**p, "window": p["window"] + 1}, a, shape, past_len)
    elif name == "mask-polarity-inverted":
        if a["attn_mask"].dtype != bool:
            return None
        a["attn_mask"] = ~a["attn_mask"]
        allowed, added = oracle_attention.allowed_keys(p, a, shape, past_len)
    elif name == "pad-mask-dropped-in-decode-only":
        a.pop("attention_mask", None)
        allowed, added = oracle_attention.allowed_keys(p, a, shape, past_len)
    elif name == "alibi-slopes":
        if not p.get("alibi"):
            return None
        slopes = 2.0 ** (-8.0 * np.arange(1, heads + 1) / heads) if heads & (heads - 1) else \
            2.0 ** (-8.0 * np.arange(heads) / heads)
        key = np.arange(kv_len)[None, None, None, :]
        added = np.broadcast_to(slopes[None, :, None, None] * key, shape)
    kv_len = k.shape[2]
    allowed, added = allowed[..., -kv_len:], added[..., -kv_len:]
    with np.errstate(all="ignore"):
        scores = np.einsum("bhid,bhjd->bhij", q, k[:, group])
        if name == "qkt-overflow-f16":
            scores = np.where(np.abs(scores) > 65504, np.sign(scores) * INF, scores)
        scores = scores * scale
        if cap and not cap_late:
            scores = cap * np.tanh(scores / cap)
        if name == "mask-multiplied":
            masked = (scores + added) * allowed
        elif name == "mask-after-softmax-no-renorm":
            masked = scores + added
        elif name == "mask-finite-small":
            masked = scores + added + np.where(allowed, 0.0, -10.0)
        elif name == "mask-1e4-fill":
            masked = np.where(allowed, scores + added, -1e4)
        else:
            masked = np.where(allowed, scores + added, -INF)
        if cap and cap_late:
            masked = cap * np.tanh(masked / cap)
        if name == "scores-softmax-in-bf16":
            masked = in_bf16(masked)
        if name == "tile-tail-not-masked":
            tail = -kv_len % 16
            masked = np.concatenate([masked, np.zeros(shape[:3] + (tail,))], -1)
            v = np.concatenate([v, np.zeros(v.shape[:2] + (tail, v.shape[-1]))], 2)
        if f32:
            weights = np.exp(masked.astype(np.float32)).astype(np.float64)
        else:
            top = np.max(masked, axis=axis, keepdims=True)
            if sinks is not None:
                top = np.maximum(top, sinks[None, :, None, None])
            weights = base ** (masked - np.where(np.isneginf(top), 0 if name != "fully-masked-row-nan" else top, top))
        total = weights.sum(axis=axis, keepdims=True)
        if sinks is not None:
            total = total + np.exp(sinks[None, :, None, None] - (0 if f32 else top))
        if name == "softmax-plus-one":
            total = total + np.exp(-top)
        if name == "softmax-eps-in-denominator":
            total = total * (1 + 1e-5)
        nothing = total == 0
        probs = weights / (total if name in ("fully-masked-row-nan", "double-min-mask") or f32
                           else np.where(nothing, 1.0, total))
        if name == "softmax-twice":
            probs = np.where(allowed, np.exp(probs), 0)
            probs = probs / np.maximum(probs.sum(-1, keepdims=True), 1e-300)
        if name == "mask-after-softmax-no-renorm":
            probs = probs * allowed
        if name == "scores-softmax-in-bf16" or name == "probs-cast-low":
            probs = in_bf16(probs)
        if name == "attention-dropout-active-in-eval":
            probs = probs * (np.random.default_rng(0).random(shape) >= 0.1) / 0.9
        out = np.einsum("bhij,bhjc->bhic", probs, v[:, group])
        if name in ("split-kv-merge-wrong", "online-softmax-no-inverse-rescale"):
            out = by_tiles(name, masked, v[:, group])
    if np.asarray(a["q"]).ndim == 3:
        if name != "merge-without-transpose":
            out = out.transpose(0, 2, 1, 3)
        out = out.reshape(batch, q_len, -1)
    elif name == "merge-without-transpose":
        return None
    return out


def shown(actual, expected):
    with np.errstate(all="ignore"):
        gap = np.abs(actual - expected) / (1 + np.abs(expected))
    return INF if not np.all(np.isfinite(gap)) else float(gap.max())
