#!/usr/bin/env python3
"""Writes the corpus with NumPy and the safetensors library: files that other programs make, and a few that must be
refused, whose names begin with `refused`. The files of `suite/` are written by hand.

    python tests/fuzz/corpus/make.py
"""

import io
import json
import struct
import zipfile
from pathlib import Path

import numpy as np
from safetensors.numpy import save as save_safetensors

HERE = Path(__file__).parent


def write(folder: str, name: str, data: bytes) -> None:
    path = HERE / folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)


def npy(array: np.ndarray, version: tuple[int, int] | None = None, pickle: bool = False) -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array(out, array, version, allow_pickle=pickle)
    return out.getvalue()


def npys() -> None:
    grid = np.arange(6).reshape(2, 3)
    for dtype in ("<f8", ">f8", "<f4", "<f2", ">i8", "<i4", "<u2", "|u1", "|i1"):
        name = np.dtype(dtype).name + ("_big" if dtype[0] == ">" else "")
        write("npy", f"{name}.npy", npy((grid * 5 / 4).astype(dtype)))
    write("npy", "fortran.npy", npy(np.asfortranarray(grid.astype("<f4"))))
    write("npy", "bool.npy", npy(np.array([True, False, True])))
    write("npy", "scalar.npy", npy(np.array(0.5)))
    write("npy", "empty.npy", npy(np.zeros((3, 0, 2))))
    write("npy", "five_axes.npy", npy(np.ones((1, 2, 1, 2, 1), "<f2")))
    write("npy", "version_2.npy", npy(grid.astype("<i2"), (2, 0)))
    write("npy", "version_3.npy", npy(grid.astype("<u4"), (3, 0)))
    write("npy", "non_finite.npy", npy(np.array([np.nan, np.inf, -np.inf, -0.0, 5e-324])))
    write("npy", "refused_objects.npy", npy(np.array([{}], object), pickle=True))
    write("npy", "refused_fields.npy", npy(np.zeros(2, [("a", "<f8"), ("b", "<i4")])))
    write("npy", "refused_text.npy", npy(np.array(["a", "bc"])))
    write("npy", "refused_complex.npy", npy(np.ones(2, np.complex64)))


def npzs() -> None:
    grid = np.arange(6, dtype="<f4").reshape(2, 3)
    for name, save in (("stored", np.savez), ("deflated", np.savez_compressed)):
        out = io.BytesIO()
        save(out, x=grid, ids=np.arange(3), mask=np.array([True, False]))
        write("npz", f"{name}.npz", out.getvalue())
    out = io.BytesIO()
    np.savez_compressed(out, zeros=np.zeros(3000, "<f4"), one=np.array(1.0))
    write("npz", "zeros.npz", out.getvalue())
    out = io.BytesIO()
    np.savez(out)
    write("npz", "empty.npz", out.getvalue())
    members = {"a.npy": npy(grid), "b/c.npy": npy(grid.astype("<f2"))}
    for name, method in (("comment", zipfile.ZIP_STORED), ("refused_bzip2", zipfile.ZIP_BZIP2)):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", method) as archive:
            archive.comment = b"a comment behind the directory"
            for member, data in members.items():
                archive.writestr(member, data)
        write("npz", f"{name}.npz", out.getvalue())
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        with archive.open("a.npy", "w", force_zip64=True) as member:
            member.write(npy(grid))
    write("npz", "zip64.npz", out.getvalue())


class Pipe(io.RawIOBase):
    """Bytes that cannot be sought: the zip library then writes sizes behind the data."""

    def __init__(self) -> None:
        self.data = b""

    def writable(self) -> bool:
        return True

    def write(self, more) -> int:
        self.data += bytes(more)
        return len(more)


def streamed() -> None:
    out = Pipe()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", npy(np.arange(40, dtype="<i2")))
    write("npz", "streamed.npz", out.data)


def tensors(entries: dict, data: bytes) -> bytes:
    header = json.dumps(entries, separators=(",", ":")).encode()
    return struct.pack("<Q", len(header)) + header + data


def safetensors() -> None:
    grid = np.arange(6).reshape(2, 3)
    write("safetensors", "two.safetensors", save_safetensors({"a": grid.astype("<f4"), "b": grid.astype("<f2")}))
    write("safetensors", "metadata.safetensors", save_safetensors({"w": grid.astype("<i8")}, {"format": "pt"}))
    write("safetensors", "bools.safetensors", save_safetensors({"m": np.array([True, False]), "u": grid.astype("u1")}))
    write("safetensors", "scalar_and_empty.safetensors",
          save_safetensors({"s": np.array(1.5), "e": np.zeros((0, 3), "<f4")}))
    layers = {f"model.layers.{i}.mlp.up_proj.weight": grid.astype("<f4") for i in range(6)}
    write("safetensors", "layers.safetensors", save_safetensors(layers))
    small = {
        "bf16": {"dtype": "BF16", "shape": [2, 2], "data_offsets": [0, 8]},
        "f8": {"dtype": "F8_E4M3", "shape": [3], "data_offsets": [8, 11]},
    }
    write("safetensors", "small_floats.safetensors", tensors(small, bytes(range(60, 71))))
    other = {"w": {"dtype": "F8_E5M2", "shape": [2], "data_offsets": [0, 2]}}
    write("safetensors", "refused_e5m2.safetensors", tensors(other, b"\x00\x01"))
    write("safetensors", "refused_pointer.safetensors", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")


if __name__ == "__main__":
    npys()
    npzs()
    streamed()
    safetensors()
