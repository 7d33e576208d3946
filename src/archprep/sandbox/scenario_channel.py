"""The judge's end of a scenario's channel: reads frames strictly and answers calls of fakes.

Whatever breaks the rules is a CandidateError. Nothing that a scenario sends, or fails to read,
may block the judge or fill its memory.
"""

from __future__ import annotations

import os
import selectors
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from archprep.core.errors import CandidateError
from archprep.core.model import Reason
from archprep.core.sanitize import sanitize
from archprep.sandbox.deadline import SAMPLE_SECONDS, Deadline
from archprep.sandbox.fakes import ArgumentsError, Fake, HeldReply, Method, Refuse
from archprep.worker import protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

ONE_WAY = 0  # the number of a call that is not answered
MAX_BYTES = 8 << 20  # of a scenario's frames: parsed, they take 25 times as much memory
MAX_CALLS = 100_000  # of fakes in one scenario


class DeadlineError(Exception):
    """The deadline has passed. Not a TimeoutError: a fake may raise that one itself."""


class ScenarioChannel:
    """One scenario's frames. `imported` and `answer` are what it has sent so far."""

    def __init__(
        self,
        channel: socket.socket,
        fakes: Mapping[str, Fake],
        deadline: Deadline,
        look: Callable[[], None],
    ) -> None:
        channel.setblocking(False)
        self._channel = channel
        self._fakes = fakes
        self.deadline = deadline
        self._look = look
        self._buffer = bytearray()
        self._received = 0
        self._calls = 0
        self._worked = 0.0  # processor seconds that calls of fakes have taken
        self._sending = threading.Lock()  # a held reply may be released from another thread
        self.imported = False
        self.stopped = False
        self.answer: dict[str, Any] | None = None

    def send(self, frame: bytes, descriptors: Sequence[int] = ()) -> None:
        """Send a frame; DeadlineError if the scenario does not read it before its deadline."""
        with self._sending, suppress(BrokenPipeError, ConnectionResetError):  # reading will tell
            left = memoryview(frame)
            while left:
                left = left[self._send_when_writable(partial(self._channel.send, left)) :]
            if descriptors:
                send_fds = partial(socket.send_fds, self._channel, [b"F"], descriptors)
                self._send_when_writable(send_fds)

    def _send_when_writable(self, send: Callable[[], int]) -> int:
        while True:
            try:
                return send()
            except BlockingIOError:
                self._wait_to_send()

    def _wait_to_send(self) -> None:
        """Wait until the scenario has read something; it must be watched meanwhile."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._channel, selectors.EVENT_WRITE)
            selector.select(SAMPLE_SECONDS)
        if self.stopped:
            raise BrokenPipeError
        self.watch()

    def watch(self) -> None:
        """Check the scenario's limits; DeadlineError if its time is up."""
        self._look()
        if self.deadline.has_passed():
            raise DeadlineError

    def stop(self) -> None:
        """End the scenario from another thread: the reader sees the channel closed."""
        self.stopped = True
        with suppress(OSError):
            self._channel.shutdown(socket.SHUT_RD)

    def read(self) -> bool:
        """Read what has arrived and act on each whole frame; False if the channel is closed.

        What a fake raises, except `Refuse`, is raised here: it is a fault of the grader.
        """
        try:
            # Not recv(): a byte sent out of band would announce data that never comes.
            data = os.read(self._channel.fileno(), 65536)
        except BlockingIOError:
            return True
        except ConnectionResetError:
            data = b""
        self._buffer += data
        self._received += len(data)
        if self._received > MAX_BYTES:
            raise CandidateError(
                Reason.OUTPUT, f"sent more than {MAX_BYTES >> 20} MB to the judge in one scenario"
            )
        while self.answer is None and (message := self._next_frame()) is not None:
            self._act(message)
            if self.deadline.has_passed():
                raise DeadlineError
        return bool(data)

    def finish(self) -> None:
        """Refuse what follows the answer. The process has ended, so everything has arrived."""
        if self.stopped:
            return
        self._channel.setblocking(False)
        more = b""
        with suppress(OSError):
            more = self._channel.recv(1)
        if self.answer is not None and (self._buffer or more):
            raise _protocol_error("wrote more to the judge's channel after its answer")
        if self.answer is None and self._buffer:
            raise _protocol_error("broke off in the middle of a frame")

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
            raise _protocol_error(
                f"wrote to the judge's channel: {sanitize(str(e), 200)}"
            ) from None
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
                with self._counted(f"{fake}.{method}"):
                    self._answer(number, self._method(fake, method), fake, args, kwargs)
            case {"result": _, **rest} | {"raised": dict(), **rest} if not rest:
                self.answer = message
            case _:
                raise _protocol_error("wrote to the judge's channel: a frame of unknown kind")

    @contextmanager
    def _counted(self, call: str) -> Iterator[None]:
        """Keep the judge's work for one scenario within bounds; it is not the scenario's time."""
        self._calls += 1
        if self._calls > MAX_CALLS:
            raise _too_much(f"made more than {MAX_CALLS:,} calls in one scenario, the last", call)
        began = time.thread_time()
        with self.deadline.paused():
            yield
        self._worked += time.thread_time() - began
        if self._worked > self.deadline.seconds:
            most = f"{self.deadline.seconds:g} s"
            raise _too_much(f"kept the judge busy for more than {most} with calls, the last", call)

    def _method(self, fake: str, name: str) -> Method:
        found = self._fakes.get(fake)
        method = found.methods.get(name) if found else None
        if method is None:
            what = f"{sanitize(fake, 40)}.{sanitize(name, 40)}"
            raise _protocol_error(f"called {what}, which does not exist")
        return method

    def _answer(
        self, number: int, method: Method, fake: str, args: list[Any], kwargs: dict[str, Any]
    ) -> None:
        try:
            value = method.call(self._fakes[fake].target, args, kwargs)
        except Refuse as e:
            self._reply(number, {"error": str(e)})
        except ArgumentsError as e:
            said = f"{fake}.{method.function.__name__} was called with unusable arguments"
            self._reply(number, {"error": f"{said}: {sanitize(str(e), 200)}"})
        else:
            self._reply(number, {"value": value})

    def _reply(self, number: int, outcome: dict[str, Any]) -> None:
        if number == ONE_WAY:
            return
        held = outcome.get("value")
        if not isinstance(held, HeldReply):
            self.send(_encoded(number, outcome))
            return

        def send(value: Any) -> None:
            with suppress(DeadlineError, OSError):  # the scenario may have ended
                self.send(_encoded(number, {"value": value}))

        held.send_with(send)


def _encoded(number: int, outcome: dict[str, Any]) -> bytes:
    try:
        return protocol.encode({"id": number} | outcome)
    except protocol.ProtocolError as e:
        return protocol.encode({"id": number, "error": f"the answer cannot be sent: {e}"})


def _too_much(what: str, call: str) -> CandidateError:
    return CandidateError(Reason.OUTPUT, f"{what} of {sanitize(call, 80)}")


def _protocol_error(what: str) -> CandidateError:
    return CandidateError(Reason.PROTOCOL, what)
