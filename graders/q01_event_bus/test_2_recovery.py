"""Task 2: replays, handlers that do not stop, and handlers that change what is not theirs."""

from __future__ import annotations

from archprep.grading import criterion, expect, scenario

from .words import done, start
from .world import Play, play_all


@scenario
def replays(candidate, rng):
    return play_all(candidate, rng, replay_one_handler)


@scenario
def timeouts(candidate, rng):
    return play_all(candidate, rng, handler_timeout, payload_isolated)


def replay_one_handler(rng):
    play = Play(rng, {"max_attempts": 2, "dedup_ttl": 1.0}, middleware=["tracing"])
    play.backoffs = [9.0, play.quarters(0.25, 2), 9.0]
    kind = play.type()
    names = [play.subscribe(kind, name, filtered=(i == 2)) for i, name in enumerate(play.names(3))]
    bad = rng.sample(names[:2], 1)[0]
    broken, refused, stopped = (play.event(kind) for _ in range(3))
    for event in (broken, refused, stopped):
        play.scripts["middleware tracing", event["id"]] = [[["next"]]]
    errors = [[["sleep", 0.25], play.error()] for _ in range(4)]
    play.script(bad, broken, *errors, [["sleep", 0.5]])  # the first replay fails as well
    play.scripts[f"filter {names[2]}", refused["id"]] = [[play.error()], [["answer", True]]]
    play.scripts["middleware tracing", stopped["id"]] = [[play.error()], [["next"]]]
    play.step(0, "start")
    for at, event in enumerate(rng.sample([broken, refused, stopped], 3)):
        play.publish(1 + 20 * at, event)
    order = [s["with"]["event"]["id"] for s in play.steps if s["do"] == "publish"]
    play.step(80, "idle")
    wrong = play.step(90, "replay", index=3)
    left, plan = list(order), []
    for at, event in zip(
        (100, 120, 140, 160), [*rng.sample([broken, refused, stopped], 3), broken], strict=True
    ):
        index = left.index(event["id"])
        play.step(at, "replay", index=index)
        plan.append((at, event["id"]))
        left.pop(index)
        if event is broken:
            left.append(event["id"])

    def check():
        due = []
        for at, event_id in plan:
            if event_id == broken["id"]:
                due += [
                    start(at, bad, event_id),
                    *([start(at + 0.25 + play.backoffs[1], bad, event_id, 2)] if at < 160 else []),
                ]
            elif event_id == refused["id"]:
                due.append(start(at, names[2], event_id))
            else:
                due += [
                    start(at, "tracing", event_id),
                    *(start(at, name, event_id) for name in names),
                ]
        story = [
            start(c.start, c.name, c.event.id, c.event.attempt)
            for c in play.of("handler", "middleware")
            if c.start >= 90
        ]
        says = (
            "a replay runs the failed handler alone, with fresh attempts and without middleware; "
            "after a filter's error the filter and its handler; after a middleware's error "
            "the whole event; what fails again can be replayed again"
        )
        play.same(story, due, says=says)
        play.same_letters(
            [],
            "id",
            "stage",
            "handler",
            "attempts",
            says="a replay removes its dead letter, and leaves a new one only if it fails",
        )
        expect(
            play.outcome(wrong)[1] == "IndexError",
            expected="replay() of an index that does not exist raises IndexError",
            observed=f"replay(3) with 3 dead letters: {play.outcome(wrong)[1]}",
            given=play.given(),
        )

    return play.checked_by(check)


@criterion("replay() does again only what had failed", task=2, points=5, hint="replay")
def test_replay_one_handler(replays):
    replays[replay_one_handler].check()


def handler_timeout(rng):
    play = Play(rng, {"max_attempts": 2})
    play.settings["handler_timeout"] = limit = play.quarters(1, 3)
    play.backoffs = [9.0, play.quarters(0.25, 2), 9.0]
    kind, at = play.type(), 1.0
    event = play.event(kind)
    long, more = limit + play.quarters(2, 5), limit + play.quarters(9, 20)
    hang, stubborn, quick = [["sleep", long]], [["stubborn", long, more]], [["sleep", limit - 0.25]]
    lots = [
        [hang, hang],
        [stubborn, stubborn],
        [stubborn, quick],
        [hang, quick],
        [quick],
        [stubborn, hang],
    ]
    play.step(0, "start")
    due, letters, ends = [], [], []
    for name, scripts in zip(play.names(len(lots)), lots, strict=True):
        play.script(play.subscribe(kind, name), event, *scripts)
        due.append(start(at, name, event["id"]))
        second = at + limit + play.backoffs[1]
        if scripts[0] is not quick:
            due.append(start(second, name, event["id"], 2))
        if scripts[-1] is quick:
            ends.append((at if scripts[0] is quick else second) + limit - 0.25)
        else:
            letters.append((event["id"], "handler", name, "TimeoutError", 2, second + limit))
            ends.append(second + limit)
    after = play.event(kind + ".x")
    due.append(start(40, play.subscribe(kind + ".x", play.names(1)[0]), after["id"]))
    play.publish(at, event)
    idle = play.step(at, "idle")
    play.publish(40, after)
    play.step(40, "idle")

    def check():
        due.append(done(max(ends), "idle()"))
        says = (
            f"an attempt that has not finished after {limit:g} s is cancelled and has failed at "
            "that instant, whatever the handler does with the cancellation"
        )
        play.same(play.starts() + play.over(idle), due, says=says)
        play.same_letters(
            letters,
            *("id", "stage", "handler", "error_type", "attempts", "at"),
            says=says + " (error_type 'TimeoutError')",
        )

    return play.checked_by(check)


@criterion(
    "An attempt ends at its time-out, even if the handler ignores its cancellation",
    task=2,
    points=5,
    hint="timeout",
)
def test_handler_timeout(timeouts):
    timeouts[handler_timeout].check()


def payload_isolated(rng):
    play = Play(rng, {"max_attempts": 2})
    play.backoffs = [9.0, 0.5, 9.0]
    kind = play.type()
    names = [play.subscribe(kind, name, rng.randint(0, 1)) for name in play.names(4)]
    play.step(0, "start")
    sent = {}
    for at in range(1, 40, 10):
        lines = [{"sku": f"s{rng.randint(10, 99)}", "n": rng.randint(1, 9)} for _ in range(2)]
        event = play.event(
            kind,
            payload={
                "lines": lines,
                "ship": {"to": {"tags": [rng.randint(1, 9)]}},
                "total": rng.randint(1, 99),
            },
        )
        sent[event["id"]] = event["payload"]
        play.publish(at, event, spoil=True)
        for name, times in zip(names, rng.sample([0, 1, 2, 2], 4), strict=True):
            error = play.error()
            play.script(
                name,
                event,
                *([["mutate"], ["sleep", 0.25], error] for _ in range(times)),
                [["mutate"], ["sleep", 0.25]],
            )
    play.step(50, "idle")

    def check():
        says = (
            "every handler and every retry sees the payload as it was published, whatever the "
            "publisher (after publish) or another handler does to it"
        )
        for call in play.of("handler"):
            what = f"{call.name}, attempt {call.event.attempt} on {call.event.id}"
            clean = call.event.payload == sent.get(call.event.id)
            expect(
                clean,
                expected=f"{says}: {sent.get(call.event.id)}",
                observed=f"{what} saw {call.event.payload}",
                given=play.given({call.event.id}),
            )
        count = sum(min(len(s), 2) for s in play.scripts.values())
        expect(
            len(play.of("handler")) == count,
            expected=f"all {count} attempts run",
            observed=f"{len(play.of('handler'))} ran",
            given=play.given(),
        )
        failed = [(i, sent[i]) for (_, i), scripts in play.scripts.items() if len(scripts) == 3]
        play.same_letters(
            failed, "id", "payload", says="a dead letter holds the payload as it was published"
        )

    return play.checked_by(check)


@criterion(
    "Nobody can change what another handler, a retry or a dead letter sees",
    task=2,
    points=3,
    hint="payload",
)
def test_payload_isolated(timeouts):
    timeouts[payload_isolated].check()
