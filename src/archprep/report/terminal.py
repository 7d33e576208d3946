"""The scorecard on a terminal: 80 columns, calm, and readable without colour."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from archprep.core.model import CriterionResult, Reason, Scorecard, State
from archprep.core.sanitize import sanitize
from archprep.report import causes, view

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import Console
    from rich.text import Text

WIDEST = 88  # longer lines are harder to read, however wide the window is
LABEL = 11
_WORD = 13
_INPUT_LINES = 24  # more is in the HTML report, and the command is shown that writes it
_PRINTED_LINES = 8
_FRAMES = 6


class _Look(NamedTuple):
    mark: str
    ascii: str
    style: str


_LOOKS = {
    State.PASSED: _Look("✓", "+", "green"),
    State.FAILED: _Look("✗", "x", "red"),
    State.CANDIDATE_ERROR: _Look("!", "!", "red"),
    State.BLOCKED: _Look("–", "-", "dim"),  # noqa: RUF001 (a dash is meant)
    State.GRADER_ERROR: _Look("?", "?", "yellow"),
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

    `public` is (passed, all) of the public examples. `repeat` turns a criterion's id into the
    command that repeats it, or is the start of that command (default: `archprep check qN`).
    """
    sheet = _Sheet(scorecard, console, verbose=verbose)
    sheet.header()
    sheet.table()
    for block in causes.blocks(scorecard, repeat):
        sheet.block(block)
    sheet.total(public)


def print_brief(scorecard: Scorecard, console: Console, *, before: Scorecard | None = None) -> None:
    """Print what fits a screen that is shown again and again: the first failure, and the score.

    `before` is the scorecard shown last: what changed since then is said.
    """
    sheet = _Sheet(scorecard, console, verbose=False)
    sheet.header()
    blocks = causes.blocks(scorecard)
    for block in blocks[:1]:
        sheet.block(block)
    sheet.others(blocks[1:])
    sheet.score(before)


class _Sheet:
    """Lays the pieces out line by line. Candidate's text is only ever put into rich Text."""

    def __init__(self, scorecard: Scorecard, console: Console, *, verbose: bool) -> None:
        self.scorecard = scorecard
        self.console = console
        self.verbose = verbose
        self.width = min(console.width, WIDEST)
        self.unicode = console.encoding.lower().replace("-", "").startswith("utf")

    def header(self) -> None:
        card = self.scorecard
        dot = " · " if self.unicode else " - "
        facts = [f"seed {card.seed}", view.when(card), f"{card.duration_s:.1f} s"]
        self._row(
            f"{card.exercise}  {sanitize(card.title, 100)}",
            dot.join(facts),
            style="bold",
            tail="dim",
        )

    def table(self) -> None:
        for task in view.tasks(self.scorecard):
            self._line()
            title = f"Task {task.task.number}  {task.title}"
            self._row(title, f"{task.task.earned}/{task.task.points}", style="bold", tail="bold")
            for result in task.ran:
                self._criterion(result)
            self._blocked(task)

    def block(self, block: causes.Block) -> None:
        self._line()
        look = _LOOKS[block.first.state]
        name = sanitize(block.first.id, 100)
        count = len(block.results)
        tail = name if count == 1 else f"{count} criteria, {block.points} points"
        self._row(f"{self._mark(look)} {block.headline}", tail, style=f"bold {look.style}", hang=2)
        for part in block.parts:
            self._part(part)

    def others(self, blocks: list[causes.Block]) -> None:
        """The failures after the first, a line each."""
        if blocks:
            self._line()
        for result in (result for block in blocks for result in block.results):
            self._criterion(result)

    def score(self, before: Scorecard | None) -> None:
        card = self.scorecard
        change = card.score - before.score if before else 0
        said = f" ({change:+d})" if change else ""
        self._line()
        style = "bold green" if card.passed and card.scored else "bold"
        self._wrapped(f"Score {card.score}/{card.max_score}{said}  {view.sums(card)}", 0, style)

    def total(self, public: tuple[int, int] | None) -> None:
        card = self.scorecard
        self._line()
        good = card.passed and card.scored
        score = f"Score {card.score}/{card.max_score}"
        self._wrapped(f"{score}  {view.sums(card)}", 0, "bold green" if good else "bold")
        if card.partial:
            self._wrapped("Only a part of the exercise was checked.", 0)
        if public is not None:
            passed, count = public
            self._wrapped(f"Counted apart: {passed} of {count} public examples passed.", 0)
        else:
            self._wrapped("The public examples, which `pytest` runs, are not among them.", 0, "dim")
        self._wrapped(sanitize(card.isolation.sentence, 1000), 0, self._warn("dim"))
        if view.weak(card.isolation):
            self._wrapped("Provisional: graded with weaker isolation.", 0, "yellow")
        self._line()
        self._steps(list(_next_steps(card)))

    def _steps(self, steps: list[tuple[str, str]]) -> None:
        longest = max(len(command) for command, _ in steps)
        label = "Next"
        for command, why in steps:
            self._labelled(label, self._text(command.ljust(longest), "bold").append(f"  {why}"))
            label = ""

    def _criterion(self, result: CriterionResult) -> None:
        look = _LOOKS[result.state]
        time = f"  {result.duration_s:.2f} s" if self.verbose else ""
        earned = "?" if result.state is State.GRADER_ERROR else result.earned
        points = f"{earned}/{result.points}"
        self._state(look, view.word(result), sanitize(result.title, 300) + time, points)

    def _blocked(self, task: view.TaskView) -> None:
        if not task.blocked:
            return
        look = _LOOKS[State.BLOCKED]
        count = len(task.blocked)
        what = view.plural(count, "1 criterion", f"{count} criteria")
        points = sum(result.points for result in task.blocked)
        self._state(look, "blocked", f"{what}: {task.why_blocked}", f"0/{points}")
        if self.verbose:
            for result in task.blocked:
                self._wrapped(sanitize(result.title, 300), 4 + _WORD, "dim")

    def _state(self, look: _Look, word: str, title: str, points: str) -> None:
        head = f"  {self._mark(look)} {word}".ljust(4 + _WORD)
        for line in self._wrap(title, self.width - len(head) - 8):
            row = self._text(head, look.style) + line
            if head.strip():
                row.append(" " * max(1, self.width - row.cell_len - len(points)))
                row.append(points, "" if points[0] in "123456789" else "dim")
            self._line(row)
            head = " " * len(head)

    def _part(self, part: causes.Part) -> None:
        if part.frames:
            self._labelled(part.label, "\n".join(self._frames(part)))
        elif part.kind == "plain":
            self._labelled(part.label, self._bounded(part))
        elif part.kind == "command":
            self._command(part)
        else:
            self._labelled(part.label, part.text)

    def _command(self, part: causes.Part) -> None:
        """A command stays on one line while it can, so that it can be copied."""
        if self._text(part.text).cell_len <= self.width - LABEL - 2:
            self._labelled(part.label, part.text, "bold")
        else:
            self._line(self._text(f"  {part.label}", "dim"))
            self._wrapped(part.text, 4, "bold")

    def _frames(self, part: causes.Part) -> Iterator[str]:
        frames = part.frames if self.verbose else part.frames[-_FRAMES:]
        if len(frames) < len(part.frames):
            yield f"({len(part.frames) - len(frames)} outer frames not shown)"
        for frame in frames:
            yield f"{frame.file}:{frame.line}" + (f" in {frame.function}" if frame.function else "")
            if frame.text:
                yield f"    {frame.text}"

    def _bounded(self, part: causes.Part) -> str:
        """An input or prints, cut between lines with a note; a difference is never cut."""
        lines = [line.plain for line in self._wrap(part.text, self.width - LABEL - 2)]
        printed = part.label == "Printed"
        room = _PRINTED_LINES if printed else _INPUT_LINES
        if self.verbose or part.label == "Differs" or len(lines) <= room + 1:
            return part.text
        whole = f"archprep report {self.scorecard.exercise} --html FILE"
        rest = len(lines) - room
        if printed:  # what was printed last is nearest to the failure
            return "\n".join([f"({rest} earlier lines: {whole})", *lines[rest:]])
        return "\n".join([*lines[:room], f"({rest} more lines: {whole})"])

    def _labelled(self, label: str, text: str | Text, style: str = "") -> None:
        head = f"  {label}".ljust(LABEL + 2)
        for line in self._wrap(text, self.width - len(head), style):
            self._line(self._text(head, "dim") + line)
            head = " " * len(head)

    def _row(
        self, text: str, right: str, *, style: str = "", tail: str = "dim", hang: int = 0
    ) -> None:
        """Text with something at the right end of its first line, or below where it is long."""
        end = self._text(right, tail)
        room = self.width - end.cell_len - 3
        beside = room > self.width // 2 or self._text(text).cell_len <= room
        for line in self._wrap(text, room if beside else self.width, style, hang):
            if beside:
                line.append(" " * (self.width - line.cell_len - end.cell_len)).append_text(end)
                beside, end = False, self._text("")
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
        # A span, not the style of the whole: what is joined to it keeps its own.
        return Text().append(text, style)

    def _mark(self, look: _Look) -> str:
        return look.mark if self.unicode else look.ascii

    def _warn(self, style: str) -> str:
        return "yellow" if view.weak(self.scorecard.isolation) else style

    def _line(self, line: Text | str = "") -> None:
        self.console.print(line, no_wrap=True, overflow="ignore", crop=False, highlight=False)


def _next_steps(card: Scorecard) -> Iterator[tuple[str, str]]:
    name = card.exercise
    open_ones = [r for r in card.criteria if r.state in {State.FAILED, State.CANDIDATE_ERROR}]
    broken = bool(open_ones) and open_ones[0].reason == Reason.IMPORT
    if broken:
        yield f"archprep check {name}", "once it can be imported"
    elif open_ones:
        yield f"archprep hint {name} {sanitize(open_ones[0].id, 100)}", "where to start"
    if card.partial and not broken:
        yield f"archprep check {name}", "the whole exercise"
    elif card.passed:
        yield f"archprep solution {name}", "compare with the reference"
    yield f"archprep report {name} --html report.html", "the report, to print"
