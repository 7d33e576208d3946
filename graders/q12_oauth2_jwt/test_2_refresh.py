"""Task 2: refresh tokens are used once, and what was stolen ends with its family."""

from __future__ import annotations

import hmac

from archprep.grading import criterion, scenario
from archprep.grading.toolkit.draw import Draw

from .client import play_all
from .telling import short
from .tokens import forms
from .world import Site

DAY = 86400


@scenario
def refreshing(candidate, rng):
    site = Site(rng)
    site.client("read", "write")
    return play_all(candidate, site, stored_hashed, rotation, reuse)


# -- rotation


def rotation(it):
    for part in it.site.rng.sample([used_once, narrowed, bound, ends], 4):
        it.begin_anew()
        part(it)


def used_once(it):
    """Some refreshes, one after another; then a used token again."""
    person = it.site.person()
    found = it.chain(person, it.site.rng.randint(3, 5))
    it.expect(
        len({answer.refresh for answer in found}) == len(found),
        expected="each refresh gives a new refresh token",
        observed=f"they are {', '.join(short(answer.refresh) for answer in found)}",
    )
    it.knows(found[-1].access, person, "a refreshed access token works")
    it.refused(it.refresh(found[-2].refresh), "a refresh token that was used is refused")


def narrowed(it):
    """A grant keeps its scope; a single access token may have less."""
    person = it.site.person()
    *granted, withheld = person.scopes
    first = it.works(
        it.login(person, scope=" ".join(granted)), "a login that asks for some of its scopes"
    )
    second = it.works(it.refresh(first.refresh, scope=granted[0]), "a refresh with less scope")
    judge_scopes(it, second, granted[:1], "a refresh may narrow the scope of its access token")
    third = it.works(it.refresh(second.refresh), "a refresh without a scope")
    judge_scopes(it, third, granted, "the next refresh without a scope has the grant's scope again")
    more = it.refresh(third.refresh, scope=f"{granted[0]} {withheld}")
    it.refused(more, "a refresh asks for more than was granted (invalid_scope)")
    it.works(it.refresh(third.refresh), "what was refused because of its scope is not used up")


def judge_scopes(it, answer, due, says):
    it.expect(
        answer.scopes == sorted(due),
        expected=f"{says}: {' '.join(sorted(due))}",
        observed=f"the new access token has the scope {' '.join(answer.scopes)!r}",
    )


def bound(it):
    """A token of /login is the first party's."""
    person, client = it.site.person(), it.site.clients[0]
    first = it.works(it.login(person), "a login with the right password")
    second = it.works(
        it.refresh(first.refresh, client_id="first-party"), "client_id may be first-party"
    )
    says = f"a refresh token of /login, presented with client_id {client.id}, is refused"
    it.refused(it.refresh(second.refresh, client_id=client.id), says)
    it.works(it.refresh(second.refresh), "what another client has tried is not used up")


def ends(it):
    """However often it is refreshed, a family ends when its time is over."""
    life, person = it.site.refresh_ttl_s, it.site.person()
    (last,), waited = it.chain(person, 1), 0
    steps = [it.site.rng.randint(life // 4, life // 3), life // 2, life - 0.5]
    for step in steps:
        it.later(step - waited)
        waited = step
        says = f"refresh_ttl_s ({life:,}) is not over, {waited:,} s after the login"
        last = it.works(it.refresh(last.refresh), says)
    it.later(0.5)
    says = f"refresh_ttl_s ({life:,}) after the login the family has ended, refreshed or not"
    it.refused(it.refresh(last.refresh), says)
    it.works(it.login(person), "a new login begins a new family")


@criterion(
    "A refresh token works once and gives a new one, until the family's time is over",
    task=2,
    points=7,
    hint="rotation",
)
def test_rotation(refreshing):
    refreshing[rotation].check()


# -- reuse


def reuse(it):
    """Of some families, a used token comes again, after as many requests with every seed."""
    rng = it.site.rng

    def make():
        return [(length, rng.randrange(length - 1)) for length in rng.sample([2, 4, 5], 3)]

    for length, again in Draw(rng).until(make, any_used, last_used, first, not_first, last_two):
        come_again(it, length, again)


# Which of the tokens are known to have been used; by the brief it is any of them.


def any_used(plan):
    return [True for _ in plan]


def last_used(plan):
    return [again == length - 2 for length, again in plan]


def first(plan):
    return [again == 0 for _, again in plan]


def not_first(plan):
    return [again > 0 for _, again in plan]


def last_two(plan):
    return [again >= length - 3 for length, again in plan]


def come_again(it, length, again):
    it.begin_anew()
    person = it.site.person()
    other, family = it.chain(person, 2), it.chain(person, length)
    it.later(it.site.rng.randint(1, DAY))
    it.note(f"of a family of {length} tokens the newest is {short(family[-1].refresh)}")
    it.refused(it.refresh(family[again].refresh), "a refresh token that was used is refused")
    it.refused(
        it.refresh(family[-1].refresh),
        "a used token came again, so somebody has stolen it: its whole family is dead, and the "
        "newest token is refused",
    )
    it.works(it.refresh(other[-1].refresh), "another family of the same user lives on")


@criterion(
    "A used refresh token that comes again ends its whole family", task=2, points=8, hint="reuse"
)
def test_reuse(refreshing):
    refreshing[reuse].check()


# -- in the file


def stored_hashed(it):
    families = [it.chain(it.site.person(), length) for length in (1, 2, 3)]
    answers = [answer for family in families for answer in family]
    files = it.files()
    for answer in answers:
        it.expect(
            len(answer.refresh) >= 22,
            expected="a refresh token has 128 random bits or more, 22 letters of base64url",
            observed=f"it is {answer.refresh!r}",
        )
        judge_absent(it, answer.refresh, files)
    for family in families[1:]:
        judge_present(it, family[-1].refresh, files)


def judge_absent(it, token, files):
    it.expect(
        not any(text in files for text in forms(token.encode())),
        expected="no refresh token stands in the database file, nor in a file beside it: neither "
        "in plain nor in hex or base64",
        observed="it stands there",
        given=f"the refresh token {short(token)}",
    )


def judge_present(it, token, files):
    due = hmac.digest(it.site.secret, token.encode(), "sha256")
    it.expect(
        any(text in files for text in forms(due)),
        expected="of a refresh token in use, HMAC-SHA256(settings.secret, token) is stored, as "
        "bytes, in hex or in base64",
        observed=f"of {len(files):,} bytes in the database file, none are that",
        given=f"the refresh token {short(token)}",
    )


@criterion(
    "The database holds no refresh token, only its HMAC", task=2, points=3, hint="stored-hashed"
)
def test_stored_hashed(refreshing):
    refreshing[stored_hashed].check()
