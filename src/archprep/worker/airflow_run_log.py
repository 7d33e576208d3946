"""Records what DAG files, tasks and callbacks raise, and silences Airflow's own log."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from . import exceptions
from .airflow_patches import replaced

MAX_FAILURES = 60
MAX_TEXT = 2000  # characters of each message: all failures must fit into one frame


class UnwrittenError(SystemExit):
    """Stops a run at once: code is not written yet, so retries are pointless.

    A SystemExit, because Airflow continues after any other exception.
    """

    def __init__(self, error: NotImplementedError) -> None:
        super().__init__()
        self.error = error


def log_only(submission: str) -> None:
    """Write what the candidate's files log to standard output, and silence everything else."""
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
    """Collect what DAG files raise, which Airflow only logs."""
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
    """Records what tasks and callbacks raise, once per attempt of a task."""

    def __init__(self, submission: str) -> None:
        self.records: list[dict[str, Any]] = []
        self._submission = submission

    @contextmanager
    def recorded(self, dag: Any) -> Iterator[None]:
        """Record the failures of `dag` for the duration of the block."""
        from airflow.sdk.execution_time import supervisor, task_runner

        wrappers = {
            (supervisor, "run_task_in_process"): self._wrap_run_in_process,
            (task_runner, "run"): self._wrap_run,
            (task_runner, "_run_task_state_change_callbacks"): self._wrap_task_callbacks,
            (dag, "on_success_callback"): self._wrap_dag_callbacks,
            (dag, "on_failure_callback"): self._wrap_dag_callbacks,
        }
        with ExitStack() as stack:
            for (owner, name), wrap in wrappers.items():
                if original := getattr(owner, name):
                    stack.enter_context(replaced(owner, name, wrap(original, name)))
            yield

    def _wrap_run_in_process(self, run_task: Callable[..., Any], _: str) -> Callable[..., Any]:
        def run_recorded(ti: Any, task: Any, **more: Any) -> Any:
            try:
                return run_task(ti=ti, task=task, **more)
            except Exception as e:  # before or after the task's own code
                self._record(e, ti)
                raise

        return run_recorded

    def _wrap_run(self, run_task: Callable[..., Any], _: str) -> Callable[..., Any]:
        def run_recorded(ti: Any, *args: Any) -> Any:
            state, message, error = run_task(ti, *args)
            if error is not None:
                self._record(error, ti)
                if _is_unwritten(error, self._submission):
                    raise UnwrittenError(error)
            return state, message, error

        return run_recorded

    def _wrap_task_callbacks(self, run_all: Callable[..., Any], _: str) -> Callable[..., Any]:
        def run_recorded(task: Any, kind: str, context: Any, log: Any) -> Any:
            def record(error: BaseException) -> None:
                self._record(error, context["ti"], kind)

            return run_all(task, kind, context, _RecordingLog(log, record))

        return run_recorded

    def _wrap_dag_callbacks(self, given: Any, kind: str) -> list[Callable[..., Any]]:
        def recorded(callback: Callable[..., Any]) -> Callable[..., Any]:
            def run_recorded(context: Any) -> None:
                try:
                    callback(context)
                except Exception as e:
                    self._record(e, None, kind)
                    raise

            return run_recorded

        return [recorded(callback) for callback in (given if isinstance(given, list) else [given])]

    def _record(self, error: BaseException, ti: Any, callback: str | None = None) -> None:
        if len(self.records) < MAX_FAILURES:
            where = {
                "task": ti.task_id if ti else None,
                "map_index": ti.map_index if ti else -1,
                "try": ti.try_number if ti else 0,
                "callback": callback,
            }
            described = exceptions.describe(error, self._submission)
            self.records.append(where | described | {"message": described["message"][:MAX_TEXT]})


class _RecordingLog:
    """A log that also records the exceptions it is given."""

    def __init__(self, log: Any, record: Callable[[BaseException], None]) -> None:
        self._log = log
        self._record = record

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    def exception(self, *args: Any, **more: Any) -> None:
        if (error := sys.exception()) is not None:
            self._record(error)
        self._log.exception(*args, **more)


def _is_unwritten(error: BaseException, submission: str) -> bool:
    """Whether the candidate's code raised it, and not a library's abstract method."""
    if not isinstance(error, NotImplementedError):
        return False
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return last is not None and last.tb_frame.f_code.co_filename.startswith(submission)
