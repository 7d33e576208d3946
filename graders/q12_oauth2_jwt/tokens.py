"""Access tokens made by hand: right ones, and all the ways in which one can be wrong.

No JWT library makes or reads these tokens, so that none repairs or refuses what is to be tried.
"""

from __future__ import annotations

import base64
import hmac
import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from .world import Pair, Site, draw, ec_key, rsa_key

Pairs = list[tuple[str, Any]]
REQUIRED = ("iss", "aud", "exp", "iat", "sub", "jti", "client_id")
HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
BASE64URL = re.compile("[A-Za-z0-9_-]+")
EC_BYTES = 32  # of each half of an ES256 signature
TYPE = "at+jwt"
MOST = 8192  # characters of a token
FRESH = 100  # seconds for which the tokens of the matrix are good


@dataclass(frozen=True)
class Case:
    """A token, and whether it must be accepted."""

    what: str  # in words, after "an access token …"
    token: bytes
    good: bool


# -- base64url, signatures


def b64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def unb64(part: str) -> bytes:
    """Decode strictly; ValueError if it is not base64url without padding."""
    if not BASE64URL.fullmatch(part):
        raise ValueError("not base64url")
    return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)


def sign(alg: str, key: Any, data: bytes) -> bytes:
    """A signature as RFC 7518 has it; for HS… the key is bytes."""
    digest = HASHES.get(alg[2:], HASHES["256"])
    if isinstance(key, bytes):
        return hmac.digest(key, data, digest.name)
    if isinstance(key, rsa.RSAPrivateKey) and alg.startswith("PS"):
        salted = padding.PSS(padding.MGF1(digest), digest.digest_size)
        return key.sign(data, salted, digest)
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), digest)
    r, s = decode_dss_signature(key.sign(data, ec.ECDSA(digest)))
    return r.to_bytes(EC_BYTES, "big") + s.to_bytes(EC_BYTES, "big")


def is_signed(pair: Pair, data: bytes, signature: bytes) -> bool:
    """Whether the signature is one of this key under its algorithm."""
    public = pair.private.public_key()
    try:
        if pair.alg == "RS256":
            public.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
        else:
            halves = [int.from_bytes(signature[i : i + EC_BYTES], "big") for i in (0, EC_BYTES)]
            public.verify(encode_dss_signature(*halves), data, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


# -- tokens


def dumps(value: Any) -> bytes:
    """JSON; a list of pairs is an object, whose names may occur twice."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, list) and value and isinstance(value[0], tuple):
        members = [
            json.dumps(name).encode() + b":" + json.dumps(item).encode() for name, item in value
        ]
        return b"{" + b",".join(members) + b"}"
    return json.dumps(value).encode()


def token_of(header: Any, claims: Any, alg: str, key: Any) -> bytes:
    """Sign a header and claims, whatever they are."""
    data = b64(dumps(header)) + b"." + b64(dumps(claims))
    return data + b"." + b64(sign(alg, key, data))


@dataclass
class Minter:
    """Makes the tokens of one site, for one user."""

    site: Site
    user: str
    pair: Pair
    scope: str = "read"

    @property
    def rng(self) -> random.Random:
        return self.site.rng

    def header(self, **changed: Any) -> Pairs:
        return change([("typ", TYPE), ("alg", self.pair.alg), ("kid", self.pair.kid)], changed)

    def claims(self, **changed: Any) -> Pairs:
        now = self.site.now
        claims = [
            ("iss", self.site.issuer),
            ("aud", self.site.audience),
            ("sub", self.user),
            ("client_id", "first-party"),
            ("iat", int(now) - 5),
            ("exp", int(now) + FRESH),
            ("jti", draw(self.rng, 22)),
            ("scope", self.scope),
        ]
        return change(claims, changed)

    def make(self, header: Any = None, claims: Any = None, alg: str = "", key: Any = None) -> bytes:
        """A token that is right but for what is given."""
        return token_of(
            header or self.header(),
            claims or self.claims(),
            alg or self.pair.alg,
            key or self.pair.private,
        )


GONE = object()


def change(pairs: Pairs, changed: dict[str, Any]) -> Pairs:
    """Replace, add or, with `GONE`, remove members."""
    kept = [(name, changed.get(name, value)) for name, value in pairs]
    added = [(name, value) for name, value in changed.items() if name not in dict(pairs)]
    return [(name, value) for name, value in kept + added if value is not GONE]


def doubled(pairs: Pairs, name: str, value: Any, *, first: bool) -> Pairs:
    """Add a second member of this name, before or after the first one."""
    return [(name, value), *pairs] if first else [*pairs, (name, value)]


# -- the matrix


def matrix(site: Site, user: str, stranger: str, retired: Pair) -> list[Case]:
    """All cases for the keys in use: forged ones of every kind, and right ones among them."""
    cases: list[Case] = []
    for number in site.ring:
        minter = Minter(site, user, site.keys[number])
        other = site.keys[site.ring[1 - site.ring.index(number)]]
        cases += [Case(f"of {minter.pair.alg} that is in order", minter.make(), good=True)]
        cases += [bad(*found) for found in by_key(minter, other, retired)]
    minter = Minter(site, user, site.keys[site.rng.choice(site.ring)])
    cases += right_ones(minter)
    for kind in (by_claim, by_time, by_header, by_json, by_form):
        cases += [bad(*found) for found in kind(minter)]
    cases.append(bad("whose sub names no user", minter.make(claims=minter.claims(sub=stranger))))
    site.rng.shuffle(cases)
    return cases


def bad(what: str, token: bytes) -> Case:
    return Case(what, token, good=False)


def right_ones(minter: Minter) -> list[Case]:
    """As many different right tokens as the rules leave."""
    site, claims, header = minter.site, minter.claims, minter.header
    now = site.now
    made = {
        "that is in order": minter.make(),
        "that is in order, issued this second": minter.make(claims=claims(iat=now)),
        "that expires in a quarter of a second": minter.make(claims=claims(exp=now + 0.25)),
        "without a scope": minter.make(claims=claims(scope=GONE)),
        "for us alone, as a list": minter.make(claims=claims(aud=[site.audience])),
        "for us and others": minter.make(claims=claims(aud=[draw(minter.rng), site.audience])),
        "that expires in a second": minter.make(claims=claims(exp=now + 1)),
        "that expires in an hour": minter.make(claims=claims(exp=now + 3600)),
        "with an nbf that has come": minter.make(claims=claims(nbf=now)),
        "issued to another client": minter.make(claims=claims(client_id=draw(minter.rng))),
        "with a claim nobody knows": minter.make(claims=claims(team=draw(minter.rng))),
        "whose claims stand in another order": minter.make(claims=claims()[::-1]),
        "whose header stands in another order": minter.make(header()[::-1]),
        "of typ AT+JWT": minter.make(header(typ="AT+JWT")),
        "of typ application/at+jwt": minter.make(header(typ="application/at+jwt")),
        "of typ Application/At+Jwt": minter.make(header(typ="Application/At+Jwt")),
        "with blanks and line breaks in its JSON": minter.make(
            claims=b"{\n " + dumps(claims())[1:-1].replace(b", ", b" ,\n") + b"\n}"
        ),
        "of barely 8192 characters": of_size(minter, MOST - 4),
    }
    return [Case(what, token, good=True) for what, token in made.items()]


def by_key(minter: Minter, other: Pair, retired: Pair) -> Iterator[tuple[str, bytes]]:
    """The wrong key, or the wrong algorithm for it."""
    pair, make, header = minter.pair, minter.make, minter.header
    is_rsa = pair.alg == "RS256"
    stranger = rsa_key(1) if is_rsa else ec_key()
    yield f"signed by another {pair.alg} key under the kid of one of ours", make(key=stranger)
    yield "signed by a key of ours under the kid of the other one", make(header(kid=other.kid))
    yield (
        "signed by a key of ours, under the kid and the alg of the other one",
        make(header(kid=other.kid, alg=other.alg)),
    )
    for alg in ("RS512", "PS256") if is_rsa else ("ES384", "ES512"):
        yield f"of alg {alg}, while its key is for {pair.alg} only", make(header(alg=alg), alg=alg)
    for alg in ("none", "None", "NONE", "nOnE"):
        unsigned = b64(dumps(header(alg=alg))) + b"." + b64(dumps(minter.claims()))
        yield f"of alg {alg}, without a signature", unsigned + b"."
        yield f"of alg {alg}, with a signature", make(header(alg=alg))
    for alg in ("HS256", "HS384", "HS512"):
        yield f"of alg {alg}, with our public key as its secret", hs(minter, alg, pair.public_pem)
    for key in (pair.public_pem.strip(), pair.public_pem.replace(b"\n", b"\r\n")):
        yield "of alg HS256, with our public key as its secret", hs(minter, "HS256", key)
    yield f"of alg {pair.alg}, which is an HMAC under our public key", make(key=pair.public_pem)
    yield "of alg HS256, with the secret of the settings", hs(minter, "HS256", minter.site.secret)
    zero = b"\0"  # the same to an HMAC as no secret at all
    yield "of alg HS256, with an empty secret", hs(minter, "HS256", zero)
    yield from by_retired(minter, retired)
    yield from by_own_key(minter)


def hs(minter: Minter, alg: str, key: bytes) -> bytes:
    return minter.make(minter.header(alg=alg), alg=alg, key=key)


def by_retired(minter: Minter, retired: Pair) -> Iterator[tuple[str, bytes]]:
    header = [("typ", TYPE), ("alg", retired.alg), ("kid", retired.kid)]
    yield (
        "signed by a key that has left the ring",
        token_of(header, minter.claims(), retired.alg, retired.private),
    )


def by_own_key(minter: Minter) -> Iterator[tuple[str, bytes]]:
    """The forger's own key, which the header brings along."""
    own = Pair(draw(minter.rng, 8), "ES256", ec_key())
    numbers = own.private.public_key().public_numbers()
    jwk = {
        "kty": "EC",
        "crv": "P-256",
        "x": b64(numbers.x.to_bytes(EC_BYTES, "big")).decode(),
        "y": b64(numbers.y.to_bytes(EC_BYTES, "big")).decode(),
    }
    for kid in (own.kid, minter.pair.kid, GONE):
        header = change(minter.header(kid=kid, alg="ES256"), {"jwk": jwk})
        told = "no kid" if kid is GONE else "a strange kid" if kid == own.kid else "a kid of ours"
        yield (
            f"with {told} and, in its header, the key that has signed it (jwk)",
            token_of(header, minter.claims(), "ES256", own.private),
        )
    strange = minter.header(kid=own.kid, alg="ES256", jku=f"https://{own.kid}.example/jwks.json")
    yield "with a kid that no key has, and a jku", minter.make(strange, None, "ES256", own.private)


def by_header(minter: Minter) -> Iterator[tuple[str, bytes]]:
    """The header, signed as it is by a key in use."""
    header, make, kid = minter.header, minter.make, minter.pair.kid
    kids = (draw(minter.rng, 8), "", kid.upper(), kid[:-1], f"{kid} ", "../" + kid, "0", None, 0)
    for wrong in (*kids, [kid], {"kid": kid}, True):
        if wrong != kid:
            yield f"whose kid is {json.dumps(wrong)}", make(header(kid=wrong))
    yield "without a kid", make(header(kid=GONE))
    types = ("JWT", "jwt", "rt+jwt", "id+jwt", "at-jwt", "at", "at+jwt2", "application/jwt", "")
    for wrong in (*types, "application/application/at+jwt", "text/at+jwt", None, 1, [TYPE]):
        yield f"of typ {json.dumps(wrong)}", make(header(typ=wrong))
    yield "without a typ", make(header(typ=GONE))
    for wrong in (None, minter.pair.alg.lower(), "", 0, [minter.pair.alg]):
        yield f"of alg {json.dumps(wrong)}", make(header(alg=wrong))
    yield "without an alg", make(header(alg=GONE))
    for crit in (["exp"], ["b64"], [], ["urn:example:strict"], "exp"):
        more = {"crit": crit} | ({"b64": True} if crit == ["b64"] else {})
        yield f"with crit {json.dumps(crit)}", make(change(header(), more))


def by_claim(minter: Minter) -> Iterator[tuple[str, bytes]]:
    """Each claim missing, wrong, of another type."""
    make, claims, site = minter.make, minter.claims, minter.site
    for name in REQUIRED:
        yield f"without {name}", make(claims=claims(**{name: GONE}))
        right = dict(claims())[name]
        strange = [None, True, {"value": right}, [right] if name != "aud" else [f"{right}/"]]
        strange.append(str(right) if isinstance(right, int) else minter.rng.randrange(10**6))
        strange += [""] if name in {"sub", "client_id", "jti"} else []
        for value in strange:
            yield f"whose {name} is {json.dumps(value)}", make(claims=claims(**{name: value}))
    for name, right in (("iss", site.issuer), ("aud", site.audience)):
        other = site.audience if name == "iss" else site.issuer
        for wrong in (f"{right}/", f"{right}.evil.example", right[:-1], right.upper(), "", other):
            yield f"whose {name} is {json.dumps(wrong)}", make(claims=claims(**{name: wrong}))
    for value in (7, ["read"], {"read": True}):
        yield f"whose scope is {json.dumps(value)}", make(claims=claims(scope=value))
    yield (
        "of a client itself, which is called as a user",
        make(claims=claims(client_id=minter.user)),
    )
    for value in (None, str(site.now - 9), [site.now - 9], {}):
        yield f"whose nbf is {json.dumps(value)}", make(claims=claims(nbf=value))
    yield (
        "that is an id token",
        make(minter.header(typ="JWT"), claims(aud="first-party", nonce=draw(minter.rng))),
    )


def by_time(minter: Minter) -> Iterator[tuple[str, bytes]]:
    """Too early, too late, by the clock that was given."""
    make, claims, now = minter.make, minter.claims, minter.site.now
    for late in (1, 30, 3600):
        times = claims(iat=now - late - 300, exp=now - late)
        yield f"that expired {late} s ago", make(claims=times)
    yield "that expired half a second ago", make(claims=claims(exp=now - 0.5))
    yield "that expires now", make(claims=claims(exp=now))
    yield "whose exp is 0", make(claims=claims(exp=0))
    for early in (0.5, 1, 30, 3600):
        yield f"whose nbf comes in {early} s", make(claims=claims(nbf=now + early, exp=now + 9999))
        yield f"whose iat comes in {early} s", make(claims=claims(iat=now + early, exp=now + 9999))


def by_json(minter: Minter) -> Iterator[tuple[str, bytes]]:
    """What is no strict JSON, or no object."""
    make, claims, header = minter.make, minter.claims, minter.header
    for name in REQUIRED:
        right = dict(claims())[name]
        wrong = minter.site.now - 60 if isinstance(right, int) else f"{right}/"
        for value, first in ((wrong, True), (wrong, False), (right, False)):
            where = "before" if first else "after"
            yield (
                f"with a second {name}, {json.dumps(value)}, {where} the right one",
                make(claims=doubled(claims(**{name: right}), name, value, first=first)),
            )
    for name, value in (("alg", "none"), ("kid", "0"), ("typ", "JWT")):
        for first in (True, False):
            where = "before" if first else "after"
            yield (
                f"with a second {name} in its header, {where} the right one",
                make(doubled(header(), name, value, first=first)),
            )
    text = dumps(claims())
    for number in (b"NaN", b"Infinity"):
        found = dumps(claims(exp="EXP")).replace(b'"EXP"', number)
        yield f"whose exp is {number.decode()}", make(claims=found)
    odd = {
        "a JSON array of pairs": json.dumps(claims()).encode(),
        "a JSON array with the claims in it": b"[" + text + b"]",
        "null": b"null",
        "a JSON string": json.dumps(text.decode()).encode(),
        "a number": b"7",
        "empty": b" ",
        "no JSON": text[:-1],
        "JSON and something behind it": text + b"x",
        "two JSON objects": text + b"{}",
        "no UTF-8": text[:-1] + b',"n":"\xff\xfe"}',
    }
    for told, payload in odd.items():
        yield f"whose payload is {told}", make(claims=payload)
    for told in ("null", "[]", "7", '"x"', "{", "{}"):
        yield f"whose header is {told}", make(told.encode())
    yield "whose header is a JSON array", make(b"[" + dumps(header()) + b"]")


def by_form(minter: Minter) -> Iterator[tuple[str, bytes]]:
    """Three parts of base64url, and not otherwise."""
    make, claims = minter.make, minter.claims
    a, b, c = make().split(b".")
    forms = {
        "without a signature": a + b"." + b + b".",
        "without its last part": a + b"." + b,
        "without a payload": a + b".." + c,
        "without a header": b"." + b + b"." + c,
        "that is a header alone": a,
        "that consists of two dots": b"..",
        "with a fourth part": b".".join([a, b, c, c]),
        "with a dot at its end": b".".join([a, b, c, b""]),
        "with five parts": b".".join([a, b, c, b, c]),
        "whose signature lacks bytes": b".".join([a, b, c[:-4]]),
        "whose signature has bytes too many": b".".join([a, b, c + c[:4]]),
        "whose payload is cut": b".".join([a, b[:-4], c]),
        "whose header is cut": b".".join([a[:-4], b, c]),
        "with padding behind its signature": b".".join([a, b, c + b"=="]),
        "with a blank behind a dot": b".".join([a, b, b" " + c]),
        "with a blank in its signature": b".".join([a, b, c[:5] + b" " + c[5:]]),
        "with a tab in its signature": b".".join([a, b, c[:5] + b"\t" + c[5:]]),
        "with a letter in its signature that is not ASCII": b".".join(
            [a, b, c[:5] + b"\xe9" + c[5:]]
        ),
        "whose signature is not ASCII": b".".join([a, b, b"\xc3\xa9" * 40]),
    }
    yield from forms.items()
    yield "with padding behind its header", as_written(minter, a + b"==", b)
    yield "with padding behind its payload", as_written(minter, a, b + b"==")
    for odd, told in (
        (b" ", "a blank"),
        (b"\t", "a tab"),
        (b'"', "a quotation mark"),
        (b"\xe9", "an é"),
    ):
        yield f"with {told} in its payload", as_written(minter, a, b[:8] + odd + b[8:])
    yield "in the other alphabet of base64, with + and /", other_alphabet(minter)
    mine = sign(minter.pair.alg, minter.pair.private, b"something else")
    yield "whose signature is of something else", a + b"." + b + b"." + b64(mine)
    payload = b64(dumps(claims(scope="users:delete admin")))
    yield "whose claims were changed after it was signed", a + b"." + payload + b"." + c
    yield "of more than 8192 characters", of_size(minter, MOST + 5)


def of_size(minter: Minter, size: int) -> bytes:
    """A token of so many characters, or up to 4 more or less."""
    rest = size - len(minter.make(claims=minter.claims(note="")))
    return minter.make(claims=minter.claims(note="x" * (rest * 3 // 4)))


def as_written(minter: Minter, header: bytes, payload: bytes) -> bytes:
    """Two parts as they are, with a right signature of what is written."""
    data = header + b"." + payload
    return data + b"." + b64(sign(minter.pair.alg, minter.pair.private, data))


def other_alphabet(minter: Minter) -> bytes:
    """The claims are such that the alphabets differ."""
    payload = base64.b64encode(dumps(minter.claims(note="???" * 9))).rstrip(b"=")
    return as_written(minter, b64(dumps(minter.header())), payload)


# -- reading what the app has issued and stored


def forms(digest: bytes) -> list[bytes]:
    """Bytes in all notations; of base64 as much as does not depend on what follows."""
    found = [digest, digest.hex().encode(), digest.hex().upper().encode()]
    encoders = (base64.b64encode, base64.urlsafe_b64encode)
    return found + [encode(digest)[: len(digest) // 3 * 4] for encode in encoders]


@dataclass(frozen=True)
class Read:
    """An access token, taken apart."""

    header: dict[str, Any]
    claims: dict[str, Any]
    data: bytes
    signature: bytes


def read(token: str) -> Read | None:
    """Take a token apart; None if it is no JWT of three parts."""
    try:
        header, claims, signature = map(unb64, token.split("."))
        parts = json.loads(header), json.loads(claims)
    except (ValueError, TypeError, RecursionError):
        return None
    if not all(isinstance(part, dict) for part in parts):
        return None
    return Read(*parts, token.rpartition(".")[0].encode(), signature)


def b64decode_loosely(part: bytes) -> str:
    """For the words of a failure only."""
    try:
        return base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4)).decode("utf-8", "replace")
    except ValueError:
        return repr(part)[:80]
