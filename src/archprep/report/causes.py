"""What did not pass and why, cleaned, each cause once; terminal.py and html.py lay it out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from archprep.core.model import CriterionResult, Frame, Reason, Scorecard, State
from archprep.core.sanitize import sanitize
from archprep.report.view import reason, unwritten

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from archprep.core.model import Limits

    Repeat = Callable[[str], str] | str | None

# The judge bounds each string where it is made; here nothing may be cut any more, because
# the cut could fall into the very difference that the reader is looking for.
WHOLE = 200_000
_RUN = 3  # equal printed lines that are left as they are
_HEADLINES: dict[str, str] = {
    Reason.TIMEOUT: "Time-out",
    Reason.MEMORY: "Out of memory",
    Reason.OUTPUT: "Too much output",
    Reason.CRASH: "Crash",
    Reason.PROTOCOL: "Unreadable answer",
    Reason.IMPORT: "The code cannot be imported",
}
_BREAKS = {Reason.MEMORY, Reason.OUTPUT, Reason.CRASH, Reason.PROTOCOL}
_FAULT = "Not scored: a fault of archprep, not of this code"
_EXCEPTION = re.compile(r"[A-Za-z_][\w.]*(?=:|$)")


@dataclass(frozen=True, slots=True)
class Part:
    """One labelled piece of a block. `kind` is prose, plain (keep the line breaks) or command."""

    label: str
    text: str = ""
    kind: str = "prose"
    frames: tuple[Frame, ...] = ()


@dataclass(frozen=True, slots=True)
class Block:
    """One cause and the criteria that it cost; the first of them stands for all.

    A cause that is not about one behaviour is `general`: its headline names the cause.
    """

    headline: str
    general: bool
    results: tuple[CriterionResult, ...]
    parts: tuple[Part, ...]

    @property
    def first(self) -> CriterionResult:
        """The criterion whose evidence is shown."""
        return self.results[0]

    @property
    def points(self) -> int:
        """What the cause cost."""
        return sum(result.points - result.earned for result in self.results)


def blocks(scorecard: Scorecard, repeat: Repeat = None) -> list[Block]:
    """What did not pass, one block a cause, in the order of the first criterion it cost."""
    groups: dict[Hashable, list[CriterionResult]] = {}
    for result in scorecard.criteria:
        if result.state not in {State.PASSED, State.BLOCKED}:
            groups.setdefault(_cause(result), []).append(result)
    return [_block(scorecard, tuple(group), repeat) for group in groups.values()]


def _cause(result: CriterionResult) -> Hashable:
    """Results with equal causes are shown once. A failed expectation is always its own cause."""
    evidence = result.evidence
    if unwritten(result):
        return "not written"
    if result.state is State.FAILED:
        return result.id
    if result.state is State.GRADER_ERROR:
        return (result.state, result.reason, evidence.message)
    if not evidence.frames:
        # Nothing but the hint tells one endless scenario from another.
        hint = result.hint if reason(result) == Reason.TIMEOUT else None
        return (result.reason, evidence.message or result.observed, hint)
    # The drawn values in a message differ from scenario to scenario; the line that broke does not.
    last = evidence.frames[-1]
    return (result.reason, _exception(result), last.file, last.line, last.function)


def _block(scorecard: Scorecard, group: tuple[CriterionResult, ...], repeat: Repeat) -> Block:
    first = group[0]
    if first.state is State.GRADER_ERROR:
        return Block(_FAULT, general=True, results=group, parts=_fault(first, group))
    general = len(group) > 1 or unwritten(first) or reason(first) == Reason.IMPORT
    headline = _kind(first) if general else sanitize(first.title, 300)
    parts = _told(scorecard.isolation.limits, group, named=general)
    again = Part("Repeat", sanitize(_command(repeat, scorecard, first.id), 500), "command")
    return Block(headline, general=general, results=group, parts=(*parts, again))


def _told(limits: Limits, group: tuple[CriterionResult, ...], *, named: bool) -> tuple[Part, ...]:
    first, evidence = group[0], group[0].evidence
    observed = _observed(first, limits, named=named)
    # A scenario that ended early has no expectation but the title, which is the headline.
    expected = "" if named or first.expected == first.title else _whole(first.expected)
    if len({other.evidence.message for other in group}) > 1 and not unwritten(first):
        observed += f" (the first of {len(group)}; the others differ in the values only)"
    parts = [
        *_costs(group),
        Part("Expected", expected),
        Part("Observed", observed),
        Part("Input", _whole(evidence.given), "plain"),
        Part("Differs", _whole(evidence.difference), "plain"),
        Part("Code", frames=_frames(group)),
        Part("Printed", _printed(evidence.output), "plain"),
        Part("Look at", _look_at(group)),
    ]
    return tuple(part for part in parts if part.text.strip() or part.frames)


def _fault(first: CriterionResult, group: tuple[CriterionResult, ...]) -> tuple[Part, ...]:
    # The message of a grader's own failure may quote the grader, so it is not shown here.
    parts = (
        *_costs(group),
        Part("Why", _whole(first.reason)),
        Part("To do", "Check again; if it stays, report it with the exercise and the seed above."),
    )
    return tuple(part for part in parts if part.text)


def _costs(group: tuple[CriterionResult, ...]) -> list[Part]:
    if len(group) == 1:
        return []
    return [Part("Costs", ", ".join(sanitize(result.id, 100) for result in group))]


def _observed(result: CriterionResult, limits: Limits, *, named: bool) -> str:
    """What happened, and for a scenario that was ended: of what, after how much."""
    said, message = _whole(result.observed), _whole(result.evidence.message)
    if result.state is State.FAILED and not unwritten(result):
        return said or message
    message = message or _default_message(result, limits)
    # The judge's sentence repeats the headline where that names the exception's kind already.
    if named and (unwritten(result) or reason(result) in {Reason.CRASH, Reason.IMPORT}):
        return message
    return said or f"{_kind(result)}: {message}"


def _kind(result: CriterionResult) -> str:
    if unwritten(result):
        return "Not written yet"
    return _HEADLINES.get(reason(result), "Error")


def _default_message(result: CriterionResult, limits: Limits) -> str:
    messages: dict[str, str] = {
        Reason.TIMEOUT: f"the scenario had not finished after {limits.seconds:g} s "
        f"(limit {limits.seconds:g} s)",
        Reason.MEMORY: f"the scenario used more than {limits.memory_mb} MB",
        Reason.OUTPUT: f"the scenario printed more than {limits.output_kb} KB",
        Reason.CRASH: "the process ended before it answered",
        Reason.PROTOCOL: "what came back is not the plain data that was asked for",
        Reason.IMPORT: "the import failed",
    }
    return messages.get(reason(result), "the scenario ended without an answer")


def _look_at(group: tuple[CriterionResult, ...]) -> str:
    # The hints speak about one behaviour; where the code breaks before, they only distract.
    first = group[0]
    if unwritten(first):
        return f"README.md, task {first.task}: what is to be written there."
    shared = len(group) > 1 and reason(first) in _BREAKS
    return "" if shared or reason(first) == Reason.IMPORT else _whole(first.hint)


def _exception(result: CriterionResult) -> str | None:
    match = _EXCEPTION.match(result.evidence.message or "")
    return match[0] if match else result.evidence.message


def _frames(group: tuple[CriterionResult, ...]) -> tuple[Frame, ...]:
    """The way to the failure, or, where nothing is written yet, each place that is empty."""
    frames = group[0].evidence.frames
    if unwritten(group[0]):
        frames = tuple(r.evidence.frames[-1] for r in group if r.evidence.frames)
    return tuple(dict.fromkeys(_frame(frame) for frame in frames))


def _frame(frame: Frame) -> Frame:
    file, function = sanitize(frame.file, 200), sanitize(frame.function, 200)
    return Frame(file, frame.line, function, sanitize(frame.text, 1000).strip())


def _printed(output: str) -> str:
    """The prints; a line that a loop repeated stands once."""
    lines: list[str] = []
    for line, run in groupby(_whole(output).rstrip().split("\n")):
        count = len(list(run))
        lines += [line] * count if count <= _RUN else [line, f"({count - 1} more lines like this)"]
    return "\n".join(lines)


def _whole(text: str | None) -> str:
    return sanitize(text, WHOLE) if text else ""


def _command(repeat: Repeat, scorecard: Scorecard, criterion: str) -> str:
    """The command that runs one criterion again with the same draw."""
    if callable(repeat):
        return repeat(criterion)
    prefix = repeat or f"archprep check {scorecard.exercise}"
    return f"{prefix} --seed {scorecard.seed} --criterion {criterion}"
