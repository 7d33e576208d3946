"""Which installations of Airflow work, and what doctor says about them."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

import pytest

from archprep.practice import doctor
from archprep.sandbox import isolation
from archprep.sandbox.services import airflow_installation

ABSENT = importlib.metadata.PackageNotFoundError
real_version = importlib.metadata.version
needs_airflow = pytest.mark.skipif(
    bool(airflow_installation.problems()), reason="Airflow is not installed"
)

NEEDS = {
    "apache-airflow": ["apache-airflow-core==3.3.2", 'celery>=5; extra == "celery"'],
    "apache-airflow-core": [
        "fastapi[standard]<0.137.0,>=0.129.0",
        "croniter>=6",
        'libcst>=9; python_version < "3"',
    ],
    "apache-airflow-task-sdk": ["croniter>=6"],
}
FITS = {
    "apache-airflow": "3.3.2",
    "apache-airflow-core": "3.3.2",
    "apache-airflow-task-sdk": "1.3.2",
    "fastapi": "0.136.3",
    "croniter": "7.0.0rc1",
}


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The installed versions, for tests to change."""
    found = dict(FITS)

    def version(name: str) -> str:
        if name not in found and name in FITS:
            raise ABSENT(name)
        return found.get(name) or real_version(name)

    def requires(name: str) -> list[str]:
        version(name)
        return NEEDS[name]

    monkeypatch.setattr(importlib.metadata, "version", version)
    monkeypatch.setattr(importlib.metadata, "requires", requires)
    return found


def test_matching_versions_are_no_problem(installed):
    assert airflow_installation.problems() == []
    assert airflow_installation.version() == "3.3.2"


def test_airflow_is_missing_or_has_another_version(installed):
    installed["apache-airflow"] = "3.2.2"
    ((what, command),) = airflow_installation.problems()
    assert what == "Airflow is 3.2.2; archprep works with 3.3.2"
    assert command == f"{sys.executable} -m pip install 'archprep[airflow]'"
    del installed["apache-airflow"]
    assert airflow_installation.problems() == [("Airflow is not installed", command)]


def test_a_library_that_airflow_excludes_is_named_with_its_fix(installed):
    installed["fastapi"] = "0.165.0"
    del installed["croniter"]
    newer, missing = airflow_installation.problems()
    assert newer[0] == "fastapi is 0.165.0, but Airflow 3.3.2 needs fastapi<0.137.0,>=0.129.0"
    assert newer[1].endswith(" -m pip install 'fastapi<0.137.0,>=0.129.0'")
    assert missing[0] == "croniter is missing, which Airflow needs"


def test_a_distribution_of_airflow_is_missing(installed):
    del installed["apache-airflow-task-sdk"]
    ((what, command),) = airflow_installation.problems()
    assert what == "apache-airflow-task-sdk is missing"
    assert "archprep[airflow]" in command


@needs_airflow
def test_compiled_files_are_looked_for_next_to_the_modules(tmp_path, monkeypatch):
    assert airflow_installation.is_compiled() in {True, False}

    class Elsewhere:
        def locate_file(self, path: str) -> Path:
            return tmp_path / path

    monkeypatch.setattr(importlib.metadata, "distribution", lambda _: Elsewhere())
    assert not airflow_installation.is_compiled()


# -- doctor -----------------------------------------------------------------------------------


def examined() -> list[tuple[str, bool, str | None]]:
    return [(found.found, found.good, found.fix) for found in doctor._airflow()]


def test_doctor_shows_the_version(installed, monkeypatch):
    monkeypatch.setattr(airflow_installation, "is_compiled", lambda: True)
    assert examined() == [("3.3.2", True, None)]


def test_doctor_suggests_to_compile_airflow(installed, monkeypatch):
    monkeypatch.setattr(airflow_installation, "is_compiled", lambda: False)
    ((found, good, fix),) = examined()
    assert good
    assert "not compiled" in found
    assert fix is not None
    assert "-m compileall" in fix
    assert isolation.library_paths()[0] in fix


def test_doctor_accepts_a_machine_without_airflow(installed):
    del installed["apache-airflow"]
    ((found, good, fix),) = examined()
    assert good
    assert "not installed" in found
    assert fix is not None
    assert "archprep[airflow]" in fix


def test_doctor_reports_an_airflow_that_cannot_work(installed):
    installed["fastapi"] = "0.165.0"
    ((found, good, fix),) = examined()
    assert not good
    assert "0.165.0" in found
    assert fix is not None
    assert "fastapi<" in fix


def test_doctor_finds_a_damaged_database(installed, home, monkeypatch):
    monkeypatch.setattr(airflow_installation, "is_compiled", lambda: True)
    path = home / "cache" / f"airflow-{airflow_installation.VERSION}-0123456789abcdef.db"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"damaged")
    (found, good, fix), _ = examined()
    assert not good
    assert f"{path} is damaged" in found
    assert fix == f"rm {path}"
    path.unlink()
    assert examined() == [("3.3.2", True, None)]
