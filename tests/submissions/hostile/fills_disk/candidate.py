"""Fills the disk: files of 64 MiB in the scratch folder, up to 4 GiB. It should be stopped long before: over its disk
space, or failed with the refusal. What it wrote it takes away when it is asked no more."""

import json
import os
import shutil
import sys

STEP = 64 << 20
MOST = 4 << 30
FOLDER = os.path.join(os.environ.get("TMPDIR", "/tmp"), f"full-{os.getpid()}")

for line in sys.stdin:
    written = 0
    try:
        os.makedirs(FOLDER, exist_ok=True)
        while written < MOST:
            with open(os.path.join(FOLDER, f"{written >> 20}.bin"), "wb") as file:
                file.write(b"goldref " * (STEP // 8))
            written += STEP
        message = "ATTACK SUCCEEDED: all of it"
    except OSError as error:
        message = str(error)
    reply = {"id": json.loads(line)["id"], "status": "error", "message": f"{message} after {written >> 20} MiB"}
    print(json.dumps(reply), flush=True)
shutil.rmtree(FOLDER, ignore_errors=True)
