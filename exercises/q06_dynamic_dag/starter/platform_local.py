"""A stand-in for the platform, in one SQLite file. It is given, and not graded.

    python platform_local.py        what it holds

The file lies in the folder PLATFORM_HOME, or in .local. Tests call what is in the second half.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

Row = dict[str, Any]

_SCHEMA = """
create table if not exists source (tenant text, updated_at real, row text);
create table if not exists staging (ref text primary key, tenant text, rows text);
create table if not exists partition
    (tenant text, start text, rows text, primary key (tenant, start));
create table if not exists alert (run_key text, tenants text);
create table if not exists failure (call text, tenant text, permanent int, times int);
create table if not exists journal (call text, tenant text);
"""


class Failure(Exception):
    """A call that did not work."""

    def __init__(self, text: str, *, permanent: bool) -> None:
        super().__init__(text)
        self.permanent = permanent


# ------------------------------------------------------------------ what platform_api.py calls


def answer(name: str, arguments: dict[str, Any]) -> Any:
    """Do what a call asks for and return its result."""
    with _database() as db:
        tenant = arguments.get("tenant")
        if name == "read":
            tenant = _value(db, "select tenant from staging where ref = ?", arguments["ref"])
        db.execute("insert into journal values (?, ?)", [name, tenant])
        fails = _planned_failure(db, name, tenant)
        if fails and name == "write":  # a lost connection may well be lost half-way
            _write(db, **arguments | {"rows": arguments["rows"][::2]})
    if fails:
        raise fails
    with _database() as db:
        return _CALLS[name](db, **arguments)


def _fetch(db: sqlite3.Connection, tenant: str, start: str, end: str) -> list[Row]:
    if _value(db, "select count(*) from source where tenant = ?", tenant) == 0:
        raise Failure(f"the platform knows no tenant {tenant!r}", permanent=True)
    sql = "select row from source where tenant = ? and ? <= updated_at and updated_at < ?"
    return [json.loads(row) for (row,) in db.execute(sql, [tenant, _seconds(start), _seconds(end)])]


def _stage(db: sqlite3.Connection, tenant: str, start: str, rows: list[Row]) -> str:
    ref = f"staging/{start[:10]}/{uuid4().hex}"
    db.execute("insert into staging values (?, ?, ?)", [ref, tenant, json.dumps(rows)])
    return ref


def _read(db: sqlite3.Connection, ref: str) -> list[Row]:
    rows = _value(db, "select rows from staging where ref = ?", ref)
    if rows is None:
        raise Failure(f"nothing is staged under {ref!r}", permanent=True)
    return json.loads(rows)


def _release(db: sqlite3.Connection, ref: str) -> None:
    db.execute("delete from staging where ref = ?", [ref])


def _staged(db: sqlite3.Connection) -> list[str]:
    return [ref for (ref,) in db.execute("select ref from staging order by ref")]


def _begin_partition(db: sqlite3.Connection, tenant: str, start: str) -> None:
    db.execute("insert or replace into partition values (?, ?, '[]')", [tenant, start])


def _write(db: sqlite3.Connection, tenant: str, start: str, end: str, rows: list[Row]) -> None:
    there = _partition(db, tenant, start) or []
    values = [tenant, start, json.dumps(there + rows)]
    db.execute("insert or replace into partition values (?, ?, ?)", values)


def _alert(db: sqlite3.Connection, run_key: str, tenants: list[str]) -> None:
    db.execute("insert into alert values (?, ?)", [run_key, json.dumps(tenants)])


_CALLS = {
    "fetch": _fetch,
    "stage": _stage,
    "read": _read,
    "release": _release,
    "staged": _staged,
    "begin_partition": _begin_partition,
    "write": _write,
    "alert": _alert,
}


# ------------------------------------------------------------------ what tests call


def add_rows(tenant: str, rows: Sequence[Row]) -> None:
    """Give the source of `tenant` more rows."""
    with _database() as db:
        for row in rows:
            _add_row(db, tenant, row)


def fail(call: str, tenant: str, *, times: int = 1, permanent: bool = False) -> None:
    """Let the next calls of that name for `tenant` raise Transient; or Permanent, all of them."""
    with _database() as db:
        db.execute("insert into failure values (?, ?, ?, ?)", [call, tenant, permanent, times])


def count(call: str, tenant: str) -> int:
    """Return how often that function was called for `tenant`."""
    with _database() as db:
        sql = "select count(*) from journal where call = ? and tenant = ?"
        return _value(db, sql, call, tenant)


def partition(tenant: str, start: datetime) -> list[Row] | None:
    """Return the rows of a partition, or None if there is none."""
    with _database() as db:
        return _partition(db, tenant, start.astimezone(UTC).isoformat())


def alerts() -> list[list[str]]:
    """Return the tenants that each alert has named."""
    with _database() as db:
        return [json.loads(tenants) for (tenants,) in db.execute("select tenants from alert")]


# ------------------------------------------------------------------ behind both


@contextmanager
def _database() -> Iterator[sqlite3.Connection]:
    """Open the file; what is done with it is one transaction, or none if it raises."""
    home = Path(os.environ.get("PLATFORM_HOME") or Path(__file__).parent / ".local")
    home.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(home / "platform.db", timeout=30, isolation_level=None)
    try:
        with db:
            db.execute("begin immediate")  # of processes that come at the same time, one seeds
            if _value(db, "pragma user_version") == 0:
                _seed(db)
            yield db
    finally:
        db.close()


def _seed(db: sqlite3.Connection) -> None:
    """A week of three tenants, from 2026-03-01, and a fourth one whose contract has ended."""
    for statement in _SCHEMA.split(";"):
        db.execute(statement)
    begin = datetime(2026, 3, 1, 2, tzinfo=UTC)
    for number, tenant in enumerate(["acme", "bolt", "čapek"]):
        for hour in range(0, 7 * 24, 5 + number):
            row = {
                "id": f"{tenant[0]}-{hour % 7}",
                "updated_at": (begin + timedelta(hours=hour, minutes=number)).isoformat(),
                "amount": f"{hour * 3 + number}.{hour % 8}25",
                "deleted": hour % 11 == 10,
            }
            _add_row(db, tenant, row)
    db.execute("insert into source values ('dune', 0, '{}')")
    db.execute("insert into failure values ('fetch', 'dune', 1, 1)")
    db.execute("pragma user_version = 1")


def _add_row(db: sqlite3.Connection, tenant: str, row: Row) -> None:
    values = [tenant, _seconds(row["updated_at"]), json.dumps(row)]
    db.execute("insert into source values (?, ?, ?)", values)


def _planned_failure(db: sqlite3.Connection, name: str, tenant: str | None) -> Failure | None:
    sql = "select rowid, permanent from failure where call = ? and tenant = ? and times > 0"
    planned = db.execute(sql, [name, tenant]).fetchone()
    if planned is None:
        return None
    number, permanent = planned
    if permanent:
        return Failure(f"the contract of {tenant!r} has ended", permanent=True)
    db.execute("update failure set times = times - 1 where rowid = ?", [number])
    return Failure(f"the connection was lost, for {tenant!r}", permanent=False)


def _partition(db: sqlite3.Connection, tenant: str, start: str) -> list[Row] | None:
    sql = "select rows from partition where tenant = ? and start = ?"
    rows = _value(db, sql, tenant, start)
    return None if rows is None else json.loads(rows)


def _value(db: sqlite3.Connection, sql: str, *parameters: Any) -> Any:
    """The only value of a query, or None if it finds nothing."""
    found = db.execute(sql, parameters).fetchone()
    return found[0] if found else None


def _seconds(instant: str) -> float:
    return datetime.fromisoformat(instant).timestamp()


def _report() -> Iterator[str]:
    with _database() as db:
        for title, sql in {
            "partitions": "select tenant, start, rows from partition order by start, tenant",
            "alerts": "select run_key, tenants from alert",
            "still staged": "select ref, tenant from staging order by ref",
        }.items():
            yield title
            yield from ("  " + "  ".join(row) for row in db.execute(sql))


if __name__ == "__main__":
    sys.stdout.write("\n".join(_report()) + "\n")
