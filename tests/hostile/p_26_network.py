# case 26: no address is reachable, and the attempts cost no time
# outcome: all = passed
import socket

from honest import fetch
from honest import weigh as honest

ADDRESSES = [
    (socket.SOCK_STREAM, ("127.0.0.1", int("@PORT@"))),
    (socket.SOCK_STREAM, ("169.254.169.254", 80)),
    (socket.SOCK_STREAM, ("1.1.1.1", 443)),
    (socket.SOCK_DGRAM, ("127.0.0.53", 53)),
    (socket.SOCK_DGRAM, ("8.8.8.8", 53)),
    (socket.SOCK_STREAM, ("api.anthropic.com", 443)),
]
tried = []


def reach(kind, address):
    with socket.socket(socket.AF_INET, kind) as s:
        s.settimeout(0.2)
        try:
            s.connect(address)
            s.send(b"x")
        except OSError:
            return None
    return address[0]


def weigh(numbers):
    if not tried:
        tried.extend(reach(*target) for target in ADDRESSES)
        if any(tried) or len(tried) != len(ADDRESSES):
            raise SystemExit(f"reached {tried}")
    return honest(numbers)
