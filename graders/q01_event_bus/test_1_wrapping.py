"""Task 1: what wraps the handlers."""

from __future__ import annotations

from archprep.grading import criterion, expect, scenario

from .words import start
from .world import MIDDLEWARE, Play, play_all


@scenario
def middleware(candidate, rng):
    return play_all(candidate, rng, middleware_chain, middleware_error)


def middleware_chain(rng):
    play = Play(rng, middleware=rng.sample(MIDDLEWARE, 3))
    kind, at = play.type(), 1.0
    handler = play.subscribe(kind, play.names(1)[0])
    play.step(0, "start")
    due = {}
    cases = [
        (None, None),
        (None, 0),
        (None, rng.randint(1, 2)),
        (0, None),
        (1, rng.choice([None, 0])),
        (2, rng.randint(0, 1)),
    ]
    for drop, change in rng.sample(cases, 6):
        event, pause, work = play.event(kind), play.quarters(0.25, 1), play.quarters(0.25, 1)
        number = play.publish(at, event)
        payload, story = event["payload"], [f"publish at {at:g} s"]
        entered = play.middleware if drop is None else play.middleware[: drop + 1]
        for i, name in enumerate(entered):
            before = [["sleep", pause]] if i == 0 else []
            if change == i and drop != i:
                payload = {"changed": rng.randint(1, 99)}
                before.append(["change", payload])
            play.scripts[f"middleware {name}", event["id"]] = [
                [*before, *([] if drop == i else [["next"]])]
            ]
        inner = at + pause
        story += [
            f"{name} begins at {at if i == 0 else inner:g} s" for i, name in enumerate(entered)
        ]
        if drop is None:
            play.script(handler, event, [["sleep", work]])
            story += [
                f"{handler} begins at {inner:g} s with {payload}",
                f"{handler} ends at {inner + work:g} s",
            ]
            inner += work
        story += [f"{name} ends at {inner:g} s" for name in reversed(entered)]
        due[event["id"]] = (number, story)
        at += 4
    play.step(at, "idle")

    def check():
        says = (
            "first added is outermost; next(event) returns when all handlers have finished; "
            "publish() waits for none of it"
        )
        for event_id, (number, story) in due.items():
            seen = middleware_story(play, event_id, number)
            expect(
                seen == story,
                expected=f"{says}. Here: " + "; ".join(story),
                observed="; ".join(seen),
                given=play.given({event_id}),
            )
        play.same_letters(
            [], "id", "stage", "handler", "error", says="a dropped event leaves no dead letter"
        )

    return play.checked_by(check)


@criterion(
    "Middleware wraps the handlers, may change the event, and drops it by not calling next",
    task=1,
    points=3,
    hint="middleware",
)
def test_middleware_chain(middleware):
    middleware[middleware_chain].check()


def middleware_story(play, event_id, number):
    """All that happened to one event, in order, in words."""
    ticks = []
    for call in play.of("middleware", "handler"):
        if call.event.id == event_id:
            with_payload = f" with {call.event.payload}" if call.kind == "handler" else ""
            ticks.append((call.order, f"{call.name} begins at {call.start:g} s{with_payload}"))
            if call.end is not None:
                ticks.append((call.end_order, f"{call.name} ends at {call.end:g} s"))
    at, outcome = play.outcome(number)
    published = f"publish at {at:g} s" if outcome == "ok" else f"publish: {outcome}"
    return [published, *(text for _, text in sorted(ticks))]


def middleware_error(rng):
    play = Play(rng, middleware=rng.sample(MIDDLEWARE, 2))
    kind = play.type()
    names = [play.subscribe(kind, name) for name in play.names(2)]
    play.step(0, "start")
    due, letters, published = [], [], []
    ways = ["before", "after", "never"]
    for at, way in enumerate(rng.sample(ways * 2 + rng.choices(ways, k=2), 8), 1):
        event, error, culprit = play.event(kind), play.error(), rng.choice(play.middleware)
        published.append(play.publish(at, event))
        for name in play.middleware:
            script = [["next"]]
            if name == culprit and way != "never":
                script.insert(0 if way == "before" else 1, error)
            play.scripts[f"middleware {name}", event["id"]] = [script]
        if way != "before":
            due += [start(at, name, event["id"]) for name in names]
        if way != "never":
            letters.append((event["id"], "middleware", None, error[1], error[2], 1))
    play.step(9, "idle")
    due += [play.ends(n, at) for at, n in enumerate(published, 1)]

    def check():
        story = play.starts() + [m for n in published for m in play.over(n)]
        play.same(
            story,
            due,
            says=(
                "publish() returns normally, whatever a middleware raises; the event's handlers "
                "run unless it raised before next()"
            ),
        )
        play.same_letters(
            letters,
            *("id", "stage", "handler", "error_type", "error", "attempts"),
            says=(
                "a middleware that raises, before or after next(), leaves one dead letter: stage "
                "'middleware', handler None, attempts 1"
            ),
        )

    return play.checked_by(check)


@criterion(
    "An error in a middleware becomes a dead letter and never reaches the publisher",
    task=1,
    points=4,
    hint="middleware-error",
)
def test_middleware_error(middleware):
    middleware[middleware_error].check()
