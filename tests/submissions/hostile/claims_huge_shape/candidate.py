"""An array that says it has 2^60 numbers (8 EiB) and holds one. A reader that believes it runs out of memory. It
should be refused before anything is allocated: broke the protocol, the file of outputs cannot be read."""

import json
import struct
import sys
import zipfile

header = repr({"descr": "<f8", "fortran_order": False, "shape": (2**60,)}).encode()
header = header.ljust(-(-(len(header) + 11) // 64) * 64 - 11) + b"\n"
npy = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + struct.pack("<d", 1.0)

for line in sys.stdin:
    question = json.loads(line)
    with zipfile.ZipFile(question["outputs"], "w") as archive:
        archive.writestr("out.npy", npy)
    print(json.dumps({"id": question["id"], "status": "ok"}), flush=True)
