"""NumPy f64 forward pass of small Hugging Face checkpoints, written from the formulas.

It reads config.json and *.safetensors itself and shares no code with PyTorch or transformers, so that it can attest
what they computed. One forward pass serves every family; a family is a reading of config.json and of tensor names.

    out = evaluate("checkpoint/", input_ids, attention_mask, position_ids)
    out["logits"], out["embed"], out["layers.0.output"], out["layers.0.attn.probs"], out["final_norm"]

Run as a program it compares itself with stored outputs:

    python oracle_models_numpy.py CHECKPOINT ids.npy logits.npy
"""

import json
import math
import pathlib
import sys

import numpy as np

F64 = np.float64


# ---------------------------------------------------------------------------------------------------- reading files

def read_safetensors(path):
    """All tensors of one file as f64: eight bytes of header length, a JSON header, then raw little-endian data."""
    data = pathlib.Path(path).read_bytes()
    header_len = int.from_bytes(data[:8], "little")
    header = json.loads(data[8:8 + header_len])
    body = memoryview(data)[8 + header_len:]
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        raw = bytes(body[begin:end])
        kind = entry["dtype"]
        if kind == "BF16":
            # bfloat16 is the upper half of a float32.
            flat = (np.frombuffer(raw, "<u2").astype(np.uint32) << 16).view(np.float32)
        else:
            flat = np.frombuffer(raw, {"F64": "<f8", "F32": "<f4", "F16": "<f2"}[kind])
        tensors[name] = flat.astype(F64).reshape(entry["shape"])
    return tensors


def read_checkpoint(folder):
    folder = pathlib.Path(folder)
    config = json.loads((folder / "config.json").read_text())
    index = folder / "model.safetensors.index.json"
    if index.exists():
        shards = sorted(set(json.loads(index.read_text())["weight_map"].values()))
    else:
        shards = ["model.safetensors"]
    tensors = {}
    for shard in shards:
        tensors.update(read_safetensors(folder / shard))
    return config, tensors


# ------------------------------------------------------------------------------------------------------ elementary

_erf = np.vectorize(math.erf, otypes=[F64])


def gelu_tanh(x, root_two_over_pi=math.sqrt(2 / math.pi)):
    return 0.5 * x * (1 + np.tanh(root_two_over_pi * (x + 0.044715 * x * x * x)))


def sigmoid(x):
    # exp of a negative number only, so that nothing overflows.
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e))


ACTIVATIONS = {
    "silu": lambda x: x * sigmoid(x),
    "gelu": lambda x: 0.5 * x * (1 + _erf(x / math.sqrt(2)).astype(x.dtype)),
    "gelu_new": gelu_tanh,
    "gelu_pytorch_tanh": gelu_tanh,
    # Two families carry a shortened sqrt(2/pi) in their source; it is part of their definition.
    "gelu_fast": lambda x: gelu_tanh(x, 0.7978845608),
    "gelu_bloom": lambda x: gelu_tanh(x, 0.79788456),
    "quick_gelu": lambda x: x * sigmoid(1.702 * x),
    "relu": lambda x: np.maximum(x, 0),
}
ACTIVATIONS["swish"] = ACTIVATIONS["silu"]


# ------------------------------------------------------------------------------------------------------------ rope

def rope_frequencies(rope, dim, max_position_embeddings, last_position):
    """(angle per position for each pair, factor on cos and sin).

    `rope` holds Hugging Face's keys; `last_position` is the largest position of the call, which "dynamic" and
    "longrope" look at.
    """
    kind = rope["rope_type"]
    theta = float(rope["rope_theta"])
    exponents = np.arange(0, dim, 2, dtype=F64) / dim
    inv_freq = theta ** -exponents
    if kind == "default":
        return inv_freq, 1.0
    if kind == "linear":
        return inv_freq / rope["factor"], 1.0
    if kind == "dynamic":
        length = max(last_position + 1, max_position_embeddings)
        stretch = rope["factor"] * length / max_position_embeddings - (rope["factor"] - 1)
        return (theta * stretch ** (dim / (dim - 2))) ** -exponents, 1.0
    if kind == "llama3":
        # Short waves stay, long waves are divided by the factor, a straight line in 1/wavelength between them.
        old = rope["original_max_position_embeddings"]
        low, high = rope["low_freq_factor"], rope["high_freq_factor"]
        waves = old * inv_freq / (2 * math.pi)
        keep = np.clip((waves - low) / (high - low), 0, 1)
        return inv_freq * (keep + (1 - keep) / rope["factor"]), 1.0
    if kind == "yarn":
        old = rope.get("original_max_position_embeddings") or max_position_embeddings
        factor = rope.get("factor") or max_position_embeddings / old

        def pair_index(turns):
            """The (real) pair index whose wave makes `turns` turns over the old length."""
            return dim * math.log(old / (turns * 2 * math.pi)) / (2 * math.log(theta))

        low = pair_index(rope.get("beta_fast") or 32)
        high = pair_index(rope.get("beta_slow") or 1)
        if rope.get("truncate", True):
            low, high = math.floor(low), math.ceil(high)
        low, high = max(low, 0), min(high, dim - 1)
        if low == high:
            high += 0.001
        slow = np.clip((np.arange(len(inv_freq)) - low) / (high - low), 0, 1)
        inv_freq = inv_freq * (1 - slow) + inv_freq / factor * slow

        def mscale(m):
            return 1.0 if factor <= 1 else 0.1 * m * math.log(factor) + 1.0

        attention_factor = rope.get("attention_factor")
        if attention_factor is None:
            if rope.get("mscale") and rope.get("mscale_all_dim"):
                attention_factor = mscale(rope["mscale"]) / mscale(rope["mscale_all_dim"])
            else:
                attention_factor = mscale(1)
        return inv_freq, float(attention_factor)
    if kind == "longrope":
        old = rope["original_max_position_embeddings"]
        factor = rope.get("factor") or max_position_embeddings / old
        attention_factor = rope.get("attention_factor")
        if attention_factor is None:
            attention_factor = 1.0 if factor <= 1 else math.sqrt(1 + math.log(factor) / math.log(old))
        stretch = rope["long_factor"] if last_position + 1 > old else rope["short_factor"]
        return inv_freq / np.asarray(stretch, F64), float(attention_factor)
    raise ValueError(f"rope_type {kind}")


def rotate(x, cos, sin, layout):
    """Rotates the first 2·len(cos) components of x [batch, heads, len, head_dim]; the others pass."""
    half = cos.shape[-1]
    y = x.copy()
    if layout == "half_split":
        first, second = slice(0, half), slice(half, 2 * half)
    else:
        first, second = slice(0, 2 * half, 2), slice(1, 2 * half, 2)
    a, b = x[..., first], x[..., second]
    y[..., first] = a * cos - b * sin
    y[..., second] = a * sin + b * cos
    return y


def alibi_slopes(num_heads):
    """2^(-8(h+1)/n) for n a power of two; else those of the next lower power, then every other of the next higher."""
    lower = 2 ** math.floor(math.log2(num_heads))
    slopes = [2.0 ** (-8 * (h + 1) / lower) for h in range(lower)]
    slopes += [2.0 ** (-8 * (h + 1) / (2 * lower)) for h in range(0, 2 * (num_heads - lower), 2)]
    return np.array(slopes[:num_heads])


# --------------------------------------------------------------------------------------------- reading config.json

def standard_rope(config, default_theta=10000.0, partial=None):
    """The rope dict in today's form, from `rope_parameters` or from the older top-level keys."""
    rope = dict(config.get("rope_scaling") or config.get("rope_parameters") or {})
    rope["rope_type"] = rope.get("rope_type") or rope.get("type") or "default"
    if rope.get("rope_theta") is None:
        rope["rope_theta"] = config.get("rope_theta", config.get("rotary_emb_base", default_theta))
    if partial is not None:
        rope.setdefault("partial_rotary_factor",
                        config.get("partial_rotary_factor", config.get("rotary_pct", partial)))
    if rope["rope_type"] in ("llama3", "yarn", "longrope") and "original_max_position_embeddings" not in rope:
        rope["original_max_position_embeddings"] = config["max_position_embeddings"]
    return rope


class Model:
    """What one family asks for. The defaults are a Llama; each reader below states the differences.

    `kind` is the type of all arithmetic, and `rounded` what storing an array makes of it; the oracle itself stays in
    f64 and rounds nothing.
    """

    def __init__(self, config, tensors, kind=F64, rounded=lambda x: x):
        self.c, self.kind, self.rounded = config, kind, rounded
        self.t = {name: self.store(x.astype(kind)) for name, x in tensors.items()}
        get = config.get
        self.layers = get("num_hidden_layers", get("n_layer"))
        self.hidden = get("hidden_size", get("n_embd", get("n_embed")))
        self.heads = get("num_attention_heads", get("n_head"))
        self.kv_heads = get("num_key_value_heads") or self.heads
        self.head_dim = get("head_dim") or self.hidden // self.heads
        self.max_positions = get("max_position_embeddings", get("n_positions"))
        self.eps = get("rms_norm_eps", get("layer_norm_eps", get("layer_norm_epsilon")))
        self.act = ACTIVATIONS.get(get("hidden_act", get("activation_function")))
        self.scale = [self.head_dim ** -0.5] * self.layers
        self.window = [None] * self.layers
        self.softcap = None
        self.final_softcap = None
        self.logit_scale = 1.0
        self.embed_scale = 1.0
        self.residual_scale = 1.0
        self.alibi = None
        self.layout = "half_split"
        self.rotary_dim = self.head_dim
        self.rope = [None] * self.layers
        self.parallel = False
        self.residual_after_norm = False
        self.qk_norm = None
        # LayerNorm, and whether an RMS norm is stored once more before its weight.
        self.centred = False
        self.stored_before_weight = True
        self.base = "model."
        self.layer = "model.layers.{}."
        self.head_name = "lm_head.weight"
        self.embed_name = "model.embed_tokens.weight"
        self.norm_name = "model.norm"
        self.norm = lambda x, name: self.rms_norm(x, self.t[name + ".weight"])
        READERS[config["model_type"]](self)
        tied = get("tie_word_embeddings", self.tied_by_default)
        self.head = self.t[self.embed_name] if tied else self.t[self.head_name]
        self.head_bias = self.t.get(self.head_name.replace("weight", "bias"))

    tied_by_default = False

    def set_rope(self, default_theta=10000.0, partial=None):
        rope = standard_rope(self.c, default_theta, partial)
        self.rope = [rope] * self.layers
        if partial is not None:
            self.rotary_dim = int(self.head_dim * rope["partial_rotary_factor"])

    def store(self, x):
        """What is left of x between two steps. A step that slipped into another type is an error of this file."""
        assert x.dtype == self.kind, x.dtype
        return self.rounded(x)

    def unit(self, x):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + self.eps)

    def weighted(self, z, weight):
        return self.store((self.store(z) if self.stored_before_weight else z) * weight)

    def rms_norm(self, x, weight):
        return self.weighted(self.unit(x), weight)

    def layer_norm(self, x, weight, bias):
        y = self.unit(x - x.mean(-1, keepdims=True)) * weight
        return self.store(y if bias is None else y + bias)

    def product(self, x, y):
        return x @ y

    def linear(self, x, weight, bias=None):
        """y = x Wᵀ + b, weight [out, in]."""
        y = self.product(x, weight.T)
        return self.store(y if bias is None else y + bias)

    def dense(self, x, name):
        return self.linear(x, self.t[name + ".weight"], self.t.get(name + ".bias"))

    def split(self, x, heads):
        batch, length, _ = x.shape
        return x.reshape(batch, length, heads, -1).transpose(0, 2, 1, 3)

    # The parts of a layer, each with the names of the Llama tensors; families replace what differs.

    def pre_attn(self, x, p):
        return self.norm(x, p + "input_layernorm")

    def post_attn(self, x, p):
        return x

    def pre_mlp(self, x, p):
        return self.norm(x, p + "post_attention_layernorm")

    def post_mlp(self, x, p):
        return x

    def qkv(self, x, p):
        q = self.split(self.dense(x, p + "self_attn.q_proj"), self.heads)
        k = self.split(self.dense(x, p + "self_attn.k_proj"), self.kv_heads)
        v = self.split(self.dense(x, p + "self_attn.v_proj"), self.kv_heads)
        return q, k, v

    def out_proj(self, x, p):
        return self.dense(x, p + "self_attn.o_proj")

    def gated(self, gate, up):
        return self.store(self.store(self.act(gate)) * up)

    def mlp(self, x, p):
        gate, up = self.dense(x, p + "mlp.gate_proj"), self.dense(x, p + "mlp.up_proj")
        return self.dense(self.gated(gate, up), p + "mlp.down_proj")

    def embed(self, ids, positions):
        return self.store(self.t[self.embed_name][ids] * self.embed_scale)

    def add(self, x, branch):
        """The residual sum."""
        return self.store(x + self.store(self.residual_scale * branch))

    def logits(self, x):
        y = self.store(self.linear(x, self.head, self.head_bias) * self.logit_scale)
        return y if self.final_softcap is None else self.store(self.final_softcap * np.tanh(y / self.final_softcap))

    # ------------------------------------------------------------------------------------------------ the forward

    def attention(self, x, p, n, positions, allowed, sites):
        q, k, v = self.qkv(x, p)
        if self.qk_norm:
            q, k = self.qk_norm(q, k, p)
        if self.rope[n] is not None:
            inv_freq, factor = rope_frequencies(self.rope[n], self.rotary_dim, self.max_positions,
                                                int(positions.max()))
            angle = positions[:, None, :, None].astype(self.kind) * inv_freq.astype(self.kind)
            cos, sin = self.store(np.cos(angle) * factor), self.store(np.sin(angle) * factor)
            q, k = (self.store(rotate(x, cos, sin, self.layout)) for x in (q, k))
        group = self.heads // self.kv_heads
        k, v = np.repeat(k, group, axis=1), np.repeat(v, group, axis=1)
        scores = q @ k.transpose(0, 1, 3, 2) * self.scale[n]
        sites[f"layers.{n}.attn.scores"] = scores
        if self.softcap is not None:
            scores = self.softcap * np.tanh(scores / self.softcap)
        if self.alibi is not None:
            distance = positions[:, None, :, None] - positions[:, None, None, :]
            scores = scores - self.alibi[None, :, None, None].astype(self.kind) * distance.astype(self.kind)
        index = np.arange(x.shape[1])
        may = allowed
        if self.window[n] is not None:
            may = may & (index[None, :] > index[:, None] - self.window[n])
        scores = np.where(may, scores, -np.inf)
        # A row with no key allowed gets probs 0 and context 0.
        top = scores.max(-1, keepdims=True)
        e = np.exp(scores - np.where(np.isfinite(top), top, 0))
        total = e.sum(-1, keepdims=True)
        probs = self.store(e / np.where(total == 0, 1, total))
        sites[f"layers.{n}.attn.probs"] = probs
        context = self.store(self.product(probs, v)).transpose(0, 2, 1, 3)
        return self.out_proj(context.reshape(*x.shape[:2], -1), p)

    def forward(self, ids, attention_mask=None, position_ids=None):
        ids = np.asarray(ids)
        batch, length = ids.shape
        positions = np.arange(length)[None].repeat(batch, 0) if position_ids is None else np.asarray(position_ids)
        causal = np.arange(length)[None, :] <= np.arange(length)[:, None]
        real = np.ones((batch, length), bool) if attention_mask is None else np.asarray(attention_mask) != 0
        allowed = causal[None, None] & real[:, None, None, :]
        sites = {}
        x = self.embed(ids, positions)
        sites["embed"] = x
        for n in range(self.layers):
            p = self.layer.format(n)
            a_in = self.pre_attn(x, p)
            a = self.post_attn(self.attention(a_in, p, n, positions, allowed, sites), p)
            if self.parallel:
                x = self.store(self.store(x + a) + self.mlp(self.pre_mlp(x, p), p))
            else:
                h = self.add(a_in if self.residual_after_norm else x, a)
                m_in = self.pre_mlp(h, p)
                m = self.post_mlp(self.mlp(m_in, p), p)
                x = self.add(m_in if self.residual_after_norm else h, m)
            sites[f"layers.{n}.output"] = x
        x = self.norm(x, self.norm_name)
        sites["final_norm"] = x
        sites["logits"] = self.logits(x)
        return sites


# -------------------------------------------------------------------------------------------------------- families

def layer_windows(m, types, window):
    return [window if kind == "sliding_attention" else None for kind in types]


def read_llama(m):
    m.set_rope()


def read_mistral(m):
    m.set_rope()
    m.window = [m.c.get("sliding_window", 4096)] * m.layers


def read_qwen2(m):
    m.set_rope()
    c = m.c
    window = c.get("sliding_window", 4096) if c.get("use_sliding_window", False) else None
    types = c.get("layer_types") or [
        "sliding_attention" if window is not None and n >= c.get("max_window_layers", 28) else "full_attention"
        for n in range(m.layers)]
    m.window = layer_windows(m, types, window)


def read_qwen3(m):
    read_qwen2(m)
    m.head_dim = m.rotary_dim = m.c.get("head_dim", 128)
    m.scale = [m.head_dim ** -0.5] * m.layers
    head_rms_norm(m)


def head_rms_norm(m):
    """Every head of q and k is normed on its own, before the rotation."""
    m.qk_norm = lambda q, k, p: (m.norm(q, p + "self_attn.q_norm"), m.norm(k, p + "self_attn.k_norm"))


def read_gemma(m):
    m.set_rope()
    m.tied_by_default = True
    m.head_dim = m.rotary_dim = m.c.get("head_dim", 256)
    m.scale = [m.head_dim ** -0.5] * m.layers
    m.embed_scale = math.sqrt(m.hidden)
    # The family's "gelu" always meant the tanh form.
    if m.c.get("hidden_act", "gelu_pytorch_tanh") in ("gelu", "gelu_pytorch_tanh"):
        m.act = gelu_tanh
    m.norm = lambda x, name: m.rms_norm(x, 1 + m.t[name + ".weight"])
    m.stored_before_weight = False


def sandwich_norms(m):
    """Norms before and after both parts (Gemma 2 and 3)."""
    m.post_attn = lambda x, p: m.norm(x, p + "post_attention_layernorm")
    m.pre_mlp = lambda x, p: m.norm(x, p + "pre_feedforward_layernorm")
    m.post_mlp = lambda x, p: m.norm(x, p + "post_feedforward_layernorm")


def read_gemma2(m):
    read_gemma(m)
    c = m.c
    m.act = ACTIVATIONS[c.get("hidden_activation", "gelu_pytorch_tanh")]
    sandwich_norms(m)
    m.scale = [c.get("query_pre_attn_scalar", 256) ** -0.5] * m.layers
    m.softcap = c.get("attn_logit_softcapping", 50.0)
    m.final_softcap = c.get("final_logit_softcapping", 30.0)
    types = c.get("layer_types") or ["full_attention" if n % 2 else "sliding_attention" for n in range(m.layers)]
    m.window = layer_windows(m, types, c.get("sliding_window", 4096))


def read_gemma3(m):
    read_gemma(m)
    c = m.c
    m.act = ACTIVATIONS[c.get("hidden_activation", "gelu_pytorch_tanh")]
    sandwich_norms(m)
    head_rms_norm(m)
    m.scale = [c.get("query_pre_attn_scalar", 256) ** -0.5] * m.layers
    # transformers ignores attn_logit_softcapping here: the family has QK-norm instead.
    m.final_softcap = c.get("final_logit_softcapping")
    period = c.get("sliding_window_pattern", c.get("_sliding_window_pattern", 6))
    types = c.get("layer_types") or [
        "sliding_attention" if (n + 1) % period else "full_attention" for n in range(m.layers)]
    m.window = layer_windows(m, types, c.get("sliding_window", 4096))
    given = c.get("rope_parameters") or {}
    ropes = {"full_attention": {**given.get("full_attention", {}), **(c.get("rope_scaling") or {})},
             "sliding_attention": dict(given.get("sliding_attention", {}))}
    ropes["full_attention"].setdefault("rope_theta", c.get("rope_theta", 1e6))
    ropes["sliding_attention"].setdefault("rope_theta", c.get("rope_local_base_freq", 1e4))
    for rope in ropes.values():
        rope["rope_type"] = rope.get("rope_type") or rope.get("type") or "default"
    m.rope = [ropes[kind] for kind in types]


def plain_mlp(m, first, second):
    m.mlp = lambda x, p: m.dense(m.store(m.act(m.dense(x, p + first))), p + second)


def use_layer_norm(m):
    m.centred = True
    m.norm = lambda x, name: m.layer_norm(x, m.t[name + ".weight"], m.t.get(name + ".bias"))


def read_phi(m):
    m.set_rope(partial=0.5)
    use_layer_norm(m)
    m.parallel = True
    m.norm_name = "model.final_layernorm"
    m.pre_mlp = m.pre_attn
    m.out_proj = lambda x, p: m.dense(x, p + "self_attn.dense")
    plain_mlp(m, "mlp.fc1", "mlp.fc2")
    if m.c.get("qk_layernorm", False):
        m.qk_norm = lambda q, k, p: (m.norm(q, p + "self_attn.q_layernorm"), m.norm(k, p + "self_attn.k_layernorm"))


def fused_qkv(m, x, p):
    fused = m.dense(x, p + "self_attn.qkv_proj")
    q, k, v = np.split(fused, [m.heads * m.head_dim, (m.heads + m.kv_heads) * m.head_dim], axis=-1)
    return m.split(q, m.heads), m.split(k, m.kv_heads), m.split(v, m.kv_heads)


def fused_mlp(m, x, p):
    gate, up = np.split(m.dense(x, p + "mlp.gate_up_proj"), 2, axis=-1)
    return m.dense(m.gated(gate, up), p + "mlp.down_proj")


def read_phi3(m):
    m.set_rope(partial=1.0)
    rope = m.rope[0]
    if rope["rope_type"] in ("su", "yarn"):
        rope["rope_type"] = "longrope"
    rope["original_max_position_embeddings"] = m.c.get("original_max_position_embeddings", 4096)
    m.window = [m.c.get("sliding_window")] * m.layers
    m.qkv = lambda x, p: fused_qkv(m, x, p)
    m.mlp = lambda x, p: fused_mlp(m, x, p)


def read_glm(m):
    m.set_rope(partial=0.5)
    m.head_dim = m.c.get("head_dim") or 128
    m.scale = [m.head_dim ** -0.5] * m.layers
    m.rotary_dim = int(m.head_dim * m.rope[0]["partial_rotary_factor"])
    m.layout = "interleaved"
    m.mlp = lambda x, p: fused_mlp(m, x, p)


def heads_of_three(m, x, p, name):
    """One projection whose rows go head by head: q, k, v of head 0, then of head 1, …"""
    fused = m.dense(x, p + name)
    batch, length, _ = fused.shape
    parts = fused.reshape(batch, length, m.heads, 3, m.head_dim)
    return tuple(parts[:, :, :, i].transpose(0, 2, 1, 3) for i in range(3))


def read_gpt_neox(m):
    m.set_rope(partial=0.25)
    use_layer_norm(m)
    m.base = "gpt_neox."
    m.layer = "gpt_neox.layers.{}."
    m.embed_name = "gpt_neox.embed_in.weight"
    m.norm_name = "gpt_neox.final_layer_norm"
    m.parallel = m.c.get("use_parallel_residual", True)
    m.qkv = lambda x, p: heads_of_three(m, x, p, "attention.query_key_value")
    m.out_proj = lambda x, p: m.dense(x, p + "attention.dense")
    plain_mlp(m, "mlp.dense_h_to_4h", "mlp.dense_4h_to_h")
    # Older checkpoints call the head embed_out.
    if "embed_out.weight" in m.t:
        m.head_name = "embed_out.weight"


def read_gptj(m):
    use_layer_norm(m)
    m.rope = [{"rope_type": "default", "rope_theta": 10000.0}] * m.layers
    m.rotary_dim = m.c.get("rotary_dim", 64)
    m.layout = "interleaved"
    m.parallel = True
    m.layer = "transformer.h.{}."
    m.embed_name = "transformer.wte.weight"
    m.norm_name = "transformer.ln_f"
    m.pre_attn = m.pre_mlp = lambda x, p: m.norm(x, p + "ln_1")
    m.qkv = lambda x, p: tuple(m.split(m.dense(x, f"{p}attn.{s}_proj"), m.heads) for s in "qkv")
    m.out_proj = lambda x, p: m.dense(x, p + "attn.out_proj")
    plain_mlp(m, "mlp.fc_in", "mlp.fc_out")


def read_gpt2(m):
    use_layer_norm(m)
    m.tied_by_default = True
    m.layer = "transformer.h.{}."
    m.embed_name = "transformer.wte.weight"
    m.norm_name = "transformer.ln_f"
    m.embed = lambda ids, positions: m.store(
        m.t["transformer.wte.weight"][ids] + m.t["transformer.wpe.weight"][positions])
    m.pre_attn = lambda x, p: m.norm(x, p + "ln_1")
    m.pre_mlp = lambda x, p: m.norm(x, p + "ln_2")
    # Conv1D keeps its weight [in, out].
    m.dense = lambda x, name: m.store(m.product(x, m.t[name + ".weight"]) + m.t[name + ".bias"])

    def qkv(x, p):
        q, k, v = np.split(m.dense(x, p + "attn.c_attn"), 3, axis=-1)
        return m.split(q, m.heads), m.split(k, m.heads), m.split(v, m.heads)

    m.qkv = qkv
    m.out_proj = lambda x, p: m.dense(x, p + "attn.c_proj")
    plain_mlp(m, "mlp.c_fc", "mlp.c_proj")
    if not m.c.get("scale_attn_weights", True):
        m.scale = [1.0] * m.layers
    if m.c.get("scale_attn_by_inverse_layer_idx", False):
        m.scale = [s / (n + 1) for n, s in enumerate(m.scale)]


def read_bloom(m):
    use_layer_norm(m)
    m.tied_by_default = True
    m.alibi = alibi_slopes(m.heads)
    m.layer = "transformer.h.{}."
    m.embed_name = "transformer.word_embeddings.weight"
    m.norm_name = "transformer.ln_f"
    m.act = ACTIVATIONS["gelu_bloom"]
    m.embed = lambda ids, positions: m.norm(m.t[m.embed_name][ids], "transformer.word_embeddings_layernorm")
    m.residual_after_norm = m.c.get("apply_residual_connection_post_layernorm", False)
    m.qkv = lambda x, p: heads_of_three(m, x, p, "self_attention.query_key_value")
    m.out_proj = lambda x, p: m.dense(x, p + "self_attention.dense")
    plain_mlp(m, "mlp.dense_h_to_4h", "mlp.dense_4h_to_h")


def read_olmo2(m):
    m.set_rope()
    m.pre_attn = m.pre_mlp = lambda x, p: x
    m.post_attn = lambda x, p: m.norm(x, p + "post_attention_layernorm")
    m.post_mlp = lambda x, p: m.norm(x, p + "post_feedforward_layernorm")
    m.stored_before_weight = False

    def qkv(x, p):
        # The norm runs over all heads at once, so it comes before the split.
        q = m.norm(m.dense(x, p + "self_attn.q_proj"), p + "self_attn.q_norm")
        k = m.norm(m.dense(x, p + "self_attn.k_proj"), p + "self_attn.k_norm")
        v = m.dense(x, p + "self_attn.v_proj")
        return m.split(q, m.heads), m.split(k, m.kv_heads), m.split(v, m.kv_heads)

    m.qkv = qkv


def read_cohere(m):
    m.set_rope(default_theta=500000.0)
    use_layer_norm(m)
    m.tied_by_default = True
    m.layout = "interleaved"
    m.parallel = True
    m.pre_mlp = m.pre_attn
    m.logit_scale = m.c.get("logit_scale", 0.0625)
    if m.c.get("use_qk_norm", False):

        def one(x, weight):
            # weight [heads, head_dim]: each head has its own gain.
            return m.layer_norm(x, weight[None, :, None, :], None)

        m.qk_norm = lambda q, k, p: (one(q, m.t[p + "self_attn.q_norm.weight"]),
                                     one(k, m.t[p + "self_attn.k_norm.weight"]))


def read_granite(m):
    m.set_rope()
    m.embed_scale = m.c.get("embedding_multiplier", 1.0)
    m.logit_scale = 1 / m.c.get("logits_scaling", 1.0)
    m.residual_scale = m.c.get("residual_multiplier", 1.0)
    m.scale = [m.c.get("attention_multiplier", 1.0)] * m.layers


READERS = {
    "llama": read_llama, "mistral": read_mistral, "qwen2": read_qwen2, "qwen3": read_qwen3, "gemma": read_gemma,
    "gemma2": read_gemma2, "gemma3_text": read_gemma3, "phi": read_phi, "phi3": read_phi3, "glm": read_glm,
    "gpt_neox": read_gpt_neox, "gptj": read_gptj, "gpt2": read_gpt2, "bloom": read_bloom, "olmo2": read_olmo2,
    "cohere": read_cohere, "granite": read_granite,
}


def evaluate(folder, input_ids, attention_mask=None, position_ids=None):
    """All sites of one whole pass, in f64."""
    return Model(*read_checkpoint(folder)).forward(input_ids, attention_mask, position_ids)


if __name__ == "__main__":
    checkpoint, ids_path, logits_path = sys.argv[1:]
    actual = evaluate(checkpoint, np.load(ids_path))["logits"]
    print(f"max |stored - numpy| = {np.abs(np.load(logits_path) - actual).max():.3e}")
