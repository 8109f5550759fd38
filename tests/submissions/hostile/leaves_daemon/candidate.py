"""Leaves a process behind: a grandchild in a session of its own, if it may have one, with no stream in common with
goldref, that lives for two minutes. Its id is in daemon.pid in the scratch folder. goldref hears: failed, "daemon
left: …"; and the daemon should end with the program."""

import json
import os
import sys
import time

SECONDS = 120
PID_FILE = os.path.join(os.environ.get("TMPDIR", "/tmp"), "daemon.pid")


def daemon():
    for leave in (os.setsid, lambda: os.setpgid(0, 0)):
        try:
            leave()
            break
        except OSError:
            pass
    if os.fork() == 0:
        for stream in (0, 1, 2):
            os.close(stream)
        with open(PID_FILE + ".part", "w") as file:
            file.write(str(os.getpid()))
        os.rename(PID_FILE + ".part", PID_FILE)
        time.sleep(SECONDS)


for line in sys.stdin:
    if os.path.exists(PID_FILE):
        os.unlink(PID_FILE)
    try:
        child = os.fork()
        if child == 0:
            try:
                daemon()
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        for _ in range(100):
            if os.path.exists(PID_FILE):
                break
            time.sleep(0.05)
        with open(PID_FILE) as file:
            message = f"daemon left: {file.read()}"
    except OSError as error:
        message = str(error)
    print(json.dumps({"id": json.loads(line)["id"], "status": "error", "message": message}), flush=True)
