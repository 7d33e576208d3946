"""A pytest plugin that plays an exercise's graders in one process, without a sandbox.

The baseline of `speed.py`: the same scenarios, cases and seeds as `archprep check`, the
candidate's modules imported beside the graders. Fast, and forgeable: the price of the
boundary is what the ratio shows. `PLAIN_SUBMISSION` is the folder of the code to grade,
`PLAIN_SCRATCH` one to write to.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import queue
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from archprep.grading import HeldReply, Refuse
from archprep.grading.http_client import HttpClient
from archprep.sandbox import isolation
from archprep.sandbox.fakes import ArgumentsError, Fake, Method
from archprep.sandbox.sockets import Endpoint, listeners
from archprep.worker import scenario
from archprep.worker.stubs import FakeError

if TYPE_CHECKING:
    from collections.abc import Iterator

SEED = int(os.environ.get("PLAIN_SEED", "1"))
_NOT_FOR_PROBES = ("seconds", "given", "warmed")


class InProcess:
    """Stands for `judge.Candidate`: calls the probe directly."""

    def __init__(self, probes: ModuleType) -> None:
        self._probes = probes

    @property
    def profile(self) -> isolation.Profile:
        """None but a plain process."""
        return isolation.plain()

    def observe(self, probe: str, /, *, returns: Any = None, **inputs: Any) -> Any:
        """Call the probe with the judge's objects themselves; data comes back as JSON would."""
        import msgspec

        os.chdir(tempfile.mkdtemp(dir=os.environ["PLAIN_SCRATCH"]))
        value = _copied(getattr(self._probes, probe)(**_given(inputs)))
        return value if returns is None else msgspec.convert(value, returns, strict=True)

    @contextmanager
    def serve(self, probe: str, /, *, apps: int = 1, **inputs: Any) -> Iterator[HttpClient]:
        """Serve the apps from a thread of this process, as a test's fixture would."""
        with listeners(apps) as sockets:
            paths = [Path(listener.getsockname()) for listener in sockets]
            served = functools.partial(getattr(self._probes, probe), listeners=sockets)
            threading.Thread(target=served, kwargs=_given(inputs), daemon=True).start()
            yield HttpClient(paths, Endless())
            for child in psutil.Process().children():  # one for each app but the first
                with suppress(psutil.Error):
                    child.kill() if child.name() == psutil.Process().name() else None


class Endless:
    """A scenario that never ends by itself, on the wall clock."""

    def elapsed(self) -> float:
        """Return the seconds on the clock."""
        return time.monotonic()

    def failure(self, seconds: float) -> None:
        """Wait as the judge does."""
        time.sleep(seconds)


class Direct:
    """A fake without a boundary; a held reply is waited for."""

    def __init__(self, fake: Fake) -> None:
        self._fake = fake

    def __getattr__(self, name: str) -> Any:
        return functools.partial(self._call, self._fake.methods[name])

    def _call(self, method: Method, *args: Any, **kwargs: Any) -> Any:
        try:
            value = method.call(self._fake.target, _copied(args), _copied(kwargs))
        except (ArgumentsError, Refuse) as e:
            raise FakeError(str(e)) from None
        if not isinstance(value, HeldReply):
            return value
        released: queue.Queue[Any] = queue.Queue()
        value.send_with(released.put)
        return released.get()


def _given(inputs: dict[str, Any]) -> dict[str, Any]:
    """Return what the probe gets: the judge's objects themselves, and copies of data."""
    given = {k: v for k, v in inputs.items() if k not in _NOT_FOR_PROBES}
    return {k: _passed(v) for k, v in given.items()}


def _passed(value: Any) -> Any:
    if isinstance(value, Fake):
        return Direct(value)
    return str(value.path) if isinstance(value, Endpoint) else _copied(value)


def _copied(value: Any) -> Any:
    """Return what would arrive on the other side of a boundary."""
    return json.loads(json.dumps(value))


def pytest_configure(config: pytest.Config) -> None:
    """Set what the fixtures of `archprep.grading` hand out."""
    config.archprep_seed = SEED  # type: ignore[attr-defined]
    config.archprep_candidate = InProcess(_probes(Path(config.args[0])))  # type: ignore[attr-defined]
    config.archprep_started = {}  # type: ignore[attr-defined]


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(exitstatus: int) -> None:
    """Leave at once: threads still wait for replies that were held back on purpose."""
    sys.stdout.flush()
    os._exit(exitstatus)


def _probes(graders: Path) -> ModuleType:
    scenario.root = os.environ["PLAIN_SUBMISSION"]
    sys.path += [scenario.root, str(graders)]  # probes may be split into several modules
    spec = importlib.util.spec_from_file_location("probes", graders / "probes.py")
    assert spec is not None
    assert spec.loader is not None
    probes = importlib.util.module_from_spec(spec)
    sys.modules["probes"] = probes
    spec.loader.exec_module(probes)
    return probes
