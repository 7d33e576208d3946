"""What Airflow needs around it: its environment, a migrated database, the right version.

Airflow itself is never imported here: it takes seconds, and it belongs into the sandbox.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from archprep.core.errors import ContentError
from archprep.core.sanitize import sanitize
from archprep.sandbox import isolation
from archprep.workspace import store

VERSION = "3.3.2"
INSTALL = "pip install 'archprep[airflow]'"
BUILD_SECONDS = 300.0  # it takes 3; without compiled files and beside other work ten times that

# Imported by the warm parent: what parsing DAG files takes.
PRELOAD = (
    "airflow.sdk",
    "airflow.dag_processing.dagbag",
    "airflow.models.dagbag",
    "airflow.providers.standard.decorators.python",
)

# Their own requirements are what a newer library of another exercise may break.
_DISTRIBUTIONS = ("apache-airflow", "apache-airflow-core", "apache-airflow-task-sdk")
_BUILD = """
import sys
sys.path += sys.argv[1:]
from airflow import settings
from airflow.utils.db import initdb
initdb()
settings.engine.dispose()
"""


def environment(home: str) -> dict[str, str]:
    """Airflow's settings for a home: nothing of the user's own, nothing random, silent."""
    database, logs = f"sqlite:///{home}/airflow.db", f"{home}/logs"
    settings = {
        "CORE__DAGS_FOLDER": f"{home}/dags",
        "CORE__PLUGINS_FOLDER": f"{home}/plugins",
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__LAZY_LOAD_PLUGINS": "True",
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",  # or no asset event queues anything
        "CORE__DAGBAG_IMPORT_TIMEOUT": "0",  # the judge's clock decides
        "CORE__HOSTNAME_CALLABLE": "socket.gethostname",  # no name server to ask
        # They protect nothing: each scenario's database is its own, and gone with it.
        "CORE__FERNET_KEY": "YXJjaHByZXAtbm90LWEtc2VjcmV0LWtleS0wMTIzNDU=",
        "API_AUTH__JWT_SECRET": "archprep-is-not-a-secret-" + "0" * 40,
        "DATABASE__SQL_ALCHEMY_CONN": database,
        "LOGGING__BASE_LOG_FOLDER": logs,
        "LOGGING__LOGGING_LEVEL": "CRITICAL",
        "LOGGING__COLORED_CONSOLE_LOG": "False",
        "SCHEDULER__CREATE_CRON_DATA_INTERVALS": "False",
        "USAGE_DATA_COLLECTION__ENABLED": "False",
    }
    return {
        "AIRFLOW_HOME": home,
        "AIRFLOW_CONFIG": os.devnull,  # else a file of 120 KB is written, and then read
        "LOGNAME": "airflow",  # who runs tasks; the sandbox knows no user names
        **{f"AIRFLOW__{name}": value for name, value in settings.items()},
    }


def template(progress: Callable[[str], None]) -> Path:
    """Return a migrated, empty metadata database, to be copied; built once and kept.

    ContentError when it cannot be built.
    """
    cache = store.cache_dir()
    for kept in _kept():
        if _is_whole(kept):
            return kept
        with suppress(OSError):
            kept.unlink()
    progress(f"Preparing Airflow {VERSION}: once, a few seconds ...")
    return _build(cache)


def damaged() -> list[Path]:
    """Databases that are not what was built; the next check does without them."""
    return [kept for kept in _kept() if not _is_whole(kept)]


def problems() -> list[tuple[str, str]]:
    """What keeps Airflow from working here, each with the command that mends it."""
    found = version()
    if found is None:
        return [("Airflow is not installed", _install(INSTALL))]
    if found != VERSION:
        why = f"Airflow is {found}; archprep works with {VERSION}"
        return [(why, _install(INSTALL))]
    return list(dict.fromkeys(_misfits()))


def version() -> str | None:
    """The version of Airflow that is installed here."""
    with suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version("apache-airflow")
    return None


def is_compiled() -> bool:
    """Whether Airflow's modules are compiled: the sandbox, which cannot write, never does it."""
    with suppress(importlib.metadata.PackageNotFoundError):
        core = importlib.metadata.distribution("apache-airflow-core")
        compiled = f"airflow/__pycache__/settings.{sys.implementation.cache_tag}.pyc"
        return Path(str(core.locate_file(compiled))).exists()
    return False


def compilation() -> str:
    """Return the command that compiles it, and all that is beside it."""
    return f"{sys.executable} -m compileall -q {shlex.join(isolation.library_paths())}"


# -- requirements -----------------------------------------------------------------------------


def _misfits() -> Iterator[tuple[str, str]]:
    """What Airflow asks for and does not find: an installer that was asked later need not care."""
    from packaging.requirements import Requirement

    for distribution in _DISTRIBUTIONS:
        try:
            needs = importlib.metadata.requires(distribution) or []
        except importlib.metadata.PackageNotFoundError:
            yield f"{distribution} is missing", _install(INSTALL)
            continue
        for need in map(Requirement, needs):
            if need.marker is None or need.marker.evaluate({"extra": ""}):
                yield from _misfit(need.name, str(need.specifier))


def _misfit(name: str, wanted: str) -> Iterator[tuple[str, str]]:
    from packaging.specifiers import SpecifierSet

    try:
        found = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        yield f"{name} is missing, which Airflow needs", _install(f"pip install '{name}{wanted}'")
        return
    if not SpecifierSet(wanted).contains(found, prereleases=True):
        why = f"{name} is {found}, and Airflow {VERSION} needs {name}{wanted}"
        yield why, _install(f"pip install '{name}{wanted}'")


def _install(command: str) -> str:
    return f"{sys.executable} -m {command}"


# -- the database -----------------------------------------------------------------------------


def _kept() -> list[Path]:
    return sorted(store.cache_dir().glob(f"airflow-{VERSION}-*.db"))


def _is_whole(path: Path) -> bool:
    """Whether it is what was built: its name holds the digest, so that both come at once."""
    with suppress(OSError):
        return path.stem.endswith(_digest(path))
    return False


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _build(cache: Path) -> Path:
    home = None
    try:
        cache.mkdir(parents=True, exist_ok=True)
        home = Path(tempfile.mkdtemp(prefix="airflow-", dir=cache))
        _migrate(home)
        built = home / "airflow.db"
        built.chmod(0o444)
        # At once, and under a name that only these bytes have: others may be building, too.
        return built.replace(cache / f"airflow-{VERSION}-{_digest(built)}.db")
    except OSError as e:
        raise _failed(f"{cache}: {e.strerror}") from None
    finally:
        if home is not None:
            shutil.rmtree(home, ignore_errors=True)


def _migrate(home: Path) -> None:
    """Let Airflow make its database, in a process of its own."""
    try:
        done = subprocess.run(  # noqa: S603 - our own command line
            [sys.executable, "-I", "-c", _BUILD, *isolation.library_paths()],
            env=isolation.BARE_ENVIRONMENT | environment(str(home)),
            cwd=home,
            capture_output=True,
            timeout=BUILD_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _failed(f"it is not ready after {BUILD_SECONDS:.0f} s") from None
    if done.returncode != 0 or not (home / "airflow.db").exists():
        last = done.stderr.strip().splitlines()[-1:] or [b"it is not there"]
        raise _failed(sanitize(last[0], 600))  # of a traceback, the line that says it


def _failed(why: str) -> ContentError:
    return ContentError(
        f"Airflow's database cannot be prepared: {why.strip(' .')}.",
        tip="`archprep doctor` looks for the cause.",
    )
