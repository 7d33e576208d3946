"""Files of two sides: alignment, and the cost of hostile files."""

from __future__ import annotations

import pytest

from archprep.review import side_by_side


def shown(pair: side_by_side.FilePair) -> list[tuple[str, str]]:
    return [
        (line.left[1] if line.left else "", line.right[1] if line.right else "")
        for line in pair.lines
    ]


def test_common_lines_are_aligned():
    """Each side keeps its own line numbers."""
    (pair,) = side_by_side.pair_files({"a.py": "one\ntwo\nthree\n"}, {"a.py": "one\nthree\nfour\n"})
    assert shown(pair) == [("one", "one"), ("two", ""), ("three", "three"), ("", "four")]
    assert [line.same for line in pair.lines] == [True, False, True, False]
    assert [line.left and line.left[0] for line in pair.lines] == [1, 2, 3, None]


def test_files_of_one_side_come_last():
    """They name the side that does not have them."""
    found = side_by_side.pair_files({"a.py": "", "c.py": "x"}, {"b.py": "", "c.py": "x"})
    assert [(pair.name, pair.missing) for pair in found] == [
        ("c.py", ""),
        ("a.py", "right"),
        ("b.py", "left"),
    ]


def test_long_ordinary_files_are_aligned():
    """They have a thousand lines, many of them blank or equal."""
    lines = [f"line {number}" if number % 5 else "" for number in range(1000)]
    (pair,) = side_by_side.pair_files({"a": "\n".join(lines)}, {"a": "\n".join(["new", *lines])})
    assert pair.is_aligned
    assert sum(line.same for line in pair.lines) == 1000


def test_files_that_are_slow_to_align_are_paired_by_number():
    """So are the next files once the budget is used up; no line is lost."""
    left, right = "x\ny\n" * 1000, "x\nx\ny\ny\n" * 500
    (pair,) = side_by_side.pair_files({"a": left}, {"a": right})
    assert not pair.is_aligned
    assert len(pair.lines) == 2000
    assert [line.same for line in pair.lines[:4]] == [True, False, False, True]
    small = {f"f{number}": "x\ny\n" * 150 for number in range(20)}
    aligned = [pair.is_aligned for pair in side_by_side.pair_files(small, small)]
    assert aligned[0]
    assert not aligned[-1]


@pytest.mark.parametrize("files", [8, 200])
def test_a_page_has_a_maximum_number_of_lines(files):
    """The remaining lines are counted."""
    each = 800_000 // files
    found = side_by_side.pair_files({f"f{number:03}": "x\n" * each for number in range(files)}, {})
    rows = sum(len(pair.lines) for pair in found)
    assert len(found) == files
    assert rows == 10_000
    assert rows + sum(pair.left_out for pair in found) == 800_000
