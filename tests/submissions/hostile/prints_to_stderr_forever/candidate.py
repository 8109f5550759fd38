"""Writes to standard error and never answers, up to 4 GiB of it without the end of a line. It should be stopped:
timed out, or over its output; and goldref should keep no more than the end of it."""

import os
import sys

MOST = 4 << 30
STANDARD_ERROR = 2

for line in sys.stdin:
    written = 0
    while written < MOST:
        written += os.write(STANDARD_ERROR, b"goldref " * 8192)
