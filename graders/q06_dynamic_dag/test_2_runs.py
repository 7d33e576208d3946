"""Tasks 2, 3 and 5: runs in which no tenant fails."""

from __future__ import annotations

from collections import Counter, defaultdict

from archprep.grading import criterion, expect, scenario

from .plays import STEPS, Run, days, names, play
from .rows import DAY, cleaned, hard, simple
from .words import called, instant, listed, of_run, times, why
from .world import Platform

BIG, SMALL = 190, 12  # ids of a tenant
MOST_BYTES = 2048


@scenario
def several(candidate, rng):
    """One run: a large tenant, one whose name differs only in case, and one without rows."""
    (start,) = days(rng, 1)
    large, quiet = names(rng, 2)
    twin = large.swapcase()
    platform = Platform(rng)
    for day in (start - DAY, start, start + DAY):
        platform.sources.setdefault(large, []).extend(hard(rng, day, BIG if day == start else 5))
        platform.sources.setdefault(twin, []).extend(hard(rng, day, SMALL))
    tenants = [large, twin, quiet, *rng.choices([large, twin, quiet], k=2)]
    rng.shuffle(tenants)
    run = Run(tenants, start)
    return play(candidate, platform, [run], of_run(run))[0], large


@scenario
def anew(candidate, rng):
    """Two days in a random order, one by hand and one as scheduled; then the first day again."""
    (tenant,) = names(rng, 1)
    first, second = days(rng, 2)
    platform = Platform(rng)
    for day in {first, second, first - DAY, second - DAY, first + DAY, second + DAY}:
        platform.sources.setdefault(tenant, []).extend(simple(rng, day, 9))
        platform.partitions[tenant, day] = [{"id": f"old {n}", "amount_cents": n} for n in range(3)]
    by_hand = rng.random() < 0.5
    runs = [
        Run([tenant], first, by_hand),
        Run([tenant], second, not by_hand),
        Run([tenant], first, not by_hand, days_late=rng.randint(1, 900)),
    ]
    given = f"runs of [{tenant!r}] for the days from {listed(instant(run.start) for run in runs)}"
    return play(candidate, platform, runs, given)


@scenario
def without(candidate, rng):
    """Three runs of nobody."""
    runs = [
        Run(tenants, day, variable=variable)
        for (tenants, variable), day in zip(
            (([], "[]"), (None, None), (None, "null")), days(rng, 3), strict=True
        )
    ]
    rng.shuffle(runs)
    return play(candidate, Platform(rng), runs, "runs without tenants: no Variable, [] and null")


@criterion(
    "Each distinct tenant is extracted, transformed and loaded once",
    task=2,
    points=8,
    hint="one-per-tenant",
)
def test_one_per_tenant(several):
    run, _ = several
    given = of_run(run)
    fetched, begun = run.record.count("fetch"), run.record.count("begin_partition")
    for tenant in run.distinct:
        for count, what in ((fetched[tenant], "fetch"), (begun[tenant], "begin_partition")):
            expect(
                count == 1,
                expected=f"{what} is called once for each distinct tenant",
                observed=f"{what} {called(count, repr(tenant))}{why(run)}",
                given=given,
            )
    for call in run.record.of("fetch", "begin_partition", "write"):
        expect(
            call.tenant in run.distinct,
            expected="only tenants of the Variable are processed, as it is when the run begins",
            observed=f"{call.name} was called for {call.tenant!r}",
            given=given,
        )
    for step in STEPS:
        mapped = [i for i in run.instances(step) if i.map_index >= 0]
        expect(
            len(mapped) == len(run.distinct),
            expected=f"{step} is mapped: {len(run.distinct)} instances, one for each tenant",
            observed=f"it had {len(mapped)} mapped instances{why(run)}",
            given=given,
        )


@criterion(
    "Without tenants nothing happens, and the run does not fail",
    task=2,
    points=6,
    hint="no-tenants",
)
def test_no_tenants(without):
    for run in without:
        given = of_run(run)
        cause = why(run, ("get_tenants", "validate"))
        expect(
            run.record.ended and run.told.state == "success",
            expected="a run without tenants succeeds",
            observed=f"its state is {run.told.state or 'unknown'}{cause}",
            given=given,
        )
        calls = run.record.of("fetch", "stage", "begin_partition", "write")
        expect(
            not calls and not run.record.alerts,
            expected="without tenants nothing is fetched, staged or written, and nobody is alerted",
            observed=f"{calls[0].name} was called for {calls[0].tenant!r}"
            if calls
            else f"alert was called with {run.record.alerts[:1]}",
            given=given,
        )
        for step in STEPS:
            states = {str(i.state) for i in run.instances(step)}
            expect(
                states == {"skipped"},
                expected=f"{step} is skipped, as Airflow does with what is mapped over nothing",
                observed=f"its state is {listed(sorted(states))}"
                if states
                else "there is no such task",
                given=given,
            )


@criterion("Task instances bear the names of their tenants", task=2, points=3, hint="label")
def test_label(several):
    run, _ = several
    for step in STEPS:
        labels = {str(i.label) for i in run.instances(step) if i.map_index >= 0 and i.tries >= 1}
        tenants = set(run.distinct)
        expect(
            bool(labels) and (labels == tenants or (step != STEPS[0] and labels < tenants)),
            expected=f"what has run of {step} is labelled {listed(map(repr, run.distinct))}",
            observed=f"it is labelled {listed(sorted(map(repr, labels)))}"
            if labels
            else f"no instance of it has run{why(run)}",
            given=of_run(run),
        )
    by_index = defaultdict(set)
    for instance in run.instances(*STEPS):
        by_index[instance.map_index].add(instance.label)
    mixed = [labels for labels in by_index.values() if len(labels) > 1]
    expect(
        not mixed,
        expected="the three steps of one tenant have the same label",
        observed=f"one copy of the group is labelled {listed(map(repr, *mixed[:1]))}"
        if mixed
        else "",
        given=of_run(run),
    )


@criterion("Each partition holds the cleaned rows", task=3, points=10, hint="partitions")
def test_partitions(several):
    run, large = several
    for tenant in run.distinct:
        fetched, seen = run.record.fetched(tenant), run.record.written(tenant)
        given = of_run(run, f"the tenant {tenant!r}")
        expect(
            fetched is not None and (bool(fetched) or tenant != large),
            expected="the rows of the interval are fetched",
            observed="none were" + why(run),
            given=given,
        )
        expect(
            seen is not None,
            expected="each tenant has a partition, an empty one if there are no rows",
            observed=f"there is no partition{why(run)}",
            given=given,
        )
        wrong = fault(fetched, cleaned(fetched), seen)
        expect(
            wrong is None,
            expected=wrong[0] if wrong else "",
            observed=wrong[1] + ("" if seen else why(run)) if wrong else "",
            given="\n".join([given, *(wrong[2] if wrong else ())]),
        )


def fault(fetched, due, seen):
    """What is expected, what is there, and the rows of the id concerned; None if all is right."""
    if strictly(seen) == strictly(due):
        return None
    fields = {"id", "amount_cents"}
    for row in seen:
        if set(row) != fields or type(row["id"]) is not str or type(row["amount_cents"]) is not int:
            return "rows like {'id': 'a-1', 'amount_cents': 724}", f"a row is {row!r:.200}", []
    for name, count in Counter(row["id"] for row in seen).items():
        if count > 1:
            return (
                "one row of each id",
                f"the id {name!r} is there {times(count)}",
                versions(fetched, name),
            )
    is_there = {row["id"]: row["amount_cents"] for row in seen}
    should = {row["id"]: row["amount_cents"] for row in due}
    for name in sorted(is_there.keys() | should.keys()):
        if is_there.get(name) != should.get(name):
            return cell(name, should), cell(name, is_there), versions(fetched, name)
    names = [row["id"] for row in seen]
    at = next(i for i, name in enumerate(names) if name != due[i]["id"])
    return (
        f"the rows are sorted by id, as Python sorts texts: number {at + 1} is {due[at]['id']!r}",
        f"number {at + 1} is {names[at]!r}",
        [],
    )


def strictly(rows):
    return [sorted((key, type(value), value) for key, value in row.items()) for row in rows]


def cell(name, amounts):
    return f"{name!r} has {amounts[name]} cents" if name in amounts else f"{name!r} is not there"


def versions(fetched, name):
    rows = [row for row in fetched if row["id"] == name][:6]
    return [f"fetch returned {', '.join(map(repr, row.values()))}" for row in rows]


@criterion("Rows do not travel through XCom", task=3, points=6, hint="xcom-size")
def test_xcom_size(several):
    run, large = several
    staged = [c for c in run.record.of("stage") if c.tenant == large and c.rows]
    where = "reached their partition" if staged else "were staged"
    expect(
        bool(staged and run.record.written(large)),
        expected="rows are staged, and reach the partition",
        observed=f"no rows of {large!r} {where}{why(run)}",
        given=of_run(run),
    )
    sizes = Counter()
    for left in (left for left in run.told.xcoms if left.task != "get_tenants"):
        sizes[left.task, left.map_index] += left.bytes
    for (task, _), size in sizes.most_common():
        expect(
            size <= MOST_BYTES,
            expected="what a task other than get_tenants leaves in XCom has at most 2 KiB",
            observed=f"an instance of {task} left {size:,} bytes",
            given=of_run(
                run, f"fetch returns {len(run.record.fetched(large) or ())} rows of {large!r}"
            ),
        )


@criterion("A run fetches and writes its own data interval", task=5, points=8, hint="intervals")
def test_intervals(several, anew):
    for run in (several[0], *anew):
        own, given = (run.start, run.end), of_run(run)
        for name in ("fetch", "write"):
            calls = run.record.of(name)
            expect(
                bool(calls),
                expected="each run fetches and writes rows",
                observed=f"{name} was never called{why(run)}",
                given=given,
            )
            for call in calls:
                expect(
                    (call.start, call.end) == own,
                    expected=f"{name} is asked for the run's data interval: {_span(*own)}",
                    observed=f"{name} was called with {_span(call.start, call.end)}",
                    given=given,
                )
        for call in run.record.of("begin_partition", "stage"):
            expect(
                call.start == run.start,
                expected=f"the partition is that of the run's start: {instant(run.start)}",
                observed=f"{call.name} was called with {instant(call.start)}",
                given=given,
            )


def _span(start, end):
    return f"[{instant(start)}, {instant(end)})"


@criterion("The same interval again leaves the same", task=5, points=7, hint="again")
def test_again(anew):
    first, _, again = anew
    for run in anew:
        (tenant,) = run.distinct
        rows = run.record.written(tenant)
        expect(
            rows is not None,
            expected="each run makes the tenant's partition anew",
            observed=f"nothing was begun or written{why(run)}",
            given=of_run(run),
        )
        old = [row for row in rows if str(row.get("id", "")).startswith("old ")]
        expect(
            not old,
            expected="the partition holds the rows of this run, and nothing that was in it before",
            observed=f"{len(old)} of its {len(rows)} rows were there before the run",
            given=of_run(run),
        )
    before, after = again.record.before, again.record.after
    for key in sorted(before.keys() | after.keys()):
        was, now = (strictly(rows.get(key, [])) for rows in (before, after))
        own = key == (again.distinct[0], again.start)
        expect(
            was == now and (key in before) == (key in after),
            expected="the second run of an interval leaves its partition as it was, byte by byte"
            if own
            else "the second run of an interval leaves the other partitions as they are",
            observed=f"the partition of {instant(key[1])} had {len(was)} rows, and then {len(now)}"
            + (", others than before" if len(was) == len(now) else "")
            + why(again),
            given=f"first {of_run(first)}\nthen {of_run(again)}",
        )
