"""Answers with a line that does not end, up to 4 GiB of it. It should be cut off: broke the protocol, its line is
longer than 64 KiB."""

import os
import sys

MOST = 4 << 30
STANDARD_OUTPUT = 1

for line in sys.stdin:
    written = 0
    while written < MOST:
        written += os.write(STANDARD_OUTPUT, b"goldref " * 8192)
