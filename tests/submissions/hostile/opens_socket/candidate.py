"""Opens sockets of every common kind, to fetch or to give away answers. Each should be refused: failed, with the list
of refusals. A pair of sockets joined to each other reaches nobody, so it may be had and is not counted."""

import json
import socket
import sys

KINDS = {
    "tcp": (socket.AF_INET, socket.SOCK_STREAM),
    "udp": (socket.AF_INET, socket.SOCK_DGRAM),
    "tcp over IPv6": (socket.AF_INET6, socket.SOCK_STREAM),
    "udp over IPv6": (socket.AF_INET6, socket.SOCK_DGRAM),
    "unix": (socket.AF_UNIX, socket.SOCK_STREAM),
}


def pair():
    try:
        for end in socket.socketpair():
            end.close()
        return "a pair may be had"
    except OSError as error:
        return f"pair: {error}"


for line in sys.stdin:
    succeeded, refused = [], []
    for name, (family, kind) in KINDS.items():
        try:
            socket.socket(family, kind).close()
            succeeded.append(name)
        except OSError as error:
            refused.append(f"{name}: {error}")
    message = "; ".join(refused + [pair()])
    if succeeded:
        message = f"ATTACK SUCCEEDED: {', '.join(succeeded)}; {message}"
    print(json.dumps({"id": json.loads(line)["id"], "status": "error", "message": message}), flush=True)
