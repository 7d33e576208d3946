"""DAG files that attack the judge; harness.py explains the format of cases.

Numbers 51-53 of the attack catalogue.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hostile.harness import (
    CASES,
    PIPELINE,
    Expected,
    Server,
    check,
    level_a_only,
    numbers_of,
    source_of,
    staged,
    toy_of,
)

from archprep.sandbox.services import airflow_home, airflow_installation

MINE = [case for case in CASES if toy_of(source_of(case)) is PIPELINE]

pytestmark = [
    level_a_only,
    pytest.mark.skipif(bool(airflow_installation.problems()), reason="Airflow is not installed"),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which Airflow's database is ready, so that no case has to build it."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ARCHPREP_HOME", str(home))
        airflow_home.template(lambda _: None)
    return home


@pytest.mark.parametrize("case", MINE, ids=lambda case: case.stem)
def test_a_hostile_dag_gets_its_stated_outcome(case: Path, server: Server, tmp_path: Path):
    """And every general condition of the catalogue holds."""
    folder = staged(case, tmp_path / "submission", server, PIPELINE)
    check(server, folder, Expected.of(source_of(case)))


def test_every_case_of_the_catalogue_is_here():
    """Every number that needs Airflow."""
    assert numbers_of(MINE) == {51, 52, 53}
