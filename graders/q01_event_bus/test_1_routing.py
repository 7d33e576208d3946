"""Task 1: which handlers get an event, in what order, and through which middleware."""

from __future__ import annotations

from archprep.grading import criterion, expect, scenario

from .world import Play, done, seconds, start


@criterion("Exact names, 'prefix.*' and '*' route each event to its handlers", task=1, points=4, hint="routing")
def test_routes_by_pattern(candidate, rng):
    play = Play(rng)
    topic, other = rng.sample(["order", "cart", "user", "parcel"], 2)
    verb, late = rng.sample(["paid", "sent", "lost", "closed"], 2)
    types = [f"{topic}.{verb}", f"{topic}.{verb}.{late}", topic, f"{topic}s.{verb}", f"{topic}-{verb}", f"{other}.{verb}"]
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
    for pattern, name in zip(rng.sample(list(routes), len(routes)), play.names(len(routes)), strict=True):
        play.subscribe(pattern, name)
    taken = rng.choice(play.subscriptions)["name"]
    twice = play.step(0, "subscribe", pattern="*", name=taken)
    play.step(0, "start")
    events = [play.event(rng.choice(types[:2])), *(play.event(t) for t in rng.sample(types, len(types)))]
    for at, event in enumerate(events, 1):
        play.publish(at, event)
    play.step(len(events) + 1, "idle")
    play.run(candidate)
    due = [
        start(at, s["name"], event["id"])
        for at, event in enumerate(events, 1)
        for s in play.subscriptions
        if event["type"] in routes[s["pattern"]]
    ]
    says = "'a.b' matches only 'a.b'; 'a.*' every type that begins with 'a.', at any depth; '*' everything; nothing else is special"
    play.same(play.starts(), due, says=says)
    expect(
        play.outcome(twice)[1] == "ValueError",
        expected="subscribe() with a name that is in use raises ValueError",
        observed=f"a second subscription with the name {taken!r}: {play.outcome(twice)[1]}",
    )


@criterion("An event without any subscriber becomes a dead letter", task=1, points=3, hint="unrouted")
def test_unrouted_dead_lettered(candidate, rng):
    play = Play(rng)
    wanted, filtered = rng.sample(["order.paid", "cart.closed", "user.lost", "parcel.sent"], 2)
    play.subscribe(wanted, play.names(1)[0])
    refuser = play.subscribe(filtered, play.names(1)[0], filtered=True)
    play.step(0, "start")
    kinds = [wanted, filtered, "refund.late", *rng.choices([wanted, filtered, "refund.late", "basket.open"], k=6)]
    events = [play.event(kind) for kind in rng.sample(kinds, len(kinds))]
    for at, event in enumerate(events, 1):
        play.publish(at, event)
        play.scripts[f"filter {refuser}", event["id"]] = [[["answer", False]]]
    play.step(len(events) + 1, "idle")
    play.run(candidate)
    name = play.subscriptions[0]["name"]
    reached = [(at, e) for at, e in enumerate(events, 1) if e["type"] == wanted]
    lost = [(at, e) for at, e in enumerate(events, 1) if e["type"] not in (wanted, filtered)]
    play.same(play.starts(), [start(at, name, e["id"]) for at, e in reached], says="events that match a pattern reach its handler")
    play.same_letters(
        [(e["id"], "routing", None, "NoSubscriber", 0, float(at)) for at, e in lost],
        *("id", "stage", "handler", "error_type", "attempts", "at"),
        says="an event that no pattern matches is dead-lettered (stage 'routing', 'NoSubscriber', attempts 0); "
        "one that a filter refuses is not",
    )


@criterion("A cancelled subscription is not started again, even for queued events", task=1, points=2, hint="cancel")
def test_cancelled_subscription(candidate, rng):
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
    play.run(candidate)
    due = [start(i * long, stays, e["id"]) for i, e in enumerate(events)]
    due += [start(i * long, goes, e["id"]) for i, e in enumerate(events[: last + 1])]
    says = f"after cancel() {goes} is not started any more; {stays} goes on"
    play.same(play.starts(), due, says=says)


@criterion("A filter decides for its own handler only, also when it raises", task=1, points=4, hint="filter")
def test_filter_isolated(candidate, rng):
    play = Play(rng)
    kind = play.type()
    names = [play.subscribe(kind, name, filtered=True) for name in play.names(3)]
    play.step(0, "start")
    answers = [["answer", True], ["answer", False], None]
    due, letters = [], []
    for at in range(1, 9):
        event = play.event(kind)
        play.publish(at, event)
        for name, answer in zip(names, rng.sample(answers, 3) if at < 3 else rng.choices(answers, k=3), strict=True):
            error = play.error()
            play.scripts[f"filter {name}", event["id"]] = [[answer or error]]
            if answer is None:
                letters.append((event["id"], "filter", name, error[1], error[2], 1))
            elif answer[1]:
                due.append(start(at, name, event["id"]))
    play.step(9, "idle")
    play.run(candidate)
    play.same(play.starts(), due, says="each handler runs exactly if its own filter says yes; an error in one filter touches no other handler")
    play.same_letters(
        letters,
        *("id", "stage", "handler", "error_type", "error", "attempts"),
        says="a filter that raises leaves one dead letter: stage 'filter', the handler's name, the error, attempts 1",
    )


@criterion("Middleware wraps the handlers, may change the event, and drops it by not calling next", task=1, points=4, hint="middleware")
def test_middleware_chain(candidate, rng):
    play = Play(rng, middleware=play_names(rng, 3))
    kind, at = play.type(), 1.0
    handler = play.subscribe(kind, play.names(1)[0])
    play.step(0, "start")
    due = {}
    for _ in range(6):
        event, pause, work = play.event(kind), play.quarters(0.25, 1), play.quarters(0.25, 1)
        drop, change = rng.choice([None, None, 0, 1, 2]), rng.choice([None, 0, 1, 2])
        number = play.publish(at, event)
        payload, story = event["payload"], [f"publish at {at:g} s"]
        entered = play.middleware if drop is None else play.middleware[: drop + 1]
        for i, name in enumerate(entered):
            before = [["sleep", pause]] if i == 0 else []
            if change == i and drop != i:
                payload = {"changed": rng.randint(1, 99)}
                before.append(["change", payload])
            play.scripts[f"middleware {name}", event["id"]] = [[*before, *([] if drop == i else [["next"]])]]
        inner = at + pause
        story += [f"{name} begins at {at if i == 0 else inner:g} s" for i, name in enumerate(entered)]
        if drop is None:
            play.script(handler, event, [["sleep", work]])
            story += [f"{handler} begins at {inner:g} s with {payload}", f"{handler} ends at {inner + work:g} s"]
            inner += work
        story += [f"{name} ends at {inner:g} s" for name in reversed(entered)]
        due[event["id"]] = (number, story)
        at += 4
    play.step(at, "idle")
    play.run(candidate)
    says = "first added is outermost; next(event) returns when all handlers have finished; publish() waits for none of it"
    for event_id, (number, story) in due.items():
        seen = middleware_story(play, event_id, number)
        expect(seen == story, expected=f"{says}. Here: " + "; ".join(story), observed="; ".join(seen), given=play.given({event_id}))
    play.same_letters([], "id", "stage", "handler", "error", says="a dropped event leaves no dead letter")


def play_names(rng, count):
    return rng.sample(["tracing", "timing", "tenant", "quota", "redact", "enrich"], count)


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


@criterion("An error in a middleware becomes a dead letter and never reaches the publisher", task=1, points=5, hint="middleware-error")
def test_middleware_error(candidate, rng):
    play = Play(rng, middleware=play_names(rng, 2))
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
    play.run(candidate)
    story = play.starts() + [m for n in published for m in play.over(n)]
    due += [done(at, play._tell_step(play.steps[n])) for at, n in enumerate(published, 1)]
    play.same(story, due, says="publish() returns normally, whatever a middleware raises; the event's handlers run unless it raised before next()")
    play.same_letters(
        letters,
        *("id", "stage", "handler", "error_type", "error", "attempts"),
        says="a middleware that raises, before or after next(), leaves one dead letter: stage 'middleware', handler None, attempts 1",
    )


@criterion("Handlers of an event run by priority: the higher first, equals together", task=1, points=4, hint="handler-priority")
def test_handler_priority(candidate, rng):
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
    play.run(candidate)
    play.same(play.starts(), due, says="a handler starts when all handlers of higher priority have finished; handlers of equal priority start together")
