"""Puts something in the way of the next question: a link, through which goldref would write into the file that
target.txt names; a folder; its own standard input filled up, so that goldref would wait for ever to write to it; and that
input kept open, so that nobody would see it end. Everything should be refused: failed, permission denied."""

import json
import os
import sys

target = open("target.txt").read().split()[0]


def fill_input():
    os.set_blocking(os.open("/proc/self/fd/0", os.O_WRONLY), False)


for line in sys.stdin:
    question = json.loads(line)
    following = os.path.join(os.path.dirname(question["inputs"]), f"{int(question['id']) + 1}_inputs.npz")
    succeeded, refused = [], []
    for name, attempt in (
        ("link", lambda: os.symlink(target, following)),
        ("folder", lambda: os.mkdir(following)),
        ("remove the inputs", lambda: os.unlink(question["inputs"])),
        ("open the input for writing", fill_input),
    ):
        try:
            attempt()
            succeeded.append(name)
        except OSError as error:
            refused.append(f"{name}: {error.strerror}")
    message = "refused: " + ", ".join(refused)
    if succeeded:
        message = f"ATTACK SUCCEEDED: {', '.join(succeeded)}; {message}"
    print(json.dumps({"id": question["id"], "status": "error", "message": message}), flush=True)
