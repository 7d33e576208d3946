"""The fork server: imports the heavy libraries once and forks a process for each scenario.

It runs trusted code only and becomes unreadable to its children before the first of them
exists. A child that kills it loses its own scenario; the judge starts another fork server.

    fork server ── fork ── enters new namespaces, forks and exits
                              └── their init: private mounts, no privileges, waits
                                    └── the scenario: the candidate's code

Killing init kills all of the scenario's processes at once, whatever they have done.
Level D has no namespaces: the scenario is the server's child, in a session of its own.

Some libraries are slow at their first use as well as at import. For these the judge asks for a
second, warmed fork server: a fork of the first one that uses them once. Meanwhile the first
one serves scenarios that do not need that.
"""

from __future__ import annotations

import base64
import gc
import importlib
import os
import select
import signal
import socket
import sys
import tempfile
from contextlib import suppress
from types import ModuleType
from typing import Any

from . import confine, protocol, scenario

MAX_ROUNDS = 100  # of killing processes that fork faster than they are killed


def main(control_fd: int) -> None:
    """Boot, then serve the judge until it closes the channel."""
    control = socket.socket(fileno=control_fd)
    boot = (protocol.receive(control) or {})["boot"]
    if sys.platform.startswith("linux"):
        confine.harden_parent()
    os.environ.update(boot["environment"])
    _serve_all(control, boot, _prepare(boot))


def _serve_all(control: socket.socket, boot: dict[str, Any], probes: ModuleType) -> None:
    woken, waker = socket.socketpair()
    waker.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waker.fileno())
    leaders: set[int] = set()
    protocol.send(control, {"ready": True})
    while True:
        ready, _, _ = select.select([control, woken], [], [])
        if woken in ready:
            woken.recv(4096)
            _report_exits(control, boot, leaders)
        if control in ready and not _serve(control, boot, probes, leaders):
            return


def _prepare(boot: dict[str, Any]) -> ModuleType:
    sys.path[:] = [*sys.path, *boot["path"]]
    # Hardly anything of what is imported is garbage. Frozen, its pages stay shared after a fork.
    gc.disable()
    for name in boot["preload"]:
        importlib.import_module(name)
    gc.freeze()
    gc.enable()
    for name, text in boot["probe_modules"].items():
        _module(name, text)
    return _module("probes", boot["probes"])


def _module(name: str, text: str) -> ModuleType:
    module = ModuleType(name)
    sys.modules[name] = module  # so that a probe's dataclasses and typing find their module
    exec(compile(text, f"{name}.py", "exec"), module.__dict__)  # noqa: S102 - trusted text
    return module


def _serve(
    control: socket.socket, boot: dict[str, Any], probes: ModuleType, leaders: set[int]
) -> bool:
    request = protocol.receive(control)
    if request is None:
        return False
    if "kill" in request:
        _kill(request["kill"], boot)
        return True
    _, fds, _, _ = socket.recv_fds(control, 1, 2)
    if "warm_up" in request:
        leaders.add(_fork_warmed(boot, probes, fds[0]))
        return True
    try:
        pid = _spawn(boot | request["spawn"], probes, fds)
        leaders.add(pid)
        protocol.send(control, {"spawned": pid})
    except OSError as e:
        protocol.send(control, {"refused": str(e)})
    finally:
        for fd in fds:
            os.close(fd)
    return True


def _fork_warmed(boot: dict[str, Any], probes: ModuleType, control_fd: int) -> int:
    """Fork a second fork server, which serves the judge on a channel of its own."""
    pid = os.fork()
    if pid == 0:
        _run(lambda: _serve_warmed(boot, probes, control_fd))
    os.close(control_fd)
    return pid


def _serve_warmed(boot: dict[str, Any], probes: ModuleType, control_fd: int) -> None:
    signal.set_wakeup_fd(-1)
    if sys.platform.startswith("linux"):
        confine.harden_parent()
    importlib.import_module(boot["warm_up"]).warm_up()
    _serve_all(socket.socket(fileno=control_fd), boot, probes)


def _report_exits(control: socket.socket, boot: dict[str, Any], leaders: set[int]) -> None:
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            if pid in leaders and boot["confinement"] == "none":
                leaders.remove(pid)
                _end_orphans(leaders)
            protocol.send(control, {"exited": pid, "status": os.waitstatus_to_exitcode(status)})


def _end_orphans(leaders: set[int]) -> None:
    """Kill what a scenario without namespaces has left: this process has adopted it."""
    for _ in range(MAX_ROUNDS):
        with suppress(OSError):
            with open(f"/proc/self/task/{os.getpid()}/children") as file:
                left = {int(pid) for pid in file.read().split()} - leaders
            for pid in left:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            if left:
                continue
        return


def _kill(pid: int, boot: dict[str, Any]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)
        if boot["confinement"] == "none":
            os.killpg(pid, signal.SIGKILL)


def _spawn(plan: dict[str, Any], probes: ModuleType, fds: list[int]) -> int:
    """Fork a scenario's process; return its id (that of its init, where it has namespaces)."""
    if plan["confinement"] == "none":
        pid = os.fork()
        if pid == 0:
            _run(lambda: _scenario(plan, probes, fds))
        return pid
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        _run(lambda: _enter_namespaces(plan, probes, fds, writer))
    os.close(writer)
    with open(reader, "rb") as pipe:
        answer = pipe.read()
    if not answer.isdigit():
        raise OSError(answer.decode(errors="replace") or "the scenario could not be isolated")
    return int(answer)


def _enter_namespaces(
    plan: dict[str, Any], probes: ModuleType, fds: list[int], writer: int
) -> None:
    """Fork init inside new namespaces and exit; the fork server, its subreaper, adopts it.

    The server reads `writer` to its end: digits alone mean success.
    """
    signal.set_wakeup_fd(-1)  # the fork server's; init only waits
    for number in (signal.SIGCHLD, signal.SIGINT):  # with a handler, init would receive it
        signal.signal(number, signal.SIG_DFL)
    try:
        confine.enter_namespaces(new_user=plan["confinement"] == "new-user")
        pid = os.fork()
        if pid == 0:
            _init(plan, probes, fds, writer)
        os.write(writer, str(pid).encode())
    except OSError as e:
        os.write(writer, f" {e}".encode())


def _init(plan: dict[str, Any], probes: ModuleType, fds: list[int], writer: int) -> None:
    """Be the first process of the new namespaces: when it ends, the kernel kills the others."""
    os.setsid()  # a signal to the process group would reach the fork server
    confine.mount_private(plan["limits"]["files_mb"])
    if plan["confinement"] == "capability":
        confine.mount_proc()
    confine.give_up_privileges(base64.b64decode(plan["seccomp"]))
    os.close(writer)
    pid = os.fork()
    if pid == 0:
        _run(lambda: _scenario(plan, probes, fds))
    for fd in fds:
        os.close(fd)
    os._exit(_wait_for(pid))


def _wait_for(pid: int) -> int:
    while True:
        ended, status = os.wait()  # also reaps the orphans of this namespace
        if ended == pid:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _scenario(plan: dict[str, Any], probes: ModuleType, fds: list[int]) -> None:
    _own_descriptors(*fds)
    if plan["confinement"] == "none":
        os.setsid()
    workdir = "/tmp" if plan["confinement"] != "none" else tempfile.mkdtemp(dir=plan["scratch"])  # noqa: S108
    os.chdir(workdir)
    for number in (signal.SIGCHLD, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    confine.limit(plan["limits"])
    channel = socket.socket(fileno=3)
    scenario.play(channel, probes, plan["submission"], plan["entry"], plan["limits"]["seconds"])


def _own_descriptors(channel: int, log: int) -> None:
    """Keep four: nothing as 0, the log as 1 and 2, the channel as 3."""
    signal.set_wakeup_fd(-1)
    channel, log = os.dup(channel), os.dup(log)
    while channel < 4:  # the numbers 0-3 are about to be replaced
        channel = os.dup(channel)
    while log < 4:
        log = os.dup(log)
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (log, 1), (log, 2), (channel, 3)):
        os.dup2(source, target)
    os.closerange(4, 4096)


def _run(body: Any) -> None:
    """Run a forked child's body; it must never return into the parent's loop."""
    try:
        body()
    finally:
        os._exit(0)
