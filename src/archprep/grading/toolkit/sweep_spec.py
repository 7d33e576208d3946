"""What an exercise says about its sweep: how programs are drawn, compared and put into words."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

if TYPE_CHECKING:
    from archprep.grading.toolkit.sweep_compare import Difference

Program = dict[str, Any]  # plain JSON data
Instant = tuple[float, ...]  # for example a virtual time, or the number of a step
Moment = tuple[Instant, str]  # when something happened, and what


class Trace(msgspec.Struct, frozen=True):
    """What one program led to, as its probe returned it.

    `undefined` has the reasons why the rules do not decide what this program does. `errors` has
    what the code raised and the probe caught, each as `scripted_errors.summarize` describes it.
    """

    moments: list[tuple[tuple[float, ...], str]]
    undefined: list[str] = []
    errors: list[str] = []


# msgspec examines a type when it first meets it; two threads must not do so at the same time.
msgspec.convert({"moments": []}, Trace)


class Sweep(ABC):
    """Compares the candidate with the reference on random programs.

    A grader derives one class for its exercise. The probe named by `probe` is called as
    `probe(programs=[...], traces=stub)` and calls `traces.add({"moments": ..., "undefined": ...})`
    after each program, in order.
    """

    probe: ClassVar[str] = "play_programs"
    # By key, the values that a shrunk program may use instead, the plainest first.
    plainer: ClassVar[Mapping[str, Sequence[Any]]] = {}
    # Programs played in one scenario, which has the seconds of one. It should need a tenth of
    # them at most, so that no deadline passes on a slow machine.
    batch: ClassVar[int] = 50

    @abstractmethod
    def draw(self, rng: random.Random, task: int) -> Program:
        """Draw a program that uses something of `task`, and nothing of later tasks."""

    @abstractmethod
    def needs(self, program: Program) -> Mapping[int, Collection[str]]:
        """Return the features that a program uses, by the task that introduces them."""

    @abstractmethod
    def tell(self, program: Program) -> list[str]:
        """Return the program in words, one line for each step."""

    @abstractmethod
    def rule(self, program: Program, difference: Difference) -> str | None:
        """Return the rule that forbids this difference, such as 1.3; None if no rule does."""

    def exercises(self, program: Program, trace: Trace) -> Collection[str]:  # noqa: ARG002
        """Return the rules that a program puts to the test, for authors; none if unknown."""
        return ()

    def valid(self, program: Program) -> bool:  # noqa: ARG002
        """Return whether a shrunk program is still one that `draw` could have returned.

        A program from which something is missing may make it raise LookupError or TypeError.
        """
        return True

    def shrinks(self, program: Program) -> Iterable[Program]:  # noqa: ARG002
        """Yield smaller programs that removing one part or simplifying one value cannot reach."""
        return ()

    def redraw(self, rng: random.Random, program: Program) -> Program:  # noqa: ARG002
        """Return a program of the corpus with other names and numbers, and the same meaning."""
        return program

    def story(self, trace: Trace) -> Counter[Moment]:
        """Return the moments of a trace without the freedom that the rules leave."""
        return Counter((tuple(when), text) for when, text in trace.moments)

    def defined(self, trace: Trace) -> bool:
        """Return whether the rules decide what a program does, given the reference's trace."""
        return not trace.undefined

    def when(self, instant: Instant) -> str:
        """Return an instant in words; it begins a sentence."""
        return "At " + ", ".join(f"{number:.6g}" for number in instant)

    def task_of(self, program: Program) -> int:
        """Return the highest task of which the program uses something; the first if of none."""
        return max((task for task, used in self.needs(program).items() if used), default=1)


def drawn(seed: int, version: int, task: int, number: int | str) -> random.Random:
    """Return the randomness of one program: it depends on these four and nothing else."""
    return random.Random(f"{seed}/{version}/{task}/{number}")  # noqa: S311 - repeatable on purpose


def renamed(value: Any, names: Mapping[str, str]) -> Any:
    """Return plain data with each of these words replaced in keys and in text."""

    def word(text: str) -> str:
        return " ".join(names.get(part, part) for part in text.split(" "))

    return _mapped(value, lambda leaf: word(leaf) if isinstance(leaf, str) else leaf)


def scaled(value: Any, factor: float) -> Any:
    """Return plain data with each float multiplied by `factor`; integers keep their value."""
    return _mapped(value, lambda leaf: leaf * factor if isinstance(leaf, float) else leaf)


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, dict):
        return {change(key): _mapped(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [_mapped(item, change) for item in value]
    return change(value)
