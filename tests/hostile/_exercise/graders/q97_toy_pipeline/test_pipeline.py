"""Four criteria in three tasks, each with one scenario; the tasks are independent."""

import os
from dataclasses import dataclass
from typing import Any

from archprep.grading import Refuse, assert_same, criterion, exposed, fake, scenario

CANARY = os.environ.get("ARCHPREP_TEST_CANARY", "canary-in-the-judge")


@dataclass
class Dag:
    """The structure of the parsed DAG."""

    timetable: dict[str, Any]
    tags: list[str]
    tasks: list[dict[str, Any]]


class Vault:
    """A fake with secret numbers, which records the calls it receives."""

    def __init__(self, rng, fails=0):
        self.secret = [rng.randrange(10**9) for _ in range(4)]
        self.asked = []
        self.given = []
        self._fails = fails
        self._master = CANARY

    @exposed
    def numbers(self):
        self.asked.append("vault")
        if len(self.asked) <= self._fails:
            raise Refuse("not this time")
        return self.secret

    @exposed
    def put(self, values: list[int]):
        self.given.append(values)

    @exposed
    def notice(self, what: str):
        self.asked.append(what)


@scenario
def parsed(candidate, rng):
    vault = Vault(rng)
    return candidate.observe("parse", vault=fake(vault), returns=Dag), vault.asked


@scenario
def played(candidate, rng):
    vault = Vault(rng)
    return vault, candidate.observe("play", vault=fake(vault), warmed=True, returns=list[str])


@scenario
def retried(candidate, rng):
    vault = Vault(rng, fails=2)
    return vault, candidate.observe("play", vault=fake(vault), warmed=True, returns=list[str])


@criterion("The DAG is daily and has two tasks", task=1, points=20, hint="parse")
def test_shape(parsed):
    dag, _ = parsed
    tasks = {task["task_id"]: task["upstream"] for task in dag.tasks}
    assert_same(tasks, {"numbers": [], "double": ["numbers"]}, says="two tasks, one after another")
    assert_same(dag.timetable.get("expression"), "0 0 * * *", says="it is daily")
    assert_same(dag.tags, ["toy"], says="it has its tag")


@criterion("Parsing the file calls nothing", task=1, points=20, hint="parse")
def test_no_work_at_import(parsed):
    _, asked = parsed
    assert_same(sorted(set(asked)), [], says="nothing is called")


@criterion("Each number arrives twice as large", task=2, points=30, hint="double")
def test_doubles(played):
    vault, seen = played
    assert_same(seen, ["success"], says="the run succeeds, and nothing is raised")
    expected = [[2 * number for number in vault.secret]]
    assert_same(vault.given, expected, says="each number, twice as large")


@criterion("A call that fails is repeated", task=3, points=30, hint="retry")
def test_retries(retried):
    vault, _ = retried
    assert_same(vault.asked, ["vault"] * 3, says="the vault is called until it answers")
    assert_same(vault.given, [[2 * number for number in vault.secret]], says="the run continues")
