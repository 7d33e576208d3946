import sys

import pytest

sys.modules["archprep_hostile_conftest_was_imported"] = sys


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    outcome.get_result().outcome = "passed"
