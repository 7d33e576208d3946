"""Stubs of judge-side fakes: each call is a frame that the judge answers.

A stub holds no state, so there is nothing in it to read or forge: to forge a call is to make it.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from . import protocol

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator


class FakeError(Exception):
    """The fake refused the call, for the reason given."""


class Channel:
    """Calls over one socket from any number of threads; the first one waiting reads for all."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._changed = threading.Condition()
        self._replies: dict[int, dict[str, Any]] = {}
        self._reading = False
        self._last = 0
        self._unsent = b""

    def send(self, message: dict[str, Any]) -> None:
        """Send one frame, after the one-way calls that wait for it."""
        frame = protocol.encode(message)
        with self._changed:
            frames, self._unsent = self._unsent + frame, b""
            self._sock.sendall(frames)

    def call(self, fake: str, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a fake and wait for its answer."""
        with self._changed:
            self._last = number = self._last + 1
        self.send(_call(number, fake, method, args, kwargs))
        reply = self._wait_for(number)
        if "error" in reply:
            raise FakeError(reply["error"])
        return reply["value"]

    def call_one_way(
        self, fake: str, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """Call a fake without waiting: there is no answer.

        The frame is sent with the next one, so that the judge wakes up once for both.
        """
        frame = protocol.encode(_call(0, fake, method, args, kwargs))
        with self._changed:
            self._unsent += frame

    def _wait_for(self, number: int) -> dict[str, Any]:
        with self._changed:
            while number not in self._replies:
                if self._reading:
                    self._changed.wait()
                else:
                    self._read_one()
            return self._replies.pop(number)

    def _read_one(self) -> None:
        self._reading = True
        self._changed.release()
        try:
            reply = protocol.receive(self._sock)
        finally:
            self._changed.acquire()
            self._reading = False
            self._changed.notify_all()
        if reply is None:
            raise FakeError("the judge has ended this scenario")
        self._replies[reply["id"]] = reply


def _call(
    number: int, fake: str, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any]:
    return {"call": number, "fake": fake, "method": method, "args": args, "kwargs": kwargs}


class Stub:
    """Stands for one fake: every method call is a call to the judge.

    Those of the methods in `one_way` return None at once; the judge receives them in order.
    """

    def __init__(self, channel: Channel, name: str, one_way: list[str]) -> None:
        self.__channel = channel
        self.__name = name
        self.__one_way = one_way

    def __iter__(self) -> Iterator[Any]:
        """Yield what the fake's method `next` returns, until that is None."""
        return iter(self.next, None)

    def __getattr__(self, method: str) -> Callable[..., Any]:
        if method.startswith("_"):
            raise AttributeError(method)
        send = self.__channel.call_one_way if method in self.__one_way else self.__channel.call

        def call(*args: Any, **kwargs: Any) -> Any:
            return send(self.__name, method, args, kwargs)

        # Kept, so that the next call finds it without building it again.
        self.__dict__[method] = call
        return call
