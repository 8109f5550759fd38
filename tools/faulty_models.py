"""A whole model with one known fault, through a cache: shows that a case sees the fault it says it catches. NumPy only.

Each fault is a short edit of oracle_models_numpy.py or of the cache around it, on the weights and the question of the
case. Not a model of any code. With `fault=None` it is the right answer by a cache, call by call; several names are
several faults at once. `stored` says what is computed in and what is kept between two steps.

    logits = run("checkpoint/", "rope-on-v", [Request(ids, steps=[10, 1, 1])])
    logits = run("checkpoint/", {"rope-on-v", "scale-missing"}, [Request(ids)], stored="bf16")
"""

import dataclasses
import math

import numpy as np

import oracle_models_numpy as right
from npz_write import bf16_values, bf16_words
from rounded_models import NUMERICS, edit_numerics

# Tokens a page in the fault of a block table that is not read, and keys a tile in the faults of tiled kernels: small
# enough for the lengths of the cases to need several.
PAGE = 4
TILE = 4


@dataclasses.dataclass
class Request:
    """One request: ids [batch, len], mask and positions of the same shape or None, lengths of the calls."""
    ids: np.ndarray
    mask: np.ndarray | None = None
    positions: np.ndarray | None = None
    steps: list | None = None


class NotHere(Exception):
    """The model has no place for this fault."""


def in_bf16(x):
    """x rounded, in the type it has."""
    return bf16_values(bf16_words(np.asarray(x, dtype=np.float32))).astype(np.asarray(x).dtype)


# What is computed in, and what storing does. In bf16 the arithmetic between two stored arrays is f32, as on hardware.
STORED = {"f64": (np.float64, lambda x: x), "f32": (np.float32, lambda x: x), "bf16": (np.float32, in_bf16)}


def need(condition):
    if not condition:
        raise NotHere


# ---- edits of the specification and the weights -------------------------------------------------------------------

def edit_scale(m, fault):
    if fault in ("scale-twice", "scale-constant-rounded"):
        m.scale = [s * s if fault == "scale-twice" else float(in_bf16(s)) for s in m.scale]
        return
    other = {"scale-missing": 1.0, "scale-d_model": m.hidden ** -0.5, "scale-n_heads": m.heads ** -0.5}.get(fault)
    if fault == "scale-wrong-head_dim-source":
        other = next((s for s in (m.head_dim ** -0.5, (m.hidden / m.heads) ** -0.5) if abs(s - m.scale[0]) > 1e-9), None)
    need(other)
    m.scale = [other] * m.layers


def edit_rope(m, fault):
    need(any(m.rope))
    if fault == "rope-theta-wrong":
        m.rope = [r and {**r, "rope_theta": 5e5 if r["rope_theta"] == 1e4 else 1e4} for r in m.rope]
    elif fault == "rope-scaling-ignored":
        m.rope = [r and {**r, "rope_type": "default"} for r in m.rope]
    elif fault == "rope-pairing":
        m.layout = "interleaved" if m.layout == "half_split" else "half_split"


def edit_heads(m, fault):
    """Every head with the projection of head 0."""
    for name in ("q_proj", "k_proj", "v_proj"):
        found = [n for n in m.t if f".{name}." in n]
        need(found)
        for full in found:
            m.t[full] = np.concatenate([m.t[full][:m.head_dim]] * (len(m.t[full]) // m.head_dim))


def edit_bias(m, fault):
    found = [n for n in m.t if n.endswith(".bias") and any(p in n for p in ("q_proj", "k_proj", "v_proj", "c_attn",
                                                                             "query_key_value", "qkv_proj"))]
    need(found)
    for name in found:
        m.t[name] = np.zeros_like(m.t[name])


def edit_transposed(m, fault):
    found = [n for n, x in m.t.items() if x.ndim == 2 and x.shape[0] == x.shape[1]]
    need(found)
    for name in found:
        m.t[name] = m.t[name].T


def edit_window(m, fault):
    width = next((w for w in m.window if w is not None), None)
    need(width)
    if fault == "window-ignored":
        m.window = [None] * m.layers
    elif fault == "window-+1":
        m.window = [w and w + 1 for w in m.window]
    else:
        need(None in m.window)
        m.window = [width if w is None else None for w in m.window]


def edit_softcap(m, fault):
    name = "final_softcap" if fault == "final-logit-softcap-dropped" else "softcap"
    need(getattr(m, name))
    if fault != "softcap-after-mask":
        setattr(m, name, None)


def edit_alibi(m, fault):
    need(m.alibi is not None)
    if fault == "alibi-constant-offset":
        return
    n = m.heads
    # One step off for a power of two, the formula of powers of two for another number.
    m.alibi = 2.0 ** (-8.0 * (np.arange(n) + (1 if n & (n - 1) else 0)) / n)


def edit_embedding(m, fault):
    if fault == "learned-position-offset":
        need("transformer.wpe.weight" in m.t)
        m.t["transformer.wpe.weight"] = np.roll(m.t["transformer.wpe.weight"], -2, axis=0)
        return
    need(m.embed_scale != 1)
    m.embed_scale = 1.0 if fault == "embedding-scale-missing" else float(in_bf16(m.embed_scale))


def edit_head(m, fault):
    # A tied model has no head of its own: what stands there was never loaded.
    m.head = np.zeros_like(m.head) if m.head is m.t[m.embed_name] else m.t[m.embed_name]


def edit_activation(m, fault):
    gelu, tanh, silu = (right.ACTIVATIONS[n] for n in ("gelu", "gelu_new", "silu"))
    is_gelu = abs(m.act(np.array(1.0)) - gelu(np.array(1.0))) < 1e-2
    if fault == "silu-gelu":
        m.act = silu if is_gelu else gelu
    else:
        need(is_gelu)
        exact = abs(m.act(np.array(1.5)) - gelu(np.array(1.5))) < 1e-12
        m.act = (tanh if exact else gelu) if fault == "gelu-tanh-vs-erf" else \
            (lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x))))


def edit_gate(m, fault):
    for name in list(m.t):
        if "gate_proj" in name:
            other = name.replace("gate_proj", "up_proj")
            m.t[name], m.t[other] = m.t[other], m.t[name]
        elif "gate_up_proj" in name:
            m.t[name] = np.concatenate(np.split(m.t[name], 2)[::-1])
    need(any("gate" in name for name in m.t))


def edit_norm(m, fault):
    plain = m.norm
    if fault == "norm-weight-missing":
        plus = m.c["model_type"].startswith("gemma")
        # Gemma's weight is 1 + w, so w alone is what a plain norm makes of it.
        if plus:
            m.norm = lambda x, name: m.rms_norm(x, m.t[name + ".weight"])
        for name in [] if plus else [n for n, x in m.t.items() if n.endswith(".weight") and ("norm" in n or x.ndim == 1)]:
            m.t[name] = np.ones_like(m.t[name])
    elif fault == "wrong-norm-instance":
        pairs = (("post_attention_layernorm", "input_layernorm"), (".ln_2", ".ln_1"))
        if not any("input_layernorm" in name for name in m.t):
            # OLMo 2 has norms after both parts and none before.
            pairs = (("post_feedforward_layernorm", "post_attention_layernorm"), (".ln_2", ".ln_1"))
        need(any(old in name for old, _ in pairs for name in m.t))

        def norm(x, name):
            for old, new in pairs:
                name = name.replace(old, new)
            return plain(x, name)
        m.norm = norm
    elif fault == "final-norm-missing-extra":
        m.norm = lambda x, name: x if name == m.norm_name else plain(x, name)
    elif fault == "eps-wrong-value":
        m.eps = 1e-6 if m.eps != 1e-6 else 1e-5


def edit_statistics(m, fault):
    """In every norm, those of q and k among them; x comes centred where the norm is a LayerNorm."""
    plain = m.unit
    square = lambda x: (x * x).mean(-1, keepdims=True)
    if fault == "rmsnorm-computed-as-layernorm":
        need(not m.centred)
        m.unit = lambda x: plain(x - x.mean(-1, keepdims=True))
    elif fault == "sum-instead-of-mean-wrong-axis":
        m.unit = lambda x: x / np.sqrt((x * x).sum(-1, keepdims=True) + m.eps)
    elif fault == "unbiased-variance":
        need(m.centred)
        m.unit = lambda x: x / np.sqrt((x * x).sum(-1, keepdims=True) / (x.shape[-1] - 1) + m.eps)
    elif fault == "eps-outside-sqrt":
        m.unit = lambda x: x / (np.sqrt(square(x)) + m.eps)
    elif fault == "divide-by-rsqrt":
        m.unit = lambda x: x * np.sqrt(square(x) + m.eps)
    elif fault == "stats-in-bf16":
        m.unit = lambda x: x / np.sqrt(in_bf16(square(x)) + m.eps)
    elif fault == "eps-inflated-by-rescale":

        def unit(x):
            top = np.abs(x).max(-1, keepdims=True)
            top = np.where(top == 0, 1, top)
            return x / (top * np.sqrt(square(x / top) + m.eps))
        m.unit = unit
    elif fault == "weight-add-multiply-in-low-precision":
        # The other order of product and rounding; where the product comes first by right, 1 + w is rounded too.
        need(not m.centred)
        m.rms_norm = lambda x, weight: m.store(
            in_bf16(m.unit(x) * weight) if m.stored_before_weight else in_bf16(in_bf16(m.unit(x)) * in_bf16(weight)))


def edit_qkv(m, fault):
    """The packed weight cut in the other order: blocks of q, k, v for head by head, and the reverse."""
    kind = m.c["model_type"]
    if kind in ("gpt_neox", "bloom"):
        name = "attention.query_key_value" if kind == "gpt_neox" else "self_attention.query_key_value"
        m.qkv = lambda x, p: tuple(m.split(part, m.heads) for part in np.split(m.dense(x, p + name), 3, axis=-1))
    elif kind == "gpt2":
        m.qkv = lambda x, p: right.heads_of_three(m, x, p, "attn.c_attn")
    else:
        need(kind == "phi3")

        def qkv(x, p):
            fused = m.dense(x, p + "self_attn.qkv_proj")
            k, v, q = np.split(fused, [m.kv_heads * m.head_dim, 2 * m.kv_heads * m.head_dim], axis=-1)
            return m.split(q, m.heads), m.split(k, m.kv_heads), m.split(v, m.kv_heads)
        m.qkv = qkv


def edit_qk_norm(m, fault):
    if m.qk_norm is None:
        need(any("q_norm" in name for name in m.t))
        plain = m.norm
        m.norm = lambda x, name: x if name.endswith(("q_norm", "k_norm")) else plain(x, name)


def edit_gated(m, fault):
    """silu(gate·up); by the names of the weights it has to be a gated MLP."""
    need(any("gate" in name for name in m.t))
    m.gated = lambda gate, up: m.store(m.act(m.store(gate * up)))


def edit_out(m, fault):
    need(m.heads * m.head_dim == m.hidden)
    m.out_proj = lambda x, p: x


def edit_split(m, fault):
    need(m.heads > 1)
    m.split = lambda x, heads: x.reshape(len(x), heads, x.shape[1], -1)


EDITS = {
    **dict.fromkeys(("scale-missing", "scale-d_model", "scale-n_heads", "scale-twice", "scale-constant-rounded",
                     "scale-wrong-head_dim-source"), edit_scale),
    **dict.fromkeys(("rope-theta-wrong", "rope-scaling-ignored", "rope-pairing", "rope-exponent", "rope-on-v",
                     "rope-not-applied-to-k", "rope-position-k-off-by-one", "rope-mixed-conventions",
                     "fused-rope-q-k-halves-crossed", "yarn-mscale-missing-or-doubled", "partial-rotary-dim",
                     "rope-positions-in-bf16", "rope-inv_freq-in-bf16", "rope-cos-sin-in-bf16",
                     "rope-only-rotates-first-head-at-t-1", "rope-sign-flipped", "rope-on-wrong-axis",
                     "rope-both-off-by-one", "cache-pre-rope-keys",
                     "rope-applied-twice-to-cached-k"), edit_rope),
    **dict.fromkeys(("window-ignored", "window-+1", "window-on-wrong-layers"), edit_window),
    **dict.fromkeys(("softcap-dropped", "softcap-after-mask", "final-logit-softcap-dropped"), edit_softcap),
    **dict.fromkeys(("embedding-scale-missing", "embedding-scale-rounding", "learned-position-offset"), edit_embedding),
    **dict.fromkeys(("gelu-tanh-vs-erf", "gelu-formula-error", "silu-gelu"), edit_activation),
    **dict.fromkeys(("norm-weight-missing", "wrong-norm-instance", "final-norm-missing-extra", "eps-wrong-value"),
                    edit_norm),
    **dict.fromkeys(("unbiased-variance", "eps-outside-sqrt", "eps-inflated-by-rescale", "divide-by-rsqrt", "sum-instead-of-mean-wrong-axis", "stats-in-bf16",
                     "rmsnorm-computed-as-layernorm", "weight-add-multiply-in-low-precision"), edit_statistics),
    "same-projection-for-all-heads": edit_heads, "qkv-bias-dropped": edit_bias, "weight-transposed": edit_transposed,
    "alibi-slopes": edit_alibi, "alibi-constant-offset": edit_alibi, "swiglu-silu-of-product": edit_gated,
    "output-projection-missing": edit_out, "tied-untied-head-confusion": edit_head, "swiglu-gate-up-swapped": edit_gate,
    "qkv-split-order-layout": edit_qkv, "qk-norm-order": edit_qk_norm, "view-without-transpose": edit_split,
}
# Faults of the pass and of the cache, below.
ELSEWHERE = set("""
    gqa-tile-vs-repeat gqa-all-use-head-0 softmax-wrong-axis-query softmax-no-max-shift mask-none mask-top-left
    mask-skipped-when-cache-present mask-skipped-on-later-chunks mask-finite-small scores-softmax-in-bf16
    fully-masked-row-nan pad-mask-dropped pad-mask-dropped-in-decode-only padding-side-wrong mask-of-batch-row-0
    batch-leak residual-wrong-source-missing residual-from-normalised-x norm-in-place-corrupts-residual
    left-pad-ignored-in-positions rope-ignores-position_ids positions-restart-at-0-in-decode decode-offset-by-one
    rope-cache-keyed-without-offset no-cache-path-wrong cache-not-updated cache-slot-overwritten v-cache-stale
    new-k-prepended layer-index-ignored stale-cache-across-requests ring-buffer-order
    ring-long-prefill-breaks-causality eviction-desync paged-block-table cache-dtype-truncated
    attention-dropout-active-in-eval softmax-wrong-axis-heads softmax-plus-one softmax-eps-in-denominator
    softmax-base-2-mix-up softmax-twice online-softmax-no-inverse-rescale tile-tail-not-masked split-kv-merge-wrong
    probs-cast-low accumulate-in-bf16 k-v-swapped-v-used-as-k mask-strict mask+1 mask-1e4-fill mask-multiplied
    mask-after-softmax-no-renorm mask-polarity-inverted gqa-repeat-on-wrong-dim merge-without-transpose
""".split())


class Faulty(right.Model):
    """The model, call by call through a cache of keys and values, with one fault, with several or with none."""

    # Roles of arrays that are kept in a coarser format than `stored` says: rounded_models.py.
    numerics = {}

    def __init__(self, config, tensors, fault=None, stored="f64"):
        super().__init__(config, tensors, *STORED[stored])
        self.faults = frozenset([] if fault is None else [fault] if isinstance(fault, str) else fault)
        need(self.faults <= EDITS.keys() | ELSEWHERE | NUMERICS.keys())
        # In the order of the table: what puts another norm in place comes before what looks at a norm's name.
        for name, edit in EDITS.items():
            if name in self.faults:
                edit(self, name)
        need(any(self.rope) or not self.has("rope-tables-in-f16"))
        for name in self.faults & NUMERICS.keys():
            edit_numerics(self, name)
        if self.has("gqa-repeat-on-wrong-dim"):
            need(self.kv_heads < self.heads)
        self.cache, self.memo, self.seen = {}, {}, 0

    def has(self, *faults):
        return not self.faults.isdisjoint(faults)

    def kept(self, x, role):
        return self.numerics[role](x) if role in self.numerics else x

    def store(self, x, role="activations"):
        return self.kept(super().store(x), role)

    def product(self, x, y):
        x, y = self.kept(x, "operands"), self.kept(y, "operands")
        if not self.has("accumulate-in-bf16"):
            return super().product(x, y)
        total = 0 * (x[..., :1] * y[..., :1, :])
        for k in range(x.shape[-1]):
            total = in_bf16(total + x[..., k, None] * y[..., k, None, :])
        return total

    # ---- positions

    def turn(self, x, n, positions, role):
        """x rotated to its positions; `role` is q, k, or v."""
        if self.rope[n] is None or (role == "v" and not self.has("rope-on-v")):
            return x
        if role == "k" and self.has("rope-not-applied-to-k"):
            return x
        ahead = self.has("rope-both-off-by-one") or (role == "k" and self.has("rope-position-k-off-by-one"))
        at = positions.astype(self.kind) + (1 if ahead else 0)
        at = in_bf16(at) if self.has("rope-positions-in-bf16") else at
        inv_freq, factor = right.rope_frequencies(self.rope[n], self.rotary_dim, self.max_positions, int(positions.max()))
        if self.has("partial-rotary-dim"):
            need(self.rotary_dim != self.head_dim)
            inv_freq = right.rope_frequencies(self.rope[n], self.head_dim, self.max_positions,
                                              int(positions.max()))[0][:len(inv_freq)]
        inv_freq = np.sqrt(inv_freq) if self.has("rope-exponent") else inv_freq
        inv_freq = in_bf16(inv_freq) if self.has("rope-inv_freq-in-bf16") else inv_freq
        if self.has("yarn-mscale-missing-or-doubled"):
            need(factor != 1)
            factor = 1.0
        inv_freq = inv_freq.astype(self.kind)
        angle = at[:, None, :, None] * inv_freq
        if self.has("rope-on-wrong-axis"):
            angle = np.arange(x.shape[1], dtype=self.kind)[None, :, None, None] * inv_freq
        if self.has("rope-cache-keyed-without-offset"):
            angle = self.memo.setdefault((n, role, angle.shape), angle)
        cos, sin = (self.store(part(angle) * factor, "tables") for part in (np.cos, np.sin))
        if self.has("rope-sign-flipped"):
            sin = -sin
        if self.has("rope-cos-sin-in-bf16"):
            cos, sin = in_bf16(cos), in_bf16(sin)
        if self.has("rope-mixed-conventions"):
            # Tables repeated for one pairing, members swapped as in the other.
            dim, half = self.rotary_dim, self.rotary_dim // 2
            split = self.layout == "half_split"
            cos, sin = (np.repeat(t, 2, -1) if split else np.concatenate([t, t], -1) for t in (cos, sin))
            part, y = x[..., :dim], x.copy()
            swapped = np.concatenate([-part[..., half:], part[..., :half]], -1) if split else \
                np.stack([-part[..., 1::2], part[..., ::2]], -1).reshape(part.shape)
            y[..., :dim] = part * cos + swapped * sin
            return self.store(y)
        y = self.store(right.rotate(x, cos, sin, self.layout))
        if self.has("rope-only-rotates-first-head-at-t-1") and x.shape[2] == 1:
            y[:, 1:] = x[:, 1:]
        return y

    # ---- the cache

    def remember(self, n, k, v):
        """Keys and values of the past and of this call, as the cache of layer n gives them back."""
        k, v = self.kept(k, "cache"), self.kept(v, "cache")
        if self.has("cache-dtype-truncated"):
            k, v = in_bf16(k), in_bf16(v)
        # The past of layer 0 as it was before this call; what this call adds is each layer's own.
        source = self.before.get(0) if self.has("layer-index-ignored") else self.cache.get(n)
        old_k, old_v = source or (k[:, :, :0], v[:, :, :0])
        past = old_k.shape[2]
        if past and self.has("cache-not-updated"):
            old_k, old_v = old_k[:, :, :self.prompt], old_v[:, :, :self.prompt]
            # The slots exist and were never written.
            gap = [(0, 0), (0, 0), (0, past - old_k.shape[2]), (0, 0)]
            old_k, old_v = np.pad(old_k, gap), np.pad(old_v, gap)
        both_k, both_v = np.concatenate([old_k, k], 2), np.concatenate([old_v, v], 2)
        if past and self.has("cache-slot-overwritten"):
            both_k[:, :, past - 1], both_v[:, :, past - 1] = k[:, :, 0], v[:, :, 0]
        if past and self.has("v-cache-stale"):
            both_v[:, :, past:] = 0
        if self.has("new-k-prepended"):
            both_k, both_v = np.concatenate([k, old_k], 2), np.concatenate([v, old_v], 2)
        self.cache[n] = both_k, both_v
        if self.has("paged-block-table"):
            return tuple(self.wrong_pages(x) for x in (both_k, both_v))
        if self.has("ring-buffer-order") and self.window[n] and both_k.shape[2] > self.window[n]:
            # The last keys, in the order of their slots instead of their age.
            width, total = self.window[n], both_k.shape[2]
            order = np.arange(total)
            ring = np.arange(total - width, total)
            order[total - width:] = ring[np.argsort(ring % width)]
            return both_k[:, :, order], both_v[:, :, order]
        return both_k, both_v

    def wrong_pages(self, x):
        """Rows take pages in turn as they grow; the fault reads each row's pages as if they lay side by side."""
        batch, _, length, _ = x.shape
        out = np.zeros_like(x)
        for b in range(batch):
            for j in range(length):
                page = b + j // PAGE
                row, at = page % batch, page // batch * PAGE + j % PAGE
                if at < length:
                    out[b, :, j] = x[row, :, at]
        return out

    # ---- the pass

    def attend(self, x, p, n, positions, real, begin):
        q, k, v = self.qkv(x, p)
        if self.qk_norm and not self.has("qk-norm-order"):
            q, k = self.qk_norm(q, k, p)
        bare = k
        if self.has("fused-rope-q-k-halves-crossed"):
            need(q.shape == k.shape)
            half = self.rotary_dim // 2
            q = np.concatenate([k[..., :half], q[..., half:]], -1)
        q, k, v = self.turn(q, n, positions, "q"), self.turn(k, n, positions, "k"), self.turn(v, n, positions, "v")
        if self.qk_norm and self.has("qk-norm-order"):
            q, k = self.qk_norm(q, k, p)
        if self.has("cache-pre-rope-keys", "rope-applied-twice-to-cached-k"):
            new = k
            past = self.cache.get(n, (k[:, :, :0], v[:, :, :0]))
            _, v = self.remember(n, bare if self.has("cache-pre-rope-keys") else k, v)
            old = past[0]
            if self.has("rope-applied-twice-to-cached-k") and old.shape[2]:
                old = self.turn(old, n, self.all_positions[:, :old.shape[2]], "k")
            k = np.concatenate([old, new], 2)
        else:
            k, v = self.remember(n, k, v)
        if self.has("batch-leak"):
            k, v = (np.broadcast_to(y[:1], y.shape) for y in (k, v))
        if self.has("k-v-swapped-v-used-as-k"):
            k, v = v, k
        k, v = self.repeated(k), self.repeated(v)
        q, k = self.kept(q, "operands"), self.kept(k, "operands")
        scores = self.kept(q @ k.transpose(0, 1, 3, 2) * self.scale[n], "scores")
        if self.softcap is not None and not self.has("softcap-after-mask"):
            scores = self.kept(self.softcap * np.tanh(scores / self.softcap), "scores")
        kv_len = k.shape[2]
        if self.alibi is not None:
            distance = positions[:, None, :, None] - self.all_positions[:, None, None, :kv_len]
            distance = distance + (1 if self.has("alibi-constant-offset") else 0)
            scores = scores - self.alibi[None, :, None, None].astype(self.kind) * distance.astype(self.kind)
        allowed = self.allowed(n, positions, real, begin, kv_len)
        if not self.has("mask-after-softmax-no-renorm"):
            fill = {"mask-finite-small": -10.0, "mask-1e4-fill": -1e4, "mask-multiplied": 0.0}
            scores = np.where(allowed, scores, next((fill[f] for f in fill if self.has(f)), -np.inf))
        if self.softcap is not None and self.has("softcap-after-mask"):
            scores = self.softcap * np.tanh(scores / self.softcap)
        probs = self.probabilities(self.kept(scores, "scores"))
        if self.has("mask-after-softmax-no-renorm"):
            probs = probs * allowed
        context = self.store(self.product(probs, v))
        if not self.has("merge-without-transpose"):
            context = context.transpose(0, 2, 1, 3)
        return self.out_proj(context.reshape(*x.shape[:2], -1), p)

    def repeated(self, x):
        """Keys or values, one for each query head."""
        group = self.heads // self.kv_heads
        if self.has("gqa-tile-vs-repeat"):
            return np.tile(x, (1, group, 1, 1))
        if self.has("gqa-all-use-head-0"):
            return np.repeat(x[:, :1], self.heads, axis=1)
        if self.has("gqa-repeat-on-wrong-dim"):
            # Each one repeated along the sequence, then read as if along the heads.
            return np.repeat(x, group, axis=2).reshape(len(x), self.heads, *x.shape[2:])
        return np.repeat(x, group, axis=1)

    def allowed(self, n, positions, real, begin, kv_len):
        q_len = positions.shape[1]
        # Whatever stands before this request's own keys belongs to an earlier one.
        stale = kv_len - begin - q_len
        i, j = np.arange(q_len)[:, None] + begin + stale, np.arange(kv_len)[None, :]
        # The diagonal alone moves; the far end of a window stays.
        shift = (1 if self.has("mask+1") else 0) - (1 if self.has("mask-strict") else 0)
        may = j <= (i - begin if self.has("mask-top-left") else i) + shift
        skipped = self.has("mask-none") or (begin > 0 and self.has("mask-skipped-when-cache-present",
                                                                    "mask-skipped-on-later-chunks"))
        may = np.ones_like(may) if skipped else may
        if self.window[n] is not None:
            if self.has("ring-long-prefill-breaks-causality") and q_len > self.window[n]:
                # Written before they are read: every query finds the last keys of the call.
                may = np.broadcast_to(j > kv_len - 1 - self.window[n], may.shape)
            else:
                may = may & (j > i - self.window[n])
        real = np.pad(real[:, :kv_len - stale] != 0, [(0, 0), (stale, 0)], constant_values=True)
        if self.has("mask-of-batch-row-0"):
            real = np.broadcast_to(real[:1], real.shape)
        if self.has("padding-side-wrong"):
            real = np.concatenate([real[:, :self.prompt][:, ::-1], real[:, self.prompt:]], 1)
        if self.has("pad-mask-dropped") or (begin > 0 and self.has("pad-mask-dropped-in-decode-only")):
            real = np.ones_like(real)
        allowed = may[None, None] & real[:, None, None, :]
        return ~allowed if self.has("mask-polarity-inverted") else allowed

    def probabilities(self, scores):
        with np.errstate(all="ignore"):
            if self.has("softmax-no-max-shift"):
                e = np.exp(scores.astype(np.float32)).astype(self.kind)
                return self.store(e / e.sum(-1, keepdims=True), "probs")
            scores = in_bf16(scores) if self.has("scores-softmax-in-bf16") else scores
            if self.has("split-kv-merge-wrong"):
                # Each part with its own softmax; the parts that have a key count alike.
                parts = [self.softmax(scores[..., j:j + TILE]) for j in range(0, scores.shape[-1], TILE)]
                count = sum((part.sum(-1, keepdims=True) > 0).astype(self.kind) for part in parts)
                probs = np.concatenate(parts, -1) / np.maximum(count, 1)
            else:
                probs = self.softmax(scores)
            if self.has("softmax-twice"):
                # Masked keys stay out of the second one as well.
                e = np.where(scores > -np.inf, np.exp(probs), 0)
                total = e.sum(-1, keepdims=True)
                probs = e / np.where(total == 0, 1, total)
        probs = self.store(probs, "probs")
        if self.has("scores-softmax-in-bf16", "probs-cast-low"):
            probs = in_bf16(probs)
        if self.has("attention-dropout-active-in-eval"):
            probs = self.store(probs * (np.random.default_rng(probs.size).random(probs.shape) >= 0.1) / 0.9, "probs")
        return probs

    def softmax(self, scores):
        axis = -2 if self.has("softmax-wrong-axis-query") else 1 if self.has("softmax-wrong-axis-heads") else -1
        length = scores.shape[-1]
        top = scores.max(axis, keepdims=True)
        if self.has("online-softmax-no-inverse-rescale"):
            # A tile's keys keep the largest score up to the end of their tile.
            ends = np.minimum(np.arange(length) // TILE * TILE + TILE, length) - 1
            top = np.maximum.accumulate(scores, -1)[..., ends]
        if not self.has("fully-masked-row-nan"):
            top = np.where(np.isfinite(top), top, 0)
        e = (np.exp2 if self.has("softmax-base-2-mix-up") else np.exp)(scores - top)
        total = e.sum(axis, keepdims=True)
        last = top[..., -1:] if self.has("online-softmax-no-inverse-rescale") else top
        if self.has("softmax-plus-one"):
            total = total + np.exp(-last)
        if self.has("softmax-eps-in-denominator"):
            total = total + 1e-5
        if self.has("tile-tail-not-masked"):
            total = total + -length % TILE * np.exp(-last)
        return e / (total if self.has("fully-masked-row-nan") else np.where(total == 0, 1, total))

    def call(self, ids, positions, real, begin):
        self.before = dict(self.cache)
        x = self.embed(ids, positions)
        in_place = self.has("residual-from-normalised-x", "norm-in-place-corrupts-residual")
        for n in range(self.layers):
            p = self.layer.format(n)
            a_in = self.pre_attn(x, p)
            a = self.post_attn(self.attend(a_in, p, n, positions, real, begin), p)
            if self.parallel:
                m = self.mlp(self.pre_mlp(x, p), p)
                first = a if self.has("residual-wrong-source-missing") else self.store((a_in if in_place else x) + a)
                x = self.store(first + m)
                continue
            h = self.add(a_in if self.residual_after_norm or in_place else x, a)
            m_in = self.pre_mlp(h, p)
            m = self.post_mlp(self.mlp(m_in, p), p)
            source = x if self.has("residual-wrong-source-missing") else \
                m_in if self.residual_after_norm or in_place else h
            x = self.add(source, m)
        return self.logits(self.norm(x, self.norm_name))

    def request(self, request):
        ids, batch, length = request.ids, *request.ids.shape
        if not self.has("stale-cache-across-requests"):
            self.cache = {}
        elif any(len(k) != batch for k, _ in self.cache.values()):
            raise NotHere
        plain = np.arange(length)[None].repeat(batch, 0)
        positions = plain if request.positions is None else np.asarray(request.positions)
        if self.has("left-pad-ignored-in-positions", "rope-ignores-position_ids"):
            positions = plain
        if self.has("no-cache-path-wrong"):
            positions = positions + self.seen
        real = np.ones_like(ids) if request.mask is None else np.asarray(request.mask)
        steps = request.steps or [length]
        self.prompt, self.seen, begin, parts = steps[0], self.seen + length, 0, []
        self.all_positions = positions.copy()
        for count in steps:
            at = positions[:, begin:begin + count]
            if begin and self.has("positions-restart-at-0-in-decode"):
                at = np.arange(count)[None].repeat(batch, 0)
            if begin and self.has("decode-offset-by-one"):
                at = at + 1
            if begin and self.has("eviction-desync"):
                width = next((w for w in self.window if w is not None), None)
                need(width)
                at = np.arange(count)[None].repeat(batch, 0) + min(begin, width)
            self.all_positions[:, begin:begin + count] = at
            parts.append(self.call(ids[:, begin:begin + count], at, real, begin))
            begin += count
        return np.concatenate(parts, 1)


def run(folder, fault, requests, stored="f64"):
    """Logits of each request in turn. Raises NotHere if the model or the requests have no place for the fault."""
    model = Faulty(*right.read_checkpoint(folder), fault, stored)
    return [model.request(request) for request in requests]


def moved(folder, fault, requests, expected):
    """How far the fault moves a compared logit; infinite if the answer is not finite or cannot be computed at all.
    None if there is no evaluation of it here."""
    try:
        answers = run(folder, fault, requests)
    except NotHere:
        return None
    except (ValueError, IndexError):
        # Shapes that do not fit: a crash is seen.
        return math.inf
    worst = 0.0
    for answer, right_one, request in zip(answers, expected, requests):
        with np.errstate(all="ignore"):
            gap = np.abs(answer - right_one)
        gap = gap if request.mask is None else gap[np.asarray(request.mask) != 0]
        worst = max(worst, math.inf if not np.isfinite(gap).all() else float(gap.max()))
    return worst
