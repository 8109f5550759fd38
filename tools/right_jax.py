"""Small Hugging Face checkpoints in JAX, as a model of today is written there: a right program for `goldref diagnose`.

The whole pass of one request runs under jit. Weights and what is stored between two steps have the type asked for; norms,
rotation and softmax are in f32, and attention is jax.nn.dot_product_attention where the family has no soft cap.
Numbers of config.json and the rotary frequencies are those of oracle_models_numpy.py, all other arithmetic is JAX's.

    logits = Model("checkpoint/", "bf16")(ids, attention_mask, position_ids)
"""

import os

# One thread, and never an accelerator: TF32 there is another program. Before JAX is loaded.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false"

import functools

import jax
import jax.numpy as jnp
import numpy as np

import oracle_models_numpy

jax.config.update("jax_default_matmul_precision", "highest")

F32 = jnp.float32
# No f16: dot_product_attention lacks it on a CPU.
DTYPES = {"f32": jnp.float32, "bf16": jnp.bfloat16}

_gelu_tanh = functools.partial(jax.nn.gelu, approximate=True)
ACTIVATIONS = {
    "silu": jax.nn.silu, "swish": jax.nn.silu, "relu": jax.nn.relu,
    "gelu": functools.partial(jax.nn.gelu, approximate=False),
    "gelu_new": _gelu_tanh, "gelu_pytorch_tanh": _gelu_tanh, "gelu_fast": _gelu_tanh,
    "quick_gelu": lambda x: x * jax.nn.sigmoid(1.702 * x),
}

ACTIVATION_KEYS = ("hidden_activation", "hidden_act", "activation_function")

# Where a layer keeps its parts. A single name for q, k and v, or `gate_up`, is a fused projection; otherwise an MLP of two
# names has no gate.
LLAMA = {
    "before_attn": "input_layernorm", "after_attn": None, "before_mlp": "post_attention_layernorm", "after_mlp": None,
    "qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"), "out": "self_attn.o_proj",
    "mlp": ("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"), "norm": "rms", "activation": None,
}
SANDWICH = {"after_attn": "post_attention_layernorm", "before_mlp": "pre_feedforward_layernorm",
            "after_mlp": "post_feedforward_layernorm"}
GEMMA = {**LLAMA, "norm": "rms of one plus", "activation": "gelu_pytorch_tanh"}
# Gemma 1 took the tanh form whatever its config said; the later ones name theirs.
LATER_GEMMA = {**GEMMA, **SANDWICH, "activation": None}
GPT_NEOX = {**LLAMA, "qkv": ("attention.query_key_value",), "out": "attention.dense",
            "mlp": ("mlp.dense_h_to_4h", "mlp.dense_4h_to_h"), "norm": "layer"}
GPT_J = {**LLAMA, "before_attn": "ln_1", "before_mlp": "ln_1", "qkv": ("attn.q_proj", "attn.k_proj", "attn.v_proj"),
         "out": "attn.out_proj", "mlp": ("mlp.fc_in", "mlp.fc_out"), "norm": "layer"}
FAMILIES = {
    "llama": LLAMA, "mistral": LLAMA, "qwen2": LLAMA, "qwen3": LLAMA, "granite": LLAMA,
    "gemma": GEMMA, "gemma2": LATER_GEMMA, "gemma3_text": LATER_GEMMA,
    "olmo2": {**LLAMA, **SANDWICH, "before_attn": None, "before_mlp": None},
    "phi": {**LLAMA, "before_mlp": "input_layernorm", "out": "self_attn.dense", "mlp": ("mlp.fc1", "mlp.fc2"),
            "norm": "layer"},
    "phi3": {**LLAMA, "qkv": ("self_attn.qkv_proj",), "mlp": ("mlp.gate_up_proj", "mlp.down_proj")},
    "glm": {**LLAMA, "mlp": ("mlp.gate_up_proj", "mlp.down_proj")},
    "cohere": {**LLAMA, "before_mlp": "input_layernorm", "norm": "layer"},
    "gpt_neox": GPT_NEOX,
    "bloom": {**GPT_NEOX, "qkv": ("self_attention.query_key_value",), "out": "self_attention.dense",
              "activation": "gelu_new"},
    "gptj": GPT_J,
    "gpt2": {**GPT_J, "before_mlp": "ln_2", "qkv": ("attn.c_attn",), "out": "attn.c_proj",
             "mlp": ("mlp.c_fc", "mlp.c_proj")},
}
# One projection whose rows go head by head, q, k and v of each; the other fused ones have all of q first.
HEAD_BY_HEAD = {"gpt_neox", "bloom"}


def knows(config):
    return config["model_type"] in FAMILIES


class Model:
    def __init__(self, folder, stored):
        config, tensors = oracle_models_numpy.read_checkpoint(folder)
        # Only its numbers and names are used.
        self.of = oracle_models_numpy.Model(config, tensors)
        self.family, self.at = config["model_type"], FAMILIES[config["model_type"]]
        name = self.at["activation"] or next(config[key] for key in ACTIVATION_KEYS if key in config)
        self.act, self.dtype = ACTIVATIONS[name], DTYPES[stored]
        # JAX keeps kernels [in, out], as GPT-2's checkpoints do.
        turned = lambda name, x: x.ndim == 2 and self.family != "gpt2" and name.startswith(self.of.layer.split("{")[0]) \
            and not name.endswith(("q_norm.weight", "k_norm.weight"))
        self.weights = {name: jnp.asarray(x.T if turned(name, x) else x, self.dtype) for name, x in tensors.items()}
        self.weights["head"] = jnp.asarray(self.of.head.T, self.dtype)
        if self.of.head_bias is not None:
            self.weights["head bias"] = jnp.asarray(self.of.head_bias, self.dtype)

    def __call__(self, ids, attention_mask=None, position_ids=None):
        """Logits of one whole pass, as f32."""
        batch, length = ids.shape
        positions = np.broadcast_to(np.arange(length), ids.shape) if position_ids is None else position_ids
        real = np.ones(ids.shape, bool) if attention_mask is None else np.asarray(attention_mask) != 0
        # What rotary scaling looks at is known outside jit.
        self.rope = [r and oracle_models_numpy.rope_frequencies(r, self.of.rotary_dim, self.of.max_positions,
                                                                int(positions.max())) for r in self.of.rope]
        return np.asarray(jax.jit(self.forward)(self.weights, ids, positions, real), np.float32)

    # ---- parts

    def dense(self, w, x, name):
        y = jnp.dot(x, w[name + ".weight"])
        return y + w[name + ".bias"] if name + ".bias" in w else y

    def norm(self, w, x, name):
        """In f32 up to the end, stored once; the variance as flax.linen has it, from the mean of squares."""
        if name is None:
            return x
        x, weight = x.astype(F32), w[name + ".weight"].astype(F32)
        square = jnp.mean(jnp.square(x), -1, keepdims=True)
        if self.at["norm"] == "layer":
            mean = jnp.mean(x, -1, keepdims=True)
            y = (x - mean) * (jax.lax.rsqrt(jnp.maximum(square - jnp.square(mean), 0) + self.of.eps) * weight)
            y = y + w[name + ".bias"].astype(F32) if name + ".bias" in w else y
        else:
            y = x * jax.lax.rsqrt(square + self.of.eps) * (weight if self.at["norm"] == "rms" else 1 + weight)
        return y.astype(self.dtype)

    def embed(self, w, ids, positions):
        x = jnp.take(w[self.of.embed_name], ids, axis=0)
        if self.family == "gpt2":
            x = x + jnp.take(w["transformer.wpe.weight"], positions, axis=0)
        if self.family == "bloom":
            x = self.norm(w, x, "transformer.word_embeddings_layernorm")
        return x * jnp.asarray(self.of.embed_scale, self.dtype)

    def qkv(self, w, x, p):
        """[batch, len, heads, head_dim] each."""
        of, names = self.of, [p + name for name in self.at["qkv"]]
        if self.family in HEAD_BY_HEAD:
            fused = self.dense(w, x, names[0]).reshape(*x.shape[:2], of.heads, 3, of.head_dim)
            return tuple(fused[:, :, :, part] for part in range(3))
        if len(names) == 1:
            ends = [of.heads * of.head_dim, (of.heads + of.kv_heads) * of.head_dim]
            q, k, v = jnp.split(self.dense(w, x, names[0]), ends, axis=-1)
        else:
            q, k, v = (self.dense(w, x, name) for name in names)
        if self.family == "olmo2":
            q, k = self.norm(w, q, p + "self_attn.q_norm"), self.norm(w, k, p + "self_attn.k_norm")
        q, k, v = (y.reshape(*x.shape[:2], -1, of.head_dim) for y in (q, k, v))
        for kind in ("norm", "layernorm"):
            if self.family != "olmo2" and f"{p}self_attn.q_{kind}.weight" in w:
                q, k = self.norm(w, q, f"{p}self_attn.q_{kind}"), self.norm(w, k, f"{p}self_attn.k_{kind}")
        return q, k, v

    def rotate(self, x, positions, n):
        frequencies, factor = self.rope[n]
        angle = positions[:, :, None, None].astype(F32) * jnp.asarray(frequencies, F32)
        cos, sin, half = jnp.cos(angle) * factor, jnp.sin(angle) * factor, len(frequencies)
        turning, rest = x[..., :2 * half].astype(F32), x[..., 2 * half:]
        if self.of.layout == "half_split":
            a, b = jnp.split(turning, 2, axis=-1)
            y = jnp.concatenate([a * cos - b * sin, b * cos + a * sin], -1)
        else:
            a, b = turning[..., ::2], turning[..., 1::2]
            y = jnp.stack([a * cos - b * sin, b * cos + a * sin], -1).reshape(turning.shape)
        return jnp.concatenate([y.astype(self.dtype), rest], -1)

    def attention(self, w, x, p, n, positions, real):
        q, k, v = self.qkv(w, x, p)
        if self.rope[n]:
            q, k = self.rotate(q, positions, n), self.rotate(k, positions, n)
        index = jnp.arange(x.shape[1])
        may = (index <= index[:, None])[None, None] & real[:, None, None]
        if self.of.window[n] is not None:
            may = may & (index > index[:, None] - self.of.window[n])
        scale = float(self.of.scale[n])
        if self.of.softcap is None:
            # The position of the key alone: a term that all keys share leaves the softmax as it is.
            bias = None if self.of.alibi is None else \
                jnp.asarray(self.of.alibi, F32)[None, :, None, None] * positions[:, None, None].astype(F32)
            context = jax.nn.dot_product_attention(q, k, v, bias, may, scale=scale)
        else:
            k, v = (jnp.repeat(y, self.of.heads // self.of.kv_heads, axis=2) for y in (k, v))
            scores = jnp.einsum("bqhd,bkhd->bhqk", q, k, preferred_element_type=F32) * scale
            scores = jnp.where(may, self.of.softcap * jnp.tanh(scores / self.of.softcap), jnp.finfo(F32).min)
            context = jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(scores).astype(self.dtype), v)
        return self.dense(w, context.reshape(*x.shape[:2], -1), p + self.at["out"])

    def mlp(self, w, x, p):
        names = [p + name for name in self.at["mlp"]]
        y = self.dense(w, x, names[0])
        if len(names) == 3:
            y = self.act(y) * self.dense(w, x, names[1])
        elif "gate_up" in names[0]:
            gate, up = jnp.split(y, 2, axis=-1)
            y = self.act(gate) * up
        else:
            y = self.act(y)
        return self.dense(w, y, names[-1])

    # ---- the pass

    def forward(self, w, ids, positions, real):
        of, at = self.of, self.at
        x = self.embed(w, ids, positions)
        by = jnp.asarray(of.residual_scale, self.dtype)
        named = lambda p, part: at[part] and p + at[part]
        for n in range(of.layers):
            p = of.layer.format(n)
            y = self.norm(w, x, named(p, "before_attn"))
            a = self.norm(w, self.attention(w, y, p, n, positions, real), named(p, "after_attn"))
            if of.parallel:
                x = x + a + self.mlp(w, self.norm(w, x, named(p, "before_mlp")), p)
                continue
            x = (y if of.residual_after_norm else x) + a * by
            y = self.norm(w, x, named(p, "before_mlp"))
            x = (y if of.residual_after_norm else x) + self.norm(w, self.mlp(w, y, p), named(p, "after_mlp")) * by
        x = self.norm(w, x, of.norm_name)
        logits = jnp.dot(x, w["head"])
        logits = logits + w["head bias"] if "head bias" in w else logits
        logits = logits.astype(F32) * of.logit_scale
        return logits if of.final_softcap is None else of.final_softcap * jnp.tanh(logits / of.final_softcap)
