"""PyTorch's own evaluation of each operation, in any dtype: the baseline of a case and, in f64, a witness.

    baselines("softmax", {"axis": -1}, {"x": x}, expected["out"])      # {"f32": 1.2e-7, "bf16": 0.002, "f16": 0.00024}

`evaluations` yields the same mathematics by several of PyTorch's kernels (functional form, formula, another order of
the sum), and the baseline is the worst of them: one draw of rounding may happen to be lucky. 16-bit evaluations round
where transformers rounds: norms, softmax and rotary angles are f32 inside, tables are cast to the dtype.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

import oracle_attention
import oracle_ops
from oracle_ops import alibi_exponents

# One thread: the order of sums must not depend on the machine's core count.
torch.set_num_threads(1)
DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}
INF = float("inf")
# What a baseline is about, where it is not called `out`.
MAIN = {"alibi": "bias", "tensor_scatter": "present_cache"}
NO_ROUNDING = {"mask"}


def cast(inputs, dtype):
    """Floats in `dtype`, rounded once; ids and booleans as they are."""
    out = {}
    for name, x in inputs.items():
        x = torch.from_numpy(np.array(x))
        out[name] = x.double().to(dtype) if x.is_floating_point() else x
    return out


def inner(dtype):
    """What norms and rotary angles compute in."""
    return torch.float64 if dtype == torch.float64 else torch.float32


# ---- products -----------------------------------------------------------------------------------------------------

def linear(p, a, dtype):
    weight = a["weight"] if p.get("weight_layout", "out_in") == "out_in" else a["weight"].T
    x, bias = a["x"], a.get("bias")
    yield F.linear(x, weight, bias)
    # The sum from the other end.
    yield F.linear(x.flip(-1), weight.flip(-1), bias)
    rows = x.reshape(-1, x.shape[-1])
    yield torch.stack([F.linear(row, weight, bias) for row in rows]).reshape(*x.shape[:-1], -1)


def matmul(p, a, dtype):
    left, right = a["a"], a["b"]
    yield torch.matmul(left, right)
    yield torch.matmul(left.flip(-1), right.flip(0 if right.ndim == 1 else -2))


def gemm(p, a, dtype):
    left = a["a"].T if p.get("trans_a") else a["a"]
    right = a["b"].T if p.get("trans_b") else a["b"]
    alpha, beta = p.get("alpha", 1.0), p.get("beta", 1.0)
    c = a.get("c", torch.zeros((), dtype=dtype))
    yield torch.addmm(c.expand(left.shape[0], right.shape[1]), left, right, alpha=alpha, beta=beta)
    yield alpha * (left.flip(-1) @ right.flip(0)) + beta * c


# ---- row by row ---------------------------------------------------------------------------------------------------

def softmax(p, a, dtype, function=torch.softmax):
    x, axis = a["x"], p.get("axis", -1)
    yield function(x, axis)
    yield function(x.flip(axis), axis).flip(axis)
    # Another axis in memory takes another kernel.
    yield function(x.movedim(axis, 0).contiguous(), 0).movedim(0, axis)


def normalised_axes(p, x):
    return list(range(p.get("axis", -1) % x.ndim, x.ndim))


def rms_norm(p, a, dtype):
    axes = normalised_axes(p, a["x"])
    shape, wide = a["x"].shape[axes[0]:], inner(dtype)
    weight = a["weight"].expand(shape) if "weight" in a else None
    gain = None if weight is None else 1 + weight.to(wide) if p.get("weight_form", "w") == "one_plus_w" else weight
    for turn in (lambda t, axes: t, lambda t, axes: t.flip(axes)):
        x = turn(a["x"], axes).to(wide)
        y = x * torch.rsqrt(x.pow(2).mean(axes, keepdim=True) + p["norm_eps"])
        if gain is None:
            y = y.to(dtype)
        elif p.get("downcast", "before_weight") == "before_weight":
            y = turn(gain, list(range(gain.ndim))).to(dtype) * y.to(dtype)
        else:
            y = (y * turn(gain, list(range(gain.ndim))).to(wide)).to(dtype)
        yield turn(y, axes)
    if wide == dtype and gain is not None:
        yield F.rms_norm(a["x"], shape, gain.contiguous(), p["norm_eps"])


def layer_norm(p, a, dtype):
    x, axes = a["x"], normalised_axes(p, a["x"])
    shape = x.shape[axes[0]:]
    weight, bias = (a[n].expand(shape).contiguous() if n in a else None for n in ("weight", "bias"))
    yield F.layer_norm(x, shape, weight, bias, p["norm_eps"])
    flip = [None if t is None else t.flip(list(range(t.ndim))) for t in (weight, bias)]
    yield F.layer_norm(x.flip(axes), shape, *flip, p["norm_eps"]).flip(axes)
    if inner(dtype) == dtype:
        centred = x - x.mean(axes, keepdim=True)
        y = centred * torch.rsqrt(x.var(axes, correction=0, keepdim=True) + p["norm_eps"])
        yield y * (1 if weight is None else weight) + (0 if bias is None else bias)


# ---- element by element -------------------------------------------------------------------------------------------

def scalar_kernel(function, *arrays):
    """Element by element in a row of one: past the vector kernel's code."""
    flat = [x.reshape(-1) for x in arrays]
    parts = [function(*(x[i:i + 1] for x in flat)) for i in range(len(flat[0]))]
    return torch.cat(parts).reshape(arrays[0].shape)


def gelu_of(x, form):
    return x * torch.sigmoid(1.702 * x) if form == "quick" else F.gelu(x, approximate=form)


def gelu(p, a, dtype):
    x, form = a["x"], p.get("approximate", "none")
    yield gelu_of(x, form)
    yield scalar_kernel(lambda v: gelu_of(v, form), x)
    # The formula of the papers, which transformers spells out for its gelu_python and gelu_new.
    if inner(dtype) == dtype and form == "none":
        yield x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))
    if inner(dtype) == dtype and form == "tanh":
        yield 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x.pow(3))))


def silu_of(x, alpha):
    return F.silu(x) if alpha == 1 else x * torch.sigmoid(alpha * x)


def silu(p, a, dtype):
    alpha = p.get("alpha", 1.0)
    yield silu_of(a["x"], alpha)
    yield scalar_kernel(lambda v: silu_of(v, alpha), a["x"])
    yield a["x"] * torch.sigmoid(alpha * a["x"])


def swiglu(p, a, dtype):
    alpha = p.get("alpha", 1.0)
    yield silu_of(a["gate"], alpha) * a["up"]
    yield scalar_kernel(lambda g, u: silu_of(g, alpha) * u, a["gate"], a["up"])


def geglu(p, a, dtype):
    form = p.get("approximate", "none")
    yield gelu_of(a["gate"], form) * a["up"]
    yield scalar_kernel(lambda g, u: gelu_of(g, form) * u, a["gate"], a["up"])


def embedding(p, a, dtype):
    out = F.embedding(a["input_ids"], a["weight"])
    yield out * torch.tensor(p["scale"], dtype=dtype) if "scale" in p else out


# ---- positions ----------------------------------------------------------------------------------------------------

def rope_frequencies(p, dim, positions, wide):
    """inv_freq after scaling and the factor on cos and sin, by the formulas of transformers' modeling_rope_utils."""
    scaling = p.get("scaling") or {}
    kind, theta, factor = scaling.get("rope_type", "default"), p["rope_theta"], scaling.get("factor", 1.0)
    index = torch.arange(0, dim, 2, dtype=torch.int64)
    if kind == "dynamic":
        longest = p["max_position_embeddings"]
        length = max(int(positions.max()) + 1, longest)
        theta = theta * (factor * length / longest - (factor - 1)) ** (dim / (dim - 2))
    power = theta ** (index.to(wide) / dim)
    inv_freq = 1.0 / power
    if kind == "linear":
        return inv_freq / factor, 1.0
    if kind == "llama3":
        low, high, old = (scaling[n] for n in ("low_freq_factor", "high_freq_factor",
                                               "original_max_position_embeddings"))
        wavelength = 2 * math.pi / inv_freq
        scaled = torch.where(wavelength > old / low, inv_freq / factor, inv_freq)
        smooth = (old / wavelength - low) / (high - low)
        blended = (1 - smooth) * scaled / factor + smooth * scaled
        between = ~(wavelength < old / high) & ~(wavelength > old / low)
        return torch.where(between, blended, scaled), 1.0
    if kind == "yarn":
        old = scaling.get("original_max_position_embeddings") or p["max_position_embeddings"]

        def mscale(weight):
            return 1.0 if factor <= 1 else 0.1 * weight * math.log(factor) + 1.0

        attention = scaling.get("attention_factor")
        if attention is None:
            pair = scaling.get("mscale"), scaling.get("mscale_all_dim")
            attention = mscale(pair[0]) / mscale(pair[1]) if all(pair) else mscale(1)
        ends = [dim * math.log(old / (turns * 2 * math.pi)) / (2 * math.log(theta))
                for turns in (scaling.get("beta_fast") or 32, scaling.get("beta_slow") or 1)]
        if scaling.get("truncate", True):
            ends = [math.floor(ends[0]), math.ceil(ends[1])]
        low, high = max(ends[0], 0), min(ends[1], dim - 1)
        high += 0.001 if low == high else 0
        kept = 1 - torch.clamp((torch.arange(dim // 2, dtype=wide) - low) / (high - low), 0, 1)
        return 1.0 / (factor * power) * (1 - kept) + inv_freq * kept, attention
    return inv_freq, 1.0


def rope(p, a, dtype):
    x = a["x"]
    if x.ndim == 3:
        x = x.unflatten(-1, (p["num_heads"], -1)).transpose(1, 2)
    dim = p.get("rotary_dim", x.shape[-1])
    if "cos_cache" in a:
        cos, sin = a["cos_cache"], a["sin_cache"]
        if "position_ids" in a:
            cos, sin = cos[a["position_ids"]], sin[a["position_ids"]]
        dim = 2 * cos.shape[-1]
    else:
        wide = inner(dtype)
        inv_freq, factor = rope_frequencies(p, dim, a["position_ids"], wide)
        angles = a["position_ids"].to(wide)[..., None] * inv_freq
        cos, sin = (angles.cos() * factor).to(dtype), (angles.sin() * factor).to(dtype)
    cos, sin = (t[None] if t.ndim == 2 else t for t in (cos, sin))
    turned, rest = x[..., :dim], x[..., dim:]
    if p.get("layout", "half_split") == "half_split":
        cos, sin = (torch.cat((t, t), -1)[:, None] for t in (cos, sin))
        first, second = turned.chunk(2, -1)
        swapped = torch.cat((-second, first), -1)
    else:
        cos, sin = (t.repeat_interleave(2, -1)[:, None] for t in (cos, sin))
        swapped = torch.stack((-turned[..., 1::2], turned[..., ::2]), -1).flatten(-2)
    out = torch.cat((turned * cos + swapped * sin, rest), -1)
    yield out.transpose(1, 2).flatten(2) if a["x"].ndim == 3 else out


def alibi(p, a, dtype):
    wide = inner(dtype)
    heads = p["num_heads"]
    power = 2 ** math.floor(math.log2(heads))

    def slopes(n, exponents):
        return torch.pow(torch.tensor(2 ** (-(2 ** -(math.log2(n) - 3))), dtype=wide), torch.tensor(exponents))

    all_slopes = torch.cat([slopes(power, list(range(1, power + 1))),
                            slopes(2 * power, list(range(1, 2 * (heads - power) + 1, 2)))])
    gap = a["kv_positions"][None, :] - a["q_positions"][:, None]
    yield (all_slopes[:, None, None] * gap.to(wide)).to(dtype)


def tensor_scatter(p, a, dtype):
    arrays = {n: x.double().numpy() if x.is_floating_point() else x.numpy() for n, x in a.items()}
    yield torch.from_numpy(oracle_ops.tensor_scatter_np(p, arrays)["present_cache"])


# ---- attention ----------------------------------------------------------------------------------------------------

def attention_mask(params, inputs, shape, past_len):
    """Additive mask in f64, built from torch.tril and torch.triu instead of comparisons of indices."""
    batch, heads, q_len, kv_len = shape
    causal = params.get("causal", "none")
    align = causal if causal != "none" else params.get("window_align", "bottom_right")
    allowed = []
    for b in range(batch):
        end = int(inputs["kv_lens"][b]) if "kv_lens" in inputs else kv_len
        shift = {"top_left": 0, "past": past_len, "bottom_right": end - q_len}[align]
        ones = torch.ones(q_len, kv_len, dtype=torch.bool)
        row = ones.clone()
        if causal != "none":
            row &= ones.tril(shift)
        if params.get("window") is not None:
            row &= ones.triu(shift - params["window"] + 1)
        if params.get("right_window") is not None:
            row &= ones.tril(shift + params["right_window"])
        row[:, end:] = False
        if "attention_mask" in inputs:
            row &= torch.from_numpy(np.asarray(inputs["attention_mask"][b])).bool()[None]
        allowed.append(row)
    mask = torch.zeros(shape, dtype=torch.float64).masked_fill(~torch.stack(allowed)[:, None], -INF)
    given = inputs.get("attn_mask")
    if given is not None:
        given = torch.from_numpy(np.asarray(given))
        if given.dtype == torch.bool:
            given = torch.zeros(given.shape, dtype=torch.float64).masked_fill(~given, -INF)
        if given.shape[-1] > 1:
            given = F.pad(given.double(), (0, kv_len - given.shape[-1]), value=-INF)
        mask = mask + given
    if params.get("alibi"):
        slopes = torch.tensor([2.0 ** (-n / d) for n, d in alibi_exponents(heads)], dtype=torch.float64)
        # Softmax does not see a constant per row, so key positions alone are enough for the output.
        mask = mask + slopes[:, None, None] * torch.arange(kv_len, dtype=torch.float64)
    return mask


def plain_attention(q, k, v, mask, params, sinks):
    """(out, probs) of the formula, every stage stored in the dtype of q."""
    repeats = q.shape[1] // k.shape[1]
    scale = params.get("scale") or q.shape[-1] ** -0.5
    scores = (q @ k.repeat_interleave(repeats, 1).transpose(-1, -2)) * scale
    if params.get("softcap"):
        scores = torch.tanh(scores / params["softcap"]) * params["softcap"]
    scores = scores + mask
    if sinks is None:
        probs = torch.softmax(scores, -1)
    else:
        sink = sinks[None, :, None, None].expand(*scores.shape[:3], 1)
        probs = torch.softmax(torch.cat([scores, sink], -1), -1)[..., :-1]
    probs = probs.masked_fill(torch.isneginf(mask).all(-1, keepdim=True), 0)
    return probs @ v.repeat_interleave(repeats, 1), probs


def attention(params, inputs, dtype):
    """Several (out, probs); probs is None where PyTorch does not give them. The first is scaled_dot_product_attention
    if it knows the question (no softcap, no sinks)."""
    q, k, v, past_len = oracle_attention.gather(params, inputs)
    q, k, v = (torch.from_numpy(np.ascontiguousarray(x)).double().to(dtype) for x in (q, k, v))
    shape = (q.shape[0], q.shape[1], q.shape[2], k.shape[2])
    mask = attention_mask(params, inputs, shape, past_len).to(dtype)
    sinks = torch.from_numpy(np.asarray(inputs["sinks"])).to(dtype) if "sinks" in inputs else None
    known = not params.get("softcap") and sinks is None
    found = []
    # Both orders of the keys: the sums run from the other end.
    for k, v, mask in ((k, v, mask), (k.flip(2), v.flip(2), mask.flip(-1))):
        if known:
            for backends in ([SDPBackend.MATH], [SDPBackend.FLASH_ATTENTION, SDPBackend.MATH]):
                with sdpa_kernel(backends):
                    found.append((F.scaled_dot_product_attention(
                        q, k, v, attn_mask=mask, scale=params.get("scale") or q.shape[-1] ** -0.5,
                        enable_gqa=q.shape[1] != k.shape[1]), None))
        # In 16 bits PyTorch's operation keeps the scores in f32; the formula stores them, which is another question.
        if not known or inner(dtype) == dtype:
            found.append(plain_attention(q, k, v, mask, params, sinks))
    if np.asarray(inputs["q"]).ndim == 3:
        found = [(out.transpose(1, 2).flatten(2), probs) for out, probs in found]
    return found


# ---- torch.nn -----------------------------------------------------------------------------------------------------

def run_module(module, weights, dtype, call):
    """The module's path for training and, without gradients, its fused one; both without dropout."""
    missing, surplus = module.load_state_dict(weights, strict=False)
    if missing or surplus:
        raise ValueError(f"weights missing {missing}, surplus {surplus}")
    module = module.to(dtype).eval()
    with torch.enable_grad():
        yield call(module).detach()
    with torch.no_grad():
        yield call(module)


def multihead_attention(p, a, dtype):
    query = a["query"]
    key, value = a.get("key", query), a.get("value", a.get("key", query))
    module = torch.nn.MultiheadAttention(
        query.shape[-1], p["num_heads"], bias="in_proj_bias" in a, add_bias_kv="bias_k" in a, kdim=key.shape[-1],
        vdim=value.shape[-1], batch_first=True)
    arrays = ("query", "key", "value", "attn_mask", "key_padding_mask")
    weights = {n: x for n, x in a.items() if n not in arrays}
    masks = {n: a[n] for n in arrays[3:] if n in a}
    yield from run_module(module, weights, dtype, lambda m: m(query, key, value, **masks, need_weights=True)[0])
    yield from run_module(module, weights, dtype, lambda m: m(query, key, value, **masks, need_weights=False)[0])


def layer_of(kind, p, a, prefix=""):
    hidden, width = a[f"{prefix}linear1.weight"].shape
    return kind(width, p["num_heads"], hidden, activation=p["activation"], layer_norm_eps=p.get("norm_eps", 1e-5),
                norm_first=p.get("norm_first", False), batch_first=True)


def encoder_layer(p, a, dtype):
    weights = {n: x for n, x in a.items() if not n.startswith("src")}
    if "num_layers" in p:
        final = torch.nn.LayerNorm(a["src"].shape[-1], p.get("norm_eps", 1e-5)) if "norm.weight" in a else None
        module = torch.nn.TransformerEncoder(layer_of(torch.nn.TransformerEncoderLayer, p, a, "layers.0."),
                                             p["num_layers"], norm=final, enable_nested_tensor=False)
        masks = {"mask": a.get("src_mask"), "src_key_padding_mask": a.get("src_key_padding_mask")}
    else:
        module = layer_of(torch.nn.TransformerEncoderLayer, p, a)
        masks = {n: a.get(n) for n in ("src_mask", "src_key_padding_mask")}
    yield from run_module(module, weights, dtype, lambda m: m(a["src"], **masks))


def decoder_layer(p, a, dtype):
    masks = ("tgt_mask", "tgt_key_padding_mask", "memory_mask", "memory_key_padding_mask")
    weights = {n: x for n, x in a.items() if n not in ("tgt", "memory", *masks)}
    yield from run_module(layer_of(torch.nn.TransformerDecoderLayer, p, a), weights, dtype,
                          lambda m: m(a["tgt"], a["memory"], **{n: a.get(n) for n in masks}))


OPS = {
    "linear": linear, "matmul": matmul, "gemm": gemm, "softmax": softmax,
    "log_softmax": lambda p, a, dtype: softmax(p, a, dtype, torch.log_softmax),
    "rms_norm": rms_norm, "layer_norm": layer_norm, "gelu": gelu, "silu": silu,
    "relu": lambda p, a, dtype: [F.relu(a["x"])],
    "swiglu": swiglu, "geglu": geglu, "embedding": embedding, "rope": rope, "alibi": alibi,
    "tensor_scatter": tensor_scatter, "multihead_attention": multihead_attention, "encoder_layer": encoder_layer,
    "decoder_layer": decoder_layer,
}


def evaluations(op, params, inputs, dtype):
    """The main output by each of PyTorch's ways, as f64 arrays. Floats in `inputs` must be their exact values."""
    if op == "attention":
        outs = [out for out, _ in attention(params, inputs, dtype)]
    else:
        outs = OPS[op](params, cast(inputs, dtype), dtype)
    for out in outs:
        yield out.double().numpy()


def upward(value):
    """Three significant digits, never smaller than the value."""
    if value == 0:
        return 0.0
    exponent = math.floor(math.log10(value)) - 2
    digits = math.ceil(value / 10.0 ** exponent)
    rounded = float(f"{digits}e{exponent}")
    return rounded if rounded >= value else float(f"{digits + 1}e{exponent}")


def largest_error(actual, expected):
    """Infinite where one is finite and the other is not the same."""
    with np.errstate(all="ignore"):
        gap = np.where((actual == expected) | (np.isnan(actual) & np.isnan(expected)), 0.0, np.abs(actual - expected))
    return float(np.max(np.where(np.isnan(gap), INF, gap), initial=0.0))


def baselines(op, params, inputs, expected):
    """Largest error of PyTorch against `expected` by dtype; a dtype that overflows is left out."""
    found = {}
    expected = np.asarray(expected, dtype=np.float64)
    for label, dtype in DTYPES.items():
        if op in NO_ROUNDING:
            found[label] = 0.0
            continue
        worst = max(largest_error(out, expected) for out in evaluations(op, params, inputs, dtype))
        if np.isfinite(worst):
            found[label] = upward(worst)
    return found
