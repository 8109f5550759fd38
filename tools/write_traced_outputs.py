"""Writes the sites of programs in each of which one thing is wrong at one site: does `goldref trace` find that site?

    python tools/write_traced_outputs.py OUT --stored f32 --count 300 --seed 1

A program answers one case of fixtures/model or fixtures/decode, call by call through a cache, in f32 or simulated bf16.
What passes the site is replaced by a wrong value, or in f32 also by its rounding to a narrower format; all that comes
after, the cache among it, takes what was put there. Model, case, site and plant are drawn by chance.

OUT/<number>/<suite>/<case>.npz holds `logits` and all sites under goldref's names, with `.0`, `.1`, … behind them for
several requests. Calls are joined along the tokens; keys and values are those that the last call read. OUT/right is the
program with nothing planted, and OUT/index.json says what is planted where.
"""

import os

# One thread; before NumPy is loaded.
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import dataclasses
import pathlib
import typing

import numpy as np

from faulty_models import Faulty, in_bf16
from oracle_models_numpy import read_checkpoint
from npz_write import write_json, write_npz
from write_faulty_outputs import FIXTURES, gap, read_cases

# Four families that have little in common, each in both suites: groups of heads and rotation; learned positions;
# softcaps, windows and norms after both parts; ALiBi with heads that are no power of two.
MODELS = {
    "llama": ("model/models/llama_gqa_biased", "decode/models/llama"),
    "gpt2": ("model/models/gpt2", "decode/models/gpt2"),
    "gemma2": ("model/models/gemma2", "decode/models/gemma2"),
    "bloom": ("model/models/bloom_six_heads", "decode/models/bloom"),
}
# The first and the second product of an MLP without a gate; the second one of any.
FIRST = ("mlp.fc1", "mlp.fc_in", "mlp.c_fc", "mlp.dense_h_to_4h")
SECOND = ("mlp.fc2", "mlp.fc_out", "mlp.c_proj", "mlp.dense_4h_to_h", "mlp.down_proj")
# Read from the cache whole, so the last call's array holds all earlier ones.
WHOLE = ("attn.keys", "attn.values")
# A plant that moves no number of its site by more of the largest one is drawn again: nobody could see it.
SEEN = {"f32": 1e-4, "bf16": 0.1}
# Of programs in f32, those that have a cast.
CASTS = 1 / 3


@dataclasses.dataclass
class Plant:
    """What is wrong. `change` is given the value, and the last token's row of the call before or None."""
    site: str
    kind: str
    label: str
    change: typing.Callable


def scores(site):
    """Whether the last axis of the site is keys."""
    return site.endswith(("scores", "probs"))


class Traced(Faulty):
    """The model without a fault of its own, which keeps what passes each site and may have a plant at one of them."""

    def __init__(self, config, tensors, stored, plant=None):
        super().__init__(config, tensors, None, stored)
        self.plant, self.scope, self.pieces, self.previous = plant, "", {}, None
        dense, act, gated = self.dense, self.act, self.gated

        def dense_at_site(x, name):
            y = dense(x, name)
            site = "mlp.up" if name.endswith(FIRST) else "mlp.down" if name.endswith(SECOND) else None
            return y if site is None else self.site(site, y)

        def gated_at_sites(gate, up):
            up, gate = self.site("mlp.up", up), self.site("mlp.gate", gate)
            return self.site("mlp.gated", gated(gate, up))

        # Families put functions of their own in place of some methods, so these are caught one by one.
        self.dense, self.gated = dense_at_site, gated_at_sites
        self.act = lambda x: self.site("mlp.activated", self.store(act(x)))

    def site(self, name, value):
        """What the next step takes: the value, or the wrong one."""
        name = self.scope + name
        if self.plant is not None and self.plant.site == name:
            value = self.planted(name, value)
        self.pieces.setdefault(name, []).append(value)
        return value

    def planted(self, name, value):
        with np.errstate(all="ignore"):
            wrong = self.plant.change(value, self.previous).astype(self.kind)
        self.previous = value[..., -1:, :]
        # Masked stays masked.
        untouched = ~np.isfinite(value) | ~np.isfinite(wrong)
        if name.endswith("probs"):
            untouched |= value == 0
        wrong = np.where(untouched, value, wrong)
        # Scores are not stored between two steps.
        return wrong if name.endswith("scores") else self.store(wrong)

    def norm_site(self, name, y, x):
        """A family without this norm hands back x itself: no site."""
        return y if y is x else self.site(name, y)

    def attend(self, x, p, n, positions, real, begin):
        q, k, v = (self.site(f"attn.{letter}", y) for letter, y in zip("qkv", self.qkv(x, p)))
        if self.qk_norm:
            q, k = self.qk_norm(q, k, p)
            q, k = self.site("attn.q_norm", q), self.site("attn.k_norm", k)
        if self.rope[n] is not None:
            q = self.site("attn.q_rope", self.turn(q, n, positions, "q"))
            k = self.site("attn.k_rope", self.turn(k, n, positions, "k"))
        # A plant on what is read leaves the cache as it is.
        k, v = self.remember(n, k, v)
        k, v = self.repeated(self.site("attn.keys", k)), self.repeated(self.site("attn.values", v))
        y = self.site("attn.scores", q @ k.transpose(0, 1, 3, 2) * self.scale[n])
        if self.softcap is not None:
            y = self.site("attn.softcapped_scores", self.softcap * np.tanh(y / self.softcap))
        if self.alibi is not None:
            distance = positions[:, None, :, None] - self.all_positions[:, None, None, :k.shape[2]]
            y = y - self.alibi[None, :, None, None].astype(self.kind) * distance.astype(self.kind)
        allowed = self.allowed(n, positions, real, begin, k.shape[2])
        y = self.site("attn.masked_scores", np.where(allowed, y, self.kind(-np.inf)))
        probs = self.site("attn.probs", self.probabilities(y))
        context = self.site("attn.context", self.store(self.product(probs, v)))
        return self.site("attn.out", self.out_proj(context.transpose(0, 2, 1, 3).reshape(*x.shape[:2], -1), p))

    def call(self, ids, positions, real, begin):
        x = self.site("embed", self.embed(ids, positions))
        for n in range(self.layers):
            p, self.scope = self.layer.format(n), f"layers.{n}."
            a_in = self.norm_site("input_norm", self.pre_attn(x, p), x)
            a = self.attend(a_in, p, n, positions, real, begin)
            a = self.norm_site("attn.post_norm", self.post_attn(a, p), a)
            if self.parallel:
                # Where both parts share one norm it is computed once.
                m_in = a_in if self.pre_mlp == self.pre_attn else self.norm_site("mlp_norm", self.pre_mlp(x, p), x)
                m = self.mlp(m_in, p)
                x = self.store(self.site("attn_residual", self.store(x + a)) + m)
            else:
                h = self.site("attn_residual", self.add(a_in if self.residual_after_norm else x, a))
                m_in = self.norm_site("mlp_norm", self.pre_mlp(h, p), h)
                m = self.mlp(m_in, p)
                m = self.norm_site("mlp.post_norm", self.post_mlp(m, p), m)
                x = self.add(m_in if self.residual_after_norm else h, m)
            x = self.site("output", x)
        self.scope = ""
        return self.site("logits", self.logits(self.site("final_norm", self.norm(x, self.norm_name))))

    def request(self, request):
        """The sites of all calls of a request."""
        self.pieces, self.previous = {}, None
        super().request(request)
        return {name: joined(name, pieces) for name, pieces in self.pieces.items()}


def joined(name, pieces):
    """Along the tokens. Calls saw more and more keys; what they did not see is as if masked."""
    if name.endswith(WHOLE):
        return pieces[-1]
    if scores(name):
        width, fill = pieces[-1].shape[-1], 0.0 if name.endswith("probs") else -np.inf
        pieces = [np.pad(x, [(0, 0)] * 3 + [(0, width - x.shape[-1])], constant_values=fill) for x in pieces]
    return np.concatenate(pieces, -2)


def answer(case, stored, plant=None):
    """The sites of each request."""
    model = Traced(*read_checkpoint(case.model), stored, plant)
    return [model.request(request) for request in case.requests]


# ---- what is planted ----------------------------------------------------------------------------------------------

def in_e4m3(x):
    """x in eight bits: four of exponent, three of fraction, nothing above 448."""
    _, exponent = np.frexp(x)
    # Three bits behind the leading one; below 2^-6 the steps stay as they are.
    step = np.exp2(np.maximum(exponent - 1, -6) - 3.0)
    return np.clip(np.round(x / step) * step, -448, 448)


def draw_cast(rng, site):
    label, to = (("rounded to bf16", in_bf16), ("rounded to f16", lambda x: x.astype(np.float16)),
                 ("rounded to f8 e4m3", in_e4m3))[rng.integers(3)]
    return Plant(site, "cast", label, lambda x, _: to(x))


def some_rows(x, axis, index, change):
    y, at = x.copy(), [slice(None)] * x.ndim
    at[axis] = index
    y[tuple(at)] = change(x[tuple(at)])
    return y


def shifted(x, previous):
    """Each token has what belongs to the one before it."""
    return np.concatenate([x[..., :1, :] if previous is None else previous, x[..., :-1, :]], -2)


def draw_fault(rng, site, like, stored):
    """A wrong value for a site, of which the right program has `like`."""
    small = stored == "f32"
    factor = (1.02, 0.9)[rng.integers(2)] if small else (1.25, 0.5)[rng.integers(2)]
    largest = np.abs(like[np.isfinite(like)]).max() * (0.1 if small else 0.5)
    width = like.shape[-1]
    # Keys come and go with the calls, so scores and probabilities all have one bias.
    bias = largest if scores(site) else rng.uniform(-largest, largest, width)
    choices = [
        (f"times {factor}", lambda x, _: x * factor),
        ("a bias added", lambda x, _: x + bias),
        ("last row of each call halved", lambda x, _: some_rows(x, -2, -1, lambda row: row / 2)),
    ]
    if like.ndim == 4 and like.shape[1] > 1:
        one, other = (int(head) for head in rng.permutation(like.shape[1])[:2])
        times = 1.1 if small else 1.5
        order = np.arange(like.shape[1])
        order[[one, other]] = other, one
        choices += [
            (f"heads {one} and {other} swapped", lambda x, _: x[:, order]),
            (f"head {one} times {times}", lambda x, _: some_rows(x, 1, one, lambda head: head * times)),
            (f"sign of head {one} flipped", lambda x, _: some_rows(x, 1, one, np.negative)),
        ]
    if scores(site):
        choices.append(("shifted by one key", lambda x, _: np.roll(x, 1, -1)))
    else:
        feature = int(rng.integers(width))
        read_whole = site.endswith(WHOLE)
        choices += [
            ("shifted by one token", lambda x, previous: shifted(x, None if read_whole else previous)),
            (f"feature {feature} zeroed", lambda x, _: some_rows(x, -1, feature, np.zeros_like)),
        ]
        if width % 2 == 0:
            choices.append(("halves of the last axis exchanged", lambda x, _: np.roll(x, width // 2, -1)))
    label, change = choices[rng.integers(len(choices))]
    return Plant(site, "fault", label, change)


def moved(site, case, wrong, right):
    """The largest change of a compared number of the site over the largest number, in the request where it is least."""
    least = np.inf
    for request, actual, expected in zip(case.requests, wrong, right):
        x, y = actual[site].astype(np.float64), expected[site].astype(np.float64)
        # Rows of padding hold whatever was computed.
        real = np.ones(request.ids.shape, bool) if request.mask is None else np.asarray(request.mask) != 0
        counts = np.broadcast_to(real[:, :, None] if y.ndim == 3 else real[:, None, :, None], y.shape)
        if site.endswith("scores"):
            # Neither does a score that is masked later make a difference.
            counts = counts & np.isfinite(expected[site.rsplit(".", 1)[0] + ".masked_scores"])
        least = min(least, np.abs(x[counts] - y[counts]).max() / np.abs(y[counts]).max())
    return least


def draw(rng, cases, right, stored):
    """(model, case, plant, sites of each request) of one program."""
    while True:
        model = list(cases)[rng.integers(len(cases))]
        case = cases[model][rng.integers(len(cases[model]))]
        first = right[case.name][0]
        site = list(first)[rng.integers(len(first))]
        cast = stored == "f32" and rng.random() < CASTS
        plant = draw_cast(rng, site) if cast else draw_fault(rng, site, first[site], stored)
        wrong = answer(case, stored, plant)
        if moved(site, case, wrong, right[case.name]) > SEEN[stored]:
            return model, case, plant, wrong


def write(out, name, case, sites):
    suffixes = [logits.removeprefix("logits") for logits in case.expected]
    write_npz(out / name / f"{case.name}.npz", {
        site + suffix: value.astype(np.float32)
        for suffix, by_site in zip(suffixes, sites) for site, value in by_site.items()})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--stored", choices=list(SEEN), required=True, help="what is kept between two steps")
    parser.add_argument("--count", type=int, default=300, help="how many programs")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()

    every = list(read_cases())
    cases = {model: [case for case in every if case.model in {FIXTURES / folder for folder in folders}]
             for model, folders in MODELS.items()}
    right = {}
    for case in (case for of_model in cases.values() for case in of_model):
        right[case.name] = answer(case, args.stored)
        write(args.out, "right", case, right[case.name])
        far = gap(case, [sites["logits"] for sites in right[case.name]], case.expected.values(), relative=False)
        print(f"right {case.name:<45} {far:8.1e} from what is expected")

    rng, index = np.random.default_rng(args.seed), []
    for number in range(args.count):
        model, case, plant, sites = draw(rng, cases, right, args.stored)
        program = f"{number:03}"
        write(args.out, program, case, sites)
        layer = int(plant.site.split(".")[1]) if plant.site.startswith("layers.") else None
        index.append({"program": program, "case": case.name, "stored": args.stored, "model": model, "layer": layer,
                      "site": plant.site, "kind": plant.kind, "planted": plant.label})
    write_json(args.out / "index.json", index)
    size = sum(path.stat().st_size for path in args.out.rglob("*.npz"))
    print(f"{args.count} programs, {len(right)} cases, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
