"""Writes fixtures/attention: attention in the situations where real code goes wrong.

    python tools/generate_attention.py [DST]        (default: fixtures/attention beside this folder)

NumPy f64 computes (mpmath for the tiny ones), PyTorch f64 attests, PyTorch in f32, bf16 and f16 gives the baseline.
A case that says it catches a fault must show it: the fault is evaluated here too, and the run stops if it hides.
"""

import pathlib
import sys

import mpmath
import numpy as np
import torch

import oracle_attention
import torch_ops
from faulty_attention import faulty, shown
from npz_write import Suite, distance

NUMPY = f"NumPy {np.__version__} f64, tools/oracle_attention.py"
MPMATH = f"mpmath {mpmath.__version__} at 50 digits, tools/oracle_attention.py"
TORCH = f"PyTorch {torch.__version__.split('+')[0]} f64"
INF = float("inf")
# How far a fault must move an output, relative to 1 + |expected|, to count as shown.
SHOWN = 1e-3


# ---- cases --------------------------------------------------------------------------------------------------------

class Writer:
    def __init__(self, folder):
        self.suite = Suite(folder, "attention", "Attention: head groups, masks, caches, sharp scores, softcap, sinks, "
                                                "windows, poisoned padding, all stages.")
        self.seed = 8000
        self.hidden = []

    def new(self):
        self.seed += 1
        return np.random.default_rng(self.seed)

    def add(self, case_id, params, inputs, catches=(), stages=(), tiny=False, poison=None, flags=()):
        """`poison` maps an input name to the array that is stored instead: masked rows nobody may read."""
        full = oracle_attention.attention_f64(params, inputs)
        witness_out, witness_probs = (x.numpy() for x in torch_ops.torch_attention(params, inputs, torch.float64))
        keep = ["out", *stages] + (["present_key", "present_value"] if "past_key" in inputs else [])
        expected = {name: full[name] for name in keep}
        witness = {"out": witness_out, "probs": witness_probs}
        gap = distance({"out": full["out"], "probs": full["probs"]}, witness)
        computed, attested = NUMPY, TORCH
        attested += ", plain formula" if torch_ops.formula_only(params, inputs) else ", scaled_dot_product_attention"
        if tiny:
            exact = oracle_attention.attention_mp(params, inputs)
            gap = max(gap, distance(expected, {name: exact[name] for name in keep}))
            expected = {name: exact[name] for name in keep}
            computed, attested = MPMATH, f"NumPy {np.__version__} f64 and {attested}"
        size = float(np.max(np.abs(np.asarray(inputs["v"])))) + 1
        if gap > 2e-13 * size:
            raise SystemExit(f"{case_id}: PyTorch is {gap:.2e} away")
        for name in catches:
            wrong = faulty(name, params, inputs)
            if wrong is None:
                raise SystemExit(f"{case_id}: {name} cannot be evaluated here")
            seen = INF if wrong.shape != full["out"].shape else shown(wrong, full["out"])
            if seen < (1e-6 if name in ("softmax-eps-in-denominator", "scale-constant-rounded") else SHOWN):
                self.hidden.append(f"{case_id}: {name} moves the output by {seen:.1e} only")
        stored = {**inputs, **(poison or {})}
        flags = list(flags)
        if not full["probs"].any(axis=-1).all():
            flags.append("fully_masked_rows")
        if poison:
            flags.append("poisoned_masked_keys")
        self.suite.add(case_id, "attention", params, stored, expected, computed_by=computed, attested_by=attested,
                       distance=gap, seed=self.seed, catches=catches, flags=flags,
                       baseline=torch_ops.baselines("attention", params, inputs, expected))


def qkv(rng, batch, heads, kv_heads, q_len, kv_len, head_dim, v_dim=None, sharp=2.0):
    f32 = np.float32
    return {"q": (rng.standard_normal((batch, heads, q_len, head_dim)) * sharp).astype(f32),
            "k": rng.standard_normal((batch, kv_heads, kv_len, head_dim)).astype(f32),
            "v": rng.standard_normal((batch, kv_heads, kv_len, v_dim or head_dim)).astype(f32)}


def with_past(inputs, past_len):
    """Moves the first past_len keys and values into the cache."""
    return {"q": inputs["q"], "k": inputs["k"][:, :, past_len:].copy(), "v": inputs["v"][:, :, past_len:].copy(),
            "past_key": inputs["k"][:, :, :past_len].copy(), "past_value": inputs["v"][:, :, :past_len].copy()}


SCALE = ["scale-missing", "scale-d_model", "scale-n_heads", "scale-twice"]
SOFTMAX = ["softmax-wrong-axis-query", "softmax-twice", "softmax-plus-one", "softmax-base-2-mix-up"]
GQA = ["gqa-tile-vs-repeat", "gqa-all-use-head-0"]
CAUSAL = ["mask-strict", "mask+1", "mask-none"]
CHUNK = ["mask-top-left", "mask-skipped-when-cache-present", "mask-skipped-on-later-chunks"]
PAD = ["pad-mask-dropped", "padding-side-wrong", "mask-of-batch-row-0"]
CACHE = ["cache-not-updated", "v-cache-stale", "cache-slot-overwritten"]
WINDOW = ["window-+1", "window-ignored"]


def heads(w):
    w.add("mha_plain", {}, qkv(w.new(), 2, 3, 3, 6, 6, 10),
          SCALE + SOFTMAX + ["softmax-wrong-axis-heads", "k-v-swapped-v-used-as-k", "batch-leak",
                             "attention-dropout-active-in-eval"])
    w.add("mha_causal_square", {"causal": "bottom_right"}, qkv(w.new(), 1, 3, 3, 9, 9, 12),
          CAUSAL + ["mask-multiplied", "mask-after-softmax-no-renorm"])
    w.add("gqa_six_heads_two_groups", {"causal": "bottom_right"}, qkv(w.new(), 2, 6, 2, 6, 6, 10), GQA + CAUSAL)
    w.add("gqa_eight_heads_two_groups", {}, qkv(w.new(), 1, 8, 2, 5, 9, 12), GQA + SCALE)
    w.add("mqa_one_group", {"causal": "bottom_right"}, qkv(w.new(), 1, 5, 1, 6, 6, 12), CAUSAL)
    w.add("batch_rows_differ", {"causal": "bottom_right"}, qkv(w.new(), 4, 2, 2, 3, 4, 6), ["batch-leak"])
    w.add("v_narrower_than_q", {}, qkv(w.new(), 2, 2, 2, 5, 7, 12, 5), SCALE)
    w.add("v_wider_than_q", {"causal": "bottom_right"}, qkv(w.new(), 1, 6, 3, 5, 7, 6, 18), GQA)
    w.add("head_dim_24_sharp", {"causal": "bottom_right"}, qkv(w.new(), 1, 2, 2, 7, 7, 24, sharp=6),
          ["scale-constant-rounded", "mask+1"])
    w.add("head_dim_1", {}, qkv(w.new(), 1, 3, 1, 5, 6, 1, 4, sharp=3), SOFTMAX)
    w.add("scale_given", {"scale": 0.5}, qkv(w.new(), 1, 3, 3, 5, 7, 10), ["scale-wrong-head_dim-source", "scale-missing"])
    w.add("scale_from_another_head_dim", {"scale": 224 ** -0.5, "causal": "bottom_right"},
          qkv(w.new(), 1, 4, 2, 5, 5, 24, sharp=5), ["scale-wrong-head_dim-source"])
    merged = qkv(w.new(), 2, 6, 2, 5, 7, 8)
    flat = {name: np.ascontiguousarray(x.transpose(0, 2, 1, 3).reshape(x.shape[0], x.shape[2], -1))
            for name, x in merged.items()}
    counts = {"num_heads": 6, "num_key_value_heads": 2}
    w.add("heads_merged_gqa", {**counts, "causal": "bottom_right"}, flat,
          GQA + ["view-without-transpose", "merge-without-transpose"], stages=["probs"])
    flat = {name: np.ascontiguousarray(x[:, :3]) if name == "q" else x for name, x in flat.items()}
    past = {"past_key": merged["k"][:, :, :4].copy(), "past_value": merged["v"][:, :, :4].copy()}
    flat.update(k=flat["k"][:, 4:].copy(), v=flat["v"][:, 4:].copy())
    w.add("heads_merged_with_past", {**counts, "causal": "past"}, {**flat, **past}, CHUNK[1:] + CACHE[:1])


def lengths(w):
    w.add("one_key", {}, qkv(w.new(), 2, 3, 1, 4, 1, 6), ["softmax-plus-one"], tiny=True)
    w.add("bottom_right_more_keys", {"causal": "bottom_right"}, qkv(w.new(), 1, 4, 2, 4, 11, 10), ["mask-top-left"] + CAUSAL)
    w.add("top_left_more_keys", {"causal": "top_left"}, qkv(w.new(), 1, 3, 3, 4, 11, 10), CAUSAL)
    w.add("bottom_right_more_queries", {"causal": "bottom_right"}, qkv(w.new(), 1, 2, 2, 7, 4, 10),
          ["mask-top-left", "fully-masked-row-nan"])
    w.add("top_left_more_queries", {"causal": "top_left"}, qkv(w.new(), 1, 2, 2, 7, 4, 10), CAUSAL)
    w.add("chunk_after_a_cache", {"causal": "past"}, with_past(qkv(w.new(), 2, 6, 2, 3, 10, 8), 7),
          CHUNK + CACHE + ["new-k-prepended"] + GQA)
    w.add("one_token_after_a_cache", {"causal": "past"}, with_past(qkv(w.new(), 2, 4, 2, 1, 12, 10), 11),
          ["mask-top-left"] + CACHE)
    w.add("cross_more_keys_than_queries", {}, qkv(w.new(), 1, 4, 4, 3, 21, 10), SOFTMAX)
    w.add("decode_one_token_gqa", {}, qkv(w.new(), 2, 6, 2, 1, 17, 12),
          GQA + ["gqa-repeat-on-wrong-dim", "batch-leak"])
    w.add("static_cache_with_free_slots", {"causal": "bottom_right"},
          {**qkv(w.new(), 1, 4, 2, 3, 12, 10), "kv_lens": np.array([8])}, ["mask-top-left", "pad-mask-dropped"] + CAUSAL)
    w.add("kv_lens_prefill", {"causal": "bottom_right"}, {**qkv(w.new(), 3, 2, 2, 3, 9, 8), "kv_lens": np.array([9, 3, 5])},
          ["pad-mask-dropped", "mask-of-batch-row-0", "mask-top-left"])
    w.add("kv_lens_decode", {}, {**qkv(w.new(), 3, 4, 2, 1, 10, 8), "kv_lens": np.array([1, 10, 6])},
          ["pad-mask-dropped", "mask-of-batch-row-0"])
    w.add("kv_lens_shorter_than_queries", {"causal": "bottom_right"},
          {**qkv(w.new(), 2, 2, 1, 4, 7, 6), "kv_lens": np.array([2, 6])}, ["fully-masked-row-nan"])


def sharp(w):
    # One key wins clearly, as in late decoding.
    x = qkv(w.new(), 1, 4, 2, 1, 40, 12)
    x["k"][:, :, 23] = x["q"].reshape(1, 2, 2, 12).mean(2) * 2
    w.add("decode_peaked", {}, x, ["scale-d_model", "softmax-twice"], stages=["probs"])
    w.add("scores_above_88", {"causal": "bottom_right"}, qkv(w.new(), 1, 4, 2, 8, 8, 12, sharp=90),
          ["softmax-no-max-shift", "scale-d_model", "softmax-twice"])
    x = qkv(w.new(), 1, 2, 2, 5, 12, 12, sharp=3)
    # A shared direction lifts all scores to about 760 and leaves their differences alone.
    x["q"][..., 0] = 51.0
    x["k"][..., 0] = 51.5
    w.add("scores_near_760_close_together", {}, x, ["softmax-no-max-shift", "softmax-base-2-mix-up"], stages=["probs"])
    x = qkv(w.new(), 1, 2, 2, 4, 9, 12, sharp=2)
    x["q"][..., 0] = -40.0
    x["k"][..., 0] = 40.0
    w.add("scores_near_minus_460", {}, x, ["softmax-no-max-shift", "softmax-plus-one"], stages=["probs"])
    w.add("scores_sharp", {"causal": "bottom_right"}, qkv(w.new(), 1, 4, 2, 9, 9, 24, sharp=10),
          ["scale-constant-rounded", "mask-finite-small", "scores-softmax-in-bf16"])
    rising = qkv(w.new(), 1, 2, 1, 3, 150, 8, sharp=0.5)
    rising["q"][..., 0] = 2.0
    rising["k"][..., 0] = np.linspace(0, 40, 150)
    w.add("scores_rise_with_the_key", {}, rising,
          ["softmax-twice", "softmax-wrong-axis-query", "split-kv-merge-wrong", "online-softmax-no-inverse-rescale"])
    w.add("keys_not_a_multiple_of_a_tile", {}, qkv(w.new(), 1, 2, 1, 3, 131, 8, sharp=0.5), ["tile-tail-not-masked"])
    # q k reaches 2e5 before the scale: too large for f16, harmless after it.
    x = qkv(w.new(), 1, 2, 2, 4, 7, 12)
    x["q"], x["k"] = x["q"] * 60, x["k"] * 120
    w.add("products_overflow_f16_before_the_scale", {"scale": 1e-4}, x, ["qkt-overflow-f16"])
    x = qkv(w.new(), 1, 2, 2, 4, 9, 10)
    x["k"][:] = x["k"][:, :, :1]
    w.add("equal_keys", {}, x, ["softmax-plus-one", "softmax-wrong-axis-query"], stages=["probs"])
    x = qkv(w.new(), 1, 4, 2, 4, 9, 10)
    x["v"] *= 100
    w.add("v_of_size_100", {"causal": "bottom_right"}, x, CAUSAL + ["softmax-eps-in-denominator", "probs-cast-low"])
    x = qkv(w.new(), 1, 4, 2, 4, 9, 10)
    x["v"] += 4
    w.add("v_with_mean_4", {"causal": "bottom_right"}, x, ["softmax-plus-one", "mask-after-softmax-no-renorm"])


def caps_and_sinks(w):
    cap = ["softcap-dropped"]
    w.add("softcap_small_before_causal_mask", {"softcap": 2.0, "causal": "bottom_right"},
          qkv(w.new(), 1, 4, 2, 7, 7, 12, sharp=4), cap + ["softcap-after-mask"])
    w.add("softcap_50_with_scores_near_it", {"softcap": 50.0, "causal": "bottom_right"},
          qkv(w.new(), 1, 4, 2, 6, 6, 24, sharp=40), cap)
    rng = w.new()
    x = qkv(rng, 2, 4, 4, 5, 8, 12, sharp=4)
    mask = (rng.standard_normal((2, 1, 5, 8)) * 2).astype(np.float32)
    mask[:, :, :, 6:] = -INF
    w.add("softcap_then_float_mask", {"softcap": 3.0}, {**x, "attn_mask": mask}, cap + ["softcap-after-mask"])
    w.add("softcap_window_and_past", {"softcap": 2.0, "causal": "past", "window": 4},
          with_past(qkv(w.new(), 1, 4, 2, 3, 9, 8, sharp=4), 6), cap + WINDOW)
    sink = ["attention-sink-missing"]
    rng = w.new()
    x = qkv(rng, 1, 6, 2, 6, 6, 10)
    w.add("sinks_causal_gqa", {"causal": "bottom_right"}, {**x, "sinks": rng.standard_normal(6).astype(np.float32)},
          sink + GQA, stages=["probs"])
    x = qkv(w.new(), 1, 4, 4, 3, 7, 10)
    w.add("sinks_from_tiny_to_huge", {"window": 3, "causal": "bottom_right"},
          {**x, "sinks": np.float32([-100.0, 3.0, 95.0, 0.0])}, sink, stages=["probs"])
    x = qkv(w.new(), 2, 2, 2, 4, 4, 6)
    w.add("sinks_and_fully_masked_rows", {"causal": "bottom_right"},
          {**x, "sinks": np.float32([0.5, -1.0]), "attention_mask": np.array([[0, 0, 1, 1], [1, 1, 1, 1]])}, sink + PAD[:1],
          stages=["probs"])


def masks(w):
    left = np.array([[0, 0, 0, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1, 1], [0, 1, 1, 1, 1, 1, 1]])
    w.add("padding_left_first_row", {"causal": "bottom_right"}, {**qkv(w.new(), 3, 4, 2, 7, 7, 6), "attention_mask": left},
          PAD + ["fully-masked-row-nan", "double-min-mask"])
    w.add("padding_right", {"causal": "bottom_right"},
          {**qkv(w.new(), 3, 2, 2, 7, 7, 6), "attention_mask": left[:, ::-1].copy()}, PAD)
    w.add("padding_left_one_token", {"causal": "bottom_right"},
          {**qkv(w.new(), 3, 4, 2, 1, 7, 10), "attention_mask": left}, PAD + ["pad-mask-dropped-in-decode-only"])
    w.add("padding_without_causal", {}, {**qkv(w.new(), 3, 2, 2, 4, 7, 6), "attention_mask": left}, PAD)
    w.add("window_3_causal", {"causal": "bottom_right", "window": 3}, qkv(w.new(), 1, 4, 2, 9, 9, 10), WINDOW)
    w.add("window_1_sees_itself", {"causal": "bottom_right", "window": 1}, qkv(w.new(), 1, 2, 2, 5, 5, 6), WINDOW)
    w.add("window_chunk_after_a_cache", {"causal": "past", "window": 5}, with_past(qkv(w.new(), 1, 4, 2, 4, 13, 8), 9),
          WINDOW + CHUNK[:1] + ["new-k-prepended"])
    w.add("window_both_sides", {"window": 3, "right_window": 2}, qkv(w.new(), 1, 2, 2, 9, 9, 10), WINDOW)
    w.add("window_right_side_only", {"right_window": 1}, qkv(w.new(), 1, 2, 2, 4, 9, 10), ["window-ignored"])
    w.add("window_counted_from_the_corner", {"window": 2, "right_window": 1, "window_align": "top_left"},
          qkv(w.new(), 1, 2, 2, 4, 9, 10), WINDOW)
    w.add("window_with_kv_lens", {"causal": "bottom_right", "window": 3},
          {**qkv(w.new(), 2, 2, 1, 2, 10, 6), "kv_lens": np.array([4, 9])}, WINDOW + ["mask-of-batch-row-0"])
    rng = w.new()
    w.add("float_mask_two_axes", {}, {**qkv(rng, 1, 4, 2, 5, 8, 10),
                                      "attn_mask": (rng.standard_normal((5, 8)) * 3).astype(np.float32)}, SCALE[:1])
    rng = w.new()
    mask = (rng.standard_normal((2, 3, 5, 8)) * 3).astype(np.float32)
    mask[rng.random(mask.shape) < 0.3] = -INF
    mask[..., 0] = 0.5
    w.add("float_mask_four_axes_with_infinities", {"causal": "bottom_right"}, {**qkv(rng, 2, 3, 3, 5, 8, 10), "attn_mask": mask},
          CAUSAL[2:] + ["mask-of-batch-row-0", "mask-multiplied"])
    rng = w.new()
    w.add("float_mask_shorter_than_keys", {}, {**qkv(rng, 1, 2, 2, 3, 9, 10),
                                               "attn_mask": rng.standard_normal((3, 6)).astype(np.float32)}, SCALE[:1])
    for axes, shape in (("one_axis", (8,)), ("two_axes", (5, 8)), ("three_axes", (4, 5, 8)), ("four_axes", (2, 1, 5, 8))):
        rng = w.new()
        mask = rng.random(shape) < 0.6
        mask[..., 1] = True
        mask[..., 2] = False
        w.add(f"bool_mask_{axes}", {}, {**qkv(rng, 2, 4, 2, 5, 8, 6), "attn_mask": mask},
              ["mask-polarity-inverted", "mask-multiplied"] + (["mask-of-batch-row-0"] if shape[0] == 2 else []))
    rng = w.new()
    mask = rng.random((6, 7)) < 0.5
    mask[[0, 3]] = False
    mask[:, 4] |= mask.any(1)
    w.add("bool_mask_fully_masked_rows", {}, {**qkv(rng, 2, 2, 2, 6, 7, 6), "attn_mask": mask},
          ["fully-masked-row-nan", "mask-polarity-inverted", "mask-1e4-fill"], stages=["masked_scores", "probs"],
          tiny=True)


def poisoned(w):
    """Rows behind the mask hold NaN or 1e30: whoever reads them shows it. Expected values are those of clean rows."""
    x = {**qkv(w.new(), 2, 4, 2, 1, 9, 8), "kv_lens": np.array([4, 7])}
    k, v = x["k"].copy(), x["v"].copy()
    for b, length in enumerate(x["kv_lens"]):
        k[b, :, length:] = v[b, :, length:] = np.nan
    w.add("poisoned_nan_beyond_kv_lens", {}, x, ["pad-mask-dropped"], poison={"k": k, "v": v})
    left = np.array([[0, 0, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1]])
    x = {**qkv(w.new(), 2, 4, 2, 6, 6, 8), "attention_mask": left}
    k, v = x["k"].copy(), x["v"].copy()
    k[0, :, :2], v[0, :, :2] = 1e30, np.nan
    w.add("poisoned_padding_first_row", {"causal": "bottom_right"}, x, PAD[:1] + ["fully-masked-row-nan"],
          poison={"k": k, "v": v})
    x = {**qkv(w.new(), 1, 4, 2, 3, 10, 8), "kv_lens": np.array([8])}
    k, v = x["k"].copy(), x["v"].copy()
    k[:, :, 8:], v[:, :, 8:] = -1e30, 1e30
    w.add("poisoned_free_slots_of_a_static_cache", {"causal": "bottom_right"}, x, ["pad-mask-dropped", "mask-none"],
          poison={"k": k, "v": v})
    x = qkv(w.new(), 1, 2, 1, 2, 9, 8)
    k, v = x["k"].copy(), x["v"].copy()
    # Queries stand at 7 and 8 and look back 3 keys: nobody sees 0 to 4.
    k[:, :, :5], v[:, :, :5] = np.nan, -1e30
    w.add("poisoned_keys_left_of_the_window", {"causal": "bottom_right", "window": 3}, x, ["window-ignored"],
          poison={"k": k, "v": v})


def alibi(w):
    x = qkv(w.new(), 1, 6, 6, 5, 9, 8)
    w.add("alibi_six_heads", {"alibi": True, "causal": "bottom_right"}, x, ["alibi-slopes"])
    w.add("alibi_eight_heads", {"alibi": True, "causal": "bottom_right"}, qkv(w.new(), 1, 8, 8, 4, 4, 6), ["alibi-slopes"])
    x = qkv(w.new(), 1, 4, 2, 5, 9, 8)
    slopes = 2.0 ** -(2.0 * np.arange(1, 5))
    x["attn_mask"] = (slopes[:, None, None] * (np.arange(9) - 8)).astype(np.float32)[None]
    w.add("alibi_as_float_mask", {"causal": "bottom_right"}, x, CAUSAL)


def stages(w):
    every = list(oracle_attention.STAGES)
    w.add("stages_plain", {}, qkv(w.new(), 1, 2, 1, 3, 4, 6), SCALE, stages=["scores", "probs"], tiny=True)
    w.add("stages_causal_softcap", {"softcap": 3.0, "causal": "bottom_right"}, qkv(w.new(), 1, 6, 2, 3, 5, 6, sharp=4),
          ["softcap-dropped", "softcap-after-mask"] + GQA, stages=every, tiny=True)
    rng = w.new()
    w.add("stages_float_mask_and_past", {"causal": "past", "softcap": 2.5},
          {**with_past(qkv(rng, 1, 2, 2, 2, 6, 5, sharp=3), 4), "attn_mask": rng.standard_normal((2, 6)).astype(np.float32)},
          ["softcap-dropped"] + CACHE, stages=every, tiny=True)
    rng = w.new()
    x = qkv(rng, 1, 2, 1, 3, 5, 6)
    w.add("stages_sinks_window", {"causal": "bottom_right", "window": 2}, {**x, "sinks": np.float32([1.5, -0.5])},
          ["attention-sink-missing"] + WINDOW, stages=every, tiny=True)
    w.add("stages_scores_above_710", {"scale": 20.0}, qkv(w.new(), 1, 1, 1, 3, 4, 12, sharp=12), ["softmax-no-max-shift"],
          stages=every, tiny=True)


def later(w):
    """Added at the end: seeds are counted, so the others keep theirs."""
    # Past and chunk of one length: keys joined along the heads instead of the tokens still fit.
    w.add("past_as_long_as_the_chunk", {"causal": "past"}, with_past(qkv(w.new(), 1, 8, 2, 3, 6, 8), 3),
          ["cache-concatenated-on-wrong-axis"] + CHUNK + CACHE + GQA)


def main():
    here = pathlib.Path(__file__).resolve().parent
    writer = Writer(sys.argv[1] if len(sys.argv) > 1 else here.parent / "fixtures" / "attention")
    for group in (heads, lengths, sharp, caps_and_sinks, masks, poisoned, alibi, stages, later):
        group(writer)
    if writer.hidden:
        raise SystemExit("\n".join(writer.hidden))
    cases = writer.suite.close()
    for label in ("f32", "bf16", "f16"):
        errors = sorted(c["baseline"][label] for c in cases if label in c.get("baseline", {}))
        print(f"PyTorch {label:<4} {len(errors)} cases, largest error: smallest {errors[0]:.1e}, "
              f"median {errors[len(errors) // 2]:.1e}, largest {errors[-1]:.1e}")


if __name__ == "__main__":
    main()
