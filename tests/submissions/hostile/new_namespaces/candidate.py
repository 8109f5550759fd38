"""Asks the system for what a submission has no use for and ways out of sandboxes are made of: namespaces, mounts,
io_uring, bpf, keyrings, memory that outlives a process, tracing. Each call is made in a child, which may be killed
for it. Each should be refused: failed, with the refusals."""

import ctypes
import errno
import json
import os
import platform
import sys
import tempfile

PARENT = os.getppid()
libc = ctypes.CDLL(None, use_errno=True)
NEW_USER, NEW_MOUNTS = 0x10000000, 0x20000
PTRACE_SEIZE = 0x4206
SESSION_KEYRING = -3
# The numbers of the calls on x86-64 and on aarch64.
NUMBERS = {
    "unshare": (272, 97), "mount": (165, 40), "umount2": (166, 39), "io_uring_setup": (425, 425), "bpf": (321, 280),
    "keyctl": (250, 219), "memfd_create": (319, 279), "shmget": (29, 194), "shmctl": (31, 195), "ptrace": (101, 117),
}


def call(name, *args):
    number = NUMBERS[name][platform.machine() != "x86_64"]
    return libc.syscall(*(ctypes.c_long(arg) if isinstance(arg, int) else arg for arg in (number, *args)))


def mount():
    # In mounts of its own if it can have them; it is taken away again either way.
    call("unshare", NEW_USER | NEW_MOUNTS)
    folder = tempfile.mkdtemp()
    result = call("mount", b"none", folder.encode(), b"tmpfs", 0, 0)
    # What comes after must not hide why it failed.
    why = ctypes.get_errno()
    if result == 0:
        call("umount2", folder.encode(), 0)
    os.rmdir(folder)
    ctypes.set_errno(why)
    return result


def shared_memory():
    segment = call("shmget", 0, 4096, 0o1600)
    return segment if segment < 0 else call("shmctl", segment, 0, 0)


ARRAY_OF_ONE = (ctypes.c_uint32 * 18)(2, 4, 4, 1)
ATTEMPTS = {
    "unshare user and mounts": lambda: call("unshare", NEW_USER | NEW_MOUNTS),
    "unshare mounts": lambda: call("unshare", NEW_MOUNTS),
    "mount": mount,
    "io_uring_setup": lambda: call("io_uring_setup", 1, ctypes.create_string_buffer(120)),
    "bpf": lambda: call("bpf", 0, ARRAY_OF_ONE, ctypes.sizeof(ARRAY_OF_ONE)),
    "keyctl": lambda: call("keyctl", 0, SESSION_KEYRING, 1),
    "memfd_create": lambda: call("memfd_create", b"hostile", 0),
    "shmget": shared_memory,
    "ptrace": lambda: call("ptrace", PTRACE_SEIZE, PARENT, 0, 0),
}


def tried(attempt):
    """0 if it succeeded, the error number if it was refused, -signal if the child was killed."""
    child = os.fork()
    if child == 0:
        os._exit(ctypes.get_errno() if attempt() < 0 else 0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


for line in sys.stdin:
    codes = {name: tried(attempt) for name, attempt in ATTEMPTS.items()}
    succeeded = [name for name, code in codes.items() if code == 0]
    refused = [f"{name}: {errno.errorcode.get(code, f'signal {-code}')}" for name, code in codes.items() if code != 0]
    message = "refused: " + ", ".join(refused)
    if succeeded:
        message = f"ATTACK SUCCEEDED: {', '.join(succeeded)}; {message}"
    print(json.dumps({"id": json.loads(line)["id"], "status": "error", "message": message}), flush=True)
