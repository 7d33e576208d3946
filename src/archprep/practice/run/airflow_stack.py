"""A local Airflow: its components, its settings, and where a DAG folder fails."""

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
from archprep.practice.run.airflow_api import AirflowApi
from archprep.practice.run.airflow_component import API_SERVER
from archprep.practice.run.listener import FirstRequest, url
from archprep.practice.run.process_group import PYTHON, ProcessGroup, describe_exit
from archprep.sandbox.services import airflow_home

if TYPE_CHECKING:
    from archprep.core.model import Runnable

START_SECONDS = 180.0  # usually ten; far more if Airflow is not compiled and the machine is busy
TICK_SECONDS = 0.2
_ERROR_CHARACTERS = 600
_SETTINGS = {
    "CORE__PARALLELISM": "4",
    "CORE__DAGBAG_IMPORT_TIMEOUT": "30",
    # Many of Airflow's lines may follow the candidate's.
    "CORE__DAGBAG_IMPORT_ERROR_TRACEBACK_DEPTH": "20",
    "CORE__AUTH_MANAGER": (
        "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"
    ),
    "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
    "DAG_PROCESSOR__PARSING_PROCESSES": "1",
    "DAG_PROCESSOR__REFRESH_INTERVAL": "5",  # for new files
    "LOGGING__LOGGING_LEVEL": "INFO",
    # The API server reads log files directly; log servers would listen on every address.
    "LOGGING__WORKER_LOG_SERVER_PORT": "1",
    "LOGGING__TRIGGER_LOG_SERVER_PORT": "1",
    "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
    "SCHEDULER__USE_JOB_SCHEDULE": "False",  # only triggered runs
}
_ARGUMENTS = {"scheduler": ("--skip-serve-logs",), "triggerer": ("--skip-serve-logs",)}
_PARSER = "parser"
_EXCEPTION = re.compile(r"[A-Za-z_][\w.]*(Error|Exception)\b")
_FRAME = re.compile(r'^ *File "(.+?)", line (\d+)', re.MULTILINE)


class AirflowStack:
    """The components of one Airflow, whose home is in the group's temporary folder."""

    def __init__(
        self,
        group: ProcessGroup,
        listener: socket.socket,
        template: Path,
        folder: Path,
        dags: Path,
    ) -> None:
        self.address = url(listener)
        self.is_copy = folder.is_relative_to(group.folder)
        self._group = group
        self._listener = listener
        self._folder, self._dags = folder.resolve(), dags.resolve()
        self._home = group.folder / "airflow"
        self._home.mkdir()
        shutil.copyfile(template, self._home / "airflow.db")
        self._environment = _environment(self._home, self._dags, self.address)
        self._components: set[str] = set()

    def start_api_server(self) -> None:
        """Start the API server on the listener."""
        self._start_component(API_SERVER, str(self._listener.fileno()))

    def start(self, component: str) -> None:
        """Start a component unless it was already started."""
        if component not in self._components:
            self._start_component(component, *_ARGUMENTS.get(component, ()))

    def parse(self, target: Runnable, date: str | None) -> dict[str, str]:
        """Parse the DAG folder and return which run to trigger; UsageError without the DAG."""
        assert target.dag is not None
        result = self._home / "parsed.json"
        request = {
            "folder": str(self._folder),
            "dag": target.dag,
            "date": date or target.logical_date,
            "variables": target.variables,
        }
        module = "archprep.practice.run.dag_parser"
        self._start_process(_PARSER, module, json.dumps(request), str(result))
        while _PARSER not in self._group.exit_codes:
            self.wait(TICK_SECONDS)
        if not result.exists():
            raise UsageError(f"Parsing the DAG folder fails: {self._error_of(_PARSER)}")
        parsed = json.loads(result.read_bytes())
        if target.dag in parsed["dags"]:
            return dict(parsed["run"])
        raise self._missing_dag(target.dag, parsed)

    def connect(self) -> AirflowApi:
        """Wait until the API answers, and return a client."""
        deadline = time.monotonic() + START_SECONDS
        request = FirstRequest(self._listener, "/api/v2/version")
        while request.status() is None:
            if time.monotonic() > deadline:
                raise ContentError(f"Airflow has not answered for {START_SECONDS:.0f} s.")
            self.wait(TICK_SECONDS)
        return AirflowApi(*self._listener.getsockname())

    def wait(self, seconds: float) -> None:
        """Wait; ContentError if a component has ended."""
        self._group.wait(seconds)
        for name in self._components & self._group.exit_codes.keys():
            raise ContentError(f"Airflow's {name} fails: {self._error_of(name)}")

    def locate(self, frames: list[tuple[str, int]]) -> str:
        """Return which of the candidate's lines led to an error, one for each file."""
        lines: dict[Path, int] = {}
        for file, line in frames:
            path = Path(file).resolve()
            if path.is_relative_to(self._folder):
                lines[path.relative_to(self._folder)] = line
        return ", then ".join(f"{file}, line {line}" for file, line in lines.items())

    def _missing_dag(self, dag: str, parsed: dict[str, Any]) -> UsageError:
        if parsed["errors"]:
            errors = [self._import_error(*error) for error in sorted(parsed["errors"].items())]
            return UsageError(f"The DAG folder cannot be imported. {'; '.join(errors)}")
        found = ", ".join(parsed["dags"]) or "none"
        return UsageError(f"There is no DAG {dag} in {self._dags}. Found: {sanitize(found, 300)}.")

    def _import_error(self, file: str, trace: str) -> str:
        place = self.locate([(path, int(line)) for path, line in _FRAME.findall(trace)])
        last = [text for text in trace.splitlines() if text.strip()][-1:]
        return sanitize(f"{place or file}: {''.join(last)}")

    def _error_of(self, name: str) -> str:
        """Return the last exception, or line, in the log of a process that has ended."""
        text = (self._home / f"{name}.log").read_text(errors="replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        found = [line for line in lines if _EXCEPTION.match(line)] or lines or ["no output"]
        how = describe_exit(self._group.exit_codes[name])
        return sanitize(f"{found[-1][:_ERROR_CHARACTERS]} ({how})")

    def _start_component(self, name: str, *arguments: str) -> None:
        self._components.add(name)
        module = "archprep.practice.run.airflow_component"
        self._start_process(name, module, str(self._folder), name, *arguments)

    def _start_process(self, name: str, *command: str) -> None:
        self._group.start(
            name,
            [*PYTHON, *command],
            env=self._environment,
            cwd=self._folder,
            output=self._home / f"{name}.log",
            listener=self._listener.fileno() if name == API_SERVER else None,
        )


def _environment(home: Path, dags: Path, address: str) -> dict[str, str]:
    """The user's environment without Airflow's settings and without a proxy."""
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
    no_proxy = dict.fromkeys(("no_proxy", "NO_PROXY"), "127.0.0.1,localhost")
    variables = {f"AIRFLOW__{name}": value for name, value in settings.items()}
    return own | airflow_home.environment(str(home)) | variables | no_proxy
