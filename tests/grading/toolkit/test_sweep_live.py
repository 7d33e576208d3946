"""Programs played one at a time: each has one outcome, whatever the probe does with it."""

from __future__ import annotations

from typing import Any

import pytest
from sweep_exercise import Totals

from archprep.core.errors import CandidateError, GraderFault
from archprep.core.model import Reason
from archprep.grading.toolkit.sweep_live import LivePlayer
from archprep.grading.toolkit.sweep_players import Crash
from archprep.grading.toolkit.sweep_spec import Trace


class Answer:
    """Does with each program what it says."""

    def __init__(self) -> None:
        self.scenarios = 0

    def observe(self, probe: str, /, *, programs: Any, traces: Any) -> None:
        assert probe == "play_programs"
        self.scenarios += 1
        for program in iter(programs.target.next, None):
            match program["do"]:
                case "crash":
                    raise CandidateError(Reason.CRASH, "it ended")
                case "return":
                    return
                case "fail":
                    raise GraderFault("ours")
                case "twice":
                    traces.target.add(Trace([]))
            if program["do"] != "skip":
                traces.target.add(Trace([((0.0,), program["do"])]))


def outcomes(answer: Answer, *does: str) -> list[str]:
    """What came of programs that do this, in words."""
    found = []
    with LivePlayer(answer, Totals()) as player:
        for do in does:
            player.begin({"do": do})
            outcome = player.outcome()
            crashed = isinstance(outcome, Crash)
            found.append(str(outcome.error.reason) if crashed else outcome.moments[0][1])
    return found


def test_programs_share_a_scenario():
    """A new one begins after a batch: the time of a scenario is limited."""
    answer = Answer()
    assert outcomes(answer, *["a"] * (Totals.batch + 1)) == ["a"] * (Totals.batch + 1)
    assert answer.scenarios == 2


@pytest.mark.parametrize(("do", "reason"), [("crash", "crash"), ("return", "protocol")])
def test_after_a_program_that_ends_the_scenario_the_next_one_is_played(do, reason):
    answer = Answer()
    assert outcomes(answer, "a", do, "b") == ["a", reason, "b"]
    assert answer.scenarios == 2


def test_a_program_without_a_trace_has_crashed():
    """The probe asks for the next one instead: nobody waits for ever."""
    assert outcomes(Answer(), "skip", "b") == ["protocol", "b"]


def test_only_the_first_trace_of_a_program_counts():
    with LivePlayer(Answer(), Totals()) as player:
        player.begin({"do": "twice"})
        assert player.outcome() == Trace([])
        player.begin({"do": "b"})
        assert player.outcome() == Trace([((0.0,), "b")])


def test_a_fault_of_ours_is_raised():
    with pytest.raises(GraderFault, match="ours"):
        outcomes(Answer(), "fail")
