"""Files of two sides beside each other: what belongs together, and what hostile files cost."""

from __future__ import annotations

import pytest

from archprep.review import side_by_side


def shown(pair: side_by_side.FilePair) -> list[tuple[str, str]]:
    return [
        (line.left[1] if line.left else "", line.right[1] if line.right else "")
        for line in pair.lines
    ]


def test_lines_that_both_have_stand_beside_each_other():
    (pair,) = side_by_side.pair_files({"a.py": "one\ntwo\nthree\n"}, {"a.py": "one\nthree\nfour\n"})
    assert shown(pair) == [("one", "one"), ("two", ""), ("three", "three"), ("", "four")]
    assert [line.same for line in pair.lines] == [True, False, True, False]
    assert [line.left and line.left[0] for line in pair.lines] == [1, 2, 3, None]


def test_what_only_one_side_has_comes_last_and_says_so():
    found = side_by_side.pair_files({"a.py": "", "c.py": "x"}, {"b.py": "", "c.py": "x"})
    assert [(pair.name, pair.missing) for pair in found] == [
        ("c.py", ""),
        ("a.py", "right"),
        ("b.py", "left"),
    ]


def test_two_ordinary_long_files_are_aligned():
    """A thousand lines, of which many are blank or alike."""
    lines = [f"line {number}" if number % 5 else "" for number in range(1000)]
    (pair,) = side_by_side.pair_files({"a": "\n".join(lines)}, {"a": "\n".join(["new", *lines])})
    assert pair.is_aligned
    assert sum(line.same for line in pair.lines) == 1000


def test_lines_that_would_take_minutes_to_align_stay_in_their_order():
    """So do those of the next files, once a page has taken its time; nothing is left out."""
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
def test_a_page_has_only_so_many_rows_and_counts_the_others(files):
    each = 800_000 // files
    found = side_by_side.pair_files({f"f{number:03}": "x\n" * each for number in range(files)}, {})
    rows = sum(len(pair.lines) for pair in found)
    assert len(found) == files
    assert rows == 10_000
    assert rows + sum(pair.left_out for pair in found) == 800_000
