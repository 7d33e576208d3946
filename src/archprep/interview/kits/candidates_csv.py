"""Reads the names of candidates from a CSV file."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path

from archprep.core.errors import UsageError
from archprep.interview.text import shown

NAMES = frozenset(
    "name names full_name display_name candidate candidates candidate_name student students "
    "student_name participant participants applicant applicants person".split()
)
FIRST_NAMES = frozenset("first first_name firstname given_name forename".split())
LAST_NAMES = frozenset("last last_name lastname family_name surname".split())
OTHERS = frozenset(  # that show that the first line is a header
    "id id_number identifier number no email emails e_mail mail email_address e_mail_address "
    "address username user_name login login_id sis_login_id section group status "
    "department phone".split()
)

_QUOTE = 'Nothing was written. Put names that contain commas in quotes: "Lee, Ann"'


def read_names(path: Path) -> list[str]:
    """Return one name for each line below the header, or for each line if there is none.

    They are in the column `name` or in those for first and last names; without a header, in the
    first column that contains no addresses.
    """
    rows = _rows(path)
    if not rows:
        raise _empty(path)
    titles = [_title(cell) for cell in rows[0][1]]
    has_header = any(map(_is_known, titles)) or _heads_addresses(rows)
    body = rows[1:] if has_header else rows
    if not body:
        raise _empty(path)
    columns = _titled(path, titles) if has_header else _first_without_addresses(path, body)
    return [_name(path, line, row, len(titles), columns) for line, row in body]


def _is_known(title: str) -> bool:
    return title in NAMES | FIRST_NAMES | LAST_NAMES | OTHERS


def _heads_addresses(rows: Sequence[tuple[int, list[str]]]) -> bool:
    """Whether the first line has another word where all others have addresses."""
    (_, first), *others = rows
    return any(
        cell.strip()
        and "@" not in cell
        and all("@" in "".join(row[n : n + 1]) for _, row in others)
        for n, cell in enumerate(first)
        if others
    )


def _title(cell: str) -> str:
    return "_".join(re.findall(r"[a-z]+", cell.lower()))


def _titled(path: Path, titles: Sequence[str]) -> list[int]:
    """The columns that make up a name, in its order."""
    first, name, last = (_column(titles, words) for words in (FIRST_NAMES, NAMES, LAST_NAMES))
    if name is not None and (first is None) == (last is None):
        return [name]  # a full name, alone or next to both of its parts
    parts = [column for column in (first, name, last) if column is not None]
    unknown = [n for n, title in enumerate(titles) if title and title not in OTHERS]
    if not parts and len(unknown) == 1:
        return unknown
    if not parts:
        raise UsageError(
            f"{shown(path)} does not say which column contains the names.",
            tip="Nothing was written. Call it `name`, or two columns `first name` and `last name`.",
        )
    return parts


def _column(titles: Sequence[str], words: frozenset[str]) -> int | None:
    return next((n for n, title in enumerate(titles) if title in words), None)


def _first_without_addresses(path: Path, rows: Sequence[tuple[int, list[str]]]) -> list[int]:
    for column in range(len(rows[0][1])):
        if not any("@" in cell for _, row in rows for cell in row[column : column + 1]):
            return [column]
    raise UsageError(
        f"{shown(path)} contains addresses, but no names.",
        tip="Nothing was written. Add a column with the names, with the header `name`.",
    )


def _empty(path: Path) -> UsageError:
    return UsageError(f"{shown(path)} contains no names.", tip="Write one name per line, in UTF-8.")


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    """The rows that are not blank, with the line that each ends on."""
    import csv

    text = _read(path)
    first_line = text.partition("\n")[0]
    delimiter = next((mark for mark in ",;\t" if mark in first_line), ",")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        return [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        raise UsageError(f"{shown(path)}, line {reader.line_num}: {error}.", tip=_QUOTE) from error


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(
            f"{shown(path)} is not valid UTF-8.", tip="Save it as CSV in UTF-8."
        ) from None
    except OSError as error:
        raise UsageError(
            f"{shown(path)} cannot be read: {error.strerror or error}.",
            tip="Use a CSV file with a column `name`.",
        ) from error


def _name(path: Path, line: int, row: list[str], width: int, columns: Sequence[int]) -> str:
    if len(row) > width:
        raise UsageError(
            f"{shown(path)}, line {line} has more columns than the first line.", tip=_QUOTE
        )
    name = " ".join(row[column].strip() for column in columns if column < len(row)).strip()
    if not name:
        raise UsageError(
            f"{shown(path)}, line {line} has no name.",
            tip="Nothing was written. Add the name, or remove the line.",
        )
    if "@" in name:
        raise UsageError(
            f"{shown(path)}, line {line} has an address where the name should be.",
            tip="Nothing was written. Call the column with the names `name`.",
        )
    return name
