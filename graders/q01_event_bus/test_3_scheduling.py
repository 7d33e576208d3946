"""Task 3: which event is next, how many at a time, and what a full queue does."""

from __future__ import annotations

from functools import partial

from archprep.grading import criterion, scenario
from archprep.grading.toolkit.draw import Draw

from . import models
from .models import Load, schedule
from .words import done, start
from .world import Play, play_all


@scenario
def order(candidate, rng):
    return play_all(candidate, rng, event_priority, key_order, concurrency_limit, back_pressure)


def drawn_loads(play, keys, priorities):
    """Events of given keys and priorities, each at its own instant, the last third later."""
    kind, late = play.subscriptions[0]["pattern"], len(keys) * 2 // 3
    events = [
        play.event(kind, key=key, priority=priority)
        for key, priority in zip(keys, priorities, strict=True)
    ]
    return [
        Load(e, i / 16 + (1 if i >= late else 0), play.quarters(0.75, 5))
        for i, e in enumerate(events)
    ]


def situation(loads, starts, at):
    """What the bus has to choose from at an instant, when all went well before."""
    busy = [x for x in loads if starts[x.event["id"]] < at < starts[x.event["id"]] + x.seconds]
    queued = [x for x in loads if x.published <= at <= starts[x.event["id"]]]
    return (
        f" At {at:g} s in processing: {', '.join(map(tell, busy)) or 'nothing'};"
        f" queued, the oldest first: {', '.join(map(tell, queued)) or 'nothing'}."
    )


def tell(load):
    key, priority = load.event["key"], load.event["priority"]
    return f"{load.event['id']} ({'key ' + key if key else 'no key'}, priority {priority})"


def loaded(play, draw, *wrong, says):
    """Draw until the brief fixes the order and no wrong rule leads to it; compare all starts."""
    name = play.subscribe(play.type(), play.names(1)[0])
    places = play.settings["concurrency"]
    by_rule = [partial(schedule, places=places, rule=rule) for rule in (models.BRIEF, *wrong)]
    loads = Draw(play.rng).until(draw, *by_rule)
    starts = schedule(loads, places)
    play.step(0, "start")
    for load in loads:
        play.script(name, load.event, [["sleep", load.seconds]])
        play.publish(load.published, load.event)
    idle = play.step(loads[-1].published, "idle")
    due = [start(at, name, event_id) for event_id, at in starts.items()]
    due.append(done(max(starts[load.event["id"]] + load.seconds for load in loads), "idle()"))

    def check():
        story = play.starts() + play.over(idle)
        play.same(story, due, says=says, more=lambda at: situation(loads, starts, at), whole=True)

    return play.checked_by(check)


def event_priority(rng):
    play = Play(rng, {"concurrency": 1, "handler_timeout": 60.0})

    def draw():
        urgency = [0, 5, 5, -2, 0, *rng.choices([-2, 0, 1, 5], k=5)]
        rng.shuffle(urgency)
        return drawn_loads(play, [None] * 10, urgency)

    return loaded(
        play,
        draw,
        models.NO_PRIORITY,
        models.LOW_FIRST,
        models.NEWEST_FIRST,
        says=(
            "when a place is free, the queued event of the highest priority starts; among equals "
            "the one published first"
        ),
    )


@criterion(
    "Behind a backlog the most urgent event is next, then the oldest",
    task=3,
    points=3,
    hint="event-priority",
)
def test_event_priority(order):
    order[event_priority].check()


def key_order(rng):
    places = rng.randint(2, 3)
    play = Play(rng, {"concurrency": places, "handler_timeout": 60.0})

    def draw():
        a, b = rng.sample(["acct-1", "acct-2", "acct-7", "acct-9"], 2)
        keys = [a] * places + rng.sample(
            [a, a, a, b, b, b, b, *[None] * 5], 12
        )  # the first ones wait for one another
        rising = iter([0, 0, 1, 1, 2, 2])  # in one key the later ones are the more urgent
        return drawn_loads(
            play, keys, [next(rising) if key == a else rng.randint(0, 2) for key in keys]
        )

    says = (
        "an event waits for all earlier events of its key, whatever its priority, and takes "
        "no place of the concurrency "
        "while it waits; events of other keys and without a key use the places meanwhile"
    )
    wrong = [models.NO_PRIORITY, models.LOW_FIRST, models.NEWEST_FIRST, models.AGELESS]
    wrong += [models.NO_KEYS, models.OVERTAKING, models.ONE_PLACE_LESS, models.ONE_PLACE_MORE]
    return loaded(play, draw, *wrong, says=says)


@criterion(
    "Events of one key run one after another in publish order, others in parallel",
    task=3,
    points=6,
    hint="key-order",
)
def test_key_order(order):
    order[key_order].check()


def concurrency_limit(rng):
    play = Play(rng, {"concurrency": rng.randint(2, 4), "handler_timeout": 60.0})

    def draw():
        return drawn_loads(play, [None] * 12, [0] * 12)

    return loaded(
        play,
        draw,
        models.NEWEST_FIRST,
        models.ONE_PLACE_LESS,
        models.ONE_PLACE_MORE,
        says=(
            f"{play.settings['concurrency']} events are in processing at a time, in publish "
            "order; the next starts when one has finished"
        ),
    )


@criterion(
    "At most `concurrency` events are in processing, and as many if there are",
    task=3,
    points=3,
    hint="concurrency",
)
def test_concurrency_limit(order):
    order[concurrency_limit].check()


def back_pressure(rng):
    size = rng.randint(2, 4)
    play = Play(rng, {"concurrency": 1, "queue_size": size})
    each = play.quarters(1, 3)
    kind = play.type()
    name = play.subscribe(kind, play.names(1)[0])
    play.step(0, "start")
    at, due = 1.0, []
    accepted, refused, waiting = (
        [play.event(kind) for _ in range(size + 1)],
        play.event(kind),
        [play.event(kind) for _ in range(3)],
    )
    steps = []
    for event in accepted:  # one in processing, `size` in the queue
        steps.append((play.publish(at, event, block=rng.random() < 0.5), at, "ok"))
        at += 0.0625
    steps.append((play.publish(at, refused, block=False), at, "QueueFull"))
    for i, event in enumerate(waiting, 1):
        at += 0.0625
        steps.append((play.publish(at, event, spawn=True), 1 + i * each, "ok"))
    for i, event in enumerate([*accepted, *waiting]):
        play.script(name, event, [["sleep", each]])
        due.append(start(1 + i * each, name, event["id"]))
    idle = play.step(at, "idle")
    due.append(done(1 + (size + 4) * each, "idle()"))
    due += [play.ends(n, t, outcome) for n, t, outcome in steps]

    def check():
        story = play.starts() + [
            m
            for n in [idle, *(n for n, _, _ in steps)]
            for m in play.over(n, "idle()" if n == idle else None)
        ]
        says = (
            "publish() returns when the event is queued; on a full queue block=False raises "
            "QueueFull and accepts nothing, "
            "block=True waits until an event leaves the queue"
        )
        play.same(story, due, says=says, whole=True)

    return play.checked_by(check)


@criterion(
    "A full queue refuses or holds back the publisher, first come, first served",
    task=3,
    points=3,
    hint="back-pressure",
)
def test_back_pressure(order):
    order[back_pressure].check()
