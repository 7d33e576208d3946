"""Chooses the isolation profile for a run: the strongest that the self-test confirms.

The result is part of every scorecard. `check` remembers it; grading other people's code repeats
the test each time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from archprep.core.errors import UsageError
from archprep.core.model import Exercise, Isolation, Limits, Submission
from archprep.sandbox import isolation, selftest_cache
from archprep.sandbox.fork_server import BootConfig
from archprep.sandbox.sandbox import Sandbox
from archprep.sandbox.selftest_attempts import (
    ATTEMPTS,
    BLOCKED,
    NOT_BLOCKED,
    TestedProfile,
    attempt_all,
)

NOT_TESTED = "not tested"


@contextmanager
def sandbox(
    exercise: Exercise,
    submission: Submission,
    level: str | None,
    boot: BootConfig,
    stage: Path | None,
) -> Iterator[tuple[Sandbox, Isolation]]:
    """Run a sandbox for a submission under a tested profile; give it and its isolation."""
    tested = inspect(level)
    side_by_side = exercise.side_by_side
    with Sandbox(tested.profile, boot, submission, tested.seccomp, stage, side_by_side) as running:
        yield running, describe(tested, exercise.limits)


def inspect(level: str | None, *, fresh: bool = False) -> TestedProfile:
    """Return a profile that holds; if no level is wanted, fall back to level D.

    `fresh` repeats the test even if its result is remembered. Raises UsageError if level A is
    wanted and does not hold here.
    """
    profiles = isolation.contained(level)
    remembered = [] if fresh else [kept for p in profiles if (kept := selftest_cache.recall(p))]
    if remembered:
        return remembered[0]
    failed = []
    for profile in profiles:
        tested = attempt_all(profile)
        if tested.holds:
            selftest_cache.remember(tested)
            return tested
        failed.append(f"{tested.version}: {_failures(tested)}")
    why = "; ".join(failed)
    if level == "A":
        raise UsageError(
            f"Isolation level A does not hold on this machine ({why}).",
            tip="`archprep doctor` shows the cause. Use --isolation D for your own code only.",
        )
    return _untested("" if level == "D" else why or "bubblewrap is not installed")


def describe(tested: TestedProfile, limits: Limits) -> Isolation:
    """Return the isolation as a scorecard records it."""
    return Isolation(
        level=tested.profile.level,
        tool=tested.version,
        kernel=isolation.kernel(),
        uid=tested.profile.uid,
        seccomp=bool(tested.seccomp),
        selftest=tested.results,
        sentence=_sentence(tested),
        limits=limits,
    )


def _sentence(tested: TestedProfile) -> str:
    if not tested.profile.contained:
        plain = (
            "Isolation level D: a plain process with limits, for your own code only. "
            "It can read your files and use the network."
        )
        reason = f" Level A does not hold here: {tested.fallback_reason}."
        return plain + reason if tested.fallback_reason else plain
    held = sum(result == BLOCKED for result in tested.results.values())
    return (
        f"Isolation level {tested.profile.level} ({tested.version}, no network, graders not "
        f"visible; self-test {held}/{len(tested.results)}). Not covered: bugs of the kernel."
    )


def _failures(tested: TestedProfile) -> str:
    """The attempts that were not blocked, each with its cause after a colon if it is known."""
    return ", ".join(
        name.replace("_", " ") + result.removeprefix(NOT_BLOCKED)
        for name, result in tested.results.items()
        if result != BLOCKED
    )


def _untested(fallback_reason: str) -> TestedProfile:
    profile = isolation.plain()
    results = dict.fromkeys(ATTEMPTS, NOT_TESTED)
    return TestedProfile(profile, profile.tool, b"", results, fallback_reason)
