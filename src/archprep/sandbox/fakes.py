"""Judge-side fakes: objects whose methods a scenario calls over its channel.

    class Clock:
        @exposed
        def sleep(self, seconds: Annotated[float, Meta(ge=0, le=3600)]) -> None: ...

Only methods marked `@exposed` can be called. Their arguments are checked against the annotations
before the method runs, so what the candidate passes wrongly is refused there, and whatever the
method raises afterwards (except `Refuse`) is a fault of the grader.
"""

from __future__ import annotations

import inspect
import threading
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from archprep.core.errors import ContentError

F = TypeVar("F", bound=Callable[..., Any])
_MARK = "__exposed__"


class Refuse(Exception):  # noqa: N818 - reads as what a fake does
    """Raised by a fake: the call fails in the probe with this text."""


class ArgumentsError(Exception):
    """A call's arguments do not fit the method's annotations."""


class HeldReply:
    """A reply that the judge holds back until it is released.

    A fake's method returns one. This makes a barrier without a clock; a reply that is never
    released is never sent.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._send: Callable[[Any], None] | None = None
        self._released: list[Any] = []

    def release(self, value: Any = None) -> None:
        """Answer the call with `value`; only the first release counts."""
        with self._lock:
            self._released.append(value)
            if self._send is not None and len(self._released) == 1:
                self._send(value)

    def send_with(self, send: Callable[[Any], None]) -> None:
        """Set how the value is sent; sends at once if it has been released already."""
        with self._lock:
            self._send = send
            if self._released:
                send(self._released[0])


@dataclass(frozen=True, slots=True)
class Fake:
    """An input of a probe that stays in the judge; the probe gets a stub of it."""

    target: Any
    methods: dict[str, Method]

    @property
    def one_way(self) -> tuple[str, ...]:
        """The methods whose calls are not answered."""
        return tuple(name for name, method in self.methods.items() if method.one_way)


@dataclass(frozen=True, slots=True)
class Method:
    """An exposed method of a class, with the types of its parameters."""

    function: Callable[..., Any]
    signature: inspect.Signature
    types: dict[str, Any]
    one_way: bool

    def call(self, target: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Check the arguments and call; raises ArgumentsError for ones that do not fit."""
        try:
            bound = self.signature.bind(target, *args, **kwargs)
        except TypeError as e:
            raise ArgumentsError(str(e)) from None
        for name, value in bound.arguments.items():
            bound.arguments[name] = self._checked(name, value)
        return self.function(*bound.args, **bound.kwargs)

    def _checked(self, name: str, value: Any) -> Any:
        import msgspec

        kind = self.types.get(name, Any)
        if kind is Any:
            return value
        try:
            return msgspec.convert(value, kind, strict=True)
        except msgspec.ValidationError as e:
            raise ArgumentsError(f"{name}: {e}") from None


@overload
def exposed(method: F, /) -> F: ...
@overload
def exposed(*, one_way: bool = False) -> Callable[[F], F]: ...
def exposed(method: F | None = None, /, *, one_way: bool = False) -> F | Callable[[F], F]:
    """Let scenarios call this method of a fake. Every parameter must be annotated.

    `one_way`: the call is not answered and not waited for; it arrives, in order, with the next
    call that is. For what needs neither a reply nor an instant of the judge's clock.
    """

    def mark(function: F) -> F:
        setattr(function, _MARK, one_way)
        return function

    return mark if method is None else mark(method)


def fake(target: Any) -> Fake:
    """Keep `target` in the judge and give the probe a stub of its exposed methods."""
    return Fake(target, _methods(type(target)))


def _methods(kind: type) -> dict[str, Method]:
    found = {}
    for name in dir(kind):
        function = inspect.getattr_static(kind, name)
        if callable(function) and hasattr(function, _MARK):
            found[name] = _method(kind, name, function)
    if not found:
        raise ContentError(f"The fake {kind.__name__} has no method marked @exposed.")
    return found


def _method(kind: type, name: str, function: Callable[..., Any]) -> Method:
    signature = inspect.signature(function)
    hints = typing.get_type_hints(function, include_extras=True)
    _, *parameters = signature.parameters.values()
    for parameter in parameters:
        if parameter.name not in hints:
            raise ContentError(
                f"{kind.__name__}.{name}: annotate the parameter `{parameter.name}`, "
                "so that arguments can be checked."
            )
    types = {p.name: _of_parameter(p, hints[p.name]) for p in parameters}
    return Method(function, signature, types, getattr(function, _MARK))


def _of_parameter(parameter: inspect.Parameter, hint: Any) -> Any:
    """The type of what `bind` collects: *args becomes a tuple, **kwargs a dict."""
    if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
        return tuple[hint, ...]
    if parameter.kind is inspect.Parameter.VAR_KEYWORD:
        return dict[str, hint]
    return hint
