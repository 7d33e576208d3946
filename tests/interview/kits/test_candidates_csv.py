"""Names are read from CSV files of any usual form."""

from __future__ import annotations

import pytest

from archprep.core.errors import UsageError
from archprep.interview.kits.candidates_csv import read_names


@pytest.mark.parametrize(
    "text",
    [
        "name\nAnn Lee\nBob\n",
        "Ann Lee\nBob",
        "\ufeffmail,Name\r\na@x,Ann Lee\r\nb@x,Bob\r\n\r\n",
        'Candidate;mail\n"Ann Lee";a@x\nBob\n',
        "Ann Lee\ta@x\nBob\tb@x\n",
    ],
    ids=["header", "no header", "Excel", "semicolons", "tabs"],
)
def test_names_are_read_from_csv(tmp_path, text) -> None:
    """With and without a header, with any usual delimiter, with a byte order mark."""
    path = tmp_path / "c.csv"
    path.write_bytes(text.encode())
    assert read_names(path) == ["Ann Lee", "Bob"]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "contains no names"),
        (b"name\n", "contains no names"),
        (b"name,mail\nAda,x\n,y\n", "line 3 has no name"),
        (b"mail,name\nx\n", "line 2 has no name"),
        (b"name\nLee, Ann\n", "line 2 has more columns"),
        (b'name\n"Ada\nBob\n', "unexpected end of data"),
        (b"name\n\xff\xfe\n", "not valid UTF-8"),
    ],
)
def test_an_unusable_csv_file_is_refused_with_its_line(tmp_path, data, says) -> None:
    """The message names the line and has a tip."""
    path = tmp_path / "c.csv"
    path.write_bytes(data)
    with pytest.raises(UsageError) as caught:
        read_names(path)
    assert says in caught.value.message
    assert caught.value.tip
