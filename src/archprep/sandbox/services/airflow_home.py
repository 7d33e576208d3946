"""The environment and the migrated database that Airflow needs.

Airflow itself is never imported here: that takes seconds, and belongs in the sandbox.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from archprep.core.errors import ContentError
from archprep.core.sanitize import sanitize
from archprep.sandbox import isolation
from archprep.sandbox.services.airflow_installation import VERSION
from archprep.workspace import store

BUILD_SECONDS = 300.0  # usually 3; on a loaded machine without compiled files ten times that

# Imported by the fork server: what parsing DAG files needs.
PRELOAD = (
    "airflow.sdk",
    "airflow.dag_processing.dagbag",
    "airflow.models.dagbag",
    "airflow.providers.standard.decorators.python",
)

_BUILD = """
import sys
sys.path += sys.argv[1:]
from airflow import settings
from airflow.utils.db import initdb
initdb()
settings.engine.dispose()
"""


def environment(home: str) -> dict[str, str]:
    """Return Airflow's settings for a home folder: not the user's, not random, no output."""
    database, logs = f"sqlite:///{home}/airflow.db", f"{home}/logs"
    settings = {
        "CORE__DAGS_FOLDER": f"{home}/dags",
        "CORE__PLUGINS_FOLDER": f"{home}/plugins",
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__LAZY_LOAD_PLUGINS": "True",
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",  # otherwise asset events queue no runs
        "CORE__DAGBAG_IMPORT_TIMEOUT": "0",  # the judge's deadline applies
        "CORE__HOSTNAME_CALLABLE": "socket.gethostname",  # there is no name server to ask
        # Neither protects anything: each scenario has its own database, deleted at its end.
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
        "AIRFLOW_CONFIG": os.devnull,  # otherwise Airflow writes and reads a file of 120 KB
        "LOGNAME": "airflow",  # the user who runs tasks; the sandbox has no user names
        **{f"AIRFLOW__{name}": value for name, value in settings.items()},
    }


def template(progress: Callable[[str], None]) -> Path:
    """Return a migrated, empty metadata database to copy; it is built once and kept.

    Raises ContentError if it cannot be built.
    """
    for path in _kept():
        if _is_intact(path):
            return path
        with suppress(OSError):
            path.unlink()
    progress(f"Preparing Airflow {VERSION} (once, takes a few seconds) ...")
    return _build(store.cache_dir())


def damaged() -> list[Path]:
    """Return the databases whose content has changed; the next check ignores them."""
    return [path for path in _kept() if not _is_intact(path)]


def _kept() -> list[Path]:
    return sorted(store.cache_dir().glob(f"airflow-{VERSION}-*.db"))


def _is_intact(path: Path) -> bool:
    """Whether the content matches the digest in its name."""
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
        # Atomic, and under a name that only these bytes have: another command may build, too.
        return built.replace(cache / f"airflow-{VERSION}-{_digest(built)}.db")
    except OSError as e:
        raise _failed(f"{cache}: {e.strerror}") from None
    finally:
        if home is not None:
            shutil.rmtree(home, ignore_errors=True)


def _migrate(home: Path) -> None:
    """Create Airflow's database in a child process."""
    try:
        done = subprocess.run(  # noqa: S603 - archprep's own command line
            [sys.executable, "-I", "-c", _BUILD, *isolation.library_paths()],
            env=isolation.BARE_ENVIRONMENT | environment(str(home)),
            cwd=home,
            capture_output=True,
            timeout=BUILD_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _failed(f"it takes longer than {BUILD_SECONDS:.0f} s") from None
    if done.returncode != 0 or not (home / "airflow.db").exists():
        lines = done.stderr.strip().splitlines()[-1:] or [b"no database was created"]
        raise _failed(sanitize(lines[0], 600))  # the last line of a traceback says what failed


def _failed(why: str) -> ContentError:
    return ContentError(
        f"Airflow's database cannot be prepared: {why.strip(' .')}.",
        tip="Run `archprep doctor` to find the cause.",
    )
