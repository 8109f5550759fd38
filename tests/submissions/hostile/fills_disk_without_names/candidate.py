"""Fills the disk with files that it unlinks as soon as they are open, so that no folder lists them, up to 4 GiB.
Should end: over its disk space."""

import json
import os
import sys

BLOCK = bytes(16 << 20)
MOST = 4 << 30

for line in sys.stdin:
    scratch = os.environ.get("TMPDIR", "/tmp")
    written, files = 0, []
    try:
        while written < MOST:
            path = os.path.join(scratch, f"unnamed-{len(files)}")
            files.append(open(path, "wb", buffering=0))
            os.unlink(path)
            written += files[-1].write(BLOCK)
        message = f"ATTACK SUCCEEDED: {written >> 20} MiB without a name"
    except OSError as error:
        message = f"{error} after {written >> 20} MiB"
    for file in files:
        file.close()
    print(json.dumps({"id": json.loads(line)["id"], "status": "error", "message": message}), flush=True)
