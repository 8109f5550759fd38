"""Turns a folder of ONNX node tests into a goldref suite.

    python tools/suite_from_onnx.py SRC DST

SRC holds index.jsonl (one object per test: test, op_type, attributes, node_inputs, node_outputs, inputs, outputs with
onnx_dtype, opset, rtol, atol, file) and the npz files it names, with arrays in_<name> and out_<name>; bfloat16 is
stored as uint16 words. Expected values stay as ONNX's reference implementation gave them; an own NumPy f64 evaluation
of the same exact inputs attests each, and PyTorch in f32, bf16 and f16 gives the baseline. What ONNX's text leaves open
(which stage qk_matmul_output holds, where the causal diagonal starts) is settled by the own evaluation: the reading of
the standard is kept if it fits, else the one that does.
"""

import json
import pathlib
import re
import sys

import numpy as np

import faulty_ops
import oracle_attention
import oracle_ops
import torch_ops
from faulty_attention import faulty, shown
from npz_write import Suite, bf16_values, distance

ABOUT = "Node tests of the ONNX standard, expected values by ONNX's reference implementation."
NOTICE = """The cases of this suite are derived from the node tests of ONNX (Open Neural Network Exchange),
https://github.com/onnx/onnx, directory onnx/backend/test/case/node.

    Copyright (c) ONNX Project Contributors
    SPDX-License-Identifier: Apache-2.0

ONNX is licensed under the Apache License, Version 2.0 (the "License"); these files may not be used except in compliance
with the License. A copy of the License may be obtained at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on an
"AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific
language governing permissions and limitations under the License.

Changes: the tests were converted from ONNX models and protocol buffers to suite.json and NumPy files by
tools/suite_from_onnx.py; inputs, outputs and attributes were renamed; the numbers are unchanged.
"""
STAGES = oracle_attention.STAGES
# Names of arrays, operator by operator, in the order of the ONNX operator's own inputs and outputs.
ARRAYS = {
    "Attention": (["q", "k", "v", "attn_mask", "past_key", "past_value", "kv_lens"],
                  ["out", "present_key", "present_value", "stage"]),
    "RotaryEmbedding": (["x", "cos_cache", "sin_cache", "position_ids"], ["out"]),
    "Softmax": (["x"], ["out"]),
    "LogSoftmax": (["x"], ["out"]),
    "LayerNormalization": (["x", "weight", "bias"], ["out", "mean", "inv_std_dev"]),
    "RMSNormalization": (["x", "weight"], ["out"]),
    "Gelu": (["x"], ["out"]),
    "Swish": (["x"], ["out"]),
    "Relu": (["x"], ["out"]),
    "SwiGLU": (["gate", "up"], ["out"]),
    "Gemm": (["a", "b", "c"], ["out"]),
    "MatMul": (["a", "b"], ["out"]),
    "TensorScatter": (["past_cache", "update", "write_indices"], ["present_cache"]),
}
OPS = {"Attention": "attention", "RotaryEmbedding": "rope", "Softmax": "softmax", "LogSoftmax": "log_softmax",
       "LayerNormalization": "layer_norm", "RMSNormalization": "rms_norm", "Gelu": "gelu", "Swish": "silu", "Relu": "relu",
       "SwiGLU": "swiglu", "Gemm": "gemm", "MatMul": "matmul", "TensorScatter": "tensor_scatter"}
FLOATS = {"FLOAT": 2.0 ** -23, "FLOAT16": 2.0 ** -10, "BFLOAT16": 2.0 ** -7, "DOUBLE": 2.0 ** -52}
# What a case of these operators may be there to catch; it is kept where the fault shows.
CATCHES = {
    "rope": ["rope-pairing", "rope-mixed-conventions", "rope-sign-flipped", "rope-on-wrong-axis"],
    "softmax": ["softmax-wrong-axis-query", "softmax-twice", "softmax-no-max-shift"],
    "log_softmax": ["softmax-wrong-axis-query", "softmax-no-max-shift"],
    "layer_norm": ["norm-weight-missing", "unbiased-variance", "sum-instead-of-mean-wrong-axis"],
    "rms_norm": ["norm-weight-missing", "rmsnorm-computed-as-layernorm", "sum-instead-of-mean-wrong-axis"],
    "gelu": ["silu-gelu", "gelu-formula-error", "gelu-tanh-vs-erf"],
    "silu": ["silu-gelu"], "swiglu": ["swiglu-gate-up-swapped", "silu-gelu"],
    "gemm": ["weight-transposed"], "matmul": ["accumulate-in-bf16"], "relu": ["silu-gelu"],
    "tensor_scatter": ["cache-slot-overwritten", "ring-buffer-order"],
}
ATTENTION_FAULTS = ["scale-missing", "scale-twice", "softmax-wrong-axis-query", "softmax-plus-one", "softcap-dropped",
                    "gqa-tile-vs-repeat", "gqa-all-use-head-0", "mask-top-left", "mask-strict", "mask+1", "mask-none",
                    "window-ignored", "window-+1", "pad-mask-dropped", "mask-of-batch-row-0", "mask-polarity-inverted",
                    "fully-masked-row-nan", "cache-not-updated", "v-cache-stale", "view-without-transpose", "batch-leak"]


class Unsupported(Exception):
    """The test asks for something a suite cannot say; it is left out by name."""


def take(attributes, known):
    """Attributes with their defaults; one that is not known might change the mathematics, so it is refused."""
    surplus = set(attributes) - set(known)
    if surplus:
        raise Unsupported(f"attribute {sorted(surplus)[0]}")
    return {name: attributes.get(name, default) for name, default in known.items()}


def values(array, onnx_dtype):
    """Exact f64 values of a stored array; booleans and ids stay."""
    if onnx_dtype == "BFLOAT16":
        return bf16_values(array).astype(np.float64)
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def last_axes(attributes, opset, rank):
    axis = take(attributes, {"axis": -1 if opset >= 13 else 1})["axis"]
    # Before opset 13 the input was flattened at `axis`; that is the same only if it is the last one.
    if opset < 13 and axis % rank != rank - 1:
        raise Unsupported("softmax before opset 13 over several axes")
    return {"axis": axis}


def attention_params(attributes, inputs):
    a = take(attributes, {"is_causal": 0, "scale": None, "softcap": 0.0, "q_num_heads": None, "kv_num_heads": None,
                          "qk_matmul_output_mode": 0, "softmax_precision": None, "left_window_size": -1,
                          "right_window_size": -1})
    params = {}
    if inputs["q"].ndim == 3:
        params.update(num_heads=a["q_num_heads"], num_key_value_heads=a["kv_num_heads"])
    if a["scale"] is not None:
        params["scale"] = a["scale"]
    if a["softcap"]:
        params["softcap"] = a["softcap"]
    # The diagonal starts at the past length, or where the valid keys end, or at the corner.
    align = "past" if "past_key" in inputs else "bottom_right" if "kv_lens" in inputs else "top_left"
    windowed = a["left_window_size"] >= 0 or a["right_window_size"] >= 0
    if a["is_causal"]:
        params["causal"] = align
    elif windowed and align != "bottom_right" and inputs["q"].shape[-2] != inputs["k"].shape[-2]:
        # Said only where it is not what goldref takes without a word.
        params["window_align"] = align
    # ONNX counts the keys left of the query, goldref the keys of the window with the query's own among them.
    if a["left_window_size"] >= 0:
        params["window"] = a["left_window_size"] + 1
    if a["right_window_size"] >= 0:
        params["right_window"] = a["right_window_size"]
    return params, STAGES[a["qk_matmul_output_mode"]]


def plain_params(op_type, attributes, inputs, opset):
    if op_type in ("Softmax", "LogSoftmax"):
        return last_axes(attributes, opset, inputs["x"].ndim)
    if op_type in ("LayerNormalization", "RMSNormalization"):
        a = take(attributes, {"axis": -1, "epsilon": 1e-5, "stash_type": 1})
        return {"norm_eps": a["epsilon"], "axis": a["axis"]}
    if op_type == "Gelu":
        return {"approximate": take(attributes, {"approximate": "none"})["approximate"]}
    if op_type in ("Swish", "SwiGLU"):
        alpha = take(attributes, {"alpha": 1.0})["alpha"]
        return {} if alpha == 1 else {"alpha": alpha}
    if op_type == "Gemm":
        a = take(attributes, {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 0})
        return {"alpha": a["alpha"], "beta": a["beta"], "trans_a": bool(a["transA"]), "trans_b": bool(a["transB"])}
    if op_type == "TensorScatter":
        return take(attributes, {"axis": -2, "mode": "linear"})
    if op_type == "RotaryEmbedding":
        a = take(attributes, {"interleaved": 0, "rotary_embedding_dim": 0, "num_heads": 0})
        params = {"layout": "interleaved" if a["interleaved"] else "half_split"}
        if a["rotary_embedding_dim"]:
            params["rotary_dim"] = a["rotary_embedding_dim"]
        if inputs["x"].ndim == 3:
            params["num_heads"] = a["num_heads"]
        return params
    take(attributes, {})
    return {}


def whole_mask(inputs, onnx_dtype):
    """A mask of one key, in ONNX, masks all other keys; goldref would broadcast it. So it is filled up here."""
    mask = inputs["attn_mask"]
    kv_len = inputs["k"].shape[-2] + (inputs["past_key"].shape[2] if "past_key" in inputs else 0)
    if mask.shape[-1] != 1 or kv_len == 1:
        return mask
    fill = False if mask.dtype == bool else 0xFF80 if onnx_dtype == "BFLOAT16" else -np.inf
    return np.pad(mask, [(0, 0)] * (mask.ndim - 1) + [(0, kv_len - 1)], constant_values=fill)


def fits(own, stored, onnx_dtype, rtol, atol):
    """Close enough to be the same quantity: ONNX's own tolerance, widened by a few roundings of the dtype."""
    with np.errstate(all="ignore"):
        same = (own == stored) | (np.isnan(own) & np.isnan(stored))
        near = np.abs(own - stored) <= atol + (rtol + 16 * FLOATS.get(onnx_dtype, 0)) * np.abs(stored) \
            + 4 * FLOATS.get(onnx_dtype, 0)
    return own.shape == stored.shape and bool(np.all(same | near))


def worst_ulps(own, stored, onnx_dtype):
    """Distance of the exact answer from the stored one, in units in the last place of the output's dtype."""
    # Smallest exponent of a subnormal's last bit.
    tiny = {"FLOAT": -149, "FLOAT16": -24, "BFLOAT16": -133, "DOUBLE": -1074}[onnx_dtype]
    bits = {"FLOAT": 23, "FLOAT16": 10, "BFLOAT16": 7, "DOUBLE": 52}[onnx_dtype]
    with np.errstate(all="ignore"):
        exponent = np.floor(np.log2(np.abs(stored))) - bits
        ulp = np.exp2(np.maximum(np.where(np.isfinite(exponent), exponent, tiny), tiny))
        gap = np.where(own == stored, 0.0, np.abs(own - stored) / ulp)
    return float(np.max(gap, initial=0.0))


def evaluate(op, params, inputs):
    return oracle_attention.attention_f64(params, inputs) if op == "attention" else oracle_ops.numpy_f64(op, params, inputs)


def convert(test, arrays):
    """(op, params, inputs, expected, dtypes, own evaluation, notes) of one node test."""
    op_type = test["op_type"]
    if op_type not in OPS or test.get("domain") not in ("", None, "ai.onnx"):
        raise Unsupported(f"operator {op_type}")
    in_names, out_names = ARRAYS[op_type]
    dtype_of = {x["name"]: x["onnx_dtype"] for x in test["inputs"] + test["outputs"]}
    opset = max([v for d, v in test.get("opset", []) if d in ("", "ai.onnx")], default=99)
    stored_in, stored_out, kinds = {}, {}, {}
    for ours, theirs in zip(in_names, test["node_inputs"]):
        if theirs:
            stored_in[ours], kinds[ours] = arrays[f"in_{theirs}"], dtype_of[theirs]
    for ours, theirs in zip(out_names, test["node_outputs"]):
        if theirs:
            stored_out[ours], kinds[ours] = arrays[f"out_{theirs}"], dtype_of[theirs]
    op = OPS[op_type]
    if op == "attention" and "attn_mask" in stored_in:
        stored_in["attn_mask"] = whole_mask(stored_in, kinds["attn_mask"])
    if any(kinds[name] not in FLOATS for name in stored_out):
        raise Unsupported(f"output dtype {next(kinds[n] for n in stored_out if kinds[n] not in FLOATS)}")
    exact_in = {name: values(x, kinds[name]) for name, x in stored_in.items()}
    exact_out = {name: values(x, kinds[name]) for name, x in stored_out.items()}
    rtol, atol = test.get("rtol", 1e-3), test.get("atol", 1e-7)
    notes = []
    if op == "attention":
        params, stage = attention_params(test["attributes"], stored_in)
        key = "causal" if "causal" in params else "window_align" if "window_align" in params else None
        readings = [params] + [{**params, key: align} for align in ("top_left", "bottom_right", "past")
                               if key and align != params[key] and (align != "past" or "past_key" in stored_in)]
        for reading in readings:
            if fits(evaluate(op, reading, exact_in)["out"], exact_out["out"], kinds["out"], rtol, atol):
                if reading is not params:
                    notes.append(f"{key} {reading[key]} fits, {params[key]} does not")
                params = reading
                break
        else:
            notes.append("no reading fits the stored output")
        own = evaluate(op, params, exact_in)
        if "stage" in stored_out:
            for name in [stage] + [s for s in STAGES if s != stage]:
                if fits(own[name], exact_out["stage"], kinds["stage"], rtol, atol):
                    break
            else:
                name = stage
                notes.append(f"no stage fits qk_matmul_output, called {stage}")
            if name != stage:
                notes.append(f"qk_matmul_output is {name}, not {stage}")
            for part in (stored_out, exact_out, kinds):
                part[name] = part.pop("stage")
    else:
        params = plain_params(op_type, test["attributes"], stored_in, opset)
        own = evaluate(op, params, exact_in)
        for name in stored_out:
            if not fits(own[name], exact_out[name], kinds[name], rtol, atol):
                notes.append(f"own evaluation of {name} differs")
    own = {name: own[name] for name in stored_out}
    return op, params, stored_in, stored_out, exact_in, exact_out, kinds, own, notes


def catches_of(op, params, exact_in, exact_out, kinds, baseline):
    if op != "attention":
        main = exact_out[torch_ops.MAIN.get(op, "out")]
        return [name for name in CATCHES.get(op, []) if faulty_ops.shows(name, op, params, exact_in, main, baseline)]
    found = []
    for name in ATTENTION_FAULTS:
        try:
            wrong = faulty(name, params, exact_in)
        except (KeyError, ValueError):
            # The fault needs something this case does not have.
            continue
        limit = 20 * FLOATS[kinds["out"]] + 2e-3
        if wrong is not None and (wrong.shape != exact_out["out"].shape or shown(wrong, exact_out["out"]) > limit):
            found.append(name)
    return found


def stored(array):
    """As a suite holds it: ids as int64, everything else unchanged."""
    return array.astype(np.int64) if array.dtype.kind in "iu" and array.dtype.name not in ("uint16", "uint8") else array


def main():
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    source, target = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    name = re.sub(r"[^a-z0-9_]+", "_", target.resolve().name.lower())
    suite = Suite(target, name, ABOUT, notice="NOTICE.txt", compress=True)
    left_out, remarks = [], []
    for line in (source / "index.jsonl").read_text(encoding="utf-8").splitlines():
        if not line.strip():
            continue
        test = json.loads(line)
        try:
            with np.load(source / test["file"], allow_pickle=False) as arrays:
                op, params, inputs, expected, exact_in, exact_out, kinds, own, notes = convert(test, dict(arrays))
        except Unsupported as reason:
            left_out.append(f"{test['test']}: {reason}")
            continue
        remarks += [f"{test['test']}: {note}" for note in notes]
        low = [n for n in expected if kinds[n] in ("FLOAT16", "BFLOAT16")]
        tolerance = {"max_ulps": 2} if low else {"atol": test.get("atol", 1e-7), "rtol": test.get("rtol", 1e-3)}
        for n in low:
            away = worst_ulps(own[n], exact_out[n], kinds[n])
            if away > 2:
                remarks.append(f"{test['test']}: the exact {n} is {away:.2f} ulps from the stored one")
        dtypes = {n: "bf16" for n in (*inputs, *expected) if kinds[n] == "BFLOAT16"}
        full = op == "attention" and not evaluate(op, params, exact_in)["probs"].any(axis=-1).all()
        baseline = torch_ops.baselines(op, params, exact_in, exact_out)
        suite.add(re.sub(r"[^a-z0-9_]+", "_", test["test"].removeprefix("test_").lower()), op, params,
                  {n: stored(x) for n, x in inputs.items()}, {n: stored(x) for n, x in expected.items()},
                  computed_by=f"ONNX node test {test['test']} (reference implementation of onnx)",
                  attested_by=f"NumPy {np.__version__} f64, tools/" + ("oracle_attention.py" if op == "attention"
                                                                        else "oracle_ops.py"),
                  distance=finite(distance(own, exact_out)), tolerance=tolerance, dtypes=dtypes,
                  catches=catches_of(op, params, exact_in, exact_out, kinds, baseline), baseline=baseline,
                  flags=["fully_masked_rows"] if full else [])
    target.mkdir(parents=True, exist_ok=True)
    (target / "NOTICE.txt").write_text(NOTICE, encoding="utf-8")
    suite.close()
    for title, rows in (("left out", left_out), ("remarks", remarks)):
        print(f"{title}: {len(rows)}")
        for row in rows:
            print(f"  {row}")


def finite(gap):
    return gap if np.isfinite(gap) else None


if __name__ == "__main__":
    main()
