"""A right candidate for the operation `relu`, max(x, 0), in Python's standard library alone.

The line that is changed in tests is `answer`: a wrong submission is this one with another formula.
"""

import ast
import json
import struct
import sys
import zipfile


def answer(x):
    return max(x, 0.0)


def read(path):
    """The array `x` of an npz file: its shape and its numbers. goldref writes f32 here."""
    with zipfile.ZipFile(path) as archive:
        data = archive.read("x.npy")
    length = int.from_bytes(data[8:10], "little")
    header = ast.literal_eval(data[10 : 10 + length].decode("latin1"))
    return header["shape"], [x for (x,) in struct.iter_unpack("<f", data[10 + length :])]


def write(path, shape, numbers):
    header = repr({"descr": "<f4", "fortran_order": False, "shape": tuple(shape)}).encode("latin1")
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    data = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("out.npy", data + struct.pack(f"<{len(numbers)}f", *numbers))


for line in sys.stdin:
    question = json.loads(line)
    shape, numbers = read(question["inputs"])
    write(question["outputs"], shape, [answer(x) for x in numbers])
    print(json.dumps({"id": question["id"], "status": "ok"}), flush=True)
