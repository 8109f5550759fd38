"""Turns stored PyTorch results into a goldref suite.

    python tools/suite_from_torch.py SRC DST [--only=name,name,... | --bundled]

SRC holds torch_sdpa and torch_modules, or is one of the two. Both have an index.json beside their npz files:
torch_sdpa: arrays q, k, v, [mask], out_f64, and out_<dtype>_math; options in the index (causal, scale, gqa).
torch_modules: arrays in_<name>, w_<torch's weight name>, out64_y, out32_y, [out64_attn]; activations.npz has x and
<activation>_f64. Expected values are PyTorch's f64 outputs. An own NumPy f64 evaluation attests each; options that the
files do not tell (number of heads, pre- or post-norm, eps) are those with which it reproduces the stored outputs.
"""

import itertools
import json
import pathlib
import re
import sys

import numpy as np

import oracle_attention
import oracle_ops
import torch_ops
from faulty_attention import faulty, shown
from npz_write import Suite, bf16_values, distance

ABOUT = "PyTorch's scaled_dot_product_attention and torch.nn layers in f64."
# An f64 evaluation in another order is at most this far away on these sizes.
SAME = 1e-11
# Some weights were rounded to f32 only when they were stored, after PyTorch had used them: then this far.
ROUNDED_INPUTS = 1e-6
# The cases of fixtures/torch: small, and each a convention of PyTorch's that others read differently.
BUNDLED = ("sdpa_single_key sdpa_bool_mask_fully_masked_row sdpa_equal_keys_uniform sdpa_causal_topleft_q5_k17 "
           "sdpa_causal_lowerright_q5_k17 sdpa_key_padding_mask_b11k mha_cross_kdim_vdim mha_add_bias_kv "
           "mha_self_causal_boolmask mha_float_mask_3d enc_post_relu_causal_pad dec_post_relu "
           "encoder_stack3_pre_gelu").split()
FAULTS = ["scale-missing", "scale-d_model", "scale-twice", "softmax-wrong-axis-query", "softmax-plus-one", "softmax-twice",
          "softmax-no-max-shift", "gqa-tile-vs-repeat", "gqa-all-use-head-0", "mask-top-left", "mask-strict", "mask+1",
          "mask-none", "mask-polarity-inverted", "mask-multiplied", "mask-of-batch-row-0", "fully-masked-row-nan",
          "k-v-swapped-v-used-as-k", "batch-leak"]


# ---- torch.nn layers in NumPy f64 ---------------------------------------------------------------------------------

def multihead_attention(params, a):
    """torch.nn.MultiheadAttention, batch first: (out, probs). Boolean masks are true where attention is forbidden."""
    heads = params["num_heads"]
    query = a["query"]
    key, value = a.get("key", query), a.get("value", a.get("key", query))
    width = query.shape[-1]
    if "in_proj_weight" in a:
        weights = np.split(a["in_proj_weight"], 3)
    else:
        weights = [a[f"{x}_proj_weight"] for x in "qkv"]
    biases = np.split(a["in_proj_bias"], 3) if "in_proj_bias" in a else [0.0] * 3
    q, k, v = (x @ w.T + b for x, w, b in zip((query, key, value), weights, biases))
    forbidden = np.zeros((len(q), 1, q.shape[1], k.shape[1]), dtype=bool)
    added = np.zeros(forbidden.shape)
    mask = a.get("attn_mask")
    if mask is not None:
        mask = mask[None, None] if mask.ndim == 2 else mask.reshape(len(q), heads, *mask.shape[1:])
        forbidden, added = (forbidden | mask, added) if mask.dtype == bool else (forbidden, added + mask)
    if "key_padding_mask" in a:
        forbidden = forbidden | (a["key_padding_mask"] != 0)[:, None, None, :]
    if "bias_k" in a:
        # One more key, the same for each row, that no mask covers.
        k, v = (np.concatenate([x, np.broadcast_to(a[b], (len(x), 1, width))], 1) for x, b in ((k, "bias_k"), (v, "bias_v")))
        forbidden, added = (np.pad(x, [(0, 0)] * 3 + [(0, 1)]) for x in (forbidden, added))
    q, k, v = (x.reshape(*x.shape[:2], heads, -1).swapaxes(1, 2) for x in (q, k, v))
    scores = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1]) + added
    probs = oracle_ops.softmax_np(np.where(forbidden, -np.inf, scores))
    context = (probs @ v).swapaxes(1, 2).reshape(*query.shape[:2], -1)
    return context @ a["out_proj.weight"].T + a.get("out_proj.bias", 0.0), probs


def part(a, prefix):
    return {name[len(prefix):]: x for name, x in a.items() if name.startswith(prefix)}


def block(params, weights, x, attention):
    """The residual steps of an encoder or decoder layer; `attention` lists (norm, function of the normalised x)."""
    def norm(name, value):
        return oracle_ops.layer_norm_np({"norm_eps": params["norm_eps"]}, {"x": value, **part(weights, name + ".")})["out"]

    def feed_forward(value):
        hidden = value @ weights["linear1.weight"].T + weights.get("linear1.bias", 0.0)
        hidden = np.maximum(hidden, 0.0) if params["activation"] == "relu" else oracle_ops.gelu_np(hidden)
        return hidden @ weights["linear2.weight"].T + weights.get("linear2.bias", 0.0)

    for name, step in [*attention, (f"norm{len(attention) + 1}", feed_forward)]:
        x = x + step(norm(name, x)) if params["norm_first"] else norm(name, x + step(x))
    return x


def attend(params, weights, query, key=None, mask=None, padding=None):
    a = {"query": query, **weights}
    for name, value in (("key", key), ("attn_mask", mask), ("key_padding_mask", padding)):
        if value is not None:
            a[name] = value
    return multihead_attention(params, a)[0]


def encoder_layer(params, a):
    x = a["src"]
    for n in range(params.get("num_layers", 1)):
        weights = part(a, f"layers.{n}.") if "num_layers" in params else a
        own = part(weights, "self_attn.")
        x = block(params, weights, x, [("norm1", lambda y, own=own: attend(
            params, own, y, mask=a.get("src_mask"), padding=a.get("src_key_padding_mask")))])
    if "num_layers" in params and "norm.weight" in a:
        x = oracle_ops.layer_norm_np({"norm_eps": params["norm_eps"]}, {"x": x, **part(a, "norm.")})["out"]
    return x


def decoder_layer(params, a):
    own, cross = part(a, "self_attn."), part(a, "multihead_attn.")
    return block(params, a, a["tgt"], [
        ("norm1", lambda y: attend(params, own, y, mask=a.get("tgt_mask"), padding=a.get("tgt_key_padding_mask"))),
        ("norm2", lambda y: attend(params, cross, y, a["memory"], a.get("memory_mask"), a.get("memory_key_padding_mask")))])


def evaluate(op, params, inputs):
    a = oracle_ops.wide(inputs)
    if op == "attention":
        return oracle_attention.attention_f64(params, a)
    if op == "multihead_attention":
        out, probs = multihead_attention(params, a)
        return {"out": out, "probs": probs}
    if op in ("encoder_layer", "decoder_layer"):
        return {"out": (encoder_layer if op == "encoder_layer" else decoder_layer)(params, a)}
    return oracle_ops.numpy_f64(op, params, inputs)


# ---- reading the two folders --------------------------------------------------------------------------------------

RENAME = {"q": "query", "k": "key", "v": "value", "pad": "key_padding_mask", "attn_mask": "attn_mask", "src": "src",
          "key_padding_mask": "key_padding_mask"}
ENCODER = {"src": "src", "mask": "src_mask", "pad": "src_key_padding_mask"}
DECODER = {"tgt": "tgt", "memory": "memory", "tmask": "tgt_mask", "mpad": "memory_key_padding_mask"}


class Unsupported(Exception):
    """The file asks for something a suite cannot say; it is left out by name."""


def renamed(arrays, names):
    out = {}
    for name, x in arrays.items():
        if name.startswith("in_"):
            if name[3:] not in names:
                raise Unsupported(f"input {name[3:]}")
            out[names[name[3:]]] = x
        elif name.startswith("w_"):
            out[name[2:]] = x
    return out


def first_that_fits(op, inputs, expected, choices):
    """The parameters with which the own evaluation gives the stored outputs."""
    best = (np.inf, None, None)
    for params in choices:
        try:
            own = evaluate(op, params, inputs)
        except ValueError:
            # A number of heads that does not divide the width.
            continue
        gap = distance({n: own[n] for n in expected}, expected)
        if gap < best[0]:
            best = gap, params, own
        if gap <= SAME:
            break
    if best[0] > ROUNDED_INPUTS:
        raise Unsupported("no options reproduce the stored outputs")
    return best[1:]


def head_counts(width):
    # Four first: with several counts that fit (there should be none) the first wins.
    return sorted((n for n in range(1, width + 1) if width % n == 0), key=lambda n: (n != 4, n))


def module_case(name, arrays):
    weights = {k[2:] for k in arrays if k.startswith("w_")}
    expected = {"out": arrays["out64_y"]}
    if "out64_attn" in arrays:
        expected["probs"] = arrays["out64_attn"]
    if {"in_proj_weight", "q_proj_weight"} & weights:
        inputs = renamed(arrays, RENAME)
        op, choices = "multihead_attention", [{"num_heads": n} for n in head_counts(inputs["query"].shape[-1])]
    elif any(w.startswith("multihead_attn.") for w in weights) or any("self_attn." in w for w in weights):
        op = "decoder_layer" if any(w.startswith("multihead_attn.") for w in weights) else "encoder_layer"
        inputs = renamed(arrays, DECODER if op == "decoder_layer" else ENCODER)
        layers = {int(w.split(".")[1]) for w in weights if w.startswith("layers.")}
        count = {"num_layers": len(layers)} if layers else {}
        width = inputs["tgt" if op == "decoder_layer" else "src"].shape[-1]
        choices = [{"num_heads": n, "norm_first": first, "activation": act, "norm_eps": 1e-5, **count}
                   for n, first, act in itertools.product(head_counts(width), (False, True), ("relu", "gelu"))]
    elif weights <= {"weight", "bias"} and "in_x" in arrays:
        inputs = renamed(arrays, {"x": "x"})
        if inputs["weight"].shape != inputs["x"].shape[-1:]:
            raise Unsupported("a norm over other axes than the last")
        # torch.nn.RMSNorm without eps takes that of the dtype.
        eps = (1e-5, 1e-6, 1e-8, 1e-12, float(np.finfo(np.float64).eps), float(np.finfo(np.float32).eps))
        op = "layer_norm" if "bias" in weights else "rms_norm"
        choices = [{"norm_eps": e} for e in eps]
    else:
        raise Unsupported("module")
    params, own = first_that_fits(op, inputs, expected, choices)
    baseline = {"f32": float(np.max(np.abs(arrays["out32_y"].astype(np.float64) - expected["out"])))} \
        if "out32_y" in arrays else {}
    return op, params, inputs, expected, own, baseline


def sdpa_case(entry, arrays):
    options = entry.get("opts", {})
    inputs = {"q": arrays["q"], "k": arrays["k"], "v": arrays["v"]}
    if "mask" in arrays:
        inputs["attn_mask"] = arrays["mask"]
    params = {}
    # is_causal of scaled_dot_product_attention starts at the top left corner.
    if options.get("causal"):
        params["causal"] = "top_left"
    if options.get("scale") is not None:
        params["scale"] = options["scale"]
    expected = {"out": arrays["out_f64"]}
    params, own = first_that_fits("attention", inputs, expected, [params])
    baseline = {}
    for label in ("f32", "bf16", "f16"):
        if f"out_{label}_math" in arrays:
            out = arrays[f"out_{label}_math"]
            out = bf16_values(out) if out.dtype == np.uint16 else out
            error = float(np.max(np.abs(out.astype(np.float64) - expected["out"])))
            if np.isfinite(error):
                baseline[label] = error
    return "attention", params, inputs, expected, own, baseline


def activation_cases(arrays):
    for name, op, params in (("gelu_erf", "gelu", {"approximate": "none"}), ("gelu_tanh", "gelu", {"approximate": "tanh"}),
                             ("quick_gelu", "gelu", {"approximate": "quick"}), ("silu", "silu", {}), ("relu", "relu", {})):
        if f"{name}_f64" not in arrays:
            continue
        inputs, expected = {"x": arrays["x"]}, {"out": arrays[f"{name}_f64"]}
        baseline = {}
        if f"{name}_f32" in arrays:
            baseline["f32"] = float(np.max(np.abs(arrays[f"{name}_f32"].astype(np.float64) - expected["out"])))
        yield f"activation_{name}", (op, params, inputs, expected, evaluate(op, params, inputs), baseline)


def catches_of(op, name, params, inputs, out):
    if op == "attention":
        found = []
        for fault in FAULTS:
            try:
                wrong = faulty(fault, params, inputs)
            except (KeyError, ValueError):
                continue
            if wrong is not None and (wrong.shape != out.shape or shown(wrong, out) > 1e-3):
                found.append(fault)
        return found
    if op == "multihead_attention":
        found = ["scale-missing", "qkv-split-order-layout", "output-projection-missing", "merge-without-transpose"]
        found += ["qkv-bias-dropped"] if "in_proj_bias" in inputs else []
        found += ["mask-polarity-inverted"] if "attn_mask" in inputs and inputs["attn_mask"].dtype == bool else []
        return found
    if op in ("encoder_layer", "decoder_layer"):
        found = ["residual-from-normalised-x", "residual-wrong-source-missing", "wrong-norm-instance",
                 "output-projection-missing"]
        found += ["gelu-tanh-vs-erf"] if params["activation"] == "gelu" else []
        found += ["final-norm-missing-extra"] if "num_layers" in params else []
        found += ["mask-polarity-inverted"] if {"src_mask", "tgt_mask"} & set(inputs) else []
        found += ["pad-mask-dropped"] if {"src_key_padding_mask", "memory_key_padding_mask"} & set(inputs) else []
        return found
    return {"layer_norm": ["unbiased-variance", "norm-weight-missing"],
            "rms_norm": ["norm-weight-missing", "rmsnorm-computed-as-layernorm"],
            "gelu": ["gelu-tanh-vs-erf", "gelu-formula-error", "silu-gelu"], "silu": ["silu-gelu"], "relu": ["silu-gelu"]}[op]


def cases(source):
    """(case id, seed, result or reason) for each file of a folder."""
    index = json.loads((source / "index.json").read_text(encoding="utf-8"))
    seen = set()
    for entry in index:
        seen.add(entry["name"])
        with np.load(source / f"{entry['name']}.npz", allow_pickle=False) as stored:
            arrays = dict(stored)
        try:
            yield (f"sdpa_{entry['name']}" if "q" in arrays else entry["name"], entry.get("seed"),
                   sdpa_case(entry, arrays) if "q" in arrays else module_case(entry["name"], arrays))
        except Unsupported as reason:
            yield entry["name"], None, str(reason)
    if (source / "activations.npz").exists():
        with np.load(source / "activations.npz", allow_pickle=False) as stored:
            for name, result in activation_cases(dict(stored)):
                yield name, None, result


def main():
    arguments = [x for x in sys.argv[1:] if not x.startswith("--")]
    options = [x for x in sys.argv[1:] if x.startswith("--")]
    if len(arguments) != 2 or len(options) > 1:
        raise SystemExit(__doc__)
    wanted = None
    if options == ["--bundled"]:
        wanted = set(BUNDLED)
    elif options:
        if not options[0].startswith("--only="):
            raise SystemExit(__doc__)
        wanted = set(options[0].removeprefix("--only=").split(","))
    source, target = pathlib.Path(arguments[0]), pathlib.Path(arguments[1])
    folders = [source] if (source / "index.json").exists() else [source / "torch_sdpa", source / "torch_modules"]
    suite = Suite(target, re.sub(r"[^a-z0-9_]+", "_", target.resolve().name.lower()), ABOUT, compress=True)
    left_out, remarks = [], []
    for folder in folders:
        for case_id, seed, result in cases(folder):
            case_id = re.sub(r"[^a-z0-9_]+", "_", case_id.lower())
            if isinstance(result, str):
                left_out.append(f"{case_id}: {result}")
                continue
            if wanted is not None and case_id not in wanted:
                continue
            op, params, inputs, expected, own, baseline = result
            own = {n: own[n] for n in expected}
            gap = distance(own, expected)
            tolerance = None
            if gap > SAME:
                remarks.append(f"{case_id}: {gap:.1e} from the own evaluation, stored inputs were rounded after use")
                tolerance = {"atol": ROUNDED_INPUTS, "rtol": 0.0}
            for label, error in torch_ops.baselines(op, params, inputs, expected).items():
                baseline[label] = max(error, torch_ops.upward(baseline.get(label, 0.0)))
            full = op == "attention" and not evaluate(op, params, inputs)["probs"].any(axis=-1).all()
            suite.add(case_id, op, params, inputs, expected, computed_by="PyTorch 2.15 f64, stored result",
                      attested_by=f"NumPy {np.__version__} f64, tools/suite_from_torch.py", distance=gap, seed=seed,
                      tolerance=tolerance, baseline=baseline, catches=catches_of(op, case_id, params, inputs, expected["out"]),
                      flags=["fully_masked_rows"] if full else [])
    if wanted is not None and wanted - suite.ids:
        raise SystemExit(f"no such case: {', '.join(sorted(wanted - suite.ids))}")
    suite.close()
    for title, rows in (("left out", left_out), ("remarks", remarks)):
        print(f"{title}: {len(rows)}")
        for row in rows:
            print(f"  {row}")


if __name__ == "__main__":
    main()
