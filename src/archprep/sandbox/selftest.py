"""Attempts each breach inside the very profile that is about to be used, and says what held.

The result stands in every scorecard. For `check` it is remembered per profile, kernel and
boot; grading other people's code repeats it each time.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archprep.content import catalog
from archprep.core.errors import CandidateError, ContentError, UsageError
from archprep.core.files import PACKAGE
from archprep.core.model import Exercise, Isolation, Limits, Submission
from archprep.sandbox import isolation, processes
from archprep.sandbox.fork_server import BootConfig
from archprep.sandbox.sandbox import Sandbox
from archprep.sandbox.scenario import Scenario
from archprep.workspace import store

BLOCKED, NOT_BLOCKED, NOT_TESTED = "blocked", "NOT blocked", "not tested"
CANARY = "ARCHPREP_CANARY"
LIMITS = Limits(seconds=10, memory_mb=512, processes=32, files_mb=16)

_SHORT = "/tmp"  # noqa: S108 (a socket's name has at most 107 bytes, TMPDIR may have more)
_PROBES = Path(__file__).with_name("selftest_probes.py")
# The modules on which the result depends.


@dataclass(frozen=True, slots=True)
class Tested:
    """A profile, its seccomp filter and what the self-test found."""

    profile: isolation.Profile
    version: str
    seccomp: bytes
    results: dict[str, str]
    instead: str = ""  # why a stronger profile is not in force

    @property
    def holds(self) -> bool:
        """Whether every breach was blocked."""
        return all(result == BLOCKED for result in self.results.values())


@contextmanager
def sandbox(
    exercise: Exercise,
    submission: Submission,
    level: str | None,
    boot: BootConfig,
    stage: Path | None,
) -> Iterator[tuple[Sandbox, Isolation]]:
    """Give a sandbox for a submission under a tested profile, and the isolation in force."""
    tested = inspect(level)
    side_by_side = exercise.side_by_side
    with Sandbox(tested.profile, boot, submission, tested.seccomp, stage, side_by_side) as running:
        yield running, describe(tested, exercise.limits)


def inspect(level: str | None, *, fresh: bool = False) -> Tested:
    """Find a profile that holds; without a wanted level, fall back to D.

    UsageError when level A was asked for and does not hold here.
    """
    profiles = isolation.contained(level)
    known = [] if fresh else [kept for p in profiles if (kept := _recall(p))]
    if known:
        return known[0]
    failed = []
    for profile in profiles:
        tested = _test(profile)
        if tested.holds:
            return tested
        failed.append(f"{tested.version}: {_failures(tested)}")
    why = "; ".join(failed)
    if level == "A":
        raise UsageError(
            f"Isolation level A does not hold on this machine ({why}).",
            tip="`archprep doctor` shows the cause. Grade only your own code, with --isolation D.",
        )
    return _untested("" if level == "D" else why or "bubblewrap is not on this machine")


def secret_folders() -> tuple[Path, ...]:
    """Return what must stay invisible in the sandbox even if a library folder contains it."""
    content = catalog.content_root()
    roots = [content / name for name in ("exercises", "solutions", "graders")]
    return (*roots, PACKAGE, store.home())


def describe(tested: Tested, limits: Limits) -> Isolation:
    """Return what a scorecard says of the isolation."""
    return Isolation(
        level=tested.profile.level,
        tool=tested.version,
        kernel=isolation.kernel(),
        uid=tested.profile.uid,
        seccomp=bool(tested.seccomp),
        selftest=tested.results,
        sentence=_sentence(tested),
        limits=limits,
    )


def _sentence(tested: Tested) -> str:
    if not tested.profile.contained:
        said = (
            "Isolation level D: a plain process with limits, for your own code only. "
            "It can read your files and use the network."
        )
        return f"{said} Level A does not hold here: {tested.instead}." if tested.instead else said
    held = sum(r == BLOCKED for r in tested.results.values())
    return (
        f"Isolation level {tested.profile.level} ({tested.version}, no network, graders not "
        f"visible; self-test {held}/{len(tested.results)}). Not covered: bugs of the kernel."
    )


def _failures(tested: Tested) -> str:
    """What did not hold, in words; a cause that is known stands behind a colon."""
    return ", ".join(
        name.replace("_", " ") + result.removeprefix(NOT_BLOCKED)
        for name, result in tested.results.items()
        if result != BLOCKED
    )


def _untested(instead: str) -> Tested:
    profile = isolation.plain()
    results = dict.fromkeys(_ATTEMPTS, NOT_TESTED)
    return Tested(profile, profile.tool, b"", results, instead)


# -- remembering ----------------------------------------------------------------------------


def _recall(profile: isolation.Profile) -> Tested | None:
    with suppress(OSError, ValueError, KeyError, TypeError):
        kept = json.loads(_record(profile).read_text())
        return Tested(profile, kept["version"], base64.b64decode(kept["seccomp"]), kept["results"])
    return None


def _remember(tested: Tested) -> None:
    path = _record(tested.profile)
    kept = {
        "version": tested.version,
        "seccomp": base64.b64encode(tested.seccomp).decode(),
        "results": tested.results,
    }
    with suppress(OSError):  # a home that cannot be written costs a self-test each time, no more
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.{os.getpid()}")
        temporary.write_text(json.dumps(kept))
        temporary.replace(path)


def _record(profile: isolation.Profile) -> Path:
    """One file per profile, kernel, boot, tool and version of our own code."""
    ours = (path for name in ("sandbox", "worker") for path in (PACKAGE / name).glob("*.py"))
    sources = [Path(profile.tool), *sorted(ours)]
    facts = [profile.level, profile.tool, isolation.kernel(), _boot_id()]
    facts += isolation.library_paths()
    facts += [f"{p}:{s.st_size}:{s.st_mtime_ns}" for p in sources for s in [p.stat()]]
    digest = hashlib.sha256("\n".join(facts).encode()).hexdigest()[:16]
    return store.cache_dir() / f"isolation-{digest}.json"


def _boot_id() -> str:
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return "unknown"


# -- testing --------------------------------------------------------------------------------


def _test(profile: isolation.Profile) -> Tested:
    from archprep.sandbox import seccomp

    version = _version(profile.tool)
    try:
        program = seccomp.program()
    except (ImportError, OSError, RuntimeError, AttributeError) as e:
        # Without the filter the level is not A, whatever else holds.
        why = f"{NOT_BLOCKED}: it needs libseccomp and pyseccomp ({e})"
        return Tested(profile, version, b"", {"system_call_filter": why})
    with tempfile.TemporaryDirectory(prefix="archprep-selftest-") as folder:
        results = _attempt_all(profile, program, Path(folder))
    tested = Tested(profile, version, program, results)
    if tested.holds:
        _remember(tested)
    return tested


def _attempt_all(profile: isolation.Profile, program: bytes, folder: Path) -> dict[str, str]:
    submission = folder / "submission"
    submission.mkdir(mode=0o755)
    boot = BootConfig(_PROBES.read_text(), (), (), secret_folders())
    os.environ[CANARY] = secret = secrets.token_hex(8)
    try:
        with Sandbox(profile, boot, Submission(submission, "", ()), program) as running:
            bench = _Bench(running, folder, secret)
            return {
                name: BLOCKED if attempt(bench) else NOT_BLOCKED
                for name, attempt in _ATTEMPTS.items()
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
class _Bench:
    """What an attempt needs: the sandbox, a folder of the judge's, and a secret in it."""

    sandbox: Sandbox
    folder: Path
    secret: str

    def play(self, probe: str, **inputs: Any) -> Any:
        """Run a probe; None when it did not come to an end."""
        try:
            return self.sandbox.run(Scenario(probe, inputs, {}, LIMITS)).value
        except CandidateError:
            return None


def _read_secret(bench: _Bench) -> bool:
    canary = bench.folder / "canary"
    canary.write_text(bench.secret)
    return bool(bench.play("read", paths=[str(canary)]) == {})


def _list_graders(bench: _Bench) -> bool:
    found = bench.play("read", paths=[str(p) for p in secret_folders()])
    return found is not None and not any(found.values())


def _read_environment(bench: _Bench) -> bool:
    found = bench.play("environments")
    return found is not None and not any(CANARY in t or bench.secret in t for t in found)


def _kernel_settings(bench: _Bench) -> bool:
    return bench.play("open_for_writing", path="/proc/sys/kernel/core_pattern") is False


def _write_outside(bench: _Bench) -> bool:
    name = f"archprep-{bench.secret}"
    mounts = ["/", "/usr", "/dev", "/submission", "/runtime", "/proc", str(Path.home())]
    libraries = isolation.library_paths()
    mounts += [*libraries, "/runtime/lib0", str(bench.folder)]
    made = bench.play("create", folders=mounts, name=name)
    return made == [] and not any((Path(folder) / name).exists() for folder in mounts)


def _network(bench: _Bench) -> bool:
    with (
        tempfile.TemporaryDirectory(prefix="archprep-", dir=_SHORT) as folder,
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_UNIX) as unix,
    ):
        path = f"{folder}/socket"
        unix.bind(path)
        unix.listen()
        tried = bench.play("connect", port=tcp.getsockname()[1], path=path)
        return tried is True and not any(_knocked(s) for s in (tcp, unix))


def _knocked(listener: socket.socket) -> bool:
    listener.setblocking(False)
    try:
        listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def _user_namespace(bench: _Bench) -> bool:
    return bench.play("new_user_namespace") is False


def _many_processes(bench: _Bench) -> bool:
    started = bench.play("processes", most=4 * LIMITS.processes)
    return started is not None and started <= LIMITS.processes


def _much_memory(bench: _Bench) -> bool:
    had = bench.play("memory", megabytes=2 * LIMITS.memory_mb)
    return had is False and bench.play("hidden_memory") == []


def _much_disk(bench: _Bench) -> bool:
    written = bench.play("disk", megabytes=4 * LIMITS.files_mb)
    return written is not None and written <= LIMITS.files_mb


def _many_files(bench: _Bench) -> bool:
    made = bench.play("empty_files", most=12_000)
    return made is not None and made <= 10_000


def _leftovers(bench: _Bench) -> bool:
    name = f"o{bench.secret[:8]}"
    return bench.play("outlive", name=name) is True and name not in _living(bench.sandbox.pid)


def _kill_others(bench: _Bench) -> bool:
    warm_parent = bench.sandbox.pid
    held = bench.play("kill_all") is True and bench.play("write_memory") == []
    lives = bench.play("memory", megabytes=1) is True and bench.sandbox.pid == warm_parent
    return held and lives


def _living(pid: int | None) -> set[str]:
    """The names of the processes that run below `pid`."""
    found = set()
    for process in processes.living(processes.below(pid)):
        with suppress(OSError):
            found.add(Path(f"/proc/{process}/comm").read_text().strip())
    return found


# What each name means is in docs/result-format.md.
_ATTEMPTS: dict[str, Callable[[_Bench], bool]] = {
    "read_judge_files": _read_secret,
    "list_graders": _list_graders,
    "read_environment": _read_environment,
    "kernel_settings": _kernel_settings,
    "write_outside": _write_outside,
    "network": _network,
    "user_namespace": _user_namespace,
    "process_limit": _many_processes,
    "memory_limit": _much_memory,
    "disk_limit": _much_disk,
    "file_count_limit": _many_files,
    "outlive_scenario": _leftovers,
    "kill_judge": _kill_others,
}
