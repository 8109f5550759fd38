"""Small operations with one known fault: shows that a case sees the fault it says it catches. NumPy only.

Each fault is a short edit of the NumPy forms in oracle_ops.py, or of the question put to them.
"""

import math

import numpy as np

import oracle_ops
from npz_write import bf16_values, bf16_words
from oracle_ops import (gelu_np, layer_norm_np, log_softmax_np, numpy_f64, rms_norm_np, sigmoid_np, softmax_np,
                        wide)


# A fault is seen if it moves an element further than f32 rounding explains: twice the budget of goldref's f32 variant.
SEEN = 4


def in_bf16(x):
    return bf16_values(bf16_words(np.asarray(x, dtype=np.float32))).astype(np.float64)


def axes_of(p, x):
    return tuple(range(p.get("axis", -1) % x.ndim, x.ndim))


# ---- products -----------------------------------------------------------------------------------------------------

def bf16_sum(a, b):
    """a b with the running sum rounded after each term."""
    total = np.zeros((a[..., :1] * b[..., :1, :]).shape)
    for k in range(a.shape[-1]):
        total = in_bf16(total + a[..., k, None] * b[..., k, None, :])
    return total


def linear(name, p, a):
    if name == "qkv-bias-dropped" and "bias" in a:
        return numpy_f64("linear", p, {n: x for n, x in a.items() if n != "bias"})["out"]
    out_in = p.get("weight_layout", "out_in") == "out_in"
    if name == "weight-transposed":
        return numpy_f64("linear", {"weight_layout": "in_out" if out_in else "out_in"}, a)["out"]
    if name == "accumulate-in-bf16":
        return bf16_sum(a["x"], a["weight"].T if out_in else a["weight"]) + a.get("bias", 0.0)
    return None


def matmul(name, p, a):
    if name != "accumulate-in-bf16":
        return None
    left = a["a"][None] if a["a"].ndim == 1 else a["a"]
    right = a["b"][:, None] if a["b"].ndim == 1 else a["b"]
    return bf16_sum(left, right).reshape(np.matmul(a["a"], a["b"]).shape)


def gemm(name, p, a):
    if name != "weight-transposed":
        return None
    return numpy_f64("gemm", {**p, "trans_b": not p.get("trans_b", False)}, a)["out"]


# ---- softmax ------------------------------------------------------------------------------------------------------

def softmax(name, p, a, log=False):
    x, axis = a["x"], p.get("axis", -1)
    function = log_softmax_np if log else softmax_np
    others = [i for i in range(x.ndim) if i != axis % x.ndim]
    if name == "softmax-wrong-axis-query":
        return function(x, others[-1]) if others else None
    if name == "softmax-wrong-axis-heads":
        flat = x.reshape(-1) if x.ndim < 3 else x.reshape(x.shape[0], -1)
        return function(flat, -1).reshape(x.shape)
    if name == "softmax-twice":
        return softmax_np(softmax_np(x, axis), axis)
    top = np.max(x, axis=axis, keepdims=True)
    e = np.exp(x - top)
    total = e.sum(axis=axis, keepdims=True)
    if name == "softmax-plus-one":
        total = total + np.exp(-top)
    elif name == "softmax-base-2-mix-up":
        e = 2.0 ** (x - top)
        total = e.sum(axis=axis, keepdims=True)
    elif name == "softmax-no-max-shift":
        e, top = np.exp(x.astype(np.float32)).astype(np.float64), 0.0
        total = e.sum(axis=axis, keepdims=True)
    elif name == "softmax-eps-in-denominator":
        e, top = np.exp(x), 0.0
        total = e.sum(axis=axis, keepdims=True) + 1e-6
    elif name == "tile-tail-not-masked":
        total = total + (-x.shape[axis] % 16) * np.exp(-top)
    elif name == "accumulate-in-bf16":
        total = 0.0
        for j in range(x.shape[axis]):
            total = in_bf16(total + np.take(e, [j], axis))
    elif name == "online-softmax-no-inverse-rescale":
        # Each tile of 16 counts with its own running maximum.
        total, tops = 0.0, np.maximum.accumulate(x, axis)
        for j in range(0, x.shape[axis], 16):
            last = min(j + 16, x.shape[axis]) - 1
            tile = np.take(x, range(j, last + 1), axis)
            total = total + np.exp(tile - np.take(tops, [last], axis)).sum(axis, keepdims=True)
    else:
        return None
    return x - top - np.log(total) if log else e / total


# ---- norms --------------------------------------------------------------------------------------------------------

def norm(name, p, a, op):
    x, eps, axes = a["x"], p["norm_eps"], axes_of(p, a["x"])
    plain = rms_norm_np if op == "rms_norm" else layer_norm_np
    bare = {"x": x}
    weight, bias = a.get("weight", 1.0), a.get("bias", 0.0)
    plus = p.get("weight_form", "w") == "one_plus_w"
    gain = weight + 1.0 if plus else weight
    if name == "norm-weight-missing":
        if "weight" not in a:
            return None
        return plain(p, bare)["out"] * (weight if plus else 1.0) + bias
    if name == "eps-wrong-value":
        return plain({**p, "norm_eps": 1e-5 if eps == 1e-6 else 1e-6}, a)["out"]
    if name == "sum-instead-of-mean-wrong-axis":
        if len(axes) > 1 or x.ndim == 1:
            z = plain({**p, "axis": -1}, bare)["out"]
        else:
            z = np.moveaxis(plain({**p, "axis": -1}, {"x": np.moveaxis(x, -1, 0)})["out"], 0, -1)
        return z * gain + bias
    if name == "rmsnorm-computed-as-layernorm" and op == "rms_norm":
        return layer_norm_np(p, bare)["out"] * gain
    centre = 0.0 if op == "rms_norm" else x.mean(axes, keepdims=True)
    z = x - centre
    square = (z * z).mean(axes, keepdims=True)
    if name == "divide-by-rsqrt":
        return z * np.sqrt(square + eps) * gain + bias
    if name == "eps-outside-sqrt":
        return z / (np.sqrt(square) + eps) * gain + bias
    if name == "eps-inflated-by-rescale":
        top = np.abs(z).max(axes, keepdims=True)
        return z / (top * np.sqrt(((z / np.where(top == 0, 1, top)) ** 2).mean(axes, keepdims=True) + eps)) * gain + bias
    if name == "unbiased-variance" and op == "layer_norm":
        count = math.prod(x.shape[i] for i in axes)
        return z / np.sqrt(square * count / (count - 1) + eps) * gain + bias
    if name == "variance-one-pass" and op == "layer_norm":
        narrow = x.astype(np.float32)
        mean = narrow.mean(axes, keepdims=True)
        one_pass = (narrow * narrow).mean(axes, keepdims=True) - mean * mean
        return ((narrow - mean) / np.sqrt(one_pass + np.float32(eps))).astype(np.float64) * gain + bias
    if name == "stats-in-bf16":
        return z / np.sqrt(in_bf16(square) + eps) * gain + bias
    if name == "weight-add-multiply-in-low-precision":
        # The other order of product and rounding; with 1 + w also the sum rounded.
        z = z / np.sqrt(square + eps)
        early = p.get("downcast", "before_weight") == "before_weight"
        return in_bf16(z * gain) if early else in_bf16(in_bf16(z) * in_bf16(gain))
    return None


# ---- element by element -------------------------------------------------------------------------------------------

def swish(x, alpha=1.0):
    return x * sigmoid_np(alpha * x)


def activation(name, p, a, op):
    form = p.get("approximate", "none")
    if op in ("swiglu", "geglu"):
        gate, up = a["gate"], a["up"]
        right = (lambda x: swish(x, p.get("alpha", 1.0))) if op == "swiglu" else (lambda x: gelu_np(x, form))
        if name == "swiglu-gate-up-swapped":
            return right(up) * gate
        if name == "swiglu-silu-of-product":
            return right(gate * up)
        wrong = activation(name, p, {"x": gate}, "silu" if op == "swiglu" else "gelu")
        return None if wrong is None else wrong * up
    x = a["x"]
    if name == "silu-gelu":
        return swish(x) if op == "gelu" else gelu_np(x)
    if op == "gelu" and name == "gelu-tanh-vs-erf" and form != "quick":
        return gelu_np(x, "tanh" if form == "none" else "none")
    if op == "gelu" and name == "gelu-formula-error":
        return gelu_np(x, "none" if form == "quick" else "quick")
    return None


def embedding(name, p, a):
    rows = a["weight"][a["input_ids"]]
    if name == "embedding-scale-missing":
        # Or there where it should not be.
        return rows if "scale" in p else rows * math.sqrt(rows.shape[-1])
    if name == "embedding-scale-rounding" and "scale" in p:
        return rows * in_bf16(p["scale"])
    return None


# ---- positions ----------------------------------------------------------------------------------------------------

def rope(name, p, a):
    layout, p, a = p.get("layout", "half_split"), dict(p), dict(a)
    x = oracle_ops.as_heads(a["x"], p)
    given = "cos_cache" in a
    if name == "view-without-transpose":
        if a["x"].ndim == 4:
            return None
        x = a["x"].reshape(x.shape)
    dim = 2 * a["cos_cache"].shape[-1] if given else p.get("rotary_dim", x.shape[-1])
    if name == "rope-pairing":
        p["layout"] = "interleaved" if layout == "half_split" else "half_split"
    elif name in ("rope-ignores-position_ids", "positions-restart-at-0-in-decode", "decode-offset-by-one"):
        if "position_ids" not in a:
            return None
        length, positions = x.shape[2], a["position_ids"]
        a["position_ids"] = positions + 1 if name == "decode-offset-by-one" else \
            np.broadcast_to(np.arange(length), positions.shape)
    elif name == "rope-theta-wrong" and not given:
        p["rope_theta"] = 5e5 if p["rope_theta"] == 1e4 else 1e4
    elif name == "rope-scaling-ignored" and not given:
        p["scaling"] = None
    elif name == "rope-cache-keyed-without-offset" and "position_ids" in a:
        a["position_ids"] = np.broadcast_to(np.atleast_2d(a["position_ids"])[:1], a["position_ids"].shape)
    elif name not in ("rope-mixed-conventions", "rope-exponent", "rope-sign-flipped", "rope-on-wrong-axis",
                      "rope-positions-in-bf16", "rope-inv_freq-in-bf16", "rope-cos-sin-in-bf16", "partial-rotary-dim",
                      "rope-only-rotates-first-head-at-t-1", "yarn-mscale-missing-or-doubled", "view-without-transpose"):
        return None
    if given:
        cos, sin = a["cos_cache"], a["sin_cache"]
        if "position_ids" in a:
            cos, sin = cos[a["position_ids"]], sin[a["position_ids"]]
        if name in ("rope-exponent", "rope-positions-in-bf16", "rope-inv_freq-in-bf16", "partial-rotary-dim",
                    "yarn-mscale-missing-or-doubled"):
            return None
    else:
        at = np.atleast_2d(a["position_ids"]).astype(np.float64)
        inv_freq, factor = oracle_ops.rope_frequencies_np(p, dim, a["position_ids"])
        if name == "rope-exponent":
            inv_freq = np.sqrt(inv_freq)
        elif name == "rope-positions-in-bf16":
            at = in_bf16(at)
        elif name == "rope-inv_freq-in-bf16":
            inv_freq = in_bf16(inv_freq)
        elif name == "partial-rotary-dim":
            if dim == x.shape[-1]:
                return None
            inv_freq = oracle_ops.rope_frequencies_np(p, x.shape[-1], a["position_ids"])[0][:dim // 2]
        elif name == "yarn-mscale-missing-or-doubled":
            if factor == 1:
                return None
            factor = 1.0
        angle = at[..., None] * inv_freq
        cos, sin = np.cos(angle) * factor, np.sin(angle) * factor
    if name == "rope-sign-flipped":
        sin = -sin
    elif name == "rope-cos-sin-in-bf16":
        cos, sin = in_bf16(cos), in_bf16(sin)
    cos, sin = cos[:, None], sin[:, None]
    if name == "rope-on-wrong-axis":
        # The row of a head instead of that of a token.
        rows = np.arange(x.shape[1]) % cos.shape[2]
        cos, sin = (np.moveaxis(t[:, :, rows], 2, 1) for t in (cos, sin))
    if name == "rope-mixed-conventions":
        part, half, split = x[..., :dim], dim // 2, layout == "half_split"
        cos, sin = (np.repeat(t, 2, -1) if split else np.concatenate([t, t], -1) for t in (cos, sin))
        swapped = np.concatenate([-part[..., half:], part[..., :half]], -1) if split else \
            np.stack([-part[..., 1::2], part[..., ::2]], -1).reshape(part.shape)
        out = np.concatenate([part * cos + swapped * sin, x[..., dim:]], -1)
    else:
        out = oracle_ops.rotate(x, cos, sin, {"layout": p.get("layout", "half_split")}, dim)
    if name == "rope-only-rotates-first-head-at-t-1":
        if x.shape[2] != 1:
            return None
        out[:, 1:] = x[:, 1:]
    return oracle_ops.as_given(out, a["x"])


def alibi(name, p, a):
    if name != "alibi-slopes":
        return None
    heads = p["num_heads"]
    # One step off for a power of two, the formula of powers of two for another number.
    slopes = 2.0 ** (-8.0 * (np.arange(heads) + (1 if heads & (heads - 1) else 0)) / heads)
    return slopes[:, None, None] * (a["kv_positions"][None, :] - a["q_positions"][:, None])


# ---- masks and caches ---------------------------------------------------------------------------------------------

def mask(name, p, a):
    p, a = dict(p), dict(a)
    causal = p.get("causal", "none")
    if name == "mask-polarity-inverted":
        return ~numpy_f64("mask", p, a)["out"]
    if name in ("mask-strict", "mask+1"):
        # The diagonal one key to the left or to the right; the rest stays.
        if causal == "none":
            return None
        shift = 1 if name == "mask+1" else -1
        free = numpy_f64("mask", {**p, "causal": "none", "window_align": causal}, a)["out"]
        edge = numpy_f64("mask", {n: p[n] for n in ("q_len", "kv_len", "causal", "past_len") if n in p}, {})["out"]
        place = edge.sum(-1, keepdims=True) - 1 + shift
        return free & (np.arange(p["kv_len"]) <= place)
    if name == "mask-top-left" and causal in ("bottom_right", "past"):
        p["causal"] = "top_left"
    elif name in ("mask-none", "mask-skipped-when-cache-present", "mask-skipped-on-later-chunks") and causal != "none":
        p["causal"], p["window"] = "none", None
    elif name == "window-ignored" and p.get("window") is not None:
        p["window"] = None
    elif name == "window-+1" and p.get("window") is not None:
        p["window"] += 1
    elif name in ("pad-mask-dropped", "pad-mask-dropped-in-decode-only") and "attention_mask" in a:
        a["attention_mask"] = np.ones_like(a["attention_mask"])
    elif name == "padding-side-wrong" and "attention_mask" in a:
        a["attention_mask"] = a["attention_mask"][:, ::-1]
    elif name == "mask-of-batch-row-0" and "attention_mask" in a:
        a["attention_mask"] = np.broadcast_to(a["attention_mask"][:1], a["attention_mask"].shape)
    else:
        return None
    return numpy_f64("mask", p, a)["out"]


def tensor_scatter(name, p, a):
    a = dict(a)
    if name == "cache-slot-overwritten":
        start = a.get("write_indices", np.zeros(len(a["past_cache"]), dtype=np.int64))
        a["write_indices"] = np.where(start > 0, start - 1, start + 1)
        return oracle_ops.tensor_scatter_np(p, a)["present_cache"]
    if name == "ring-buffer-order" and p.get("mode") == "circular":
        # Rows beyond the end go to the last slot instead of to the first.
        axis = p.get("axis", -2)
        out, update = (np.moveaxis(a[n].copy(), axis, 1) for n in ("past_cache", "update"))
        for b, start in enumerate(a["write_indices"]):
            for t in range(update.shape[1]):
                out[b, min(start + t, out.shape[1] - 1)] = update[b, t]
        return np.moveaxis(out, 1, axis)
    return None


OPS = {
    "linear": linear,
    "matmul": matmul,
    "gemm": gemm,
    "softmax": softmax,
    "log_softmax": lambda name, p, a: softmax(name, p, a, log=True),
    "rms_norm": lambda name, p, a: norm(name, p, a, "rms_norm"),
    "layer_norm": lambda name, p, a: norm(name, p, a, "layer_norm"),
    **{op: (lambda name, p, a, op=op: activation(name, p, a, op))
       for op in ("gelu", "silu", "relu", "swiglu", "geglu")},
    "embedding": embedding,
    "rope": rope,
    "alibi": alibi,
    "mask": mask,
    "tensor_scatter": tensor_scatter,
}
# A fault of what follows the operation: a mask with a row of no keys is enough to show it.
LATER = {"fully-masked-row-nan": lambda out: not np.asarray(out).any(axis=-1).all()}


def moved(name, op, params, inputs, expected):
    """Largest change of the main output by the fault; infinite if the answer is not finite or has another shape. None if
    the fault has no evaluation here."""
    if name in LATER and op == "mask":
        return math.inf if LATER[name](expected) else 0.0
    with np.errstate(all="ignore"):
        try:
            wrong = OPS[op](name, params, wide(inputs))
        except ValueError:
            # Shapes that do not fit: a crash is seen.
            return math.inf
        if wrong is None:
            return None
        expected = np.asarray(expected, dtype=np.float64)
        if wrong.shape != expected.shape:
            return math.inf
        gap = np.where(wrong == expected, 0.0, np.abs(wrong.astype(np.float64) - expected))
    return math.inf if not np.isfinite(gap).all() else float(gap.max(initial=0.0))


def shows(name, op, params, inputs, expected, baseline):
    """Whether the fault is evaluated here and moves the main output further than f32 rounding does."""
    gap = moved(name, op, params, inputs, expected)
    return gap is not None and gap > SEEN * baseline.get("f32", 0.0)
