"""An authorization server: signed access tokens, rotating refresh tokens, codes with PKCE.

`AccessTokens` signs and verifies. `Store` remembers grants, and lets each secret be used once.
`Passwords` keeps argon2 off the event loop. `Grants` decides who gets tokens. The routes are HTTP
around it, and know nothing of how it decides.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import re
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass, fields, replace
from functools import lru_cache, partial
from typing import Annotated, Any
from urllib.parse import unquote_plus, urlencode

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from fastapi import APIRouter, Depends, FastAPI, Request, Response, Security
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from ports import Client, Clock, Hasher, Key, KeyRing, Limiter, Settings, User, Users
from pydantic import BaseModel, Field, StrictStr
from starlette.exceptions import HTTPException

FIRST_PARTY = "first-party"
ACCESS_TYPES = ("at+jwt", "application/at+jwt")
MIN_SECRET, MIN_RSA_BITS, MAX_TOKEN = 32, 2048, 8192
WINDOW_S, PER_PAIR, PER_ADDRESS = 900, 5, 20
HASHES_AT_ONCE = 4  # of 64 MB each: logins queue before the machine swaps
NO_STORE = {"Cache-Control": "no-store"}

_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")  # base64url of 256 bits, RFC 7636 4.2
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")  # RFC 7636 4.1


class OAuthError(Exception):
    """A refusal that the client is told: one of the codes of RFC 6749 5.2 or RFC 6750 3.1."""

    def __init__(
        self, code: str, status: int = 400, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(code)
        self.code, self.status, self.headers = code, status, headers or {}


def invalid_client() -> OAuthError:
    """Return the one error that asks a client to authenticate."""
    return OAuthError("invalid_client", 401, {"WWW-Authenticate": 'Basic realm="oauth"'})


def bearer_error(code: str, status: int, **attributes: str) -> OAuthError:
    """Return an error of a protected resource (RFC 6750 3)."""
    attributes = {"error": code, **attributes}
    listed = ", ".join(f'{name}="{text}"' for name, text in attributes.items())
    return OAuthError(code, status, {"WWW-Authenticate": f"Bearer {listed}"})


# -- scopes


def granted(requested: str | None, allowed: Iterable[str]) -> str:
    """Return the scope to grant: what was asked for, or all that is allowed if nothing was."""
    if requested is None:
        return " ".join(allowed)
    names = dict.fromkeys(requested.split(" "))
    if not names.keys() <= set(allowed):
        raise OAuthError("invalid_scope")
    return " ".join(names)


# -- keys and access tokens


@lru_cache(maxsize=32)  # parsing a PEM takes longer than verifying a signature
def public_key(key: Key) -> Any:
    """Return the key for verifying. Raises ValueError if it is weak or not fit for its `alg`."""
    public = _loaded(load_pem_public_key, key.public_pem)
    strong_rsa = isinstance(public, rsa.RSAPublicKey) and public.key_size >= MIN_RSA_BITS
    p256 = isinstance(public, ec.EllipticCurvePublicKey) and isinstance(public.curve, ec.SECP256R1)
    if not {"RS256": strong_rsa, "ES256": p256}.get(key.alg, False):
        raise ValueError(f"key {key.kid!r} is too weak, or not fit for {key.alg!r}")
    return public


@lru_cache(maxsize=8)
def private_key(key: Key) -> Any:
    """Return the key for signing. Raises ValueError unless it belongs to a good public key."""
    private = _loaded(partial(load_pem_private_key, password=None), key.private_pem)
    if private.public_key() != public_key(key):
        raise ValueError(f"the halves of key {key.kid!r} do not belong together")
    return private


def _loaded(load: Callable[[bytes], Any], pem: str) -> Any:
    try:
        return load(pem.encode())
    except (TypeError, UnsupportedAlgorithm) as error:  # encrypted, or of an unknown kind
        raise ValueError("this is no key for us") from error


def public_jwk(key: Key) -> dict[str, str]:
    """Return the public half as a JWK (RFC 7517 4)."""
    kind = RSAAlgorithm if key.alg == "RS256" else ECAlgorithm
    jwk = kind.to_jwk(public_key(key), as_dict=True)
    jwk.pop("key_ops", None)  # `use` says it already, and the two should not stand together
    return {**jwk, "kid": key.kid, "alg": key.alg, "use": "sig"}


def strict_object(data: bytes) -> dict[str, Any]:
    """Parse a JSON object in which no name comes twice: else two readers may see two tokens."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(found := dict(pairs)) < len(pairs):
            raise ValueError("a name comes twice")
        return found

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON")

    parsed = json.loads(data.decode(), object_pairs_hook=unique, parse_constant=refuse)
    if not isinstance(parsed, dict):
        raise ValueError("not an object")  # noqa: TRY004 - to the caller it is one more bad token
    return parsed


@dataclass(frozen=True, slots=True)
class Access:
    """What a verified access token says."""

    subject: str
    client_id: str
    scope: str


class AccessTokens:
    """JWTs after RFC 9068. The signature is PyJWT's work; the claims are ours: we own the clock."""

    def __init__(self, settings: Settings, keys: KeyRing, clock: Clock) -> None:
        self._settings, self._keys, self._clock = settings, keys, clock
        self._jws = jwt.PyJWS(algorithms=["RS256", "ES256"])
        for key in keys.verifying():
            public_key(key)
        private_key(keys.signing())

    def issue(self, subject: str, client_id: str, scope: str) -> str:
        """Return a signed token."""
        key = self._keys.signing()
        now = int(self._clock.time())  # rounded down: a token from the future would be refused
        claims = {
            "iss": self._settings.issuer,
            "aud": self._settings.audience,
            "sub": subject,
            "client_id": client_id,
            "iat": now,
            "exp": now + self._settings.access_ttl_s,
            "jti": secrets.token_urlsafe(16),
            "scope": scope,
        }
        headers = {"typ": "at+jwt", "kid": key.kid}
        return jwt.encode(claims, private_key(key), algorithm=key.alg, headers=headers)

    def verify(self, token: str) -> Access:
        """Return what the token says. Raises ValueError if anything about it is wrong."""
        if len(token) > MAX_TOKEN or not _COMPACT.fullmatch(token):
            raise ValueError("not a compact JWT")
        try:
            claims = strict_object(self._signed_payload(token))
        except (jwt.PyJWTError, RecursionError) as error:
            raise ValueError("not signed by us") from error
        self._check_times(claims)
        return self._read(claims)

    def _signed_payload(self, token: str) -> bytes:
        head = token.partition(".")[0]
        header = strict_object(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
        by_kid = {key.kid: key for key in self._keys.verifying()}
        kid, typ = header.get("kid"), header.get("typ")
        if not isinstance(kid, str) or kid not in by_kid or "crit" in header:
            raise ValueError("unknown key or extension")
        if not isinstance(typ, str) or typ.lower() not in ACCESS_TYPES:
            raise ValueError("not an access token")
        # The key says which algorithm it is for. What the token says only has to be the same.
        key = by_kid[kid]
        payload: bytes = self._jws.decode(token, public_key(key), algorithms=[key.alg])
        return payload

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        now = self._clock.time()
        times = {name: claims.get(name) for name in ("exp", "iat")}
        if "nbf" in claims:
            times["nbf"] = claims["nbf"]
        for name, at in times.items():
            if type(at) not in (int, float):  # True is an int, and no time
                raise ValueError(f"{name} is no time")
            if (at <= now) if name == "exp" else (at > now):
                raise ValueError(f"{name} is not now")

    def _read(self, claims: Mapping[str, Any]) -> Access:
        audiences = claims.get("aud")
        if not isinstance(audiences, list):
            audiences = [audiences]
        if claims.get("iss") != self._settings.issuer or self._settings.audience not in audiences:
            raise ValueError("of somebody else, or for somebody else")
        if not all(claims.get(name) for name in ("sub", "client_id", "jti")):
            raise ValueError("a claim is missing")
        texts = [claims.get(name, "") for name in ("sub", "client_id", "scope", "jti")]
        if not all(isinstance(text, str) for text in texts):
            raise ValueError("a claim is no text")
        return Access(*texts[:3])


# -- what is remembered


@dataclass(frozen=True, slots=True)
class Grant:
    """What a user lets a client do, until `expires_at`."""

    user_id: str
    client_id: str
    scope: str
    password_mark: bytes  # a new password ends the grant, whoever has set it
    expires_at: float
    bound_to: str = ""  # what a code is bound to: redirect_uri and challenge


class Store:
    """Families of single-use secrets, in SQLite. Synchronous: to be called in a thread.

    A family is a grant and all the secrets that came of it, each from the one before: a code, then
    refresh tokens. Using one up is a single `begin immediate` transaction, in which at most one
    thread of one process is at a time. Only HMACs are stored: the file lets nobody in.
    """

    _schema = (
        """create table if not exists families (
            id integer primary key, user_id text not null, client_id text not null,
            scope text not null, password_mark blob not null, expires_at real not null,
            bound_to text not null, ended integer not null default 0)""",
        """create table if not exists secrets (
            digest blob primary key, kind text not null, used integer not null default 0,
            family integer not null references families on delete cascade)""",
        "create index if not exists families_by_user on families (user_id)",
        "create index if not exists families_by_end on families (expires_at)",
        "create index if not exists secrets_by_family on secrets (family)",
    )

    def __init__(self, path: str, key: bytes, clock: Clock) -> None:
        self._path, self._key, self._clock = path, key, clock
        self._mutex = threading.Lock()  # our own threads queue here: SQLite would let them poll
        with self._transaction() as db:
            for statement in self._schema:
                db.execute(statement)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, and nobody else meanwhile. A connection for each: none is ever forked."""
        connection = sqlite3.connect(self._path, timeout=10, isolation_level=None)
        with self._mutex, closing(connection) as db:
            db.row_factory = sqlite3.Row
            db.execute("pragma foreign_keys = on")
            db.execute("begin immediate")
            with db:
                yield db

    def digest(self, text: str) -> bytes:
        """Return what is stored in the place of a secret."""
        return hmac.digest(self._key, text.encode(), "sha256")

    def begin(self, kind: str, grant: Grant) -> str:
        """Begin a family and return its first secret."""
        with self._transaction() as db:
            db.execute("delete from families where expires_at <= ?", [self._clock.time()])
            family = db.execute(
                "insert into families (user_id, client_id, scope, password_mark, expires_at,"
                " bound_to) values (?, ?, ?, ?, ?, ?)",
                astuple(grant),
            ).lastrowid
            return self._add(db, kind, family)

    def present(self, kind: str, secret: str) -> Grant | None:
        """Return the grant of a secret that may be used. One that was used ends its family."""
        with self._transaction() as db:
            row = self._usable(db, kind, secret)
            return Grant(*(row[field.name] for field in fields(Grant))) if row else None

    def exchange(self, kind: str, secret: str, until: float | None = None) -> str | None:
        """Use a secret up and return a refresh token, or None if it may no longer be used.

        until: the new end of the family.
        """
        with self._transaction() as db:
            row = self._usable(db, kind, secret)
            if row is None:
                return None
            db.execute("update secrets set used = 1 where digest = ?", [row["digest"]])
            if until is not None:
                db.execute("update families set expires_at = ? where id = ?", [until, row["id"]])
            return self._add(db, "refresh_token", row["id"])

    def end_family(self, secret: str) -> None:
        """End the family of a refresh token. Anything else is ignored."""
        with self._transaction() as db:
            db.execute(
                "update families set ended = 1 where id = (select family from secrets"
                " where digest = ? and kind = 'refresh_token')",
                [self.digest(secret)],
            )

    def end_all(self, user_id: str) -> None:
        """End every family of a user, those included of which only a code exists yet."""
        with self._transaction() as db:
            db.execute("update families set ended = 1 where user_id = ?", [user_id])

    def _usable(self, db: sqlite3.Connection, kind: str, secret: str) -> sqlite3.Row | None:
        row: sqlite3.Row | None = db.execute(
            "select * from secrets join families on families.id = family"
            " where digest = ? and kind = ? and not ended and expires_at > ?",
            [self.digest(secret), kind, self._clock.time()],
        ).fetchone()
        if row is None or not row["used"]:
            return row
        # Two hold the same secret, and one of them is a thief. Nobody can say which.
        db.execute("update families set ended = 1 where id = ?", [row["id"]])
        return None

    def _add(self, db: sqlite3.Connection, kind: str, family: int | None) -> str:
        secret = secrets.token_urlsafe(32)
        row = [self.digest(secret), kind, family]
        db.execute("insert into secrets (digest, kind, family) values (?, ?, ?)", row)
        return secret


# -- who gets tokens


class Passwords:
    """The hasher in threads of its own, so that logins hold up neither the loop nor the store."""

    def __init__(self, hasher: Hasher) -> None:
        self._hasher = hasher
        self._threads = ThreadPoolExecutor(HASHES_AT_ONCE, thread_name_prefix="argon2")
        self._nobody = hasher.hash(secrets.token_urlsafe(32))

    async def hash(self, password: str) -> str:
        """Return a new hash."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._hasher.hash, password)

    async def verify(self, password: str, known: str | None) -> bool:
        """Verify. For somebody who has no hash it takes as long, and is wrong."""
        verify, against = self._hasher.verify, self._nobody if known is None else known
        loop = asyncio.get_running_loop()
        right = await loop.run_in_executor(self._threads, verify, password, against)
        return right and known is not None


class Grants:
    """The ways to tokens: each returns the body of a response, or raises OAuthError."""

    def __init__(
        self, settings: Settings, users: Users, hasher: Hasher, keys: KeyRing, clock: Clock
    ) -> None:
        self.settings, self.users, self.keys, self._clock = settings, users, keys, clock
        self.clients = {client.id: client for client in settings.clients}
        self.tokens = AccessTokens(settings, keys, clock)
        self.passwords = Passwords(hasher)
        self.store = Store(settings.database, settings.secret, clock)

    async def login(self, username: str, password: str) -> User:
        """Return the user. All ways to fail look the same, and take one hash each."""
        user = await self.users.by_name(username)
        right = await self.passwords.verify(password, user.password_hash if user else None)
        if user is None or user.disabled or not right:
            raise OAuthError("invalid_grant")
        return user

    async def first_party(self, user: User, requested: str | None) -> dict[str, Any]:
        """Begin a family for a user who has logged in."""
        scope = granted(requested, user.scopes)
        grant = self._grant(user, FIRST_PARTY, scope, self.settings.refresh_ttl_s)
        refresh = await run_in_threadpool(self.store.begin, "refresh_token", grant)
        return self._response(user.id, FIRST_PARTY, scope, refresh)

    async def refresh(self, form: Mapping[str, str], basic: str | None) -> dict[str, Any]:
        """Exchange a refresh token for the next one (RFC 6749 6)."""
        token = required(form, "refresh_token")
        client_id = await self._client_id(form.get("client_id", FIRST_PARTY), basic)
        grant = await run_in_threadpool(self.store.present, "refresh_token", token)
        if grant is None or grant.client_id != client_id:
            raise OAuthError("invalid_grant")
        user = await self._holder(grant)
        scope = granted(form.get("scope"), grant.scope.split())
        return await self._exchange(user, replace(grant, scope=scope), "refresh_token", token)

    async def code(self, form: Mapping[str, str], basic: str | None) -> dict[str, Any]:
        """Redeem an authorization code (RFC 6749 4.1.3, RFC 7636 4.5)."""
        code, verifier = required(form, "code"), required(form, "code_verifier")
        bound_to = f"{required(form, 'redirect_uri')} {challenge_of(verifier)}"
        client_id = await self._client_id(form.get("client_id"), basic)
        grant = await run_in_threadpool(self.store.present, "code", code)
        if grant is None or grant.client_id != client_id or grant.bound_to != bound_to:
            raise OAuthError("invalid_grant")
        until = self._clock.time() + self.settings.refresh_ttl_s
        return await self._exchange(await self._holder(grant), grant, "code", code, until)

    async def client_credentials(
        self, form: Mapping[str, str], basic: str | None
    ) -> dict[str, Any]:
        """Give a client a token for itself (RFC 6749 4.4): no user, and nothing to refresh."""
        client = await self._authenticate(basic)
        return self._response(client.id, client.id, granted(form.get("scope"), client.scopes))

    async def authorize(self, user: User, client: Client, query: Mapping[str, str]) -> str:
        """Return a code for this client (RFC 6749 4.1.1, RFC 7636 4.3)."""
        required(query, "state")
        if required(query, "response_type") != "code":
            raise OAuthError("unsupported_response_type")
        challenge = required(query, "code_challenge")
        # No method means "plain" in RFC 7636, which protects from nobody who sees the request.
        if query.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(challenge):
            raise OAuthError("invalid_request")
        scope = granted(query.get("scope"), self._allowed(user, client.id))
        grant = self._grant(user, client.id, scope, self.settings.code_ttl_s)
        grant = replace(grant, bound_to=f"{query['redirect_uri']} {challenge}")
        return await run_in_threadpool(self.store.begin, "code", grant)

    async def change_password(self, user: User, current: str, new: str) -> None:
        """Replace the password, and end whatever the old one has opened."""
        if not await self.passwords.verify(current, user.password_hash):
            raise OAuthError("invalid_grant")
        fresh = await self.passwords.hash(new)
        try:
            await self.users.set_password(user.id, fresh)
        finally:  # a directory that failed to answer may have done it all the same
            await run_in_threadpool(self.store.end_all, user.id)

    async def _exchange(
        self, user: User, grant: Grant, kind: str, secret: str, until: float | None = None
    ) -> dict[str, Any]:
        # Much may have happened while the directory was asked: the store looks again, and decides.
        token = await run_in_threadpool(self.store.exchange, kind, secret, until)
        if token is None:
            raise OAuthError("invalid_grant")
        allowed = self._allowed(user, grant.client_id)
        scope = " ".join(name for name in grant.scope.split() if name in allowed)
        return self._response(user.id, grant.client_id, scope, token)

    async def _holder(self, grant: Grant) -> User:
        """Return the grant's user as the directory knows him or her now."""
        user = await self.users.by_id(grant.user_id)
        if user is None or user.disabled or self._mark(user) != grant.password_mark:
            raise OAuthError("invalid_grant")
        return user

    def _grant(self, user: User, client_id: str, scope: str, ttl_s: int) -> Grant:
        return Grant(user.id, client_id, scope, self._mark(user), self._clock.time() + ttl_s)

    def _mark(self, user: User) -> bytes:
        """Return what changes with the password, and cannot be attacked as its hash could."""
        return self.store.digest(f"password of {user.id}: {user.password_hash}")

    def _allowed(self, user: User, client_id: str) -> Sequence[str]:
        if client_id == FIRST_PARTY:
            return user.scopes
        return [name for name in self.clients[client_id].scopes if name in user.scopes]

    def _response(
        self, subject: str, client_id: str, scope: str, refresh: str | None = None
    ) -> dict[str, Any]:
        body = {
            "access_token": self.tokens.issue(subject, client_id, scope),
            "token_type": "Bearer",
            "expires_in": self.settings.access_ttl_s,
            "scope": scope,
        }
        return {**body, "refresh_token": refresh} if refresh else body

    async def _client_id(self, claimed: str | None, basic: str | None) -> str:
        """Return who asks. A public client says its name, a confidential one has to prove it."""
        if basic is not None:
            return (await self._authenticate(basic)).id
        if claimed is None:
            raise OAuthError("invalid_request")
        client = self.clients.get(claimed)
        if claimed != FIRST_PARTY and (client is None or client.secret_hash is not None):
            raise invalid_client()
        return claimed

    async def _authenticate(self, basic: str | None) -> Client:
        """Return the client whose id and secret these are."""
        client_id, secret = basic_credentials(basic or "")
        client = self.clients.get(client_id)
        right = await self.passwords.verify(secret, client.secret_hash if client else None)
        if client is None or not right:
            raise invalid_client()
        return client


def challenge_of(verifier: str) -> str:
    """Return the S256 challenge of a verifier (RFC 7636 4.2), or "" if it is malformed."""
    if not _VERIFIER.fullmatch(verifier):
        return ""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def basic_credentials(header: str) -> tuple[str, str]:
    """Return id and secret, each form-encoded inside of the base64 (RFC 6749 2.3.1)."""
    scheme, _, encoded = header.partition(" ")
    try:
        text = base64.b64decode(encoded.strip(" "), validate=True).decode()
    except ValueError:
        raise invalid_client() from None
    client_id, colon, secret = text.partition(":")
    if scheme.lower() != "basic" or not colon:
        raise invalid_client()
    return unquote_plus(client_id), unquote_plus(secret)


# -- parameters


def single(pairs: Iterable[tuple[str, Any]]) -> dict[str, str]:
    """Return parameters by name. None may be repeated; an empty one counts as left out."""
    found: dict[str, str] = {}
    for name, value in pairs:
        if name in found or not isinstance(value, str):
            raise OAuthError("invalid_request")
        found[name] = value
    return {name: value for name, value in found.items() if value}


def required(parameters: Mapping[str, str], name: str) -> str:
    """Return a parameter that must be there."""
    if name not in parameters:
        raise OAuthError("invalid_request")
    return parameters[name]


class LoginForm(BaseModel):
    """The first party's own form. Not the password grant: no other client may ever send it."""

    username: StrictStr
    password: StrictStr
    scope: StrictStr | None = None


class PasswordForm(BaseModel):
    """A change of password."""

    current: StrictStr
    new: Annotated[StrictStr, Field(min_length=1)]


# -- what a route can ask for


def _grants(request: Request) -> Grants:
    grants: Grants = request.app.state.grants
    return grants


Authority = Annotated[Grants, Depends(_grants)]
Bearer = Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]


def _access(scopes: SecurityScopes, credentials: Bearer, grants: Authority) -> Access:
    if credentials is None:  # whoever did not try is told how, but no error (RFC 6750 3.1)
        raise OAuthError("unauthorized", 401, {"WWW-Authenticate": "Bearer"})
    try:
        access = grants.tokens.verify(credentials.credentials)
    except ValueError:
        raise bearer_error("invalid_token", 401) from None
    if not set(scopes.scopes) <= set(access.scope.split()):
        raise bearer_error("insufficient_scope", 403, scope=scopes.scope_str)
    return access


Accessed = Annotated[Access, Security(_access)]


async def _user(access: Accessed, grants: Authority) -> User:
    # A client may be called like a user's id: what it does for itself, it does not do as a user.
    own = access.subject == access.client_id
    user = None if own else await grants.users.by_id(access.subject)
    if user is None or user.disabled:
        raise bearer_error("invalid_token", 401)
    return user


async def _form(request: Request) -> dict[str, str]:
    async with request.form() as form:
        return single(form.multi_items())


CurrentUser = Annotated[User, Depends(_user)]
Parameters = Annotated[dict[str, str], Depends(_form)]

# -- routes

router = APIRouter()


@router.post("/login")
async def login(body: LoginForm, request: Request, grants: Authority) -> JSONResponse:
    """Log a user in with the first party's own form."""
    limiter: Limiter = request.app.state.limiter
    address = request.client.host if request.client else "unknown"
    # By address as well as by name, and never by name alone: else a stranger could lock one out.
    pair = f"login from {address} as {body.username}"
    by_pair = await limiter.hit(pair, WINDOW_S)
    by_address = await limiter.hit(f"login from {address}", WINDOW_S)
    if by_pair > PER_PAIR or by_address > PER_ADDRESS:
        raise OAuthError("slow_down", 429, {"Retry-After": str(WINDOW_S)})
    user = await grants.login(body.username, body.password)
    await limiter.forget(pair)  # but not the address: an attacker may have an account, too
    return JSONResponse(await grants.first_party(user, body.scope or None), headers=NO_STORE)


@router.post("/oauth/token")
async def token(form: Parameters, request: Request, grants: Authority) -> JSONResponse:
    """Exchange a refresh token, a code or a client's secret for tokens."""
    ways = {
        "refresh_token": grants.refresh,
        "authorization_code": grants.code,
        "client_credentials": grants.client_credentials,
    }
    way = ways.get(required(form, "grant_type"))
    if way is None:
        raise OAuthError("unsupported_grant_type")
    return JSONResponse(await way(form, request.headers.get("authorization")), headers=NO_STORE)


@router.post("/oauth/revoke")
async def revoke(form: Parameters, grants: Authority) -> Response:
    """End what a refresh token belongs to. Nobody learns whether it was one (RFC 7009 2.2)."""
    await run_in_threadpool(grants.store.end_family, required(form, "token"))
    return Response(headers=NO_STORE)


@router.get("/oauth/authorize")
async def authorize(
    request: Request, access: Accessed, user: CurrentUser, grants: Authority
) -> Response:
    """Send the user back to a client with a code, or with an error."""
    if access.client_id != FIRST_PARTY:  # an app must not hand itself more than it was given
        raise bearer_error("insufficient_scope", 403)
    pairs = request.query_params.multi_items()
    # Before client and address are known to belong together, nobody is redirected anywhere.
    target = single(pair for pair in pairs if pair[0] in {"client_id", "redirect_uri"})
    client = grants.clients.get(required(target, "client_id"))
    redirect_uri = required(target, "redirect_uri")
    if client is None or redirect_uri not in client.redirect_uris:
        raise OAuthError("invalid_request")
    answer = {"iss": grants.settings.issuer}
    try:
        answer |= single(pair for pair in pairs if pair[0] == "state")
        answer["code"] = await grants.authorize(user, client, single(pairs))
    except OAuthError as error:
        answer["error"] = error.code
    joint = "&" if "?" in redirect_uri else "?"
    location = redirect_uri + joint + urlencode(answer)
    return Response(status_code=302, headers={"Location": location, **NO_STORE})


@router.post("/password", status_code=204)
async def password(body: PasswordForm, user: CurrentUser, grants: Authority) -> None:
    """Change one's password."""
    await grants.change_password(user, body.current, body.new)


@router.get("/me")
async def me(access: Accessed, user: CurrentUser) -> JSONResponse:
    """Tell users about themselves: field by field, so that no new one of User gets out."""
    body = {"id": user.id, "username": user.username, "email": user.email, "scope": access.scope}
    return JSONResponse(body, headers=NO_STORE)


@router.delete(
    "/users/{user_id}", status_code=204, dependencies=[Security(_access, scopes=["users:delete"])]
)
async def delete_user(user_id: str, grants: Authority) -> None:
    """Delete a user, and end what was granted."""
    existed = await grants.users.delete(user_id)
    await run_in_threadpool(grants.store.end_all, user_id)
    if not existed:
        raise OAuthError("not_found", 404)


@router.get("/.well-known/jwks.json")
async def jwks(grants: Authority) -> dict[str, list[dict[str, str]]]:
    """Publish the keys with which others can verify our tokens (RFC 7517 5)."""
    return {"keys": [public_jwk(key) for key in grants.keys.verifying()]}


async def _refused(_: Request, error: Exception) -> JSONResponse:
    """Answer any refusal in the form of RFC 6749 5.2, and keep it out of caches."""
    if isinstance(error, OAuthError):
        code, status, headers = error.code, error.status, error.headers
    elif isinstance(error, HTTPException):
        code, status, headers = "invalid_request", error.status_code, error.headers or {}
    else:  # a body that does not validate; FastAPI's own answer repeats it, password included
        code, status, headers = "invalid_request", 400, {}
    return JSONResponse({"error": code}, status, {**headers, **NO_STORE})


def create_app(
    settings: Settings,
    *,
    users: Users,
    hasher: Hasher,
    keys: KeyRing,
    clock: Clock,
    limiter: Limiter,
) -> FastAPI:
    """Return the application. Raises ValueError if a secret or a key is too weak."""
    if len(settings.secret) < MIN_SECRET:
        raise ValueError(f"settings.secret has less than {MIN_SECRET} bytes (RFC 2104 3)")
    app = FastAPI(title="Authorization server")
    app.state.grants = Grants(settings, users, hasher, keys, clock)
    app.state.limiter = limiter
    app.include_router(router)
    for kind in (OAuthError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, _refused)
    return app
