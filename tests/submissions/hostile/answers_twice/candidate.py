"""Answers each question twice, so that its second line might be taken for the answer to the next one. The outputs are
zeros in the shape of the first input. It should be noticed: broke the protocol, it wrote a line that nobody asked
for."""

import ast
import json
import math
import struct
import sys
import zipfile


def first_shape(path):
    """The shape of the first array of an npz, from the header of its npy."""
    with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as file:
        start = file.read(10)
        return ast.literal_eval(file.read(struct.unpack("<H", start[8:])[0]).decode())["shape"]


def write_zeros(path, shape):
    header = repr({"descr": "<f8", "fortran_order": False, "shape": shape}).encode()
    header = header.ljust(-(-(len(header) + 11) // 64) * 64 - 11) + b"\n"
    data = bytes(8 * math.prod(shape))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("out.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data)


for line in sys.stdin:
    question = json.loads(line)
    write_zeros(question["outputs"], first_shape(question["inputs"]))
    answer = json.dumps({"id": question["id"], "status": "ok"}) + "\n"
    sys.stdout.write(answer + answer)
    sys.stdout.flush()
