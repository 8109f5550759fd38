"""A file of 8 MiB that unpacks to an array of 8 GiB, all zeros. It should be refused before it is unpacked: broke the
protocol, the file of outputs cannot be read. It takes about half a minute to write: where that is longer than the
limit, timed out."""

import json
import struct
import sys
import zipfile

SIZE = 8 << 30
BLOCK = 16 << 20

for line in sys.stdin:
    question = json.loads(line)
    header = repr({"descr": "<f8", "fortran_order": False, "shape": (SIZE // 8,)}).encode()
    header = header.ljust(-(-(len(header) + 11) // 64) * 64 - 11) + b"\n"
    with zipfile.ZipFile(question["outputs"], "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("out.npy", "w", force_zip64=True) as file:
            file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
            for _ in range(SIZE // BLOCK):
                file.write(bytes(BLOCK))
    print(json.dumps({"id": question["id"], "status": "ok"}), flush=True)
