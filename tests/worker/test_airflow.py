"""Airflow in the sandbox: warmed up once, forked for each scenario, reported as plain data.

The scenarios run in `airflow_fork_server.py`: Airflow is never imported in this process.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from archprep.core.model import Limits, Submission
from archprep.sandbox import selftest
from archprep.sandbox.fork_server import BootConfig, Stack
from archprep.sandbox.sandbox import Sandbox
from archprep.sandbox.scenario import Scenario
from archprep.sandbox.services import airflow_home, airflow_installation

pytestmark = pytest.mark.skipif(
    bool(airflow_installation.problems()), reason="Airflow is not installed"
)

RUN = {"logical_date": "2025-03-01T02:00:00+00:00", "run_after": "2025-03-02T02:00:00+00:00"}
START = "from airflow.sdk import DAG, CronDataIntervalTimetable, Variable, task, task_group\n"


class ForkServer:
    """The small fork server, seen from the tests."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        env = {"PATH": os.environ["PATH"], "ARCHPREP_HOME": str(self.home)}
        script = Path(__file__).with_name("airflow_fork_server.py")
        self._errors = (folder / "errors").open("w+")
        self._process = subprocess.Popen(
            [sys.executable, str(script), str(folder / "work")],
            env=env | {"PYTHONPATH": str(Path(airflow_home.__file__).parents[1])},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )

    def call(self, *calls: dict[str, Any], **inputs: Any) -> list[dict[str, Any]]:
        """Run calls at the same time; each has a probe's name and its own inputs."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        common = {"private": False, "kill_at": ""}
        full = [common | one | {"inputs": inputs | one.get("inputs", {})} for one in calls]
        self._process.stdin.write(json.dumps(full) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, self.errors()
        results: list[dict[str, Any]] = json.loads(line)
        if "refused" in results[0]:
            pytest.skip(f"no namespaces here: {results[0]['refused']}")
        return results

    def errors(self) -> str:
        """What the fork server itself has printed."""
        self._errors.seek(0)
        return self._errors.read()

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()
        self._errors.close()


@pytest.fixture(scope="module")
def fork_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    started = ForkServer(tmp_path_factory.mktemp("fork-server"))
    yield started
    started.close()


Write = Callable[..., str]


@pytest.fixture
def dags(tmp_path: Path) -> Write:
    """Writes DAG files; returns their folder."""

    def write(**files: str) -> str:
        folder = tmp_path / "dags"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for name, text in files.items():
            (folder / f"{name}.py").write_text(START + textwrap.dedent(text))
        return str(folder)

    return write


def run_dag(fork_server: ForkServer, folder: str, *runs: dict[str, Any]) -> list[dict[str, Any]]:
    (seen,) = fork_server.call({"probe": "run"}, folder=folder, runs=runs or [RUN])
    assert "value" in seen, seen
    results, variables = seen["value"]
    assert variables == []
    results[0]["output"] = seen["output"]
    return results


def instances(run: dict[str, Any], name: str) -> list[tuple[Any, ...]]:
    found = [ti for ti in run["tasks"] if ti["task"] == name]
    return [(ti["map_index"], ti["state"], ti["tries"], ti["label"]) for ti in found]


def sizes(run: dict[str, Any]) -> dict[tuple[str, int, str], int]:
    return {(x["task"], x["map_index"], x["key"]): x["bytes"] for x in run["xcoms"]}


def failed(run: dict[str, Any]) -> list[tuple[Any, ...]]:
    names = ("task", "map_index", "try", "callback", "type", "message", "frames")
    return [tuple(failure[name] for name in names) for failure in run["failures"]]


# -- the fork ---------------------------------------------------------------------------------


def test_the_warm_up_leaves_one_thread_and_nothing_else(fork_server):
    (seen,) = fork_server.call({"probe": "state"}, names=[])
    left = seen["value"]
    files = left.pop("files")
    assert left == {"threads": 1, "path": [], "modules": [], "signals": [True] * 3, "found": []}
    assert "airflow" not in files
    assert seen["output"] == fork_server.errors() == ""


TENANTS = """
    with DAG("tenants", schedule=None) as dag:

        @task
        def tenants():
            return Variable.get("tenants", deserialize_json=True)

        @task(retries=1, map_index_template="{{ tenant }}")
        def extract(tenant, ti=None):
            from airflow.sdk import get_current_context

            get_current_context()["tenant"] = tenant
            if tenant.endswith("1") and ti.try_number == 1:
                raise ConnectionError("once")
            return tenant

        @task
        def load(tenant):
            print("loaded", tenant, flush=True)
            return tenant

        @task_group
        def each(tenant):
            return load(extract(tenant))

        @task(trigger_rule="all_done")
        def total(loaded):
            return sorted(loaded)

        total(each.expand(tenant=tenants()))
"""


@pytest.mark.parametrize("private", [True, False], ids=["own mounts", "own home"])
def test_two_concurrent_forks_both_give_the_right_result(fork_server, dags, private):
    folder = dags(a=TENANTS)
    for number in range(3):
        names = [[f"t{number}-{side}-{n}" for n in range(side + 1)] for side in (1, 2)]
        runs = [[RUN | {"variables": {"tenants": json.dumps(each)}}] for each in names]
        one = {"probe": "run", "private": private}
        both = fork_server.call(*(one | {"inputs": {"runs": run}} for run in runs), folder=folder)
        for tenants, seen in zip(names, both, strict=True):
            ((run,), _) = seen["value"]
            assert run["state"] == "success", seen
            assert [label for *_, label in instances(run, "each.extract")] == tenants
            tries = [1 + tenant.endswith("1") for tenant in tenants]
            assert [tries for _, _, tries, _ in instances(run, "each.extract")] == tries
            assert sorted(seen["output"].splitlines()) == [f"loaded {tenant}" for tenant in tenants]


def test_scenarios_leave_nothing_behind(fork_server, dags):
    folder = dags(
        a="""
        import airflow, builtins, os, sys

        seen = [hasattr(airflow, "left"), "LEFT" in os.environ, Variable.get("left", default=None)]
        airflow.left = builtins.left = os.environ["LEFT"] = "x"

        with DAG("d", schedule=None) as dag:

            @task
            def leave(ti=None):
                print("seen", *seen, ti.xcom_pull(task_ids="leave", include_prior_dates=True))
                print("of another run", Variable.get("left", default=None))
                Variable.set("left", "x")
                open("left", "w").close()
                return "x"

            leave()
        """
    )
    for private in (True, False):
        for _ in range(2):
            (seen,) = fork_server.call(
                {"probe": "run", "private": private}, folder=folder, runs=[RUN]
            )
            assert seen["output"] == "seen False False None None\nof another run None\n"
    assert fork_server.call({"probe": "state"}, names=["left"])[0]["value"]["found"] == []


def test_a_task_that_hangs_can_be_killed(fork_server, dags):
    folder = dags(
        a="""
        import time

        with DAG("d", schedule=None) as dag:

            @task
            def hang():
                print("it hangs", flush=True)
                time.sleep(1000)

            hang()
        """
    )
    for private in (True, False):
        call = {"probe": "run", "private": private, "kill_at": "it hangs"}
        (seen,) = fork_server.call(call, folder=folder, runs=[RUN])
        assert seen == {"output": "it hangs\n", "killed": True}


# -- parsing ----------------------------------------------------------------------------------


def test_the_structure_of_a_dag(fork_server, dags):
    folder = dags(
        a="""
        from datetime import datetime, timedelta, timezone

        with DAG(
            "d",
            schedule=CronDataIntervalTimetable("0 2 * * *", timezone="UTC"),
            start_date=datetime(2025, 1, 1, tzinfo=timezone.utc),
            max_active_runs=1,
            tags={"b", "a"},
            default_args={"owner": "me", "retries": 3, "retry_exponential_backoff": True},
            on_failure_callback=print,
        ) as dag:

            @task(max_retry_delay=timedelta(minutes=30), execution_timeout=timedelta(hours=2))
            def first():
                return [1]

            @task(
                retry_delay=timedelta(seconds=7),
                pool="four",
                map_index_template="{{ x }}",
                on_retry_callback=[print],
            )
            def each(x): ...

            @task(max_active_tis_per_dagrun=4, trigger_rule="all_done")
            def inside(x): ...

            @task_group
            def group(x):
                inside(x)

            @task
            def clean(): ...

            one = first()
            each.expand(x=one) >> clean().as_teardown()
            group.expand(x=one)
        """
    )
    ((facts, text),) = fork_server.call({"probe": "parse"}, folder=folder)[0]["value"]
    tasks = {facts["task_id"]: facts for facts in facts.pop("tasks")}
    assert facts == {
        "dag_id": "d",
        "timetable": {
            "type": "CronDataIntervalTimetable", "expression": "0 2 * * *", "timezone": "UTC",
        },
        "start_date": "2025-01-01T00:00:00+00:00",
        "end_date": None,
        "catchup": False,
        "max_active_runs": 1,
        "max_active_tasks": 16,
        "dagrun_timeout": None,
        "has_deadline": False,
        "callbacks": ["failure"],
        "tags": ["a", "b"],
    }  # fmt: skip
    assert {task["owner"] for task in tasks.values()} == {"me"}
    assert {task["retries"] for task in tasks.values()} == {3}
    assert {task["retry_exponential_backoff"] for task in tasks.values()} == {2.0}
    assert [tasks["first"][name] for name in ("max_retry_delay", "execution_timeout")] == [
        1800,
        7200,
    ]
    each, inside = tasks["each"], tasks["group.inside"]
    assert [each[n] for n in ("retry_delay", "pool", "is_mapped", "map_index_template")] == [
        7, "four", True, "{{ x }}",
    ]  # fmt: skip
    assert {name: task["callbacks"] for name, task in tasks.items() if task["callbacks"]} == {
        "each": ["retry"]
    }
    assert not any(task["has_retry_policy"] for task in tasks.values())
    assert each["upstream"] == inside["upstream"] == ["first"]
    assert (inside["mapped_group"], inside["is_mapped"], each["mapped_group"]) == (
        "group", False, None,
    )  # fmt: skip
    assert (inside["max_active_tis_per_dagrun"], inside["trigger_rule"]) == (4, "all_done")
    assert [name for name, task in tasks.items() if task["is_teardown"]] == ["clean"]
    assert json.loads(text)["dag"]["dag_id"] == "d"


def test_what_parsing_reads_is_in_the_serialised_dag(fork_server, dags):
    """Even without a metadata database; and a file without such reads parses the same each time."""
    folder = dags(a='dag = DAG("d_" + Variable.get("x", default="none"), schedule=None)')
    calls = [{"probe": "parse", "inputs": {"with_home": with_home}} for with_home in (True, False)]
    for seen in fork_server.call(*calls, folder=folder):
        assert [facts["dag_id"] for facts, _ in seen["value"]] == ["d_none"]
        assert seen["output"] == ""
    (seen,) = fork_server.call({"probe": "parse"}, folder=dags(a=TENANTS), times=3)
    assert seen["value"][0] == seen["value"][1] == seen["value"][2]


def test_the_runs_of_a_schedule(fork_server, dags):
    """Equivalent timetables give the same runs."""
    wanted = [
        {
            "logical_date": f"2024-02-{day}T02:00:00+00:00",
            "run_after": f"2024-{after}T02:00:00+00:00",
            "interval": [f"2024-02-{day}T02:00:00+00:00", f"2024-{after}T02:00:00+00:00"],
        }
        for day, after in (("28", "02-29"), ("29", "03-01"))
    ]
    window = {"earliest": "2024-02-28T00:00:00+00:00", "latest": "2024-02-29T23:00:00+00:00"}
    for cron in ("0 2 * * *", "00 02 */1 * *"):
        timetable = f'CronDataIntervalTimetable("{cron}", timezone="UTC")'
        folder = dags(a=f'dag = DAG("d", schedule={timetable})')
        assert (
            fork_server.call({"probe": "scheduled"}, folder=folder, **window)[0]["value"] == wanted
        )


def test_a_timetable_of_the_candidate_is_reported_by_its_class(fork_server, dags):
    folder = dags(
        a="""
        from airflow.timetables.interval import CronDataIntervalTimetable as Base

        class Mine(Base): ...

        dag = DAG("d", schedule=Mine("@daily", timezone="UTC"))
        """
    )
    (seen,) = fork_server.call({"probe": "timetables"}, folder=folder)
    assert seen["value"] == [{"type": "Mine"}]


BROKEN = {
    "raises": ('raise LookupError("at import")', "LookupError", "at import"),
    "unwritten": ('raise NotImplementedError("write me")', "NotImplementedError", "write me"),
    "exits": ("import sys; sys.exit(3)", "SystemExit", "3"),
    "syntax": ("def broken(:", "SyntaxError", "invalid syntax"),
    "old": ('DAG("d", schedule_interval="@daily")', "TypeError", "schedule_interval"),
    "name": ("import nothing_of_that_name", "ModuleNotFoundError", "nothing_of_that_name"),
}


@pytest.mark.parametrize(("text", "kind", "message"), BROKEN.values(), ids=BROKEN)
def test_what_a_file_raises_is_raised_with_its_line(fork_server, dags, text, kind, message):
    folder = dags(a=text)
    strict, tolerant = fork_server.call(
        {"probe": "parse"}, {"probe": "parse", "inputs": {"tolerant": True}}, folder=folder
    )
    assert strict["raised"] == kind
    assert message in strict["message"]
    assert strict["frames"] == ([] if kind == "SyntaxError" else [["a.py", 2, "<module>"]])
    assert tolerant["value"] == []
    assert strict["output"] == tolerant["output"] == ""


def test_duplicate_ids_and_cycles_are_errors_with_the_candidates_paths(fork_server, dags):
    one = 'dag = DAG("d", schedule=None)'
    (seen,) = fork_server.call({"probe": "parse"}, folder=dags(one=one, two=one))
    assert seen["raised"] == "ImportError"
    assert "dags/two.py" in seen["message"]
    assert "/tmp" not in seen["message"]
    more = "\nwith DAG('d') as other:\n    task(lambda: None, task_id='one')()"
    (seen,) = fork_server.call({"probe": "parse"}, folder=dags(one=one + more))
    assert "two DAGs have the id d" in seen["message"]
    cycle = """
        with DAG("d", schedule=None) as dag:
            a, b = (task(lambda: None).override(task_id=name)() for name in "ab")
            a >> b >> a
    """
    (seen,) = fork_server.call({"probe": "parse"}, folder=dags(a=cycle))
    assert "Cycle" in seen["message"]


def test_each_load_imports_helper_modules_again(fork_server, dags, tmp_path):
    """Otherwise a DAG that a helper creates and the file extends would grow with each load."""
    made = "with DAG('d', schedule=None) as dag:\n    task(lambda: None, task_id='one')()\n"
    (tmp_path / "helper.py").write_text(START + made)
    path = f"import sys\nsys.path.append({str(tmp_path)!r})\n"
    more = "from helper import dag\nwith dag:\n    task(lambda: None, task_id='two')()\n"
    (seen,) = fork_server.call({"probe": "parse"}, folder=dags(one=path + more), times=3)
    counts = [len(facts["tasks"]) for ((facts, _),) in seen["value"]]
    assert counts == [2, 2, 2]


def test_a_dag_with_too_many_tasks_is_refused(fork_server, dags):
    """Its structure would not fit into one frame."""
    many = """
        with DAG("d", schedule=None) as dag:
            for number in range(1001):
                task(lambda: None).override(task_id=f"t{number}")()
    """
    (seen,) = fork_server.call({"probe": "parse"}, folder=dags(many=many))
    assert "1,001 tasks; at most 1,000 are allowed" in seen["message"]


# -- running ----------------------------------------------------------------------------------


def test_retries_are_not_delayed(fork_server, dags):
    """Neither by a delay, nor by a backoff of at least a second, nor by a retry policy."""
    folder = dags(
        a="""
        from datetime import timedelta
        from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule

        HOUR = timedelta(hours=1)
        ALWAYS = RetryRule(exception=Exception, action=RetryAction.RETRY, retry_delay=HOUR)

        def twice(ti):
            if ti.try_number < 3:
                raise ValueError(ti.try_number)

        with DAG("d", schedule=None) as dag:

            @task(retries=2, retry_delay=HOUR, retry_exponential_backoff=2.0)
            def plain(ti=None):
                twice(ti)

            @task(retries=2, retry_delay=HOUR, retry_exponential_backoff=2.0)
            def mapped(x, ti=None):
                twice(ti)

            @task(retries=2, retry_policy=ExceptionRetryPolicy(rules=[ALWAYS]))
            def by_policy(ti=None):
                twice(ti)

            plain(), mapped.expand(x=[1, 2]), by_policy()
        """
    )
    (run,) = run_dag(fork_server, folder)
    assert run["state"] == "success"
    assert {ti["tries"] for ti in run["tasks"]} == {3}
    assert len(run["failures"]) == 8


def test_a_failure_names_task_attempt_file_and_line(fork_server, dags):
    folder = dags(
        a="""
        import sys
        from helpers import check

        with DAG("d", schedule=None) as dag:

            @task(retries=1)
            def mapped(x):
                if x == 2:
                    check(x)

            @task
            def exits():
                sys.exit("bye")

            mapped.expand(x=[1, 2]), exits()
        """,
        helpers="""
        def check(x):
            raise ValueError(f"not {x}")
        """,
    )
    (run,) = run_dag(fork_server, folder)
    frames = [["dags/a.py", 11, "mapped"], ["dags/helpers.py", 4, "check"]]
    assert sorted(failed(run), key=str) == [
        ("exits", -1, 1, None, "SystemExit", "bye", [["dags/a.py", 15, "exits"]]),
        ("mapped", 1, 1, None, "ValueError", "not 2", frames),
        ("mapped", 1, 2, None, "ValueError", "not 2", frames),
    ]
    assert instances(run, "mapped") == [(0, "success", 1, None), (1, "failed", 2, None)]
    assert run["state"] == "failed"
    assert run["output"] == ""


def test_what_airflow_itself_raises_for_a_task_is_a_failure(fork_server, dags):
    folder = dags(
        a="""
        with DAG("d", schedule=None) as dag:

            @task
            def odd():
                return object()

            @task(map_index_template="{{ nothing.at.all }}")
            def label(x): ...

            @task
            def number():
                return 3

            @task
            def over(x): ...

            odd(), label.expand(x=[1]), over.expand(x=number())
        """
    )
    (run,) = run_dag(fork_server, folder)
    failures = {task: (kind, message) for task, _, _, _, kind, message, _ in failed(run)}
    assert set(failures) == {"odd", "label", "number"}
    assert "serializ" in failures["odd"][1]
    assert failures["label"][0] == "UndefinedError"
    assert failures["number"][0] == "UnmappableXComTypePushed"


def test_callbacks_run_and_what_they_raise_is_a_failure(fork_server, dags):
    folder = dags(
        a="""
        def boom(context):
            raise LookupError("no alert")

        def tell(context):
            print("called in state", context["dag_run"].state if "dag_run" in context else "?")

        with DAG("d", schedule=None, on_failure_callback=[tell, boom]) as dag:

            @task(retries=1, on_retry_callback=boom, on_failure_callback=[boom, boom])
            def fails():
                raise ValueError("it fails")

            fails()
        """
    )
    (run,) = run_dag(fork_server, folder)
    kinds = [(task, attempt, callback) for task, _, attempt, callback, *_ in failed(run)]
    assert kinds == [
        ("fails", 1, None),
        ("fails", 1, "on_retry_callback"),
        ("fails", 2, None),
        ("fails", 2, "on_failure_callback"),
        ("fails", 2, "on_failure_callback"),
        (None, 0, "on_failure_callback"),
    ]
    assert failed(run)[-1][4:] == ("LookupError", "no alert", [["dags/a.py", 4, "boom"]])
    assert run["output"].startswith("called in state")


def test_a_dag_level_callback_of_a_run_that_succeeds(fork_server, dags):
    folder = dags(
        a="""
        with DAG("d", schedule=None, on_success_callback=lambda context: print("all is well")):
            task(lambda: None).override(task_id="x")()
        """
    )
    (run,) = run_dag(fork_server, folder)
    assert (run["state"], run["output"], run["failures"]) == ("success", "all is well\n", [])


def test_only_what_the_candidate_prints_and_logs_is_output(fork_server, dags):
    folder = dags(
        a="""
        import logging, sys, warnings

        warnings.warn("while parsing")

        with DAG("d", schedule=None, default_args={"sla": 1}) as dag:

            @task
            def speaks():
                print("printed")
                print("as an error", file=sys.stderr, flush=True)
                logging.getLogger(__name__).info("logged %d", 1)
                logging.getLogger("airflow.task").warning("logged 2")
                logging.debug("not this")
                return [1, 2]

            @task
            def each(x):
                return x

            @task
            def total(xs):
                return sum(xs)

            @task(trigger_rule="all_done")
            def fails(xs):
                raise ValueError(list(xs))

            fails(total(each.expand(x=speaks())))
        """
    )
    (run,) = run_dag(fork_server, folder)
    lines = ["INFO logged 1", "WARNING logged 2", "as an error", "printed"]
    assert sorted(run["output"].splitlines()) == lines


def test_code_that_is_not_written_stops_the_run_at_once(fork_server, dags):
    text = """
        with DAG("d", schedule=None, default_args={"retries": 3}) as dag:

            @task
            def first():
                print("once")
                raise NotImplementedError("write me")

            first()
    """
    (seen,) = fork_server.call({"probe": "run"}, folder=dags(a=text), runs=[RUN])
    assert (seen["raised"], seen["message"]) == ("NotImplementedError", "write me")
    assert seen["frames"] == [["a.py", 8, "first"]]
    assert seen["output"] == "once\n"


def test_an_abstract_method_of_a_library_is_an_ordinary_failure(fork_server, dags):
    text = """
        from airflow.sdk import BaseOperator

        class Mine(BaseOperator): ...

        with DAG("d", schedule=None) as dag:
            Mine(task_id="mine")
    """
    (run,) = run_dag(fork_server, dags(a=text))
    assert [kind for *_, kind, _, _ in failed(run)] == ["NotImplementedError"]


INTERVAL = """
    with DAG("d", schedule=CronDataIntervalTimetable("0 2 * * *", timezone="UTC")) as dag:

        @task
        def dates(data_interval_start=None, data_interval_end=None, run_id=None, dag_run=None):
            ends = (data_interval_start, data_interval_end)
            print(*(f"{date:%m-%d}" for date in ends), run_id[-25:-15], dag_run.conf)
            print(Variable.get("x", default="none"))

        dates()
"""


def test_a_run_has_its_own_interval_variables_and_conf(fork_server, dags):
    """The default interval ends at the logical date."""
    dates = ["2025-03-01T02:00:00+00:00", "2025-03-02T02:00:00+00:00"]
    given = RUN | {"interval": dates, "variables": {"X": "[1]"}, "conf": {"k": 1}}
    runs = run_dag(fork_server, dags(a=INTERVAL), given, RUN)
    assert [run["interval"] for run in runs] == [dates, ["2025-02-28T02:00:00+00:00", dates[0]]]
    assert runs[0]["output"].splitlines() == [
        "03-01 03-02 2025-03-02 {'k': 1}", "[1]", "02-28 03-01 2025-03-02 {}", "none",
    ]  # fmt: skip


def test_a_second_run_of_an_interval_starts_without_xcoms(fork_server, dags):
    text = """
        with DAG("d", schedule=None) as dag:

            @task
            def pushes(ti=None):
                before = ti.xcom_pull(task_ids="pushes", key="rows")
                ti.xcom_push("rows", "x" * 1000)
                return str(before)

            pushes()
    """
    runs = run_dag(fork_server, dags(a=text), RUN, RUN)
    for run in runs:
        assert sizes(run) == {("pushes", -1, "return_value"): 6, ("pushes", -1, "rows"): 1002}


def test_a_deadline_is_reported_and_does_not_stop_the_run(fork_server, dags):
    text = """
        from datetime import timedelta
        from airflow.sdk import AsyncCallback, DeadlineAlert, DeadlineReference

        async def late(**kwargs): ...

        alert = DeadlineAlert(
            reference=DeadlineReference.DAGRUN_QUEUED_AT,
            interval=timedelta(hours=1),
            callback=AsyncCallback(late),
        )
        with DAG("d", schedule=None, deadline=alert) as dag:
            task(lambda: None).override(task_id="x")()
    """
    folder = dags(a=text)
    ((facts, _),) = fork_server.call({"probe": "parse"}, folder=folder)[0]["value"]
    assert facts["has_deadline"]
    assert run_dag(fork_server, folder)[0]["state"] == "success"


def test_a_stuck_run_is_stopped_early(fork_server, dags):
    text = """
        with DAG("d", schedule=None, default_args={"depends_on_past": True}) as dag:

            @task
            def first(logical_date=None):
                if logical_date.day == 1:
                    raise ValueError("the first time")

            @task
            def after(): ...

            first() >> after()
    """
    later = {name: date.replace("2025-03", "2025-04") for name, date in RUN.items()}
    failed_run, stuck = run_dag(fork_server, dags(a=text), RUN, later)
    assert failed_run["state"] == "failed"
    assert (stuck["state"], instances(stuck, "first")) == ("running", [(-1, None, 0, None)])


def test_a_run_that_only_skips_is_not_stuck(fork_server, dags):
    text = """
        with DAG("d", schedule=None) as dag:

            @task
            def nobody():
                return []

            @task
            def step(x): ...

            @task_group
            def each(x):
                step(step(step(step(step(x)))))

            @task(trigger_rule="all_done")
            def end(): ...

            each.expand(x=nobody()) >> end()
    """
    (run,) = run_dag(fork_server, dags(a=text))
    assert run["state"] == "success"
    assert instances(run, "each.step__4") == [(-1, "skipped", 0, None)]


def test_a_sensor_that_waits_is_not_stuck(fork_server, dags):
    text = """
        from airflow.sdk import PokeReturnValue

        with DAG("d", schedule=None) as dag:

            @task.sensor(mode="reschedule", poke_interval=1, timeout=60)
            def there(ti=None):
                import os

                seen = os.path.exists("seen")
                open("seen", "a").close()
                return PokeReturnValue(is_done=seen, xcom_value="seen")

            there()
    """
    (run,) = run_dag(fork_server, dags(a=text))
    assert (run["state"], run["failures"]) == ("success", [])


def test_frames_in_subfolders_are_found(fork_server, dags):
    folder = Path(dags())
    (folder / "deep").mkdir()
    text = "with DAG('d') as dag:\n    task(lambda: 1 / 0).override(task_id='x')()\n"
    (folder / "deep" / "a.py").write_text(START + text)
    (run,) = run_dag(fork_server, str(folder))
    assert failed(run)[0][4:] == (
        "ZeroDivisionError", "division by zero", [["dags/deep/a.py", 3, "<lambda>"]],
    )  # fmt: skip


# -- through the boundary ---------------------------------------------------------------------

PROBES = """
import sys

from archprep.worker import airflow


def run(**options):
    airflow.create_home()
    (dag,) = airflow.load(sys.path[-1] + "/dags").values()
    return airflow.run(dag, **options)
"""


def test_it_runs_within_the_strongest_isolation_of_this_machine(fork_server, dags, monkeypatch):
    """With limits, the system call filter, and process ids that /proc does not show."""
    fork_server.call({"probe": "state"}, names=[])  # builds the database
    monkeypatch.setenv("ARCHPREP_HOME", str(fork_server.home))
    submission = Submission(Path(dags(a=TENANTS)).parent, "", ())
    files = {"ARCHPREP_AIRFLOW_TEMPLATE": airflow_home.template(lambda _: None)}
    stack = Stack(airflow_home.environment, files, "archprep.worker.airflow", airflow_home.PRELOAD)
    submission.root.chmod(0o755)
    inputs = RUN | {"variables": {"tenants": '["a1", "b"]'}}
    limits = Limits(seconds=100, memory_mb=768, processes=64)
    tested = selftest.inspect(None)
    boot = BootConfig(PROBES, (), stack=stack)
    with Sandbox(tested.profile, boot, submission, tested.seccomp) as sandbox:
        seen = sandbox.run(Scenario("run", inputs, {}, limits, warmed=True))
    assert seen.value["state"] == "success"
    assert [label for *_, label in instances(seen.value, "each.extract")] == ["a1", "b"]
    assert sorted(seen.output.splitlines()) == ["loaded a1", "loaded b"]
