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
    """A clock file that cannot be read is as good as missing: begin starts it again."""
    (kit / CLOCK_FILE).write_bytes(text.encode("latin-1"))
    assert submit(kit).begun_at is None
    assert not begin(kit).was_running
    assert begin(kit).was_running


@pytest.mark.parametrize("where", [".", "q01_event_bus", ".."])
def test_the_kit_is_found_from_any_folder_in_it(kit, where) -> None:
    """From the kit, from an exercise in it, and from its parent if that has no other kit."""
    assert kit_folder.locate(kit / where) == kit


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("nowhere", "does not exist"),
        ("hers/ada-l.zip", "not a folder"),
        ("", "not an interview kit"),
    ],
)
def test_a_path_that_is_not_a_kit_is_refused(zipped, tmp_path, path, says) -> None:
    """The message says what the path is instead."""
    with pytest.raises(UsageError, match=says) as caught:
        submit(tmp_path / path)
    assert caught.value.tip


def test_a_missing_path_in_a_kit_is_not_taken_for_the_kit(kit) -> None:
    """A typo must not start the clock of another kit."""
    with pytest.raises(UsageError, match="does not exist"):
        begin(kit / "other.zip")
