"""Writes fixtures/ops: small operations whose expected values mpmath computed.

    python tools/generate_ops.py [DST]        (default: fixtures/ops beside this folder)

Inputs are f32 so that each dtype starts from the same numbers. Expected values are exact to one rounding to f64;
NumPy f64 attests them. A case stops the run if the two are further apart than its budget. PyTorch in f32, bf16 and f16
gives the baseline. A case that says it catches a fault must show it: the fault is evaluated too, and the run stops if
it hides.
"""

import math
import pathlib
import sys

import mpmath
import numpy as np

import faulty_ops
import oracle_ops
import torch_ops
from npz_write import Suite, distance

COMPUTED = f"mpmath {mpmath.__version__} at 50 digits, tools/oracle_ops.py"
ATTESTED = f"NumPy {np.__version__} f64, tools/oracle_ops.py"
INF = float("inf")


class Writer:
    def __init__(self, folder):
        self.suite = Suite(folder, "ops", "Small operations, exact to one rounding: linear, matmul, softmax, norms, "
                                          "activations, embedding, rotary positions, ALiBi, masks.")
        self.seed = 7000
        self.table = []

    def rng(self):
        """A new generator per case; `add` stores its seed."""
        self.seed += 1
        return np.random.default_rng(self.seed)

    def normal(self, *shape, scale=1.0):
        return (self.rng().standard_normal(shape) * scale).astype(np.float32)

    def add(self, case_id, op, params, inputs, catches=(), keep=None, flags=(), seeded=True, relative=1e-12):
        expected = oracle_ops.exact(op, params, inputs)
        witness = oracle_ops.numpy_f64(op, params, inputs)
        if keep is not None:
            expected = {k: expected[k] for k in keep}
        witness = {k: witness[k] for k in expected}
        gap = distance(witness, expected)
        size = max(float(np.max(np.abs(v[np.isfinite(v)]), initial=0.0)) for v in expected.values())
        if gap > relative * max(size, 1e-300):
            raise SystemExit(f"{case_id}: NumPy is {gap:.2e} away, values reach {size:.2e}")
        # Cancellation or underflow: even a careful f64 evaluation is not within 4 ulps of each element there.
        ulps = oracle_ops.ulps(witness, expected)
        flags = list(flags) + (["cancellation"] if ulps > 4 else [])
        self.table.append((ulps, gap, case_id))
        baseline = torch_ops.baselines(op, params, inputs, expected)
        self.verify(case_id, op, params, inputs, expected, catches, baseline)
        self.suite.add(case_id, op, params, inputs, expected, computed_by=COMPUTED, attested_by=ATTESTED, distance=gap,
                       seed=self.seed if seeded else None, catches=catches, flags=flags, baseline=baseline)

    def verify(self, case_id, op, params, inputs, expected, catches, baseline):
        main = expected[torch_ops.MAIN.get(op, "out")]
        for name in catches:
            if not faulty_ops.shows(name, op, params, inputs, main, baseline):
                raise SystemExit(f"{case_id} does not show {name}")


# ---- linear and matmul --------------------------------------------------------------------------------------------

def linear(w):
    w.add("linear_bias_out_in", "linear", {"weight_layout": "out_in"},
          {"x": w.normal(2, 5, 24), "weight": w.normal(18, 24, scale=0.2), "bias": w.normal(18)}, ["qkv-bias-dropped"])
    w.add("linear_bias_in_out", "linear", {"weight_layout": "in_out"},
          {"x": w.normal(2, 5, 24), "weight": w.normal(24, 18, scale=0.2), "bias": w.normal(18)}, ["qkv-bias-dropped"])
    w.add("linear_square_out_in", "linear", {"weight_layout": "out_in"},
          {"x": w.normal(7, 20), "weight": w.normal(20, 20, scale=0.2)}, ["weight-transposed"])
    w.add("linear_square_in_out", "linear", {"weight_layout": "in_out"},
          {"x": w.normal(7, 20), "weight": w.normal(20, 20, scale=0.2)}, ["weight-transposed"])
    # All terms of one sign: a running sum in bf16 stops growing.
    w.add("linear_long_sum_one_sign", "linear", {},
          {"x": np.abs(w.normal(3, 300)), "weight": np.abs(w.normal(5, 300, scale=0.3))}, ["accumulate-in-bf16"])
    # Terms near 1e3 whose sum is near 1: the answer is what the roundings leave.
    x = w.normal(4, 16, scale=1e3)
    weight = w.normal(6, 16)
    x = np.concatenate([x, x], axis=1)
    weight = np.concatenate([weight, -weight + w.normal(6, 16, scale=1e-3)], axis=1).astype(np.float32)
    w.add("linear_large_terms_cancel", "linear", {}, {"x": x, "weight": weight}, ["accumulate-in-bf16"])
    w.add("linear_one_input_feature", "linear", {}, {"x": w.normal(9, 1), "weight": w.normal(4, 1), "bias": w.normal(4)},
          ["weight-transposed", "qkv-bias-dropped"])
    rng = w.rng()
    w.add("linear_f64_inputs", "linear", {},
          {"x": rng.standard_normal((3, 11)), "weight": rng.standard_normal((7, 11)), "bias": rng.standard_normal(7)},
          ["weight-transposed", "qkv-bias-dropped"])
    w.add("matmul_two_dims", "matmul", {}, {"a": w.normal(7, 13), "b": w.normal(13, 5)}, ["accumulate-in-bf16"])
    w.add("matmul_batch_broadcast", "matmul", {}, {"a": w.normal(3, 1, 4, 7), "b": w.normal(2, 7, 5)},
          ["accumulate-in-bf16"])
    w.add("matmul_vector_left", "matmul", {}, {"a": w.normal(7), "b": w.normal(3, 7, 5)}, ["accumulate-in-bf16"])
    w.add("matmul_vector_right", "matmul", {}, {"a": w.normal(3, 4, 7), "b": w.normal(7)}, ["accumulate-in-bf16"])
    w.add("matmul_two_vectors", "matmul", {}, {"a": w.normal(33), "b": w.normal(33)}, ["accumulate-in-bf16"])


# ---- softmax ------------------------------------------------------------------------------------------------------

SOFTMAX = ["softmax-twice", "softmax-plus-one", "softmax-base-2-mix-up"]


def softmax(w):
    w.add("softmax_plain", "softmax", {"axis": -1}, {"x": w.normal(5, 11, scale=2)},
          SOFTMAX + ["softmax-wrong-axis-query", "softmax-wrong-axis-heads"])
    # Rows that differ by a constant must give the same probabilities; multiples of 1/64 stay exact in f32.
    base = np.round(w.normal(1, 9, scale=2) * 64) / 64
    w.add("softmax_rows_shifted_by_constants", "softmax", {"axis": -1},
          {"x": (base + np.array([[0.0], [-50.0], [60.0], [300.0], [-3000.0]])).astype(np.float32)},
          ["softmax-no-max-shift", "softmax-plus-one"])
    w.add("softmax_scores_above_88", "softmax", {"axis": -1},
          {"x": (w.normal(4, 13, scale=3) + 95).astype(np.float32)}, ["softmax-no-max-shift"])
    w.add("softmax_scores_above_710", "softmax", {"axis": -1},
          {"x": (w.normal(4, 13, scale=3) + 740).astype(np.float32)}, ["softmax-no-max-shift"])
    w.add("softmax_scores_far_below_zero", "softmax", {"axis": -1},
          {"x": (w.normal(3, 10, scale=2) - 800).astype(np.float32)},
          ["softmax-no-max-shift", "softmax-plus-one", "softmax-eps-in-denominator"])
    far = np.array([[0, -50, -100, -700, -740], [30, 0, -30, 30, -60], [1e4, 0, -1e4, 9990, 9999],
                    [-6e4, 0, 1, 2, -6e4]], dtype=np.float32)
    w.add("softmax_scores_far_apart", "softmax", {"axis": -1}, {"x": far}, SOFTMAX + ["softmax-no-max-shift"],
          seeded=False)
    w.add("softmax_one_key", "softmax", {"axis": -1}, {"x": w.normal(6, 1, scale=30)}, ["softmax-plus-one"])
    w.add("softmax_equal_scores", "softmax", {"axis": -1},
          {"x": np.repeat(np.float32([[0.0], [-7.25], [200.0]]), 7, axis=1)},
          ["softmax-plus-one", "softmax-no-max-shift"], seeded=False)
    x = w.normal(6, 9, scale=2)
    x[0, 1:] = -INF
    x[1, ::2] = -INF
    x[2, 0] = x[3, -1] = -INF
    w.add("softmax_minus_infinity_entries", "softmax", {"axis": -1}, {"x": x},
          ["softmax-plus-one"])
    w.add("softmax_axis_0", "softmax", {"axis": 0}, {"x": w.normal(6, 4, 3, scale=2)},
          ["softmax-wrong-axis-query", "softmax-wrong-axis-heads"])
    w.add("softmax_axis_1_of_3", "softmax", {"axis": 1}, {"x": w.normal(2, 7, 4, scale=2)},
          ["softmax-wrong-axis-query"])
    w.add("softmax_row_of_257", "softmax", {"axis": -1}, {"x": w.normal(2, 257, scale=3)},
          ["softmax-wrong-axis-query", "tile-tail-not-masked", "accumulate-in-bf16"])
    w.add("softmax_rising_scores", "softmax", {"axis": -1},
          {"x": (np.arange(150, dtype=np.float32)[None, :] * np.float32([[0.125], [-0.125]]))},
          ["online-softmax-no-inverse-rescale"], seeded=False)
    w.add("softmax_f64_inputs", "softmax", {"axis": -1}, {"x": w.rng().standard_normal((3, 17)) * 4}, SOFTMAX)
    w.add("log_softmax_plain", "log_softmax", {"axis": -1}, {"x": w.normal(5, 11, scale=2)}, ["softmax-plus-one"])
    w.add("log_softmax_scores_above_710", "log_softmax", {"axis": -1},
          {"x": (w.normal(4, 9, scale=3) + 740).astype(np.float32)}, ["softmax-no-max-shift"])
    # log of the rounded probability would be -inf for the small ones.
    w.add("log_softmax_scores_far_apart", "log_softmax", {"axis": -1},
          {"x": np.float32([[0, 0.5, -100, -800], [1000, 999, 0, 998.5], [3, 3, 3, -3e4]])},
          ["softmax-no-max-shift"], seeded=False)
    w.add("log_softmax_one_score_dominates", "log_softmax", {"axis": -1},
          {"x": np.float32([[0, 20, 1], [0, 50, 2], [-12, 12, 0]])}, ["softmax-plus-one"], seeded=False)
    w.add("log_softmax_axis_0", "log_softmax", {"axis": 0}, {"x": w.normal(6, 4, 3, scale=2)},
          ["softmax-wrong-axis-query"])


# ---- norms --------------------------------------------------------------------------------------------------------

def norms(w):
    rms = ["eps-outside-sqrt", "eps-wrong-value"]
    w.add("rms_norm_weight", "rms_norm", {"norm_eps": 1e-5}, {"x": w.normal(4, 24), "weight": w.normal(24)},
          ["norm-weight-missing", "divide-by-rsqrt", "sum-instead-of-mean-wrong-axis", "rmsnorm-computed-as-layernorm"])
    w.add("rms_norm_one_plus_weight", "rms_norm",
          {"norm_eps": 1e-6, "weight_form": "one_plus_w", "downcast": "after_weight"},
          {"x": w.normal(4, 24), "weight": w.normal(24, scale=0.3)},
          ["norm-weight-missing", "weight-add-multiply-in-low-precision"])
    w.add("rms_norm_downcast_after_weight", "rms_norm",
          {"norm_eps": 1e-6, "downcast": "after_weight"},
          {"x": w.normal(5, 40, scale=3), "weight": (w.normal(40) + 15.8125).astype(np.float32)},
          ["weight-add-multiply-in-low-precision"])
    w.add("rms_norm_downcast_before_weight", "rms_norm",
          {"norm_eps": 1e-6, "downcast": "before_weight"},
          {"x": w.normal(5, 40, scale=3), "weight": (w.normal(40) + 15.8125).astype(np.float32)},
          ["weight-add-multiply-in-low-precision"])
    w.add("rms_norm_mean_square_near_eps_1e5", "rms_norm", {"norm_eps": 1e-5},
          {"x": w.normal(5, 24, scale=3e-3), "weight": w.normal(24)}, rms)
    w.add("rms_norm_mean_square_near_eps_1e6", "rms_norm", {"norm_eps": 1e-6},
          {"x": w.normal(5, 20, scale=1e-3), "weight": w.normal(20)}, rms)
    w.add("rms_norm_mean_square_far_below_eps", "rms_norm", {"norm_eps": 1e-6},
          {"x": w.normal(3, 20, scale=1e-6), "weight": w.normal(20)}, rms)
    x = w.normal(4, 32, scale=2e-3)
    x[np.arange(4), [3, 0, 31, 17]] = [0.5, -1.0, 0.05, 3.0]
    w.add("rms_norm_one_spike_in_a_row", "rms_norm", {"norm_eps": 1e-5}, {"x": x, "weight": w.normal(32)},
          ["eps-inflated-by-rescale"])
    w.add("rms_norm_mean_not_zero", "rms_norm", {"norm_eps": 1e-5},
          {"x": (w.normal(4, 24) + 5).astype(np.float32), "weight": w.normal(24)}, ["rmsnorm-computed-as-layernorm"])
    w.add("rms_norm_over_two_axes", "rms_norm", {"norm_eps": 1e-5, "axis": 1},
          {"x": w.normal(3, 4, 6), "weight": w.normal(4, 6)}, ["sum-instead-of-mean-wrong-axis"])
    x = w.normal(3, 12)
    x[1] = 0
    w.add("rms_norm_no_weight_and_a_zero_row", "rms_norm", {"norm_eps": 1e-6}, {"x": x}, ["divide-by-rsqrt"])
    # Squares reach 1e10: they overflow f16.
    w.add("rms_norm_large_values", "rms_norm", {"norm_eps": 1e-6},
          {"x": w.normal(3, 30, scale=2e4).clip(-6e4, 6e4), "weight": w.normal(30)}, ["stats-in-bf16"])
    w.add("layer_norm_weight_and_bias", "layer_norm", {"norm_eps": 1e-5},
          {"x": w.normal(4, 24), "weight": w.normal(24), "bias": w.normal(24)},
          ["norm-weight-missing", "unbiased-variance"], keep=["out"])
    w.add("layer_norm_all_outputs", "layer_norm", {"norm_eps": 1e-5},
          {"x": w.normal(2, 3, 10, scale=3), "weight": w.normal(10), "bias": w.normal(10)},
          ["unbiased-variance", "divide-by-rsqrt"])
    w.add("layer_norm_no_bias", "layer_norm", {"norm_eps": 1e-5}, {"x": w.normal(4, 24), "weight": w.normal(24)},
          ["norm-weight-missing", "unbiased-variance"], keep=["out"])
    w.add("layer_norm_five_elements", "layer_norm", {"norm_eps": 1e-5},
          {"x": w.normal(7, 5), "weight": w.normal(5), "bias": w.normal(5)}, ["unbiased-variance"], keep=["out"])
    w.add("layer_norm_mean_1000", "layer_norm", {"norm_eps": 1e-5},
          {"x": (w.normal(4, 24) + 1000).astype(np.float32), "weight": w.normal(24), "bias": w.normal(24)},
          ["variance-one-pass"], keep=["out"])
    w.add("layer_norm_mean_30000", "layer_norm", {"norm_eps": 1e-5},
          {"x": (w.normal(3, 24) + 30000).astype(np.float32), "weight": w.normal(24), "bias": w.normal(24)},
          ["variance-one-pass"], keep=["out"])
    w.add("layer_norm_variance_near_eps", "layer_norm", {"norm_eps": 1e-5},
          {"x": (w.normal(4, 24, scale=3e-3) + 0.5).astype(np.float32), "weight": w.normal(24), "bias": w.normal(24)},
          ["eps-outside-sqrt", "eps-wrong-value"], keep=["out"])
    # No fault of the list: a norm that forgets eps divides 0 by 0.
    w.add("layer_norm_constant_rows", "layer_norm", {"norm_eps": 1e-5},
          {"x": np.repeat(np.float32([[0.0], [3.25], [-1e4]]), 8, axis=1), "weight": w.normal(8), "bias": w.normal(8)},
          keep=["out"])
    w.add("layer_norm_over_two_axes", "layer_norm", {"norm_eps": 1e-1, "axis": -2},
          {"x": w.normal(3, 4, 5), "weight": w.normal(4, 5), "bias": w.normal(4, 5)},
          ["sum-instead-of-mean-wrong-axis", "eps-wrong-value"])


# ---- activations --------------------------------------------------------------------------------------------------

def activations(w):
    grid = np.linspace(-40, 40, 161).astype(np.float32)
    tiny = np.float32([0.0, -0.0, 1e-30, -1e-30, 1e-10, -1e-10, 1e-6, -1e-6, 3e-4, -3e-4, 0.01, -0.01, 0.125, -0.125])
    wrong = {"none": ["gelu-tanh-vs-erf", "silu-gelu"], "tanh": ["gelu-tanh-vs-erf", "gelu-formula-error"],
             "quick": ["gelu-formula-error"]}
    names = {"none": "erf", "tanh": "tanh", "quick": "quick"}
    for form in ("none", "tanh", "quick"):
        w.add(f"gelu_{names[form]}_wide", "gelu", {"approximate": form}, {"x": grid}, wrong[form], seeded=False)
        w.add(f"gelu_{names[form]}_near_zero", "gelu", {"approximate": form}, {"x": tiny},
              ["silu-gelu"], seeded=False)
        # The two formulas differ most, by 5e-4, near |x| = 2.
        w.add(f"gelu_{names[form]}_between_one_and_four", "gelu", {"approximate": form},
              {"x": (np.sign(w.normal(60)) * w.rng().uniform(1, 4, 60)).astype(np.float32)}, wrong[form])
    w.add("silu_wide", "silu", {}, {"x": np.concatenate([grid, np.float32([-700, -100, -88.5, 88.5, 700, -1e4, 1e4])])},
          ["silu-gelu"], seeded=False)
    w.add("silu_near_zero", "silu", {}, {"x": tiny}, ["silu-gelu"], seeded=False)
    w.add("silu_alpha", "silu", {"alpha": 1.702}, {"x": w.normal(50, scale=3)}, ["silu-gelu"])
    w.add("relu_signed_zero", "relu", {}, {"x": np.concatenate([tiny, np.float32([-40, 40, -1e4, 1e4])])},
          ["silu-gelu"], seeded=False)
    w.add("swiglu_plain", "swiglu", {}, {"gate": w.normal(3, 20, scale=2), "up": w.normal(3, 20, scale=2)},
          ["swiglu-gate-up-swapped", "swiglu-silu-of-product", "silu-gelu"])
    w.add("swiglu_wide", "swiglu", {}, {"gate": w.normal(2, 30, scale=20), "up": w.normal(2, 30, scale=0.05)},
          ["swiglu-gate-up-swapped", "swiglu-silu-of-product"])
    for form in ("none", "tanh"):
        w.add(f"geglu_{names[form]}", "geglu", {"approximate": form},
              {"gate": w.normal(3, 20, scale=2), "up": w.normal(3, 20, scale=3)},
              ["gelu-tanh-vs-erf", "swiglu-gate-up-swapped", "silu-gelu"])


# ---- embedding ----------------------------------------------------------------------------------------------------

def embedding(w):
    ids = np.array([[0, 5, 5, 16], [16, 1, 0, 9]], dtype=np.int64)
    w.add("embedding_repeated_ids", "embedding", {}, {"input_ids": ids, "weight": w.normal(17, 12)},
          ["embedding-scale-missing"])
    w.add("embedding_scaled_by_root_of_width", "embedding", {"scale": math.sqrt(24)},
          {"input_ids": ids, "weight": w.normal(17, 24)}, ["embedding-scale-missing", "embedding-scale-rounding"])


# ---- positions ----------------------------------------------------------------------------------------------------

def positions_of(*rows):
    return np.array(rows, dtype=np.int64)


def rope(w):
    half, pair = "half_split", "interleaved"
    base = ["rope-pairing", "rope-mixed-conventions", "rope-exponent", "rope-sign-flipped"]
    first = positions_of(range(7), range(7))
    w.add("rope_half_split", "rope", {"layout": half, "rope_theta": 10000.0},
          {"x": w.normal(2, 3, 7, 16), "position_ids": first}, base + ["rope-on-wrong-axis"], keep=["out"])
    w.add("rope_interleaved", "rope", {"layout": pair, "rope_theta": 10000.0},
          {"x": w.normal(2, 3, 7, 16), "position_ids": first}, base + ["rope-on-wrong-axis"], keep=["out"])
    w.add("rope_tables", "rope", {"layout": half, "rope_theta": 10000.0},
          {"x": w.normal(1, 1, 5, 12), "position_ids": positions_of([0, 1, 17, 300, 4097])},
          ["rope-exponent", "rope-positions-in-bf16"])
    w.add("rope_partial_half_split", "rope", {"layout": half, "rotary_dim": 8, "rope_theta": 10000.0},
          {"x": w.normal(2, 2, 5, 20), "position_ids": positions_of(range(40, 45), range(40, 45))},
          ["partial-rotary-dim", "rope-pairing"])
    w.add("rope_partial_interleaved", "rope", {"layout": pair, "rotary_dim": 12, "rope_theta": 10000.0},
          {"x": w.normal(1, 2, 6, 20), "position_ids": positions_of(range(40, 46))},
          ["partial-rotary-dim", "rope-pairing"])
    w.add("rope_head_dim_24_beyond_5000", "rope", {"layout": half, "rope_theta": 10000.0},
          {"x": w.normal(1, 2, 6, 24), "position_ids": positions_of(range(5003, 5009))},
          ["rope-positions-in-bf16", "rope-inv_freq-in-bf16", "rope-cos-sin-in-bf16", "positions-restart-at-0-in-decode"],
          keep=["out"])
    w.add("rope_theta_500000_beyond_4096", "rope", {"layout": half, "rope_theta": 500000.0},
          {"x": w.normal(1, 2, 5, 16), "position_ids": positions_of([4095, 4096, 4097, 8191, 100000])},
          ["rope-theta-wrong", "rope-positions-in-bf16", "rope-inv_freq-in-bf16"], keep=["out"])
    w.add("rope_positions_up_to_a_million", "rope", {"layout": half, "rope_theta": 10000.0},
          {"x": w.normal(2, 1, 4, 16),
           "position_ids": positions_of([999999, 3, 65537, 1000000], [0, 123457, 65535, 524289])},
          ["rope-positions-in-bf16", "rope-inv_freq-in-bf16", "rope-ignores-position_ids"])
    w.add("rope_interleaved_up_to_a_million", "rope", {"layout": pair, "rope_theta": 1000000.0},
          {"x": w.normal(1, 2, 4, 10), "position_ids": positions_of([1000000, 77777, 4096, 1])},
          ["rope-positions-in-bf16", "rope-inv_freq-in-bf16"], keep=["out"])
    w.add("rope_packed_documents", "rope", {"layout": half, "rope_theta": 10000.0},
          {"x": w.normal(1, 2, 8, 8), "position_ids": positions_of(0, 1, 2, 0, 1, 0, 1, 2)},
          ["rope-ignores-position_ids"], keep=["out"])
    w.add("rope_batch_rows_at_different_positions", "rope", {"layout": half, "rope_theta": 10000.0},
          {"x": w.normal(3, 2, 3, 8), "position_ids": positions_of([0, 1, 2], [9, 10, 11], [100, 101, 103])},
          ["rope-ignores-position_ids", "positions-restart-at-0-in-decode", "rope-cache-keyed-without-offset"],
          keep=["out"])
    w.add("rope_one_token_of_many_heads", "rope", {"layout": half, "rope_theta": 10000.0},
          {"x": w.normal(2, 5, 1, 12), "position_ids": positions_of([37], [41])},
          ["rope-only-rotates-first-head-at-t-1", "decode-offset-by-one"], keep=["out"])
    w.add("rope_heads_merged", "rope", {"layout": half, "rope_theta": 10000.0, "num_heads": 3},
          {"x": w.normal(2, 5, 36), "position_ids": positions_of(range(5), range(20, 25))},
          ["rope-on-wrong-axis", "view-without-transpose"], keep=["out"])
    tables = w.rng().uniform(0, 6, (11, 4))
    w.add("rope_given_tables", "rope", {"layout": half, "rotary_dim": 8},
          {"x": w.normal(2, 2, 3, 12), "position_ids": positions_of([3, 10, 0], [7, 7, 1]),
           "cos_cache": np.cos(tables).astype(np.float32), "sin_cache": np.sin(tables).astype(np.float32)},
          ["rope-ignores-position_ids", "rope-pairing"])
    w.add("rope_given_tables_per_position", "rope", {"layout": pair},
          {"x": w.normal(2, 2, 3, 8), "cos_cache": w.normal(2, 3, 4), "sin_cache": w.normal(2, 3, 4)},
          ["rope-pairing", "rope-sign-flipped"])
    far = positions_of([0, 5, 2000, 9000])
    scaled = ["rope-scaling-ignored"]
    w.add("rope_scaling_linear", "rope",
          {"layout": half, "rope_theta": 10000.0, "scaling": {"rope_type": "linear", "factor": 2.5}},
          {"x": w.normal(1, 2, 4, 16), "position_ids": far}, scaled)
    llama3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
              "original_max_position_embeddings": 8192}
    w.add("rope_scaling_llama3", "rope", {"layout": half, "rope_theta": 500000.0, "scaling": llama3},
          {"x": w.normal(1, 1, 4, 64), "position_ids": positions_of([1, 100, 8191, 60000])}, scaled)
    # A short original length puts several bands of a small head into the blended middle.
    w.add("rope_scaling_llama3_short_context", "rope",
          {"layout": half, "rope_theta": 10000.0, "scaling": {**llama3, "original_max_position_embeddings": 64}},
          {"x": w.normal(1, 2, 4, 16), "position_ids": positions_of([3, 17, 63, 200])}, scaled)
    yarn = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 4096}
    mscale = "yarn-mscale-missing-or-doubled"
    w.add("rope_scaling_yarn", "rope", {"layout": half, "rope_theta": 10000.0, "scaling": yarn},
          {"x": w.normal(1, 1, 4, 64), "position_ids": positions_of([1, 100, 4095, 16000])}, scaled + [mscale])
    w.add("rope_scaling_yarn_not_truncated", "rope",
          {"layout": half, "rope_theta": 10000.0, "rotary_dim": 20,
           "scaling": {**yarn, "truncate": False, "beta_fast": 24.0, "beta_slow": 2.0}},
          {"x": w.normal(1, 2, 4, 24), "position_ids": positions_of([1, 100, 4095, 16000])}, scaled + [mscale])
    w.add("rope_scaling_yarn_mscale_pair", "rope",
          {"layout": pair, "rope_theta": 10000.0, "scaling": {**yarn, "factor": 40.0, "mscale": 1.0,
                                                               "mscale_all_dim": 0.707}},
          {"x": w.normal(1, 2, 4, 16), "position_ids": positions_of([1, 100, 4095, 100000])}, scaled + [mscale])
    w.add("rope_scaling_yarn_attention_factor", "rope",
          {"layout": half, "rope_theta": 150000.0, "scaling": {**yarn, "factor": 32.0, "attention_factor": 1.25}},
          {"x": w.normal(1, 2, 3, 16), "position_ids": positions_of([1, 100, 4095])}, scaled + [mscale])
    dynamic = {"layout": half, "rope_theta": 10000.0, "max_position_embeddings": 64,
               "scaling": {"rope_type": "dynamic", "factor": 2.0}}
    w.add("rope_scaling_dynamic_beyond_the_limit", "rope", dynamic,
          {"x": w.normal(1, 2, 5, 16), "position_ids": positions_of([0, 10, 63, 64, 199])}, scaled)
    w.add("rope_scaling_dynamic_within_the_limit", "rope", dynamic,
          {"x": w.normal(1, 2, 4, 16), "position_ids": positions_of([0, 10, 62, 63])}, ["rope-exponent"])


def alibi(w):
    for heads in (1, 6, 8, 12):
        w.add(f"alibi_{heads}_heads" if heads > 1 else "alibi_one_head", "alibi", {"num_heads": heads},
              {"q_positions": np.arange(9, 12), "kv_positions": np.arange(0, 12)}, ["alibi-slopes"], seeded=False)


# ---- masks --------------------------------------------------------------------------------------------------------

def mask_by_definition(params, attention_mask):
    """One question per (row, query, key), as the text of the format asks it."""
    q_len, kv_len, causal = params["q_len"], params["kv_len"], params.get("causal", "none")
    batch = 1 if attention_mask is None else len(attention_mask)
    out = np.zeros((batch, q_len, kv_len), dtype=bool)
    for b in range(batch):
        for i in range(q_len):
            align = params.get("window_align", "bottom_right") if causal == "none" else causal
            place = {"top_left": i, "past": i + params.get("past_len", 0), "bottom_right": i + kv_len - q_len}[align]
            for j in range(kv_len):
                may = True
                if causal != "none" and j > place:
                    may = False
                if params.get("window") is not None and place - params["window"] >= j:
                    may = False
                if attention_mask is not None and attention_mask[b][j] == 0:
                    may = False
                out[b, i, j] = may
    return out


def masks(w):
    left = np.array([[0, 0, 0, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1, 1], [0, 1, 1, 1, 1, 1, 1]], dtype=np.int64)
    right = left[:, ::-1].copy()
    align, strict = ["mask-top-left"], ["mask-strict", "mask+1"]
    window = ["window-+1", "window-ignored"]
    padding = ["pad-mask-dropped", "padding-side-wrong", "mask-of-batch-row-0"]
    for case_id, params, attention_mask, catches in [
        ("square_causal", {"q_len": 6, "kv_len": 6, "causal": "bottom_right"}, None, strict + ["mask-none"]),
        ("bottom_right_after_a_cache", {"q_len": 3, "kv_len": 8, "causal": "bottom_right"}, None,
         strict + align + ["mask-skipped-when-cache-present", "mask-skipped-on-later-chunks"]),
        ("bottom_right_one_token", {"q_len": 1, "kv_len": 8, "causal": "bottom_right"}, None, align),
        ("bottom_right_more_queries_than_keys", {"q_len": 6, "kv_len": 4, "causal": "bottom_right"}, None, align),
        ("top_left", {"q_len": 3, "kv_len": 8, "causal": "top_left"}, None, strict),
        ("past_with_free_slots", {"q_len": 3, "kv_len": 10, "causal": "past", "past_len": 4}, None, strict + align),
        ("none", {"q_len": 3, "kv_len": 5, "causal": "none"}, None, ["mask-polarity-inverted"]),
        ("window_3", {"q_len": 8, "kv_len": 8, "causal": "bottom_right", "window": 3}, None, window),
        ("window_1", {"q_len": 5, "kv_len": 5, "causal": "bottom_right", "window": 1}, None, window),
        ("window_longer_than_keys", {"q_len": 5, "kv_len": 5, "causal": "bottom_right", "window": 9}, None, ["mask-none"]),
        ("window_after_a_cache", {"q_len": 4, "kv_len": 11, "causal": "bottom_right", "window": 5}, None, window + align),
        ("window_past", {"q_len": 4, "kv_len": 12, "causal": "past", "past_len": 5, "window": 3}, None, window),
        ("window_without_causal", {"q_len": 4, "kv_len": 9, "causal": "none", "window": 3}, None, window),
        ("padding_left", {"q_len": 7, "kv_len": 7, "causal": "bottom_right"}, left, padding + ["fully-masked-row-nan"]),
        ("padding_right", {"q_len": 7, "kv_len": 7, "causal": "bottom_right"}, right, padding),
        ("padding_without_causal", {"q_len": 2, "kv_len": 7, "causal": "none"}, left, padding),
        ("padding_window_and_cache", {"q_len": 3, "kv_len": 7, "causal": "bottom_right", "window": 4}, left,
         padding + window + ["pad-mask-dropped-in-decode-only"]),
        ("padding_everything", {"q_len": 2, "kv_len": 3, "causal": "none"}, np.array([[0, 0, 0], [1, 1, 0]]),
         ["fully-masked-row-nan"]),
    ]:
        inputs = {} if attention_mask is None else {"attention_mask": attention_mask}
        out = mask_by_definition(params, attention_mask)
        witness = oracle_ops.numpy_f64("mask", params, inputs)["out"]
        if not np.array_equal(out, witness):
            raise SystemExit(f"mask_{case_id}: the two definitions differ")
        baseline = torch_ops.baselines("mask", params, inputs, {"out": out})
        w.verify(f"mask_{case_id}", "mask", params, inputs, {"out": out}, catches, baseline)
        w.suite.add(f"mask_{case_id}", "mask", params, inputs, {"out": out},
                    computed_by="plain loops over the definition, tools/generate_ops.py",
                    attested_by=ATTESTED.replace(" f64", " arrays"), distance=0.0, seed=None, catches=catches,
                    baseline=baseline)


def main():
    here = pathlib.Path(__file__).resolve().parent
    writer = Writer(sys.argv[1] if len(sys.argv) > 1 else here.parent / "fixtures" / "ops")
    for group in (linear, softmax, norms, activations, embedding, rope, alibi, masks):
        group(writer)
    cases = writer.suite.close()
    for label in torch_ops.DTYPES:
        errors = sorted((c["baseline"][label], c["id"]) for c in cases if label in c.get("baseline", {}))
        print(f"PyTorch {label:<4} {len(errors)} cases, largest error: median {errors[len(errors) // 2][0]:.1e}, "
              f"largest {errors[-1][0]:.1e} in {errors[-1][1]}")
    print("largest ulps of the NumPy witness:")
    for ulps, gap, case_id in sorted(writer.table, reverse=True)[:12]:
        print(f"  {ulps:9.1e} ulps  {gap:8.1e} absolute  {case_id}")


if __name__ == "__main__":
    main()
