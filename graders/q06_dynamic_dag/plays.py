"""Scenarios: which tenants a run has, when it takes place, and what became of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

from archprep.grading import fake

from .rows import DAY, token
from .world import Platform, Record

if TYPE_CHECKING:
    from archprep.grading.candidate import Candidate

STEPS = ("process_tenant.extract", "process_tenant.transform", "process_tenant.load")
TASKS = ("get_tenants", *STEPS, "validate", "cleanup")

WORDS = ("acme", "Bolt", "čapek", "dune", "Müller & Söhne", "東京 data", "o'neill", "Ωmega")
FIRST = datetime(2024, 1, 2, tzinfo=UTC)
SPECIAL = (  # leap days, year ends, the days before clocks change and those on which they do
    "2024-02-29 2028-02-29 2024-12-31 2026-12-31 2025-03-29 2025-03-30 2025-10-25 2025-10-26 "
    "2026-03-07 2026-03-08 2026-10-31 2026-11-01"
).split()


@dataclass(frozen=True)
class Instance:
    """A task instance, as Airflow told of it."""

    task: str
    map_index: int
    label: str | None
    state: str | None
    tries: int


@dataclass(frozen=True)
class Left:
    """What an instance left in XCom."""

    task: str
    map_index: int
    bytes: int


@dataclass(frozen=True)
class Failure:
    """What an attempt, or a callback, raised."""

    task: str | None
    map_index: int
    callback: str | None
    type: str
    message: str
    frames: list[tuple[str, int, str]]


@dataclass(frozen=True)
class Told:
    """What the sandbox told of a run: a claim."""

    state: str
    tasks: list[Instance]
    xcoms: list[Left]
    failures: list[Failure]


@dataclass
class Run:
    """One run of the DAG: what it was to do, the platform's record of it, and what was told."""

    tenants: list[str] | None  # as the Variable lists them; None: no Variable
    start: datetime
    by_hand: bool = True  # else as the scheduler does
    days_late: int = 0  # after its interval's end
    variable: str | None = None
    record: Record = field(default_factory=Record)
    told: Told = field(default_factory=lambda: Told("", [], [], []))

    def __post_init__(self) -> None:
        if self.tenants is not None and self.variable is None:
            self.variable = json.dumps(self.tenants)

    @property
    def end(self) -> datetime:
        return self.start + DAY

    @property
    def distinct(self) -> list[str]:
        return list(dict.fromkeys(self.tenants or ()))

    def order(self) -> dict[str, object]:
        """What the probe is told."""
        start, end = self.start.isoformat(), self.end.isoformat()
        return {
            "variable": self.variable,
            "logical_date": end if self.by_hand else start,
            "run_after": (self.end + self.days_late * DAY).isoformat(),
            "interval": None if self.by_hand else [start, end],
        }

    def instances(self, *tasks: str) -> list[Instance]:
        return [instance for instance in self.told.tasks if instance.task in tasks]

    def state_of(self, task: str) -> str:
        """The state of a task of which there is one instance."""
        return next((str(i.state) for i in self.instances(task)), "")


def play(
    candidate: Candidate, platform: Platform, runs: list[Run], given: str, **options: float
) -> list[Run]:
    """Have these runs made, one after another; each knows then what became of it."""
    orders = [run.order() for run in runs]
    seen = candidate.observe(
        "play",
        warmed=True,
        platform=fake(platform),
        runs=orders,
        returns=list[Told],
        given=given,
        **options,
    )
    for number, (run, told) in enumerate(zip(runs, seen, strict=False)):
        run.told, run.record = told, platform.records.get(number, Record())
    return runs


def names(rng: Random, count: int) -> list[str]:
    """Different tenants; nobody can know their names."""
    return [f"{word} {token(rng, 4)}" for word in rng.sample(WORDS, count)]


def days(rng: Random, count: int) -> list[datetime]:
    """Beginnings of intervals that are days apart, in a random order; most are special days."""
    chosen = [datetime.fromisoformat(day) for day in rng.sample(SPECIAL, count)]
    if count == 1 and rng.random() < 0.3:
        chosen = [FIRST + timedelta(days=rng.randrange(1500))]
    return [day.replace(hour=2, tzinfo=UTC) for day in chosen]
