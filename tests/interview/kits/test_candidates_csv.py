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
        "First Name,Last Name,Email\nAnn,Lee,a@x\nBob,,b@x\n",
        "Surname;Given name\nLee;Ann\n;Bob\n",
        "Name,Surname\nAnn,Lee\nBob,\n",
        "Email,Full name\na@x,Ann Lee\nb@x,Bob\n",
        "Identifier,First name,Full name,Last name\n1,A,Ann Lee,L\n2,B,Bob,\n",
        "a@x,Ann Lee\nb@x,Bob\n",
        "Who,E-mail address\nAnn Lee,a@x\nBob,b@x\n",
        "ID,Participant\n1,Ann Lee\n2,Bob\n",
    ],
    ids=[
        "header",
        "no header",
        "Excel",
        "semicolons",
        "tabs",
        "first and last",
        "last and first",
        "name and surname",
        "address first",
        "full name and parts",
        "no header, address first",
        "one column left",
        "another word",
    ],
)
def test_names_are_read_from_csv(tmp_path, text) -> None:
    """A header is never a name, nor is an address; first and last names are one name."""
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
        (b"Vorname,Nachname,Email\nAda,L,a@x\n", "does not say which column"),
        (b"Nombre,Correo\nAda,a@x\n", "does not say which column"),
        (b"a@x\nb@x\n", "contains addresses, but no names"),
        (b"name\nAda\na@x\n", "line 3 has an address"),
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
