"""The processes that grade for an author: each keeps the sandbox of an exercise warm."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING

from archprep.author.proof import Job, Outcome
from archprep.grading import process_pool
from archprep.grading.process_pool import cores

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Workers", "cores"]


class Workers(process_pool.Workers[Job, Outcome]):
    """A few processes that do an author's jobs; use as a context manager."""

    def __init__(self, count: int) -> None:
        super().__init__(count, _player, _lost, "archprep-author-")


@contextmanager
def _player() -> Iterator[Callable[[Job], Outcome]]:
    from archprep.author.trial import Player

    with Player() as player:
        yield player.play


def _lost(job: Job, code: int | None) -> Outcome:
    return Outcome(job, fault=f"grading {job.name} ended its process ({code}).")
