import sys
from types import ModuleType

from airflow.secrets.environment_variables import EnvironmentVariablesBackend

from archprep.worker import airflow, airflow_structure, scenario
from archprep.worker.stubs import FakeError

DATE = "2025-03-01T00:00:00+00:00"
CONNECTS = {"socket.connect": "network", "sqlite3.connect": "database"}

bound = []  # the judge's vault; empty while the file is first imported
read_variable = EnvironmentVariablesBackend.get_variable


def numbers():
    try:
        return bound[0].numbers() if bound else []
    except FakeError as e:
        raise ConnectionError(str(e)) from None


def put(values):
    if bound:
        bound[0].put(values)


def parse(vault):
    """Load the DAG again; the judge records what the file calls now."""

    def get_variable(self, key, *more, **named):
        vault.notice("variable")
        return read_variable(self, key, *more, **named)

    def notice(event, _):
        if event in CONNECTS and noticing:
            vault.notice(CONNECTS[event])

    noticing = bound[:] = [vault]
    EnvironmentVariablesBackend.get_variable = get_variable
    sys.addaudithook(notice)
    dag = loaded()
    noticing = []
    return airflow_structure.of_dag(dag)


def play(vault):
    bound[:] = [vault]
    airflow.create_home()
    run = airflow.run(loaded(), logical_date=DATE, run_after=DATE)
    return [run["state"], *(f"{one['type']}: {one['message']}" for one in run["failures"])]


def loaded():
    dags = airflow.load(f"{scenario.root}/dags")
    if "toy" not in dags:
        raise LookupError(f"the file makes no DAG of the id toy, but {sorted(dags) or 'none'}")
    return dags["toy"]


sys.modules["vault"] = module = ModuleType("vault")
module.numbers, module.put = numbers, put
