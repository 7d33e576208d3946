"""Task 2: failures are isolated, retried on time, and kept where they can be replayed."""

from __future__ import annotations

from archprep.grading import criterion, expect, scenario

from .models import lives, seconds
from .words import done, start
from .world import Play, play_all

EVENT = "id type payload key priority".split()
OUTCOME = "stage handler error_type error attempts at".split()


@scenario
def failures(candidate, rng):
    return play_all(
        candidate,
        rng,
        siblings_isolated,
        retry_backoff,
        retries_hold_the_place,
        dead_letter_complete,
        dead_letter_limit,
        cancelled_error_is_failure,
    )


def failing(play, times, *, last=None):
    """Scripts of a handler that fails `times` times, and then returns unless that was the last."""
    scripts = [[["sleep", play.quarters(0.25, 2)], play.error()] for _ in range(times)]
    return scripts if last == times else [*scripts, [["sleep", play.quarters(0.25, 2)]]]


def siblings_isolated(rng):
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
        ends += [
            (name, event["id"], at + seconds(play.scripts[name, event["id"]][0])) for name in high
        ]
    play.step(60, "idle")

    def check():
        play.same(
            play.starts(),
            due,
            says=(
                "every handler of an event runs, whatever its siblings raise; lower ones follow "
                "when the higher have finished"
            ),
        )
        seen = {(c.name, c.event.id): c.end for c in play.of("handler")}
        cut = [
            f"{name} on {event_id} ended at {seen.get((name, event_id))} s, not at {end:g} s"
            for name, event_id, end in ends
            if seen.get((name, event_id)) != end
        ]
        expect(
            not cut,
            expected="a handler works to its end while a sibling fails",
            observed="; ".join(cut[:2]),
            given=play.given(),
        )

    return play.checked_by(check)


@criterion("A failing handler does not affect its siblings", task=2, points=3, hint="siblings")
def test_siblings_isolated(failures):
    failures[siblings_isolated].check()


def retry_backoff(rng):
    """Handlers of equal priority on one event, with all numbers of failures."""
    most = rng.randint(3, 4)
    play = Play(rng, {"max_attempts": most, "handler_timeout": 60.0})
    pauses = rng.sample([0.5, 0.75, 1.25, 1.75, 2.5, 3.25, 4.0], most - 1)
    play.backoffs = [
        0.25,
        *pauses,
        30.0,
    ]  # neither backoff(0) nor a pause after the last attempt is asked for
    kind, at = play.type(), play.quarters(1, 3)
    event = play.event(kind, priority=rng.randint(-3, 3))
    play.step(0, "start")
    due, ends = [], []
    for name, times in zip(play.names(most + 2), [*range(most + 1), most], strict=True):
        play.script(play.subscribe(kind, name), event, *failing(play, times, last=most))
        starts, end = lives(at, play.scripts[name, event["id"]], play.backoffs)
        due += [start(t, name, event["id"], n) for n, t in enumerate(starts, 1)]
        ends.append(end)
    play.publish(at, event)
    idle = play.step(at, "idle")

    def check():
        says = (
            "after failed attempt n the next one starts backoff(n) seconds later and sees "
            "attempt n + 1; "
            "the last failure is final at once, and idle() returns when the last handler has "
            "finished"
        )
        play.same(play.starts() + play.over(idle), [*due, done(max(ends), "idle()")], says=says)

    return play.checked_by(check)


@criterion(
    "A failed handler is retried exactly backoff(n) seconds later, max_attempts times in all",
    task=2,
    points=5,
    hint="retry",
)
def test_retry_backoff(failures):
    failures[retry_backoff].check()


def dead_letter_complete(rng):
    most = 2
    play = Play(rng, {"max_attempts": most})
    play.backoffs = [9.0, play.quarters(0.25, 2), 9.0]
    kind = play.type()
    names = [play.subscribe(kind, name) for name in play.names(3)]
    play.step(0, "start")
    due = []
    for at in range(1, 40, 10):
        fields = {
            "key": rng.choice([None, "k1", "k2"]),
            "priority": rng.randint(-5, 5),
            "occurred_at": play.quarters(1, 50),
        }
        event = play.event(kind, **fields)
        play.publish(at, event)
        for name, times in zip(names, rng.sample([0, most, most], 3), strict=True):
            play.script(name, event, *failing(play, times, last=most))
            if times:
                scripts = play.scripts[name, event["id"]]
                event_part = tuple(event[f] for f in EVENT)
                _, kind_, text = scripts[-1][-1]
                due.append(
                    (
                        *event_part,
                        "handler",
                        name,
                        kind_,
                        text,
                        most,
                        lives(at, scripts, play.backoffs)[1],
                    )
                )
    play.step(41, "idle")

    def check():
        says = (
            "each handler that failed for good leaves one dead letter: the event as published, "
            "stage 'handler', the handler's name, type and text of the last error, the number of "
            "attempts and the instant of the last failure"
        )
        play.same_letters(due, *EVENT, *OUTCOME, says=says)
        instants = [letter.at for letter in play.seen.letters]
        expect(
            instants == sorted(instants),
            expected="dead_letters lists the oldest first",
            observed=f"their instants are {instants}",
        )

    return play.checked_by(check)


@criterion(
    "A dead letter holds everything needed to understand it", task=2, points=3, hint="dead-letter"
)
def test_dead_letter_complete(failures):
    failures[dead_letter_complete].check()


def cancelled_error_is_failure(rng):
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

    def check():
        says = (
            "a CancelledError that the bus did not cause is a failed attempt: retried, then "
            "dead-lettered; siblings and later events run"
        )
        play.same(play.starts(), due, says=says)
        play.same_letters(
            letters, *("id", "stage", "handler", "error_type", "attempts", "at"), says=says
        )

    return play.checked_by(check)


@criterion(
    "A handler that raises CancelledError by itself has failed like any other",
    task=2,
    points=3,
    hint="cancelled-error",
)
def test_cancelled_error_is_failure(failures):
    failures[cancelled_error_is_failure].check()


def dead_letter_limit(rng):
    limit, more = rng.randint(3, 6), rng.randint(2, 5)
    play = Play(rng, {"max_attempts": 1, "dead_letter_limit": limit})
    name = play.subscribe(play.type(), play.names(1)[0])
    play.step(0, "start")
    events = [play.event(play.subscriptions[0]["pattern"]) for _ in range(limit + more)]
    for at, event in enumerate(events, 1):
        play.script(name, event, [play.error()])
        play.publish(at, event)
    play.step(len(events) + 1, "idle")

    def check():
        due = [start(float(at), name, e["id"]) for at, e in enumerate(events, 1)]
        play.same(play.starts(), due, says="each event is handled once, when it is published")
        says = (
            f"with dead_letter_limit={limit} the {limit} newest dead letters stay, the older ones "
            "go"
        )
        play.same_letters(
            [(e["id"], float(at)) for at, e in list(enumerate(events, 1))[more:]],
            "id",
            "at",
            says=says,
        )
        expect(
            play.seen.dropped == more,
            expected=f"with dead_letter_limit={limit}, dead_letters_dropped is {more} after "
            f"{limit + more} dead letters",
            observed=f"dead_letters_dropped is {play.seen.dropped}",
            given=play.given(),
        )

    return play.checked_by(check)


@criterion(
    "The list of dead letters is bounded, and what it drops is counted",
    task=2,
    points=2,
    hint="dead-letter-limit",
)
def test_dead_letter_limit(failures):
    failures[dead_letter_limit].check()


def retries_hold_the_place(rng):
    play = Play(rng, {"max_attempts": 3, "concurrency": 1})
    play.backoffs = [9.0, *rng.sample([0.5, 1.0, 1.5, 2.5], 2), 9.0]
    kind, at = play.type(), 1.0
    high, low = (
        play.subscribe(kind, name, level) for name, level in zip(play.names(2), (5, 1), strict=True)
    )
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

    def check():
        play.same(
            play.starts(),
            due,
            whole=True,
            says=(
                "a lower handler starts when the higher ones have finished for good, retries "
                "included, and until then the event keeps its place of the concurrency"
            ),
        )

    return play.checked_by(check)


@criterion(
    "Lower handlers and the event's place wait until all retries are over",
    task=2,
    points=3,
    hint="retries-hold",
)
def test_retries_hold_the_place(failures):
    failures[retries_hold_the_place].check()
