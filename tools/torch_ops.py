"""PyTorch's own evaluation of each operation, in any dtype: the baseline of a case and, in f64, a witness.

    baselines("softmax", {"axis": -1}, {"x": x}, expected)      # {"f32": 1.2e-7, "bf16": 0.002, "f16": 0.00024}

`evaluations` yields the same mathematics by several of PyTorch's kernels (whole, row by row, another order of the sum,
the formula spelled out), and the baseline is the worst of them: one evaluation is one draw of its rounding. 16-bit
evaluations round where transformers rounds: norms, softmax and rotary angles are f32 inside, tables are stored.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

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
    """What norms, softmax and rotary angles compute in."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def by_row(function, *arrays):
    """`function` on each row of the first axis alone: another kernel than for all rows at once."""
    return torch.cat([function(*(x[i:i + 1] for x in arrays)) for i in range(len(arrays[0]))])


def turned(x):
    """All axes reversed."""
    return None if x is None else x.flip(list(range(x.ndim)))


# ---- products -----------------------------------------------------------------------------------------------------

def linear(p, a, dtype):
    weight = a["weight"] if p.get("weight_layout", "out_in") == "out_in" else a["weight"].T
    x, bias = a["x"], a.get("bias")
    yield F.linear(x, weight, bias)
    yield by_row(lambda row: F.linear(row, weight, bias), x)
    # The sum from the other end.
    yield F.linear(x.flip(-1), weight.flip(-1), bias)


def matmul(p, a, dtype):
    left, right = a["a"], a["b"]
    yield torch.matmul(left, right)
    yield torch.matmul(left.flip(-1), right.flip(0 if right.ndim == 1 else -2))
    if left.ndim == right.ndim == 2:
        yield by_row(lambda row: row @ right, left)


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
    last = x.movedim(axis, -1)
    yield function(x, axis)
    yield function(x.to(inner(dtype)), axis).to(dtype)
    yield function(x.flip(axis), axis).flip(axis)
    yield by_row(lambda row: function(row, -1), last.reshape(-1, x.shape[axis])).reshape(last.shape).movedim(-1, axis)
    # Another place of the axis in memory takes another kernel.
    yield function(x.movedim(axis, 0).contiguous(), 0).movedim(0, axis)


def normalised_axes(p, x):
    return list(range(p.get("axis", -1) % x.ndim, x.ndim))


def norm_evaluations(norm, x, weight, bias, axes):
    """Whole, row by row, and with the members in reverse order."""
    yield norm(x, weight, bias)
    if axes[0] > 0:
        yield by_row(lambda row: norm(row, weight, bias), x)
    yield norm(x.flip(axes), turned(weight), turned(bias)).flip(axes)


def weights_of(a, shape):
    """Weight and bias in the shape of the normalised axes, None where there is none."""
    return [a[name].expand(shape).contiguous() if name in a else None for name in ("weight", "bias")]


def rms_norm(p, a, dtype):
    axes = normalised_axes(p, a["x"])
    shape, wide = a["x"].shape[axes[0]:], inner(dtype)
    form, downcast = p.get("weight_form", "w"), p.get("downcast", "before_weight")

    def formula(x, weight, bias):
        y = x.to(wide)
        y = y * torch.rsqrt(y.pow(2).mean(axes, keepdim=True) + p["norm_eps"])
        if weight is None:
            return y.to(dtype)
        y, weight = (y, weight.to(wide)) if downcast == "after_weight" else (y.to(dtype), weight)
        return (y * (1.0 + weight if form == "one_plus_w" else weight)).to(dtype)

    weight, _ = weights_of(a, shape)
    yield from norm_evaluations(formula, a["x"], weight, None, axes)
    if wide == dtype and form == "w":
        yield F.rms_norm(a["x"], shape, weight, p["norm_eps"])


def layer_norm(p, a, dtype):
    axes = normalised_axes(p, a["x"])
    shape, wide = a["x"].shape[axes[0]:], inner(dtype)

    def formula(x, weight, bias):
        y = x.to(wide)
        y = y - y.mean(axes, keepdim=True)
        y = y * torch.rsqrt(y.pow(2).mean(axes, keepdim=True) + p["norm_eps"])
        y = y if weight is None else y * weight.to(wide)
        return (y if bias is None else y + bias.to(wide)).to(dtype)

    for norm in (lambda x, w, b: F.layer_norm(x, shape, w, b, p["norm_eps"]), formula):
        yield from norm_evaluations(norm, a["x"], *weights_of(a, shape), axes)


# ---- element by element -------------------------------------------------------------------------------------------

def scalar_kernel(function, *arrays):
    """Elements one at a time, which the vector kernels leave to scalar code."""
    return by_row(function, *(x.reshape(-1) for x in arrays)).reshape(arrays[0].shape)


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
    # Some multiply by a Python number, Gemma by one that is rounded to the dtype first.
    yield out * p.get("scale", 1.0)
    yield out * torch.tensor(p.get("scale", 1.0), dtype=dtype)


# ---- positions ----------------------------------------------------------------------------------------------------

def rope_tables(p, a, dim, dtype):
    """Pairs of cos and sin [.., dim/2]: those of transformers, then of frequencies taken another way."""
    if "cos_cache" in a:
        cos, sin = a["cos_cache"], a["sin_cache"]
        yield (cos[a["position_ids"]], sin[a["position_ids"]]) if "position_ids" in a else (cos, sin)
        return
    # Positions of one axis stand for every row.
    positions, scaling, wide = torch.atleast_2d(a["position_ids"]), p.get("scaling") or {}, inner(dtype)
    if wide == torch.float32:
        longest = p.get("max_position_embeddings") or int(
            scaling.get("original_max_position_embeddings", 2048) * scaling.get("factor", 1))
        config = LlamaConfig(hidden_size=dim, num_attention_heads=1, head_dim=dim, max_position_embeddings=longest,
                             rope_parameters={"rope_type": "default", "rope_theta": p["rope_theta"], **scaling})
        yield tuple(t[..., :dim // 2] for t in LlamaRotaryEmbedding(config)(a["x"], positions))
    inv_freq, factor = oracle_ops.rope_frequencies_np(
        p, dim, positions.numpy(), np.float32 if wide == torch.float32 else np.float64)
    angles = positions[..., None].to(wide) * torch.from_numpy(inv_freq).to(wide)
    yield (angles.cos() * factor).to(dtype), (angles.sin() * factor).to(dtype)


def rope(p, a, dtype):
    x = a["x"]
    if x.ndim == 3:
        x = x.unflatten(-1, (p["num_heads"], -1)).transpose(1, 2)
    dim = 2 * a["cos_cache"].shape[-1] if "cos_cache" in a else p.get("rotary_dim", x.shape[-1])
    part, rest = x[..., :dim], x[..., dim:]
    for cos, sin in rope_tables(p, a, dim, dtype):
        if p.get("layout", "half_split") == "half_split":
            cos, sin = (torch.cat([t, t], -1)[:, None] for t in (cos, sin))
            first, second = part.chunk(2, -1)
            swapped = torch.cat([-second, first], -1)
        else:
            cos, sin = (t.repeat_interleave(2, -1)[:, None] for t in (cos, sin))
            swapped = torch.stack([-part[..., 1::2], part[..., ::2]], -1).flatten(-2)
        out = torch.cat([part * cos + swapped * sin, rest], -1)
        yield out.transpose(1, 2).flatten(2) if a["x"].ndim == 3 else out


def alibi(p, a, dtype):
    slopes = torch.tensor([2.0 ** (-n / d) for n, d in alibi_exponents(p["num_heads"])], dtype=torch.float64)
    gap = a["kv_positions"][None, :] - a["q_positions"][:, None]
    # Bloom rounds the product, a model kept in 16 bits also the slopes.
    for kind in (inner(dtype), dtype):
        yield (slopes.to(kind)[:, None, None] * gap.to(kind)).to(dtype)


def tensor_scatter(p, a, dtype):
    # Copies, so nothing of PyTorch's is needed.
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


def formula_only(params, inputs):
    """Whether scaled_dot_product_attention does not know the question."""
    return bool(params.get("softcap")) or "sinks" in inputs


def torch_attention(params, inputs, dtype, how="math", reverse=False):
    """(out, probs) of PyTorch. `how`: scaled_dot_product_attention of the "math" or the "default" backend, or the plain
    "formula", which every way falls back to for softcap and sinks. `reverse` turns the order of the keys."""
    q, k, v, past_len = oracle_attention.gather(params, inputs)
    q, k, v = (torch.from_numpy(np.ascontiguousarray(x)).double().to(dtype) for x in (q, k, v))
    shape = (q.shape[0], q.shape[1], q.shape[2], k.shape[2])
    mask = attention_mask(params, inputs, shape, past_len).to(dtype)
    if reverse:
        k, v, mask = k.flip(2), v.flip(2), mask.flip(3)
    scale = q.shape[-1] ** -0.5 if params.get("scale") is None else params["scale"]
    repeats = q.shape[1] // k.shape[1]
    # Kernels keep the scores of 16-bit inputs in f32.
    wide = inner(dtype)
    scores = (q.to(wide) @ k.to(wide).repeat_interleave(repeats, 1).transpose(-1, -2)) * scale
    if params.get("softcap"):
        scores = torch.tanh(scores / params["softcap"]) * params["softcap"]
    scores = scores + mask.to(wide)
    if "sinks" in inputs:
        sink = torch.from_numpy(np.asarray(inputs["sinks"])).to(dtype).to(wide)[None, :, None, None]
        probs = torch.softmax(torch.cat([scores, sink.expand(*shape[:3], 1)], -1), -1)[..., :-1]
    else:
        probs = torch.softmax(scores, -1)
    probs = probs.masked_fill(torch.isneginf(mask).all(-1, keepdim=True), 0).to(dtype)
    if how == "formula" or formula_only(params, inputs):
        out = probs @ v.repeat_interleave(repeats, 1)
    else:
        with sdpa_kernel([SDPBackend.MATH] if how == "math" else [SDPBackend.FLASH_ATTENTION, SDPBackend.MATH]):
            out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale, enable_gqa=repeats > 1)
    if np.asarray(inputs["q"]).ndim == 3:
        out = out.transpose(1, 2).flatten(2)
    return out, probs


def attention(params, inputs, dtype):
    for how in ("formula",) if formula_only(params, inputs) else ("formula", "math", "default"):
        for reverse in (False, True):
            yield torch_attention(params, inputs, dtype, how, reverse)[0]


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
    "linear": linear,
    "matmul": matmul,
    "gemm": gemm,
    "softmax": softmax,
    "log_softmax": lambda p, a, dtype: softmax(p, a, dtype, torch.log_softmax),
    "rms_norm": rms_norm,
    "layer_norm": layer_norm,
    "gelu": gelu,
    "silu": silu,
    "relu": lambda p, a, dtype: [F.relu(a["x"])],
    "swiglu": swiglu,
    "geglu": geglu,
    "embedding": embedding,
    "rope": rope,
    "alibi": alibi,
    "tensor_scatter": tensor_scatter,
    "multihead_attention": multihead_attention,
    "encoder_layer": encoder_layer,
    "decoder_layer": decoder_layer,
}


def evaluations(op, params, inputs, dtype):
    """The main output by each of PyTorch's ways, as f64 arrays. Floats in `inputs` must be their exact values."""
    # A mask is built in NumPy from the stored arrays, so attention casts for itself.
    outs = attention(params, inputs, dtype) if op == "attention" else OPS[op](params, cast(inputs, dtype), dtype)
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
    """Not finite where one of two elements is and the other is not the same."""
    if actual.shape != expected.shape:
        raise ValueError(f"shape {actual.shape}, expected {expected.shape}")
    with np.errstate(all="ignore"):
        gap = np.where((actual == expected) | (np.isnan(actual) & np.isnan(expected)), 0.0, np.abs(actual - expected))
    return float(np.max(np.where(np.isnan(gap), INF, gap), initial=0.0))


def holds(inputs, dtype):
    """Whether the dtype can hold the inputs: none that is finite becomes infinite."""
    wide, narrow = cast(inputs, torch.float64), cast(inputs, dtype)
    return all(bool((narrow[n].isfinite() | ~x.isfinite()).all()) for n, x in wide.items() if x.is_floating_point())


def baselines(op, params, inputs, expected):
    """Largest error of PyTorch by dtype against the main output, {"f32": error, ..}. A dtype that cannot hold the inputs,
    or overflows on the way, is left out."""
    main = np.asarray(expected[MAIN.get(op, "out")], dtype=np.float64)
    found = {}
    for label, dtype in DTYPES.items():
        if op in NO_ROUNDING:
            found[label] = 0.0
            continue
        if not holds(inputs, dtype):
            continue
        errors = [largest_error(out, main) for out in evaluations(op, params, inputs, dtype)]
        # A backend that returns NaN for a row without keys, or overflows, says nothing about rounding.
        errors = [error for error in errors if np.isfinite(error)]
        if errors:
            found[label] = upward(max(errors))
    return found
