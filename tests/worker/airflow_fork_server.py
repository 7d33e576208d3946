"""A small fork server for tests of worker/airflow.py: warmed up once, it forks for each call.

Each input line is a JSON list of calls, which run at the same time; the output is a JSON list of
results. A `private` call has its own mounts and the same home path as the warm-up; any other has
another home, as at level D.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import selectors
import signal
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path
from typing import Any

from archprep.sandbox.services import airflow_home
from archprep.worker import airflow, airflow_structure, confine

FOLDER = sys.argv[1]
SIGNALS = (signal.SIGTERM, signal.SIGSEGV, signal.SIGALRM)
SECONDS = 100  # per call; usually less than one


def parse(folder: str, with_home: bool = False, times: int = 1, **more: Any) -> Any:
    if with_home:
        airflow.create_home()
    parsed = []
    for _ in range(times):
        dags = airflow.load(folder, **more)
        parsed.append(
            [[airflow_structure.of_dag(d), airflow_structure.serialised(d)] for d in dags.values()]
        )
    return parsed if times > 1 else parsed[0]


def timetables(folder: str) -> Any:
    return [airflow_structure.of_dag(dag)["timetable"] for dag in airflow.load(folder).values()]


def scheduled(folder: str, earliest: str, latest: str) -> Any:
    (dag,) = airflow.load(folder).values()
    return airflow_structure.schedule(dag, earliest, latest)


def run(folder: str, runs: list[dict[str, Any]]) -> Any:
    airflow.create_home()
    (dag,) = airflow.load(folder).values()
    results = [airflow.run(dag, **options) for options in runs]
    return [results, [name for name in os.environ if name.startswith("AIRFLOW_VAR_")]]


def state(names: list[str]) -> Any:
    """The state of a fresh fork."""
    return {
        "threads": threading.active_count(),
        "files": sorted(path.name for path in Path(FOLDER).iterdir()),
        "path": [p for p in sys.path if p.endswith("dags")],
        "modules": [name for name in sys.modules if name.startswith("unusual_prefix_")],
        "signals": [signal.getsignal(number) == signal.SIG_DFL for number in SIGNALS],
        "found": [name for name in names if hasattr(sys.modules["airflow"], name)],
    }


def main() -> None:
    Path(FOLDER).mkdir()
    os.environ.update(airflow_home.environment(f"{FOLDER}/airflow"))
    os.environ[airflow.TEMPLATE] = str(airflow_home.template(lambda _: None))
    for name in airflow_home.PRELOAD:
        importlib.import_module(name)
    airflow.warm_up()
    for line in sys.stdin:
        calls = [_Call(**options) for options in json.loads(line)]
        print(json.dumps([call.result() for call in calls]), flush=True)  # noqa: T201


class _Call:
    def __init__(self, probe: str, inputs: dict[str, Any], private: bool, kill_at: str) -> None:
        self._printed = tempfile.TemporaryFile()  # noqa: SIM115 - until the end of the call
        self._kill_at = kill_at.encode()
        self._reply, writer = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.setpgid(0, 0)
            _run(lambda: _child(probe, inputs, private, self._printed.fileno(), writer))
        os.close(writer)

    def result(self) -> dict[str, Any]:
        """The reply and the output; killed once it prints `kill_at`, or if it takes too long."""
        reply, begun, killed = b"", time.monotonic(), False
        with selectors.DefaultSelector() as selector:
            selector.register(self._reply, selectors.EVENT_READ)
            while True:
                if selector.select(0.02):
                    if not (more := os.read(self._reply, 65536)):
                        break
                    reply += more
                over = time.monotonic() - begun > SECONDS
                if not killed and (over or (self._kill_at and self._kill_at in self._output())):
                    os.killpg(self._pid, signal.SIGKILL)
                    killed = True
        os.close(self._reply)
        os.waitpid(self._pid, 0)
        output = self._output().decode()
        self._printed.close()
        return {"output": output, "killed": killed} | json.loads(reply or b"{}")

    def _output(self) -> bytes:
        return os.pread(self._printed.fileno(), 1 << 20, 0)


def _child(probe: str, inputs: dict[str, Any], private: bool, printed: int, writer: int) -> None:
    os.dup2(printed, 1)
    os.dup2(printed, 2)
    if private:
        try:
            confine.enter_namespaces(new_user=True)
            _mount()
        except OSError as e:
            os.write(writer, json.dumps({"refused": str(e)}).encode())
            return
        pid = os.fork()  # the first of the new process ids
        if pid:
            os.waitpid(pid, 0)
            return
    os.chdir(FOLDER if private else tempfile.mkdtemp(dir=FOLDER))
    try:
        reply = {"value": globals()[probe](**inputs)}
    except BaseException as e:  # noqa: BLE001 - a DAG file may raise anything
        reply = {"raised": type(e).__name__, "message": str(e), "frames": _frames(e)}
    sys.stdout.flush()
    sys.stderr.flush()
    os.write(writer, json.dumps(reply).encode())


def _frames(error: BaseException) -> list[list[Any]]:
    found = traceback.extract_tb(error.__traceback__)
    return [[Path(f.filename).name, f.lineno, f.name] for f in found if "/dags/" in f.filename]


def _mount() -> None:
    flags = ctypes.c_ulong(confine.MS_REC | confine.MS_PRIVATE)
    confine._check(confine._libc.mount(b"none", b"/", None, flags, None), "mount /")
    options = b"size=64m,mode=1777"
    confine._check(
        confine._libc.mount(b"tmpfs", FOLDER.encode(), b"tmpfs", ctypes.c_ulong(0), options), FOLDER
    )


def _run(body: Any) -> None:
    with contextlib.suppress(BaseException):
        body()
    os._exit(0)


if __name__ == "__main__":
    main()
