"""What is heard of an Airflow that is otherwise silent: what files, tasks and callbacks raise."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from . import exceptions as raised
from .airflow_patches import replaced

MOST_FAILURES = 60
MOST_TEXT = 2000  # characters of what each says: all of it goes into one frame


class UnwrittenError(SystemExit):
    """Ends a run at once: code is still to be written, and no retry will write it.

    A SystemExit, because Airflow goes on after anything less.
    """

    def __init__(self, error: NotImplementedError) -> None:
        super().__init__()
        self.error = error


def listen_to(submission: str) -> None:
    """Keep Airflow silent; what is logged from the candidate's files goes where prints go."""
    warnings.simplefilter("ignore")
    own = logging.StreamHandler(sys.stdout)
    own.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    own.addFilter(lambda record: record.pathname.startswith(submission))
    root, task = logging.getLogger(), logging.getLogger("airflow.task")
    root.handlers[:] = [own]
    task.handlers.clear()
    for logger in (root, task):
        logger.setLevel(logging.INFO)


@contextmanager
def import_errors() -> Iterator[list[BaseException]]:
    """Collect what DAG files raise: Airflow itself only logs it."""
    collector = _Collector(logging.ERROR)
    logger = logging.getLogger("airflow.dag_processing.importers.python_importer")
    logger.addHandler(collector)
    logger.setLevel(logging.ERROR)
    try:
        yield collector.errors
    finally:
        logger.removeHandler(collector)


class _Collector(logging.Handler):
    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.errors: list[BaseException] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1]:
            self.errors.append(record.exc_info[1])


class Failures:
    """Notes what tasks and callbacks raise, each attempt of a task for itself."""

    def __init__(self, submission: str) -> None:
        self.told: list[dict[str, Any]] = []
        self._submission = submission

    @contextmanager
    def of(self, dag: Any) -> Iterator[None]:
        """Note them while `dag` runs."""
        from airflow.sdk.execution_time import supervisor, task_runner

        around = {
            (supervisor, "run_task_in_process"): self._around_all,
            (task_runner, "run"): self._around_task,
            (task_runner, "_run_task_state_change_callbacks"): self._around_callbacks,
            (dag, "on_success_callback"): self._around_dag_callbacks,
            (dag, "on_failure_callback"): self._around_dag_callbacks,
        }
        with ExitStack() as stack:
            for (owner, name), wrap in around.items():
                if original := getattr(owner, name):
                    stack.enter_context(replaced(owner, name, wrap(original, name)))
            yield

    def _around_all(self, run_task: Callable[..., Any], _: str) -> Callable[..., Any]:
        def run_noted(ti: Any, task: Any, **more: Any) -> Any:
            try:
                return run_task(ti=ti, task=task, **more)
            except Exception as e:  # before or after the task's own code
                self._note(e, ti)
                raise

        return run_noted

    def _around_task(self, run_task: Callable[..., Any], _: str) -> Callable[..., Any]:
        def run_noted(ti: Any, *args: Any) -> Any:
            state, message, error = run_task(ti, *args)
            if error is not None:
                self._note(error, ti)
                if _is_unwritten(error, self._submission):
                    raise UnwrittenError(error)
            return state, message, error

        return run_noted

    def _around_callbacks(self, run_all: Callable[..., Any], _: str) -> Callable[..., Any]:
        def run_noted(task: Any, kind: str, context: Any, log: Any) -> Any:
            def note(error: BaseException) -> None:
                self._note(error, context["ti"], kind)

            return run_all(task, kind, context, _Listening(log, note))

        return run_noted

    def _around_dag_callbacks(self, given: Any, kind: str) -> list[Callable[..., Any]]:
        def noted(callback: Callable[..., Any]) -> Callable[..., Any]:
            def run_noted(context: Any) -> None:
                try:
                    callback(context)
                except Exception as e:
                    self._note(e, None, kind)
                    raise

            return run_noted

        return [noted(callback) for callback in (given if isinstance(given, list) else [given])]

    def _note(self, error: BaseException, ti: Any, callback: str | None = None) -> None:
        if len(self.told) < MOST_FAILURES:
            where = {
                "task": ti.task_id if ti else None,
                "map_index": ti.map_index if ti else -1,
                "try": ti.try_number if ti else 0,
                "callback": callback,
            }
            said = raised.describe(error, self._submission)
            self.told.append(where | said | {"message": said["message"][:MOST_TEXT]})


class _Listening:
    """A log that also tells of the exception it is given."""

    def __init__(self, log: Any, note: Callable[[BaseException], None]) -> None:
        self._log = log
        self._note = note

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    def exception(self, *args: Any, **more: Any) -> None:
        if (error := sys.exception()) is not None:
            self._note(error)
        self._log.exception(*args, **more)


def _is_unwritten(error: BaseException, submission: str) -> bool:
    """Whether the candidate's own line raised it: a library's abstract method may, too."""
    if not isinstance(error, NotImplementedError):
        return False
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return last is not None and last.tb_frame.f_code.co_filename.startswith(submission)
