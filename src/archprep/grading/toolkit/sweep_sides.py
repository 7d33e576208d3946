"""Plays programs on candidate and reference at the same time, each in a sandbox of its own."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

from archprep.content import exercise_files
from archprep.core.errors import GraderFault
from archprep.grading.reference import Reference
from archprep.grading.toolkit.sweep_cache import TraceCache
from archprep.grading.toolkit.sweep_compare import difference
from archprep.grading.toolkit.sweep_players import Observer, Outcome, Player
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
        """Return what the reference does, or did in an earlier run, and what the candidate does."""
        return self._play(programs, Player(self._candidate, self.spec), keep=True)

    def first_differing(self, programs: Sequence[Program]) -> int | None:
        """Return the index of the first program that shows a difference, for shrinking."""
        if self._hung:
            return None
        player = Player(self._candidate, self.spec, most_crashes=1)
        try:
            both = zip(*self._play(programs, player, keep=False), strict=True)
        except GraderFault:  # the shrunk program is not one that the probe can play
            return None
        self._hung = player.hung
        return next((i for i, (due, seen) in enumerate(both) if self.differ(due, seen)), None)

    def differ(self, expected: Expected, outcome: Outcome) -> bool:
        """Return whether an outcome is known and is not what the rules ask for."""
        if expected is None or outcome is None:
            return False
        return not isinstance(outcome, Trace) or bool(difference(self.spec, expected, outcome))

    def _play(
        self, programs: Sequence[Program], player: Player, *, keep: bool
    ) -> tuple[list[Expected], list[Outcome]]:
        self._reference.start()  # here: bubblewrap ends with the thread that has started it
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
