"""Lets goldref read the right answer in its place: the outputs are a symbolic link to the expected.npz that
target.txt names. goldref, which may read that file, should not follow the link: broke the protocol, no file of
outputs. If no link can be made: failed, permission denied."""

import json
import os
import sys

for line in sys.stdin:
    question = json.loads(line)
    with open("target.txt") as file:
        target = os.path.abspath(file.readline().strip())
    reply = {"id": question["id"], "status": "ok"}
    try:
        os.symlink(target, question["outputs"])
    except OSError as error:
        reply |= {"status": "error", "message": str(error)}
    print(json.dumps(reply), flush=True)
