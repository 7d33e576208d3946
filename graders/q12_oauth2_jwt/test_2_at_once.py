"""Task 2: one refresh token, presented several times at once, in two processes."""

from __future__ import annotations

from archprep.grading import criterion, scenario

from .client import play_all
from .world import Site

PROCESSES = 2
RIVALS = 6
GRACE = 0.3  # seconds for all rivals to reach the directory; not all need to


@scenario(waits=True)
def racing(candidate, rng):
    return play_all(candidate, Site(rng), one_winner, probe="several", apps=PROCESSES)


def one_winner(it):
    across(it)
    for held in (True, False, True):
        race(it, held=held)
    together(it)


def across(it):
    """One process knows what the other one has done."""
    person = it.site.person()
    last = it.works(it.login(person), "a login with the right password")
    for app in (1, 0, 1):
        says = f"what one process issued, process {app + 1} of {PROCESSES} refreshes"
        last = it.works(it.refresh(last.refresh, app=app), says)


def race(it, *, held):
    """Rivals with the same token; if `held`, all get to the directory before it answers one."""
    last = it.works(it.login(it.site.person()), "a login with the right password")
    it.begin_anew()
    it.note(
        f"{RIVALS} requests with one refresh token at the same time, over {PROCESSES} processes"
    )
    if held:
        it.note("users.by_id() answers none before all that ask have asked")
    barrier, news = it.site.directory.barrier, it.site.news
    barrier.hold(1000 if held else 0)
    done = news.count
    rivals = it.begin(rival(it, last, number) for number in range(RIVALS))
    if held:
        it.web.wait_until(lambda: len(barrier.waiting) + news.count - done >= RIVALS, seconds=GRACE)
    barrier.release()
    judge_race(it, it.answers(rivals))


def rival(it, last, number):
    form = {"grant_type": "refresh_token", "refresh_token": last.refresh}
    app = number % PROCESSES
    return it.request("POST", "/oauth/token", form=form, app=app, told=True)


def judge_race(it, answers):
    winners = [answer for answer in answers if answer.status == 200]
    it.expect(
        len(winners) == 1 and bool(winners[0].access and winners[0].refresh),
        expected="exactly one of them gets tokens",
        observed=f"{len(winners)} did",
    )
    for answer in answers:
        if answer not in winners:
            it.refused(answer, "the others are refused")


def together(it):
    """Different tokens at the same time do not disturb each other."""
    families = [it.chain(it.site.person(), 1) for _ in range(4)]
    it.begin_anew()
    it.note("refresh tokens of different users at the same time")
    answers = it.all(rival(it, family[-1], n) for n, family in enumerate(families))
    for answer in answers:
        it.works(answer, "each of them works")


@criterion(
    "Of several requests with the same refresh token exactly one gets tokens",
    task=2,
    points=7,
    hint="one-winner",
)
def test_one_winner(racing):
    racing[one_winner].check()
