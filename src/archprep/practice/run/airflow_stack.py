"""A local Airflow: its components, its settings, and what it says about a DAG folder."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archprep.core.errors import ContentError, UsageError
from archprep.core.sanitize import sanitize
from archprep.practice.run.address import Question, url
from archprep.practice.run.airflow_api import Api
from archprep.practice.run.airflow_component import API_SERVER
from archprep.practice.run.process_group import PYTHON, Group
from archprep.sandbox import processes
from archprep.sandbox.services import airflow_home

if TYPE_CHECKING:
    from archprep.core.model import Runnable

START_SECONDS = 180.0  # it takes ten; without compiled files and beside other work much more
TASKS_SECONDS = 2.0
TICK_SECONDS = 0.2
LAST_WORDS = 600  # characters of a log
_SETTINGS = {
    "CORE__PARALLELISM": "4",
    "CORE__DAGBAG_IMPORT_TIMEOUT": "30",
    # The candidate's line may stand above many of Airflow's.
    "CORE__DAGBAG_IMPORT_ERROR_TRACEBACK_DEPTH": "20",
    "CORE__AUTH_MANAGER": (
        "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"
    ),
    "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
    "DAG_PROCESSOR__PARSING_PROCESSES": "1",
    "DAG_PROCESSOR__REFRESH_INTERVAL": "5",  # for files that are added
    "LOGGING__LOGGING_LEVEL": "INFO",
    # The API server reads the files of logs; servers for them would listen on every address.
    "LOGGING__WORKER_LOG_SERVER_PORT": "1",
    "LOGGING__TRIGGER_LOG_SERVER_PORT": "1",
    "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
    "SCHEDULER__USE_JOB_SCHEDULE": "False",  # runs are made by whoever wants to see them
}
_PARSER = "parser"
_RAISED = re.compile(r"[A-Za-z_][\w.]*(Error|Exception)\b")
_WHERE = re.compile(r'^ *File "(.+?)", line (\d+)', re.MULTILINE)


class Stack:
    """The components that run, in a home that goes with them."""

    def __init__(
        self, group: Group, listener: socket.socket, template: Path, folder: Path, dags: Path
    ) -> None:
        self.address = url(listener)
        copied = folder.is_relative_to(group.room)
        self.saving = "" if copied else "What you save is parsed again. "
        self._group = group
        self._folder, self._dags = folder.resolve(), dags.resolve()
        self._listener = listener
        self._home = group.room / "airflow"
        self._home.mkdir()
        shutil.copyfile(template, self._home / "airflow.db")
        self._environment = _environment(self._home, self._folder, self._dags, self.address)

    def start(self, name: str, *arguments: str) -> None:
        """Start a component of Airflow."""
        self._start(
            name, "archprep.practice.run.airflow_component", str(self._folder), name, *arguments
        )

    def parse(self, target: Runnable, date: str | None) -> dict[str, str]:
        """Parse the DAG folder; return which run to trigger. UsageError without the DAG."""
        assert target.dag is not None
        told = self._home / "told.json"
        order = {
            "folder": str(self._folder),
            "dag": target.dag,
            "date": date or target.logical_date,
            "variables": target.variables,
        }
        self._start(_PARSER, "archprep.practice.run.dag_parser", json.dumps(order), str(told))
        while _PARSER not in self._group.ended:
            self.wait(TICK_SECONDS)
        if not told.exists():
            raise UsageError(f"Parsing the DAG folder fails: {self._last_words(_PARSER)}")
        found = json.loads(told.read_bytes())
        if target.dag in found["dags"]:
            return dict(found["run"])
        raise self._missing(target.dag, found)

    def connect(self) -> Api:
        """Wait until the API answers."""
        deadline = time.monotonic() + START_SECONDS
        question = Question(self._listener, "/api/v2/version")
        while question.status() is None:
            if time.monotonic() > deadline:
                raise ContentError(f"Airflow does not answer after {START_SECONDS:.0f} s.")
            self.wait(TICK_SECONDS)
        return Api(*self._listener.getsockname())

    def spare(self, tasks: bool) -> None:  # noqa: FBT001 - whether there are any
        """Let tasks that run have a moment to end; nothing else is worth waiting for."""
        self._group.patience = TASKS_SECONDS if tasks else 0

    def wait(self, seconds: float) -> None:
        """Wait; ContentError when a component has ended."""
        self._group.wait(seconds)
        for name in self._group.ended:
            if name != _PARSER:
                raise ContentError(f"Airflow's {name} fails: {self._last_words(name)}")

    def explain(self, file: str, trace: str) -> str:
        """An import error in one line: the candidate's own, and what was raised there."""
        place = self.place([(path, int(line)) for path, line in _WHERE.findall(trace)])
        last = [text for text in trace.splitlines() if text.strip()][-1:]
        return sanitize(f"{place or file}: {''.join(last)}")

    def place(self, frames: list[tuple[str, int]]) -> str:
        """Which of the candidate's own lines led to an error, one for each file."""
        lines: dict[Path, int] = {}
        for file, line in frames:
            path = Path(file).resolve()
            if path.is_relative_to(self._folder):
                lines[path.relative_to(self._folder)] = line
        return ", then ".join(f"{file}, line {line}" for file, line in lines.items())

    def _missing(self, dag: str, found: dict[str, Any]) -> UsageError:
        if found["errors"]:
            told = [self.explain(file, trace) for file, trace in sorted(found["errors"].items())]
            return UsageError(f"The DAG folder cannot be imported. {'; '.join(told)}")
        there = ", ".join(found["dags"]) or "none at all"
        return UsageError(
            f"There is no DAG {dag} in {self._dags}; there is: {sanitize(there, 300)}."
        )

    def _start(self, name: str, *command: str) -> None:
        self._group.start(
            name,
            [*PYTHON, *command],
            env=self._environment,
            cwd=self._folder,
            log=self._home / f"{name}.log",
            listens=name == API_SERVER,
        )

    def _last_words(self, name: str) -> str:
        """How a process ended, and the last exception or line in its log."""
        text = (self._home / f"{name}.log").read_text(errors="replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        told = [line for line in lines if _RAISED.match(line)] or lines or ["it said nothing"]
        return sanitize(f"{told[-1][:LAST_WORDS]} (exit status {self._group.ended[name]})")


def _environment(home: Path, folder: Path, dags: Path, address: str) -> dict[str, str]:
    """The user's own, but for what Airflow would read there, and for proxies."""
    own = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("AIRFLOW_") or name.startswith(("AIRFLOW_VAR_", "AIRFLOW_CONN_"))
    }
    settings = _SETTINGS | {
        "CORE__DAGS_FOLDER": str(dags),
        "CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
        "API__BASE_URL": address,
        "API__SECRET_KEY": secrets.token_hex(32),
        "API_AUTH__JWT_SECRET": secrets.token_hex(32),
    }
    direct = dict.fromkeys(("no_proxy", "NO_PROXY"), "127.0.0.1,localhost")
    named = {f"AIRFLOW__{name}": value for name, value in settings.items()}
    if not processes.is_linux():  # a task's process is no fork there: it must be told the path
        own["PYTHONPATH"] = str(folder)
    return own | airflow_home.environment(str(home)) | named | direct
