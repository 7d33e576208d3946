"""Reads the names of candidates from a CSV file."""

from __future__ import annotations

import io
from pathlib import Path

from archprep.core.errors import UsageError
from archprep.interview.text import shown

HEADERS = ("name", "candidate")  # of the column with the names

_QUOTE = 'Nothing was written. Put names that contain commas in quotes: "Lee, Ann"'


def read_names(path: Path) -> list[str]:
    """Return the names in the column `name`, or in the first one; the header is optional."""
    rows = _rows(path)
    first = [cell.strip().lower() for cell in rows[0][1]] if rows else []
    header = next((first.index(word) for word in HEADERS if word in first), None)
    body = rows if header is None else rows[1:]
    names = [_cell(path, line, row, len(first), header or 0) for line, row in body]
    if not names:
        raise UsageError(
            f"{shown(path)} contains no names.", tip="Write one name per line, in UTF-8."
        )
    return names


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


def _cell(path: Path, line: int, row: list[str], width: int, column: int) -> str:
    if len(row) > width:
        raise UsageError(
            f"{shown(path)}, line {line} has more columns than the first line.", tip=_QUOTE
        )
    name = row[column] if column < len(row) else ""
    if not name.strip():
        raise UsageError(
            f"{shown(path)}, line {line} has no name.",
            tip="Nothing was written. Add the name, or remove the line.",
        )
    return name
