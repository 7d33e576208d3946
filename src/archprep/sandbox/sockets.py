"""Unix sockets that the judge makes and whose descriptors alone enter the sandbox.

No folder with a socket is ever bound into it: a candidate could put something else in its place,
and the judge's next request would go there.
"""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from archprep.sandbox import processes

BACKLOG = 1024


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A socket that a probe may connect to; what it gets is a path."""

    path: Path

    def open(self) -> int:
        """Return a new descriptor of the socket's file; only Linux can connect to such."""
        return os.open(self.path, os.O_PATH)


@contextmanager
def listeners(count: int) -> Iterator[list[socket.socket]]:
    """Give sockets that listen, each named by its path in a folder that is the judge's alone."""
    with tempfile.TemporaryDirectory(prefix="archprep-") as folder, ExitStack() as opened:
        found = [opened.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(count)]
        place = folder
        if processes.is_linux():
            # Whoever has a socket can ask for its name, which would be a path of this machine;
            # and a name has at most 107 bytes.
            descriptor = os.open(folder, os.O_PATH)
            opened.callback(os.close, descriptor)
            place = f"/proc/self/fd/{descriptor}"
        for number, listener in enumerate(found):
            listener.bind(f"{place}/{number}")
            Path(folder, str(number)).chmod(0o777)  # the sandbox's user is another one
            listener.listen(BACKLOG)
        try:
            yield found
        finally:
            for listener in found:
                with suppress(OSError):  # closed already where it went into a sandbox
                    listener.shutdown(socket.SHUT_RDWR)  # wakes whoever waits for a connection


@contextmanager
def silent_endpoint() -> Iterator[Endpoint]:
    """Give a socket that accepts connections and never answers."""
    with listeners(1) as (listener,):
        yield Endpoint(Path(listener.getsockname()))
