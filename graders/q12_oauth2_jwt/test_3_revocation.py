"""Task 3: what ends, ends at once; and keys change while the app runs."""

from __future__ import annotations

import json

from archprep.grading import criterion, scenario

from .client import play_all
from .tokens import Minter, b64, is_signed
from .world import Site, draw

PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}  # members of private JWKs
EC_BYTES = 32
GRACE = 0.3  # seconds for a refresh to reach the directory


@scenario
def ending(candidate, rng):
    site = Site(rng)
    site.keys.append(site.ec_pair())
    return play_all(candidate, site, ended_at_once, key_rotation)


# -- grants


def ended_at_once(it):
    bystander = it.chain(it.site.person(), 1)[-1]
    parts = [revoked, new_password, disabled, deleted, lost_scope, under_way]
    for part in it.site.rng.sample(parts, len(parts)):
        it.begin_anew()
        part(it)
        says = "what ends for one user does not end for another"
        bystander = it.works(it.refresh(bystander.refresh), says)


def revoked(it):
    """Revocation ends one family, whatever else is thrown at the endpoint."""
    person = it.site.person()
    one, other, third = (it.chain(person, length)[-1] for length in (1, 2, 2))
    for token in (it.site.rng.choice([one, other]).access, draw(it.site.rng, 43)):
        judge_revoked(it, it.revoke(token), "unknown tokens, too: there is nothing to end")
    one = it.works(it.refresh(one.refresh), "a token lives that nobody has revoked")
    for answer in (one, third):
        judge_revoked(it, it.revoke(answer.refresh), "a refresh token is revoked")
        it.refused(it.refresh(answer.refresh), "a revoked refresh token is refused at once")
    it.works(it.refresh(other.refresh), "another family of the same user lives on")


def judge_revoked(it, answer, says):
    it.expect(answer.status == 200, expected=f"200: {says}", observed=answer.tell())


def new_password(it):
    """Whoever knew the old one is out, on every device."""
    person = it.site.person()
    families = [it.chain(person, length)[-1] for length in (1, 3)]
    wrong = it.password(families[0].access, draw(it.site.rng), draw(it.site.rng))
    it.refused(wrong, "the current password is wrong, so that nothing changes")
    families = [it.works(it.refresh(f.refresh), "nothing has changed") for f in families]
    it.change_password(person, families[0].access)
    for answer in families:
        it.refused(it.refresh(answer.refresh), "a new password ends every family of the user")
    fresh = it.works(it.login(person), "a login with the new password, in the same second")
    it.works(it.refresh(fresh.refresh), "what begins after the change of password lives")


def disabled(it):
    person = it.site.person()
    families = [it.chain(person, length)[-1] for length in (1, 2)]
    person.disabled = True
    it.note(f"{person.username} is disabled in the directory")
    for answer in families:
        it.refused(it.refresh(answer.refresh), "a disabled user gets no tokens any more")


def deleted(it):
    person = it.site.person()
    families = [it.chain(person, length)[-1] for length in (1, 2)]
    it.site.directory.people.pop(person.id)
    it.note(f"{person.username} is deleted in the directory")
    for answer in families:
        it.refused(it.refresh(answer.refresh), "a deleted user gets no tokens any more")


def under_way(it):
    """While the directory thinks about a refresh, its family ends."""
    for how in ("POST /oauth/revoke", "POST /password"):
        it.begin_anew()
        person = it.site.person()
        last = it.chain(person, 2)[-1]
        form = {"grant_type": "refresh_token", "refresh_token": last.refresh}
        barrier = it.site.directory.barrier
        barrier.hold(1)
        begun = it.begin([it.request("POST", "/oauth/token", form=form)])
        it.web.wait_until(lambda now=barrier: now.waiting, seconds=GRACE)
        barrier.hold(0)
        it.note(f"users.by_id() has not answered a refresh yet when {how} ends its family")
        if how == "POST /password":
            it.change_password(person, last.access)
        else:
            it.revoke(last.refresh)
        barrier.release()
        (answer,) = it.answers(begun)
        it.refused(answer, "what ends while a refresh is under way ends that one, too")


def lost_scope(it):
    """What was granted once, and what may be granted now, are both limits."""
    person = it.site.person()
    last = it.chain(person, 2)[-1]
    lost = person.scopes.pop(it.site.rng.randrange(len(person.scopes)))
    it.note(f"{person.username} loses the scope {lost} in the directory")
    last = it.works(it.refresh(last.refresh), "a refresh after a scope was lost")
    it.expect(
        last.scopes == sorted(person.scopes),
        expected=f"the new access token has only what is left: {' '.join(sorted(person.scopes))}",
        observed=f"it has {' '.join(last.scopes)!r}",
    )


@criterion(
    "Revoked, a new password, disabled, deleted: the next refresh is refused",
    task=3,
    points=8,
    hint="ended-at-once",
)
def test_ended_at_once(ending):
    ending[ended_at_once].check()


# -- keys


def key_rotation(it):
    """Keys are announced, sign, verify a while longer, and leave."""
    site, person = it.site, it.site.person()
    old = site.ring = [0, 1]
    first = issued(it, person)
    site.ring = it.site.rng.choice([[0, 1, 2], [0, 2, 1]])
    tell_ring(it)
    it.knows(first, person, "the signing key is still the same")
    ahead = Minter(site, person.id, site.keys[2]).make()
    it.knows(ahead.decode(), person, "a key of verifying() need not be the one that signs")
    site.ring = [2, 0]
    tell_ring(it)
    second = issued(it, person)
    it.knows(first, person, "a token of the former key is accepted as long as verifying() has it")
    left(it, Minter(site, person.id, site.keys[1]).make().decode())
    site.ring = [2, 1]
    tell_ring(it)
    left(it, first)
    it.knows(second, person, "a token of the signing key is accepted")
    site.ring = old


def issued(it, person):
    """An access token of this moment, of the key that signs now."""
    answer = it.works(it.login(person), "a login with the right password")
    pair, token = it.site.keys[it.site.ring[0]], answer.read
    kid = token and token.header.get("kid")
    it.expect(
        token is not None and kid == pair.kid and is_signed(pair, token.data, token.signature),
        expected=f"a new access token is signed with the key of signing(), {pair.kid}",
        observed=f"its kid is {kid!r}"
        + (", its signature of another key" if kid == pair.kid else ""),
    )
    judge_jwks(it)
    it.knows(answer.access, person, "a new access token is accepted")
    return answer.access


def left(it, access):
    answer = it.me(access)
    it.expect(
        answer.status == 401,
        expected="a token is refused as soon as its key has left verifying(): 401",
        observed=answer.tell(),
    )


def tell_ring(it):
    signing, *others = (it.site.keys[number].kid for number in it.site.ring)
    it.note(f"the ring changes: {signing} signs, {' and '.join(others)} only verifies")


def judge_jwks(it):
    """The published keys are those of the ring, and no more than their public parts."""
    answer = it.send("GET", "/.well-known/jwks.json")
    keys = answer.body.get("keys")
    pairs = {pair.kid: pair for pair in (it.site.keys[n] for n in it.site.ring)}
    right = isinstance(keys, list) and all(isinstance(key, dict) for key in keys)
    kids = sorted(str(key.get("kid")) for key in keys) if right else answer.tell()
    it.expect(
        kids == sorted(pairs),
        expected=f"jwks.json has the keys of verifying(): {', '.join(sorted(pairs))}",
        observed=f"it has {kids}",
    )
    for key in keys:
        private = sorted(PRIVATE & key.keys())
        it.expect(
            not private and "PRIVATE" not in json.dumps(key),
            expected="jwks.json has the public parts only: anybody may read it",
            observed=f"the key {key['kid']} has {', '.join(private) or 'a private PEM'}",
        )
        due = public_jwk(pairs[str(key["kid"])])
        it.expect(
            due.items() <= key.items(),
            expected=f"a key of jwks.json is, among others, {cut(due)}",
            observed=f"it is {cut(key)}",
        )


def public_jwk(pair):
    """A key as RFC 7517 and RFC 7518 have it."""
    numbers = pair.private.public_key().public_numbers()
    common = {"kid": pair.kid, "alg": pair.alg, "use": "sig"}
    if pair.alg == "ES256":
        x, y = (b64(n.to_bytes(EC_BYTES, "big")).decode() for n in (numbers.x, numbers.y))
        return common | {"kty": "EC", "crv": "P-256", "x": x, "y": y}
    n, e = (
        b64(n.to_bytes((n.bit_length() + 7) // 8, "big")).decode() for n in (numbers.n, numbers.e)
    )
    return common | {"kty": "RSA", "n": n, "e": e}


def cut(jwk):
    return {
        name: f"{str(value)[:12]}…" if len(str(value)) > 16 else value
        for name, value in jwk.items()
    }


@criterion(
    "Keys may be added, take over and leave while the app runs",
    task=3,
    points=6,
    hint="key-rotation",
)
def test_key_rotation(ending):
    ending[key_rotation].check()
