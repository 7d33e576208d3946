"""The scorecard on a terminal fits, needs no colour, hides nothing and cannot be hijacked."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from report.samples import (
    CRASH,
    CRASH_TOO,
    OURS,
    PRIORITY,
    ROUTING,
    SAMPLES,
    TIMEOUT,
    passed,
    scorecard,
    terminal,
    unimportable,
    unwritten,
)
from rich.cells import cell_len
from rich.console import Console

from archprep.core.model import Evidence, Frame, State
from archprep.report import print_scorecard

HOSTILE = [
    "\x1b[2J\x1b[H\x1b]0;owned\x07",
    "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "\x1b]52;c;aGk=\x07",
    "\x9b31mred\x9b0m",
    "FAIL\rPASS",
    "a\u202eb\u2066c\u200bd\ufeff",
    "[bold]PASS[/] [/nope] [link=file:///etc/passwd]x",
    ":boom: {{7*7}} {% raw %} %s %(x)s",
    "<script>alert(1)</script>",
    "\ud800 lone",
    "x" * 10_000,
    "漢字" * 300,
    "tab\tand\x00nul\x07bell\x08",
]


def _hostile(text: str) -> str:
    evidence = Evidence(
        given=text, difference=text, message=text, frames=(Frame(text, 1, text, text),), output=text
    )
    failed = replace(PRIORITY, expected=text, observed=text, evidence=evidence, hint=text)
    crash = replace(CRASH, evidence=evidence, observed=text)
    return terminal(scorecard(ROUTING, failed, crash), verbose=True)


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("width", [40, 60, 80, 200])
@pytest.mark.parametrize("verbose", [False, True])
def test_no_line_is_wider_than_the_window(name: str, width: int, verbose: bool) -> None:
    """80 columns suffice; narrow windows work, and wide ones are not filled.

    Only a command may be longer: broken over two lines it could not be copied.
    """
    text = terminal(SAMPLES[name], width=width, verbose=verbose, public=(3, 3))
    lines = [line for line in text.splitlines() if not line.startswith("    archprep ")]
    assert max(map(cell_len, lines)) <= min(width, 88)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_inert(text: str) -> None:
    """No control character, markup or bidi override reaches the terminal; lines still fit."""
    shown = _hostile(text)
    assert all(char == "\n" or char.isprintable() for char in shown)
    assert max(cell_len(line) for line in shown.splitlines()) <= 80
    assert "Score 8/38" in shown


def test_markup_is_shown_as_it_is() -> None:
    """Square brackets are text: they neither disappear nor raise."""
    shown = _hostile("[bold]PASS[/] [/nope] :boom:")
    assert "[bold]PASS[/] [/nope] :boom:" in shown


def test_a_difference_is_never_cut() -> None:
    """A difference is wrapped, however long it is."""
    difference = "expected " + "a" * 3000 + "\nobserved " + "a" * 2999 + "b"
    card = scorecard(replace(PRIORITY, evidence=Evidence(difference=difference)))
    shown = "".join(terminal(card).split())
    assert "".join(difference.split()) in shown


def test_long_input_and_output_is_shortened_with_a_note() -> None:
    """The start of the input and the end of the output stay, with the command that shows all."""
    many = "\n".join(f"line {n}" for n in range(200))
    card = scorecard(replace(PRIORITY, evidence=Evidence(given=many, output=many)))
    shown = terminal(card)
    assert shown.count("line ") < 40
    assert "line 0\n" in shown
    assert "line 199" in shown
    assert shown.count("archprep report q1 --html FILE") == 2
    assert terminal(card, verbose=True).count("line ") == 400


def test_equal_output_lines_are_collapsed() -> None:
    """A thousand equal lines do not push the reason off the screen."""
    shown = terminal(scorecard(replace(PRIORITY, evidence=Evidence(output="tick\n" * 1000))))
    assert shown.count("tick") == 1
    assert "(999 more lines like this)" in shown


def test_one_cause_is_shown_once_with_all_its_criteria() -> None:
    """The same exception on the same line is one cause, whatever the drawn values."""
    shown = terminal(scorecard(CRASH, CRASH_TOO))
    assert shown.count("eventbus.py:41 in publish") == 1
    assert "2 criteria, 30 points" in shown
    assert "retry-backoff, dead-letter-stage" in shown
    assert "the first of 2" in shown
    assert shown.count("--criterion") == 1
    assert "Look at" not in shown  # a hint is about one behaviour


def test_the_starter_is_one_cause() -> None:
    """Unwritten code is one cause that lists every place to write."""
    shown = terminal(SAMPLES["starter"])
    assert shown.count("Not written yet") == 1
    assert "7 criteria, 100 points" in shown
    assert "in subscribe" in shown
    assert "in publish" in shown


def test_a_failing_import_is_one_cause() -> None:
    """A syntax error is shown once, with its line."""
    shown = terminal(SAMPLES["unimportable"])
    assert shown.count("SyntaxError") == 1
    assert "eventbus.py:20\n" in shown
    assert "def subscribe(self, topic" in shown
    assert "Look at" not in shown


def test_different_failures_are_never_merged() -> None:
    """Another line, exception or behaviour is another cause."""
    elsewhere = replace(CRASH.evidence.frames[0], line=50)
    crashes = [
        CRASH,
        replace(CRASH, id="b", evidence=replace(CRASH.evidence, frames=(elsewhere,))),
        replace(CRASH, id="c", evidence=replace(CRASH.evidence, message="TypeError: x")),
    ]
    shown = terminal(
        scorecard(*crashes, PRIORITY, replace(PRIORITY, id="d", observed="d"), TIMEOUT)
    )
    assert shown.count("Repeat") == 6


def test_each_criterion_names_the_line_that_raised() -> None:
    """An exception is shown with its line at each criterion that it costs."""
    shown = terminal(scorecard(CRASH, CRASH_TOO))
    assert shown.count("eventbus.py:41)\n") + shown.count("eventbus.py:41)  ") == 2


def test_a_task_that_is_not_begun_is_one_line() -> None:
    """Stubs do not look like failures; with --verbose every criterion is listed."""
    card = scorecard(ROUTING, unwritten(CRASH, "retry"), unwritten(CRASH_TOO, "letter"))
    assert "Retries and dead letters, not begun: 2 criteria  " in terminal(card)
    assert CRASH.title not in terminal(card)
    assert terminal(card, verbose=True).count("not written") == 2


def test_what_to_fix_next_comes_first_and_last() -> None:
    """What stops several criteria goes before what stops one, and unwritten code comes last."""
    missing = unwritten(TIMEOUT, "idle")
    lines = terminal(scorecard(missing, PRIORITY, CRASH, CRASH_TOO)).splitlines()
    said = "Fix first: KeyError, eventbus.py:41 (30 points)"
    assert [number for number, line in enumerate(lines) if line == said] == [1, len(lines) - 3]
    headlines = [line for line in lines if line[:2] in ("! ", "✗ ")]
    assert [line.split()[1] for line in headlines] == ["Crash", "Handlers", "Not"]
    assert "Write next: task 2: idle in eventbus.py" in terminal(scorecard(missing))


def test_criteria_that_stop_at_one_answer_are_one_block() -> None:
    """Requests differ in their drawn values; the answer and what was observed are the same."""
    stopped = [
        replace(
            PRIORITY,
            id=f"c{n}",
            expected=f"promise {n}",
            observed="the reply is 500",
            evidence=Evidence(given=f"1. GET /a -> 200\n2. POST /token, code: {n} -> 500 oops {n}"),
        )
        for n in range(3)
    ]
    shown = terminal(scorecard(TIMEOUT, *stopped))
    said = "3 criteria stop at one answer: POST /token -> 500"
    assert shown.index(said) < shown.index(TIMEOUT.title)
    assert shown.count("--criterion") == 2
    assert f"Fix first: {said} (30 points)" in shown


def test_a_sweep_shows_both_stories() -> None:
    """The program, what the reference does and what the candidate's code does have labels."""
    swept = replace(PRIORITY, expected="The reference:\nAt 1: a", observed="At 1: b", programs=9)
    shown = terminal(scorecard(swept))
    assert "  Program    handlers  h1" in shown
    assert "  Reference  At 1: a\n  Your code  At 1: b\n" in shown


def test_a_sweep_says_what_it_does_not_charge() -> None:
    """Differences by a rule that has failed already cost nothing, and are not hidden."""
    swept = replace(passed(PRIORITY), observed="differs only where 1.1 broke")
    assert "(differs only where 1.1 broke)" in " ".join(terminal(scorecard(swept)).split())


def test_blocked_criteria_are_one_line_per_task() -> None:
    """Criteria that depend on another task do not look like more failures."""
    waits = [
        replace(OURS, id=f"w{n}", state=State.BLOCKED, reason="needs task 2") for n in range(5)
    ]
    shown = terminal(scorecard(ROUTING, *waits))
    assert shown.count("blocked") == 1
    assert "5 criteria: needs task 2" in shown
    assert "--criterion w" not in shown


def test_a_long_command_stays_on_one_line() -> None:
    """A command is not wrapped if it fits on a line of its own."""
    shown = terminal(scorecard(replace(PRIORITY, id="a-name-of-thirty-characters-1")))
    again = "archprep check q1 --seed 471123 --criterion a-name-of-thirty-characters-1"
    assert f"  Repeat\n    {again}\n" in shown


def test_next_steps_are_different_commands() -> None:
    """After a failing import the same command is not suggested twice."""
    shown = terminal(scorecard(unimportable(PRIORITY), partial=True))
    assert shown.count("archprep check q1 ") == 2  # to repeat, and once the import works


def test_the_caller_chooses_the_repeat_command() -> None:
    """It contains the seed, and whatever the caller adds (a folder, another program)."""
    card = scorecard(PRIORITY)
    assert "archprep check q1 --seed 471123 --criterion handler-priority" in terminal(card)
    prefixed = terminal(card, repeat="archprep check --dir w")
    assert "archprep check --dir w --seed 471123 --criterion handler-priority" in prefixed
    assert "do handler-priority again" in terminal(card, repeat=lambda name: f"do {name} again")


@pytest.mark.parametrize(
    ("card", "step"),
    [
        (scorecard(PRIORITY, CRASH), "archprep hint q1 handler-priority"),
        (scorecard(passed(PRIORITY)), "archprep solution q1"),
        (SAMPLES["unimportable"], "archprep check q1"),
        (scorecard(passed(PRIORITY), partial=True), "archprep check q1"),
        (scorecard(OURS), "archprep report q1 --html report.html"),
    ],
)
def test_the_next_step_fits_the_result(card: object, step: str) -> None:
    """The last lines suggest what to do next."""
    shown = terminal(card)  # type: ignore[arg-type]
    assert step in shown[shown.index("  Next ") :]


def test_a_part_does_not_look_like_the_whole() -> None:
    """Full points in one criterion are not a passed exercise."""
    shown = terminal(scorecard(passed(PRIORITY), partial=True))
    assert "Score 10/10" in shown
    assert "Only part of the exercise was checked." in shown


def test_an_ascii_terminal_gets_ascii() -> None:
    """Marks have an ASCII form, and other characters are escaped."""
    card = scorecard(ROUTING, replace(PRIORITY, observed="naïve → 漢字"))
    shown = terminal(card, encoding="ascii")
    assert "+ passed" in shown
    assert "x failed" in shown
    assert r"na\xefve \u2192" in shown


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_no_color_is_respected(
    monkeypatch: pytest.MonkeyPatch, no_color: str, coloured: bool
) -> None:
    """NO_COLOR removes the colours; every colour comes with a word."""
    monkeypatch.setenv("NO_COLOR", no_color)
    file = io.StringIO()
    console = Console(file=file, width=80, force_terminal=True, color_system="standard")
    print_scorecard(SAMPLES["mixed"], console)
    assert ("\x1b[32m" in file.getvalue()) is coloured
    assert "passed" in file.getvalue()


def test_unwritten_code_points_to_the_brief() -> None:
    """With the starter the report says where to begin."""
    shown = terminal(scorecard(unwritten(PRIORITY, "publish")))
    assert "Look at" in shown
