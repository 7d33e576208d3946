"""Task 4: what a login tells strangers, what it costs, and how often they may try."""

from __future__ import annotations

import re

from archprep.core.errors import CandidateError
from archprep.core.model import Reason
from archprep.grading import criterion, scenario

from .client import Answer, play_all
from .world import Person, Site, draw

WINDOW_S = 900
PER_PAIR, PER_ADDRESS = 5, 20
RETRY_AFTER = re.compile("[1-9][0-9]{0,8}")
AT_ONCE = 1.0  # seconds for a reply that takes some milliseconds


@scenario
def signing_in(candidate, rng):
    return play_all(candidate, Site(rng), enumeration, throttle, off_the_loop)


def nobody(it):
    """Somebody whom the directory does not know."""
    rng = it.site.rng
    return Person(f"u-{draw(rng)}", draw(rng, 8), "", draw(rng), "", [])


# -- enumeration


def enumeration(it):
    """All ways to fail, in any order, and right logins among them."""
    site = it.site
    right, disabled = site.person(), site.person()
    disabled.disabled = True
    dummies = [*site.hasher.of_app.values()][:1]
    attempts = [(right, None, True), (right, None, True)]
    attempts += [(right, draw(site.rng), False) for _ in range(2)]
    attempts += [(disabled, None, False), (disabled, draw(site.rng), False)]
    attempts += [(nobody(it), None, False), (nobody(it), draw(site.rng), False)]
    attempts += [(nobody(it), password, False) for password in dummies]
    first = None
    for person, password, good in site.rng.sample(attempts, len(attempts)):
        asked = len(site.hasher.asked)
        answer = it.login(person, password)
        if good:
            it.works(answer, "a login with the right password")
        else:
            it.refused(answer, "a login that fails")
            first = first or answer
            judge_alike(it, first, answer)
        judge_cost(it, person, site.hasher.asked[asked:])


def judge_alike(it, first, answer):
    it.expect(
        (answer.status, answer.reply.body) == (first.status, first.reply.body),
        expected="unknown, wrong password, disabled: status and body are the same",
        observed=f"{answer.tell()}, and before it {first.tell()}",
        given=f"{first.said}\n{answer.said}",
    )


def judge_cost(it, person, asked):
    """One hash is verified for each attempt; time tells nothing where work is the same."""
    known = person.id in it.site.directory.people
    it.expect(
        len(asked) == 1,
        expected="each login asks hasher.verify() exactly once, that of an unknown user, too: "
        "else the time tells who exists",
        observed=f"{len(asked)} times, for {'a known' if known else 'an unknown'} user",
    )
    ((_, password_hash),) = asked
    it.expect(
        password_hash == person.password_hash if known else password_hash in it.site.hasher.of_app,
        expected="the hash is the user's" if known else "the hash is one that hasher.hash() made",
        observed=f"it is {password_hash!r}",
    )


@criterion(
    "A failed login does not tell whether the user exists, not even by the work it costs",
    task=4,
    points=7,
    hint="enumeration",
)
def test_enumeration(signing_in):
    signing_in[enumeration].check()


# -- throttle


def throttle(it):
    parts = [one_name, names_unknown, after_success, one_address, alike]
    for part in it.site.rng.sample(parts, len(parts)):
        it.begin_anew()
        part(it)


def one_name(it):
    """Too many attempts at one name, from one address."""
    site, person, other = it.site, it.site.person(), it.site.person()
    here, there = site.address(), site.address()
    fails(it, person, here, PER_PAIR)
    too_many(it, person, here, "the sixth attempt at a name from an address within 900 s")
    goes(it, person, there, "nobody can lock out somebody else: from another address it works")
    goes(it, other, here, "another name from the same address may still log in")
    too_many(it, person, here, "the success from elsewhere forgets nothing here")
    it.later(WINDOW_S + 1)
    goes(it, person, here, f"after {WINDOW_S} s without an attempt it works again")


def names_unknown(it):
    """The limit must not tell who exists, either."""
    person, here = nobody(it), it.site.address()
    fails(it, person, here, PER_PAIR)
    too_many(it, person, here, "the sixth attempt at a name from an address, whoever that is")


def after_success(it):
    """A success begins the count anew."""
    person, here = it.site.person(), it.site.address()
    for _ in range(2):
        fails(it, person, here, PER_PAIR - 1)
        goes(it, person, here, "the fifth attempt, with the right password")
    fails(it, person, here, PER_PAIR)
    too_many(it, person, here, "the sixth attempt since the last success")


def one_address(it):
    """Many names, a few attempts each, some of them with success."""
    site, here = it.site, it.site.address()
    friends, person = [site.person() for _ in range(2)], site.person()
    steps = [lambda f=f: goes(it, f, here, "20 attempts from an address") for f in friends * 2]
    steps += [lambda: fails(it, nobody(it), here, 1)] * (PER_ADDRESS - len(steps))
    for step in site.rng.sample(steps, len(steps)):
        step()
    too_many(it, person, here, "the 21st attempt from an address within 900 s, whatever the names")
    goes(it, person, site.address(), "another address may still log in")
    it.later(WINDOW_S + 1)
    goes(it, person, here, f"after {WINDOW_S} s without an attempt it works again")


def alike(it):
    """Two pairs of which address and name, joined by a colon, are the same text."""
    one, other, third, fourth = (it.site.person() for _ in range(4))
    one.username, third.username = f"2:{other.username}", f"{fourth.username}:2001"
    for person, here, stranger, there in (
        (one, "2001:db8::1", other, "2001:db8::1:2"),
        (third, "db8::2", fourth, "2001:db8::2"),
    ):
        fails(it, person, here, PER_PAIR)
        goes(it, stranger, there, "another name from another address is another pair")


def fails(it, person, peer, times):
    for _ in range(times):
        answer = it.login(person, draw(it.site.rng), peer=peer)
        it.expect(
            400 <= answer.status < 500 and answer.status != 429,
            expected="a wrong password is refused, and not yet with 429",
            observed=answer.tell(),
        )


def goes(it, person, peer, says):
    it.works(it.login(person, peer=peer), says)


def too_many(it, person, peer, says):
    """With the right password, so that nothing but the limit refuses it."""
    asked = len(it.site.hasher.asked)
    answer = it.login(person, peer=peer)
    wait = answer.reply.header("retry-after") or ""
    it.expect(
        answer.status == 429 and not answer.access,
        expected=f"{says}: 429, with the right password, too",
        observed=answer.tell(),
    )
    it.expect(
        RETRY_AFTER.fullmatch(wait) is not None,
        expected="a 429 has Retry-After: whole seconds, at least 1",
        observed=f"Retry-After is {wait!r}" if wait else "it has none",
    )
    it.expect(
        len(it.site.hasher.asked) == asked,
        expected="an attempt too many does not reach hasher.verify(): 100 ms of a core each",
        observed="hasher.verify() was asked",
    )


@criterion(
    "Guessing is slowed down by name and address, and nobody else is locked out",
    task=4,
    points=6,
    hint="throttle",
)
def test_throttle(signing_in):
    signing_in[throttle].check()


# -- off the loop


def off_the_loop(it):
    """While a hash is computed, others are answered."""
    site, person, other = it.site, it.site.person(), it.site.person()
    token = it.works(it.login(other), "a login with the right password").access
    own = it.works(it.login(person), "a login with the right password").access
    data = {"username": person.username, "password": person.password}
    login = it.request("POST", "/login", data=data)
    held_up(it, login, ["verify"], token, lambda answer: bool(answer.access))
    data = {"current": person.password, "new": draw(site.rng)}
    change = it.request("POST", "/password", bearer=own, data=data)
    held_up(it, change, ["verify", "hash"], token, lambda answer: answer.status == 204)


def held_up(it, sent, calls, token, good):
    """Hold each of these calls of the hasher back, and ask /me meanwhile."""
    barrier = it.site.hasher.barrier
    barrier.hold()
    said, under_way = it.begin([sent])
    try:
        for call in calls:
            reached = it.web.wait_until(lambda: barrier.waiting)
            given = f"{said[0]}; hasher.{call}() has not returned yet"
            it.expect(
                reached, expected=f"hasher.{call}() is asked", observed="it is not", given=given
            )
            judge_meanwhile(it, token, given)
            barrier.release(stay_closed=True)
    finally:
        barrier.release()
    (answer,) = it.answers((said, under_way))
    it.expect(good(answer), expected="then it is answered with success", observed=answer.tell())


def judge_meanwhile(it, token, given):
    said, request = it.request("GET", "/me", bearer=token)
    try:
        answer = Answer(said, it.web.send(request, seconds=AT_ONCE))
    except CandidateError as error:
        if error.reason is not Reason.TIMEOUT:
            raise
        answer = None
    it.expect(
        answer is not None and answer.status == 200,
        expected="while the hasher works, other requests are answered: GET /me gives 200",
        observed=answer.tell()
        if answer
        else f"no reply within {AT_ONCE:g} s: the event loop waits",
        given=given,
    )


@criterion(
    "While a password is hashed, other requests are answered", task=4, points=4, hint="off-the-loop"
)
def test_off_the_loop(signing_in):
    signing_in[off_the_loop].check()
