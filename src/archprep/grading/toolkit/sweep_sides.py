"""Plays programs on candidate and reference at the same time, each in a sandbox of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property

from archprep.content import exercise_files
from archprep.core.errors import GraderFault
from archprep.grading.reference import Reference
from archprep.grading.toolkit.sweep_cache import TraceCache
from archprep.grading.toolkit.sweep_compare import difference
from archprep.grading.toolkit.sweep_live import LivePlayer
from archprep.grading.toolkit.sweep_players import Crash, Observer, Outcome, Player
from archprep.grading.toolkit.sweep_shrink import StillDiffers
from archprep.grading.toolkit.sweep_spec import Program, Sweep, Trace
from archprep.workspace import store

Expected = Trace | None  # None: the rules do not decide what this program does


class Sides:
    """The candidate and the reference."""

    def __init__(self, spec: Sweep, reference: Reference, candidate: Observer) -> None:
        self.spec = spec
        self._reference = reference
        self._candidate = candidate
        self._hung = False  # in a program that was tried while shrinking

    def play(self, programs: Sequence[Program]) -> tuple[list[Expected], list[Outcome]]:
        """Return what the reference does, or did in an earlier run, and what the candidate does.

        Who crashes only where the rules decide nothing is still held to those that they decide.
        """
        expected, outcomes = self._play(programs, Player(self._candidate, self.spec), keep=True)
        decided = [i for i, trace in enumerate(expected) if trace is not None]
        missed = [i for i in decided if outcomes[i] is None]
        if missed and not any(isinstance(outcomes[i], Crash) for i in decided):
            again = Player(self._candidate, self.spec).play([programs[i] for i in missed])
            for i, outcome in zip(missed, again, strict=True):
                outcomes[i] = outcome
        return expected, outcomes

    @contextmanager
    def shrinking(self) -> Iterator[StillDiffers]:
        """Yield a function that returns the index of the first program that differs.

        It plays one after the other, and none after one that hangs.
        """
        self._reference.start()  # here: bubblewrap ends with the thread that has started it
        with (
            LivePlayer(self._candidate, self.spec) as candidate,
            LivePlayer(self._reference, self.spec) as reference,
        ):

            def first_differing(programs: Sequence[Program]) -> int | None:
                differing = (
                    i
                    for i, program in enumerate(programs)
                    if not self._hung and self._differs(program, candidate, reference)
                )
                return next(differing, None)

            yield first_differing

    def _differs(self, program: Program, candidate: LivePlayer, reference: LivePlayer) -> bool:
        for player in (reference, candidate):
            player.begin(program)
        outcome = candidate.outcome()
        try:
            expected = reference.outcome()
        except GraderFault:  # the shrunk program is not one that the probe can play
            return False
        self._hung = isinstance(outcome, Crash) and outcome.hangs
        assert isinstance(expected, Trace)
        return self.differ(expected if self.spec.defined(expected) else None, outcome)

    def differ(self, expected: Expected, outcome: Outcome) -> bool:
        """Return whether an outcome is known and is not what the rules ask for."""
        if expected is None or outcome is None:
            return False
        return not isinstance(outcome, Trace) or bool(difference(self.spec, expected, outcome))

    def _play(
        self, programs: Sequence[Program], player: Player, *, keep: bool
    ) -> tuple[list[Expected], list[Outcome]]:
        self._reference.start()  # not in a thread that ends, see `shrinking`
        with ThreadPoolExecutor(1) as thread:
            expected = thread.submit(self._expected, programs, keep=keep)
            observed = player.play(programs)  # in this thread: prints are kept by thread
            return expected.result(), observed

    def _expected(self, programs: Sequence[Program], *, keep: bool) -> list[Expected]:
        traces = self._kept_traces(programs) if keep else self._traces(programs)
        return [trace if self.spec.defined(trace) else None for trace in traces]

    def _kept_traces(self, programs: Sequence[Program]) -> list[Trace]:
        keys = [self._cache.key(program) for program in programs]
        known = self._cache.read(keys)
        missing = {k: p for k, p in zip(keys, programs, strict=True) if k not in known}
        played = dict(zip(missing, self._traces([*missing.values()]), strict=True))
        self._cache.write(played)
        return [(known | played)[key] for key in keys]

    def _traces(self, programs: Sequence[Program]) -> list[Trace]:
        traces = []
        for outcome in Player(self._reference, self.spec).play(programs):
            if not isinstance(outcome, Trace):
                raise GraderFault("the reference returned no trace for a program of the sweep")
            traces.append(outcome)
        return traces

    @cached_property
    def _cache(self) -> TraceCache:
        exercise = self._reference.exercise
        probes = [(exercise.grader_dir / "probes.py").read_text()]
        probes += exercise_files.probe_modules(exercise).values()
        basis = [exercise.id, exercise.version, self._reference.digest, self.spec.probe, *probes]
        return TraceCache(store.cache_dir(), basis)
