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


def test_what_a_machine_reports_stops_nobody(folder: ResultsFolder) -> None:
    """JSON knows no NaN, whatever the candidate's machine has said."""
    assert folder.receive(replace(RECEIVED, reported={"edited": float("nan")}))
    assert folder.received("ada").reported == {}


@pytest.mark.parametrize("name", ["../../evil.py", "/tmp/evil.py"])
def test_a_kept_source_never_leads_elsewhere(folder: ResultsFolder, name: str) -> None:
    """Even if somebody has edited the file."""
    folder.save("ada", "d1", replace(GRADED, source={name: ""}))
    with pytest.raises(UsageError, match="outside its folder"):
        json_format.source_in(folder.graded_file("ada", "q1"))
