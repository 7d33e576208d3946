"""Unix sockets that the judge creates and passes into the sandbox as descriptors.

No folder with a socket is mounted in the sandbox: the candidate's code could replace the socket,
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
    """A socket that a probe may connect to; the probe receives a path."""

    path: Path

    def open(self) -> int:
        """Return a new descriptor of the socket's file; only Linux can connect to one."""
        return os.open(self.path, os.O_PATH)


@contextmanager
def listeners(count: int) -> Iterator[list[socket.socket]]:
    """Give listening sockets, bound to paths in a folder that only the judge can enter."""
    with tempfile.TemporaryDirectory(prefix="archprep-") as folder, ExitStack() as opened:
        found = [opened.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(count)]
        place = folder
        if processes.is_linux():
            # A socket reveals the path it is bound to, which should not be one of this machine.
            # A path may also be longer than the 107 bytes allowed.
            descriptor = os.open(folder, os.O_PATH)
            opened.callback(os.close, descriptor)
            place = f"/proc/self/fd/{descriptor}"
        for number, listener in enumerate(found):
            listener.bind(f"{place}/{number}")
            Path(folder, str(number)).chmod(0o777)  # the sandbox has another user
            listener.listen(BACKLOG)
        try:
            yield found
        finally:
            for listener in found:
                with suppress(OSError):  # closed already if it was passed to a sandbox
                    listener.shutdown(socket.SHUT_RDWR)  # wakes threads waiting in accept()


@contextmanager
def silent_endpoint() -> Iterator[Endpoint]:
    """Give a socket that accepts connections and never answers."""
    with listeners(1) as (listener,):
        yield Endpoint(Path(listener.getsockname()))
