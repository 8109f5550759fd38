"""True f64 evaluation of Hugging Face checkpoints through PyTorch and transformers.

`model.double()` is not f64: RMSNorm, softmax, rotary embeddings and a few buffers ask for float32 by name. Here the
model is built and run under a mode that turns every request for float32 into float64, and that refuses any result of
a narrower floating dtype, so that no such island can stay unnoticed.

    out = evaluate_f64("checkpoint/", ids, attention_mask, position_ids)     # sites, as oracle_models_numpy
    logits = decode_f64("checkpoint/", ids, [10, 1, 1], ...)                 # through transformers' own cache
    logits = evaluate_dtype("checkpoint/", ids, torch.bfloat16, "eager", ...)

Run as a program it prints how far it and NumPy are apart on checkpoints:

    python oracle_models_torch.py CHECKPOINT...
"""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import pathlib
import sys
import warnings

import numpy as np
import torch
import transformers
from torch.overrides import TorchFunctionMode

# One thread: the order of sums, and so the last bits, must not depend on the machine's core count.
torch.set_num_threads(1)
torch.set_grad_enabled(False)
warnings.filterwarnings("ignore")
transformers.utils.logging.disable_progress_bar()

NARROW = {torch.float32, torch.float16, torch.bfloat16}
VERSION = f"PyTorch {torch.__version__.split('+')[0]}, transformers {transformers.__version__}"


def _widen(value):
    return torch.float64 if isinstance(value, torch.dtype) and value in NARROW else value


class OnlyF64(TorchFunctionMode):
    """Every float dtype asked for becomes float64; every float result has to be float64."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in (torch.Tensor.float, torch.Tensor.half, torch.Tensor.bfloat16):
            func = torch.Tensor.double
        args = tuple(_widen(a) for a in args)
        kwargs = {k: _widen(v) for k, v in (kwargs or {}).items()}
        result = func(*args, **kwargs)
        for tensor in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(tensor, torch.Tensor) and tensor.dtype in NARROW:
                raise AssertionError(f"{func} gave {tensor.dtype}")
        return result


class _F64:
    """OnlyF64 together with float64 as the default dtype."""

    def __enter__(self):
        self.before = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        self.mode = OnlyF64()
        self.mode.__enter__()

    def __exit__(self, *error):
        self.mode.__exit__(*error)
        torch.set_default_dtype(self.before)


def stored_tensors(folder):
    """name → tensor of all shards, in the stored dtype."""
    from safetensors.torch import load_file
    tensors = {}
    for path in sorted(pathlib.Path(folder).glob("*.safetensors")):
        tensors.update(load_file(path))
    return tensors


def load_f64(folder):
    """The model in f64. Built from its config, not converted: the buffers are computed in f64 too."""
    config = transformers.AutoConfig.from_pretrained(folder)
    config.dtype = torch.float64
    # GPT-NeoX keeps its head on disk under an older name.
    tensors = {k.replace("embed_out.", "lm_head."): v.double() for k, v in stored_tensors(folder).items()}
    with _F64():
        model = transformers.AutoModelForCausalLM.from_config(
            config, dtype=torch.float64, attn_implementation="eager")
        missing, surplus = model.load_state_dict(tensors, strict=False)
        model.tie_weights()
    # What is missing may only be the second name of a tied tensor.
    tied = set(getattr(model, "_tied_weights_keys", None) or {}) if config.tie_word_embeddings else set()
    if set(missing) - tied or surplus:
        raise ValueError(f"{folder}: missing {missing}, surplus {surplus}")
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if tensor.dtype in NARROW:
            raise AssertionError(f"{folder}: {name} is {tensor.dtype}")
    return model.eval()


def _base(model):
    """(decoder layers, final norm) under whatever names the family gave them."""
    for inner in ("model", "transformer", "gpt_neox"):
        if hasattr(model, inner):
            base = getattr(model, inner)
            break
    layers = base.layers if hasattr(base, "layers") else base.h
    for name in ("norm", "final_layernorm", "final_layer_norm", "ln_f"):
        if hasattr(base, name):
            return layers, getattr(base, name)
    raise ValueError(f"no final norm in {type(base).__name__}")


def _inputs(model, ids, attention_mask, position_ids, span=None):
    """Keyword arguments of one call: tokens span[0]..span[1], everything before them being in the cache."""
    ids = torch.tensor(np.asarray(ids))
    begin, end = span or (0, ids.shape[1])
    mask = torch.ones_like(ids) if attention_mask is None else torch.tensor(np.asarray(attention_mask))
    # A mask of ones is handed over too: without one, transformers guesses packed documents from the positions.
    call = {"input_ids": ids[:, begin:end], "attention_mask": mask[:, :end]}
    # BLOOM derives its positions from the mask and takes none.
    if position_ids is not None and model.config.model_type != "bloom":
        call["position_ids"] = torch.tensor(np.asarray(position_ids))[:, begin:end]
    return call


def evaluate_f64(folder, ids, attention_mask=None, position_ids=None):
    """All sites of one whole pass in f64, as NumPy arrays. `embed` is what enters layer 0."""
    model = load_f64(folder)
    layers, norm = _base(model)
    sites = {}

    def keep(name):
        def hook(module, args, output):
            sites[name] = (output[0] if isinstance(output, tuple) else output).clone()
        return hook

    def enter(module, args, kwargs):
        sites["embed"] = (args[0] if args else kwargs["hidden_states"]).clone()

    layers[0].register_forward_pre_hook(enter, with_kwargs=True)
    for n, layer in enumerate(layers):
        layer.register_forward_hook(keep(f"layers.{n}.output"))
    norm.register_forward_hook(keep("final_norm"))
    with _F64():
        out = model(**_inputs(model, ids, attention_mask, position_ids), use_cache=False, output_attentions=True)
    sites["logits"] = out.logits
    for n, probs in enumerate(out.attentions or ()):
        if probs is not None:
            sites[f"layers.{n}.attn.probs"] = probs
    return {k: v.numpy() for k, v in sites.items()}


def decode_f64(folder, ids, steps, attention_mask=None, position_ids=None):
    """Logits of all calls joined, in f64, each call continuing on transformers' own cache."""
    model = load_f64(folder)
    begin, parts = 0, []
    with _F64():
        cache = transformers.DynamicCache(config=model.config)
        for length in steps:
            call = _inputs(model, ids, attention_mask, position_ids, (begin, begin + length))
            parts.append(model(**call, past_key_values=cache, use_cache=True).logits)
            begin += length
    return torch.cat(parts, dim=1).numpy()


def load_dtype(folder, dtype, implementation):
    """The model as a user loads it; None where it lacks this attention."""
    try:
        return transformers.AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype, attn_implementation=implementation).eval()
    except ValueError:
        return None


def depends_on_call_length(config):
    """Whether a prefix of a sequence is another question than the whole (dynamic and long rotary scaling)."""
    text = str(getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or "")
    return "dynamic" in text or "longrope" in text


def evaluations(model, ids, attention_mask=None, position_ids=None):
    """The same logits as PyTorch computes them whole, each row alone, and token by token on its cache: the same
    mathematics by other kernels, so that the worst of them measures rounding and not one draw of it."""
    yield model(**_inputs(model, ids, attention_mask, position_ids), use_cache=False).logits
    row = lambda array, b: None if array is None else np.asarray(array)[b:b + 1]
    rows = [model(**_inputs(model, ids[b:b + 1], row(attention_mask, b), row(position_ids, b)), use_cache=False).logits
            for b in range(len(ids))]
    yield torch.cat(rows, dim=0)
    if depends_on_call_length(model.config):
        return
    cache, parts = transformers.DynamicCache(config=model.config), []
    half = (ids.shape[1] + 1) // 2
    for begin, end in [(0, half), *((t, t + 1) for t in range(half, ids.shape[1]))]:
        call = _inputs(model, ids, attention_mask, position_ids, (begin, end))
        parts.append(model(**call, past_key_values=cache, use_cache=True).logits)
    yield torch.cat(parts, dim=1)


DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}


def baselines(folder, ids, expected, attention_mask=None, position_ids=None, where=None):
    """Largest error of PyTorch's own f32, bf16 and f16, the worst of its plain and its fused attention, of the batch,
    of its rows alone and of cached decoding."""
    worst = {}
    for name, dtype in DTYPES.items():
        for implementation in ("eager", "sdpa"):
            model = load_dtype(folder, dtype, implementation)
            if model is None:
                continue
            for logits in evaluations(model, ids, attention_mask, position_ids):
                error = np.abs(logits.double().numpy() - expected)
                error = float((error if where is None else error[np.asarray(where) != 0]).max())
                worst[name] = max(worst.get(name, 0.0), error)
    # A dtype that overflowed has no baseline.
    return {k: v for k, v in worst.items() if np.isfinite(v)}


if __name__ == "__main__":
    import oracle_models_numpy
    for folder in sys.argv[1:]:
        vocab = transformers.AutoConfig.from_pretrained(folder).vocab_size
        ids = np.random.default_rng(1).integers(0, vocab, (2, 19))
        one, two = evaluate_f64(folder, ids), oracle_models_numpy.evaluate(folder, ids)
        worst = max((float(np.abs(one[k] - two[k]).max()), k) for k in one)
        print(f"{folder}: {worst[0]:.2e} at {worst[1]}")
