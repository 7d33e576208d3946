"""Task 4: no work twice, none lost, and an orderly end."""

from __future__ import annotations

from archprep.grading import criterion, expect, scenario

from .words import start, written
from .world import Play, journal, perform, play_all


@scenario
def duplicates(candidate, rng):
    return play_all(candidate, rng, dedup, queued_twice, running_twice)


@scenario
def journalled(candidate, rng):  # alone: it replays, and a replay() that hangs hangs it all
    return play_all(candidate, rng, journal_order)


def dedup(rng):
    ttl = float(rng.randint(8, 12))
    play = Play(rng, {"max_attempts": 1, "dedup_ttl": ttl, "handler_timeout": 60.0})
    kind = play.type()
    slow, shaky = (play.subscribe(kind, name) for name in play.names(2))
    play.step(0, "start")
    due, base = [], 1.0
    for _ in range(3):
        event, twin = play.event(kind), play.event(kind)
        long, fails = play.quarters(3, 6), rng.randint(1, 2)
        play.script(slow, event, [["sleep", long]])
        play.script(shaky, event, *([play.error()] for _ in range(fails)), [["sleep", 0.25]])
        # Soon after; when dedup_ttl is over since publish but not since the success; after that.
        again = [
            base + long + 0.25,
            base + ttl + play.quarters(1, long - 1),
            base + long + ttl + play.quarters(1, 2),
        ]
        succeeded = {}
        for at in [base, *again, again[-1] + long + ttl + 1]:
            play.publish(at, event)
            for name in (slow, shaky):
                if at - succeeded.get(name, -1e9) >= ttl:
                    runs = sum(m.text == start(0, name, event["id"]).text for m in due)
                    due.append(start(at, name, event["id"]))
                    if name == slow or runs >= fails:
                        succeeded[name] = at + (long if name == slow else 0.25)
        play.publish(base + 0.5, twin)
        due += [start(base + 0.5, name, twin["id"]) for name in (slow, shaky)]
        base = again[-1] + 3 * ttl
    play.steps.sort(key=lambda step: step["at"])
    play.step(base, "idle")

    def check():
        says = (
            f"a handler that succeeded for an id is skipped for {ttl:g} s from its success, "
            "and runs again after that; "
            "one that failed runs again; other ids are not concerned"
        )
        play.same(play.starts(), due, says=says)

    return play.checked_by(check)


@criterion(
    "A handler that succeeded is not run again for that id within dedup_ttl",
    task=4,
    points=4,
    hint="dedup",
)
def test_dedup(duplicates):
    duplicates[dedup].check()


def queued_twice(rng):
    return in_flight_duplicate(rng, places=1)


def running_twice(rng):
    return in_flight_duplicate(rng, places=8)


def in_flight_duplicate(rng, places):
    play = Play(rng, {"max_attempts": 1, "concurrency": places})
    kind = play.type()
    name = play.subscribe(kind, play.names(1)[0])
    play.step(0, "start")
    events = [play.event(kind) for _ in range(4)]
    due, letters, steps = [], [], []
    for i, event in enumerate(events):
        play.script(name, event, [["sleep", 2.0], *([play.error()] if i % 2 else [])])
        begin = 1.0 + (2.0 * i if places == 1 else i / 16)
        due.append(start(begin, name, event["id"]))
        letters += [(event["id"], name)] if i % 2 else []
        steps.append(play.publish(1.0 + i / 16, event))
    for i, event in enumerate(rng.choices(events, k=2) + rng.sample(events, 4)):
        steps.append(play.publish(2.0 + i / 16, event, block=rng.random() < 0.5))
    play.step(2.5, "idle")
    play.step(30, "nothing")
    due += [play.ends(n, play.steps[n]["at"]) for n in steps]

    def check():
        says = (
            "an event whose id is queued or in processing is accepted once: publishing it again "
            "returns and changes nothing, also if the first one fails later"
        )
        story = play.starts() + [m for n in steps for m in play.over(n)]
        play.same(story, due, says=says, whole=True)
        play.same_letters(letters, "id", "handler", says=says)

    return play.checked_by(check)


@criterion(
    "Publishing an id that is queued or in processing does nothing",
    task=4,
    points=2,
    hint="in-flight",
)
def test_in_flight_duplicate(duplicates):
    duplicates[queued_twice].check()
    duplicates[running_twice].check()


def complete(at, event, *handlers):
    """Starts, receipts and the closing of an event whose handlers run one after another."""
    due = []
    for name, length in handlers:
        due.append(start(at, name, event["id"]))
        at += length
        due.append(written(at, f"settle {name}", event["id"]))
    return [*due, written(at, "close", event["id"])], at


def journal_order(rng):
    play = Play(rng, {"max_attempts": 1, "concurrency": 1, "queue_size": 1}, journal=True)
    pair, single = "order.paid", "order.sent"
    first, second = (
        play.subscribe(pair, name, level) for name, level in zip(play.names(2), (2, 1), strict=True)
    )
    only = play.subscribe(single, play.names(1)[0])
    play.step(0, "start")
    good, refused, bad, busy, queued, full = (
        play.event(t) for t in (pair, pair, pair, single, single, single)
    )
    writing, work, receipt, error, denied = (
        play.quarters(0.25, 1),
        play.quarters(0.5, 2),
        play.quarters(0.25, 1),
        play.error(),
        play.error(),
    )
    play.script("append", good, [["sleep", writing]])
    play.script("append", refused, [["sleep", writing], denied])
    play.script(f"settle {only}", busy, [["sleep", receipt]])
    for event in (good, bad):
        play.script(first, event, [["sleep", work]])
        play.script(second, event, *([[error]] if event is bad else []), [["sleep", 0.5]])
    play.script(only, busy, [["sleep", 2.0]])
    play.script(only, queued, [["sleep", 0.5]])
    steps = [
        (play.publish(1, good), 1 + writing, "ok"),
        (play.publish(11, refused), 11 + writing, denied[1]),
        (play.publish(21, bad), 21.0, "ok"),
        (play.publish(31, busy), 31.0, "ok"),
        (play.publish(31.25, queued), 31.25, "ok"),
        (play.publish(31.5, queued), 31.5, "ok"),
        (play.publish(31.75, full, block=False), 31.75, "QueueFull"),
        (play.step(41, "replay", index=0), 41.5, "ok"),
    ]
    play.step(45, "idle")

    def check():
        due = [
            written(t, "append", e["id"])
            for t, e in ((1, good), (11, refused), (21, bad), (31, busy), (31.25, queued))
        ]
        due += complete(1 + writing, good, (first, work), (second, 0.5))[0]
        due += [
            start(21, first, bad["id"]),
            written(21 + work, f"settle {first}", bad["id"]),
            start(21 + work, second, bad["id"]),
        ]
        due += complete(41, bad, (second, 0.5))[0]
        due += [
            start(31, only, busy["id"]),
            written(33, f"settle {only}", busy["id"]),
            written(33 + receipt, "close", busy["id"]),
        ]
        due += complete(33 + receipt, queued, (only, 0.5))[0]
        due += [play.ends(n, t, outcome) for n, t, outcome in steps]
        says = (
            "append() is awaited before the event is accepted, and its error goes to the "
            "publisher; nothing is appended for a duplicate or on QueueFull; "
            "settle() follows each success and is awaited before the event's place is free; "
            "close() comes when nothing is left to do, after a replay too"
        )
        play.same(
            [*journal(play), *play.starts(), *(m for n, _, _ in steps for m in play.over(n))],
            due,
            says=says,
            whole=True,
        )
        expect(
            receipts_follow(play),
            expected="settle() is called after its handler has returned, close() after all that",
            observed="a receipt was written before the work it stands for was done",
            given=play.given(),
        )

    return play.checked_by(check)


@criterion(
    "The journal has an event before it is accepted, and each success before its place is free",
    task=4,
    points=3,
    hint="journal",
)
def test_journal_order(journalled):
    journalled[journal_order].check()


def receipts_follow(play):
    """Whether, within an instant too, each receipt comes after what it stands for."""
    ends = {(f"settle {c.name}", c.event.id): c.end_order for c in play.of("handler")}
    settled = {}
    for call in play.of("journal"):
        if (
            call.name.startswith("settle")
            and ends.get((call.name, call.event.id), 1e9) > call.order
        ):
            return False
        if call.name.startswith("settle"):
            settled[call.event.id] = call.end_order
        if call.name == "close" and settled.get(call.event.id, -1) > call.order:
            return False
    return True


@criterion(
    "After a crash every unfinished handler runs again, and no settled one",
    task=4,
    points=3,
    hint="resume",
)
def test_resume_after_crash(candidate, rng):
    before = Play(rng, {"max_attempts": 1, "concurrency": 1}, journal=True)
    kind = before.type()
    first, second = (
        before.subscribe(kind, name, level)
        for name, level in zip(before.names(2), (2, 1), strict=True)
    )
    events = [before.event(kind, priority=0) for _ in range(6)]
    crash = rng.randint(1, 3)  # in the second handler of this event; that of the first event fails
    work, rest = before.quarters(0.5, 1), before.quarters(0.5, 1)
    before.step(0, "start")
    for i, event in enumerate(events):
        before.publish(i / 16, event)
        before.script(first, event, [["sleep", work]])
        before.script(second, event, [["sleep", rest], *([before.error()] if not i else [])])
    before.step(crash * (work + rest) + work + rest / 2, "nothing")
    perform(candidate, before)

    after = Play(
        rng, before.settings, journal=True, subscriptions=before.subscriptions, ids=before.ids
    )
    done_already = after.event(kind)
    after.left = [(done_already, [first, second]), *left_in(before)]
    new = after.event(kind)
    after.publish(0, new)
    after.step(1, "start")
    at, due = 1.0, [written(0, "append", new["id"]), written(1, "close", done_already["id"])]
    unfinished = [events[0], *events[crash:], new]
    for event in unfinished:
        halves = (
            [(first, work), (second, rest)]
            if event not in (events[0], events[crash])
            else [(second, rest)]
        )
        for name, length in halves:
            after.script(name, event, [["sleep", length]])
        story, at = complete(at, event, *halves)
        due += story
    after.step(1, "idle")
    after.step(60, "nothing")
    perform(candidate, after)
    crashed = (
        f"the process died at {before.steps[-1]['at']:g} s in {second} on {events[crash]['id']}"
    )
    appended = {c.event.id for c in before.of("journal") if c.name == "append"}
    lost = [e["id"] for e in events if e["id"] not in appended]
    expect(
        not lost,
        expected="every published event is in the journal before the crash",
        observed=f"{crashed}; never appended: {', '.join(lost)}",
        given=before.given(),
    )
    says = (
        "start() takes pending() from the journal before anything else, appends nothing again "
        f"and skips what is settled ({crashed})"
    )
    after.same([*journal(after), *after.starts()], due, says=says, whole=True)


def left_in(play):
    """What is not closed in the journal, in append order, with the settled handlers."""
    calls = play.of("journal")
    closed = {c.event.id for c in calls if c.name == "close"}
    settled = [(c.event.id, c.name.removeprefix("settle ")) for c in calls if "settle" in c.name]
    events = [event for c in calls if c.name == "append" and (event := play.drawn(c))]
    return [
        (event, [name for event_id, name in settled if event_id == event["id"]])
        for event in events
        if event["id"] not in closed
    ]
