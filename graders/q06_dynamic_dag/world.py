"""The data platform, in the judge: what the tasks' calls do, and the journal of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Annotated

from msgspec import Meta

from archprep.grading import Refuse, exposed

from .rows import Row, token

Instant = Annotated[datetime, Meta(tz=True)]
Turn = Annotated[int, Meta(ge=0, le=20)]  # the number of a run
Key = tuple[str, datetime]  # a tenant and the beginning of an interval

SAYS = {
    "transient": "the connection was lost",
    "permanent": "the contract has ended",
}


@dataclass
class Fault:
    """What a tenant's calls of one function meet: so many times, or (None) always."""

    kind: str
    times: int | None = None


@dataclass(frozen=True)
class Call:
    """A call that came, and whether it worked (ok, transient or permanent)."""

    name: str
    tenant: str
    start: datetime | None = None
    end: datetime | None = None
    rows: tuple[Row, ...] = ()
    how: str = "ok"


@dataclass
class Record:
    """One run: the calls it made, and what was there before and after it."""

    calls: list[Call] = field(default_factory=list)
    alerts: list[list[str]] = field(default_factory=list)
    staged: list[str] = field(default_factory=list)  # refs
    before: dict[Key, list[Row]] = field(default_factory=dict)
    after: dict[Key, list[Row]] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)  # refs that are there at its end
    ended: bool = False

    def of(self, *names: str) -> list[Call]:
        return [call for call in self.calls if call.name in names]

    def count(self, *names: str) -> Counter[str]:
        """How often each tenant's functions of these names were called."""
        return Counter(call.tenant for call in self.of(*names))

    def fetched(self, tenant: str) -> list[Row] | None:
        """What the last fetch that worked returned."""
        found = [c.rows for c in self.of("fetch") if c.tenant == tenant and c.how == "ok"]
        return list(found[-1]) if found else None

    def written(self, tenant: str) -> list[Row] | None:
        """What the tenant's partition holds at the end, whichever the run has written to."""
        starts = [c.start for c in self.of("begin_partition", "write") if c.tenant == tenant]
        return None if not starts else self.after.get((tenant, starts[-1]))


class Platform:
    """Answers the calls; its sources, its faults and its refs are the judge's secret."""

    def __init__(self, rng: Random, faults: dict[tuple[str, str], Fault] | None = None) -> None:
        self._rng = rng
        self.faults = faults or {}  # by function and tenant
        self.sources: dict[str, list[Row]] = {}
        self.partitions: dict[Key, list[Row]] = {}
        self.staging: dict[str, tuple[str, list[Row]]] = {}
        self.foreign: list[str] = []
        self.records: dict[int, Record] = {}
        self._now = Record()

    def keep_foreign(self, tenant: str) -> None:
        """Stage something that belongs to somebody else."""
        self.foreign.append(self._staged(tenant, [{"id": token(self._rng, 6)}]))

    # -- the turns of a scenario

    @exposed
    def begin_run(self, number: Turn) -> None:
        if number in self.records:
            raise Refuse(f"run {number} has begun already")
        self._now = self.records[number] = Record(before=deepcopy(self.partitions))

    @exposed
    def end_run(self, number: Turn) -> None:
        record = self.records.get(number)
        if record is None or record.ended:
            raise Refuse(f"run {number} is not under way")
        record.after, record.left = deepcopy(self.partitions), list(self.staging)
        record.ended = True

    @exposed
    def has_been_called(self) -> bool:
        return bool(self._now.calls)

    # -- what tasks call

    @exposed
    def fetch(self, tenant: str, start: Instant, end: Instant) -> list[Row]:
        since, until = start, end
        rows = [
            row
            for row in self.sources.get(tenant, [])
            if since <= _instant(row["updated_at"]) < until
        ]
        self._meet("fetch", tenant, since, until, rows)
        return rows

    @exposed
    def stage(self, tenant: str, start: Instant, rows: list[Row]) -> str:
        self._meet("stage", tenant, start, None, rows)
        ref = self._staged(tenant, rows)
        self._now.staged.append(ref)
        return ref

    @exposed
    def read(self, ref: str) -> list[Row]:
        if ref not in self.staging:
            raise Refuse(f"nothing is staged under the ref {ref!r}")
        tenant, rows = self.staging[ref]
        self._meet("read", tenant, None, None, rows)
        return rows

    @exposed
    def begin_partition(self, tenant: str, start: Instant) -> None:
        self._meet("begin_partition", tenant, start, None, [])
        self.partitions[tenant, start] = []

    @exposed
    def write(self, tenant: str, start: Instant, end: Instant, rows: list[Row]) -> None:
        partition = self.partitions.setdefault((tenant, start), [])
        try:
            self._meet("write", tenant, start, end, rows)
        except Refuse:
            partition += rows[: len(rows) // 2]
            raise
        partition += rows

    @exposed
    def release(self, ref: str) -> None:
        self.staging.pop(ref, None)

    @exposed
    def staged(self) -> list[str]:
        return list(self.staging)

    @exposed
    def alert(self, run_key: str, tenants: list[str]) -> None:  # noqa: ARG002 - part of the API
        self._now.alerts.append(tenants)

    def _meet(
        self,
        name: str,
        tenant: str,
        start: datetime | None,
        end: datetime | None,
        rows: Sequence[Row],
    ) -> None:
        """Note the call; let it fail where that was planned."""
        fault = self.faults.get((name, tenant))
        how = "ok" if fault is None or fault.times == 0 else fault.kind
        self._now.calls.append(Call(name, tenant, start, end, tuple(rows), how))
        if fault is None or how == "ok":
            return
        if fault.times is not None:
            fault.times -= 1
        raise Refuse(f"{how} {name}: {SAYS[how]}")

    def _staged(self, tenant: str, rows: list[Row]) -> str:
        ref = f"staged/{token(self._rng, 20)}"
        self.staging[ref] = (tenant, deepcopy(rows))
        return ref


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
