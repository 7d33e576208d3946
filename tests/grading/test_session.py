"""Grading: fail closed, per criterion, and blame the right side. At level D: the code is honest."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from archprep.content import catalog
from archprep.core.errors import ContentError, UsageError
from archprep.core.model import CriterionResult, Scorecard, State
from archprep.grading import pytest_run as run
from archprep.grading import session
from archprep.grading.session import Wanted
from archprep.sandbox.sandbox import Sandbox
from archprep.workspace import submission as intake

PROBES = """
def add(pairs):
    import answer
    return [answer.add(a, b) for a, b in pairs]

def call(name, args):
    import answer
    return getattr(answer, name)(*args)
"""
HEAD = """
from typing import Annotated
from msgspec import Meta
from archprep.grading import Refuse, assert_same, criterion, expect, exposed, fake, scenario
"""
GRADER = """
@scenario
def added(candidate, rng):
    pairs = [[rng.randrange(10**6), rng.randrange(10**6)] for _ in range(5)]
    return pairs, candidate.observe("add", pairs=pairs, returns=list[int])

@criterion("Adds", task=1, points=60, hint="adding")
def test_adds(added):
    pairs, seen = added
    assert_same(seen, [a + b for a, b in pairs], says="the sums come back", given=f"{pairs}")

@criterion("Adds nothing", task=1, points=30, hint="adding")
def test_adds_nothing(candidate, rng):
    n = rng.randrange(10**6)
    assert_same(candidate.observe("add", pairs=[[n, 0]]), [n], says="n + 0 is n")

@criterion("Second", task=2, points=10, hint="adding")
def test_second_task(candidate):
    assert_same(candidate.observe("call", name="second", args=[]), 2, says="two")
"""
GOOD = "def add(a, b):\n    return a + b\n\n\ndef second():\n    return 2\n"

Grade = Callable[..., Scorecard]


@pytest.fixture
def graders(content: Path, home: Path) -> Path:
    """The graders of the tiny q1: two tasks, the second needs the first."""
    folder = content / "graders" / "q01_event_bus"
    (folder / "probes.py").write_text(PROBES)
    (folder / "test_answer.py").write_text(HEAD + GRADER)
    return folder


@pytest.fixture
def grade(graders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Grade:
    """Grade an answer, at level D; `grader` replaces the hidden tests."""
    # Two versions written within a second could have the same size, and so the same bytecode.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def run(
        answer: str = GOOD, *, grader: str | None = None, seed: int = 1, **options
    ) -> Scorecard:
        if grader is not None:
            (graders / "test_answer.py").write_text(HEAD + textwrap.dedent(grader))
        folder = tmp_path / "workspace"
        folder.mkdir(exist_ok=True)
        (folder / "answer.py").write_text(answer)
        exercise, stage = catalog.get("q1"), tmp_path / "stage"
        submission = intake.freeze(folder, exercise, stage)
        try:
            return session.grade(exercise, submission, seed=seed, level="D", **options)
        finally:
            intake.discard(stage)

    return run


def one(card: Scorecard, name: str) -> CriterionResult:
    (result,) = (c for c in card.criteria if c.id == name)
    return result


def states(card: Scorecard) -> dict[str, str]:
    return {c.id: c.state.value for c in card.criteria}


def with_body(body: str) -> str:
    """A grader whose first criterion has this body; the second one is sound."""
    return f"""
@criterion("Odd", task=1, points=50, hint="adding")
def test_odd(candidate, rng):
{textwrap.indent(textwrap.dedent(body), "    ")}

@criterion("Sound", task=2, points=50, hint="adding")
def test_sound(candidate):
    assert_same(candidate.observe("add", pairs=[[1, 2]]), [3], says="three")
"""


def test_packages_that_are_missing_are_the_users_to_install(grade, content):
    """They are named with the command that installs them, before anything runs."""
    manifest = content / "exercises" / "q01_event_bus" / "exercise.yaml"
    more = 'packages: ["no-such[extra]", json5]\npreload: [json, no_such.module, no_such]\n'
    manifest.write_text(manifest.read_text() + more)
    with pytest.raises(UsageError, match=r"q1 needs packages .* \(no_such\)") as error:
        grade()
    assert error.value.tip == "Install them: pip install 'no-such[extra]' json5"


# -- verdicts ---------------------------------------------------------------------------------


def test_a_right_answer_earns_all(grade):
    card = grade()
    assert (card.score, card.max_score, card.passed, card.scored) == (100, 100, True, True)
    assert [(t.number, t.earned) for t in card.tasks] == [(1, 90), (2, 10)]
    assert card.isolation.level == "D"


def test_a_failed_criterion_shows_expected_observed_and_the_drawn_input(grade):
    result = one(grade(GOOD.replace("a + b", "a - b")), "adds")
    pairs = eval(result.evidence.given)
    assert result.state is State.FAILED
    assert result.expected == f"the sums come back: {[a + b for a, b in pairs]}"
    assert result.observed == f"{[a - b for a, b in pairs]}"
    assert result.evidence.difference.startswith("at [0]: expected ")
    assert (result.earned, result.hint) == (0, "Look at `add`.")


def test_one_failing_criterion_hides_no_other(grade):
    """What shares a scenario may fail apart from it, and the rest is graded."""
    card = grade(GOOD.replace("a + b", "a + b if b else -1"))
    assert states(card) == {"adds": "passed", "adds-nothing": "failed", "second-task": "passed"}
    assert (card.score, card.passed) == (70, False)


def test_what_is_not_written_yet_is_said_to_be_that(grade):
    """NotImplementedError is no crash: it is where one goes on."""
    card = grade("def add(a, b):\n    raise NotImplementedError\n")
    result = one(card, "adds")
    assert result.state is State.FAILED
    assert result.observed == ("Not written yet: add (answer.py:2) raises NotImplementedError.")


@pytest.mark.parametrize(
    ("body", "reason", "told"),
    [
        ("raise ValueError('no')", "crash", "did not get through: ValueError: no."),
        ("import os; os._exit(0)", "crash", "ended itself with exit status 0"),
        ("return bytearray(10**11)", "memory", "Too much memory"),
        ("print('x' * 3_000_000)", "output", "Too much output: your code printed more than"),
        ("return 'three'", "protocol", "Not an answer"),
        ("return object()", "crash", "not JSON serializable"),
        ("return float('nan')", "crash", "not plain data"),
        ("import time; time.sleep(60)", "timeout", "Time-out: the scenario had not finished"),
    ],
)
def test_a_scenario_without_an_answer_names_its_reason(grade, content, body, reason, told):
    """The reason and a sentence; its criteria get nothing, the others what they are worth."""
    manifest = content / "exercises" / "q01_event_bus" / "exercise.yaml"
    manifest.write_text(manifest.read_text() + "limits: {seconds: 1}\n")
    answer = GOOD.replace("    return a + b", f"    if b:\n        {body}\n    return a + b")
    card = grade(answer)
    result = one(card, "adds")
    assert (result.state, result.reason) == (State.CANDIDATE_ERROR, reason)
    assert told in result.observed
    assert states(card)["adds-nothing"] == "passed"


def test_an_import_that_fails_is_told_with_its_place(grade):
    card = grade("x = 1\nraise RuntimeError('at import')\n")
    assert {c.reason for c in card.criteria if c.task == 1} == {"import"}
    result = one(card, "adds")
    assert "cannot be imported: RuntimeError: at import" in result.observed
    assert [(f.file, f.line) for f in result.evidence.frames] == [("answer.py", 2)]


def test_an_import_that_hangs_costs_its_time_once(grade, content, monkeypatch):
    """One scenario waits for it; the others fail for the same reason without running."""
    manifest = content / "exercises" / "q01_event_bus" / "exercise.yaml"
    manifest.write_text(manifest.read_text() + "limits: {seconds: 1}\n")
    ran, run_scenario = [], Sandbox.run
    monkeypatch.setattr(Sandbox, "run", lambda *args: ran.append(1) or run_scenario(*args))
    card = grade("import time\ntime.sleep(60)\n")
    assert len(ran) == 1
    assert {c.reason for c in card.criteria if c.task == 1} == {"import"}


def test_the_prints_of_a_failed_scenario_are_kept(grade):
    """Also of the first one, and of an observation of the wrong form."""
    answer = GOOD.replace("    return a + b", "    print('seen', a)\n    return a - b")
    assert one(grade(answer), "adds").evidence.output.startswith("seen ")
    answer = GOOD.replace("    return a + b", "    print('seen', a)\n    return 'x'")
    assert one(grade(answer), "adds").evidence.output.startswith("seen ")


def test_a_later_task_is_blocked_by_an_earlier_one_that_earns_nothing(grade):
    """One cause instead of ten consequences; what passes is never blocked."""
    card = grade("def add(a, b):\n    return -1\n")
    blocked = one(card, "second-task")
    assert (blocked.state, blocked.earned) == (State.BLOCKED, 0)
    assert blocked.reason == "needs task 1, which earns nothing yet"
    assert one(grade("def add(a, b):\n    return -1\ndef second():\n    return 2\n"),
               "second-task").state is State.PASSED  # fmt: skip
    assert one(grade("def add(a, b):\n    return a + b\n"),
               "second-task").state is State.CANDIDATE_ERROR  # fmt: skip


# -- faults of ours ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("raise KeyError('hidden value 4711')", r"KeyError at test_answer.py:\d+"),
        ("assert 1 == 2", r"AssertionError at test_answer.py:\d+"),
        ("import pytest\npytest.skip('not today')", "Skipped at"),
        ("import pytest\npytest.xfail('known')", "XFailed at"),
        ("pass", "compared nothing"),
        ("candidate.observe('add', pairs=[[1, 2]])", "compared nothing"),
        ("candidate.observe('add', pairs=object())", "ProtocolError at"),
        ("import unknown_module", "ModuleNotFoundError at"),
        ("raise SystemExit(0)", "SystemExit at"),
    ],
)
def test_a_grader_at_fault_is_not_scored_and_costs_no_other(grade, body, reason):
    """The candidate is not marked down, the total is what was declared, others are graded."""
    card = grade(grader=with_body(body))
    odd, sound = one(card, "odd"), one(card, "sound")
    assert (odd.state, odd.earned) == (State.GRADER_ERROR, 0)
    assert re.search(reason, odd.reason)
    assert "4711" not in odd.reason
    assert (sound.state, card.max_score, card.scored) == (State.PASSED, 100, False)


def test_comparing_in_a_scenario_is_not_comparing_in_a_criterion(grade):
    """Each criterion proves its own behaviour."""
    card = grade(
        grader="""
        @scenario
        def checked(candidate):
            expect(True, expected="", observed="")

        @criterion("Odd", task=1, points=50, hint="adding")
        def test_odd(checked):
            pass

        @criterion("Sound", task=2, points=50, hint="adding")
        def test_sound(checked):
            expect(True, expected="", observed="")
    """
    )
    assert states(card) == {"odd": "grader_error", "sound": "passed"}


def test_a_scenario_at_fault_costs_the_criteria_it_feeds(grade):
    card = grade(
        grader="""
        @scenario
        def broken(candidate):
            raise ZeroDivisionError

        @criterion("Odd", task=1, points=50, hint="adding")
        def test_odd(broken):
            expect(True, expected="", observed="")

        @criterion("Sound", task=2, points=50, hint="adding")
        def test_sound():
            expect(True, expected="", observed="")
    """
    )
    assert states(card) == {"odd": "grader_error", "sound": "passed"}


def test_a_criterion_without_a_record_is_not_scored(grade, monkeypatch):
    """Only an explicit record passes; totals come from what is declared."""
    record = run.Run._record

    def forgetful(self, item, error, duration):
        if run._id(item) != "adds":
            record(self, item, error, duration)

    monkeypatch.setattr(run.Run, "_record", forgetful)
    card = grade()
    assert one(card, "adds").state is State.GRADER_ERROR
    assert (card.score, card.max_score, card.scored) == (40, 100, False)


def test_a_candidate_pays_for_unusable_arguments_only(grade, graders):
    """A fault of the fake itself is ours; unusable arguments are refused before it runs."""
    (graders / "probes.py").write_text("def call(fake, n):\n    return fake.take(n)\n")
    body = """
        class Fake:
            @exposed
            def take(self, n: Annotated[int, Meta(ge=0)]):
                return 1 / n
        assert_same(candidate.observe("call", fake=fake(Fake()), n={n}), 1.0, says="one")
    """
    assert one(grade(grader=with_body(body.format(n=1))), "odd").state is State.PASSED
    assert one(grade(grader=with_body(body.format(n=-1))), "odd").reason == "crash"
    assert one(grade(grader=with_body(body.format(n="1.5"))), "odd").reason == "crash"
    assert one(grade(grader=with_body(body.format(n=0))), "odd").state is State.GRADER_ERROR


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("points=60", "points=61"), "add up to 101"),
        (("points=10", "points=9"), "add up to 99"),
        (
            ('hint="adding")\ndef test_adds(', 'hint="nowhere")\ndef test_adds('),
            "no section nowhere",
        ),
        (("task=2", "task=1"), "each task needs a criterion"),
        (("task=2", "task=3"), "each task needs a criterion"),
        (('@criterion("Second", task=2, points=10, hint="adding")\n', ""), "not a criterion"),
        (("def test_adds_nothing(", "def test_adds__nothing(\n"), None),
        (("def test_second_task", "def second_task"), "add up to 90"),
        (("def test_adds(", "def (:"), "cannot be used"),
        (("@scenario", "@undefined"), "cannot be used"),
    ],
)
def test_graders_that_do_not_add_up_are_refused(grade, change, told):
    """Before anything is scored, and as our fault."""
    grader = GRADER.replace(*change)
    assert grader != GRADER
    if told is None:
        assert grade(grader=grader).score == 100
        return
    with pytest.raises(ContentError, match=told):
        grade(grader=grader)


def test_two_criteria_of_one_name_are_refused(grade, graders):
    (graders / "test_more.py").write_text(HEAD + GRADER)
    with pytest.raises(ContentError, match="declared twice"):
        grade()


def test_no_graders_at_all_is_our_fault(grade):
    with pytest.raises(ContentError, match="add up to 0"):
        grade(grader="")


def test_nothing_that_a_grader_keeps_reaches_the_next_run(grade):
    """`watch` and `author check` grade many submissions in one process."""
    grader = "kept = []\n" + with_body("kept.append(1)\nassert_same(kept, [1], says='once')")
    assert one(grade(grader=grader), "odd").state is State.PASSED
    assert one(grade(grader=grader), "odd").state is State.PASSED


def test_ctrl_c_in_a_grader_interrupts(grade):
    with pytest.raises(KeyboardInterrupt):
        grade(grader=with_body("raise KeyboardInterrupt"))


# -- selection, seeds, progress ---------------------------------------------------------------


def test_one_task_can_be_graded(grade):
    card = grade(wanted=Wanted(task=2))
    assert list(states(card)) == ["second-task"]
    assert (card.partial, card.max_score) == (True, 10)


def test_one_criterion_can_be_graded_with_the_same_draw(grade):
    """The command that repeats a failure repeats its input, whatever else is left out."""
    wrong = GOOD.replace("a + b", "a - b")
    whole = one(grade(wrong, seed=7), "adds")
    alone = grade(wrong, seed=7, wanted=Wanted(criterion="adds"))
    assert alone.criteria[0].evidence.given == whole.evidence.given
    assert alone.criteria[0].observed == whole.observed
    assert one(grade(wrong, seed=8), "adds").evidence.given != whole.evidence.given


def test_a_selected_task_is_not_blocked_by_one_that_was_not_graded(grade):
    card = grade("def add(a, b):\n    return -1\n", wanted=Wanted(task=2))
    assert states(card) == {"second-task": "candidate_error"}


def test_an_unknown_criterion_gets_near_names(grade):
    with pytest.raises(UsageError, match="no criterion 'add-nothing'") as caught:
        grade(wanted=Wanted(criterion="add-nothing"))
    assert "adds-nothing" in caught.value.tip


def test_an_unknown_task_gets_the_numbers(grade):
    with pytest.raises(UsageError, match="no task 9") as caught:
        grade(wanted=Wanted(task=9))
    assert "1, 2" in caught.value.tip


def test_progress_is_told_for_each_criterion(grade):
    told = []
    grade(progress=lambda *so_far: told.append(so_far))
    names = ["adds", "adds-nothing", "second-task"]
    assert told == [(n, 3, f"passed: {name}") for n, name in enumerate(names, 1)]


def test_seeds_are_drawn_from_a_large_range():
    seeds = {session.draw_seed() for _ in range(20)}
    assert len(seeds) == 20
    assert all(0 <= seed < 10**9 for seed in seeds)


# -- what the user's surroundings change: nothing ---------------------------------------------


HOOK = "import pytest\n\ndef pytest_collection_modifyitems(items):\n    items.clear()\n"


@pytest.fixture
def surroundings(content: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory and an environment full of pytest settings."""
    here = tmp_path / "here"
    here.mkdir()
    (here / "pytest.ini").write_text("[pytest]\naddopts = -k nothing --strict-config\n")
    (here / "conftest.py").write_text(HOOK)
    (here / "json.py").write_text("raise SystemExit('json.py of the working directory')\n")
    (here / "evil.py").write_text(HOOK)
    (tmp_path / "conftest.py").write_text(HOOK)
    (content / "conftest.py").write_text(HOOK)
    (content / "graders" / "conftest.py").write_text(HOOK)
    (content / "graders" / "pytest.ini").write_text("[pytest]\naddopts = -x -k no\n")
    monkeypatch.chdir(here)
    monkeypatch.setenv("PYTEST_ADDOPTS", "-k nothing -p evil --collect-only")
    monkeypatch.setenv("PYTEST_PLUGINS", "evil")
    return here


def test_settings_of_pytest_change_nothing(grade, surroundings):
    """Variables, pytest.ini and conftest.py: here, above the graders and beside them."""
    assert grade().score == 100
    assert os.environ["PYTEST_ADDOPTS"].startswith("-k nothing")
    assert os.environ["PYTEST_PLUGINS"] == "evil"


def test_a_module_of_the_working_directory_does_not_reach_the_judge(surroundings, content):
    """`python -m` puts the working directory first on the path: archprep takes it off again."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    done = subprocess.run(
        [sys.executable, "-m", "archprep", "list"],
        capture_output=True, text=True, env=environment, cwd=surroundings, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "q1" in done.stdout


MEET_AT_ONCE = """
import dataclasses, sys, threading
from archprep.grading.candidate import _typed
from archprep.sandbox.scenario import Observation

sys.setswitchinterval(1e-6)
names = [f"a{n}" for n in range(12)]
for _ in range(200):
    inner = dataclasses.make_dataclass("Inner", [(name, "int") for name in names])
    outer = dataclasses.make_dataclass("Outer", [("inner", list[inner])])
    seen = Observation([{"inner": [dict.fromkeys(names, 1)]}], "")
    together = threading.Barrier(4)

    def convert():
        together.wait()
        assert _typed(seen, list[outer])[0].inner[0].a0 == 1

    threads = [threading.Thread(target=convert) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
"""


def test_scenarios_that_end_at_once_may_return_one_type():
    """In a process of its own: without care the library under it crashes."""
    command = [sys.executable, "-c", MEET_AT_ONCE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
