"""Task 4: runs in which tenants fail, or nearly."""

from __future__ import annotations

from dataclasses import dataclass

from archprep.grading import criterion, expect, scenario

from .plays import STEPS, Run, days, names, play
from .rows import simple
from .words import called, listed, of_run, times, why
from .world import Fault, Platform

ATTEMPTS = 4
ROWS = 8  # of a tenant: half of them are some
CAUSES = {  # which function fails for good in which step
    "extract": ("fetch",),
    "transform": ("read",),
    "load": ("write", "begin_partition"),
}


@dataclass
class Trouble:
    """Runs on one platform, and who fails there for good: at which function, and how."""

    platform: Platform
    plans: dict[str, tuple[str, str]]
    runs: list[Run]

    def failing(self, run: Run) -> list[str]:
        return [tenant for tenant in run.distinct if tenant in self.plans]

    def given(self, run: Run) -> str:
        plans = [(tenant, *self.plans[tenant]) for tenant in self.failing(run)]
        said = [f"{name} always raises {how.capitalize()} for {who!r}" for who, name, how in plans]
        return of_run(run, *said)


@scenario
def failing(candidate, rng):
    """A run in which each step fails for somebody, then one in which everybody fails."""
    known = sorted(names(rng, 4))
    survivor = known.pop(rng.randint(1, 2))  # sorted or not, neither the first nor the last
    first, second, third = rng.sample(known, 3)
    listing = [first, survivor, second, *[survivor] * 3, third]
    tempers = rng.sample(["transient", "permanent"], 2)
    steps = dict(zip(CAUSES, ["permanent", *tempers], strict=True))
    plans = {
        tenant: (rng.choice(CAUSES[step]), how)
        for (step, how), tenant in zip(steps.items(), rng.sample(known, 3), strict=True)
    }
    doomed = names(rng, rng.randint(1, 2))
    plans |= {f"{tenant} too": ("fetch", "permanent") for tenant in doomed}
    start, later = days(rng, 2)
    runs = [
        Run(listing, start, by_hand=False),
        Run([f"{t} too" for t in doomed], later, by_hand=False),
    ]
    return trouble(candidate, rng, plans, runs)


@scenario
def recovering(candidate, rng):
    """One tenant, whose connection is lost in two steps, and comes back."""
    (tenant,) = names(rng, 1)
    platform = Platform(
        rng,
        {("fetch", tenant): Fault("transient", 3), ("write", tenant): Fault("transient", 1)},
    )
    return trouble(candidate, rng, {}, [Run([tenant], *days(rng, 1), by_hand=False)], platform)


def trouble(candidate, rng, plans, runs, platform=None):
    platform = platform or Platform(rng)
    for tenant, (name, how) in plans.items():
        platform.faults[name, tenant] = Fault(how)
    for run in runs:
        for tenant in run.distinct:
            for day in (run.start - (run.end - run.start), run.start, run.end):
                platform.sources.setdefault(tenant, []).extend(simple(rng, day, ROWS))
    platform.keep_foreign(runs[0].distinct[0])
    platform.keep_foreign("somebody else")
    made = Trouble(platform, plans, runs)
    play(candidate, platform, runs, "\n".join(made.given(run) for run in runs))
    return made


def ids(rows):
    return sorted(str(row.get("id")) for row in rows)


def is_complete(run, tenant):
    """Whether the tenant's partition holds what was fetched in this run, no more and no less."""
    fetched, written = run.record.fetched(tenant), run.record.written(tenant)
    return bool(fetched) and written is not None and ids(fetched) == ids(written)


def missing(run):
    """The tenants whose data is not in the warehouse after this run: a fact."""
    gone = []
    for tenant in run.distinct:
        fetched, written = (run.record.fetched(tenant), run.record.written(tenant))
        if not fetched or not set(ids(fetched)) <= set(ids(written or [])):
            gone.append(tenant)
    return gone


def told_partition(run, tenant):
    fetched, written = run.record.fetched(tenant), run.record.written(tenant)
    if not fetched:
        return f"no rows of {tenant!r} were fetched"
    if written is None:
        return f"{tenant!r} has no partition"
    return f"{len(fetched)} rows of {tenant!r} were fetched, and its partition has {len(written)}"


@criterion("A failing tenant costs the others nothing", task=4, points=8, hint="others-go-on")
def test_others_go_on(failing):
    run = failing.runs[0]
    for tenant in [name for name in run.distinct if name not in failing.plans]:
        expect(
            is_complete(run, tenant),
            expected=f"the partition of {tenant!r} becomes complete in the same run",
            observed=told_partition(run, tenant) + why(run),
            given=failing.given(run),
        )


@criterion(
    "validate fails the run and names who has failed", task=4, points=8, hint="failed-tenants"
)
def test_failed_tenants(failing, recovering):
    survivors = set(failing.runs[0].distinct) - set(missing(failing.runs[0]))
    expect(
        bool(survivors),
        expected="some tenants are loaded and others are not: validate has to tell them apart",
        observed="nobody was loaded" + why(failing.runs[0]),
        given=failing.given(failing.runs[0]),
    )
    for made in (failing, recovering):
        for run in made.runs:
            _expect_verdict(run, made.given(run))


def _expect_verdict(run, given):
    gone, state = missing(run), run.state_of("validate")
    named = {tenant for alert in run.record.alerts for tenant in alert}
    verdict = "failed" if gone else "success"
    expect(
        state == verdict,
        expected=f"validate ends with {verdict}: " + _loaded(gone),
        observed=(f"its state is {state}" if state else "there is no task validate")
        + why(run, ("get_tenants", *STEPS, "validate")),
        given=given,
    )
    expect(
        named == set(gone),
        expected="the alert names exactly the tenants that have failed: " + listed(map(repr, gone)),
        observed=f"{listed(map(repr, sorted(named)))} {'were' if len(named) > 1 else 'was'} named"
        + why(run, ("get_tenants", *STEPS, "validate")),
        given=given,
    )


def _loaded(gone):
    if not gone:
        return "the data of all tenants is there"
    return f"the data of {listed(map(repr, gone))} is not in the partition"


@criterion(
    "Transient errors are retried, permanent ones are not",
    task=4,
    points=7,
    hint="transient-permanent",
)
def test_transient_permanent(failing, recovering):
    (run,) = recovering.runs
    (tenant,) = run.distinct
    given = of_run(
        run, "the first 3 calls of fetch raise Transient, and the first of write, half-way"
    )
    _expect_calls(run, tenant, "fetch", ATTEMPTS, given)
    expect(
        is_complete(run, tenant),
        expected="the tenant's partition is complete in the end",
        observed=told_partition(run, tenant) + why(run),
        given=given,
    )
    for made in failing.runs:
        for name in failing.failing(made):
            function, how = failing.plans[name]
            wanted = 1 if how == "permanent" else ATTEMPTS
            _expect_calls(made, name, function, wanted, failing.given(made))


def _expect_calls(run, tenant, function, wanted, given):
    how = {call.how for call in run.record.of(function) if call.tenant == tenant} - {"ok"}
    count = run.record.count(function)[tenant]
    cause = "Permanent" if wanted == 1 else "Transient"
    expect(
        count == wanted and bool(how),
        expected=f"{function} is called {times(wanted)} for a tenant for whom it raises {cause}",
        observed=f"it {called(count, repr(tenant))}{why(run)}",
        given=given,
    )


@criterion("One alert for a failed run, none for any other", task=4, points=5, hint="one-alert")
def test_one_alert(failing, recovering):
    for made in (failing, recovering):
        for run in made.runs:
            gone, alerts = missing(run), run.record.alerts
            expect(
                bool(run.record.of("fetch")),
                expected="the run fetches data",
                observed="it did not" + why(run),
                given=made.given(run),
            )
            expect(
                len(alerts) == bool(gone),
                expected=f"alert is called {times(bool(gone))}: {_loaded(gone)}",
                observed=f"it {called(len(alerts))}"
                + (
                    f", with {alerts[:6]}"
                    if alerts
                    else why(run, ("get_tenants", *STEPS, "validate"))
                ),
                given=made.given(run),
            )
            if gone:
                named = alerts[0]
                expect(
                    len(named) == len(set(named)),
                    expected="the alert names each tenant once",
                    observed=f"it names {named}",
                    given=made.given(run),
                )


@criterion(
    "cleanup releases what the run has staged, and hides nothing", task=4, points=6, hint="cleanup"
)
def test_cleanup(failing, recovering):
    for made in (failing, recovering):
        for run in made.runs:
            staged, left = set(run.record.staged), set(run.record.left)
            given = made.given(run)
            expect(
                bool(staged) or run is not failing.runs[0],
                expected="rows are staged",
                observed="nothing was staged" + why(run),
                given=given,
            )
            expect(
                run.record.ended and not staged & left,
                expected="nothing is left of what the run has staged",
                observed=f"{len(staged & left)} of its {len(staged)} refs were left"
                + why(run, ("get_tenants", "cleanup")),
                given=given,
            )
            expect(
                set(made.platform.foreign) <= left,
                expected="what others have staged is still there",
                observed="it was released, too",
                given=given,
            )
            expect(
                not (run.state_of("validate") == "failed" and run.told.state != "failed"),
                expected="a run whose validate has failed is a failed run",
                observed=f"the state of the run is {run.told.state}",
                given=given,
            )
