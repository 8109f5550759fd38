"""Steals the answer: target.txt names the expected.npz of a case, and its bytes become the outputs. It is opened as
it stands, through links in the scratch folder, and by way of /proc. Every way should be refused: failed, permission
denied."""

import json
import os
import sys


def linked(make, path):
    """The path of a link in the scratch folder that leads to `path`."""
    link = os.path.join(os.environ.get("TMPDIR", "/tmp"), f"{make.__name__}-{os.getpid()}")
    if os.path.lexists(link):
        os.unlink(link)
    make(path, link)
    return link


PARENT = f"/proc/{os.getppid()}"
# From any folder, this many steps up end at the root.
UP = "/.." * 20
WAYS = {
    "open": lambda path: path,
    "link": lambda path: linked(os.link, path),
    "symlink": lambda path: linked(os.symlink, path),
    "/proc/self/root": lambda path: "/proc/self/root" + path,
    "/proc/self/cwd": lambda path: "/proc/self/cwd" + UP + path,
    "root of the parent": lambda path: PARENT + "/root" + path,
    "folder of the parent": lambda path: PARENT + "/cwd" + UP + path,
}


def stolen(path):
    """The bytes of `path`, or None; and what was refused."""
    refused = []
    for name, way in WAYS.items():
        try:
            with open(way(path), "rb") as file:
                print(f"ATTACK SUCCEEDED: {name}", file=sys.stderr)
                return file.read(), refused
        except OSError as error:
            refused.append(f"{name}: {error}")
    return None, refused


for line in sys.stdin:
    question = json.loads(line)
    with open("target.txt") as file:
        target = os.path.abspath(file.readline().strip())
    content, refused = stolen(target)
    reply = {"id": question["id"], "status": "ok"}
    if content is None:
        reply |= {"status": "error", "message": "; ".join(refused)}
    else:
        with open(question["outputs"], "wb") as file:
            file.write(content)
    print(json.dumps(reply), flush=True)
