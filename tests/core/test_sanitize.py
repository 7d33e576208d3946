"""Text from candidates is harmless and stays readable."""

from __future__ import annotations

import sys
import time
import unicodedata

import pytest

from archprep.core.sanitize import sanitize


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("Zürich 数 🙂", "Zürich 数 🙂"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[2J\x1b[Hgone", "gone"),
        ("\x9b2Jc1", "c1"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9d52;c;AAAA\x9cafter", "after"),
        ("\x1bPdevice\x1b\\after", "after"),
        ("\x1b(Bset\x1bcreset", "setreset"),
        ("end\x1b", "end"),
        ("\x1b\u200b[2J", "[2J"),
        ("a\x00b\x07c\x08d\x7fe\x85f", "abcdef"),
        ("FAIL\rPASS", "FAIL\nPASS"),
        ("one\r\ntwo", "one\ntwo"),
        ("\u202egnp.exe\u2066", "gnp.exe"),
        ("pa\u200bss\ufeff\u2060\u00ad", "pass"),
        ("a\u2028b\u2029c", "abc"),
        ("\U000e0041\U000e0042tag", "tag"),
        ("lone \ud800 surrogate", "lone \ufffd surrogate"),
        (b"bytes \xff\xe2\x82\xac", "bytes \ufffd€"),
        ("", ""),
    ],
)
def test_what_survives(text: str | bytes, expected: str) -> None:
    """Readable characters survive; whatever steers a terminal or hides text does not."""
    assert sanitize(text) == expected


def test_an_unterminated_sequence_hides_nothing() -> None:
    """A window title that never ends does not swallow the text after it."""
    assert sanitize("\x1b]0;boo\nverdict: failed") == "]0;boo\nverdict: failed"


def test_no_control_or_format_character_of_unicode_survives() -> None:
    """Of the categories Cc, Cf, Cs, Zl and Zp only tab and newline are left."""
    kinds = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    hidden = [c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(c) in kinds]
    assert len(hidden) > 2000
    assert {sanitize(c) for c in hidden} == {"", "\t", "\n", "\ufffd"}


def test_cleaning_twice_changes_nothing() -> None:
    """What is clean stays as it is."""
    once = sanitize("\x1b\x1b[[31m\x1b\x9b1m\u202ex" * 3)
    assert sanitize(once) == once


def test_long_text_is_cut_with_a_visible_mark() -> None:
    """The mark says how much is missing, counted after cleaning."""
    assert sanitize("x" * 3234) == "x" * 2000 + "… 1,234 more characters"
    assert sanitize("x\x00" * 60, limit=2) == "xx… 58 more characters"


@pytest.mark.parametrize("length", range(2, 40))
def test_a_cut_never_makes_text_longer(length: int) -> None:
    """A text is left whole if the mark would take as much room as what it stands for."""
    text = "abcdefghijklmnopqrstuvwxyzabcdefghijklmn"[:length]
    assert len(sanitize(text, limit=2)) < length or sanitize(text, limit=2) == text


@pytest.mark.parametrize(
    "piece", ["\x1b]", "\x9d", "\x1b[1", "a\x00", "\x1b[;", "\x90x", "é\u200b"]
)
def test_hostile_text_costs_no_more_than_linear_time(piece: str) -> None:
    """1 MiB of unfinished sequences is cleaned at once (quadratic time would take hours)."""
    started = time.process_time()
    sanitize(piece * (2**20 // len(piece)))
    assert time.process_time() - started < 2
