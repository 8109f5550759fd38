"""Small operations twice: mpmath at 50 digits (the expected values) and NumPy f64 (the witness).

`exact(op, params, inputs)` evaluates the definition on the exact stored inputs and rounds once to f64.
`numpy_f64(op, params, inputs)` is written separately, in the form a careful f64 programmer would use.
Both return a dict of arrays with the names of fixtures/README.md.
"""

import math

import mpmath
import numpy as np
from mpmath import mp, mpf

mp.dps = 50


# ---- exact numbers in arrays --------------------------------------------------------------------------------------

def lift(x):
    """Exact mpf of each element; -inf and inf stay what they are."""
    x = np.asarray(x)
    flat = np.empty(x.size, dtype=object)
    for i, value in enumerate(x.reshape(-1)):
        flat[i] = mpf(int(value)) if x.dtype.kind in "iub" else mpf(float(value))
    return flat.reshape(x.shape)


def round_once(value):
    """Nearest f64, ties to even, also in the subnormal range (float(mpf) would round twice there)."""
    if not isinstance(value, mpf):
        return float(value)
    if not mp.isfinite(value):
        return float(value)
    sign, man, exp, bits = value._mpf_
    if man == 0:
        return 0.0
    man = int(man)
    if exp + bits < -1100:
        return -0.0 if sign else 0.0
    magnitude = float(man << exp) if exp >= 0 else man / (1 << -exp)
    return -magnitude if sign else magnitude


def lower(x):
    x = np.asarray(x, dtype=object)
    return np.array([round_once(v) for v in x.reshape(-1)], dtype=np.float64).reshape(x.shape)


def each(function, *arrays):
    arrays = np.broadcast_arrays(*arrays)
    out = np.empty(arrays[0].size, dtype=object)
    for i, values in enumerate(zip(*(a.reshape(-1) for a in arrays))):
        out[i] = function(*values)
    return out.reshape(arrays[0].shape)


def matmul_mp(a, b):
    """Sum of products at working precision; products of f32 and of f64 are exact in 50 digits."""
    if a.ndim == 1 and b.ndim == 1:
        return np.array(mpmath.fdot(a, b), dtype=object)
    left = a[None, :] if a.ndim == 1 else a
    right = b[:, None] if b.ndim == 1 else b
    lead = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    left = np.broadcast_to(left, lead + left.shape[-2:])
    right = np.broadcast_to(right, lead + right.shape[-2:])
    out = np.empty(lead + (left.shape[-2], right.shape[-1]), dtype=object)
    for index in np.ndindex(out.shape):
        out[index] = mpmath.fdot(left[index[:-1]], right[index[:-2] + (slice(None), index[-1])])
    if a.ndim == 1:
        out = out[..., 0, :]
    if b.ndim == 1:
        out = out[..., 0]
    return out


def rows(x, axis):
    """x as [groups, members] over the trailing axes from `axis` on."""
    axis %= x.ndim
    groups = math.prod(x.shape[:axis])
    return x.reshape(groups, -1), x.shape[:axis] + (1,) * (x.ndim - axis)


# ---- scalar functions at 50 digits --------------------------------------------------------------------------------

def gelu_mp(x, approximate):
    if approximate == "none":
        # x times the normal distribution function; erfc keeps the digits of the far left tail.
        return x * mpmath.erfc(-x / mpmath.sqrt(2)) / 2
    if approximate == "tanh":
        inner = mpmath.sqrt(2 / mp.pi) * (x + mpf("0.044715") * x ** 3)
        return x / (1 + mpmath.exp(-2 * inner))
    if approximate == "quick":
        return x / (1 + mpmath.exp(-mpf("1.702") * x))
    raise ValueError(approximate)


def silu_mp(x, alpha=mpf(1)):
    return x / (1 + mpmath.exp(-alpha * x))


# ---- rotary tables ------------------------------------------------------------------------------------------------

def rope_frequencies_mp(params, rotary_dim, positions):
    """inv_freq [rotary_dim/2] after scaling, and the factor on cos and sin. Follows the definitions of transformers."""
    theta = lift(np.float64(params["rope_theta"])).item()
    scaling = dict(params.get("scaling") or {})
    kind = scaling.get("rope_type", "default")
    half = rotary_dim // 2
    power = [mpf(2 * i) / rotary_dim for i in range(half)]
    factor = lift(np.float64(scaling.get("factor", 1.0))).item()
    attention_factor = mpf(1)
    if kind == "dynamic":
        longest = params["max_position_embeddings"]
        seq_len = max(int(np.max(positions)) + 1, longest)
        theta *= (factor * seq_len / longest - (factor - 1)) ** (mpf(rotary_dim) / (rotary_dim - 2))
    inv_freq = [theta ** -p for p in power]
    if kind in ("default", "dynamic"):
        pass
    elif kind == "linear":
        inv_freq = [f / factor for f in inv_freq]
    elif kind == "llama3":
        low, high = mpf(scaling["low_freq_factor"]), mpf(scaling["high_freq_factor"])
        old = mpf(scaling["original_max_position_embeddings"])
        scaled = []
        for f in inv_freq:
            wavelength = 2 * mp.pi / f
            if wavelength < old / high:
                scaled.append(f)
            elif wavelength > old / low:
                scaled.append(f / factor)
            else:
                smooth = (old / wavelength - low) / (high - low)
                scaled.append((1 - smooth) * f / factor + smooth * f)
        inv_freq = scaled
    elif kind == "yarn":
        old = mpf(scaling.get("original_max_position_embeddings") or params["max_position_embeddings"])

        def mscale(scale, weight=mpf(1)):
            return mpf(1) if scale <= 1 else weight * mpmath.log(scale) / 10 + 1

        if scaling.get("attention_factor") is not None:
            attention_factor = mpf(scaling["attention_factor"])
        elif scaling.get("mscale") and scaling.get("mscale_all_dim"):
            attention_factor = mscale(factor, mpf(scaling["mscale"])) / mscale(factor, mpf(scaling["mscale_all_dim"]))
        else:
            attention_factor = mscale(factor)

        def dim_of(rotations):
            return rotary_dim * mpmath.log(old / (rotations * 2 * mp.pi)) / (2 * mpmath.log(theta))

        low = dim_of(mpf(scaling.get("beta_fast") or 32))
        high = dim_of(mpf(scaling.get("beta_slow") or 1))
        if scaling.get("truncate", True):
            low, high = mpmath.floor(low), mpmath.ceil(high)
        low, high = max(low, mpf(0)), min(high, mpf(rotary_dim - 1))
        if low == high:
            high += mpf("0.001")
        scaled = []
        for i, f in enumerate(inv_freq):
            ramp = min(max((i - low) / (high - low), mpf(0)), mpf(1))
            scaled.append(f / factor * ramp + f * (1 - ramp))
        inv_freq = scaled
    else:
        raise ValueError(kind)
    return np.array(inv_freq, dtype=object), attention_factor


def rope_tables_mp(params, inputs, rotary_dim):
    if "cos_cache" in inputs:
        cos, sin = lift(inputs["cos_cache"]), lift(inputs["sin_cache"])
        if "position_ids" in inputs:
            cos, sin = cos[inputs["position_ids"]], sin[inputs["position_ids"]]
        return cos, sin, None
    positions = np.asarray(inputs["position_ids"])
    inv_freq, factor = rope_frequencies_mp(params, rotary_dim, positions)
    angles = lift(positions)[..., None] * inv_freq
    return each(mpmath.cos, angles) * factor, each(mpmath.sin, angles) * factor, inv_freq


def rotate(x, cos, sin, params, rotary_dim):
    """x [batch, heads, len, head_dim]; cos and sin [batch, 1, len, half] or what broadcasts to it."""
    half = rotary_dim // 2
    out = x.copy()
    if params["layout"] == "half_split":
        first, second = slice(0, half), slice(half, rotary_dim)
    elif params["layout"] == "interleaved":
        first, second = slice(0, rotary_dim, 2), slice(1, rotary_dim, 2)
    else:
        raise ValueError(params["layout"])
    a, b = x[..., first], x[..., second]
    out[..., first] = a * cos - b * sin
    out[..., second] = b * cos + a * sin
    return out


def as_heads(x, params):
    """[batch, len, heads * head_dim] to [batch, heads, len, head_dim]."""
    if x.ndim == 4:
        return x
    batch, length, width = x.shape
    heads = params["num_heads"]
    return x.reshape(batch, length, heads, width // heads).transpose(0, 2, 1, 3)


def as_given(out, like):
    return out if like.ndim == 4 else out.transpose(0, 2, 1, 3).reshape(like.shape)


# ---- the operations, exact ----------------------------------------------------------------------------------------

def _linear(p, a):
    weight = lift(a["weight"])
    if p.get("weight_layout", "out_in") == "out_in":
        weight = weight.T
    out = matmul_mp(lift(a["x"]), weight)
    return {"out": out + lift(a["bias"]) if "bias" in a else out}


def _gemm(p, a):
    left = lift(a["a"]).T if p.get("trans_a") else lift(a["a"])
    right = lift(a["b"]).T if p.get("trans_b") else lift(a["b"])
    out = matmul_mp(left, right) * mpf(p.get("alpha", 1))
    return {"out": out + lift(a["c"]) * mpf(p.get("beta", 1)) if "c" in a else out}


def _softmax(p, a, log=False):
    x = np.moveaxis(lift(a["x"]), p.get("axis", -1), -1)
    out = np.empty(x.shape, dtype=object)
    for index in np.ndindex(x.shape[:-1]):
        # No shift is needed: mpf has no largest exponent. exp(-inf) is 0.
        weights = [mpmath.exp(v) for v in x[index]]
        total = mpmath.fsum(weights)
        for j, (v, w) in enumerate(zip(x[index], weights)):
            if total == 0:
                out[index + (j,)] = mpf(0)
            else:
                out[index + (j,)] = v - mpmath.log(total) if log else w / total
    return {"out": np.moveaxis(out, -1, p.get("axis", -1))}


def _rms_norm(p, a):
    x = lift(a["x"])
    flat, kept = rows(x, p.get("axis", -1))
    scale = np.array([1 / mpmath.sqrt(mpmath.fdot(r, r) / len(r) + mpf(p["norm_eps"])) for r in flat], dtype=object)
    out = x * scale.reshape(kept)
    if "weight" in a:
        weight = lift(a["weight"])
        out = out * (1 + weight if p.get("weight_form", "w") == "one_plus_w" else weight)
    return {"out": out}


def _layer_norm(p, a):
    x = lift(a["x"])
    flat, kept = rows(x, p.get("axis", -1))
    mean = np.array([mpmath.fsum(r) / len(r) for r in flat], dtype=object)
    inv = np.array([1 / mpmath.sqrt(mpmath.fsum((v - m) ** 2 for v in r) / len(r) + mpf(p["norm_eps"]))
                    for r, m in zip(flat, mean)], dtype=object)
    mean, inv = mean.reshape(kept), inv.reshape(kept)
    out = (x - mean) * inv
    if "weight" in a:
        out = out * lift(a["weight"])
    if "bias" in a:
        out = out + lift(a["bias"])
    return {"out": out, "mean": mean, "inv_std_dev": inv}


def _rope(p, a):
    x = as_heads(lift(a["x"]), p)
    rotary_dim = p.get("rotary_dim", x.shape[-1])
    cos, sin, inv_freq = rope_tables_mp(p, a, rotary_dim)
    wide = [t[None] if t.ndim == 2 else t for t in (cos, sin)]
    out = {"out": as_given(rotate(x, wide[0][:, None], wide[1][:, None], p, rotary_dim), np.asarray(a["x"]))}
    if inv_freq is not None:
        out.update(inv_freq=inv_freq, cos=cos, sin=sin)
    return out


def alibi_exponents(heads):
    """Slopes are 2 to the minus these, as exact fractions (numerator, denominator)."""
    power = 1 << (heads.bit_length() - 1)
    first = [(8 * (h + 1), power) for h in range(power)]
    # Heads beyond the power of two take every other slope of the next one.
    return first + [(8 * (2 * h + 1), 2 * power) for h in range(heads - power)]


def _alibi(p, a):
    slopes = np.array([mpf(2) ** (-mpf(n) / d) for n, d in alibi_exponents(p["num_heads"])], dtype=object)
    gap = lift(a["q_positions"])[:, None] - lift(a["kv_positions"])[None, :]
    return {"slopes": slopes, "bias": -slopes[:, None, None] * gap}


EXACT = {
    "linear": _linear,
    "matmul": lambda p, a: {"out": matmul_mp(lift(a["a"]), lift(a["b"]))},
    "gemm": _gemm,
    "softmax": _softmax,
    "log_softmax": lambda p, a: _softmax(p, a, log=True),
    "rms_norm": _rms_norm,
    "layer_norm": _layer_norm,
    "gelu": lambda p, a: {"out": each(lambda v: gelu_mp(v, p.get("approximate", "none")), lift(a["x"]))},
    "silu": lambda p, a: {"out": each(lambda v: silu_mp(v, mpf(p.get("alpha", 1))), lift(a["x"]))},
    "relu": lambda p, a: {"out": each(lambda v: v if v > 0 else mpf(0), lift(a["x"]))},
    "swiglu": lambda p, a: {"out": each(lambda v: silu_mp(v, mpf(p.get("alpha", 1))), lift(a["gate"])) * lift(a["up"])},
    "geglu": lambda p, a: {"out": each(lambda v: gelu_mp(v, p.get("approximate", "none")), lift(a["gate"]))
                           * lift(a["up"])},
    "embedding": lambda p, a: {"out": lift(a["weight"])[a["input_ids"]] * mpf(p.get("scale", 1))},
    "rope": _rope,
    "alibi": _alibi,
}


def exact(op, params, inputs):
    return {name: lower(value) for name, value in EXACT[op](params, inputs).items()}


# ---- the same in NumPy f64 ----------------------------------------------------------------------------------------

def wide(a):
    """Floats as f64; ids and booleans stay."""
    return {k: np.asarray(v, dtype=np.float64) if np.asarray(v).dtype.kind == "f" else np.asarray(v)
            for k, v in a.items()}


def softmax_np(x, axis=-1):
    top = np.max(x, axis=axis, keepdims=True)
    top = np.where(np.isneginf(top), 0.0, top)
    weights = np.exp(x - top)
    total = weights.sum(axis=axis, keepdims=True)
    return weights / np.where(total == 0, 1.0, total)


def log_softmax_np(x, axis=-1):
    shifted = x - np.max(x, axis=axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))


def sigmoid_np(x):
    # Two branches, so that neither overflows nor loses the digits of a tiny result.
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0 / (1.0 + e), e / (1.0 + e))


def gelu_np(x, approximate="none"):
    if approximate == "none":
        return x * np.vectorize(lambda v: 0.5 * math.erfc(-v / math.sqrt(2.0)), otypes=[np.float64])(x)
    if approximate == "tanh":
        return x * sigmoid_np(2.0 * math.sqrt(2.0 / math.pi) * (x + 0.044715 * x * x * x))
    return x * sigmoid_np(1.702 * x)


def rms_norm_np(p, a):
    x = a["x"]
    axes = tuple(range(p.get("axis", -1) % x.ndim, x.ndim))
    out = x / np.sqrt(np.mean(np.square(x), axis=axes, keepdims=True) + p["norm_eps"])
    if "weight" in a:
        out = out * (a["weight"] + 1.0 if p.get("weight_form", "w") == "one_plus_w" else a["weight"])
    return {"out": out}


def layer_norm_np(p, a):
    x = a["x"]
    axes = tuple(range(p.get("axis", -1) % x.ndim, x.ndim))
    mean = np.mean(x, axis=axes, keepdims=True)
    inv = 1.0 / np.sqrt(np.mean(np.square(x - mean), axis=axes, keepdims=True) + p["norm_eps"])
    out = (x - mean) * inv * a.get("weight", 1.0) + a.get("bias", 0.0)
    return {"out": out, "mean": mean, "inv_std_dev": inv}


def rope_frequencies_np(p, rotary_dim, positions, real=np.float64):
    theta, scaling = real(p["rope_theta"]), p.get("scaling") or {}
    kind, factor = scaling.get("rope_type", "default"), real(scaling.get("factor", 1.0))
    if kind == "dynamic":
        ratio = real(max(int(np.max(positions)) + 1, p["max_position_embeddings"])) / p["max_position_embeddings"]
        theta = theta * (factor * ratio - factor + 1) ** (real(rotary_dim) / (rotary_dim - 2))
    index = np.arange(rotary_dim // 2).astype(real)
    inv_freq = 1 / theta ** (2 * index / rotary_dim)
    if kind == "linear":
        return inv_freq / factor, 1.0
    if kind == "llama3":
        low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
        turns = scaling["original_max_position_embeddings"] * inv_freq / (2 * real(np.pi))
        smooth = np.clip((turns - low) / (high - low), 0, 1)
        return inv_freq * (smooth + (1 - smooth) / factor), 1.0
    if kind == "yarn":
        old = scaling.get("original_max_position_embeddings") or p["max_position_embeddings"]
        bounds = [rotary_dim * math.log(old / (r * 2 * math.pi)) / (2 * math.log(theta))
                  for r in (scaling.get("beta_fast") or 32, scaling.get("beta_slow") or 1)]
        if scaling.get("truncate", True):
            bounds = [math.floor(bounds[0]), math.ceil(bounds[1])]
        low, high = max(bounds[0], 0), min(bounds[1], rotary_dim - 1)
        ramp = np.clip((index - low) / ((high - low) or 0.001), 0, 1)
        attention = scaling.get("attention_factor")
        if attention is None:
            def m(weight):
                return 0.1 * weight * math.log(factor) + 1 if factor > 1 else 1.0
            pair = scaling.get("mscale"), scaling.get("mscale_all_dim")
            attention = m(pair[0]) / m(pair[1]) if all(pair) else m(1.0)
        return inv_freq * (1 - ramp + ramp / factor), attention
    return inv_freq, 1.0


def rope_np(p, a):
    x = as_heads(a["x"], p)
    rotary_dim = p.get("rotary_dim", x.shape[-1])
    if "cos_cache" in a:
        cos, sin, out = a["cos_cache"], a["sin_cache"], {}
        if "position_ids" in a:
            cos, sin = cos[a["position_ids"]], sin[a["position_ids"]]
    else:
        # The angle is taken in the wider native type: at position 1e6 an f64 angle alone is off by 1e-10.
        real = np.longdouble
        inv_freq, factor = rope_frequencies_np(p, rotary_dim, a["position_ids"], real)
        angles = a["position_ids"].astype(real)[..., None] * inv_freq
        cos, sin = (np.cos(angles) * factor).astype(np.float64), (np.sin(angles) * factor).astype(np.float64)
        out = {"inv_freq": inv_freq.astype(np.float64), "cos": cos, "sin": sin}
    wide_cos, wide_sin = (t[None, None] if t.ndim == 2 else t[:, None] for t in (cos, sin))
    out["out"] = as_given(rotate(x, wide_cos, wide_sin, p, rotary_dim), a["x"])
    return out


def alibi_np(p, a):
    slopes = np.array([2.0 ** (-n / d) for n, d in alibi_exponents(p["num_heads"])])
    gap = a["kv_positions"].astype(np.float64)[None, :] - a["q_positions"].astype(np.float64)[:, None]
    return {"slopes": slopes, "bias": slopes[:, None, None] * gap}


def linear_np(p, a):
    out = a["x"] @ (a["weight"].T if p.get("weight_layout", "out_in") == "out_in" else a["weight"])
    return {"out": out + a["bias"] if "bias" in a else out}


def gemm_np(p, a):
    out = p.get("alpha", 1.0) * ((a["a"].T if p.get("trans_a") else a["a"]) @ (a["b"].T if p.get("trans_b") else a["b"]))
    return {"out": out + p.get("beta", 1.0) * a["c"] if "c" in a else out}


def mask_np(p, a):
    """Array form of the mask: the plain loops that define it stand in generate_ops.py."""
    q_len, kv_len = p["q_len"], p["kv_len"]
    align = p.get("causal", "none")
    align = p.get("window_align", "bottom_right") if align == "none" else align
    offset = {"top_left": 0, "past": p.get("past_len", 0), "bottom_right": kv_len - q_len}[align]
    i = np.arange(q_len)[:, None] + offset
    j = np.arange(kv_len)[None, :]
    allowed = np.ones((1, q_len, kv_len), dtype=bool)
    if p.get("causal", "none") != "none":
        allowed &= j <= i
    if p.get("window") is not None:
        allowed &= j > i - p["window"]
    if "attention_mask" in a:
        allowed = allowed & (a["attention_mask"] != 0)[:, None, :]
    return {"out": allowed}


def tensor_scatter_np(p, a):
    out = a["past_cache"].copy()
    axis = p.get("axis", -2) % out.ndim
    cache, update = np.moveaxis(out, axis, 1), np.moveaxis(a["update"], axis, 1)
    start = a.get("write_indices", np.zeros(len(out), dtype=np.int64))
    for b in range(len(out)):
        for t in range(update.shape[1]):
            slot = start[b] + t
            cache[b, slot % cache.shape[1] if p.get("mode", "linear") == "circular" else slot] = update[b, t]
    return {"present_cache": out}


NUMPY = {
    "linear": linear_np,
    "matmul": lambda p, a: {"out": np.matmul(a["a"], a["b"])},
    "gemm": gemm_np,
    "softmax": lambda p, a: {"out": softmax_np(a["x"], p.get("axis", -1))},
    "log_softmax": lambda p, a: {"out": log_softmax_np(a["x"], p.get("axis", -1))},
    "rms_norm": rms_norm_np,
    "layer_norm": layer_norm_np,
    "gelu": lambda p, a: {"out": gelu_np(a["x"], p.get("approximate", "none"))},
    "silu": lambda p, a: {"out": a["x"] * sigmoid_np(p.get("alpha", 1.0) * a["x"])},
    "relu": lambda p, a: {"out": np.maximum(a["x"], 0.0)},
    "swiglu": lambda p, a: {"out": a["gate"] * sigmoid_np(p.get("alpha", 1.0) * a["gate"]) * a["up"]},
    "geglu": lambda p, a: {"out": gelu_np(a["gate"], p.get("approximate", "none")) * a["up"]},
    "embedding": lambda p, a: {"out": a["weight"][a["input_ids"]] * p.get("scale", 1.0)},
    "rope": rope_np,
    "alibi": alibi_np,
    "mask": mask_np,
    "tensor_scatter": tensor_scatter_np,
}


def numpy_f64(op, params, inputs):
    with np.errstate(under="ignore"):
        return {k: np.asarray(v) for k, v in NUMPY[op](params, wide(inputs)).items()}


def ulps(actual, expected):
    """Largest distance in units in the last place of the expected f64 value."""
    worst = 0.0
    for name in expected:
        a, e = np.asarray(actual[name], dtype=np.float64), np.asarray(expected[name], dtype=np.float64)
        if a.size == 0:
            continue
        same = (a == e) | (np.isnan(a) & np.isnan(e))
        with np.errstate(all="ignore"):
            gap = np.where(same, 0.0, np.abs(a - e) / np.spacing(np.abs(e)))
        worst = max(worst, float(np.max(gap)))
    return worst
