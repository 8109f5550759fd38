"""Changes what is not its own: the files and folders that target.txt names (one a line), its own folder, and the
folders that anyone may write to. Everything should be refused: failed, with the list of refusals. What it makes
outside of the named folders it takes away again."""

import errno
import json
import os
import sys

SCRATCH = os.environ.get("TMPDIR", "/tmp")


def append(path):
    with open(path, "a") as file:
        file.write("changed by a hostile submission\n")


def append_through_link(path):
    link = os.path.join(SCRATCH, f"link-{os.getpid()}")
    os.link(path, link)
    append(link)
    os.unlink(link)


def move(path):
    os.rename(path, path + ".moved")
    os.rename(path + ".moved", path)


def plant_and_remove(folder):
    planted = os.path.join(folder, f"planted-by-{os.getpid()}")
    append(planted)
    os.unlink(planted)


def changes(path, change):
    """A sandbox may say that something was done which was not."""
    before = os.stat(path)
    change()
    after = os.stat(path)
    if (before.st_mode, before.st_uid, before.st_mtime) == (after.st_mode, after.st_uid, after.st_mtime):
        raise OSError(errno.EPERM, "nothing changed")


def attempts():
    """What is tried, as a name and a function without arguments; the file is unlinked last."""
    targets = open("target.txt").read().splitlines() if os.path.exists("target.txt") else []
    for path in targets:
        name = os.path.basename(path)
        if os.path.isdir(path):
            yield f"create in {name}", lambda: append(os.path.join(path, "planted.txt"))
            continue
        yield f"append to {name}", lambda: append(path)
        yield f"link and append to {name}", lambda: append_through_link(path)
        yield f"chmod {name}", lambda: changes(path, lambda: os.chmod(path, 0o666))
        yield f"chown {name}", lambda: changes(path, lambda: os.chown(path, os.getuid() + 1, os.getgid()))
        yield f"utime {name}", lambda: changes(path, lambda: os.utime(path, (0, 0)))
        yield f"setxattr {name}", lambda: os.setxattr(path, "user.hostile", b"1")
        yield f"truncate {name}", lambda: os.truncate(path, 0)
        yield f"rename {name}", lambda: move(path)
        yield f"unlink {name}", lambda: os.unlink(path)
    above_home = os.path.join(os.environ.get("HOME", "/root"), "..")
    for folder in [os.getcwd(), os.path.dirname(SCRATCH), "/tmp", above_home]:
        yield f"create in {folder}", lambda: plant_and_remove(folder)


for line in sys.stdin:
    succeeded, refused = [], []
    for name, attempt in attempts():
        try:
            attempt()
            succeeded.append(name)
        except OSError as error:
            refused.append(f"{name}: {errno.errorcode[error.errno]}")
    message = "refused: " + ", ".join(refused)
    if succeeded:
        message = f"ATTACK SUCCEEDED: {', '.join(succeeded)}; {message}"
    print(json.dumps({"id": json.loads(line)["id"], "status": "error", "message": message}), flush=True)
