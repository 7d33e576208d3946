"""Names that lead elsewhere, deceive, or collide are refused."""

from __future__ import annotations

import pytest
from interview.zips.zip_samples import refusal, with_flags, written, zipped

from archprep.interview.zips.extract import extract


def test_names_may_start_with_a_dot_slash(target, into) -> None:
    """`tar -a -cf x.zip .` starts every name with ./"""
    zipped(target, "./", "./a.py", "./pkg/", "./pkg/b.py")
    extract(target, into)
    assert sorted(written(into)) == ["a.py", "pkg/b.py"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("../x.py", "points outside its folder"),
        ("kit/../../x.py", "points outside its folder"),
        ("kit/..", "points outside its folder"),
        (".git/../../x.py", "points outside its folder"),
        ("/abs.py", "is an absolute path"),
        (".//abs.py", "is an absolute path"),
        ("//server/share.py", "is an absolute path"),
        ("C:\\x.py", "starts with a drive letter"),
        ("C:/x.py", "starts with a drive letter"),
        ("c:x.py", "starts with a drive letter"),
        ("a\\..\\b.py", "points outside its folder"),
        ("\\\\server\\x.py", "is an absolute path"),
        ("a\0.py", "has unusual characters"),
        ("a.py\0.txt", "has unusual characters"),
        ("a\n.py", "has unusual characters"),
        ("na\x1b[31mme.py", "has unusual characters"),
        ("a\u202eyp.py", "has unusual characters"),
        ("a\u200b.py", "has unusual characters"),
        ("kit//x.py", "is not a normalized path"),
        ("kit/./x.py", "is not a normalized path"),
        ("././x.py", "is not a normalized path"),
        ("x" * 300 + ".py", "has a path longer than 255 bytes"),
        ("d/" * 20 + "x.py", "is nested deeper than 12 folders"),
    ],
)
def test_unsafe_names_are_refused(target, into, name, says) -> None:
    """They are not repaired, as extractall does."""
    stand_in = "Q" * len(name.encode())  # zipfile itself would cut the name at a NUL
    zipped(target, "good.py", stand_in)
    data = target.read_bytes().replace(stand_in.encode(), name.encode())
    if not name.isascii():
        data = with_flags(data, 0x800)  # UTF-8
    target.write_bytes(data)
    assert says in refusal(target, into)


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["a.py", "a.py"], "a.py appears twice"),
        (["Solution.py", "solution.py"], "differs from Solution.py only in case or accents"),
        (["caf\u00e9.py", "cafe\u0301.py"], "only in case or accents"),
        (["stra\u00dfe.py", "STRASSE.py"], "only in case or accents"),
        (["Pkg/a.py", "pkg/b.py"], "only in case or accents"),
        (["a.py", "a.py/b.py"], "is both a file and a folder"),
        (["a.py/b.py", "a.py"], "is both a file and a folder"),
        (["a.py/", "a.py"], "is both a file and a folder"),
        (["A.py/", "a.py"], "only in case or accents"),
        (["./a.py", "a.py"], "a.py appears twice"),
    ],
)
def test_names_that_collide_are_refused(target, into, names, says) -> None:
    """Neither the first nor the last of them wins silently."""
    assert says in refusal(zipped(target, *names), into)
