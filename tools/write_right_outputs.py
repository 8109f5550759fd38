"""Writes what right programs answer to every case of fixtures/model and fixtures/decode: `goldref diagnose` must accuse none.

    python tools/write_right_outputs.py OUT [--only jax,onnxruntime] [--stored f32]

Programs share no code with goldref: transformers by two kinds of attention, each case whole, row by row and through a
cache; JAX (right_jax.py); onnxruntime, on what torch.onnx exports of the transformers models. JAX and onnxruntime are
optional, `pip install jax onnx onnxscript onnxruntime`: what is not installed is left out, and said.

OUT/<program>_<format>/<suite>/<case>.npz holds `logits`, or `logits.0`, `logits.1`, … for several requests, as f32. A
case that a program cannot run has no file; the reason is printed. Rows of padding hold what was computed.
"""

import os

# One thread; before NumPy is loaded.
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import contextlib
import dataclasses
import importlib.util
import json
import pathlib
import sys
import tempfile
import time

import numpy as np
import torch

import oracle_models_torch as oracle
import write_faulty_outputs as faulty

STORED = ("f32", "bf16", "f16")
WAYS = ("whole", "row by row", "cached")


@dataclasses.dataclass
class Program:
    """A right program: how it is called in a table, the format it stores, its folder of answers."""
    title: str
    stored: str
    folder: pathlib.Path

    def answers(self):
        return len(list(self.folder.glob("*/*.npz")))


def save(folder, case, logits):
    path = folder / f"{case.name}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **dict(zip(case.expected, logits)))


def skip(program, case, why):
    print(f"{program}: no answer to {case.name}: {why}", file=sys.stderr)


def write_transformers(out, stored, attention):
    """Three programs: the same models called in three ways."""
    folders = {way: out / f"transformers_{attention}_{way.replace(' ', '_')}_{stored}" for way in WAYS}
    for case in faulty.read_cases():
        model = oracle.load_dtype(case.model, oracle.DTYPES[stored], attention)
        if model is None:
            skip(f"transformers, {attention}", case, "its model lacks this attention")
            continue
        each = [list(oracle.evaluations(model, request.ids, request.mask, request.positions)) for request in case.requests]
        # Some families have no way through a cache.
        for way, logits in zip(WAYS, zip(*each)):
            save(folders[way], case, [y.float().numpy() for y in logits])
    return [Program(f"transformers, {attention}, {way}", stored, folder) for way, folder in folders.items()]


def write_jax(out, stored):
    import right_jax
    folder = out / f"jax_{stored}"
    for case in faulty.read_cases():
        if not right_jax.knows(json.loads((case.model / "config.json").read_text())):
            skip("JAX", case, "its family is not ported")
            continue
        model = right_jax.Model(case.model, stored)
        save(folder, case, [model(request.ids, request.mask, request.positions) for request in case.requests])
    return [Program("JAX", stored, folder)]


class OnlyLogits(torch.nn.Module):
    """A model of transformers with positional inputs and one output, as an export needs it."""

    def __init__(self, model, names):
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *inputs):
        return self.model(**dict(zip(self.names, inputs)), use_cache=False).logits


@contextlib.contextmanager
def silence():
    """Nothing of the process is printed: a failing exporter writes its whole graph, and not through sys.stdout."""
    sys.stdout.flush()
    kept = [os.dup(stream) for stream in (1, 2)]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        for stream in (1, 2):
            os.dup2(nowhere, stream)
        yield
    finally:
        sys.stdout.flush()
        for stream, copy in zip((1, 2), kept):
            os.dup2(copy, stream)
            os.close(copy)
        os.close(nowhere)


def export(model, call, path):
    """By tracing, at the shapes of this call: a tenth of the time of the newer exporter, which runs where that fails."""
    names = list(call)
    what = {"model": OnlyLogits(model, names), "args": tuple(call.values()), "f": path, "input_names": names,
            "output_names": ["logits"], "verbose": False}
    with silence():
        try:
            torch.onnx.export(**what, dynamo=False)
        except Exception:  # It raises errors of many kinds, assertions among them.
            torch.onnx.export(**what, dynamo=True)


def run_exported(model, request):
    """Logits of one request by onnxruntime's CPU kernels, its graph optimisations on as they are by default."""
    import onnxruntime
    call = oracle._inputs(model, request.ids, request.mask, request.positions)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    with tempfile.TemporaryDirectory() as scratch:
        path = pathlib.Path(scratch) / "model.onnx"
        export(model, call, path)
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    # An input that the graph does not read is not part of it.
    feeds = {node.name: call[node.name].numpy() for node in session.get_inputs()}
    return session.run(None, feeds)[0].astype(np.float32)


def write_onnxruntime(out, stored):
    folder = out / f"onnxruntime_{stored}"
    for case in faulty.read_cases():
        model = oracle.load_dtype(case.model, oracle.DTYPES[stored], "eager")
        try:
            logits = [run_exported(model, request) for request in case.requests]
        except Exception as error:  # Whatever the exporter or a missing kernel raises: the program does not exist then.
            lines = str(error).strip().splitlines() or ["no message"]
            skip(f"onnxruntime, {stored}", case, f"{type(error).__name__}: {lines[0]}")
            continue
        save(folder, case, logits)
    return [Program("onnxruntime", stored, folder)]


# Name, packages it needs beside requirements.txt, formats, what writes it.
# JAX's attention has no f16 on a CPU, and onnxruntime no bf16.
PROGRAMS = {
    "transformers": ((), STORED, lambda out, stored: [
        program for attention in ("eager", "sdpa") for program in write_transformers(out, stored, attention)]),
    "jax": (("jax",), ("f32", "bf16"), write_jax),
    "onnxruntime": (("onnx", "onnxscript", "onnxruntime"), ("f32", "f16"), write_onnxruntime),
}


def write_all(out, only=tuple(PROGRAMS), formats=STORED):
    """(programs written under `out`, a line about each that is not installed)."""
    written, absent = [], []
    for name in only:
        packages, possible, write = PROGRAMS[name]
        lacking = [package for package in packages if importlib.util.find_spec(package) is None]
        if lacking:
            absent.append(f"{name} was not tried: not installed: {', '.join(lacking)}")
            continue
        for stored in possible:
            if stored in formats:
                written += write(out, stored)
    return written, absent


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    names = lambda text: text.split(",")
    parser.add_argument("--only", type=names, default=list(PROGRAMS), help=f"of {', '.join(PROGRAMS)}, by commas")
    parser.add_argument("--stored", type=names, default=STORED, help=f"of {', '.join(STORED)}, by commas")
    args = parser.parse_args()
    if not set(args.only) <= set(PROGRAMS) or not set(args.stored) <= set(STORED):
        parser.error("no such program or format")
    begin = time.monotonic()
    written, absent = write_all(args.out, args.only, args.stored)
    for program in written:
        print(f"{program.title:<34} {program.stored:<5} {program.answers():3} answers  {program.folder}")
    print("\n".join(absent + [f"{time.monotonic() - begin:.0f} s"]))


if __name__ == "__main__":
    main()
