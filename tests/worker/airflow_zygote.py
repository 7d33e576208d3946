"""A warm parent in small, for tests of worker/airflow.py: warmed up once, it forks for each play.

Reads a JSON list of plays from each line, plays them at the same time, writes a JSON list. With
`private` a play has mounts of its own, where its home has the path of the warm-up's; without, it
has another home, as at level D.
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

PLACE = sys.argv[1]
SIGNALS = (signal.SIGTERM, signal.SIGSEGV, signal.SIGALRM)
SECONDS = 100  # for a play; on a quiet machine it takes less than one


def parse(folder: str, settled: bool = False, times: int = 1, **more: Any) -> Any:
    if settled:
        airflow.settle()
    told = []
    for _ in range(times):
        dags = airflow.load(folder, **more)
        told.append(
            [[airflow_structure.of_dag(d), airflow_structure.serialised(d)] for d in dags.values()]
        )
    return told if times > 1 else told[0]


def names(folder: str) -> Any:
    return [airflow_structure.of_dag(dag)["timetable"] for dag in airflow.load(folder).values()]


def due(folder: str, earliest: str, latest: str) -> Any:
    (dag,) = airflow.load(folder).values()
    return airflow_structure.schedule(dag, earliest, latest)


def play(folder: str, runs: list[dict[str, Any]]) -> Any:
    airflow.settle()
    (dag,) = airflow.load(folder).values()
    told = [airflow.run(dag, **given) for given in runs]
    return [told, [name for name in os.environ if name.startswith("AIRFLOW_VAR_")]]


def look(names: list[str]) -> Any:
    """What is there before anything is done."""
    return {
        "threads": threading.active_count(),
        "files": sorted(path.name for path in Path(PLACE).iterdir()),
        "path": [p for p in sys.path if p.endswith("dags")],
        "modules": [name for name in sys.modules if name.startswith("unusual_prefix_")],
        "signals": [signal.getsignal(number) == signal.SIG_DFL for number in SIGNALS],
        "found": [name for name in names if hasattr(sys.modules["airflow"], name)],
    }


def main() -> None:
    Path(PLACE).mkdir()
    os.environ.update(airflow_home.environment(f"{PLACE}/airflow"))
    os.environ[airflow.TEMPLATE] = str(airflow_home.template(lambda _: None))
    for name in airflow_home.PRELOAD:
        importlib.import_module(name)
    airflow.warm_up()
    for line in sys.stdin:
        plays = [_Play(**asked) for asked in json.loads(line)]
        print(json.dumps([one.end() for one in plays]), flush=True)  # noqa: T201


class _Play:
    def __init__(self, probe: str, inputs: dict[str, Any], private: bool, kill_at: str) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - until the play's end
        self._kill_at = kill_at.encode()
        self._told, writer = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.setpgid(0, 0)
            _run(lambda: _child(probe, inputs, private, self._said.fileno(), writer))
        os.close(writer)

    def end(self) -> dict[str, Any]:
        """What it told and said; killed when it has said `kill_at`, or when it takes too long."""
        told, begun, killed = b"", time.monotonic(), False
        with selectors.DefaultSelector() as selector:
            selector.register(self._told, selectors.EVENT_READ)
            while True:
                if selector.select(0.02):
                    if not (more := os.read(self._told, 65536)):
                        break
                    told += more
                over = time.monotonic() - begun > SECONDS
                if not killed and (over or (self._kill_at and self._kill_at in self._output())):
                    os.killpg(self._pid, signal.SIGKILL)
                    killed = True
        os.close(self._told)
        os.waitpid(self._pid, 0)
        said = self._output().decode()
        self._said.close()
        return {"said": said, "killed": killed} | json.loads(told or b"{}")

    def _output(self) -> bytes:
        return os.pread(self._said.fileno(), 1 << 20, 0)


def _child(probe: str, inputs: dict[str, Any], private: bool, said: int, writer: int) -> None:
    os.dup2(said, 1)
    os.dup2(said, 2)
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
    os.chdir(PLACE if private else tempfile.mkdtemp(dir=PLACE))
    try:
        told = {"told": globals()[probe](**inputs)}
    except BaseException as e:  # noqa: BLE001 - whatever a DAG file raises
        told = {"raised": type(e).__name__, "message": str(e), "frames": _frames(e)}
    sys.stdout.flush()
    sys.stderr.flush()
    os.write(writer, json.dumps(told).encode())


def _frames(error: BaseException) -> list[list[Any]]:
    found = traceback.extract_tb(error.__traceback__)
    return [[Path(f.filename).name, f.lineno, f.name] for f in found if "/dags/" in f.filename]


def _mount() -> None:
    flags = ctypes.c_ulong(confine.MS_REC | confine.MS_PRIVATE)
    confine._check(confine._libc.mount(b"none", b"/", None, flags, None), "mount /")
    options = b"size=64m,mode=1777"
    confine._check(
        confine._libc.mount(b"tmpfs", PLACE.encode(), b"tmpfs", ctypes.c_ulong(0), options), PLACE
    )


def _run(body: Any) -> None:
    with contextlib.suppress(BaseException):
        body()
    os._exit(0)


if __name__ == "__main__":
    main()
