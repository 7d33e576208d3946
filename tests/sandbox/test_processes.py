"""Signals can be deferred, and a process tree ends as a whole."""

from __future__ import annotations

import os
import signal
import subprocess
import threading

import pytest

from archprep.sandbox import processes


def test_ctrl_c_is_deferred_until_the_end_of_the_block():
    done = []

    def block() -> None:
        with processes.deferred_signals():
            signal.raise_signal(signal.SIGINT)
            done.append("all")

    with pytest.raises(KeyboardInterrupt):
        block()
    assert done == ["all"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_is_not_lost_when_the_block_fails():
    def block() -> None:
        with processes.deferred_signals():
            signal.raise_signal(signal.SIGINT)
            raise ValueError

    with pytest.raises(KeyboardInterrupt):
        block()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 130)])
def test_termination_signals_are_deferred_as_well(number: int, code: int):
    done = []

    def block() -> None:
        with processes.ended_by_signals(), processes.deferred_signals():
            signal.raise_signal(number)
            done.append("all")

    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as ended:
        block()
    assert (done, ended.value.code) == (["all"], code)
    assert signal.getsignal(number) is before


def test_in_other_threads_nothing_is_deferred():
    ran = []

    def block() -> None:
        with processes.deferred_signals():
            ran.append(True)

    thread = threading.Thread(target=block)
    thread.start()
    thread.join()
    assert ran


def test_an_ignored_ctrl_c_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with processes.deferred_signals():
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(not processes.is_linux(), reason="only Linux has subreapers")
def test_a_tree_is_ended_as_a_whole():
    processes.adopt_orphans()
    script = "sleep 60 & sleep 60 & echo up; wait"
    with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"up\n"
        tree = [process.pid, *processes.below(process.pid)]
        assert len(tree) == 3
        processes.end_tree(process)
        assert processes.living(tree) == []
        processes.end_tree(process)  # a second time does no harm
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)
