"""Draws the inputs of a scenario: names, tokens, addresses, instants, and plans that prove.

With `draw = Draw(rng)`, `draw.until(lambda: draw_plan(draw), model, model_without_priorities)` is a
plan on which a bus that ignores priorities cannot pass.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from archprep.core.errors import GraderFault
from archprep.grading.api import difference

T = TypeVar("T")

# Without l, 1, o and 0, which are easily confused.
LETTERS_AND_DIGITS = "abcdefghijkmnpqrstuvwxyz23456789"
NAMES = (
    "ada alan anita barbara dennis donald edsger frances grace guido hedy john katherine ken "
    "leslie linus lynn margaret niklaus radia sophie tim tony vint"
).split()
GRID = 0.25  # seconds; a power of two, so that sums of instants are exact
TRIES = 500
_FIRST_INSTANT = datetime(2031, 1, 1, tzinfo=UTC)
_TEN_YEARS = timedelta(days=3650).total_seconds()


class UndecidedError(Exception):
    """Raised by a model, or while drawing, when the rules leave open what an input leads to."""


class Draw:
    """Draws from a source of randomness; text is never drawn twice."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self._drawn: set[str] = set()

    # -- text

    def token(self, length: int = 10) -> str:
        """Random letters and digits."""
        return self.unique(lambda: "".join(self.rng.choices(LETTERS_AND_DIGITS, k=length)))

    def name(self) -> str:
        """A person's first name, in lower case; with a number once all are used."""
        return self.word(NAMES)

    def word(self, words: Sequence[str]) -> str:
        """One of the words; with a number once all are used."""
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
        """An e-mail address under a reserved domain (RFC 2606)."""
        local = name or self.name()
        return self.unique(lambda: f"{local}@{self._letters(6)}.example")

    def address(self, version: int | None = None) -> str:
        """An IP address from the ranges reserved for documentation and benchmarks.

        192.0.2.0/24 is never drawn: it is for addresses that an exercise chooses itself.
        """
        version = version or self.rng.choice([4, 4, 4, 6])
        return self.unique(self._address_v4 if version == 4 else self._address_v6)

    def unique(self, make: Callable[[], str]) -> str:
        """Call `make` until it returns a text that was not drawn before."""
        for _ in range(TRIES):
            if (text := make()) not in self._drawn:
                self._drawn.add(text)
                return text
        raise GraderFault(f"{TRIES} draws were all drawn before, the last one was {text!r}.")

    # -- time

    def seconds(self, low: float, high: float, *, step: float = GRID) -> float:
        """A duration between `low` and `high`, both included, on the grid."""
        return self.rng.randint(round(low / step), round(high / step)) * step

    def monotonic(self, *, step: float = GRID) -> float:
        """An instant of a monotonic clock, whose origin is arbitrary: 0, small or large."""
        return self.rng.choice([0.0, self.seconds(1, 10**5, step=step), self.seconds(1e5, 1e7)])

    def instant(self, *, step: float = GRID) -> datetime:
        """An aware instant of the wall clock between 2031 and 2040."""
        return _FIRST_INSTANT + timedelta(seconds=self.seconds(0, _TEN_YEARS, step=step))

    # -- inputs that prove something

    def until(
        self,
        make: Callable[[], T],
        model: Callable[[T], Any],
        *wrong_models: Callable[[T], Any],
    ) -> T:
        """Draw with `make` until every wrong model gives another answer than `model`.

        An input is also drawn again if `make` or `model` raises UndecidedError; a wrong model has
        to decide. GraderFault after 500 draws: most of them should tell the models apart.
        """
        equal = "the rules left every draw undecided"
        for _ in range(TRIES):
            try:
                drawn = make()
                expected = model(drawn)
            except UndecidedError:
                continue
            same = [
                f"wrong model {number} ({_name(wrong)})"
                for number, wrong in enumerate(wrong_models, 1)
                if difference(wrong(drawn), expected) is None
            ]
            if not same:
                return drawn
            equal = f"{' and '.join(same)} answered the last one like {_name(model)}"
        raise GraderFault(f"None of {TRIES} draws tells wrong models from the right one: {equal}.")

    # -- helpers

    def _letters(self, length: int) -> str:
        return "".join(self.rng.choices("abcdefghijkmnpqrstuvwxyz", k=length))

    def _address_v4(self) -> str:
        benchmarks = f"198.{self.rng.randint(18, 19)}.{self.rng.randint(0, 255)}"  # RFC 2544
        network = self.rng.choice(["198.51.100", "203.0.113", benchmarks])  # RFC 5737
        return f"{network}.{self.rng.randint(1, 254)}"

    def _address_v6(self) -> str:
        groups = [f"{self.rng.randrange(1, 1 << 16):x}" for _ in range(2)]
        return f"2001:db8:{groups[0]}::{groups[1]}"


def _name(model: Callable[..., Any]) -> str:
    inner = getattr(model, "func", model)  # of a partial
    return str(getattr(inner, "__name__", inner))
