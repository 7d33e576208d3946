"""Checks that the packages an exercise needs are installed, and names the command if not."""

from __future__ import annotations

import importlib.util
import shlex
from typing import TYPE_CHECKING

from archprep.core.errors import UsageError

if TYPE_CHECKING:
    from archprep.core.model import Exercise


def require(exercise: Exercise) -> None:
    """Raise UsageError if packages that the exercise needs are missing or do not fit together."""
    modules = dict.fromkeys(name.partition(".")[0] for name in exercise.preload)
    if missing := [name for name in modules if importlib.util.find_spec(name) is None]:
        raise UsageError(
            f"{exercise.id} needs packages that are not installed here ({', '.join(missing)}).",
            tip=f"Install them: {shlex.join(['pip', 'install', *exercise.packages])}",
        )
    if exercise.stack == "airflow" or (exercise.run and exercise.run.dag):
        from archprep.sandbox.services import airflow_installation

        for what, command in airflow_installation.problems():
            raise UsageError(f"{what}.", tip=f"To fix: {command}")
