"""Looks for keys and passwords in its environment, in that of the process that started it, and among the files which
that one has open. Its own environment should hold what it needs and no more, and the rest be refused: failed,
permission denied. It tells names, never values."""

import json
import os
import sys

EXPECTED = {
    "PATH", "HOME", "PWD", "TMPDIR", "LANG", "LC_ALL", "LC_CTYPE", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE",
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS",
    # A python3 that is a shell script, as pyenv's is, adds these, and what begins with PYENV_.
    "OLDPWD", "SHLVL", "_",
}
PUBLIC = ("GOLDREF_PUBLIC_", "PYENV_", "_PYENV_")
PARENT = f"/proc/{os.getppid()}"


def own_names():
    return sorted(name for name in os.environ if name not in EXPECTED and not name.startswith(PUBLIC))


def parents_names():
    with open(f"{PARENT}/environ", "rb") as file:
        return [entry.split(b"=")[0].decode(errors="replace") for entry in file.read().split(b"\0") if entry]


def parents_files():
    return [os.readlink(f"{PARENT}/fd/{name}") for name in os.listdir(f"{PARENT}/fd")]


for line in sys.stdin:
    succeeded, refused = [], []
    for name, attempt in [("environment", own_names), ("the parent's", parents_names), ("its files", parents_files)]:
        try:
            found = attempt()
            if found:
                succeeded.append(f"{name}: {' '.join(found)[:400]}")
            else:
                refused.append(f"{name}: nothing")
        except OSError as error:
            refused.append(f"{name}: {error}")
    message = "; ".join(refused)
    if succeeded:
        message = f"ATTACK SUCCEEDED: {'; '.join(succeeded)}; refused: {message}"
    print(json.dumps({"id": json.loads(line)["id"], "status": "error", "message": message}), flush=True)
