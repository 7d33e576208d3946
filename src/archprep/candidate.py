"""What graders call `candidate`: the submission, as it behaves in the sandbox."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from archprep.clean import clean
from archprep.errors import CandidateError
from archprep.model import Reason
from archprep.sandbox import Observation, Sandbox, Scenario

if TYPE_CHECKING:
    from archprep.model import Exercise


class Candidate:
    """Plays probes, and remembers what was printed by whom."""

    def __init__(self, exercise: Exercise, sandbox: Sandbox) -> None:
        self._exercise = exercise
        self._sandbox = sandbox
        self._import_failure: CandidateError | None = None
        self.prints: dict[str, str] = {}  # of each criterion or scenario that observed
        self.playing = ""  # the criterion or scenario that observes now

    def observe(
        self,
        probe: str,
        /,
        *,
        returns: Any = None,
        seconds: float | None = None,
        given: str | None = None,
        **inputs: Any,
    ) -> Any:
        """Play `probe` in a fresh process and return the plain data it returned: a claim.

        Inputs wrapped by `fake` stay here. `returns` is a type the data must have, checked
        strictly. `given` tells the drawn input in words, for the case that no answer comes.
        Raises CandidateError, which the judge turns into the verdict.
        """
        from archprep.grading import Fake

        if self._import_failure is not None:
            raise self._import_failure  # costs its time once, not once per scenario
        wrapped = {name: value for name, value in inputs.items() if isinstance(value, Fake)}
        fakes = {name: value.target for name, value in wrapped.items()}
        told = {name: value.told for name, value in wrapped.items()}
        plain = {name: value for name, value in inputs.items() if name not in fakes}
        limits = (
            self._exercise.limits
            if seconds is None
            else replace(self._exercise.limits, seconds=seconds)
        )
        try:
            seen = self._sandbox.run(Scenario(probe, plain, fakes, limits, told))
            self.prints[self.playing] = self.prints.get(self.playing, "") + seen.output
            return seen.value if returns is None else _typed(seen, returns)
        except CandidateError as e:
            e.given = given
            if e.reason is Reason.IMPORT:
                self._import_failure = e
            raise


def _typed(seen: Observation, kind: Any) -> Any:
    import msgspec

    try:
        return msgspec.convert(seen.value, kind, strict=True)
    except msgspec.ValidationError as e:
        raise CandidateError(
            Reason.PROTOCOL,
            f"led to an observation of the wrong form ({clean(str(e), 200)})",
            output=seen.output,
        ) from None
