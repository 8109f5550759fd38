"""Keeps four processors busy for two minutes and never answers. It should be ended when its time is up, all four
processes of it: timed out, or over its processor time."""

import os
import sys
import time

PROCESSES = 4
SECONDS = 120

for line in sys.stdin:
    end = time.monotonic() + SECONDS
    for _ in range(PROCESSES - 1):
        try:
            if os.fork() == 0:
                break
        except OSError as error:
            print(error, file=sys.stderr)
    while time.monotonic() < end:
        pass
    os._exit(0)
