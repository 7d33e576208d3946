"""Batches: a crash or a hang costs its program, and those after it are played."""

from __future__ import annotations

from typing import Any

from sweep_exercise import Totals

from archprep.core.errors import CandidateError
from archprep.core.model import Reason
from archprep.grading.toolkit.sweep_compare import Difference, difference, excerpts, in_words
from archprep.grading.toolkit.sweep_corpus import Draw, Kept, corpus, keep
from archprep.grading.toolkit.sweep_jury import jury
from archprep.grading.toolkit.sweep_players import MOST_CRASHES, Crash, Player
from archprep.grading.toolkit.sweep_spec import Trace, drawn


class Answer:
    """Plays programs in this process; `ends` says which of them end their scenario, and how."""

    def __init__(self, ends: dict[int, Reason] | None = None, *, negative: bool = True) -> None:
        self.ends = ends or {}
        self.negative = negative
        self.scenarios = 0

    def observe(self, probe: str, /, *, programs: list[Any], traces: Any) -> None:
        assert probe == "play_programs"
        self.scenarios += 1
        for program in programs:
            if reason := self.ends.get(program.get("n")):
                raise CandidateError(reason, "it ended")
            traces.target.add(Trace([*self._moments(program)]))

    def _moments(self, program: Any) -> Any:
        totals: dict[str, int] = {}
        for number, step in enumerate(program.get("steps", ())):
            if step["do"] == "add" and (self.negative or step["amount"] > 0):
                totals[step["name"]] = totals.get(step["name"], 0) + step["amount"]
            elif step["do"] == "total":
                yield (float(number),), f"total({step['name']}) is {totals.get(step['name'], 0)}"


def numbered(count: int) -> list[dict[str, Any]]:
    return [{"n": n} for n in range(count)]


def crashed(outcomes: list[Any]) -> list[int]:
    return [n for n, outcome in enumerate(outcomes) if isinstance(outcome, Crash)]


def test_programs_are_played_in_batches():
    """A spec whose programs are slow says how many share the seconds of a scenario."""

    class Slow(Totals):
        batch = 4

    answer = Answer()
    outcomes = Player(answer, Slow()).play(numbered(9))
    assert all(isinstance(outcome, Trace) for outcome in outcomes)
    assert answer.scenarios == 3


def test_a_crash_is_attributed_to_its_program():
    """The others, before and after it, lead to traces."""
    outcomes = Player(Answer({3: Reason.CRASH, 60: Reason.MEMORY}), Totals()).play(numbered(70))
    assert crashed(outcomes) == [3, 60]
    assert sum(isinstance(outcome, Trace) for outcome in outcomes) == 68


def test_too_many_crashes_or_one_hang_end_the_play():
    """A hang costs the seconds of a scenario."""
    ends = dict.fromkeys(range(40), Reason.CRASH)
    outcomes = Player(Answer(ends), Totals()).play(numbered(60))
    assert (crashed(outcomes), outcomes[MOST_CRASHES:]) == (
        [*range(MOST_CRASHES)],
        [None] * (60 - MOST_CRASHES),
    )
    outcomes = Player(Answer(dict.fromkeys(range(40), Reason.TIMEOUT)), Totals()).play(numbered(60))
    assert crashed(outcomes) == [0]


def test_code_that_is_not_written_ends_the_play():
    """Each further program would cost a scenario, and say the same."""

    class Unwritten(Answer):
        def observe(self, probe: str, /, *, programs: list[Any], traces: Any) -> None:
            self.scenarios += 1
            raise CandidateError(Reason.CRASH, "yours to write", "NotImplementedError")

    answer = Unwritten()
    outcomes = Player(answer, Totals()).play(numbered(5))
    assert (crashed(outcomes), answer.scenarios) == ([0], 1)


def test_a_probe_that_returns_too_few_traces_has_crashed():
    class Lazy(Answer):
        def observe(self, probe: str, /, *, programs: list[Any], traces: Any) -> None:
            super().observe(probe, programs=programs[:2], traces=traces)

    outcomes = Player(Lazy(), Totals()).play(numbered(5))
    assert crashed(outcomes) == [2]
    assert outcomes[2].error.reason is Reason.PROTOCOL


def test_an_error_after_the_last_trace_belongs_to_the_last_program():
    class Late(Answer):
        def observe(self, probe: str, /, *, programs: list[Any], traces: Any) -> None:
            super().observe(probe, programs=programs, traces=traces)
            raise CandidateError(Reason.CRASH, "at exit")

    assert crashed(Player(Late(), Totals()).play(numbered(5))) == [4]


# -- comparing ------------------------------------------------------------------------------


def differ(expected: list[tuple[float, str]], observed: list[tuple[float, str]]) -> Difference:
    traces = [Trace([((at,), text) for at, text in side]) for side in (expected, observed)]
    found = difference(Totals(), *traces)
    assert found is not None
    return found


def test_the_order_within_an_instant_is_free():
    a, b = ((1.0,), "a"), ((1.0,), "b")
    assert difference(Totals(), Trace([a, b]), Trace([b, a])) is None


def test_the_first_difference_in_words():
    """Missing, too much, at another instant, or another thing at that instant."""
    spec, base = Totals(), [(0.0, "a")]
    assert in_words(spec, differ([*base, (1.0, "b")], base)) == "In step 2: b: this is missing."
    assert (
        in_words(spec, differ(base, [*base, (1.0, "b")])) == "In step 2: b: this must not happen."
    )
    assert in_words(spec, differ([(1.0, "b")], [(2.0, "b")])) == (
        "b: expected in step 2, observed in step 3."
    )
    assert in_words(spec, differ([(2.0, "b")], [(1.0, "b")])) == (
        "b: expected in step 3, observed in step 2."
    )
    assert in_words(spec, differ([(1.0, "b")], [(1.0, "c")])) == (
        "In step 2: expected: b; observed: c."
    )


def test_excerpts_show_what_is_near():
    """Long stories are cut at both ends, with a mark."""
    expected = [(float(n), str(n)) for n in range(30)]
    due, seen = excerpts(Totals(), differ(expected, [m for m in expected if m[0] != 15]))
    assert due.splitlines()[0] == due.splitlines()[-1] == seen.splitlines()[-1] == "…"
    assert "In step 16: 15" in due.splitlines()
    assert "In step 16: 15" not in seen
    assert excerpts(Totals(), differ([(0.0, "a")], []))[1] == "nothing happens"


# -- drawing and the corpus -----------------------------------------------------------------


def test_a_program_depends_on_seed_version_task_and_number_alone():
    """A longer run begins with the shorter one."""
    spec, draw = Totals(), Draw(7, 1)
    assert draw.programs(spec, 2, 30)[:10] == draw.programs(spec, 2, 10)
    assert draw.programs(spec, 2, 10) != Draw(7, 2).programs(spec, 2, 10)
    assert draw.programs(spec, 2, 10) != Draw(8, 1).programs(spec, 2, 10)
    assert drawn(1, 2, 3, 4).random() == drawn(1, 2, 3, 4).random()


def test_the_corpus_is_kept_and_played_with_other_names(tmp_path):
    program = {"steps": [{"do": "total", "name": "a"}]}
    kept = Kept(task=1, rule="1.1", says="a total is wrong", program=program)
    keep(tmp_path / "corpus", "one", kept)
    ((name, found),) = corpus(tmp_path / "corpus")
    assert (name, found) == ("one", kept)
    names = {Draw(seed, 1).redrawn(Totals(), name, found)["steps"][0]["name"] for seed in range(20)}
    assert names == {"a", "b", "c"}


# -- the jury -------------------------------------------------------------------------------


def test_a_jury_lists_what_right_answers_disagree_on():
    """Each disagreement is shrunk; features and what is left out are counted."""
    answers = {"reference": Answer(), "same": Answer(), "other": Answer(negative=False)}
    verdict = jury(Totals(), answers, Draw(1, 1), [1, 2], 40)
    assert verdict.programs == 80
    assert verdict.disagreeing["same"] == 0 < verdict.disagreeing["other"]
    assert {d.answer for d in verdict.disagreements} == {"other"}
    small = verdict.disagreements[0]
    assert [step["do"] for step in small.program["steps"]] == ["add", "total"]
    assert small.says == "In step 2: expected: total(a) is -1; observed: total(a) is 0."
    assert sum(verdict.features.values()) > 0
