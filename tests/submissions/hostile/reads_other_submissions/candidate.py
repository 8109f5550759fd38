"""Copies from others: reads the file in another student's folder that target.txt names, and lists the folder that
holds all submissions. Both should be refused: failed, permission denied."""

import json
import os
import sys


def read():
    with open("target.txt") as file:
        path = file.readline().strip()
    with open(path, errors="replace") as file:
        return file.read(200)


def neighbours():
    return os.listdir("..")[:20]


for line in sys.stdin:
    succeeded, refused = [], []
    for name, attempt in [("read", read), ("list ..", neighbours)]:
        try:
            succeeded.append(f"{name}: {attempt()!r}")
        except OSError as error:
            refused.append(f"{name}: {error}")
    message = "refused: " + "; ".join(refused)
    if succeeded:
        message = f"ATTACK SUCCEEDED: {'; '.join(succeeded)}; {message}"
    print(json.dumps({"id": json.loads(line)["id"], "status": "error", "message": message}), flush=True)
