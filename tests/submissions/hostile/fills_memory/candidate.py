"""Takes memory and writes to all of it, up to 8 GiB. It should be stopped long before: over its memory, or failed
with how much it got."""

import json
import sys

STEP = 64 << 20
MOST = 8 << 30

for line in sys.stdin:
    hoard = []
    try:
        while len(hoard) * STEP < MOST:
            # Every page is written to, or the system would only promise it.
            hoard.append(bytearray(b"\x01") * STEP)
        message = "ATTACK SUCCEEDED: all of it"
    except MemoryError:
        message = "MemoryError"
    got = len(hoard) * STEP >> 20
    del hoard
    reply = {"id": json.loads(line)["id"], "status": "error", "message": f"{message} after {got} MiB"}
    print(json.dumps(reply), flush=True)
