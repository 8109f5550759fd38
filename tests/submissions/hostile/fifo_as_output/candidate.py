"""Lets goldref wait for ever: the outputs are a named pipe that nobody writes to. goldref should not open it: broke
the protocol, no file of outputs. If no pipe can be made: failed, permission denied."""

import json
import os
import sys

for line in sys.stdin:
    question = json.loads(line)
    reply = {"id": question["id"], "status": "ok"}
    try:
        os.mkfifo(question["outputs"])
    except OSError as error:
        reply |= {"status": "error", "message": str(error)}
    print(json.dumps(reply), flush=True)
