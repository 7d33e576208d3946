"""Checks an HTTP reply in one readable chain.

    check = ReplyCheck(reply, given="POST /orders as ann", calls={"the store": store.calls})
    check.status(429).called("the store", 0).retry_after(12)
    check.problem({"type": QUOTA_EXCEEDED, "status": 429, "title": str})
    check.fields("RateLimit", [["minute", {"r": 0, "t": 12}]], parameters="rt")

The first link that does not hold fails the criterion: the request in words, what was expected,
and what came instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sized
from dataclasses import dataclass, field
from typing import Any, Self

from archprep.grading import api
from archprep.grading.http_client import Reply
from archprep.grading.toolkit import structured_fields

PROBLEM = "application/problem+json"
SHOWN = 120  # characters of a value in a sentence


@dataclass(frozen=True)
class ReplyCheck:
    """A reply to check, and what a failure says about it.

    `given` is the request in words, `because` the cause of an error if the judge knows it, and
    `calls` the logs of judge-side fakes by the names that sentences use. `expect` replaces
    `grading.expect`.
    """

    reply: Reply
    given: str = ""
    because: str = ""
    calls: Mapping[str, Sized] = field(default_factory=dict)
    expect: Callable[..., None] = api.expect

    # -- the links; `says` states the promised behaviour in the words of the brief

    def status(self, *allowed: int, says: str = "") -> Self:
        """The status is one of these."""
        codes = " or ".join(map(str, allowed))
        return self._expect(self.reply.status in allowed, f"the reply is {codes}", says)

    def called(self, what: str, times: int, *, at_least: bool = False, says: str = "") -> Self:
        """A fake was called this often, or `at_least` this often."""
        count = len(self.calls[what])
        due = describe_calls(what, times) + " or more often" * at_least
        return self._expect(count == times or (at_least and count > times), due, says)

    def header(self, name: str, value: str | re.Pattern[str], *, says: str = "") -> Self:
        """A field has this value, or one that the pattern matches as a whole."""
        found = self.reply.header(name)
        if isinstance(value, str):
            return self._expect(found == value, f"{name}: {value}", says, self._field(name))
        matches = found is not None and value.fullmatch(found) is not None
        return self._expect(matches, f"a valid {name}", says, self._field(name))

    def has(self, *names: str, says: str = "") -> Self:
        """All of these fields are there."""
        for name in names:
            there = self.reply.header(name) is not None
            self._expect(there, f"the reply has {name}", says, self._field(name))
        return self

    def lacks(self, *names: str, says: str = "") -> Self:
        """None of these fields is there."""
        for name in names:
            there = self.reply.header(name) is not None
            self._expect(not there, f"the reply has no {name}", says, self._field(name))
        return self

    def retry_after(self, seconds: int | None = None, *, says: str = "") -> Self:
        """Retry-After is `seconds`, or any whole number of at least 1."""
        if seconds is not None:
            return self.header("Retry-After", str(seconds), says=says)
        says = says or "Retry-After is a whole number, at least 1"
        return self.header("Retry-After", re.compile("0*[1-9][0-9]{0,8}"), says=says)

    def fields(
        self,
        name: str,
        members: list[Any],
        *,
        parameters: Collection[str] | None = None,
        says: str = "",
    ) -> Self:
        """A structured field is the list of these members, each with its parameters.

        If `parameters` is given, only these are compared: the brief leaves others free.
        """
        due, found = f"{name}: {structured_fields.as_text(members)}", self.reply.header(name)
        if found is None:
            return self._expect(False, due, says, self._field(name))
        try:
            seen = structured_fields.parse_list(found, parameters)
        except ValueError as e:
            fault = f"{self._field(name)}, which is not a list as in RFC 9651: {e}"
            return self._expect(False, due, says, fault)
        return self._expect(api.difference(seen, members) is None, due, says, self._field(name))

    def text(self, body: str, *, says: str = "") -> Self:
        """The body is this text."""
        seen = self.reply.body.decode("latin-1")
        return self._expect(seen == body, f"body {short(body)}", says, f"body {short(seen)}")

    def json(self, members: Mapping[str, Any], *, says: str = "") -> Self:
        """The body is a JSON object with these members; others may be there as well.

        A type stands for any value of this type. CandidateError if the body is not JSON.
        """
        body = self.reply.json()
        if not isinstance(body, dict):
            return self._expect(False, "a JSON object", says, f"body {short(body)}")
        for name, due in members.items():
            seen = f'"{name}": {short(body[name])}' if name in body else f'no "{name}" in the body'
            self._expect(_fits(body.get(name), due), f'"{name}": {_shown(due)}', says, seen)
        return self

    def problem(self, members: Mapping[str, Any], *, says: str = "") -> Self:
        """The body is problem details (RFC 9457) with these members, as in `json`."""
        kind = (self.reply.header("Content-Type") or "").partition(";")[0].strip().lower()
        self._expect(kind == PROBLEM, f"Content-Type: {PROBLEM}", says, self._field("Content-Type"))
        return self.json(members, says=says)

    # -- the sentences

    def describe(self) -> str:
        """The reply in words: its status, the cause of an error, and which fakes were called."""
        because = f", because {self.because}" if self.because else ""
        called = [f"; {describe_calls(what, len(log))}" for what, log in self.calls.items()]
        return f"the reply is {self.reply.status}{because}{''.join(called)}"

    def _field(self, name: str) -> str:
        value = self.reply.header(name)
        return f"no {name} field" if value is None else f"{name}: {value}"

    def _expect(self, condition: bool, due: str, says: str, seen: str = "") -> Self:  # noqa: FBT001
        self.expect(
            condition,
            expected=f"{says}. Here: {due}" if says else due,
            observed=self.describe() + (f"; {seen}" if seen else ""),
            given=self.given or None,
        )
        return self


def describe_calls(what: str, times: int) -> str:
    """How often something was called, in words."""
    often = {0: "not called", 1: "called once"}.get(times, f"called {times} times")
    return f"{what} was {often}"


def short(value: Any) -> str:
    """A value in a sentence, cut if it is long."""
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _fits(seen: Any, due: Any) -> bool:
    if isinstance(due, type):
        return type(seen) is due
    return api.difference(seen, due) is None


def _shown(due: Any) -> str:
    return f"any {due.__name__}" if isinstance(due, type) else short(due)
