"""DAG files that attack the judge; what a case announces: harness.py.

Numbers 51-53 of the attack catalogue.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hostile.harness import (
    CASES,
    PIPELINE,
    Announced,
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
    """A home in which Airflow's database is prepared: no case is to pay for it."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ARCHPREP_HOME", str(home))
        airflow_home.template(lambda _: None)
    return home


@pytest.mark.parametrize("case", MINE, ids=lambda case: case.stem)
def test_a_hostile_dag_gets_what_it_announces(case: Path, server: Server, tmp_path: Path):
    """Each case: its outcome, and every general condition of the catalogue."""
    folder = staged(case, tmp_path / "submission", server, PIPELINE)
    check(server, folder, Announced.of(source_of(case)))


def test_every_case_of_the_catalogue_is_here():
    """What needs Airflow."""
    assert numbers_of(MINE) == {51, 52, 53}
