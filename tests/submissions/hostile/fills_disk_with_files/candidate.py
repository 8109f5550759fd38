"""Fills the disk without a byte of content: folders within folders, 5000 deep, deeper than a path can be long, and a
million empty files. It should be stopped before: over its disk space, timed out, or failed with the refusal; and
goldref should be able to clear all of it away. Where it is left the time, it does so itself."""

import json
import os
import subprocess
import sys

DEPTH = 5000
FILES = 1_000_000
SCRATCH = os.environ.get("TMPDIR", "/tmp")


def dig(folder):
    """Goes down new folders."""
    os.mkdir(folder)
    os.chdir(folder)
    for _ in range(DEPTH):
        os.mkdir("d")
        os.chdir("d")
    return f"{DEPTH} folders within folders"


def strew(folder):
    for number in range(FILES):
        os.close(os.open(f"{folder}/{number}", os.O_CREAT | os.O_WRONLY))
    return f"{FILES} empty files"


def tried(attempt, folder):
    try:
        return f"ATTACK SUCCEEDED: {attempt(folder)}"
    except OSError as error:
        return f"{attempt.__name__}: {error}"


made = []
for line in sys.stdin:
    made.append(os.path.join(SCRATCH, f"many-{os.getpid()}-{len(made)}"))
    message = "; ".join(tried(attempt, made[-1]) for attempt in (dig, strew))
    print(json.dumps({"id": json.loads(line)["id"], "status": "error", "message": message}), flush=True)

# shutil.rmtree does not get that deep.
os.chdir(SCRATCH)
subprocess.run(["rm", "-rf", *made])
