"""The numerics of a program that are coarser than they should be at one place: the format a role is kept in. NumPy only.

`faulty_models.py` puts them into its model by name. The formats are written here from their definitions, without NumPy's own
types of 16 bits, so that every one of them is rounded once, from the type that computes, to nearest and ties to even.
"""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Format:
    """`bits` of significand, the leading one among them; 2^`step` is the gap between the smallest values, below which
    all gaps are alike; `largest` is the largest finite value, where a conversion stops if it `saturates`."""
    bits: int
    step: int
    largest: float
    saturates: bool = False

    def __call__(self, x):
        """x rounded, in the type it has."""
        fraction, exponent = np.frexp(x)
        step = np.maximum(exponent - self.bits, self.step)
        y = np.ldexp(np.rint(np.ldexp(fraction, exponent - step)), step)
        over = np.abs(y) > self.largest
        return np.where(over, np.copysign(self.largest if self.saturates else np.inf, y), y).astype(x.dtype)


BF16 = Format(8, -133, (2 - 2.0 ** -7) * 2.0 ** 127)
F16 = Format(11, -24, 65504.0)
# The exponents of f32 and the significand of f16, in the units that multiply.
TF32 = Format(11, -136, (2 - 2.0 ** -10) * 2.0 ** 127)
# OCP's e4m3 has no infinity: what is too large becomes 448.
F8_E4M3 = Format(4, -9, 448.0, saturates=True)


def int8(x):
    """Integers from -127 to 127 with one scale a token and head: x is [batch, heads, len, head_dim]."""
    top = np.abs(x).max(-1, keepdims=True)
    scale = np.where(top == 0, 1, top / 127).astype(x.dtype)
    return np.rint(x / scale) * scale


# Name → (role, format). A role is one kind of array, wherever in the model it comes up:
#   operands     both factors of every matrix product: W x, q kᵀ, probs · v
#   activations  what one step hands to the next; not weights, tables, scores, probs or logits
#   norms        mean, mean square, 1/√ and the normalised values, before weight and bias
#   scores       after the scale, after the soft cap, after the mask
#   cache        keys after the rotation, and values, the new ones too
NUMERICS = {
    "products-in-tf32": ("operands", TF32),
    "activations-in-bf16": ("activations", BF16), "activations-in-f16": ("activations", F16),
    "norms-in-bf16": ("norms", BF16), "norms-in-f16": ("norms", F16),
    "scores-in-f16": ("scores", F16), "probs-in-f16": ("probs", F16), "rope-tables-in-f16": ("tables", F16),
    "cache-in-f16": ("cache", F16), "cache-in-f8": ("cache", F8_E4M3), "cache-in-int8": ("cache", int8),
    "logits-in-bf16": ("logits", BF16),
}


def edit_numerics(m, name):
    """Keeps one role of the model in its format. Most roles ask `m.numerics` where they come up; norms and the head
    are spelled out here, step by step."""
    role, to_format = NUMERICS[name]
    m.numerics = {**m.numerics, role: to_format}
    m.logits = lambda x: logits(m, x)
    if role == "activations" and m.embed_scale == 1:
        # What a lookup hands to the sum or the norm behind it. A head that shares the table has it as it was.
        for table in {m.embed_name, "transformer.wpe.weight"} & m.t.keys():
            m.t[table] = to_format(m.t[table])
    if role == "norms":
        m.unit = lambda x: unit(x, m.eps, to_format)
        m.layer_norm = lambda x, weight, bias: layer_norm(m, x, weight, bias, to_format)


def unit(x, eps, to_format):
    square = to_format((x * x).mean(-1, keepdims=True))
    return to_format(x * to_format(1 / np.sqrt(square + eps)))


def layer_norm(m, x, weight, bias, to_format):
    centred = to_format(x - to_format(x.mean(-1, keepdims=True)))
    y = unit(centred, m.eps, to_format) * weight
    return m.store(y if bias is None else y + bias)


def logits(m, x):
    """What the head makes is kept once, at its end, and is no activation on the way."""
    y = m.product(x, m.head.T)
    y = (y if m.head_bias is None else y + m.head_bias) * m.logit_scale
    y = y if m.final_softcap is None else m.final_softcap * np.tanh(y / m.final_softcap)
    return m.store(y, "logits")
