"""The scorecard on a terminal: fits 80 columns and is readable without colour."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from archprep.core.model import CriterionResult, Reason, Scorecard, State
from archprep.core.sanitize import sanitize
from archprep.report import causes, wording

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import Console
    from rich.text import Text

MAX_WIDTH = 88  # longer lines are hard to read, however wide the window is
LABEL_WIDTH = 11
_STATE_WIDTH = 13
_MAX_INPUT_LINES = 24  # the HTML report shows all of them
_MAX_PRINTED_LINES = 8
_MAX_FRAMES = 6


class _StateStyle(NamedTuple):
    mark: str
    ascii: str
    style: str


_STYLES = {
    State.PASSED: _StateStyle("✓", "+", "green"),
    State.FAILED: _StateStyle("✗", "x", "red"),
    State.CANDIDATE_ERROR: _StateStyle("!", "!", "red"),
    State.BLOCKED: _StateStyle("–", "-", "dim"),  # noqa: RUF001 (a dash is meant)
    State.GRADER_ERROR: _StateStyle("?", "?", "yellow"),
}


def print_scorecard(
    scorecard: Scorecard,
    console: Console,
    *,
    verbose: bool = False,
    public: tuple[int, int] | None = None,
    repeat: causes.Repeat = None,
) -> None:
    """Print the whole scorecard.

    `public` is (passed, all) of the public examples. `repeat` as in `find_causes`.
    """
    printer = _Printer(scorecard, console, verbose=verbose)
    found = causes.find_causes(scorecard, repeat)
    printer.header()
    printer.first(found)
    printer.table()
    for cause in found:
        printer.cause(cause)
    printer.total(public, found)


def print_brief(scorecard: Scorecard, console: Console, *, before: Scorecard | None = None) -> None:
    """Print the first failure in full, the others in one line each, and the score.

    `before` is the previous scorecard; the change of the score is shown.
    """
    printer = _Printer(scorecard, console, verbose=False)
    printer.header()
    found = causes.find_causes(scorecard)
    for cause in found[:1]:
        printer.cause(cause)
    printer.others(found[1:])
    printer.score(before)


class _Printer:
    """Prints line by line. Text of the candidate is always wrapped in rich Text, never markup."""

    def __init__(self, scorecard: Scorecard, console: Console, *, verbose: bool) -> None:
        self.scorecard = scorecard
        self.console = console
        self.verbose = verbose
        self.width = min(console.width, MAX_WIDTH)
        self.unicode = console.encoding.lower().replace("-", "").startswith("utf")

    def header(self) -> None:
        card = self.scorecard
        dot = " · " if self.unicode else " - "
        facts = [f"seed {card.seed}", wording.started_at(card), f"{card.duration_s:.1f} s"]
        self._row(
            f"{card.exercise}  {sanitize(card.title, 100)}",
            dot.join(facts),
            style="bold",
            tail="dim",
        )

    def first(self, found: list[causes.Cause]) -> None:
        """Say what to do next, in one line."""
        if text := causes.fix_first(found):
            self._wrapped(text, 0, "bold")

    def table(self) -> None:
        begun = True
        for task in wording.task_views(self.scorecard):
            title = f"Task {task.task.number}  {task.title}"
            if begun or not task.not_begun:
                self._line()
            begun = not task.not_begun or self.verbose
            if not begun:
                self._row(f"{title}, {task.not_begun}", f"0/{task.task.points}", tail="dim")
                continue
            self._row(title, f"{task.task.earned}/{task.task.points}", style="bold", tail="bold")
            for result in task.ran:
                self._criterion(result)
            self._blocked(task)

    def cause(self, cause: causes.Cause) -> None:
        self._line()
        look = _STYLES[cause.first.state]
        name = sanitize(cause.first.id, 100)
        count = len(cause.results)
        tail = name if count == 1 else f"{count} criteria, {cause.points} points"
        self._row(f"{self._mark(look)} {cause.headline}", tail, style=f"bold {look.style}", hang=2)
        for detail in cause.details:
            self._detail(detail)

    def others(self, others: list[causes.Cause]) -> None:
        """Print one line for each criterion."""
        if others:
            self._line()
        for result in (result for cause in others for result in cause.results):
            self._criterion(result)

    def score(self, before: Scorecard | None) -> None:
        card = self.scorecard
        change = card.score - before.score if before else 0
        shown_change = f" ({change:+d})" if change else ""
        self._line()
        style = "bold green" if card.passed and card.scored else "bold"
        self._wrapped(
            f"{wording.score(card)}{shown_change}  {wording.passed_summary(card)}",
            0,
            style,
        )

    def total(self, public: tuple[int, int] | None, found: list[causes.Cause]) -> None:
        card = self.scorecard
        self._line()
        good = card.passed and card.scored
        said = f"{wording.score(card)}  {wording.passed_summary(card)}"
        self._wrapped(said, 0, "bold green" if good else "bold")
        if card.partial:
            self._wrapped("Only part of the exercise was checked.", 0)
        if public is not None:
            passed, count = public
            self._wrapped(f"Not counted: {passed} of {count} public examples passed.", 0)
        else:
            self._wrapped("The public examples, which `pytest` runs, do not count.", 0, "dim")
        self._wrapped(wording.isolation(card.isolation), 0, self._warn("dim"))
        if wording.is_weak(card.isolation):
            self._wrapped("Provisional: graded with weaker isolation.", 0, "yellow")
        self._line()
        self.first(found)
        self._steps(list(_next_steps(card, found)))

    def _steps(self, steps: list[tuple[str, str]]) -> None:
        longest = max(len(command) for command, _ in steps)
        label = "Next"
        for command, why in steps:
            if LABEL_WIDTH + 2 + longest + 2 + len(why) <= self.width:
                step = self._text(command.ljust(longest), "bold").append(f"  {why}")
                self._labelled(label, step)
            else:
                self._labelled(label, why)
                self._line(self._text(f"    {command}", "bold"))
            label = ""

    def _criterion(self, result: CriterionResult) -> None:
        look = _STYLES[result.state]
        time = f"  {result.duration_s:.2f} s" if self.verbose else ""
        earned = "?" if result.state is State.GRADER_ERROR else result.earned
        points = f"{earned}/{result.points}"
        raised = f" ({where})" if (where := wording.raised_at(result)) else ""
        if result.state is State.PASSED and result.observed:  # by a sweep: what it does not charge
            raised = f" ({sanitize(result.observed, 300)})"
        title = sanitize(result.title, 300) + raised + time
        self._state(look, wording.state_label(result), title, points)

    def _blocked(self, task: wording.TaskView) -> None:
        if not task.blocked:
            return
        look = _STYLES[State.BLOCKED]
        count = len(task.blocked)
        what = wording.plural(count, "1 criterion", f"{count} criteria")
        points = sum(result.points for result in task.blocked)
        self._state(look, "blocked", f"{what}: {task.why_blocked}", f"0/{points}")
        if self.verbose:
            for result in task.blocked:
                self._wrapped(sanitize(result.title, 300), 4 + _STATE_WIDTH, "dim")

    def _state(self, look: _StateStyle, word: str, title: str, points: str) -> None:
        head = f"  {self._mark(look)} {word}".ljust(4 + _STATE_WIDTH)
        for line in self._wrap(title, self.width - len(head) - 8):
            row = self._text(head, look.style) + line
            if head.strip():
                row.append(" " * max(1, self.width - row.cell_len - len(points)))
                row.append(points, "" if points[0] in "123456789" else "dim")
            self._line(row)
            head = " " * len(head)

    def _detail(self, detail: causes.Detail) -> None:
        if detail.frames:
            self._labelled(detail.label, "\n".join(self._frames(detail)))
        elif detail.kind == "plain":
            self._labelled(detail.label, self._bounded(detail))
        elif detail.kind == "command":
            self._command(detail)
        else:
            self._labelled(detail.label, detail.text)

    def _command(self, detail: causes.Detail) -> None:
        """Print a command on one line, however narrow the window: it will be copied."""
        if self._text(detail.text).cell_len <= self.width - LABEL_WIDTH - 2:
            self._labelled(detail.label, detail.text, "bold")
        else:
            self._line(self._text(f"  {detail.label}", "dim"))
            self._line(self._text(f"    {detail.text}", "bold"))

    def _frames(self, detail: causes.Detail) -> Iterator[str]:
        frames = detail.frames if self.verbose else detail.frames[-_MAX_FRAMES:]
        if len(frames) < len(detail.frames):
            yield f"({len(detail.frames) - len(frames)} outer frames not shown)"
        for frame in frames:
            yield f"{frame.file}:{frame.line}" + (f" in {frame.function}" if frame.function else "")
            if frame.text:
                yield f"    {frame.text}"

    def _bounded(self, detail: causes.Detail) -> str:
        """Shorten a long input or output between lines, with a note; never a difference."""
        lines = [line.plain for line in self._wrap(detail.text, self.width - LABEL_WIDTH - 2)]
        printed = detail.label == "Printed"
        limit = _MAX_PRINTED_LINES if printed else _MAX_INPUT_LINES
        if self.verbose or detail.label == "Differs" or len(lines) <= limit + 1:
            return detail.text
        whole = f"archprep report {self.scorecard.exercise} --html FILE"
        rest = len(lines) - limit
        if printed:  # the last lines are closest to the failure
            return "\n".join([f"({rest} earlier lines: {whole})", *lines[rest:]])
        return "\n".join([*lines[:limit], f"({rest} more lines: {whole})"])

    def _labelled(self, label: str, text: str | Text, style: str = "") -> None:
        head = f"  {label}".ljust(LABEL_WIDTH + 2)
        for line in self._wrap(text, self.width - len(head), style):
            self._line(self._text(head, "dim") + line)
            head = " " * len(head)

    def _row(
        self, text: str, right: str, *, style: str = "", tail: str = "dim", hang: int = 0
    ) -> None:
        """Print text with `right` at the end of its first line, or below if there is no room."""
        end = self._text(right, tail)
        room = self.width - end.cell_len - 3
        same_line = room > self.width // 2 or self._text(text).cell_len <= room
        for line in self._wrap(text, room if same_line else self.width, style, hang):
            if same_line:
                line.append(" " * (self.width - line.cell_len - end.cell_len)).append_text(end)
                same_line, end = False, self._text("")
            self._line(line)
        if end.plain:
            self._wrapped(" " * (self.width - end.cell_len) + right, 0, tail)

    def _wrapped(self, text: str, indent: int, style: str = "") -> None:
        for line in self._wrap(text, self.width - indent, style):
            self._line(self._text(" " * indent) + line)

    def _wrap(self, text: str | Text, width: int, style: str = "", hang: int = 0) -> Iterable[Text]:
        width = max(width - hang, 10)
        whole = self._text(text, style) if isinstance(text, str) else text
        lines = whole.wrap(self.console, width, overflow="fold")
        for number, line in enumerate(lines):
            line.rstrip()
            yield self._text(" " * hang) + line if number and hang else line

    def _text(self, text: str, style: str = "") -> Text:
        from rich.text import Text

        if not self.unicode:
            encoding = self.console.encoding
            text = text.encode(encoding, "backslashreplace").decode(encoding)
        # A span instead of a base style: text that is appended keeps its own style.
        return Text().append(text, style)

    def _mark(self, look: _StateStyle) -> str:
        return look.mark if self.unicode else look.ascii

    def _warn(self, style: str) -> str:
        return "yellow" if wording.is_weak(self.scorecard.isolation) else style

    def _line(self, line: Text | str = "") -> None:
        self.console.print(line, no_wrap=True, overflow="ignore", crop=False, highlight=False)


def _next_steps(card: Scorecard, found: list[causes.Cause]) -> Iterator[tuple[str, str]]:
    name = card.exercise
    lost = [cause.first for cause in found if cause.first.state is not State.GRADER_ERROR]
    broken = bool(lost) and lost[0].reason == Reason.IMPORT
    if broken:
        yield f"archprep check {name}", "once the import works"
    elif lost:
        yield f"archprep hint {name} {sanitize(lost[0].id, 100)}", "where to start"
    if card.partial and not broken:
        yield f"archprep check {name}", "the whole exercise"
    elif card.passed:
        yield f"archprep solution {name}", "compare with the reference"
    yield f"archprep report {name} --html report.html", "the report, to print"
