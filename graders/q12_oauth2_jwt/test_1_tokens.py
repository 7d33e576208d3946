"""Task 1: access tokens, issued and accepted; and what a server must not start with."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec

from archprep.grading import criterion, expect, fake, scenario

from .client import play_all
from .telling import short, tell_jwt
from .tokens import Case, is_signed, matrix
from .world import Hasher, Pair, Site, draw, ec_key, ed_key, rsa_key

AT_ONCE = 24  # tokens presented at the same time


@scenario
def access_tokens(candidate, rng):
    site = Site(rng)
    site.now += 0.5  # of a second, which iat does not have
    return play_all(candidate, site, claims, forged_tokens)


# -- what is accepted


def forged_tokens(it):
    """Right tokens and forged ones, in any order."""
    site = it.site
    person = site.person()
    tokens = it.works(it.login(person), "a login with the right password")
    cases = matrix(site, person.id, f"u-{draw(site.rng, 10)}", site.ec_pair())
    cases += [
        Case("that came from /login", tokens.access.encode(), good=True),
        Case("that is the refresh token", tokens.refresh.encode(), good=False),
    ]
    site.rng.shuffle(cases)
    for start in range(0, len(cases), AT_ONCE):
        some = cases[start : start + AT_ONCE]
        answers = it.all(it.request("GET", "/me", bearer=case.token) for case in some)
        for case, answer in zip(some, answers, strict=True):
            judge_case(it, case, answer, person)


def judge_case(it, case, answer, person):
    given = f"GET /me with Authorization: Bearer {short(case.token)}\n{tell_jwt(case.token)}\n"
    given += f"It is {it.site.now:.1f}; the ring has " + " and ".join(
        f"{pair.kid} ({pair.alg})" for pair in (it.site.keys[n] for n in it.site.ring)
    )
    if case.good:
        it.expect(
            answer.status == 200 and answer.body.get("id") == person.id,
            expected=f"an access token {case.what} is accepted: 200 with the id {person.id}",
            observed=answer.tell(),
            given=given,
        )
    else:
        it.expect(
            answer.status == 401,
            expected=f"an access token {case.what} is refused: 401",
            observed=answer.tell(),
            given=given,
        )


@criterion(
    "Access tokens are accepted if everything about them is right, and refused otherwise",
    task=1,
    points=11,
    hint="forged-tokens",
)
def test_forged_tokens(access_tokens):
    access_tokens[forged_tokens].check()


# -- what is issued


def claims(it):
    """Several logins at one instant, two of them alike."""
    people = [it.site.person() for _ in range(2)]
    seen = []
    for person in [*people, people[0], people[1]]:
        answer = it.works(it.login(person), "a login with the right password")
        judge_token(it, answer, person)
        jti = answer.read.claims.get("jti")
        it.expect(
            isinstance(jti, str) and jti != "" and jti not in seen,
            expected="each access token has a jti of its own, a text",
            observed=f"the jti is {jti!r}; those before it were {', '.join(seen) or 'none'}",
        )
        seen.append(jti)


def judge_token(it, answer, person):
    site, token = it.site, answer.read
    pair = site.keys[site.ring[0]]
    it.expect(
        token is not None,
        expected="an access token is a JWT: three parts of base64url, two of them JSON objects",
        observed=f"it is {answer.access[:60]!r}",
    )
    header = {name: token.header.get(name) for name in ("typ", "alg", "kid")}
    it.expect(
        header == {"typ": "at+jwt", "alg": pair.alg, "kid": pair.kid},
        expected=f"the header has typ at+jwt, and alg {pair.alg} and kid {pair.kid} of signing()",
        observed=f"it is {token.header}",
    )
    it.expect(
        is_signed(pair, token.data, token.signature),
        expected=f"an access token is signed with the key {pair.kid} of signing()",
        observed="its public key does not verify the signature",
    )
    aud = token.claims.get("aud")
    seen = token.claims | {"aud": aud[0] if isinstance(aud, list) and len(aud) == 1 else aud}
    due = {
        "iss": site.issuer,
        "aud": site.audience,
        "sub": person.id,
        "client_id": "first-party",
        "iat": int(site.now),
        "exp": int(site.now) + site.access_ttl_s,
    }
    for name, value in due.items():
        it.expect(
            seen.get(name) == value and not isinstance(seen.get(name), bool),
            expected=f"the claim {name} is {value!r}" + tell_why(name, site),
            observed=f"it is {seen.get(name)!r}",
        )
    judge_response(it, answer, person)


def tell_why(name, site):
    if name == "exp":
        return f", which is iat + access_ttl_s ({site.access_ttl_s})"
    return f", the time of the clock ({site.now}), rounded down" if name == "iat" else ""


def judge_response(it, answer, person):
    """What stands beside the token, and what must not stand in it."""
    body = answer.body
    it.expect(
        type(body.get("expires_in")) is int and body["expires_in"] == it.site.access_ttl_s,
        expected=f"expires_in is access_ttl_s: {it.site.access_ttl_s}",
        observed=f"it is {body.get('expires_in')!r}",
    )
    it.expect(
        str(body.get("token_type")).lower() == "bearer",
        expected="token_type is Bearer",
        observed=f"it is {body.get('token_type')!r}",
    )
    it.expect(
        answer.scopes == sorted(person.scopes) == sorted(str(body.get("scope")).split()),
        expected=f"the claim scope and the scope beside the token are {' '.join(person.scopes)}",
        observed=f"they are {answer.read.claims.get('scope')!r} and {body.get('scope')!r}",
    )
    private = (person.username, person.email, person.password_hash)
    found = [text for text in private if text in str(answer.read.claims)]
    it.expect(
        not found,
        expected="an access token holds no personal data: whoever gets hold of it can read it",
        observed=f"its claims contain {found}",
    )


@criterion(
    "An access token is a JWT after RFC 9068, and lives as long as the response says",
    task=1,
    points=3,
    hint="claims",
)
def test_claims(access_tokens):
    access_tokens[claims].check()


# -- what it starts with


def starts(rng):
    """Settings and rings by which the app starts, or must not; each with its words."""
    right, small = ("RS256", rsa_key(0)), ("RS256", rsa_key(0, 1024))
    fine, curve = ("ES256", ec_key()), ("ES256", ec_key(ec.SECP384R1()))
    good = [([right], n) for n in (32, 33, 48)] + [([fine], n) for n in (32, 64)]
    good += [([right, fine], 32), ([fine, right], 40), ([fine, ("ES256", ec_key())], 32)]
    good += [([right, ("RS256", rsa_key(1))], 32), ([fine, right, ("ES256", ec_key())], 36)]
    bad = [([right], n) for n in (0, 16, 31)] + [([fine, right], 31)]
    bad += [([small], 32), ([right, small], 32), ([fine, small], 40), ([small, fine], 32)]
    bad += [([curve], 32), ([right, curve], 32), ([("ES256", ec_key(ec.SECP256K1()))], 32)]
    bad += [([("RS256", ec_key())], 32), ([("ES256", rsa_key(0))], 32)]
    bad += [([fine, ("RS256", ec_key())], 32), ([right, ("ES256", rsa_key(1))], 32)]
    odd = [(alg, rsa_key(0)) for alg in ("HS256", "none", "RS512", "PS256", "rs256")]
    odd += [("ES384", curve[1]), ("EdDSA", ed_key()), ("ES512", ec_key())]
    bad += [([key], 32) for key in odd] + [([right, key], 32) for key in rng.sample(odd, 3)]
    found = [start(rng, keys, secret, good=True) for keys, secret in good]
    found += [start(rng, keys, secret, good=False) for keys, secret in bad]
    found += [mismatched(rng, [fine, right]), mismatched(rng, [right]), mismatched(rng, [fine])]
    rng.shuffle(found)
    return found


def start(rng, keys, secret, *, good):
    """What the probe is given, whether it must start, and the same in words."""
    site = Site(rng)
    site.keys = [Pair(draw(rng, 8), alg, private) for alg, private in keys]
    site.ring, site.secret = [*range(len(keys))], rng.randbytes(secret)
    told = " and ".join(map(tell_key, keys))
    return (
        site.wire(),
        good,
        f"a secret of {secret} bytes and a ring of {told}; the first one signs",
    )


def mismatched(rng, keys):
    """The first key has the private half of another one."""
    wire, _, told = start(rng, keys, 32, good=False)
    alg, _ = keys[0]
    other = Pair("", alg, rsa_key(1) if alg == "RS256" else ec_key()).wire()
    wire["keys"][0]["private_pem"] = other["private_pem"]
    return wire, False, f"{told}; its private half belongs to another public one"


def tell_key(key):
    alg, private = key
    size = getattr(private, "key_size", None)
    kind = type(private).__name__.strip("_").removesuffix("PrivateKey")
    if hasattr(private, "curve"):
        kind, size = f"EC {private.curve.name}", None
    return f"a key {alg} ({kind}{f', {size} bits' if size else ''})"


@scenario
def started(candidate, rng):
    cases = starts(rng)
    sites = [wire for wire, *_ in cases]
    told = candidate.observe("start_all", returns=list[str], sites=sites, hasher=fake(Hasher(rng)))
    return cases, told


@criterion(
    "With a weak secret or a weak or unfit key the app does not start",
    task=1,
    points=3,
    hint="weak-keys",
)
def test_weak_keys(started):
    cases, told = started
    expect(
        len(told) == len(cases),
        expected=f"create_app() returns or raises, {len(cases)} times",
        observed=f"{len(told)} times",
    )
    for (_, good, given), raised in zip(cases, told, strict=True):
        expect(
            raised == ("" if good else "ValueError"),
            expected="create_app() returns an app" if good else "create_app() raises ValueError",
            observed=f"it raises {raised}" if raised else "it raises nothing",
            given=given,
        )
