# case 29: submissions and scenarios that run at the same time do not see each other
# outcome: all = passed
import ctypes
import os
import secrets
import socket
import time

from honest import fetch
from honest import weigh as honest

MARK = "mark-of-"
own = MARK + secrets.token_hex(3)
terminals = []


def leave():
    ctypes.CDLL(None).prctl(15, own.encode())
    for folder in ("/tmp", "/dev/shm"):
        with open(f"{folder}/{own}", "w") as file:
            file.write(own)
    named = socket.socket(socket.AF_UNIX)
    named.bind("\0" + own)
    named.listen()
    try:
        terminals.append(os.ttyname(os.openpty()[1]))
    except OSError:
        pass
    return named


def seen():
    names = [f for folder in ("/tmp", "/dev/shm") for f in os.listdir(folder)]
    names += [f"/dev/pts/{n}" for n in os.listdir("/dev/pts") if n != "ptmx"]
    with open("/proc/net/unix") as file:
        names += [line.split("@")[-1].strip() for line in file if MARK in line]
    mine = {str(os.getpid()), os.readlink("/proc/self"), "1"}
    for process in set(filter(str.isdigit, os.listdir("/proc"))) - mine:
        try:
            with open(f"/proc/{process}/comm") as file:
                names += [file.read().strip()]
        except OSError:
            continue
    return [n for n in names if own[:15] not in n and n not in terminals]


# At import: the next scenario's process waits while this one plays.
socket_of_mine = leave()
looked = []


def weigh(numbers):
    until = time.monotonic() + 0.5
    while not looked or time.monotonic() < until and len(looked) < 50:
        looked.append(seen())
        if any(looked):
            raise SystemExit(f"saw {looked[-1]}")
        time.sleep(0.01)
    return honest(numbers)
