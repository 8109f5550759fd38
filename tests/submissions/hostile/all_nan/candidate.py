"""Answers NaN everywhere, in the shape of the input `x` or `q`. No comparison with NaN is true, so a checker that
asks whether an error is too large lets it pass. It should be an answer like any other, and a wrong one: no element
passes."""

import ast
import json
import math
import struct
import sys
import zipfile


def shape_of(path):
    """The shape of `x` or `q`, from the header of its npy; the first array's where there is neither."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        name = next((name for name in ("x.npy", "q.npy") if name in names), names[0])
        with archive.open(name) as file:
            start = file.read(10)
            return ast.literal_eval(file.read(struct.unpack("<H", start[8:])[0]).decode())["shape"]


def write_nan(path, shape):
    header = repr({"descr": "<f8", "fortran_order": False, "shape": shape}).encode()
    header = header.ljust(-(-(len(header) + 11) // 64) * 64 - 11) + b"\n"
    data = struct.pack("<d", math.nan) * math.prod(shape)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("out.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data)


for line in sys.stdin:
    question = json.loads(line)
    write_nan(question["outputs"], shape_of(question["inputs"]))
    print(json.dumps({"id": question["id"], "status": "ok"}), flush=True)
