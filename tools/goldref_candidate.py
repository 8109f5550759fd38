"""Lets goldref ask a program of yours. Needs NumPy only; torch tensors and jax arrays are taken as results.

    from goldref_candidate import serve

    def attention(params, arrays):           # arrays: name -> NumPy array
        ...
        return {"out": out}                  # a bare array is "out"

    def generate(params, arrays, model):     # a third argument is the checkpoint folder
        ...
        return {"tokens": tokens}

    serve(attention=attention, generate=generate)

goldref starts the program once and writes one question a line to its standard input:

    {"protocol": 1, "id": "7", "op": "generate", "params": {}, "model": "/folder or null",
     "inputs": "/abs/inputs.npz", "outputs": "/abs/outputs.npz"}

The program writes its arrays to `outputs`, then one line to standard output. It ends when its standard input does.

    {"id": "7", "status": "ok"}    or "unsupported" or "error", both with a "message"

An operation without a function, and one that raises NotImplementedError, is unsupported. Anything else that is raised
is an error, with its traceback on standard error. Once `serve` runs, all that is printed, by C code and child processes
too, goes to standard error; print nothing before. `load_checkpoint(folder)` reads config.json and the weights.
"""

import collections.abc
import inspect
import json
import math
import os
import pathlib
import sys
import traceback
import zipfile

import numpy as np

PROTOCOL = 1
LONGEST_MESSAGE = 2000
# BF16 is not a type of NumPy and goes another way.
DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
          "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?"}


# ------------------------------------------------------------------------------------------------------ checkpoints

def load_checkpoint(folder):
    """(config.json as a dict, the weights by name); bf16 becomes f32, the other formats stay."""
    folder = pathlib.Path(folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    index = folder / "model.safetensors.index.json"
    if index.exists():
        paths = [folder / name for name in sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))]
    else:
        paths = sorted(folder.glob("*.safetensors"))
    if not paths:
        raise FileNotFoundError(f"{folder} has no *.safetensors")
    tensors = {}
    for path in paths:
        tensors.update(read_safetensors(path))
    return config, tensors


def read_safetensors(path):
    """The tensors of one file: eight bytes of header length, a JSON header, then raw little-endian numbers."""
    tensors = {}
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            kind, shape = entry["dtype"], entry["shape"]
            if kind != "BF16" and kind not in DTYPES:
                raise ValueError(f"{path}: {name} is stored as {kind}, which is not read here")
            file.seek(8 + length + entry["data_offsets"][0])
            flat = np.fromfile(file, "<u2" if kind == "BF16" else DTYPES[kind], math.prod(shape))
            if kind == "BF16":
                # bfloat16 is the upper half of a float32.
                flat = (flat.astype(np.uint32) << 16).view(np.float32)
            tensors[name] = flat.reshape(shape)
    return tensors


# ---------------------------------------------------------------------------------------------------------- answers

def as_array(name, value):
    """`value` as an array that goldref reads: booleans, integers, or floats of at most 64 bits."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        try:
            value = value.numpy()
        except TypeError:
            # torch has formats that NumPy lacks, bfloat16 among them.
            value = value.float().numpy()
    array = np.asarray(value)
    # 2: a type that a package registered with NumPy, as jax does with its bfloat16.
    if array.dtype.isbuiltin == 2:
        array = array.astype(np.float32)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} ({type(value).__name__}, {array.dtype}) is not an array of real numbers")
    if array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    return array.astype(array.dtype.newbyteorder("<"), copy=False)


def named_arrays(result):
    if isinstance(result, tuple):
        # NumPy would stack arrays of one shape.
        raise TypeError("the function returned a tuple; return a dict of arrays by name")
    if not isinstance(result, collections.abc.Mapping):
        result = {"out": result}
    if not result:
        raise ValueError("the function returned no arrays")
    return {str(name): as_array(name, value) for name, value in result.items()}


def write_arrays(path, arrays):
    """As numpy.savez, which cannot have an array called "file"; goldref never sees half a file."""
    part = f"{path}.{os.getpid()}.part"
    try:
        with zipfile.ZipFile(part, "w") as archive:
            for name, array in arrays.items():
                with archive.open(name + ".npy", "w", force_zip64=True) as file:
                    np.lib.format.write_array(file, array, allow_pickle=False)
        os.replace(part, path)
    finally:
        if os.path.exists(part):
            os.remove(part)


def takes_model(function):
    """Whether it has a parameter called model, or cannot be called with two arguments."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return False
    if "model" in signature.parameters:
        return True
    try:
        signature.bind({}, {})
    except TypeError:
        return True
    return False


def answer(question, functions):
    """Writes the arrays; returns status and message."""
    version = question.get("protocol")
    if version != PROTOCOL:
        return "error", f"protocol {version} is unknown; this goldref_candidate.py speaks protocol {PROTOCOL}"
    function = functions.get(question["op"])
    if function is None:
        return "unsupported", f"no function for {question['op']}"
    arrays = {}
    if question.get("inputs") is not None:
        with np.load(question["inputs"], allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    given = (question.get("params") or {}, arrays) + ((question.get("model"),) if takes_model(function) else ())
    try:
        result = function(*given)
    except NotImplementedError as error:
        return "unsupported", str(error) or f"{question['op']} is not implemented"
    write_arrays(question["outputs"], named_arrays(result))
    return "ok", None


def serve(**functions):
    """Answers questions until standard input ends; each function is named by the operation that it evaluates."""
    # What the functions print or read must not get among questions and answers, so these move to other descriptors.
    questions = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    if hasattr(sys.stdout, "reconfigure"):
        # So that prints come among the tracebacks where they belong, and are not lost in a crash.
        sys.stdout.reconfigure(line_buffering=True)
    for line in questions:
        question = {}
        try:
            question = json.loads(line)
            status, message = answer(question, functions)
        except KeyboardInterrupt:
            raise
        # SystemExit too: one question must not end the others.
        except BaseException as error:
            traceback.print_exc()
            status, message = "error", " ".join("".join(traceback.format_exception_only(type(error), error)).split())
        reply = {"id": question.get("id") if isinstance(question, dict) else None, "status": status}
        if message is not None:
            # Half a surrogate pair, as a strange file name has, is no JSON.
            reply["message"] = message.encode("utf-8", "replace").decode("utf-8")[:LONGEST_MESSAGE]
        print(json.dumps(reply), file=answers, flush=True)
