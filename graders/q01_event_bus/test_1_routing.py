"""Task 1: which handlers get an event, in what order, and through which middleware."""

from __future__ import annotations

from archprep.grading import criterion, expect, scenario

from .models import seconds
from .words import start
from .world import Play, play_all


@scenario
def routing(candidate, rng):
    return play_all(
        candidate,
        rng,
        routes_by_pattern,
        unrouted_dead_lettered,
        cancelled_subscription,
        handler_priority,
        filter_isolated,
    )


def routes_by_pattern(rng):
    play = Play(rng)
    topic, other = rng.sample(["order", "cart", "user", "parcel"], 2)
    verb, late = rng.sample(["paid", "sent", "lost", "closed"], 2)
    types = [
        f"{topic}.{verb}",
        f"{topic}.{verb}.{late}",
        topic,
        f"{topic}s.{verb}",
        f"{topic}-{verb}",
        f"{other}.{verb}",
    ]
    routes = {  # what each pattern matches, by the brief
        f"{topic}.{verb}": types[:1],
        f"{topic}.*": types[:2],
        f"{topic}.{verb}.*": types[1:2],
        topic: types[2:3],
        f"*.{verb}": [],
        f"{topic}.{verb[:-1]}?": [],
        f"{other[:-1]}*": [],
        "*": types,
    }
    for pattern, name in zip(
        rng.sample(list(routes), len(routes)), play.names(len(routes)), strict=True
    ):
        play.subscribe(pattern, name)
    taken = rng.choice(play.subscriptions)["name"]
    twice = play.step(0, "subscribe", pattern="*", name=taken)
    play.step(0, "start")
    events = [
        play.event(rng.choice(types[:2])),
        *(play.event(t) for t in rng.sample(types, len(types))),
    ]
    for at, event in enumerate(events, 1):
        play.publish(at, event)
    play.step(len(events) + 1, "idle")

    def check():
        due = [
            start(at, s["name"], event["id"])
            for at, event in enumerate(events, 1)
            for s in play.subscriptions
            if event["type"] in routes[s["pattern"]]
        ]
        says = (
            "'a.b' matches only 'a.b'; 'a.*' every type that begins with 'a.', at any depth; '*' "
            "everything; nothing else is special"
        )
        play.same(play.starts(), due, says=says)
        expect(
            play.outcome(twice)[1] == "ValueError",
            expected="subscribe() with a name that is in use raises ValueError",
            observed=f"a second subscription with the name {taken!r}: {play.outcome(twice)[1]}",
        )

    return play.checked_by(check)


@criterion(
    "Exact names, 'prefix.*' and '*' route each event to its handlers",
    task=1,
    points=4,
    hint="routing",
)
def test_routes_by_pattern(routing):
    routing[routes_by_pattern].check()


def unrouted_dead_lettered(rng):
    play = Play(rng)
    wanted, filtered = rng.sample(["order.paid", "cart.closed", "user.lost", "parcel.sent"], 2)
    play.subscribe(wanted, play.names(1)[0])
    refuser = play.subscribe(filtered, play.names(1)[0], filtered=True)
    play.step(0, "start")
    kinds = [
        wanted,
        filtered,
        "refund.late",
        *rng.choices([wanted, filtered, "refund.late", "basket.open"], k=6),
    ]
    events = [play.event(kind) for kind in rng.sample(kinds, len(kinds))]
    for at, event in enumerate(events, 1):
        play.publish(at, event)
        if event["type"] == filtered:
            play.scripts[f"filter {refuser}", event["id"]] = [[["answer", False]]]
    play.step(len(events) + 1, "idle")

    def check():
        name = play.subscriptions[0]["name"]
        reached = [(at, e) for at, e in enumerate(events, 1) if e["type"] == wanted]
        lost = [(at, e) for at, e in enumerate(events, 1) if e["type"] not in (wanted, filtered)]
        play.same(
            play.starts(),
            [start(at, name, e["id"]) for at, e in reached],
            says="events that match a pattern reach its handler",
        )
        play.same_letters(
            [(e["id"], "routing", None, "NoSubscriber", 0, float(at)) for at, e in lost],
            *("id", "stage", "handler", "error_type", "attempts", "at"),
            says=(
                "an event that no pattern matches is dead-lettered (stage 'routing', "
                "'NoSubscriber', attempts 0); "
                "one that a filter refuses is not"
            ),
        )

    return play.checked_by(check)


@criterion(
    "An event without any subscriber becomes a dead letter", task=1, points=3, hint="unrouted"
)
def test_unrouted_dead_lettered(routing):
    routing[unrouted_dead_lettered].check()


def cancelled_subscription(rng):
    play = Play(rng, {"concurrency": 1})
    kind = play.type()
    stays, goes = (play.subscribe(kind, name) for name in rng.sample(play.names(2), 2))
    events = [play.event(kind) for _ in range(rng.randint(4, 6))]
    last = rng.randrange(1, len(events) - 1)  # the last one that `goes` still gets
    long = play.quarters(1, 2)
    for event in events:
        play.script(stays, event, [["sleep", long]])
        play.publish(0, event)
    play.step(0, "start")
    play.step(last * long + 0.125, "cancel", name=goes)
    play.step(last * long + 0.125, "idle")

    def check():
        due = [start(i * long, stays, e["id"]) for i, e in enumerate(events)]
        due += [start(i * long, goes, e["id"]) for i, e in enumerate(events[: last + 1])]
        says = f"after cancel() {goes} is not started any more; {stays} goes on"
        play.same(play.starts(), due, says=says)

    return play.checked_by(check)


@criterion(
    "A cancelled subscription is not started again, even for queued events",
    task=1,
    points=2,
    hint="cancel",
)
def test_cancelled_subscription(routing):
    routing[cancelled_subscription].check()


def filter_isolated(rng):
    play = Play(rng)
    kind = play.type()
    names = [play.subscribe(kind, name, filtered=True) for name in play.names(3)]
    play.step(0, "start")
    answers = [["answer", True], ["answer", False], None]
    due, letters = [], []
    for at in range(1, 9):
        event = play.event(kind)
        play.publish(at, event)
        for name, answer in zip(
            names, rng.sample(answers, 3) if at < 3 else rng.choices(answers, k=3), strict=True
        ):
            error = play.error()
            play.scripts[f"filter {name}", event["id"]] = [[answer or error]]
            if answer is None:
                letters.append((event["id"], "filter", name, error[1], error[2], 1))
            elif answer[1]:
                due.append(start(at, name, event["id"]))
    play.step(9, "idle")

    def check():
        play.same(
            play.starts(),
            due,
            says=(
                "each handler runs exactly if its own filter says yes; an error in one filter "
                "touches no other handler"
            ),
        )
        play.same_letters(
            letters,
            *("id", "stage", "handler", "error_type", "error", "attempts"),
            says=(
                "a filter that raises leaves one dead letter: stage 'filter', the handler's "
                "name, the error, attempts 1"
            ),
        )

    return play.checked_by(check)


@criterion(
    "A filter decides for its own handler only, also when it raises",
    task=1,
    points=3,
    hint="filter",
)
def test_filter_isolated(routing):
    routing[filter_isolated].check()


def handler_priority(rng):
    play = Play(rng)
    kind = play.type()
    levels = [*rng.sample(range(-5, 10), 3)]
    for name, level in zip(play.names(6), [*levels, *rng.choices(levels, k=3)], strict=True):
        play.subscribe(kind, name, level)
    play.step(0, "start")
    due = []
    for at in range(1, 80, 20):
        event = play.event(kind)
        play.publish(at, event)
        begin = float(at)
        for level in sorted(levels, reverse=True):
            equals = [s["name"] for s in play.subscriptions if s["priority"] == level]
            for name in equals:
                play.script(name, event, [["sleep", play.quarters(0.25, 3)]])
                due.append(start(begin, name, event["id"]))
            begin += max(seconds(play.scripts[name, event["id"]][0]) for name in equals)
    play.step(81, "idle")

    def check():
        play.same(
            play.starts(),
            due,
            says=(
                "a handler starts when all handlers of higher priority have finished; handlers "
                "of equal priority start together"
            ),
        )

    return play.checked_by(check)


@criterion(
    "Handlers of an event run by priority: the higher first, equals together",
    task=1,
    points=3,
    hint="handler-priority",
)
def test_handler_priority(routing):
    routing[handler_priority].check()
