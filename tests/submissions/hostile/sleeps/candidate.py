"""Takes two minutes over the first question and ends without an answer. It should be ended when its time is up: timed
out."""

import sys
import time

SECONDS = 120

for line in sys.stdin:
    time.sleep(SECONDS)
    sys.exit(0)
