"""Answers question 999, which nobody asked. It should be noticed: broke the protocol, it answered another
question."""

import json
import sys

for line in sys.stdin:
    print(json.dumps({"id": "999", "status": "ok"}), flush=True)
