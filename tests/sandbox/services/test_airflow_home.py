"""Airflow's environment contains no user settings, and its database is built once."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from archprep.core.errors import ContentError
from archprep.sandbox.services import airflow_home, airflow_installation

needs_airflow = pytest.mark.skipif(
    bool(airflow_installation.problems()), reason="Airflow is not installed"
)


@pytest.fixture
def builds(home: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The homes in which a database was built; each build has another content."""
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
def test_a_damaged_database_is_rebuilt(builds, damage):
    first = template([])
    first.chmod(0o644)
    first.write_bytes(damage)
    second = template([])
    assert second.read_text() == "database 2"
    assert not first.exists()


def test_two_concurrent_builds_both_give_an_intact_database(builds, monkeypatch):
    """The second build begins and ends during the first."""
    quick, inner = airflow_home._migrate, []

    def slow(folder: Path) -> None:
        monkeypatch.setattr(airflow_home, "_migrate", quick)
        inner.append(template([]))
        quick(folder)

    monkeypatch.setattr(airflow_home, "_migrate", slow)
    outer = template([])
    assert {outer.read_text(), inner[0].read_text()} == {"database 1", "database 2"}
    assert airflow_home._is_intact(outer)
    assert airflow_home._is_intact(inner[0])
    assert template([]) in {outer, inner[0]}


def test_a_failed_build_is_an_error_with_its_cause(home, monkeypatch):
    monkeypatch.setattr(airflow_home, "_BUILD", "print(1)\nraise OSError('no \\033[31mtable')")
    with pytest.raises(ContentError, match=r"cannot be prepared: OSError: no table\.") as caught:
        template([])
    assert "doctor" in caught.value.tip
    assert list((home / "cache").iterdir()) == []


def test_a_cache_that_is_not_writable_is_an_error(builds, home):
    home.write_text("a file")
    with pytest.raises(ContentError, match="cannot be prepared"):
        template([])


@needs_airflow
def test_the_database_is_migrated_and_empty(home, monkeypatch):
    """The user's own Airflow settings have no effect."""
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
def test_importing_the_module_does_not_import_airflow():
    code = """
import sys
from archprep.sandbox.services import airflow_home, airflow_installation
airflow_installation.problems()
sys.exit("airflow" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_environment_names_one_home():
    settings = airflow_home.environment("/some/home")
    assert settings["AIRFLOW_HOME"] == "/some/home"
    assert settings["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == "sqlite:////some/home/airflow.db"
    assert settings == airflow_home.environment("/some/home"), "it must not be random"
