"""A pytest plugin that plays an exercise's graders in one process, without a sandbox.

The baseline of `speed.py`: the same scenarios, cases and seeds as `archprep check`, the
candidate's modules imported beside the graders. Fast, and forgeable: the price of the
boundary is what the ratio shows. `PLAIN_SUBMISSION` is the folder of the code to grade.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from archprep.grading import Fake

if TYPE_CHECKING:
    import pytest

SEED = int(os.environ.get("PLAIN_SEED", "1"))


class InProcess:
    """Stands for `judge.Candidate`: calls the probe directly."""

    def __init__(self, probes: ModuleType) -> None:
        self._probes = probes

    def observe(self, probe: str, /, *, returns: Any = None, **inputs: Any) -> Any:
        """Call the probe with the judge's objects themselves; data comes back as JSON would."""
        import msgspec

        for limit_or_word in ("seconds", "given"):  # of use to a sandbox only
            inputs.pop(limit_or_word, None)
        fakes = {k: v.target for k, v in inputs.items() if isinstance(v, Fake)}
        plain = _copied({k: v for k, v in inputs.items() if k not in fakes})
        value = _copied(getattr(self._probes, probe)(**plain, **fakes))
        return value if returns is None else msgspec.convert(value, returns, strict=True)


def _copied(value: Any) -> Any:
    """Return what would arrive on the other side of a boundary."""
    return json.loads(json.dumps(value))


def pytest_configure(config: pytest.Config) -> None:
    """Set what the fixtures of `archprep.grading` hand out."""
    config.archprep_seed = SEED  # type: ignore[attr-defined]
    config.archprep_candidate = InProcess(_probes(Path(config.args[0])))  # type: ignore[attr-defined]


def _probes(graders: Path) -> ModuleType:
    sys.path.append(os.environ["PLAIN_SUBMISSION"])
    spec = importlib.util.spec_from_file_location("probes", graders / "probes.py")
    assert spec is not None
    assert spec.loader is not None
    probes = importlib.util.module_from_spec(spec)
    sys.modules["probes"] = probes
    spec.loader.exec_module(probes)
    return probes
