"""Files that Python cannot parse are refused, with their line."""

from __future__ import annotations

import pytest
from interview.kits.submission_samples import submit_refusal, zip_members

from archprep.core.model import GRADED_WITH
from archprep.interview.kits import manifest, python_syntax
from archprep.interview.kits.submit import submit


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"def add(a, b:\n    return a\n", "answer.py:1: "),
        (b"x = 1\n\ty = 2\n", "answer.py:2: unexpected indent"),
        (b"# -*- coding: klingon -*-\n", "answer.py: "),
        (b"x = '\xff'\n", "answer.py"),
        (b"x = 1\0\n", "null bytes"),
        (b"x = " + b"(" * 5000 + b")" * 5000, "answer.py"),
        (b"x = " + b"-" * 100_000 + b"1", "answer.py"),
        (b"x = " + b"9" * 9000, "answer.py"),
    ],
    ids=["syntax", "indent", "coding", "latin-1", "nul", "nested", "deep", "digits"],
)
def test_invalid_python_is_refused_with_its_line(kit, data, says) -> None:
    """With `anyway` the file is submitted byte for byte."""
    (kit / "q01_event_bus" / "answer.py").write_bytes(data)
    message = submit_refusal(kit)
    assert message.startswith("These files are not valid Python")
    assert f"  q01_event_bus/{says}" in message or says in message
    handed_in = submit(kit, anyway=True)
    assert zip_members(handed_in.path)["ada-l/q01_event_bus/answer.py"] == data
    assert len(handed_in.exercises[0].broken) == 1


@pytest.mark.parametrize(
    "data", [b"", b"# only this\n", b"\xef\xbb\xbfx = 1\r\n", b"# coding: latin-1\nx = '\xe9'\n"]
)
def test_valid_python_is_accepted(kit, data) -> None:
    """Also an empty file, another encoding, and code with a warning."""
    (kit / "q01_event_bus" / "answer.py").write_bytes(data + b'y = "\\d"\n')
    assert submit(kit).exercises[0].broken == ()


NEWER = b"try:\n    x = 1\nexcept* OSError:\n    pass\n"  # valid since Python 3.11


def test_syntax_newer_than_the_python_that_grades_is_refused(kit) -> None:
    """The kit says which Python that is, whatever the candidate has."""
    path = kit / manifest.NAME
    path.write_text(path.read_text().replace(f'"python": "{GRADED_WITH}"', '"python": "3.10"'))
    (kit / "q01_event_bus" / "answer.py").write_bytes(NEWER)
    message = submit_refusal(kit)
    assert message.startswith("These files are not valid Python 3.10, which grades them:")
    assert "answer.py:4: " in message
    assert "3.11" in message


def test_a_kit_that_names_no_python_is_parsed_for_the_one_at_hand() -> None:
    """Kits of earlier versions do not say which one grades them."""
    assert not [*python_syntax.errors({"a.py": NEWER})]
    assert [*python_syntax.errors({"a.py": NEWER}, "3.10")]
