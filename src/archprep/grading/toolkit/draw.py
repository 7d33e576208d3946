"""Draws the inputs of a scenario: names, tokens, addresses, instants, and plans that prove.

With `draw = Draw(rng)`, `draw.until(lambda: draw_plan(draw), model, model_without_priorities)` is a
plan on which a bus that ignores priorities cannot pass.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from archprep.core.errors import ContentError
from archprep.grading.api import difference

T = TypeVar("T")

# Without those that are easily confused: l and 1, o and 0.
LETTERS_AND_DIGITS = "abcdefghijkmnpqrstuvwxyz23456789"
NAMES = (
    "ada alan anita barbara dennis donald edsger frances grace guido hedy john katherine ken "
    "leslie linus lynn margaret niklaus radia sophie tim tony vint"
).split()
GRID = 0.25  # seconds; a power of two, so that sums of instants are exact
TRIES = 500
_FIRST_INSTANT = datetime(2031, 1, 1, tzinfo=UTC)
_TEN_YEARS = timedelta(days=3650).total_seconds()
_DOCUMENTATION_NETWORKS = ("192.0.2", "198.51.100", "203.0.113")  # RFC 5737


class UndecidedError(Exception):
    """Raised by a model, or while drawing, when the rules leave open what an input leads to."""


class Draw:
    """Draws from a source of randomness. What has to be unique is never drawn twice."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self._drawn: set[str] = set()

    # -- text

    def token(self, length: int = 10) -> str:
        """A text that means nothing, unlike any other drawn here."""
        return self.unique(lambda: "".join(self.rng.choices(LETTERS_AND_DIGITS, k=length)))

    def name(self) -> str:
        """The name of a person, in lower case; once all are used, with a number."""
        return self.word(NAMES)

    def word(self, words: Sequence[str]) -> str:
        """One of the words, unlike any other drawn here; once all are used, with a number."""
        left = [word for word in words if word not in self._drawn]
        if left:
            return self.unique(lambda: self.rng.choice(left))
        return self.unique(lambda: f"{self.rng.choice(words)}{self.rng.randint(2, 9999)}")

    def lookalikes(self) -> list[str]:
        """Identifiers that differ only in case, accents or separators, in any order."""
        first, second = self.name(), self.name()
        alike = [f"{first}{mark}{second}" for mark in ("-", "_", ".", "")]
        alike += [alike[0].title(), alike[0].upper(), f"{alike[0]}é", f"{alike[0]}è"]
        return self.rng.sample(alike, len(alike))

    def email(self, name: str | None = None) -> str:
        """An address under a domain that can belong to nobody (RFC 2606)."""
        local = name or self.name()
        return self.unique(lambda: f"{local}@{self._letters(6)}.example")

    def address(self, version: int | None = None) -> str:
        """An IP address from the ranges for documentation; version 4 or 6, or either."""
        version = version or self.rng.choice([4, 4, 4, 6])
        return self.unique(self._address_v4 if version == 4 else self._address_v6)

    def unique(self, make: Callable[[], str]) -> str:
        """What `make` returns, called again until it is unlike anything drawn before."""
        for _ in range(TRIES):
            if (text := make()) not in self._drawn:
                self._drawn.add(text)
                return text
        raise ContentError(f"{TRIES} draws were all drawn before, the last one was {text!r}.")

    # -- time

    def seconds(self, low: float, high: float, *, step: float = GRID) -> float:
        """A duration between `low` and `high`, both included, on the grid."""
        return self.rng.randint(round(low / step), round(high / step)) * step

    def monotonic(self, *, step: float = GRID) -> float:
        """An instant of a monotonic clock, whose origin means nothing: often 0, often large."""
        return self.rng.choice([0.0, self.seconds(1, 10**5, step=step), self.seconds(1e5, 1e7)])

    def instant(self, *, step: float = GRID) -> datetime:
        """An instant of the wall clock, aware, some time from 2031 to 2040."""
        return _FIRST_INSTANT + timedelta(seconds=self.seconds(0, _TEN_YEARS, step=step))

    # -- inputs that prove something

    def until(
        self,
        make: Callable[[], T],
        model: Callable[[T], Any],
        *wrong_models: Callable[[T], Any],
    ) -> T:
        """Draw with `make` until each wrong model answers otherwise than `model` does.

        UndecidedError from `make` or from `model` has it drawn again, too: a wrong model has to
        decide. ContentError when no draw fits: nearly all of them must prove what they are for.
        """
        equal = "the rules left every draw undecided"
        for _ in range(TRIES):
            try:
                drawn = make()
                expected = model(drawn)
            except UndecidedError:
                continue
            same = [wrong for wrong in wrong_models if difference(wrong(drawn), expected) is None]
            if not same:
                return drawn
            equal = f"{_name(same[0])} answered the last one like {_name(model)}"
        raise ContentError(f"None of {TRIES} draws tells wrong models from the right one: {equal}.")

    # -- helpers

    def _letters(self, length: int) -> str:
        return "".join(self.rng.choices("abcdefghijkmnpqrstuvwxyz", k=length))

    def _address_v4(self) -> str:
        return f"{self.rng.choice(_DOCUMENTATION_NETWORKS)}.{self.rng.randint(1, 254)}"

    def _address_v6(self) -> str:
        groups = [f"{self.rng.randrange(1, 1 << 16):x}" for _ in range(2)]
        return f"2001:db8:{groups[0]}::{groups[1]}"


def _name(model: Callable[..., Any]) -> str:
    inner = getattr(model, "func", model)  # of a partial
    return str(getattr(inner, "__name__", inner))
