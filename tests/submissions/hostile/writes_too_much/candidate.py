"""Writes an array of 48 MiB of bytes where twelve numbers were asked: as numbers of 64 bits they would take 384 MiB of
the judge's memory. Should end: broke the protocol, far more numbers than were asked."""

import json
import sys
import zipfile

LENGTH = 48 << 20


def npy(descr, shape, data):
    header = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode("latin1")
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


for line in sys.stdin:
    question = json.loads(line)
    with zipfile.ZipFile(question["outputs"], "w") as archive:
        archive.writestr("out.npy", npy("|u1", (LENGTH,), bytes(LENGTH)))
    print(json.dumps({"id": question["id"], "status": "ok"}), flush=True)
