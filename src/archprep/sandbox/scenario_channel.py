"""The judge's end of a scenario's channel: reads frames strictly, answers calls of its objects.

Whatever breaks the rules is a CandidateError. Nothing that comes in, and nothing that the
scenario fails to read, may hold the judge up or fill its memory.
"""

from __future__ import annotations

import os
import selectors
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from archprep.core.errors import CandidateError
from archprep.core.model import Reason
from archprep.core.sanitize import sanitize
from archprep.worker import protocol

WATCH_EVERY = 0.02
TOLD = 0  # the number of a call that wants no answer
MOST_BYTES = 8 << 20  # of frames in one scenario: parsed, they take the judge 25 times as much


class Refuse(Exception):  # noqa: N818 - reads as what a fake does
    """Raised by a judge-side fake: the call fails in the worker with this text."""


class HeldReply:
    """A reply that the judge holds back: a fake's method returns one, whoever may releases it.

    This makes a barrier without a clock. One that is never released is never answered.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._send: Callable[[Any], None] | None = None
        self._released: list[Any] = []

    def release(self, value: Any = None) -> None:
        """Answer the call with `value`; only the first time counts."""
        with self._lock:
            self._released.append(value)
            if self._send is not None and len(self._released) == 1:
                self._send(value)

    def answer_with(self, send: Callable[[Any], None]) -> None:
        """Say how the value goes out: at once, if it has been released meanwhile."""
        with self._lock:
            self._send = send
            if self._released:
                send(self._released[0])


class DeadlineError(Exception):
    """The deadline is over. No TimeoutError: a judge's object may raise that one itself."""


class ScenarioChannel:
    """One scenario's frames. `imported` and `answer` are what it has said so far."""

    def __init__(
        self,
        channel: socket.socket,
        fakes: dict[str, Any],
        deadline: float,
        watch: Callable[[], None],
    ) -> None:
        channel.setblocking(False)
        self._channel = channel
        self._fakes = fakes
        self.deadline = deadline
        self._watch = watch
        self._buffer = bytearray()
        self._received = 0
        self._sending = threading.Lock()  # whoever releases a held reply sends it, too
        self.imported = False
        self.stopped = False
        self.answer: dict[str, Any] | None = None

    def send(self, frame: bytes, descriptors: Sequence[int] = ()) -> None:
        """Send a frame; DeadlineError when the scenario does not read it before its deadline."""
        with self._sending, suppress(BrokenPipeError, ConnectionResetError):  # reading will tell
            left = memoryview(frame)
            while left:
                left = left[self._patiently(partial(self._channel.send, left)) :]
            if descriptors:
                self._patiently(partial(socket.send_fds, self._channel, [b"F"], descriptors))

    def _patiently(self, send: Callable[[], int]) -> int:
        """Send when the scenario has read enough. Until then somebody has to watch it."""
        while True:
            try:
                return send()
            except BlockingIOError:
                self._wait_to_send()

    def _wait_to_send(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._channel, selectors.EVENT_WRITE)
            selector.select(WATCH_EVERY)
        if self.stopped:
            raise BrokenPipeError
        if time.monotonic() > self.deadline:
            raise DeadlineError
        self._watch()

    def stop(self) -> None:
        """End the scenario from another thread: whoever reads sees that it has hung up."""
        self.stopped = True
        with suppress(OSError):
            self._channel.shutdown(socket.SHUT_RD)

    def read(self) -> bool:
        """Read what has come and act on each whole frame; False when the scenario has hung up."""
        try:
            # Not recv(): it would wait, for one byte sent out of band announces what never comes.
            data = os.read(self._channel.fileno(), 65536)
        except BlockingIOError:
            return True
        except ConnectionResetError:
            data = b""
        self._buffer += data
        self._received += len(data)
        if self._received > MOST_BYTES:
            raise CandidateError(
                Reason.OUTPUT, f"sent more than {MOST_BYTES >> 20} MB to the judge in one scenario"
            )
        while self.answer is None and (message := self._next_frame()) is not None:
            self._act(message)
        return bool(data)

    def finish(self) -> None:
        """Refuse what follows the answer. The process is dead, so what it sent is all here."""
        if self.stopped:
            return
        self._channel.setblocking(False)
        more = b""
        with suppress(OSError):
            more = self._channel.recv(1)
        if self.answer is not None and (self._buffer or more):
            raise _broken("wrote more to the judge's channel after its answer")
        if self.answer is None and self._buffer:
            raise _broken("broke off in the middle of a frame")

    def _next_frame(self) -> dict[str, Any] | None:
        size, buffer = protocol.HEADER.size, self._buffer
        if len(buffer) < size:
            return None
        try:
            stop = size + protocol.body_length(bytes(buffer[:size]))
            if len(buffer) < stop:
                return None
            message = protocol.decode(bytes(buffer[size:stop]))
        except protocol.ProtocolError as e:
            raise _broken(f"wrote to the judge's channel: {sanitize(str(e), 200)}") from None
        del buffer[:stop]
        return message

    def _act(self, message: dict[str, Any]) -> None:
        match message:
            case {"imported": True, **rest} if not rest:
                self.imported = True
            case {
                "call": int(number),
                "fake": str(fake),
                "method": str(method),
                "args": list(args),
                "kwargs": dict(kwargs),
                **rest,
            } if not rest:
                outcome = self._called(fake, method, args, kwargs)
                if number != TOLD:
                    self._reply(number, outcome)
            case {"result": _, **rest} | {"raised": dict(), **rest} if not rest:
                self.answer = message
            case _:
                raise _broken("wrote to the judge's channel: a frame of no known kind")

    def _reply(self, number: int, outcome: dict[str, Any]) -> None:
        held = outcome.get("value")
        if not isinstance(held, HeldReply):
            self.send(_encoded(number, outcome))
            return

        def send(value: Any) -> None:
            with suppress(DeadlineError, OSError):  # the scenario may be over by now
                self.send(_encoded(number, {"value": value}))

        held.answer_with(send)

    def _called(
        self, fake: str, method: str, args: list[Any], kwargs: dict[str, Any]
    ) -> dict[str, Any]:
        """Call the judge's object; only public methods of declared fakes can be reached."""
        target = self._fakes.get(fake)
        function = None if target is None else _public_method(type(target), method)
        if function is None:
            raise _broken(
                f"called {sanitize(fake, 40)}.{sanitize(method, 40)}, which does not exist"
            )
        try:
            return {"value": function(target, *args, **kwargs)}
        except Refuse as e:
            return {"error": str(e)}
        except _UNUSABLE as e:
            # The arguments came through the candidate's code: malformed ones are its doing. The
            # reference makes the same calls: a fault of the fake itself shows in `author check`.
            said = sanitize(str(e), 200)
            return {"error": f"{fake}.{method} was called with unusable arguments: {said}"}


# What a fake raises when it is given nonsense: numbers too large, texts that are no such thing.
_UNUSABLE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)


def _public_method(kind: type, name: str) -> Any:
    """Look a method up in the class itself: getattr would also find those of its metaclass."""
    if name.startswith("_"):
        return None
    found = next((vars(k)[name] for k in kind.__mro__ if name in vars(k)), None)
    return found if callable(found) else None


def _encoded(number: int, outcome: dict[str, Any]) -> bytes:
    try:
        return protocol.encode({"id": number} | outcome)
    except protocol.ProtocolError as e:
        return protocol.encode({"id": number, "error": f"the answer cannot be sent: {e}"})


def _broken(what: str) -> CandidateError:
    return CandidateError(Reason.PROTOCOL, what)
