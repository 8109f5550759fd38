"""Writes fixtures/model and fixtures/decode: tiny checkpoints of every family and what they have to answer.

    python tools/generate_models.py [model] [decode]

Weights come from NumPy's generator by fixed seeds, expected values from oracle_models_torch.py (PyTorch and
transformers in true f64), and oracle_models_numpy.py attests them. Two runs write the same bytes.

The weights are sharp on purpose: norm weights and biases are random, q and k are large, heads outnumber kv heads and
both outnumber one, sizes are no powers of two. With gentle weights most faults do not show. A case that says it catches
a fault must show it: faulty_models.py evaluates the fault on the case, and the run stops if it hides.
"""

import os

# One thread in NumPy too; before NumPy is loaded.
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import hashlib
import json
import math
import pathlib
import shutil
import sys

import numpy as np

import faulty_models
import oracle_models_numpy
import oracle_models_torch as oracle
import torch
import transformers
from npz_write import Suite

FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "fixtures"
COMPUTED_BY = f"{oracle.VERSION} in f64, tools/oracle_models_torch.py"
ATTESTED_BY = f"NumPy {np.__version__} f64, tools/oracle_models_numpy.py"
# The two oracles agree to about 2e-14 on logits near 20; anything near this limit is a fault in one of them.
# Positions beyond 4096 cost two digits: an angle of 5000 rad carries the rounding of its frequency 5000 times.
FARTHEST = 1e-12
FARTHEST_LONG = 1e-10
# A fault is seen if it moves a logit further than f32 rounding explains: twice the budget of goldref's f32 variant.
SEEN = 4


# ------------------------------------------------------------------------------------------------------ checkpoints

def weight(name, shape, rng, gains):
    """Random values for one parameter, by what its name says it is."""
    draw = rng.standard_normal(shape)
    if "norm" in name or ".ln_" in name:
        if name.endswith(".bias"):
            return 0.3 * draw
        return (0.0 if gains.get("one_plus_w") else 1.0) + gains.get("norm", 0.35) * draw
    if name.endswith(".bias"):
        return gains.get("bias", 0.3) * draw
    if "wpe" in name:
        return 0.6 * draw
    if any(part in name for part in ("embed", "wte")):
        return gains.get("embed", 1.0) * draw
    # Conv1D, GPT-2's linear layer, keeps [in, out].
    fan_in = shape[0] if any(part in name for part in ("c_attn", "c_proj", "c_fc")) else shape[1]
    kinds = {
        "qk": ("q_proj", "k_proj", "qkv", "query_key_value", "c_attn"),
        "out": ("o_proj", "dense.", "out_proj", "c_proj", "down_proj", "fc2", "fc_out", "4h_to_h"),
        "head": ("lm_head",),
    }
    default = {"qk": 1.6, "out": 0.9, "head": 2.0, "other": 1.2}
    kind = next((k for k, parts in kinds.items() if any(part in name for part in parts)), "other")
    return gains.get(kind, default[kind]) / math.sqrt(fan_in) * draw


def make_checkpoint(folder, config, seed, gains=None, dtype=torch.float32, shard=None, old_style=None):
    """Saves a random checkpoint and returns {path relative to the models' parent: sha256}.

    `old_style` edits config.json afterwards, to the keys that earlier versions wrote.
    """
    rng = np.random.default_rng(seed)
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    for name, parameter in model.named_parameters():
        value = weight(name, tuple(parameter.shape), rng, gains or {})
        parameter.data.copy_(torch.from_numpy(value.astype(np.float32)))
    if folder.exists():
        shutil.rmtree(folder)
    model.to(dtype).save_pretrained(folder, **({"max_shard_size": shard} if shard else {}))
    (folder / "generation_config.json").unlink(missing_ok=True)
    for path in folder.iterdir():
        path.chmod(0o644)
    path = folder / "config.json"
    values = json.loads(path.read_text())
    if old_style:
        old_style(values)
    path.write_text(json.dumps(values, indent=1, sort_keys=True) + "\n")
    return {f"models/{folder.name}/{f.name}": hashlib.sha256(f.read_bytes()).hexdigest()
            for f in sorted(folder.iterdir())}


def old_rope(values):
    """rope_theta and rope_scaling at the top level, with the key `type`, and torch_dtype."""
    rope = values.pop("rope_parameters")
    values["rope_theta"] = rope.pop("rope_theta")
    if rope["rope_type"] != "default":
        values["rope_scaling"] = {"type": rope.pop("rope_type"), **rope}
    else:
        values["rope_scaling"] = None
    values["torch_dtype"] = values.pop("dtype")


def old_neox(values):
    rope = values.pop("rope_parameters")
    values["rotary_emb_base"] = rope["rope_theta"]
    values["rotary_pct"] = rope["partial_rotary_factor"]
    values["torch_dtype"] = values.pop("dtype")


def rope(theta=10000.0, kind="default", **more):
    return {"rope_theta": theta, "rope_type": kind, **more}


def config(family, **values):
    cls = getattr(transformers, family + "Config")
    common = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": None}
    return cls(**{**common, **values})


def small(**values):
    """Keys that most families share."""
    base = {"vocab_size": 43, "hidden_size": 24, "intermediate_size": 36, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
            "rope_parameters": rope()}
    return {**base, **values}


# ----------------------------------------------------------------------------------------------------- model suite

MODEL_ABOUT = ("Whole passes of tiny checkpoints of every family: logits, the residual stream entering layer 0 "
               "(embed) and leaving each layer, and the final norm")

GEMMA = {"one_plus_w": True, "embed": 0.7}

# name, configuration, keywords of make_checkpoint, faults it is there to catch
MODELS = [
    ("gpt2", lambda: config("GPT2", vocab_size=43, n_positions=32, n_embd=36, n_layer=2, n_head=6, n_inner=42),
     {}, ["scale-missing", "weight-transposed", "qkv-split-order-layout", "learned-position-offset",
          "unbiased-variance", "wrong-norm-instance", "gelu-formula-error"]),
    ("gpt2_scale_by_layer", lambda: config(
        "GPT2", vocab_size=37, n_positions=32, n_embd=24, n_layer=3, n_head=3, n_inner=40,
        scale_attn_by_inverse_layer_idx=True, activation_function="gelu"),
     {}, ["scale-missing", "scale-d_model", "gelu-tanh-vs-erf"]),
    ("llama_mha", lambda: config("Llama", **small(
        hidden_size=30, num_attention_heads=5, num_key_value_heads=5, intermediate_size=44)),
     {}, ["rope-pairing", "rope-exponent", "rope-on-v", "rope-not-applied-to-k", "rope-position-k-off-by-one",
          "fused-rope-q-k-halves-crossed", "same-projection-for-all-heads", "view-without-transpose",
          "swiglu-gate-up-swapped", "residual-wrong-source-missing", "residual-from-normalised-x",
          "final-norm-missing-extra"]),
    ("llama_gqa_biased", lambda: config("Llama", **small(
        hidden_size=30, num_attention_heads=6, head_dim=10, intermediate_size=42, attention_bias=True, mlp_bias=True,
        rms_norm_eps=1e-5, rope_parameters=rope(500000.0))),
     {}, ["gqa-tile-vs-repeat", "gqa-all-use-head-0", "scale-wrong-head_dim-source", "qkv-bias-dropped",
          "rope-theta-wrong", "softmax-wrong-axis-query", "mask-none"]),
    ("llama_tied_bf16", lambda: config("Llama", **small(
        num_key_value_heads=1, head_dim=8, tie_word_embeddings=True)),
     {"dtype": torch.bfloat16}, ["tied-untied-head-confusion", "norm-weight-missing"]),
    ("llama_linear_rope", lambda: config("Llama", **small(rope_parameters=rope(kind="linear", factor=3.0))),
     {"old_style": old_rope}, ["rope-scaling-ignored"]),
    ("llama3_rope", lambda: config("Llama", **small(
        head_dim=12, max_position_embeddings=256, rope_parameters=rope(
            1000.0, "llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
            original_max_position_embeddings=64))),
     {}, ["rope-scaling-ignored"]),
    ("llama_yarn", lambda: config("Llama", **small(
        head_dim=12, max_position_embeddings=128, rope_parameters=rope(
            kind="yarn", factor=4.0, original_max_position_embeddings=32, beta_fast=8.0))),
     {}, ["yarn-mscale-missing-or-doubled", "rope-scaling-ignored"]),
    ("llama_yarn_mscale", lambda: config("Llama", **small(
        head_dim=12, max_position_embeddings=128, rope_parameters=rope(
            kind="yarn", factor=4.0, original_max_position_embeddings=32, mscale=1.3, mscale_all_dim=0.7,
            truncate=False, beta_fast=6, beta_slow=0.5))),
     {"old_style": old_rope}, ["yarn-mscale-missing-or-doubled"]),
    ("llama_dynamic_rope", lambda: config("Llama", **small(
        max_position_embeddings=7, rope_parameters=rope(kind="dynamic", factor=2.5))),
     {}, ["rope-scaling-ignored"]),
    ("llama_sharded", lambda: config("Llama", **small(num_attention_heads=6, num_key_value_heads=3)),
     {"shard": "20KB"}, ["gqa-tile-vs-repeat", "same-projection-for-all-heads"]),
    ("mistral_window", lambda: config("Mistral", **small(
        hidden_size=30, num_attention_heads=6, head_dim=8, intermediate_size=44, sliding_window=5)),
     {"old_style": old_rope}, ["window-+1", "window-ignored"]),
    ("qwen2_window_odd_layers", lambda: config("Qwen2", **small(
        hidden_size=36, num_attention_heads=6, use_sliding_window=True, sliding_window=4, max_window_layers=0,
        layer_types=["full_attention", "sliding_attention"], rope_parameters=rope(1e6))),
     {}, ["qkv-bias-dropped", "window-on-wrong-layers", "window-+1"]),
    ("qwen3", lambda: config("Qwen3", **small(
        hidden_size=30, num_attention_heads=6, head_dim=8, intermediate_size=44, rope_parameters=rope(1e6))),
     {}, ["qk-norm-order", "scale-wrong-head_dim-source"]),
    ("gemma", lambda: config("Gemma", **small(num_key_value_heads=1, head_dim=10, rms_norm_eps=1e-6)),
     {"gains": GEMMA}, ["norm-weight-missing", "embedding-scale-missing", "embedding-scale-rounding",
                        "silu-gelu"]),
    ("gemma2", lambda: config("Gemma2", **small(
        hidden_size=30, num_attention_heads=6, head_dim=8, num_hidden_layers=3, query_pre_attn_scalar=5,
        attn_logit_softcapping=4.0, final_logit_softcapping=6.0, sliding_window=4)),
     {"gains": GEMMA}, ["softcap-dropped", "softcap-after-mask", "final-logit-softcap-dropped",
                        "window-on-wrong-layers", "scale-wrong-head_dim-source"]),
    ("gemma3_text", lambda: config("Gemma3Text", **small(
        num_hidden_layers=4, head_dim=8, intermediate_size=36, query_pre_attn_scalar=11, sliding_window=4,
        layer_types=["sliding_attention", "sliding_attention", "full_attention", "sliding_attention"],
        rope_parameters={"full_attention": rope(1e6, "linear", factor=8.0), "sliding_attention": rope(1e4)})),
     {"gains": GEMMA}, ["qk-norm-order", "window-on-wrong-layers", "rope-theta-wrong", "rope-scaling-ignored"]),
    ("phi_partial_rope", lambda: config("Phi", **small(
        hidden_size=36, num_attention_heads=3, num_key_value_heads=3, intermediate_size=44,
        rope_parameters=rope(partial_rotary_factor=0.5))),
     {}, ["partial-rotary-dim", "residual-wrong-source-missing", "gelu-tanh-vs-erf"]),
    ("phi_qk_layernorm", lambda: config("Phi", **small(
        hidden_size=40, num_attention_heads=4, intermediate_size=38, qk_layernorm=True,
        rope_parameters=rope(partial_rotary_factor=0.4))),
     {}, ["qk-norm-order", "partial-rotary-dim", "unbiased-variance"]),
    ("phi3", lambda: config("Phi3", **small(hidden_size=36, num_attention_heads=6, intermediate_size=42)),
     {}, ["qkv-split-order-layout", "swiglu-gate-up-swapped"]),
    ("phi3_longrope_window", lambda: config("Phi3", **small(
        num_attention_heads=2, num_key_value_heads=1, sliding_window=6, original_max_position_embeddings=8,
        rope_parameters=rope(kind="longrope", short_factor=[1.0, 1.1, 1.3, 1.6, 2.0, 2.5],
                             long_factor=[1.2, 1.9, 3.1, 5.0, 7.7, 8.0],
                             original_max_position_embeddings=8))),
     {}, ["rope-scaling-ignored", "window-ignored"]),
    ("gpt_neox_parallel", lambda: config(
        "GPTNeoX", vocab_size=43, hidden_size=36, intermediate_size=44, num_hidden_layers=2, num_attention_heads=3,
        max_position_embeddings=64, rope_parameters=rope(partial_rotary_factor=0.5)),
     {"old_style": old_neox}, ["qkv-split-order-layout", "partial-rotary-dim", "wrong-norm-instance"]),
    ("gpt_neox_sequential_f16", lambda: config(
        "GPTNeoX", vocab_size=37, hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=64, use_parallel_residual=False, attention_bias=False,
        rope_parameters=rope(5000.0, partial_rotary_factor=0.35)),
     {"dtype": torch.float16}, ["residual-wrong-source-missing", "partial-rotary-dim"]),
    ("gptj", lambda: config(
        "GPTJ", vocab_size=43, n_positions=32, n_embd=36, n_layer=2, n_head=3, rotary_dim=8, n_inner=44),
     {}, ["rope-pairing", "rope-mixed-conventions", "partial-rotary-dim"]),
    ("olmo2", lambda: config("Olmo2", **small(
        hidden_size=36, num_attention_heads=6, intermediate_size=44, rope_parameters=rope(500000.0))),
     {}, ["qk-norm-order"]),
    ("cohere", lambda: config("Cohere", **small(logit_scale=0.3)),
     {}, ["rope-pairing", "residual-wrong-source-missing"]),
    ("cohere_qk_norm", lambda: config("Cohere", **small(
        hidden_size=36, num_attention_heads=6, use_qk_norm=True, logit_scale=0.4, attention_bias=True)),
     {}, ["qk-norm-order", "rope-mixed-conventions"]),
    ("glm", lambda: config("Glm", **small(
        hidden_size=30, num_attention_heads=6, head_dim=12, intermediate_size=36,
        rope_parameters=rope(partial_rotary_factor=0.5))),
     {}, ["rope-pairing", "partial-rotary-dim", "qkv-bias-dropped"]),
    ("granite", lambda: config("Granite", **small(
        hidden_size=36, num_attention_heads=6, num_key_value_heads=3, embedding_multiplier=3.7,
        residual_multiplier=0.31, attention_multiplier=0.55, logits_scaling=1.9)),
     {}, ["scale-wrong-head_dim-source", "embedding-scale-missing", "residual-wrong-source-missing"]),
    ("bloom", lambda: config("Bloom", vocab_size=43, hidden_size=24, n_layer=2, n_head=4),
     {}, ["alibi-slopes", "qkv-split-order-layout"]),
    ("bloom_six_heads", lambda: config("Bloom", vocab_size=37, hidden_size=24, n_layer=2, n_head=6),
     {}, ["alibi-slopes"]),
]
# Two cases also hold the attention probabilities; in all they would cost too much room.
WITH_PROBS = {"llama_gqa_biased", "gemma2"}


def judge(suite, case_id, params, inputs, expected, checksums, requests, **about):
    """Adds a case and names the files of its model."""
    folder = suite.folder / params["model"]
    logits = [expected[name] for name in sorted(expected) if name.split(".")[0] == "logits"]
    through_cache = faulty_models.moved(folder, None, requests, logits)
    assert through_cache < FARTHEST_LONG, (case_id, through_cache)
    for fault in about["catches"]:
        moved = faulty_models.moved(folder, fault, requests, logits)
        assert moved is not None and moved > SEEN * about["baseline"]["f32"], (case_id, fault, moved)
    suite.add(case_id, "model", params, inputs, expected,
              computed_by=COMPUTED_BY, attested_by=ATTESTED_BY, **about)
    suite.cases[-1]["sha256"].update(checksums)


def generate_model():
    suite = Suite(FIXTURES / "model", "model", MODEL_ABOUT)
    for number, (name, make, keywords, catches) in enumerate(MODELS):
        seed = 9100 + number
        folder = suite.folder / "models" / name
        configuration = make()
        checksums = make_checkpoint(folder, configuration, seed, **keywords)
        ids = np.random.default_rng(seed + 500).integers(0, configuration.vocab_size, (2, 10))
        ours = oracle.evaluate_f64(folder, ids)
        other = oracle_models_numpy.evaluate(folder, ids)
        keep = sorted(k for k in ours if "probs" not in k or name in WITH_PROBS)
        distance = max(float(np.abs(ours[k] - other[k]).max()) for k in keep)
        assert distance < FARTHEST, (name, distance)
        judge(suite, name, {"model": f"models/{name}"}, {"input_ids": ids}, {k: ours[k] for k in keep}, checksums,
              [faulty_models.Request(ids)], distance=distance, seed=seed, catches=catches, baseline=oracle.baselines(folder, ids, ours["logits"]))
        print(f"{name:26s} distance {distance:.1e}  |logits| {np.abs(ours['logits']).max():6.1f}  "
              f"{suite.cases[-1]['baseline']}", flush=True)
    drop_old_models(suite, {m[0] for m in MODELS})
    suite.close()


def drop_old_models(suite, names):
    for folder in (suite.folder / "models").iterdir():
        if folder.name not in names:
            shutil.rmtree(folder)


# ---------------------------------------------------------------------------------------------------- decode suite

DECODE_ABOUT = ("Prefill, chunks, single tokens, padding and several requests; expected logits are those of the whole "
                "pass in f64, which is mathematically the same as any schedule through a cache; rows of padding are "
                "stored as 0 and not compared")

DECODE_MODELS = {
    "gpt2": (lambda: config("GPT2", vocab_size=43, n_positions=32, n_embd=30, n_layer=2, n_head=5, n_inner=44), {}),
    "llama": (lambda: config("Llama", **small(
        hidden_size=36, num_attention_heads=6, head_dim=10, intermediate_size=44, attention_bias=True,
        max_position_embeddings=8192, rms_norm_eps=1e-5)), {"gains": {"qk": 2.2}}),
    "llama_sharp": (lambda: config("Llama", **small(
        num_attention_heads=6, num_key_value_heads=2, head_dim=12)), {"gains": {"qk": 7.0}}),
    # Everything the layers add is as small as the embeddings, so each norm sees a mean square near its eps.
    "llama_tiny": (lambda: config("Llama", **small(rms_norm_eps=1e-5)),
                   {"gains": {"embed": 0.003, "out": 0.002}}),
    "mistral": (lambda: config("Mistral", **small(
        hidden_size=30, num_attention_heads=6, intermediate_size=44, head_dim=8, sliding_window=5)), {}),
    "qwen3": (lambda: config("Qwen3", **small(
        hidden_size=30, num_attention_heads=6, head_dim=8, num_hidden_layers=4, intermediate_size=32,
        attention_bias=True, use_sliding_window=True, sliding_window=5,
        layer_types=["full_attention", "sliding_attention"] * 2)), {}),
    "gemma2": (lambda: config("Gemma2", **small(
        num_attention_heads=6, head_dim=8, num_hidden_layers=3, query_pre_attn_scalar=5,
        attn_logit_softcapping=4.0, final_logit_softcapping=6.0, sliding_window=4, hidden_activation="gelu")),
               {"gains": GEMMA}),
    "bloom": (lambda: config("Bloom", vocab_size=43, hidden_size=24, n_layer=2, n_head=6), {}),
}


def padded(lengths, prompt, decode, side):
    """(attention_mask, position_ids) of a batch whose prompts are padded to one length and then decoded on."""
    mask = np.zeros((len(lengths), prompt + decode), np.int64)
    for row, length in enumerate(lengths):
        mask[row, prompt - length:prompt] = 1 if side == "left" else 0
        if side == "right":
            mask[row, :length] = 1
    mask[:, prompt:] = 1
    return mask, np.maximum(mask.cumsum(1) - 1, 0)


def restarted(*lengths):
    """Positions of documents packed one after the other."""
    return np.concatenate([np.arange(n) for n in lengths])[None]


# id, model, batch, steps (a list of lists for several requests), (mask, positions), flags, faults
PAD = ["pad-mask-dropped", "pad-mask-dropped-in-decode-only", "mask-of-batch-row-0", "padding-side-wrong",
       "batch-leak"]
DECODE = [
    ("single_tokens", "llama", 1, [10] + [1] * 6, None, [],
     ["mask-top-left", "positions-restart-at-0-in-decode", "decode-offset-by-one", "cache-not-updated",
      "cache-slot-overwritten", "v-cache-stale", "layer-index-ignored", "cache-pre-rope-keys", "cache-dtype-truncated",
      "rope-not-applied-to-k"]),
    ("token_by_token", "llama", 2, [1] * 9, None, [],
     ["positions-restart-at-0-in-decode", "rope-applied-twice-to-cached-k", "batch-leak", "gqa-tile-vs-repeat",
      "rope-only-rotates-first-head-at-t-1", "paged-block-table"]),
    ("one_token", "llama", 3, [1], None, [],
     ["gqa-tile-vs-repeat", "gqa-all-use-head-0"]),
    ("two_requests", "llama", 2, [[8, 1, 1, 1], [3, 1, 1]], None, ["two_requests"],
     ["stale-cache-across-requests"]),
    ("chunks_window_odd_layers_two_requests", "qwen3", 2, [[7, 5, 3, 1], [6, 2, 4, 1]], None,
     ["window", "two_requests"],
     ["mask-skipped-when-cache-present", "mask-skipped-on-later-chunks", "window-+1", "window-ignored",
      "window-on-wrong-layers", "new-k-prepended", "stale-cache-across-requests", "qk-norm-order"]),
    ("window_wraps", "mistral", 2, [4] + [1] * 9, None, ["window"],
     ["window-+1", "window-ignored", "eviction-desync"]),
    ("prefill_longer_than_window", "mistral", 1, [3, 9, 1, 2, 1], None, ["window"],
     ["ring-long-prefill-breaks-causality", "ring-buffer-order", "mask-skipped-on-later-chunks"]),
    ("softcaps_alternate_windows", "gemma2", 2, [6, 4, 1, 1, 1], None, ["window"],
     ["softcap-dropped", "softcap-after-mask", "final-logit-softcap-dropped", "window-on-wrong-layers",
      "gelu-tanh-vs-erf", "embedding-scale-rounding"]),
    ("learned_positions", "gpt2", 2, [7, 3, 1, 1, 1], None, [],
     ["positions-restart-at-0-in-decode", "decode-offset-by-one", "learned-position-offset"]),
    ("alibi_six_heads", "bloom", 2, [6, 3, 1, 1, 1], None, [], ["alibi-slopes", "mask-top-left"]),
    ("left_padded", "llama", 3, [10, 1, 1, 1, 1], padded((8, 10, 4), 10, 4, "left"), ["padding"],
     PAD + ["fully-masked-row-nan"]),
    ("left_padded_learned_positions", "gpt2", 3, [10, 1, 1, 1, 1], padded((7, 4, 10), 10, 4, "left"), ["padding"],
     PAD + ["left-pad-ignored-in-positions"]),
    ("left_padded_alibi", "bloom", 3, [9, 1, 1, 1], padded((7, 9, 4), 9, 3, "left"), ["padding"],
     PAD + ["fully-masked-row-nan"]),
    ("left_padded_window", "mistral", 3, [10, 1, 1, 1, 1], padded((8, 3, 10), 10, 4, "left"),
     ["padding", "window"], PAD + ["window-+1"]),
    ("right_padded", "llama", 3, [10, 1, 1, 1], padded((7, 10, 4), 10, 3, "right"), ["padding"],
     ["pad-mask-dropped", "padding-side-wrong", "rope-ignores-position_ids"]),
    ("positions_from_5003", "llama", 1, [9, 4, 1, 1, 1], (None, 5003 + np.arange(16)[None]), ["long_positions"],
     ["rope-positions-in-bf16", "rope-inv_freq-in-bf16", "rope-theta-wrong", "rope-cos-sin-in-bf16"]),
    ("positions_restart", "llama", 1, [12, 1, 1], (None, restarted(5, 9)), [],
     ["rope-ignores-position_ids", "rope-cache-keyed-without-offset"]),
    ("scores_above_88", "llama_sharp", 2, [8, 3, 1, 1], None, ["large_scores"],
     ["softmax-no-max-shift", "mask-finite-small", "scores-softmax-in-bf16"]),
    ("tiny_activations", "llama_tiny", 2, [8, 2, 1, 1], None, ["tiny_activations"],
     ["eps-outside-sqrt", "eps-wrong-value", "norm-in-place-corrupts-residual"]),
    ("whole_passes_one_after_the_other", "gpt2", 2, [[6], [5]], None, ["two_requests"],
     ["no-cache-path-wrong", "stale-cache-across-requests", "attention-dropout-active-in-eval"]),
]


def largest_score(folder, ids):
    """Largest |score| after the scale, to hold the promise of the case's name."""
    model = oracle_models_numpy.Model(*oracle_models_numpy.read_checkpoint(folder))
    return max(float(np.abs(v).max()) for k, v in model.forward(ids).items() if k.endswith("attn.scores"))


def generate_decode():
    suite = Suite(FIXTURES / "decode", "decode", DECODE_ABOUT)
    checksums = {}
    vocab = {}
    for number, (name, (make, keywords)) in enumerate(DECODE_MODELS.items()):
        configuration = make()
        vocab[name] = configuration.vocab_size
        checksums[name] = make_checkpoint(suite.folder / "models" / name, configuration, 9600 + number, **keywords)
    for number, (case_id, name, batch, steps, layout, flags, catches) in enumerate(DECODE):
        seed = 9700 + number
        rng = np.random.default_rng(seed)
        folder = suite.folder / "models" / name
        several = isinstance(steps[0], list)
        mask, positions = layout or (None, None)
        where = mask
        inputs, expected, requests, distance, through_cache, baseline = {}, {}, [], 0.0, 0.0, {}
        for request, lengths in enumerate(steps if several else [steps]):
            suffix = f".{request}" if several else ""
            ids = rng.integers(0, vocab[name], (batch, sum(lengths)))
            real = np.ones_like(ids) if where is None else where
            whole = oracle.evaluate_f64(folder, ids, mask, positions)["logits"]
            whole = np.where((real != 0)[:, :, None], whole, 0.0)
            cached = oracle.decode_f64(folder, ids, lengths, mask, positions)
            other = oracle_models_numpy.evaluate(folder, ids, mask, positions)["logits"]
            distance = max(distance, float(np.abs(whole - other)[real != 0].max()))
            through_cache = max(through_cache, float(np.abs(whole - cached)[real != 0].max()))
            inputs["input_ids" + suffix] = ids
            if mask is not None:
                inputs["attention_mask" + suffix] = mask
            if positions is not None:
                inputs["position_ids" + suffix] = positions
            expected["logits" + suffix] = whole
            requests.append(faulty_models.Request(ids, mask, positions, lengths))
            for key, value in oracle.baselines(folder, ids, whole, mask, positions, where).items():
                baseline[key] = max(baseline.get(key, 0.0), value)
        limit = FARTHEST_LONG if "long_positions" in flags or "large_scores" in flags else FARTHEST
        assert max(distance, through_cache) < limit, (case_id, distance, through_cache)
        if "large_scores" in flags:
            assert largest_score(folder, inputs["input_ids"]) > 88
        judge(suite, case_id, {"model": f"models/{name}", "steps": steps}, inputs, expected, checksums[name], requests,
              distance=distance, seed=seed, catches=catches, flags=flags, baseline=baseline,
              compare_where="attention_mask" if mask is not None else None)
        print(f"{case_id:40s} distance {distance:.1e}  through a cache {through_cache:.1e}  "
              f"{suite.cases[-1]['baseline']}", flush=True)
    drop_old_models(suite, set(DECODE_MODELS))
    suite.close()


if __name__ == "__main__":
    chosen = sys.argv[1:] or ["model", "decode"]
    if "model" in chosen:
        generate_model()
    if "decode" in chosen:
        generate_decode()
