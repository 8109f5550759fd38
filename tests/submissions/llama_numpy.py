"""A right candidate: Llama in f32 with NumPy, with a preallocated KV cache and without one.

    generate   params max_new_tokens, use_cache; input_ids [batch, len] -> tokens [batch, max_new_tokens], the first of
               the largest logits each time
    model      params steps (lengths of the calls through the cache; absent: one call); input_ids, attention_mask,
               position_ids [batch, len] -> logits [batch, len, vocab]; several requests are input_ids.0, input_ids.1, …
"""

import functools
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))

from goldref_candidate import load_checkpoint, serve

F32 = np.float32


def rms_norm(x, weight, eps):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * weight


def silu(x):
    # exp overflows to inf far below 0, where x / inf is the right 0.
    with np.errstate(over="ignore"):
        return x / (1 + np.exp(-x))


def softmax(scores):
    """In place: of a long prompt the scores are by far the largest array."""
    top = scores.max(-1, keepdims=True)
    # A row that may attend to nothing gets 0 everywhere.
    top[np.isneginf(top)] = 0
    scores -= top
    np.exp(scores, out=scores)
    total = scores.sum(-1, keepdims=True)
    total[total == 0] = 1
    scores /= total
    return scores


def rotate(x, cos, sin):
    a, b = np.split(x, 2, axis=-1)
    return np.concatenate([a * cos - b * sin, a * sin + b * cos], axis=-1)


class Cache:
    """Rotated keys, and values, of `capacity` tokens, allocated once; `length` of them are filled."""

    def __init__(self, model, batch, capacity):
        shape = (model.layers, batch, model.kv_heads, capacity, model.head_dim)
        self.keys, self.values = np.empty(shape, F32), np.empty(shape, F32)
        self.length = 0

    def put(self, layer, k, v):
        """Keys and values of one layer with the new ones behind the old; `length` moves when all layers are done."""
        end = self.length + k.shape[2]
        self.keys[layer, :, :, self.length:end] = k
        self.values[layer, :, :, self.length:end] = v
        return self.keys[layer, :, :, :end], self.values[layer, :, :, :end]


class Llama:
    def __init__(self, folder):
        config, tensors = load_checkpoint(folder)
        rope = config.get("rope_scaling") or config.get("rope_parameters") or {}
        kind = rope.get("rope_type") or rope.get("type") or "default"
        for name, value, known in (("model_type", config["model_type"], "llama"), ("rope_type", kind, "default"),
                                   ("hidden_act", config.get("hidden_act", "silu"), "silu")):
            if value != known:
                raise NotImplementedError(f"{name} {value}")
        self.weights = {name: tensor.astype(F32, copy=False) for name, tensor in tensors.items()}
        self.layers = config["num_hidden_layers"]
        self.heads = config["num_attention_heads"]
        self.kv_heads = config.get("num_key_value_heads") or self.heads
        self.head_dim = config.get("head_dim") or config["hidden_size"] // self.heads
        self.eps = F32(config.get("rms_norm_eps", 1e-6))
        theta = rope.get("rope_theta") or config.get("rope_theta") or 10000.0
        self.inv_freq = theta ** (-np.arange(0, self.head_dim, 2) / self.head_dim)
        self.embedding = self.weights["model.embed_tokens.weight"]
        self.head = self.embedding if config.get("tie_word_embeddings") else self.weights["lm_head.weight"]

    def linear(self, x, name):
        # One product of two matrices: of a stack, NumPy would make one product for each row of the batch.
        y = x.reshape(-1, x.shape[-1]) @ self.weights[name + ".weight"].T
        bias = self.weights.get(name + ".bias")
        return (y if bias is None else y + bias).reshape(*x.shape[:-1], -1)

    def norm(self, x, name):
        return rms_norm(x, self.weights[name + ".weight"], self.eps)

    def forward(self, ids, positions, cache=None, real=None):
        """The normed hidden states of the new tokens, [batch, len, hidden].

        `positions` [batch, len] are those of the new tokens; `real` [batch, past + len] is false at padding.
        """
        past = cache.length if cache else 0
        # Angles in f64: an f32 angle is off by 1e-4 at position 5000.
        angle = positions[:, None, :, None] * self.inv_freq
        cos, sin = np.cos(angle).astype(F32), np.sin(angle).astype(F32)
        allowed = np.tri(ids.shape[1], past + ids.shape[1], past, dtype=bool)
        if real is not None:
            allowed = allowed & real[:, None, None, None, :]
        x = self.embedding[ids]
        for layer in range(self.layers):
            p = f"model.layers.{layer}."
            h = self.norm(x, p + "input_layernorm")
            x = x + self.attention(h, p + "self_attn.", layer, cos, sin, allowed, cache)
            h = self.norm(x, p + "post_attention_layernorm")
            h = silu(self.linear(h, p + "mlp.gate_proj")) * self.linear(h, p + "mlp.up_proj")
            x = x + self.linear(h, p + "mlp.down_proj")
        if cache:
            cache.length += ids.shape[1]
        return self.norm(x, "model.norm")

    def attention(self, x, p, layer, cos, sin, allowed, cache):
        batch, length, _ = x.shape

        def split(name, heads):
            return self.linear(x, p + name).reshape(batch, length, heads, self.head_dim).transpose(0, 2, 1, 3)

        q = rotate(split("q_proj", self.heads), cos, sin) * F32(self.head_dim ** -0.5)
        k, v = rotate(split("k_proj", self.kv_heads), cos, sin), split("v_proj", self.kv_heads)
        if cache:
            k, v = cache.put(layer, k, v)
        # The query heads of a group stand below each other before their one key head, so that no key is repeated.
        group = self.heads // self.kv_heads
        q = q.reshape(batch, self.kv_heads, group * length, self.head_dim)
        scores = (q @ k.swapaxes(2, 3)).reshape(batch, self.kv_heads, group, length, -1)
        np.copyto(scores, -np.inf, where=~allowed)
        context = softmax(scores).reshape(batch, self.kv_heads, group * length, -1) @ v
        context = context.reshape(batch, self.heads, length, self.head_dim).transpose(0, 2, 1, 3)
        return self.linear(context.reshape(batch, length, -1), p + "o_proj")

    def next_token(self, ids, positions, cache=None):
        """The token after `ids`, [batch, 1]; only the last row meets the head."""
        hidden = self.forward(ids, positions, cache)
        return (hidden[:, -1] @ self.head.T).argmax(-1)[:, None]


# One checkpoint is asked many questions.
load = functools.lru_cache(maxsize=None)(Llama)


def positions_from(first, ids):
    return np.broadcast_to(np.arange(first, first + ids.shape[1]), ids.shape)


def generate(params, arrays, model):
    model, ids, count = load(model), arrays["input_ids"], params["max_new_tokens"]
    batch, length = ids.shape
    tokens = np.empty((batch, count), np.int64)
    # The last token is never asked what comes after it.
    cache = Cache(model, batch, length + count - 1) if params["use_cache"] and count else None
    new = ids
    for i in range(count):
        first = cache.length if cache else 0
        token = model.next_token(new, positions_from(first, new), cache)
        tokens[:, i:i + 1] = token
        new = token if cache else np.concatenate([new, token], axis=1)
    return {"tokens": tokens}


def logits_of(model, steps, ids, mask, positions):
    if positions is None:
        positions = positions_from(0, ids)
    real = None if mask is None else mask != 0
    cache = Cache(model, *ids.shape)
    parts = []
    for count in steps or [ids.shape[1]]:
        new = slice(cache.length, cache.length + count)
        seen = None if real is None else real[:, :new.stop]
        parts.append(model.forward(ids[:, new], positions[:, new], cache, seen) @ model.head.T)
    return np.concatenate(parts, axis=1)


def model(params, arrays, model):
    model, out = load(model), {}
    for name in arrays:
        field, dot, number = name.partition(".")
        if field == "input_ids":
            steps = params.get("steps")
            if steps and dot:
                steps = steps[int(number)]
            mask, positions = arrays.get("attention_mask" + dot + number), arrays.get("position_ids" + dot + number)
            out["logits" + dot + number] = logits_of(model, steps, arrays[name], mask, positions)
    return out


if __name__ == "__main__":
    serve(generate=generate, model=model)
