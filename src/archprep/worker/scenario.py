"""One scenario, in a process of its own: import the candidate's modules, run one probe, answer.

Everything here can be read and rewritten by the candidate, which is why it knows nothing:
no expected value, no weight, no name of a criterion.
"""

from __future__ import annotations

import faulthandler
import importlib
import os
import socket
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from . import exceptions as raised
from . import protocol
from .stubs import Channel, Stub

if TYPE_CHECKING:
    from types import ModuleType

# This process is one scenario's: a folder of the candidate's files, a channel to the judge.
root = ""
channel: Channel


def play(
    sock: socket.socket, probes: ModuleType, submission: str, entry: list[str], seconds: float
) -> None:
    """Import the candidate's modules, serve the one request on this channel; never raises."""
    global root, channel
    root, channel = submission, Channel(sock)
    phase = "import"
    try:
        _say_where_it_hangs(min(seconds, protocol.IMPORT_SECONDS))
        # Last on the path: a candidate's random.py must not replace the library's.
        sys.path.append(submission)
        for module in entry:
            _import(module, submission)
        channel.send({"imported": True})
        phase = "probe"
        faulthandler.cancel_dump_traceback_later()
        request = protocol.receive(sock) or {}
        _say_where_it_hangs(seconds)
        inputs = request["inputs"] | _sockets(sock, request)
        inputs |= {name: Stub(channel, name, told) for name, told in request["fakes"].items()}
        result = getattr(probes, request["probe"])(**inputs)
        _flush()
        channel.send({"result": result})
    except BaseException as e:  # noqa: BLE001 - SystemExit and KeyboardInterrupt are the candidate's too
        report(e, phase)


def report(error: BaseException, phase: str = "probe") -> None:
    """End the scenario with this exception, from whichever process of it."""
    _flush()
    channel.send({"raised": {"phase": phase} | raised.describe(error, root)})


def _import(module: str, submission: str) -> None:
    """Import a module of the candidate's; what lies beside it can be imported, too."""
    if folder := module.rpartition(".")[0]:
        sys.path.append(os.path.join(submission, folder.replace(".", "/")))
    importlib.import_module(module)


def _sockets(sock: socket.socket, request: dict[str, Any]) -> dict[str, Any]:
    """Take what the judge has made: sockets that listen, and files of sockets to connect to."""
    count, endpoints = request["listeners"], request["endpoints"]
    if not count and not endpoints:
        return {}
    _, fds, _, _ = socket.recv_fds(sock, 1, count + len(endpoints))
    paths = (f"/proc/self/fd/{fd}" for fd in fds[count:])
    inputs: dict[str, Any] = dict(zip(endpoints, paths, strict=True))
    if count:
        inputs["listeners"] = [socket.socket(fileno=fd) for fd in fds[:count]]
    return inputs


def _say_where_it_hangs(seconds: float) -> None:
    """Have the stack written on the log just before the judge ends an endless scenario."""
    with suppress(RuntimeError):  # no thread can be had for it: it is only a help
        faulthandler.dump_traceback_later(max(seconds - 0.2, seconds / 2), file=2)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(BaseException):  # the candidate may have closed or replaced it
            stream.flush()
