"""Rows of a source, drawn, and what the brief makes of them."""

from __future__ import annotations

import string
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone
from decimal import ROUND_HALF_EVEN, Decimal
from random import Random
from typing import Any

Row = dict[str, Any]

OFFSETS = (-720, -300, -90, 0, 60, 120, 330, 345, 840)  # minutes from UTC
LETTERS = string.ascii_lowercase + string.digits
DAY = timedelta(days=1)


def cleaned(rows: Iterable[Row]) -> list[Row]:
    """What belongs into the partition."""
    last: dict[str, Row] = {}
    for row in sorted(rows, key=lambda row: datetime.fromisoformat(row["updated_at"])):
        last[row["id"]] = row
    return [
        {"id": key, "amount_cents": cents(last[key]["amount"])}
        for key in sorted(last)
        if not last[key]["deleted"]
    ]


def cents(amount: str) -> int:
    return int((Decimal(amount) * 100).to_integral_value(ROUND_HALF_EVEN))


def simple(rng: Random, start: datetime, count: int) -> list[Row]:
    """Rows in which there is nothing to clean: one of each id, whole amounts."""
    names = sorted({token(rng, 9) for _ in range(count)})
    instants = _instants(rng, start, len(names))
    return [
        _row(name, at.isoformat(), f"{rng.randint(1, 9999)}.00")
        for name, at in zip(names, instants, strict=True)
    ]


def hard(rng: Random, start: datetime, ids: int) -> list[Row]:
    """Rows that show each rule of cleaning, in a random order."""
    rows = [row for number in range(ids) for row in _versions(rng, start, number)]
    rng.shuffle(rows)
    return rows


def _versions(rng: Random, start: datetime, number: int) -> list[Row]:
    """The rows of one id; the first numbers are those that take some care."""
    name = rng.choice(("a-{}", "A-{}", "ä {}", "{}", "東-{}")).format(token(rng, 10))
    if number < 4:  # text is sorted as text: -10 is before -9
        name = f"n-{number + 8}"
    kind = number % 6
    count = 1 if kind > 2 else rng.randint(2, 4)
    instants = sorted(_instants(rng, start, count))
    rows = [_row(name, written(rng, at), amount(rng)) for at in instants]
    if kind == 0:  # by their texts, the earlier would be the last one
        first, last = (start + timedelta(hours=rng.randint(2, 5) + 6 * i) for i in (0, 1))
        rows = [
            _row(name, _at(first, 840), amount(rng)),
            _row(name, _at(last, -720), amount(rng)),
        ]
    if kind == 1:
        rows[-1]["deleted"] = True
    if kind == 2:
        rows[0]["deleted"] = True
    if kind == 3:
        rows[0]["deleted"] = rng.random() < 0.3
    return rows


def _row(name: str, updated_at: str, value: str) -> Row:
    return {"id": name, "updated_at": updated_at, "amount": value, "deleted": False}


def amount(rng: Random) -> str:
    """A decimal number; many of them are halves of a cent."""
    sign = rng.choice(("", "", "-"))
    match rng.randrange(4):
        case 0:
            return f"{sign}{rng.randrange(10**4)}.{rng.randrange(100):02}5"
        case 1:
            return f"{sign}{rng.randrange(10**11, 10**12)}.{rng.randrange(100):02}5"
        case 2:
            return f"{sign}{rng.randrange(1000)}"
        case _:
            return f"{sign}{rng.randrange(10**5)}.{rng.randrange(10**4):04}"


def written(rng: Random, at: datetime) -> str:
    return _at(at, rng.choice(OFFSETS))


def _at(at: datetime, minutes: int) -> str:
    return at.astimezone(timezone(timedelta(minutes=minutes))).isoformat()


def _instants(rng: Random, start: datetime, count: int) -> list[datetime]:
    """Different instants of one interval; some are a fraction of a second apart."""
    seconds = rng.sample(range(1, 86_399), count)
    found = [start + timedelta(seconds=second) for second in seconds]
    if count > 3:
        found[0], found[1] = start, start + DAY - timedelta(milliseconds=1)
    if count > 1:
        found[-1] = found[-2] + timedelta(milliseconds=rng.randint(1, 400))
    return [at.astimezone(UTC) for at in found]


def token(rng: Random, length: int) -> str:
    return "".join(rng.choices(LETTERS, k=length))
