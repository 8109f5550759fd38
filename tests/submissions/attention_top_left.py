"""A wrong candidate: attention in f32 with NumPy whose causal mask begins at the first key.

Right where queries and keys are as many, wrong for new queries over a cache: `attention-cache` of
`goldref check --properties` sees it.

    attention  params scale, causal; q [batch, heads, q_len, head_dim], k, v [batch, kv_heads, kv_len, head_dim],
               past_key, past_value before them, attention_mask [batch, kv_len] -> out
"""

import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))

from goldref_candidate import serve


def attention(params, arrays):
    if set(params) - {"scale", "causal"}:
        raise NotImplementedError("only scale and causal are known here")
    q, k, v = arrays["q"], arrays["k"], arrays["v"]
    if "past_key" in arrays:
        k = np.concatenate([arrays["past_key"], k], axis=2)
        v = np.concatenate([arrays["past_value"], v], axis=2)
    group = q.shape[1] // k.shape[1]
    k, v = np.repeat(k, group, axis=1), np.repeat(v, group, axis=1)
    scores = q @ k.swapaxes(-1, -2) * np.float32(params.get("scale", q.shape[-1] ** -0.5))
    if params.get("causal"):
        # Query i is at position past_len + i; this says i.
        scores = np.where(np.tri(*scores.shape[-2:], dtype=bool), scores, -np.inf)
    if "attention_mask" in arrays:
        scores = np.where(arrays["attention_mask"][:, None, None, :] > 0, scores, -np.inf)
    probs = np.exp(scores - scores.max(-1, keepdims=True))
    return {"out": probs / probs.sum(-1, keepdims=True) @ v}


if __name__ == "__main__":
    serve(attention=attention)
