"""Attempts each breach of a sandbox and decides, from the judge's side, whether it was blocked."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archprep.core.errors import CandidateError, ContentError
from archprep.core.model import Limits, Submission
from archprep.sandbox import isolation, processes
from archprep.sandbox.fork_server import BootConfig
from archprep.sandbox.sandbox import Sandbox
from archprep.sandbox.scenario import Scenario
from archprep.sandbox.watchdog import MAX_SOCKETS

BLOCKED, NOT_BLOCKED = "blocked", "NOT blocked"
CANARY = "ARCHPREP_CANARY"
LIMITS = Limits(seconds=10, memory_mb=512, processes=32, files_mb=16)
PROBES = Path(__file__).with_name("selftest_probes.py")

_SHORT_FOLDER = "/tmp"  # noqa: S108 - a socket's path has at most 107 bytes; TMPDIR may be longer


@dataclass(frozen=True, slots=True)
class TestedProfile:
    """A profile, its system call filter and the results of the self-test, by attempt."""

    profile: isolation.Profile
    version: str
    seccomp: bytes
    results: dict[str, str]
    fallback_reason: str = ""  # why no stronger profile is in force

    @property
    def holds(self) -> bool:
        """Whether every attempt was blocked."""
        return all(result == BLOCKED for result in self.results.values())


def attempt_all(profile: isolation.Profile) -> TestedProfile:
    """Attempt every breach under a profile."""
    from archprep.sandbox import seccomp

    version = _version(profile.tool)
    try:
        program = seccomp.program()
    except (ImportError, OSError, RuntimeError, AttributeError) as e:
        # Without the filter it is not level A, even if everything else holds.
        why = f"{NOT_BLOCKED}: needs libseccomp and pyseccomp ({e})"
        return TestedProfile(profile, version, b"", {"system_call_filter": why})
    with tempfile.TemporaryDirectory(prefix="archprep-selftest-") as folder:
        results = _run_attempts(profile, program, Path(folder))
    return TestedProfile(profile, version, program, results)


def _run_attempts(profile: isolation.Profile, program: bytes, folder: Path) -> dict[str, str]:
    submission = folder / "submission"
    submission.mkdir(mode=0o755)
    boot = BootConfig(PROBES.read_text(), (), (), isolation.secret_folders())
    os.environ[CANARY] = secret = secrets.token_hex(8)
    try:
        with Sandbox(profile, boot, Submission(submission, "", ()), program) as running:
            target = Target(running, folder, secret)
            return {
                name: BLOCKED if attempt(target) else NOT_BLOCKED
                for name, attempt in ATTEMPTS.items()
            }
    except ContentError as e:
        return {"start": f"{NOT_BLOCKED}: {e.message.rstrip('.')}"}
    finally:
        del os.environ[CANARY]


def _version(tool: str) -> str:
    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(  # noqa: S603 - the tool that is about to be used
            [tool, "--version"], capture_output=True, text=True, timeout=5, check=False
        )
        return done.stdout.strip() or tool
    return tool


@dataclass(frozen=True, slots=True)
class Target:
    """What the attempts attack: a sandbox, one of the judge's folders, and a secret."""

    sandbox: Sandbox
    folder: Path
    secret: str

    def run(self, probe: str, **inputs: Any) -> Any:
        """Run a probe; None if it did not finish."""
        try:
            return self.sandbox.run(Scenario(probe, inputs, {}, LIMITS)).value
        except CandidateError:
            return None


# -- the attempts: each returns whether it was blocked ----------------------------------------


def _read_judge_files(target: Target) -> bool:
    canary = target.folder / "canary"
    canary.write_text(target.secret)
    return bool(target.run("read", paths=[str(canary)]) == {})


def _list_graders(target: Target) -> bool:
    found = target.run("read", paths=[str(p) for p in isolation.secret_folders()])
    return found is not None and not any(found.values())


def _read_environment(target: Target) -> bool:
    found = target.run("environments")
    return found is not None and not any(CANARY in t or target.secret in t for t in found)


def _change_kernel_settings(target: Target) -> bool:
    return target.run("open_for_writing", path="/proc/sys/kernel/core_pattern") is False


def _write_outside(target: Target) -> bool:
    name = f"archprep-{target.secret}"
    folders = ["/", "/usr", "/dev", "/submission", "/runtime", "/proc", str(Path.home())]
    folders += [*isolation.library_paths(), "/runtime/lib0", str(target.folder)]
    created = target.run("create", folders=folders, name=name)
    return created == [] and not any((Path(folder) / name).exists() for folder in folders)


def _connect(target: Target) -> bool:
    with (
        tempfile.TemporaryDirectory(prefix="archprep-", dir=_SHORT_FOLDER) as folder,
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_UNIX) as unix,
    ):
        path = f"{folder}/socket"
        unix.bind(path)
        unix.listen()
        tried = target.run("connect", port=tcp.getsockname()[1], path=path)
        return tried is True and not any(_has_connection(s) for s in (tcp, unix))


def _has_connection(listener: socket.socket) -> bool:
    listener.setblocking(False)
    try:
        listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def _create_user_namespace(target: Target) -> bool:
    return target.run("new_user_namespace") is False


def _exceed_processes(target: Target) -> bool:
    started = target.run("processes", most=4 * LIMITS.processes)
    return started is not None and started <= LIMITS.processes


def _exceed_memory(target: Target) -> bool:
    allocated = target.run("memory", megabytes=2 * LIMITS.memory_mb)
    return allocated is False and target.run("hidden_memory") == []


def _exceed_sockets(target: Target) -> bool:
    few, many = target.run("backlog", most=2), target.run("backlog", most=2 * MAX_SOCKETS)
    return few == 2 and (many is None or many < MAX_SOCKETS)


def _exceed_disk(target: Target) -> bool:
    written = target.run("disk", megabytes=4 * LIMITS.files_mb)
    return written is not None and written <= LIMITS.files_mb


def _exceed_file_count(target: Target) -> bool:
    created = target.run("empty_files", most=12_000)
    return created is not None and created <= 10_000


def _outlive_scenario(target: Target) -> bool:
    name = f"o{target.secret[:8]}"
    left = target.run("outlive", name=name)
    return left is True and name not in _process_names(target.sandbox.pid)


def _kill_judge(target: Target) -> bool:
    before = target.sandbox.pid
    held = target.run("kill_all") is True and target.run("write_memory") == []
    lives = target.run("memory", megabytes=1) is True and target.sandbox.pid == before
    return held and lives


def _process_names(pid: int | None) -> set[str]:
    """The names of the processes that run below `pid`."""
    found = set()
    for process in processes.living(processes.below(pid)):
        with suppress(OSError):
            found.add(Path(f"/proc/{process}/comm").read_text().strip())
    return found


# docs/result-format.md explains each name.
ATTEMPTS: dict[str, Callable[[Target], bool]] = {
    "read_judge_files": _read_judge_files,
    "list_graders": _list_graders,
    "read_environment": _read_environment,
    "kernel_settings": _change_kernel_settings,
    "write_outside": _write_outside,
    "network": _connect,
    "user_namespace": _create_user_namespace,
    "process_limit": _exceed_processes,
    "memory_limit": _exceed_memory,
    "socket_limit": _exceed_sockets,
    "disk_limit": _exceed_disk,
    "file_count_limit": _exceed_file_count,
    "outlive_scenario": _outlive_scenario,
    "kill_judge": _kill_judge,
}
