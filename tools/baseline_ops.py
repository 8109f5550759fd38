"""PyTorch's own error on the operations of generate_ops.py, in f32, bf16 and f16.

`baseline(op, params, inputs, expected)` casts inputs and weights to each format, evaluates the operation as
transformers writes it, and returns the largest absolute error by format. One evaluation is one draw of its rounding,
so the worst of a few equal ones counts: all rows together, each row alone (another kernel), members in reverse order.
"""

import numpy as np
import torch
from torch.nn import functional as F
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

import oracle_ops

FORMATS = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}
torch.set_num_threads(1)


def flip(x, *axes):
    return torch.flip(x, axes)


def by_row(function, *arrays):
    """`function` on each row of the first axis alone, one element at a time where there is only one axis."""
    return torch.cat([function(*(a[i:i + 1] for a in arrays)) for i in range(len(arrays[0]))])


# ---- each operation: equal evaluations ----------------------------------------------------------------------------

def linear(p, a):
    x, weight, bias = a["x"], a["weight"], a.get("bias")
    if p.get("weight_layout", "out_in") == "in_out":
        weight = weight.T
    yield F.linear(x, weight, bias)
    yield by_row(lambda row: F.linear(row, weight, bias), x)
    yield F.linear(flip(x, -1), flip(weight, -1), bias)


def matmul(p, a):
    x, y = a["a"], a["b"]
    yield x @ y
    yield flip(x, -1) @ flip(y, -2 if y.ndim > 1 else -1)
    if x.ndim == 2 and y.ndim == 2:
        yield by_row(lambda row: row @ y, x)


def softmax(p, a, function=F.softmax):
    x = a["x"].movedim(p.get("axis", -1), -1)
    flat = x.reshape(-1, x.shape[-1])

    def back(out):
        return out.reshape(x.shape).movedim(-1, p.get("axis", -1))

    yield function(a["x"], dim=p.get("axis", -1))
    yield back(function(flat, dim=-1, dtype=torch.float32).to(x.dtype))
    yield back(by_row(lambda row: function(row, dim=-1), flat))
    yield back(flip(function(flip(flat, -1), dim=-1), -1))


def rms_norm(p, a):
    x, axis = a["x"], p.get("axis", -1) % a["x"].ndim
    axes = tuple(range(axis, x.ndim))

    def norm(x, weight):
        wide = x.float()
        wide = wide * torch.rsqrt(wide.pow(2).mean(axes, keepdim=True) + p["norm_eps"])
        if weight is None:
            return wide.to(x.dtype)
        after = p.get("downcast", "before_weight") == "after_weight"
        wide, weight = (wide, weight.float()) if after else (wide.to(x.dtype), weight)
        return (wide * (1.0 + weight if p.get("weight_form", "w") == "one_plus_w" else weight)).to(x.dtype)

    weight = a.get("weight")
    turned = None if weight is None else flip(weight, *range(weight.ndim))
    yield norm(x, weight)
    yield by_row(lambda row: norm(row, weight), x)
    yield flip(norm(flip(x, *axes), turned), *axes)


def layer_norm(p, a):
    x, weight, bias = a["x"], a["weight"], a.get("bias")
    axes = tuple(range(p.get("axis", -1) % x.ndim, x.ndim))

    def library(x, weight, bias):
        return F.layer_norm(x, weight.shape, weight, bias, p["norm_eps"])

    def plain(x, weight, bias):
        wide = x.float()
        wide = wide - wide.mean(axes, keepdim=True)
        wide = wide * torch.rsqrt(wide.pow(2).mean(axes, keepdim=True) + p["norm_eps"]) * weight.float()
        return (wide if bias is None else wide + bias.float()).to(x.dtype)

    turned = [None if t is None else flip(t, *range(t.ndim)) for t in (weight, bias)]
    for norm in (library, plain):
        yield norm(x, weight, bias)
        yield by_row(lambda row: norm(row, weight, bias), x)
        yield flip(norm(flip(x, *axes), *turned), *axes)


def gelu_of(p):
    form = p.get("approximate", "none")
    return (lambda x: x * torch.sigmoid(1.702 * x)) if form == "quick" else (lambda x: F.gelu(x, approximate=form))


def silu_of(p):
    alpha = p.get("alpha", 1)
    return F.silu if alpha == 1 else (lambda x: x * torch.sigmoid(alpha * x))


def elementwise(function, *names):
    """Whole and one by one: the vectorised and the scalar kernel of an activation differ."""
    def evaluations(p, a):
        f, arrays = function(p), [a[name] for name in names]
        yield f(*arrays)
        yield by_row(f, *(x.reshape(-1) for x in arrays)).reshape(arrays[0].shape)
    return evaluations


def gated(activation):
    def function(p):
        f = activation(p)
        return lambda gate, up: f(gate) * up
    return function


def embedding(p, a):
    out = F.embedding(a["input_ids"], a["weight"])
    # Bart multiplies by a Python number, Gemma by one that is rounded to the format first.
    yield out * p.get("scale", 1.0)
    yield out * torch.tensor(p.get("scale", 1.0), dtype=out.dtype)


def rope_tables(p, a, rotary_dim, x):
    """cos and sin [..., half], angles in f32: of transformers, then of f32 frequencies taken another way."""
    if "cos_cache" in a:
        cos, sin = a["cos_cache"], a["sin_cache"]
        yield (cos[a["position_ids"]], sin[a["position_ids"]]) if "position_ids" in a else (cos, sin)
        return
    # Positions of one axis stand for every row.
    positions = torch.atleast_2d(a["position_ids"])
    scaling = p.get("scaling") or {}
    longest = p.get("max_position_embeddings") or scaling.get("original_max_position_embeddings", 2048)
    config = LlamaConfig(
        hidden_size=rotary_dim, num_attention_heads=1, head_dim=rotary_dim,
        max_position_embeddings=longest,
        rope_parameters={"rope_type": "default", "rope_theta": p["rope_theta"], **scaling})
    yield tuple(t[..., :rotary_dim // 2] for t in LlamaRotaryEmbedding(config)(x, positions))
    inv_freq, factor = oracle_ops.rope_frequencies_np(p, rotary_dim, positions.numpy(), np.float32)
    angles = positions[..., None].float() * torch.from_numpy(inv_freq.astype(np.float32))
    yield (angles.cos() * factor).to(x.dtype), (angles.sin() * factor).to(x.dtype)


def rope(p, a):
    x = a["x"]
    if x.ndim == 3:
        x = x.unflatten(-1, (p["num_heads"], -1)).transpose(1, 2)
    rotary_dim = p.get("rotary_dim", x.shape[-1])
    turned, rest = x[..., :rotary_dim], x[..., rotary_dim:]
    for cos, sin in rope_tables(p, a, rotary_dim, x):
        if p["layout"] == "half_split":
            cos, sin = (torch.cat([t, t], -1)[:, None] for t in (cos, sin))
            first, second = turned.chunk(2, -1)
            swapped = torch.cat([-second, first], -1)
        else:
            cos, sin = (t.repeat_interleave(2, -1)[:, None] for t in (cos, sin))
            swapped = torch.stack([-turned[..., 1::2], turned[..., ::2]], -1).flatten(-2)
        out = torch.cat([turned * cos + swapped * sin, rest], -1)
        yield out.transpose(1, 2).flatten(2) if a["x"].ndim == 3 else out


def alibi(p, a):
    slopes = torch.tensor([2.0 ** (-n / d) for n, d in oracle_ops.alibi_exponents(p["num_heads"])])
    gap = (a["kv_positions"][None, :] - a["q_positions"][:, None]).float()
    # Bloom rounds the product, a model kept in 16 bits also the slopes.
    for dtype in (torch.float32, p["dtype"]):
        yield (slopes.to(dtype)[:, None, None] * gap.to(dtype)).to(p["dtype"])


OPERATIONS = {
    "linear": linear,
    "matmul": matmul,
    "softmax": softmax,
    "log_softmax": lambda p, a: softmax(p, a, F.log_softmax),
    "rms_norm": rms_norm,
    "layer_norm": layer_norm,
    "gelu": elementwise(gelu_of, "x"),
    "silu": elementwise(silu_of, "x"),
    "relu": elementwise(lambda p: F.relu, "x"),
    "swiglu": elementwise(gated(silu_of), "gate", "up"),
    "geglu": elementwise(gated(gelu_of), "gate", "up"),
    "embedding": embedding,
    "rope": rope,
    "alibi": alibi,
}


def baseline(op, params, inputs, expected):
    """{"f32": error, ...}; a format that cannot hold the inputs, or whose answer overflows, is left out."""
    main = expected["bias" if op == "alibi" else "out"]
    errors = {}
    for label, dtype in FORMATS.items():
        given = {name: torch.from_numpy(np.ascontiguousarray(x)) for name, x in inputs.items()}
        cast = {name: x.to(dtype) if x.is_floating_point() else x for name, x in given.items()}
        if any((x.isfinite() & ~cast[name].isfinite()).any() for name, x in given.items()):
            continue
        worst = 0.0
        for out in OPERATIONS[op]({**params, "dtype": dtype}, cast):
            if out.dtype != dtype or tuple(out.shape) != main.shape:
                raise SystemExit(f"{op}: baseline of {label} has dtype {out.dtype}, shape {tuple(out.shape)}")
            worst = max(worst, float(np.max(np.abs(out.double().numpy() - main))))
        if np.isfinite(worst):
            errors[label] = worst
    return errors
