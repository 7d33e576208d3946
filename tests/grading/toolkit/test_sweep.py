"""A sweep, from the draw to what the candidate reads. At level D: the code is honest."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import sweep_exercise
from sweep_exercise import BRIEF, GRADER, HINTS, PROBES, REFERENCE, RIGHT, WRONG

from archprep.content import catalog
from archprep.core.model import BrokenRule, CriterionResult, Scorecard, State
from archprep.grading import session
from archprep.grading.session import Wanted
from archprep.grading.toolkit.sweep_corpus import Kept, keep
from archprep.workspace import submission as intake

# Traces are sent as text, whatever the probe does.
FORGE = """
from archprep.worker.stubs import Channel
call = Channel.call
Channel.call = lambda self, fake, method, args, kwargs: call(self, fake, method, ("?",), kwargs)
"""

Grade = Callable[..., Scorecard]


@pytest.fixture
def grade(content: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Grade:
    """Grade an answer, at level D; `reference` and `probes` replace those of the exercise."""
    # Two versions written within a second could have the same size, and so the same bytecode.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    manifest = content / "exercises" / "q01_event_bus" / "exercise.yaml"
    manifest.write_text(manifest.read_text() + "limits: {seconds: 1}\n")
    graders = content / "graders" / "q01_event_bus"
    (graders / "test_answer.py").write_text(GRADER)
    (manifest.parent / "brief.md").write_text(BRIEF)
    (manifest.parent / "hints.md").write_text(HINTS)

    def run(
        answer: str = RIGHT,
        *,
        reference: str = REFERENCE,
        probes: str = PROBES,
        seed: int = 1,
        factor: int = 1,
        wanted: Wanted = session.ALL,
    ) -> Scorecard:
        (graders / "probes.py").write_text(probes)
        (content / "solutions" / "q01_event_bus" / "answer.py").write_text(reference)
        folder = tmp_path / "workspace"
        folder.mkdir(exist_ok=True)
        (folder / "answer.py").write_text(answer)
        exercise, stage = catalog.get("q1"), tmp_path / "stage"
        submission = intake.freeze(folder, exercise, stage)
        try:
            with session.opened(exercise, submission, level="D", sweep_factor=factor) as opened:
                return opened.grade(submission, seed=seed, wanted=wanted)
        finally:
            intake.discard(stage)

    return run


def one(card: Scorecard, name: str) -> CriterionResult:
    (result,) = (c for c in card.criteria if c.id == name)
    return result


def states(card: Scorecard) -> list[State]:
    return [c.state for c in card.criteria]


def wrong(name: str) -> str:
    old, new = WRONG[name]
    assert REFERENCE.count(old) == 1
    return REFERENCE.replace(old, new)


def test_a_right_answer_of_another_design_passes(grade):
    """The scorecard records how many programs were played."""
    card = grade()
    assert states(card) == [State.PASSED] * 2
    assert [c.programs for c in card.criteria] == [120, 120]


def test_a_difference_is_shrunk_and_put_into_words(grade):
    """The candidate reads the smallest program, both stories, the first difference and the rule."""
    result = one(grade(wrong("positive_only")), "sweep-totals")
    assert result.state is State.FAILED
    assert result.evidence.given == "add(a, -1)\ntotal(a)"
    assert result.expected == "The reference:\nIn step 2: total(a) is -1"
    assert result.broken == BrokenRule("1.1", "`total` returns the sum of what was added.")
    assert result.observed == "In step 2: total(a) is 0"
    assert result.evidence.difference == (
        "In step 2: expected: total(a) is -1; observed: total(a) is 0."
    )


@pytest.mark.parametrize("name", ["freezes_all", "thaws"])
def test_a_fault_of_a_later_task_costs_that_task(grade, name):
    card = grade(wrong(name))
    assert states(card) == [State.PASSED, State.FAILED]
    assert one(card, "sweep-frozen").broken.rule == "2.1"
    assert one(card, "sweep-frozen").hint == "Freeze."


def test_a_fault_of_an_earlier_task_does_not_cost_a_later_one(grade):
    """It does as long as most programs of the later task show no difference."""
    rare = REFERENCE.replace("if name not in", "if amount != -7 and name not in")
    assert states(grade(rare)) == [State.FAILED, State.PASSED]


def test_a_later_task_that_is_obscured_earns_nothing(grade):
    """Where most programs differ, nothing shows that the task itself is solved."""
    assert states(grade(REFERENCE.replace("return self.totals.get(name, 0)", "return 12345"))) == [
        State.FAILED,
        State.BLOCKED,
    ]


KEPT = """
from archprep.grading import criterion
from sweep_exercise import Totals

@criterion("Frozen", task=2, points=60, rules=["2.1"])
def test_frozen(sweep):
    sweep.kept(Totals())

@criterion("Others", task=1, points=40, rules=["1.1"])
def test_others(sweep):
    sweep.kept(Totals(), "1.1")
"""


@pytest.mark.parametrize(("name", "lost"), [("freezes_all", "frozen"), ("thaws", "others")])
def test_a_criterion_plays_the_programs_kept_for_its_rules(grade, content, name, lost):
    """A fault costs the rule for which the program is kept that shows it."""
    graders = content / "graders" / "q01_event_bus"
    (graders / "test_answer.py").write_text(KEPT)
    freeze = {"do": "freeze", "name": "a"}
    other = [freeze, {"do": "add", "name": "b", "amount": 5}, {"do": "total", "name": "b"}]
    both = [freeze, {"do": "freeze", "name": "b"}, {"do": "add", "name": "a", "amount": 5}]
    both.append({"do": "total", "name": "a"})
    keep(graders / "corpus", "one", Kept(2, "2.1", "freezes too much", {"steps": other}))
    keep(graders / "corpus", "two", Kept(1, "1.1", "thaws", {"steps": both}))
    card = grade(wrong(name))
    assert {c.id for c in card.criteria if c.lost} == {lost}
    assert one(card, lost).evidence.difference.startswith("In step")
    assert one(card, lost).broken.rule == {"frozen": "2.1", "others": "1.1"}[lost]


FREEZE, NEGATIVE = {"do": "freeze", "name": "b"}, {"do": "add", "name": "a", "amount": -1}
ASKED = {"do": "total", "name": "a"}


def test_a_rule_of_another_criterion_costs_only_that_one(grade, content):
    """The program is shrunk to see what broke; the other criterion must have lost its points."""
    graders = content / "graders" / "q01_event_bus"
    (graders / "test_answer.py").write_text(KEPT)
    steps = [FREEZE, NEGATIVE, ASKED]
    keep(graders / "corpus", "one", Kept(2, "2.1", "negative", {"steps": steps}))
    keep(graders / "corpus", "two", Kept(2, "2.1", "frozen", {"steps": [FREEZE, ASKED]}))
    keep(graders / "corpus", "three", Kept(1, "1.1", "negative", {"steps": [NEGATIVE, ASKED]}))
    card = grade(wrong("positive_only"))
    assert {c.id for c in card.criteria if c.lost} == {"others"}
    said = "differs only where 1.1 broke, which costs nothing again"
    assert one(card, "frozen").observed == said
    alone = one(grade(wrong("positive_only"), wanted=Wanted(criterion="frozen")), "frozen")
    assert alone.state is State.FAILED
    assert [line[:3] for line in alone.evidence.given.splitlines()] == ["add", "tot"]


def test_a_task_that_is_obscured_earns_nothing(grade, content):
    """Where most kept programs of a task differ, nothing shows that its rules are kept."""
    graders = content / "graders" / "q01_event_bus"
    (graders / "test_answer.py").write_text(KEPT)
    steps = [FREEZE, NEGATIVE, ASKED]
    keep(graders / "corpus", "one", Kept(2, "2.1", "negative", {"steps": steps}))
    keep(graders / "corpus", "two", Kept(1, "1.1", "negative", {"steps": [NEGATIVE, ASKED]}))
    card = grade(wrong("positive_only"))
    assert {c.id for c in card.criteria if c.lost} == {"others", "frozen"}


def test_a_criterion_is_graded_although_another_ones_program_hangs(grade, content):
    """The programs after one that hangs are played for the criteria that they are kept for."""
    graders = content / "graders" / "q01_event_bus"
    more = KEPT.replace("60", "20").partition("@criterion")[2].partition("@criterion")[0]
    more = more.replace("frozen", "more").replace("Totals()", 'Totals(), "1.1"')
    (graders / "test_answer.py").write_text(f"{KEPT.replace('60', '40')}\n@criterion{more}")
    added = [{"do": "add", "name": "b", "amount": 5}, {"do": "total", "name": "b"}]
    keep(graders / "corpus", "one", Kept(2, "2.1", "hangs", {"steps": [FREEZE, ASKED]}))
    for task in (1, 2):
        keep(graders / "corpus", f"two-{task}", Kept(task, "1.1", "adds", {"steps": added}))
    card = grade(wrong("hangs"))
    assert {c.id: c.state for c in card.criteria} == {
        "frozen": State.CANDIDATE_ERROR,
        "others": State.PASSED,
        "more": State.PASSED,
    }


def test_of_several_rules_the_one_that_broke_is_named(grade, content):
    """A program kept for one rule of a criterion may show that another one broke."""
    graders = content / "graders" / "q01_event_bus"
    (graders / "test_answer.py").write_text(KEPT.replace('["2.1"]', '["1.1", "2.1"]'))
    added = [{"do": "add", "name": "b", "amount": 5}, {"do": "total", "name": "b"}]
    steps = [{"do": "freeze", "name": "a"}, *added]
    keep(graders / "corpus", "one", Kept(2, "1.1", "freezes too much", {"steps": steps}))
    keep(graders / "corpus", "two", Kept(1, "1.1", "adds nothing", {"steps": added}))
    assert one(grade(wrong("freezes_all")), "frozen").broken.rule == "2.1"


def test_a_rule_that_has_failed_costs_nothing_again(grade, content):
    """The sweep looks for what no criterion has found yet."""
    graders = content / "graders" / "q01_event_bus"
    kept = KEPT.partition('@criterion("Others"')[0].replace("60", "20").replace("2.1", "1.1")
    kept = kept.replace("task=2", "task=1")
    (graders / "test_answer.py").write_text(kept + GRADER.replace("60", "40"))
    steps = [{"do": "add", "name": "a", "amount": -1}, {"do": "total", "name": "a"}]
    keep(graders / "corpus", "one", Kept(1, "1.1", "negative amounts", {"steps": steps}))
    card = grade(wrong("positive_only"))
    assert {c.id for c in card.criteria if c.lost} == {"frozen"}
    assert one(card, "frozen").broken.rule == "1.1"
    said = "differs only where 1.1 broke, which costs nothing again"
    assert one(card, "sweep-totals").observed == said
    alone = grade(wrong("positive_only"), wanted=Wanted(criterion="sweep-totals"))
    assert states(alone) == [State.FAILED]


def test_a_crash_is_shrunk_and_shown_with_the_candidates_line(grade):
    result = one(grade(wrong("crashes")), "sweep-totals")
    assert (result.state, result.reason) == (State.CANDIDATE_ERROR, "crash")
    assert result.evidence.given == "total(a)"
    assert [frame.function for frame in result.evidence.frames] == ["total"]


def test_code_that_is_not_written_yet_says_so(grade):
    missing = REFERENCE.replace("self.frozen.add(name)", "raise NotImplementedError")
    card = grade(missing)
    assert states(card) == [State.PASSED, State.FAILED]
    assert one(card, "sweep-frozen").observed.startswith("Not written yet: freeze")


def test_a_hang_is_waited_for_once_and_attributed(grade):
    """It is told with its program; which of the rules it broke nobody can say."""
    result = one(grade(wrong("hangs")), "sweep-frozen")
    assert (result.state, result.reason) == (State.CANDIDATE_ERROR, "timeout")
    assert result.broken is None
    assert "freeze(" in result.evidence.given


@pytest.mark.parametrize("name", ["crashes", "hangs"])
def test_a_reference_that_fails_is_our_fault(grade, name):
    """Nobody loses points for it, and the message says where to look."""
    card = grade(reference=wrong(name))
    result = one(card, "sweep-frozen")
    assert result.state is State.GRADER_ERROR
    assert "the reference failed in the probe `play_programs`" in result.reason


def test_a_difference_that_no_rule_forbids_is_our_fault(grade, monkeypatch):
    monkeypatch.setattr(sweep_exercise.Totals, "rule", lambda *_: None)
    card = grade(wrong("positive_only"))
    assert one(card, "sweep-totals").state is State.GRADER_ERROR
    assert "no rule forbids" in one(card, "sweep-totals").reason


def test_programs_that_the_rules_do_not_decide_are_left_out(grade):
    """The reference's trace decides, whatever the candidate claims."""
    probes = PROBES.replace("len(freezes) > 3", "freezes")
    assert states(grade(wrong("thaws"), probes=probes)) == [State.PASSED, State.PASSED]


def test_whoever_hangs_where_nothing_is_decided_is_held_to_the_rest(grade):
    """Programs that the rules leave open neither save nor cost points."""
    hangs = "        self.frozen.add(name)\n        [0 for _ in iter(int, len(self.frozen) > 1)]"
    code = REFERENCE.replace("        self.frozen.add(name)", hangs)
    always = PROBES.replace("if len(freezes) > 3", "if len({s['name'] for s in freezes}) > 1")
    assert states(grade(code, probes=always)) == [State.PASSED, State.PASSED]
    wrong_too = code.replace("if name not in self.frozen", "if not (self.frozen and amount > 3)")
    assert states(grade(wrong_too, probes=always)) == [State.PASSED, State.FAILED]


def test_a_sweep_that_decides_nothing_is_our_fault(grade):
    """If the rules leave every program open, nothing was compared: nobody gets its points."""
    probes = PROBES.replace("else []", "else ['always']")
    assert states(grade(probes=probes)) == [State.GRADER_ERROR, State.GRADER_ERROR]


def test_a_malformed_trace_is_the_candidates_fault(grade):
    """A candidate that rewrites the probe gains nothing, and breaks nothing of ours."""
    forged = RIGHT + FORGE
    card = grade(forged)
    assert states(card)[0] is State.CANDIDATE_ERROR


def test_programs_depend_on_seed_version_task_and_number_alone(grade):
    """One criterion alone, or a longer run, shows the same."""
    rare = REFERENCE.replace("if name not in", "if amount != -7 and name not in")
    whole = one(grade(rare), "sweep-totals")
    alone = one(grade(rare, wanted=Wanted(criterion="sweep-totals")), "sweep-totals")
    assert alone.evidence == whole.evidence
    assert one(grade(rare, factor=3), "sweep-totals").programs == 360


def test_an_answer_that_differs_from_run_to_run_is_shown_as_first_seen(grade):
    """What cannot be repeated cannot be shrunk; it still fails."""
    flaky = REFERENCE.replace(
        "return self.totals.get(name, 0)", "return id(object()) % 99999 + 100"
    )
    assert one(grade(flaky), "sweep-totals").state is State.FAILED


CATCHING = PROBES.replace(
    """            if step["do"] == "total":
                moments.append([[number], f"total({step['name']}) is {totals.total(step['name'])}"])
""",
    """            if step["do"] == "total":
                try:
                    text = f"total({step['name']}) is {totals.total(step['name'])}"
                except LookupError as error:
                    errors.append(summarize(error))
                else:
                    moments.append([[number], text])
""",
).replace("Totals(), []\n", "Totals(), []\n        errors = []\n")
CATCHING = CATCHING.replace('"undefined": undefined', '"undefined": undefined, "errors": errors')
CATCHING = "from archprep.worker.scripted_errors import summarize\n" + CATCHING


def test_an_exception_does_not_hide_behind_what_is_missing(grade: Grade) -> None:
    """What the code raised is shown with its line, also where the probe takes it for a refusal."""
    result = one(grade(wrong("crashes"), probes=CATCHING), "sweep-totals")
    assert result.evidence.difference
    assert "is missing." in result.evidence.difference
    assert re.search(
        r"The code raised KeyError: '[abc]' in total, line 11\.", result.evidence.difference
    )
