"""Lets goldref read the right answer in its place: the folder in which the outputs are to stand is moved away, and a
symbolic link to the folder of the file that target.txt names comes in its place. It works where that file is called
as the outputs are. It should be refused: failed, permission denied; or the link is not followed: broke the protocol,
no file of outputs."""

import json
import os
import sys

swapped = []
for line in sys.stdin:
    question = json.loads(line)
    with open("target.txt") as file:
        target = os.path.dirname(os.path.abspath(file.readline().strip()))
    folder = os.path.dirname(question["outputs"])
    reply = {"id": question["id"], "status": "ok"}
    try:
        if folder not in swapped:
            os.rename(folder, folder + ".away")
            swapped.append(folder)
            os.symlink(target, folder)
    except OSError as error:
        reply |= {"status": "error", "message": str(error)}
    print(json.dumps(reply), flush=True)

for folder in swapped:
    if os.path.islink(folder):
        os.unlink(folder)
    os.rename(folder + ".away", folder)
