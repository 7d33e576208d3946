"""Virtual time: sleeping takes none, instants are exact, and what is stuck is told at once."""

from __future__ import annotations

import asyncio
import threading
import time

from archprep.worker.virtual_loop import VirtualLoop


def test_time_jumps_to_the_next_timer():
    """An hour passes at once, and in the order of the timers."""
    loop, story = VirtualLoop(), []

    async def sleep(seconds):
        await asyncio.sleep(seconds)
        story.append((loop.time(), seconds))

    async def main():
        await asyncio.gather(*map(sleep, [3600, 0.25, 1.5]))

    began = time.monotonic()
    assert loop.play(main()) == ""
    assert story == [(0.25, 0.25), (1.5, 1.5), (3600.0, 3600)]
    assert time.monotonic() - began < 5


def test_timeouts_are_exact():
    """asyncio.timeout() ends at its instant."""
    loop = VirtualLoop()

    async def main():
        try:
            async with asyncio.timeout(2.5):
                await asyncio.sleep(60)
        except TimeoutError:
            return
        raise AssertionError

    assert (loop.play(main()), loop.time()) == ("", 2.5)


def test_a_deadlock_waits():
    """Nothing is left that could ever run."""

    async def main():
        await asyncio.get_running_loop().create_future()

    assert VirtualLoop().play(main()) == "waits"


def test_what_goes_on_for_ever_waits():
    """After the end of time nothing that a scenario is about happens."""
    loop = VirtualLoop(until=100.0)

    async def main():
        while True:  # noqa: ASYNC110 - what is tested
            await asyncio.sleep(30)

    assert loop.play(main()) == "waits"
    assert loop.time() == 120.0


def test_polling_without_a_pause_spins():
    """The loop turns and turns within one instant."""

    async def main():
        while True:  # noqa: ASYNC110 - what is tested
            await asyncio.sleep(0)

    assert VirtualLoop().play(main()) == "spins"


def test_many_turns_with_pauses_are_not_spinning():
    """Only turns within one instant count."""

    async def main():
        for number in range(5000):
            await asyncio.sleep(number % 2)

    assert VirtualLoop().play(main()) == ""


def test_a_thread_may_wake_an_idle_loop():
    """Real time passes then, a little."""
    loop = VirtualLoop()
    assert loop.play(asyncio.to_thread(time.sleep, 0.01)) == ""
    assert loop.time() == 0.0

    async def woken():
        done = asyncio.Event()
        thread = threading.Thread(target=loop.call_soon_threadsafe, args=[done.set])
        loop.call_soon(thread.start)
        await done.wait()

    assert loop.play(woken()) == ""


def test_the_error_of_a_background_task_is_kept():
    """A scheduler that died says more than a bus that hangs; expected errors say nothing."""

    async def fails(error):
        raise error

    async def main():
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(fails(error)) for error in (KeyError("a"), ValueError("b"))]
        await asyncio.sleep(1)
        assert all(task.done() for task in tasks)
        await loop.create_future()

    loop = VirtualLoop(expected=lambda error: isinstance(error, KeyError))
    assert loop.play(main()) == "waits"
    assert str(loop.crash()) == "b"


def test_the_error_of_a_callback_is_kept(capsys):
    """Unlike a task's, nobody could ask for it later."""

    async def main():
        asyncio.get_running_loop().call_soon(int, "x")
        await asyncio.sleep(1)

    loop = VirtualLoop()
    assert loop.play(main()) == ""
    assert isinstance(loop.crash(), ValueError)


def test_nothing_broke():
    """Cancelled tasks and those still under way are no crash."""

    async def main():
        task = asyncio.get_running_loop().create_task(asyncio.sleep(60))
        await asyncio.sleep(1)
        task.cancel()

    loop = VirtualLoop()
    loop.play(main())
    assert loop.crash() is None
