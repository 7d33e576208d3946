"""Groups what did not pass by its cause and explains each cause once.

terminal.py and html.py lay the causes out. Every string in them is sanitized here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from archprep.core.model import CriterionResult, Frame, Reason, Scorecard, State
from archprep.core.sanitize import sanitize
from archprep.report.wording import is_unwritten, plural, raised_at, reason_of

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from archprep.core.model import Limits

    Repeat = Callable[[str], str] | str | None

# The judge limits the length of each string when it makes it. Cutting it again could hide the very
# difference that the reader is looking for.
MAX_LENGTH = 200_000
_MAX_EQUAL_LINES = 3  # equal consecutive lines that are shown in full
_HEADLINES: dict[str, str] = {
    Reason.TIMEOUT: "Time-out",
    Reason.MEMORY: "Out of memory",
    Reason.OUTPUT: "Too much output",
    Reason.CRASH: "Crash",
    Reason.PROTOCOL: "Unreadable answer",
    Reason.IMPORT: "The code cannot be imported",
}
_UNRELATED_TO_HINT = {Reason.MEMORY, Reason.OUTPUT, Reason.CRASH, Reason.PROTOCOL}
REFERENCE = "The reference:\n"  # how a sweep's expectation begins
_GRADER_ERROR = "Not scored: an error in archprep, not in this code"
# The last line of a client's history: 3. POST /orders, Prefer: wait -> 500 {"title": …}
_ANSWER = re.compile(r"(?:\d+\. )?([A-Z]+ /[^\s,?]*).* -> (\d{3})\b")
_EXCEPTION = re.compile(r"[A-Za-z_][\w.]*(?=:|$)")


@dataclass(frozen=True, slots=True)
class Detail:
    """One labelled fact about a cause. `kind` is prose, plain (keep line breaks) or command."""

    label: str
    text: str = ""
    kind: str = "prose"
    frames: tuple[Frame, ...] = ()


@dataclass(frozen=True, slots=True)
class Cause:
    """Why one or more criteria did not pass, with the evidence of the first of them.

    A cause that is not about one behaviour is `general`: its headline names the cause.
    """

    headline: str
    general: bool
    results: tuple[CriterionResult, ...]
    details: tuple[Detail, ...]

    @property
    def first(self) -> CriterionResult:
        """The criterion whose evidence is shown."""
        return self.results[0]

    @property
    def points(self) -> int:
        """The points that were lost."""
        return sum(result.points - result.earned for result in self.results)


def find_causes(scorecard: Scorecard, repeat: Repeat = None) -> list[Cause]:
    """Return the causes of everything that did not pass, the one to remove first at the front.

    What stops several criteria comes before what stops one, and unwritten code comes last; equals
    are in the order of their first criterion. `repeat` turns a criterion's id into the command
    that repeats it, or is the start of that command (default: `archprep check qN`).
    """
    groups: dict[Hashable, list[CriterionResult]] = {}
    for result in scorecard.criteria:
        if result.state not in {State.PASSED, State.BLOCKED}:
            groups.setdefault(_key(result), []).append(result)
    found = [_cause(scorecard, tuple(group), repeat) for group in groups.values()]
    return sorted(found, key=_rank)


def _rank(cause: Cause) -> tuple[int, int]:
    if reason_of(cause.first) == Reason.IMPORT:
        return 0, 0
    if is_unwritten(cause.first) or cause.first.state is State.GRADER_ERROR:
        return 3, 0
    return (1, -cause.points) if len(cause.results) > 1 else (2, 0)


def fix_first(found: Sequence[Cause]) -> str:
    """Return what to do about the first cause in one line; empty if there is none of ours."""
    if not found or found[0].first.state is State.GRADER_ERROR:
        return ""
    cause, places = found[0], found[0].first.evidence.frames
    if not is_unwritten(cause.first):
        points = f"{cause.points} {plural(cause.points, 'point', 'points')}"
        return f"Fix first: {raised_at(cause.first) or cause.headline} ({points})"
    where = f": {_frame(places[-1]).function} in {_frame(places[-1]).file}" if places else ""
    return f"Write next: task {cause.first.task}{where}"


def _key(result: CriterionResult) -> Hashable:
    """Return what results of one cause have in common; each unmet expectation is its own cause."""
    evidence = result.evidence
    if is_unwritten(result):
        return "not written"
    if result.state is State.FAILED:
        return _answer(result) or (result.expected, result.observed, evidence)
    if result.state is State.GRADER_ERROR:
        return (result.state, result.reason, evidence.message)
    if not evidence.frames:
        # Only the hint distinguishes one endless scenario from another.
        hint = result.hint if reason_of(result) == Reason.TIMEOUT else None
        return (result.reason, evidence.message or result.observed, hint)
    # Drawn values in a message differ between scenarios; the line that raised does not.
    last = evidence.frames[-1]
    return (result.reason, _exception(result), last.file, last.line, last.function)


def _answer(result: CriterionResult) -> tuple[str, str | None] | None:
    """Return the request and the status at which a criterion stopped, and what was observed."""
    *_, last = (result.evidence.given or "").splitlines() or [""]
    match = _ANSWER.match(last)
    return (f"{match[1]} -> {match[2]}", result.observed) if match else None


def _cause(scorecard: Scorecard, group: tuple[CriterionResult, ...], repeat: Repeat) -> Cause:
    first = group[0]
    if first.state is State.GRADER_ERROR:
        details = _grader_error_details(group)
        return Cause(_GRADER_ERROR, general=True, results=group, details=details)
    general = len(group) > 1 or is_unwritten(first) or reason_of(first) == Reason.IMPORT
    headline = _headline(group) if general else sanitize(first.title, 300)
    details = _details(scorecard.isolation.limits, group, general=general)
    again = Detail("Repeat", sanitize(_command(repeat, scorecard, first.id), 500), "command")
    return Cause(headline, general=general, results=group, details=(*details, again))


def _details(
    limits: Limits, group: tuple[CriterionResult, ...], *, general: bool
) -> tuple[Detail, ...]:
    first, evidence = group[0], group[0].evidence
    observed = _observed(first, limits, general=general)
    # A scenario that ended early expects only its title, which is already the headline.
    expected = "" if general or first.expected == first.title else _whole(first.expected)
    if len({other.evidence.message for other in group}) > 1 and not is_unwritten(first):
        observed += f" (the first of {len(group)}; the others differ only in their values)"
    details = [
        *_costs(group),
        Detail("Rule", _rule(first) if _is_about_a_rule(first, general=general) else ""),
        *_story(first, expected, observed),
        Detail("Differs", _whole(evidence.difference), "plain"),
        Detail("Code", frames=_frames(group)),
        Detail("Printed", _printed(evidence.output), "plain"),
        Detail("Look at", _look_at(group)),
    ]
    return tuple(detail for detail in details if detail.text.strip() or detail.frames)


def _is_about_a_rule(first: CriterionResult, *, general: bool) -> bool:
    """Whether code that runs broke it, and not something that stops many criteria."""
    return not is_unwritten(first) and (first.state is State.FAILED or not general)


def _story(first: CriterionResult, expected: str, observed: str) -> list[Detail]:
    """Return what was done, what should come of it, and what did."""
    # What is not written yet needs no example.
    given = "" if is_unwritten(first) else _whole(first.evidence.given)
    if first.state is State.FAILED and expected.startswith(REFERENCE):
        return [
            Detail("Program", given, "plain"),
            Detail("Reference", expected.removeprefix(REFERENCE), "plain"),
            Detail("Your code", observed, "plain"),
        ]
    return [
        Detail("Expected", expected),
        Detail("Observed", observed),
        Detail("Input", given, "plain"),
    ]


def _grader_error_details(group: tuple[CriterionResult, ...]) -> tuple[Detail, ...]:
    # The message of a grader error may quote the grader, so it is not shown here.
    details = (
        *_costs(group),
        Detail("Why", _whole(group[0].reason)),
        Detail(
            "To do", "Check again. If it persists, report it with the exercise and the seed above."
        ),
    )
    return tuple(detail for detail in details if detail.text)


def _rule(result: CriterionResult) -> str:
    broken = result.broken
    if broken is None:
        return ""
    place = f" ({broken.place})" if broken.place else ""
    return _whole(f"{broken.rule}{place}: {broken.text}")


def _costs(group: tuple[CriterionResult, ...]) -> list[Detail]:
    if len(group) == 1:
        return []
    if is_unwritten(group[0]):
        numbers = dict.fromkeys(result.task for result in group)
        return [Detail("Costs", ", ".join(f"task {number}" for number in numbers))]
    return [Detail("Costs", ", ".join(sanitize(result.id, 100) for result in group))]


def _headline(group: tuple[CriterionResult, ...]) -> str:
    answer = _answer(group[0])
    if group[0].state is not State.FAILED or is_unwritten(group[0]):
        return _kind(group[0])
    same = f"one answer: {sanitize(answer[0], 200)}" if answer else "the same difference"
    return f"{len(group)} criteria stop at {same}"


def _observed(result: CriterionResult, limits: Limits, *, general: bool) -> str:
    """Return what happened; for a scenario that ended early, why and after how much."""
    observed, message = _whole(result.observed), _whole(result.evidence.message)
    if result.state is State.FAILED and not is_unwritten(result):
        return observed or message
    message = message or _default_message(result, limits)
    # A general headline already names the kind of exception that `observed` begins with.
    if general and (is_unwritten(result) or reason_of(result) in {Reason.CRASH, Reason.IMPORT}):
        return message
    return observed or f"{_kind(result)}: {message}"


def _kind(result: CriterionResult) -> str:
    if is_unwritten(result):
        return "Not written yet"
    return _HEADLINES.get(reason_of(result), "Error")


def _default_message(result: CriterionResult, limits: Limits) -> str:
    messages: dict[str, str] = {
        Reason.TIMEOUT: f"the scenario had not finished after {limits.seconds:g} s "
        f"(limit {limits.seconds:g} s)",
        Reason.MEMORY: f"the scenario used more than {limits.memory_mb} MB",
        Reason.OUTPUT: f"the scenario printed more than {limits.output_kb} KB",
        Reason.CRASH: "the process ended before it answered",
        Reason.PROTOCOL: "the answer was not the plain data that was requested",
        Reason.IMPORT: "the import failed",
    }
    return messages.get(reason_of(result), "the scenario ended without an answer")


def _look_at(group: tuple[CriterionResult, ...]) -> str:
    # A hint is about one behaviour and would only distract if the code breaks before that.
    first = group[0]
    if is_unwritten(first):
        return f"README.md, task {first.task}, describes what to write."
    shared = len(group) > 1 and reason_of(first) in _UNRELATED_TO_HINT
    return "" if shared or reason_of(first) == Reason.IMPORT else _whole(first.hint)


def _exception(result: CriterionResult) -> str | None:
    match = _EXCEPTION.match(result.evidence.message or "")
    return match[0] if match else result.evidence.message


def _frames(group: tuple[CriterionResult, ...]) -> tuple[Frame, ...]:
    """Return the frames of the failure or, if the code is not written, each unwritten place."""
    frames = group[0].evidence.frames
    if is_unwritten(group[0]):
        frames = tuple(r.evidence.frames[-1] for r in group if r.evidence.frames)
    return tuple(dict.fromkeys(_frame(frame) for frame in frames))


def _frame(frame: Frame) -> Frame:
    file, function = sanitize(frame.file, 200), sanitize(frame.function, 200)
    return Frame(file, frame.line, function, sanitize(frame.text, 1000).strip())


def _printed(output: str) -> str:
    """Return the output with runs of equal lines collapsed."""
    lines: list[str] = []
    for line, run in groupby(_whole(output).rstrip().split("\n")):
        count = len(list(run))
        if count > _MAX_EQUAL_LINES:
            lines += [line, f"({count - 1} more lines like this)"]
        else:
            lines += [line] * count
    return "\n".join(lines)


def _whole(text: str | None) -> str:
    return sanitize(text, MAX_LENGTH) if text else ""


def _command(repeat: Repeat, scorecard: Scorecard, criterion: str) -> str:
    """Return the command that repeats one criterion with the same inputs."""
    if callable(repeat):
        return repeat(criterion)
    prefix = repeat or f"archprep check {scorecard.exercise}"
    return f"{prefix} --seed {scorecard.seed} --criterion {criterion}"
