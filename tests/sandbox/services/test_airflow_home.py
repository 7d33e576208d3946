"""What Airflow needs around it: our settings alone, a database built once, a version that fits."""

from __future__ import annotations

import importlib.metadata
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from archprep.core.errors import ContentError
from archprep.practice import doctor
from archprep.sandbox import isolation
from archprep.sandbox.services import airflow_home

ABSENT = importlib.metadata.PackageNotFoundError
real_version = importlib.metadata.version
needs_airflow = pytest.mark.skipif(bool(airflow_home.problems()), reason="no Airflow here")


# -- the database -----------------------------------------------------------------------------


@pytest.fixture
def builds(home: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The homes in which a database was built, quickly, each a little different."""
    built: list[Path] = []

    def migrate(folder: Path) -> None:
        built.append(folder)
        (folder / "airflow.db").write_text(f"database {len(built)}")

    monkeypatch.setattr(airflow_home, "_migrate", migrate)
    return built


def template(said: list[str]) -> Path:
    return airflow_home.template(said.append)


def test_the_database_is_built_once_with_a_message(builds, home):
    said: list[str] = []
    first = template(said)
    assert template(said) == first
    assert len(builds) == len(said) == 1
    assert airflow_home.VERSION in said[0]
    assert first.parent == home / "cache"
    assert [path.name for path in first.parent.iterdir()] == [first.name]


@pytest.mark.parametrize("damage", [b"", b"damaged"])
def test_a_damaged_database_is_built_anew(builds, damage):
    first = template([])
    first.chmod(0o644)
    first.write_bytes(damage)
    second = template([])
    assert second.read_text() == "database 2"
    assert not first.exists()


def test_two_that_build_at_once_both_get_a_whole_one(builds, monkeypatch):
    """The second begins and ends while the first is building."""
    quick, inner = airflow_home._migrate, []

    def slow(folder: Path) -> None:
        monkeypatch.setattr(airflow_home, "_migrate", quick)
        inner.append(template([]))
        quick(folder)

    monkeypatch.setattr(airflow_home, "_migrate", slow)
    outer = template([])
    assert {outer.read_text(), inner[0].read_text()} == {"database 1", "database 2"}
    assert airflow_home._is_whole(outer)
    assert airflow_home._is_whole(inner[0])
    assert template([]) in {outer, inner[0]}


def test_a_database_that_cannot_be_built_is_told(home, monkeypatch):
    monkeypatch.setattr(airflow_home, "_BUILD", "print(1)\nraise OSError('no \\033[31mtable')")
    with pytest.raises(ContentError, match=r"cannot be prepared: OSError: no table\.") as caught:
        template([])
    assert "doctor" in caught.value.tip
    assert list((home / "cache").iterdir()) == []


def test_a_cache_that_cannot_be_written_is_told(builds, home):
    home.write_text("a file")
    with pytest.raises(ContentError, match="cannot be prepared"):
        template([])


@needs_airflow
def test_the_database_is_migrated_and_holds_nobody(home, monkeypatch):
    """Nothing of the user's own Airflow takes part."""
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "sqlite:////nowhere/at/all.db")
    path = template([])
    assert stat.S_IMODE(path.stat().st_mode) == 0o444
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        (revisions,) = database.execute("SELECT count(*) FROM alembic_version").fetchone()
        pools = database.execute("SELECT pool FROM slot_pool").fetchall()
        (runs,) = database.execute("SELECT count(*) FROM dag_run").fetchone()
    database.close()
    assert (revisions, pools, runs) == (1, [("default_pool",)], 0)


@needs_airflow
def test_importing_this_does_not_import_airflow():
    code = """
import sys
from archprep.sandbox.services import airflow_home
airflow_home.problems()
sys.exit("airflow" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_environment_names_one_home():
    settings = airflow_home.environment("/some/home")
    assert settings["AIRFLOW_HOME"] == "/some/home"
    assert settings["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == "sqlite:////some/home/airflow.db"
    assert settings == airflow_home.environment("/some/home"), "nothing in it is random"


# -- the version ------------------------------------------------------------------------------

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
    """What is installed, to be changed by a test."""
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


def test_what_fits_is_no_problem(installed):
    assert airflow_home.problems() == []
    assert airflow_home.version() == "3.3.2"


def test_airflow_missing_or_of_another_version(installed):
    installed["apache-airflow"] = "3.2.2"
    ((what, command),) = airflow_home.problems()
    assert what == "Airflow is 3.2.2; archprep works with 3.3.2"
    assert command == f"{sys.executable} -m pip install 'archprep[airflow]'"
    del installed["apache-airflow"]
    assert airflow_home.problems() == [("Airflow is not installed", command)]


def test_a_library_that_airflow_excludes_is_named_with_what_mends_it(installed):
    installed["fastapi"] = "0.165.0"
    del installed["croniter"]
    newer, missing = airflow_home.problems()
    assert newer[0] == "fastapi is 0.165.0, and Airflow 3.3.2 needs fastapi<0.137.0,>=0.129.0"
    assert newer[1].endswith(" -m pip install 'fastapi<0.137.0,>=0.129.0'")
    assert missing[0] == "croniter is missing, which Airflow needs"


def test_a_part_of_airflow_that_is_missing(installed):
    del installed["apache-airflow-task-sdk"]
    ((what, command),) = airflow_home.problems()
    assert what == "apache-airflow-task-sdk is missing"
    assert "archprep[airflow]" in command


# -- doctor -----------------------------------------------------------------------------------


def examined() -> list[tuple[str, bool, str | None]]:
    return [(found.found, found.good, found.fix) for found in doctor._airflow()]


def test_doctor_says_what_is_there(installed, monkeypatch):
    monkeypatch.setattr(airflow_home, "is_compiled", lambda: True)
    assert examined() == [("3.3.2", True, None)]


def test_doctor_says_that_compiling_would_save_time(installed, monkeypatch):
    monkeypatch.setattr(airflow_home, "is_compiled", lambda: False)
    ((found, good, fix),) = examined()
    assert good
    assert "not compiled" in found
    assert fix is not None
    assert "-m compileall" in fix
    assert isolation.library_paths()[0] in fix


def test_doctor_does_not_mind_a_machine_without_airflow(installed):
    del installed["apache-airflow"]
    ((found, good, fix),) = examined()
    assert good
    assert "none" in found
    assert fix is not None
    assert "archprep[airflow]" in fix


def test_doctor_minds_an_airflow_that_cannot_work(installed):
    installed["fastapi"] = "0.165.0"
    ((found, good, fix),) = examined()
    assert not good
    assert "0.165.0" in found
    assert fix is not None
    assert "fastapi<" in fix


def test_doctor_finds_a_damaged_database(installed, builds, monkeypatch):
    monkeypatch.setattr(airflow_home, "is_compiled", lambda: True)
    path = template([])
    path.chmod(0o644)
    path.write_bytes(b"damaged")
    (found, good, fix), _ = examined()
    assert not good
    assert f"{path} is damaged" in found
    assert fix == f"rm {path}"
    path.unlink()
    assert examined() == [("3.3.2", True, None)]


@needs_airflow
def test_compiled_or_not_is_seen_beside_the_modules(tmp_path, monkeypatch):
    assert airflow_home.is_compiled() in {True, False}

    class Elsewhere:
        def locate_file(self, path: str) -> Path:
            return tmp_path / path

    monkeypatch.setattr(importlib.metadata, "distribution", lambda _: Elsewhere())
    assert not airflow_home.is_compiled()
