"""The data platform, as a DAG sees it. It is given: import it, and leave it as it is.

Rows do not travel through Airflow, but through the staging area of the platform. What travels
between tasks is a ref: the short text under which some rows are staged.

The graders put a module of the same names in the place of this one, before your file is parsed.
What is said here holds for both; what is in platform_local.py does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

Row = dict[str, Any]  # plain data: texts, numbers, True and False


class Transient(Exception):
    """It did not work this time. The same call may work a little later."""


class Permanent(Exception):
    """It does not work, and it will not, however often it is tried."""


# Each of the next five may raise Transient or Permanent. `start` and `end` are instants with a
# time zone, any one.


def fetch(tenant: str, start: datetime, end: datetime) -> list[Row]:
    """Return the rows of `tenant` that were updated in [start, end), in any order."""
    return _call("fetch", tenant=tenant, start=_instant(start), end=_instant(end))


def stage(tenant: str, start: datetime, rows: Sequence[Row]) -> str:
    """Keep rows in the staging area, and return a new ref to them of at most 200 characters.

    If it raises, nothing is kept.
    """
    return _call("stage", tenant=tenant, start=_instant(start), rows=list(rows))


def read(ref: str) -> list[Row]:
    """Return the rows that are staged under `ref`, in the order in which they were staged."""
    return _call("read", ref=ref)


def begin_partition(tenant: str, start: datetime) -> None:
    """Make (tenant, start) an empty partition, whether or not there has been one."""
    _call("begin_partition", tenant=tenant, start=_instant(start))


def write(tenant: str, start: datetime, end: datetime, rows: Sequence[Row]) -> None:
    """Append rows to the partition (tenant, start), that of the interval [start, end).

    If it raises Transient, some of the rows may have been appended, or all of them.
    """
    _call("write", tenant=tenant, start=_instant(start), end=_instant(end), rows=list(rows))


# The next three raise neither of the two.


def release(ref: str) -> None:
    """Remove what is staged under `ref`, if anything is."""
    _call("release", ref=ref)


def staged() -> list[str]:
    """Return all refs there are, also those of other runs and of other pipelines."""
    return _call("staged")


def alert(run_key: str, tenants: Sequence[str]) -> None:
    """Wake whoever is on call.

    run_key: which run it is about; any text that helps.
    tenants: whose data is missing; each of them once, in any order.
    """
    _call("alert", run_key=run_key, tenants=list(tenants))


def _instant(at: datetime) -> str:
    if at.tzinfo is None:
        raise ValueError(f"{at} has no time zone: which instant is it?")
    return at.astimezone(UTC).isoformat()


def _call(name: str, **arguments: Any) -> Any:
    import platform_local  # not above: parsing a DAG needs no platform

    try:
        return platform_local.answer(name, arguments)
    except platform_local.Failure as failure:
        error = Permanent if failure.permanent else Transient
        raise error(f"{name}: {failure}") from None
