"""`archprep run`: reachable from this machine only, and no process outlives it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest
from conftest import Run, write_tree

from archprep.sandbox.services import airflow_installation

PATIENCE = 30.0
SERVICE = """
import answer

print("\\x1b[2Jprinted", end="\\r\\n")


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("the app shuts down")
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": answer.__file__.encode()})
"""

needs_uvicorn = pytest.mark.skipif(find_spec("uvicorn") is None, reason="no uvicorn here")
needs_airflow = pytest.mark.skipif(bool(airflow_installation.problems()), reason="no Airflow here")


class Running:
    """A running `archprep run`, and what it has printed so far."""

    def __init__(self, *args: str, cwd: Path, scratch: Path) -> None:
        self.scratch = scratch
        scratch.mkdir(exist_ok=True)
        self._log = scratch.with_suffix(".log")
        with self._log.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "archprep", "run", *args],
                cwd=cwd,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=os.environ | {"PYTHONUNBUFFERED": "1", "TMPDIR": str(scratch)},
            )

    @property
    def said(self) -> str:
        """All that it has printed."""
        return " ".join(self._log.read_text().split())

    def says(self, text: str, patience: float = PATIENCE) -> bool:
        """Whether it prints a text in time, and before it ends."""

        def over() -> bool:
            return text in self.said or self.process.poll() is not None

        return until(over, patience) and text in self.said

    def address(self) -> str:
        """Where it can be reached."""
        found = re.search(r"http://127\.0\.0\.1:\d+", self.said)
        assert found, self.said
        return found[0]

    def below(self) -> list[psutil.Process]:
        """All processes below it."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def ends(self, number: int | None = None) -> int:
        """Return its exit code, once no process and no file of it is left."""
        started = self.below() if self.process.poll() is None else []
        if number is not None:
            self.process.send_signal(number)
        code = self.process.wait(PATIENCE)
        assert until(lambda: not any(alive(each) for each in started)), started
        assert until(lambda: not list(self.scratch.iterdir()))
        assert "Traceback (most" not in self.said
        return code


def alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def until(holds: Callable[[], bool], patience: float = PATIENCE) -> bool:
    deadline = time.monotonic() + patience
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def reply(address: str) -> str:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(address) as answer:
        return answer.read().decode()


def listening(processes: list[psutil.Process]) -> set[str]:
    """The addresses on which they listen."""
    found = set()
    for process in processes:
        for each in process.net_connections(kind="inet"):
            if each.status == psutil.CONN_LISTEN:
                found.add(each.laddr.ip)
    return found


# ------------------------------------------------------------------ a service

Start = Callable[..., Running]


@pytest.fixture
def service(run: Run, desk: Path, tmp_path: Path) -> Path:
    """A started workspace of q3, which has a service."""
    starter = tmp_path / "content" / "exercises" / "q03_more"
    write_tree(starter, {"starter/service.py": SERVICE})
    manifest = starter / "exercise.yaml"
    manifest.write_text(manifest.read_text() + "run: {app: 'service:app'}\n")
    assert run("start", "q3").returncode == 0
    return desk / "q03_more"


@pytest.fixture
def started(desk: Path, tmp_path: Path) -> Iterator[Start]:
    """Start `archprep run` in the user's folder."""
    made: list[Running] = []

    def start(*args: str, cwd: Path = desk) -> Running:
        made.append(Running(*args, cwd=cwd, scratch=tmp_path / f"scratch{len(made)}"))
        return made[-1]

    yield start
    for each in made:
        each.process.kill()
        each.process.wait()


@needs_uvicorn
def test_a_service_answers_on_this_machine_only(service: Path, started: Start):
    """It runs the workspace's code, from any folder; its output is sanitized."""
    running = started(cwd=service)
    assert running.says("answers. Press Ctrl-C to stop.")
    assert reply(running.address()) == str(service / "answer.py")
    assert listening([psutil.Process(running.process.pid), *running.below()]) == {"127.0.0.1"}
    assert running.says(" printed ")
    assert "\x1b" not in running.said
    assert running.ends(signal.SIGTERM) == 128 + signal.SIGTERM
    assert "the app shuts down" in running.said


@needs_uvicorn
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_nothing_outlives_it(service: Path, started: Start, number: int):
    """After Ctrl-C, a closed terminal, even SIGKILL: also detached processes of the app end."""
    file = service / "service.py"
    helper = "import subprocess\nsubprocess.Popen(['sleep', '60'], start_new_session=True)\n"
    file.write_text(helper + file.read_text())
    running = started("q3")
    assert running.says("answers")
    assert "sleep" in {each.name() for each in running.below()}
    assert running.ends(number) in {130, -number}


@needs_uvicorn
def test_a_killed_supervisor_ends_the_command(service: Path, started: Start):
    """And archprep says so."""
    running = started("q3")
    assert running.says("answers")
    below = running.below()
    psutil.Process(running.process.pid).children()[0].kill()
    assert running.ends() == 3
    assert "supervises app was killed" in running.said
    assert until(lambda: not any(alive(each) for each in below))


@needs_uvicorn
@pytest.mark.parametrize("seconds", [0, 0.01, 0.03, 0.1, 0.3])
def test_ctrl_c_at_any_moment(service: Path, started: Start, seconds: float):
    """Even while the first process starts."""
    running = started("q3")
    assert running.says("outside the sandbox")
    time.sleep(seconds)
    assert running.ends(signal.SIGINT) == 130


@needs_uvicorn
def test_an_app_that_does_not_stop_is_killed(service: Path, started: Start):
    """After a few seconds, or at once when Ctrl-C is pressed again."""
    running = started("q3")
    assert running.says("answers")
    app = running.below()[-1]
    app.suspend()
    assert until(lambda: app.status() == psutil.STATUS_STOPPED)  # it no longer handles signals
    running.process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    assert alive(app)
    before = time.monotonic()
    assert running.ends(signal.SIGINT) == 130
    assert time.monotonic() - before < 2


@needs_uvicorn
@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import nothing_like_it", "ModuleNotFoundError: No module named 'nothing_like_it'"),
        ("\ndef add(:\n", "SyntaxError: invalid syntax (service.py:2"),
        ("def f():\n    return 1 / 0\n\nf()", "(service.py:2 in <module>, then answer.py:4"),
        ("raise NotImplementedError", "It is not written yet."),
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("import os; os._exit(7)", "service:app ended by itself (exit status 7)."),
        ("import os; os.kill(os.getpid(), 9)", "service:app ended by itself (SIGKILL)."),
    ],
)
def test_an_app_that_cannot_be_served(service: Path, started: Start, code: str, says: str):
    """A message with the candidate's lines; nothing keeps running."""
    (service / "answer.py").write_text(code)
    running = started("q3")
    assert running.ends() == 2
    assert says in running.said


@needs_uvicorn
def test_the_reference_needs_no_workspace(run: Run, service: Path, started: Start):
    """It is copied over the starter, to a temporary folder."""
    write_tree(service, {"answer.py": "raise NotImplementedError"})
    running = started("q3", "--reference", cwd=service.parent)
    assert running.says("answers")
    assert reply(running.address()).startswith(str(running.scratch))
    assert running.ends(signal.SIGINT) == 130


@needs_uvicorn
def test_the_port_may_be_taken(service: Path, started: Start):
    """A second service gets another port."""
    running = [started("q3"), started("q3")]
    assert all(each.says("answers") for each in running)
    assert running[0].address() != running[1].address()


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["q1"], "q1 has neither a service nor a DAG"),
        (["q3", "--once"], "--once and --date are for a DAG"),
        (["q3", "--reference", "--dir", "x"], "cannot be combined"),
    ],
)
def test_what_cannot_be_run(service: Path, run: Run, args: list[str], says: str):
    """The message says why."""
    assert run("start", "q1").returncode == 0
    done = run("run", *args)
    assert done.returncode == 2
    assert says in done.stderr


def test_missing_packages_are_the_users_to_install(service: Path, run: Run, tmp_path: Path):
    """With the same message as `check`."""
    manifest = tmp_path / "content" / "exercises" / "q03_more" / "exercise.yaml"
    more = "packages: ['no-such[extra]']\npreload: [no_such]\n"
    manifest.write_text(manifest.read_text() + more)
    done = run("run", "q3")
    assert done.returncode == 2
    assert done.stderr == run("check", "q3").stderr
    assert "pip install 'no-such[extra]'" in done.stderr


# ------------------------------------------------------------------ a DAG

DAG = """
import pendulum
from airflow.sdk import DAG, CronDataIntervalTimetable, Variable, get_current_context, task
from given import greeting

daily = CronDataIntervalTimetable("0 2 * * *", timezone="UTC")
start = pendulum.datetime(2026, 1, 1, tz="UTC")
with DAG("greetings", schedule=daily, start_date=start, catchup=False):

    @task
    def names():
        return Variable.get("names", deserialize_json=True)

    @task(map_index_template="{{ name }}")
    def greet(name):
        get_current_context()["name"] = name
        return greeting(name)

    greet.expand(name=names())
"""
GIVEN = """
def greeting(name):
    if name == "bad":
        raise ValueError("nobody greets \x1b[31mbad")
    return f"Hello {name}"
"""
RUN = "{dag: greetings, logical_date: 2026-03-02T00:00:00Z, variables: {names: [ann, bad]}}"


@pytest.fixture(scope="module")
def with_airflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home for all tests of this file: the metadata database is prepared once."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def pipeline(
    run: Run, desk: Path, tmp_path: Path, with_airflow: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A started workspace of q3, which has a DAG."""
    starter = tmp_path / "content" / "exercises" / "q03_more"
    write_tree(starter / "starter", {"dags/greetings.py": DAG, "given.py": GIVEN})
    manifest = starter / "exercise.yaml"
    text = manifest.read_text().replace("[answer.py]", "[dags/greetings.py]")
    manifest.write_text(f"{text}run: {RUN}\n")
    monkeypatch.setenv("ARCHPREP_HOME", str(with_airflow))
    workspace = desk / "pipeline"
    assert run("start", "q3", "--dir", str(workspace)).returncode == 0
    return workspace


@needs_airflow
def test_a_dag_runs_in_an_airflow_of_its_own(pipeline: Path, started: Start):
    """What is shown, who can reach it, and that nothing is left."""
    running = started("q3", "--dir", str(pipeline))
    assert running.says("stays up", patience=240)
    said = running.said
    assert "data interval 2026-03-02 02:00 to 2026-03-03 02:00" in said
    assert "greet [ann] success" in said
    place = "dags/greetings.py, line 17, then given.py, line 4"
    assert f"greet [bad] failed ValueError: nobody greets bad, {place}" in said
    assert "The run failed after" in said
    assert "Tasks: 2 success, 1 failed." in said
    assert "<html" in reply(running.address())
    assert listening([psutil.Process(running.process.pid), *running.below()]) == {"127.0.0.1"}
    assert running.ends(signal.SIGINT) == 130


@needs_airflow
def test_ctrl_c_while_airflow_starts(pipeline: Path, started: Start):
    """No component is left."""
    running = started("q3", "--dir", str(pipeline))
    assert running.says("Starting Airflow")
    time.sleep(1)
    assert running.ends(signal.SIGINT) == 130


@needs_airflow
@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("start = ", "start = 1 / 0\n", "dags/greetings.py, line 7: ZeroDivisionError"),
        ("start = ", "import os; os._exit(0)\n", "Parsing the DAG folder fails: "),
        ('"greetings"', '"meetings"', "There is no DAG greetings in"),
    ],
)
def test_a_missing_dag(pipeline: Path, started: Start, old: str, new: str, says: str):
    """The message after parsing names the candidate's file and line."""
    file = pipeline / "dags" / "greetings.py"
    file.write_text(file.read_text().replace(old, new))
    running = started("q3", "--dir", str(pipeline))
    assert running.ends() == 2
    assert says in running.said


@needs_airflow
def test_the_reference_of_q6_succeeds_on_a_real_airflow(
    started: Start, with_airflow: Path, monkeypatch: pytest.MonkeyPatch
):
    """With scheduler, API server and task processes; the starter simulates the platform."""
    monkeypatch.delenv("ARCHPREP_CONTENT", raising=False)
    monkeypatch.setenv("ARCHPREP_HOME", str(with_airflow))
    running = started("q6", "--reference", "--once")
    assert running.says("The run succeeded after", patience=240), running.said
    for tenant in ("acme", "bolt", "čapek"):
        assert f"process_tenant.load [{tenant}] success" in running.said
    assert "cleanup success" in running.said
    assert running.ends() == 0


def test_an_unusable_airflow_is_a_usage_error(pipeline: Path, run: Run):
    """If Airflow is missing or has another version, the message names the command that fixes it."""
    if airflow_installation.problems():
        done = run("run", "q3", "--dir", str(pipeline))
        assert done.returncode == 2
        assert "To fix: " in done.stderr
