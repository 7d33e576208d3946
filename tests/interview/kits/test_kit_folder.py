"""A kit's folder is found from anywhere in it; a damaged clock counts as none."""

from __future__ import annotations

import pytest

from archprep.core.errors import UsageError
from archprep.interview.kits import kit_folder
from archprep.interview.kits.begin import begin
from archprep.interview.kits.submit import submit
from archprep.interview.model import CLOCK_FILE


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"begun_at": 7}', '{"begun_at": "noon"}', "\xff"]
)
def test_a_damaged_clock_counts_as_none(kit, clock, text) -> None:
    (kit / CLOCK_FILE).write_bytes(text.encode("latin-1"))
    assert submit(kit).begun_at is None
    assert not begin(kit).was_running
    assert begin(kit).was_running


@pytest.mark.parametrize("where", [".", "q01_event_bus", ".."])
def test_the_kit_is_found_from_where_one_stands(kit, where) -> None:
    """In it, in an exercise's folder, or in the folder that holds it alone."""
    assert kit_folder.locate(kit / where) == kit


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("nowhere", "does not exist"),
        ("hers/ada-l.zip", "not a folder"),
        ("", "not an interview kit"),
    ],
)
def test_a_path_that_is_no_kit_is_told(zipped, tmp_path, path, says) -> None:
    """Also one that does not exist in a folder that is one."""
    with pytest.raises(UsageError, match=says) as caught:
        submit(tmp_path / path)
    assert caught.value.tip


def test_a_missing_folder_is_not_taken_for_the_kit_around_it(kit) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        begin(kit / "other.zip")
