"""A fork bomb: every process starts two more, ten generations long, which makes 2046 processes that last 20 s each.
Most forks should be refused: failed, resource temporarily unavailable. All that were started should end with the
program."""

import json
import os
import sys
import time

GENERATIONS = 10
SECONDS = 20


def bomb(generations, log):
    """Each process writes one byte to `log` when it begins, and an error number for each refused fork."""
    for _ in range(2 if generations else 0):
        try:
            if os.fork() == 0:
                os.write(log, b"s")
                bomb(generations - 1, log)
                time.sleep(SECONDS)
                os._exit(0)
        except OSError as error:
            os.write(log, bytes([error.errno]))


for line in sys.stdin:
    reader, writer = os.pipe()
    bomb(GENERATIONS, writer)
    time.sleep(3)
    os.set_blocking(reader, False)
    # Never empty: without a child, its two forks were refused.
    seen = os.read(reader, 1 << 16)
    refused = seen.replace(b"s", b"")
    message = f"{seen.count(b's')} processes were started and {len(refused)} forks refused"
    if refused:
        message += f": {os.strerror(refused[-1])}"
    else:
        message = f"ATTACK SUCCEEDED: {message}"
    print(json.dumps({"id": json.loads(line)["id"], "status": "error", "message": message}), flush=True)
