"""Tries what would keep the warden from seeing what it uses, or goldref from going on: memory that nobody has mapped, files on
the way to itself, a process that may not be looked at, an end that does not come with the warden's, a lease on a file that
goldref will open, news of folders that it may not read, attributes of a file that is not its own. Everything should be refused:
failed, operation not permitted."""

import array
import ctypes
import fcntl
import json
import mmap
import os
import socket
import sys

PR_SET_PDEATHSIG, PR_SET_DUMPABLE = 1, 4
F_NOTIFY = 1026
FS_IOC_GETFLAGS, FS_IOC_SETFLAGS = 0x80086601, 0x40086602
CLONE_VM_THREAD = 0x100 | 0x800 | 0x10000
SYS_CLONE, SYS_INOTIFY_ADD_WATCH = {"x86_64": (56, 254), "aarch64": (220, 27)}[os.uname().machine]
libc = ctypes.CDLL(None, use_errno=True)


def call(*arguments):
    if libc.syscall(*arguments) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def prctl(option, value):
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def send_file():
    one, other = socket.socketpair()
    fds = array.array("i", [0])
    one.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])


def lease():
    with open(os.path.join(os.environ.get("TMPDIR", "/tmp"), "leased"), "w") as file:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)


def attributes():
    with open(__file__) as file:
        fcntl.ioctl(file, FS_IOC_SETFLAGS, fcntl.ioctl(file, FS_IOC_GETFLAGS, bytes(8)))


def buffers():
    one, _ = socket.socketpair()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)


ATTEMPTS = (
    ("shared memory", lambda: mmap.mmap(-1, 1 << 20)),
    ("memory of /dev/zero", lambda: os.open("/dev/zero", os.O_RDWR)),
    ("file on its way", send_file),
    ("large buffers", buffers),
    ("not to be looked at", lambda: prctl(PR_SET_DUMPABLE, 0)),
    ("not to end", lambda: prctl(PR_SET_PDEATHSIG, 0)),
    ("thread with files of its own", lambda: call(SYS_CLONE, CLONE_VM_THREAD, 0, 0, 0, 0)),
    ("lease", lease),
    ("notice of a folder", lambda: fcntl.fcntl(os.open(".", os.O_RDONLY), F_NOTIFY, 2)),
    ("inotify", lambda: call(SYS_INOTIFY_ADD_WATCH, libc.inotify_init(), b"/tmp", 0x100)),
    ("attributes", attributes),
)

for line in sys.stdin:
    succeeded, refused = [], []
    for name, attempt in ATTEMPTS:
        try:
            attempt()
            succeeded.append(name)
        except OSError as error:
            refused.append(f"{name}: {error.strerror}")
    message = "refused: " + ", ".join(refused)
    if succeeded:
        message = f"ATTACK SUCCEEDED: {', '.join(succeeded)}; {message}"
    print(json.dumps({"id": json.loads(line)["id"], "status": "error", "message": message}), flush=True)
