"""Whatever is reported or edited, stored JSON is safe to read."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from interview.results.result_samples import GRADED, RECEIVED

from archprep.core.errors import UsageError
from archprep.interview.results import json_format

if TYPE_CHECKING:
    from archprep.interview.results.results_folder import ResultsFolder


def test_a_report_that_is_not_json_is_dropped(folder: ResultsFolder) -> None:
    """JSON has no NaN; the submission is still graded."""
    assert folder.receive(replace(RECEIVED, reported={"edited": float("nan")}))
    assert folder.received("ada").reported == {}


@pytest.mark.parametrize("name", ["../../evil.py", "/tmp/evil.py"])
def test_a_kept_source_cannot_be_outside_its_folder(folder: ResultsFolder, name: str) -> None:
    """Even if someone edited the file."""
    folder.save("ada", "d1", replace(GRADED, source={name: ""}))
    with pytest.raises(UsageError, match="outside its folder"):
        json_format.source_in(folder.graded_file("ada", "q1"))
