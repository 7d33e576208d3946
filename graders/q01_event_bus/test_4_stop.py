"""Task 4: an orderly end."""

from __future__ import annotations

from archprep.grading import criterion, scenario

from .words import Moment, done, start, written
from .world import Play, journal, play_all

NOT_DONE = (
    "stop({}) cancels what is still in processing; nothing of that is retried, "
    "dead-lettered, settled or closed, "
    "and the queue is left undone"
)


@scenario
def stopping(candidate, rng):
    return play_all(
        candidate, rng, drained, out_of_time, halted, cancelled_too_early, cancelled_too_late
    )


def three_events(rng, retry, **settings):
    """One event in processing for `work` seconds, one that fails at first, one queued."""
    play = Play(rng, {"concurrency": 2, "handler_timeout": 60.0, **settings}, journal=True)
    play.backoffs = [9.0, retry, 9.0, 9.0]
    play.kind = play.type()
    play.handler = play.subscribe(play.kind, play.names(1)[0])
    play.work = play.quarters(6, 9)
    play.step(0, "start")
    play.events = [play.event(play.kind) for _ in range(3)]
    scripts = [[[["sleep", play.work]]], [[play.error()], [["sleep", 1.0]]], [[["sleep", 1.0]]]]
    for event, script in zip(play.events, scripts, strict=True):
        play.script(play.handler, event, *script)
        play.publish(1, event)
    return play


def stopped(play, due, closed, *, says, **stop):
    """Stop a bus of three events at 2.75 s, and check what happens until long after that."""
    halt = play.step(2.75, "stop", spawn=True, **stop)
    late = play.publish(3.25, play.event(play.kind))
    play.step(90, "nothing")
    running, retrying, _ = play.events
    due = [*due, start(1, play.handler, running["id"]), start(1, play.handler, retrying["id"])]
    due += [
        written(at, what, i)
        for i, at in closed.items()
        for what in (f"settle {play.handler}", "close")
    ]
    due.append(play.ends(late, 3.25, "RuntimeError"))

    def check():
        story = [
            *play.starts(),
            *play.over(halt, "stop()"),
            *play.over(late),
            *play.over(getattr(play, "waiting", None)),
        ]
        story += [m for m in journal(play) if "append" not in m.text]
        story += [
            cut(c.end, c.name, c.event.id)
            for c in play.of("handler")
            if c.outcome == "CancelledError"
        ]
        play.same(story, due, says=says, whole=True)
        play.same_letters(
            [], "id", "stage", "handler", "error_type", says="stop() makes no dead letters"
        )

    return play.checked_by(check)


def cut(at, name, event_id):
    return Moment(at, f"{name} is cancelled", event_id)


def drained(rng):
    play = three_events(rng, retry=1.0, queue_size=1)
    play.waiting = play.publish(2.5, play.event(play.kind), spawn=True)
    running, retrying, queued = (e["id"] for e in play.events)
    end = 1 + play.work
    due = [start(2, play.handler, retrying, 2), start(3, play.handler, queued), done(end, "stop()")]
    due.append(play.ends(play.waiting, 2.75, "RuntimeError"))
    says = (
        "stop() waits until everything accepted has finished; from its beginning publish() "
        "raises RuntimeError, also one that was waiting for room"
    )
    return stopped(play, due, {running: end, retrying: 3, queued: 4}, says=says)


def out_of_time(rng):
    limit = rng.randint(6, 16) / 4
    play = three_events(rng, retry=40.0)
    due = [done(2.75 + limit, "stop()"), cut(2.75 + limit, play.handler, play.events[0]["id"])]
    return stopped(play, due, {}, says=NOT_DONE.format(f"timeout={limit:g}"), timeout=limit)


def halted(rng):
    play = three_events(rng, retry=40.0)
    due = [done(2.75, "stop()"), cut(2.75, play.handler, play.events[0]["id"])]
    return stopped(play, due, {}, says=NOT_DONE.format("drain=False"), drain=False)


@criterion(
    "stop() accepts nothing more, finishes what it can in time and cancels the rest",
    task=4,
    points=2,
    hint="stop",
)
def test_stop(stopping):
    for play in (drained, out_of_time, halted):
        stopping[play].check()


def cancelled_too_early(rng):
    return stop_cancellable(rng, in_time=False)


def cancelled_too_late(rng):
    return stop_cancellable(rng, in_time=True)


def stop_cancellable(rng, in_time):
    play = Play(rng)
    kind, work, margin = play.type(), play.quarters(2, 4), play.quarters(0.75, 1.25)
    name, event = play.subscribe(kind, play.names(1)[0]), play.event(kind)
    play.script(name, event, [["sleep", work]])
    play.step(0, "start")
    play.publish(1, event)
    patience = work + margin if in_time else work - margin
    halt = play.step(1.25, "stop", within=patience)
    due = done(1 + work, "stop()") if in_time else done(1.25 + patience, "stop()", "TimeoutError")
    says = (
        "asyncio.timeout() around stop() ends it with TimeoutError on time; a stop() that is "
        "done earlier returns"
    )
    return play.checked_by(
        lambda: play.same(
            play.starts() + play.over(halt, "stop()"), [start(1, name, event["id"]), due], says=says
        )
    )


@criterion("stop() can be cancelled itself", task=4, points=2, hint="stop-cancellable")
def test_stop_cancellable(stopping):
    for play in (cancelled_too_early, cancelled_too_late):
        stopping[play].check()
