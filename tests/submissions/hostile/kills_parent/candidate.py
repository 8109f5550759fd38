"""Attacks the process that started it, and those whose ids target.txt names (one a line, if there is one): traces
them, then kills them, the parent last. For other processes with goldref in their command line, and for the parent's
group, it only asks whether it might: an editor with goldref open is no fair victim. Everything should be refused:
failed, operation not permitted."""

import ctypes
import errno
import json
import os
import signal
import sys

PTRACE_SEIZE = 0x4206
# The system checks the same rights for it as for SIGKILL, and does no more.
MAY_I = 0
PARENT = os.getppid()
libc = ctypes.CDLL(None, use_errno=True)


def trace(pid):
    """A short-lived child traces, so that the tracing ends at once."""
    child = os.fork()
    if child == 0:
        failed = libc.ptrace(PTRACE_SEIZE, pid, None, None) != 0
        os._exit(ctypes.get_errno() if failed else 0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code != 0:
        raise OSError(code, f"exit code {code}")


def named_goldref():
    try:
        pids = list(filter(str.isdigit, os.listdir("/proc")))
    except OSError:
        pids = []
    for pid in pids:
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if b"goldref" in file.read() and int(pid) != os.getpid():
                    yield int(pid)
        except OSError:
            pass


def attempts():
    victims = [int(pid) for pid in open("target.txt").read().split()] if os.path.exists("target.txt") else []
    for pid in named_goldref():
        yield f"signal {pid}", lambda: os.kill(pid, MAY_I)
        yield f"memory of {pid}", lambda: open(f"/proc/{pid}/mem", "rb").close()
    # Once the parent is dead another one is assigned, which has nothing to do with this.
    if os.getppid() == PARENT:
        # 0 is the number of a group outside, which cannot be named.
        if os.getpgid(PARENT) not in (0, os.getpgrp()):
            yield "signal the parent's group", lambda: os.killpg(os.getpgid(PARENT), MAY_I)
        victims.append(PARENT)
    for pid in victims:
        yield f"trace {pid}", lambda: trace(pid)
        yield f"kill {pid}", lambda: os.kill(pid, signal.SIGKILL)


for line in sys.stdin:
    succeeded, refused = [], []
    try:
        for name, attempt in attempts():
            try:
                attempt()
                succeeded.append(name)
            except OSError as error:
                refused.append(f"{name}: {errno.errorcode.get(error.errno, error)}")
    except OSError as error:
        refused.append(f"list /proc: {error}")
    message = "refused: " + ", ".join(refused)
    if succeeded:
        message = f"ATTACK SUCCEEDED: {', '.join(succeeded)}; {message}"
    print(json.dumps({"id": json.loads(line)["id"], "status": "error", "message": message}), flush=True)
