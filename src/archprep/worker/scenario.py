"""One scenario in a process of its own: imports the candidate's modules, runs one probe, answers.

The candidate can read and rewrite everything here, so there is nothing to find: no expected
value, no points, no name of a criterion.
"""

from __future__ import annotations

import faulthandler
import importlib
import os
import socket
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from . import exceptions, own_modules, protocol
from .stubs import Channel, Stub

if TYPE_CHECKING:
    from types import ModuleType

# This process belongs to one scenario: the candidate's folder, a channel to the judge.
root = ""
channel: Channel


def play(
    sock: socket.socket, probes: ModuleType, submission: str, entry: list[str], seconds: float
) -> None:
    """Import the candidate's modules and serve the one request on this channel; never raises."""
    global root, channel
    root, channel = submission, Channel(sock)
    phase = "import"
    try:
        _dump_stack_before(min(seconds, protocol.IMPORT_SECONDS))
        folders = list(dict.fromkeys([submission, *(_folder(m, submission) for m in entry)]))
        own_modules.prefer_own(folders)
        # Last on the path: a candidate's random.py must not replace the library's.
        sys.path += folders
        for module in entry:
            importlib.import_module(module)
        channel.send({"imported": True})
        phase = "probe"
        faulthandler.cancel_dump_traceback_later()
        request = protocol.receive(sock) or {}
        _dump_stack_before(seconds)
        inputs = request["inputs"] | _sockets(sock, request)
        inputs |= {name: Stub(channel, name, one_way) for name, one_way in request["fakes"].items()}
        result = getattr(probes, request["probe"])(**inputs)
        _flush()
        channel.send({"result": result})
    except BaseException as e:  # noqa: BLE001 - SystemExit and KeyboardInterrupt are the candidate's too
        report(e, phase)


def report(error: BaseException, phase: str = "probe") -> None:
    """End the scenario with this exception, from whichever process of it."""
    _flush()
    channel.send({"raised": {"phase": phase} | exceptions.describe(error, root)})


def _folder(module: str, submission: str) -> str:
    """Return the folder of a module of the candidate's; files in it can be imported as well."""
    return os.path.join(submission, *module.split(".")[:-1])


def _sockets(sock: socket.socket, request: dict[str, Any]) -> dict[str, Any]:
    """Receive the judge's sockets: listening ones, and paths of ones to connect to."""
    count, endpoints = request["listeners"], request["endpoints"]
    if not count and not endpoints:
        return {}
    _, fds, _, _ = socket.recv_fds(sock, 1, count + len(endpoints))
    paths = (f"/proc/self/fd/{fd}" for fd in fds[count:])
    inputs: dict[str, Any] = dict(zip(endpoints, paths, strict=True))
    if count:
        inputs["listeners"] = [socket.socket(fileno=fd) for fd in fds[:count]]
    return inputs


def _dump_stack_before(seconds: float) -> None:
    """Write the stack to the log shortly before the time is up.

    Once only: it is read while the code runs on, which seldom but surely ends the process.
    """
    with suppress(RuntimeError):  # no thread left for it: the dump is only a help
        faulthandler.dump_traceback_later(max(seconds - 0.2, seconds / 2), file=2)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(BaseException):  # the candidate may have closed or replaced it
            stream.flush()
