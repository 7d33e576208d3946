"""Task 2: failures are isolated, retried on time, and kept where they can be replayed."""

from __future__ import annotations

from archprep.grading import criterion, expect, scenario

from .world import Play, done, lives, seconds, start

FULL = ("id", "type", "payload", "key", "priority", "stage", "handler", "error_type", "error", "attempts", "at")


def failing(play, times, *, last=None):
    """Scripts of a handler that fails `times` times, and then returns unless that was the last."""
    scripts = [[["sleep", play.quarters(0.25, 2)], play.error()] for _ in range(times)]
    return scripts if last == times else [*scripts, [["sleep", play.quarters(0.25, 2)]]]


@criterion("A failing handler does not affect its siblings", task=2, points=3, hint="siblings")
def test_siblings_isolated(candidate, rng):
    play = Play(rng, {"max_attempts": 1})
    kind = play.type()
    high = [play.subscribe(kind, name, 1) for name in play.names(3)]
    low = play.subscribe(kind, play.names(1)[0])
    play.step(0, "start")
    due, ends = [], []
    for at in range(1, 50, 8):
        event = play.event(kind)
        play.publish(at, event)
        for name, times in zip(high, rng.sample([0, 1, rng.randint(0, 1)], 3), strict=True):
            play.script(name, event, *failing(play, times, last=1))
            due.append(start(at, name, event["id"]))
        slowest = max(seconds(play.scripts[name, event["id"]][0]) for name in high)
        due.append(start(at + slowest, low, event["id"]))
        ends += [(name, event["id"], at + seconds(play.scripts[name, event["id"]][0])) for name in high]
    play.step(60, "idle")
    play.run(candidate)
    play.same(play.starts(), due, says="every handler of an event runs, whatever its siblings raise; lower ones follow when the higher have finished")
    seen = [(c.name, c.event.id, c.end) for c in play.of("handler") if c.name in high]
    cut = [f"{name} on {i} ended at {e} s, not at {s:g} s" for (name, i, s) in ends if (e := dict(((n, x), t) for n, x, t in seen).get((name, i))) != s]
    expect(not cut, expected="a handler works to its end while a sibling fails", observed="; ".join(cut[:2]), given=play.given())


@scenario
def retries(candidate, rng):
    """Six handlers of equal priority on one event, with all numbers of failures."""
    most = rng.randint(3, 4)
    play = Play(rng, {"max_attempts": most, "handler_timeout": 60.0})
    play.backoffs = rng.sample([0.25, 0.5, 0.75, 1.25, 1.75, 2.5, 3.25, 4.0], most + 1)
    kind, at = play.type(), play.quarters(1, 3)
    event = play.event(kind, payload={"order": rng.randint(100, 999)}, priority=rng.randint(-3, 3))
    play.step(0, "start")
    for name, times in zip(play.names(most + 2), [*range(most + 1), most], strict=True):
        play.script(play.subscribe(kind, name), event, *failing(play, times, last=most))
    play.publish(at, event)
    play.idle = play.step(at, "idle")
    play.run(candidate)
    play.lives = {name: lives(at, scripts, play.backoffs) for (name, _), scripts in play.scripts.items()}
    play.drawn = event
    return play


@criterion("A failed handler is retried exactly backoff(n) seconds later, max_attempts times in all", task=2, points=6, hint="retry")
def test_retry_backoff(retries):
    play, event_id = retries, retries.drawn["id"]
    due = [start(at, name, event_id, n) for name, (starts, _) in play.lives.items() for n, at in enumerate(starts, 1)]
    due.append(done(max(end for _, end in play.lives.values()), "idle()"))
    says = (
        "after failed attempt n the next one starts backoff(n) seconds later and sees attempt n + 1; "
        "the last failure is final at once, and idle() returns when the last handler has finished"
    )
    play.same(play.starts() + play.over(play.idle), due, says=says)


@criterion("A dead letter holds everything needed to understand it", task=2, points=4, hint="dead-letter")
def test_dead_letter_complete(candidate, rng):
    play = Play(rng, {"max_attempts": rng.randint(1, 2)})
    most = play.settings["max_attempts"]
    play.backoffs = [9.0, play.quarters(0.25, 2), 9.0]
    kind = play.type()
    names = [play.subscribe(kind, name) for name in play.names(3)]
    play.step(0, "start")
    due = []
    for at in range(1, 40, 10):
        fields = {"key": rng.choice([None, "k1", "k2"]), "priority": rng.randint(-5, 5), "occurred_at": play.quarters(1, 50)}
        event = play.event(kind, **fields)
        play.publish(at, event)
        for name, times in zip(names, rng.sample([0, most, most], 3), strict=True):
            play.script(name, event, *failing(play, times, last=most))
            if times:
                scripts = play.scripts[name, event["id"]]
                event_part = tuple(event[f] for f in FULL[:5])
                _, kind_, text = scripts[-1][-1]
                due.append((*event_part, "handler", name, kind_, text, most, lives(at, scripts, play.backoffs)[1]))
    play.step(41, "idle")
    play.run(candidate)
    play.same_letters(due, *FULL, says="each handler that failed for good leaves one dead letter: the event as published, stage 'handler', "
        "the handler's name, type and text of the last error, the number of attempts and the instant of the last failure")  # fmt: skip
    instants = [letter.at for letter in play.seen.letters]
    expect(instants == sorted(instants), expected="dead_letters lists the oldest first", observed=f"their instants are {instants}")


@criterion("replay() does again only what had failed", task=2, points=6, hint="replay")
def test_replay_one_handler(candidate, rng):
    play = Play(rng, {"max_attempts": 2, "dedup_ttl": 1.0}, middleware=["tracing"])
    play.backoffs = [9.0, play.quarters(0.25, 2), 9.0]
    kind = play.type()
    names = [play.subscribe(kind, name, filtered=(i == 2)) for i, name in enumerate(play.names(3))]
    bad = rng.sample(names[:2], 1)[0]
    broken, refused, stopped = (play.event(kind) for _ in range(3))
    for event in (broken, refused, stopped):
        play.scripts["middleware tracing", event["id"]] = [[["next"]]]
    again = rng.random() < 0.5  # whether the first replay fails as well
    errors = [[["sleep", 0.25], play.error()] for _ in range(4)]
    play.script(bad, broken, *errors[: 4 if again else 2], [["sleep", 0.5]])
    play.scripts[f"filter {names[2]}", refused["id"]] = [[play.error()], [["answer", True]]]
    play.scripts["middleware tracing", stopped["id"]] = [[play.error()], [["next"]]]
    play.step(0, "start")
    for at, event in enumerate(rng.sample([broken, refused, stopped], 3)):
        play.publish(1 + 20 * at, event)
    order = [s["with"]["event"]["id"] for s in play.steps if s["do"] == "publish"]
    play.step(80, "idle")
    wrong = play.step(90, "replay", index=3)
    left, plan = list(order), []
    for at, event in zip((100, 120, 140), rng.sample([broken, refused, stopped], 3), strict=True):
        index = left.index(event["id"])
        play.step(at, "replay", index=index)
        plan.append((at, event["id"]))
        left.pop(index)
        if event is broken and again:
            left.append(event["id"])
    play.run(candidate)
    due = []
    for at, event_id in plan:
        if event_id == broken["id"]:
            due += [start(at, bad, event_id), *([start(at + 0.25 + play.backoffs[1], bad, event_id, 2)] if again else [])]
        elif event_id == refused["id"]:
            due.append(start(at, names[2], event_id))
        else:
            due += [start(at, "tracing", event_id), *(start(at, name, event_id) for name in names)]
    story = [start(c.start, c.name, c.event.id, c.event.attempt) for c in play.of("handler", "middleware") if c.start >= 90]
    says = (
        "a replay runs the failed handler alone, with fresh attempts and without middleware; "
        "after a filter's error the filter and its handler; after a middleware's error the whole event"
    )
    play.same(story, due, says=says)
    remain = [(broken["id"], "handler", bad, 2)] if again else []
    play.same_letters(remain, "id", "stage", "handler", "attempts", says="a replay removes its dead letter; a replay that fails leaves a new one")
    expect(play.outcome(wrong)[1] == "IndexError", expected="replay() of an index that does not exist raises IndexError",
           observed=f"replay(3) with 3 dead letters: {play.outcome(wrong)[1]}", given=play.given())  # fmt: skip


@criterion("An attempt ends at its time-out, even if the handler ignores its cancellation", task=2, points=6, hint="timeout")
def test_handler_timeout(candidate, rng):
    play = Play(rng, {"max_attempts": 2, "handler_timeout": play_quarters(rng, 1, 3)})
    limit = play.settings["handler_timeout"]
    play.backoffs = [9.0, play.quarters(0.25, 2), 9.0]
    kind, at = play.type(), 1.0
    event = play.event(kind)
    long, more = limit + play.quarters(2, 5), limit + play.quarters(9, 20)
    hang, stubborn, quick = [["sleep", long]], [["stubborn", long, more]], [["sleep", limit - 0.25]]
    lots = [[hang, hang], [stubborn, stubborn], [stubborn, quick], [hang, quick], [quick], [stubborn, hang]]
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
    play.run(candidate)
    due.append(done(max(ends), "idle()"))
    says = f"an attempt that has not finished after {limit:g} s is cancelled and has failed at that instant, whatever the handler does with the cancellation"
    play.same(play.starts() + play.over(idle), due, says=says)
    play.same_letters(letters, *("id", "stage", "handler", "error_type", "attempts", "at"), says=says + " (error_type 'TimeoutError')")


def play_quarters(rng, low, high):
    return rng.randint(low * 4, high * 4) / 4


@criterion("A handler that raises CancelledError by itself has failed like any other", task=2, points=3, hint="cancelled-error")
def test_cancelled_error_is_failure(candidate, rng):
    play = Play(rng, {"max_attempts": 2, "concurrency": 1})
    play.backoffs = [9.0, play.quarters(0.25, 2), 9.0]
    kind = play.type()
    names = [play.subscribe(kind, name) for name in play.names(3)]
    play.step(0, "start")
    due, letters = [], []
    for at in range(1, 50, 12):
        event = play.event(kind)
        play.publish(at, event)
        for name, times in zip(names, rng.sample([0, 1, 2], 3), strict=True):
            scripts = [[["sleep", play.quarters(0.25, 2)], ["cancelled"]] for _ in range(times)]
            scripts += [] if times == 2 else [[["sleep", play.quarters(0.25, 2)]]]
            play.script(name, event, *scripts)
            starts, end = lives(at, scripts, play.backoffs)
            due += [start(t, name, event["id"], n) for n, t in enumerate(starts, 1)]
            if times == 2:
                letters.append((event["id"], "handler", name, "CancelledError", 2, end))
    play.step(60, "idle")
    play.run(candidate)
    says = "a CancelledError that the bus did not cause is a failed attempt: retried, then dead-lettered; siblings and later events run"
    play.same(play.starts(), due, says=says)
    play.same_letters(letters, *("id", "stage", "handler", "error_type", "attempts", "at"), says=says)


@criterion("Nobody can change what another handler, a retry or a dead letter sees", task=2, points=4, hint="payload")
def test_payload_isolated(candidate, rng):
    play = Play(rng, {"max_attempts": 2})
    play.backoffs = [9.0, 0.5, 9.0]
    kind = play.type()
    names = [play.subscribe(kind, name, rng.randint(0, 1)) for name in play.names(4)]
    play.step(0, "start")
    sent = {}
    for at in range(1, 40, 10):
        lines = [{"sku": f"s{rng.randint(10, 99)}", "n": rng.randint(1, 9)} for _ in range(2)]
        event = play.event(kind, payload={"lines": lines, "ship": {"to": {"tags": [rng.randint(1, 9)]}}, "total": rng.randint(1, 99)})
        sent[event["id"]] = event["payload"]
        play.publish(at, event, spoil=True)
        for name, times in zip(names, rng.sample([0, 1, 2, 2], 4), strict=True):
            error = play.error()
            play.script(name, event, *([["mutate"], ["sleep", 0.25], error] for _ in range(times)), [["mutate"], ["sleep", 0.25]])
    play.step(50, "idle")
    play.run(candidate)
    says = "every handler and every retry sees the payload as it was published, whatever the publisher (after publish) or another handler does to it"
    for call in play.of("handler"):
        what = f"{call.name}, attempt {call.event.attempt} on {call.event.id}"
        clean = call.event.payload == sent.get(call.event.id)
        expect(clean, expected=f"{says}: {sent.get(call.event.id)}", observed=f"{what} saw {call.event.payload}", given=play.given({call.event.id}))
    count = sum(min(len(s), 2) for s in play.scripts.values())
    expect(len(play.of("handler")) == count, expected=f"all {count} attempts run", observed=f"{len(play.of('handler'))} ran", given=play.given())
    failed = [(i, sent[i]) for (_, i), scripts in play.scripts.items() if len(scripts) == 3]
    play.same_letters(failed, "id", "payload", says="a dead letter holds the payload as it was published")


@criterion("The list of dead letters is bounded, and what it drops is counted", task=2, points=2, hint="dead-letter-limit")
def test_dead_letter_limit(candidate, rng):
    limit, more = rng.randint(3, 6), rng.randint(2, 5)
    play = Play(rng, {"max_attempts": 1, "dead_letter_limit": limit})
    name = play.subscribe(play.type(), play.names(1)[0])
    play.step(0, "start")
    events = [play.event(play.subscriptions[0]["pattern"]) for _ in range(limit + more)]
    for at, event in enumerate(events, 1):
        play.script(name, event, [play.error()])
        play.publish(at, event)
    play.step(len(events) + 1, "idle")
    play.run(candidate)
    says = f"with dead_letter_limit={limit} the {limit} newest dead letters stay, the older ones go"
    play.same_letters([(e["id"], float(at)) for at, e in list(enumerate(events, 1))[more:]], "id", "at", says=says)
    expect(play.seen.dropped == more, expected=f"dead_letters_dropped is {more} after {limit + more} dead letters with a limit of {limit}",
           observed=f"dead_letters_dropped is {play.seen.dropped}", given=play.given())  # fmt: skip


@criterion("Lower handlers and the event's place wait until all retries are over", task=2, points=3, hint="retries-hold")
def test_retries_hold_the_place(candidate, rng):
    play = Play(rng, {"max_attempts": 3, "concurrency": 1})
    play.backoffs = [9.0, *rng.sample([0.5, 1.0, 1.5, 2.5], 2), 9.0]
    kind, at = play.type(), 1.0
    high, low = (play.subscribe(kind, name, level) for name, level in zip(play.names(2), (5, 1), strict=True))
    play.step(0, "start")
    due = []
    for times in rng.sample([0, 1, 2, 3], 4):
        event = play.event(kind)
        play.publish(1.0, event)
        play.script(high, event, *failing(play, times, last=3))
        play.script(low, event, [["sleep", play.quarters(0.25, 1)]])
        starts, end = lives(at, play.scripts[high, event["id"]], play.backoffs)
        due += [start(t, high, event["id"], n) for n, t in enumerate(starts, 1)]
        due.append(start(end, low, event["id"]))
        at = end + seconds(play.scripts[low, event["id"]][0])
    play.step(1.0, "idle")
    play.run(candidate)
    play.same(play.starts(), due, says="a lower handler starts when the higher ones have finished for good, retries included, and until then the event keeps its place of the concurrency")
