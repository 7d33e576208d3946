"""Whether Airflow is installed in the version that archprep works with, and what to install."""

from __future__ import annotations

import importlib.metadata
import shlex
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from archprep.sandbox import isolation

VERSION = "3.3.2"
INSTALL = "pip install 'archprep[airflow]'"

# A newer library for another exercise may violate their requirements.
_DISTRIBUTIONS = ("apache-airflow", "apache-airflow-core", "apache-airflow-task-sdk")


def version() -> str | None:
    """Return the installed version of Airflow."""
    with suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version("apache-airflow")
    return None


def problems() -> list[tuple[str, str]]:
    """Return what keeps Airflow from working, each with the command that fixes it."""
    found = version()
    if found is None:
        return [("Airflow is not installed", _run_with_python(INSTALL))]
    if found != VERSION:
        why = f"Airflow is {found}; archprep works with {VERSION}"
        return [(why, _run_with_python(INSTALL))]
    return list(dict.fromkeys(_unmet_requirements()))


def is_compiled() -> bool:
    """Whether Airflow's modules are compiled; the sandbox cannot write compiled files."""
    with suppress(importlib.metadata.PackageNotFoundError):
        core = importlib.metadata.distribution("apache-airflow-core")
        compiled = f"airflow/__pycache__/settings.{sys.implementation.cache_tag}.pyc"
        return Path(str(core.locate_file(compiled))).exists()
    return False


def compile_command() -> str:
    """Return the command that compiles Airflow and the packages installed with it."""
    return f"{sys.executable} -m compileall -q {shlex.join(isolation.library_paths())}"


def _unmet_requirements() -> Iterator[tuple[str, str]]:
    """Requirements of Airflow that later installations have broken."""
    from packaging.requirements import Requirement

    for distribution in _DISTRIBUTIONS:
        try:
            requirements = importlib.metadata.requires(distribution) or []
        except importlib.metadata.PackageNotFoundError:
            yield f"{distribution} is missing", _run_with_python(INSTALL)
            continue
        for wanted in map(Requirement, requirements):
            if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
                yield from _unmet(wanted.name, str(wanted.specifier))


def _unmet(name: str, wanted: str) -> Iterator[tuple[str, str]]:
    from packaging.specifiers import SpecifierSet

    fix = _run_with_python(f"pip install '{name}{wanted}'")
    try:
        found = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        yield f"{name} is missing, which Airflow needs", fix
        return
    if not SpecifierSet(wanted).contains(found, prereleases=True):
        yield f"{name} is {found}, but Airflow {VERSION} needs {name}{wanted}", fix


def _run_with_python(module_command: str) -> str:
    return f"{sys.executable} -m {module_command}"
