"""Ends well, exit status 0, straight after the question and without an answer. goldref should not take that for
success: crashed."""

import sys

sys.stdin.readline()
print("nothing to say", file=sys.stderr)
sys.exit(0)
