"""An OAuth 2.0 authorization server. README.md has the rules.

How it keeps its promises:

* Every change of a family or a code is one `BEGIN IMMEDIATE` transaction, so that SQLite's lock
  decides which of two processes was first. Nobody waits for a port within a transaction: what was
  true before the directory was asked is looked up again once it has answered.
* What begins (a family, a code) after something was asked must not outlive an end that came in
  between. So the database counts its events: a login notes the count before it asks the directory,
  and begins nothing if the user's families have been ended since.
* The hasher and SQLite have threads of their own, so that neither waits for the other.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import math
import re
import secrets
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, unquote_plus, urlencode

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from jwt.algorithms import get_default_algorithms
from ports import Client, Clock, Hasher, Key, KeyRing, Limiter, Settings, User, Users

FIRST_PARTY = "first-party"
NO_STORE = {"Cache-Control": "no-store"}
MAX_TOKEN = 8192
LOGIN_WINDOW_S = 900
LOGINS_PER_PAIR = 5
LOGINS_PER_ADDRESS = 20
HASHER_THREADS = 8  # of 64 MB each
KEEP_S = 86_400  # what has ended is kept for this long, in case that a clock is set back

VERIFIER = re.compile(r"[A-Za-z0-9\-._~]{43,128}")
CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
BASE64URL = re.compile(r"[A-Za-z0-9_-]+")

ALGORITHMS = get_default_algorithms()

# What each grant requires. `client_id` counts as there if the client authenticates.
GRANTS = {
    "refresh_token": ("refresh_token",),
    "authorization_code": ("code", "redirect_uri", "client_id", "code_verifier"),
    "client_credentials": (),
}
TOKEN_PARAMETERS = {"grant_type", "client_id", "scope"}.union(*GRANTS.values())
AUTHORIZE_PARAMETERS = {
    "client_id",
    "redirect_uri",
    "response_type",
    "state",
    "code_challenge",
    "code_challenge_method",
    "scope",
}


# -- answers


class OAuthError(Exception):
    """A refusal: the answer that it becomes."""

    def __init__(
        self, status: int, error: str | None, description: str = "", **headers: str
    ) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.description = description
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def response(self) -> Response:
        body = {"error": self.error} if self.error else {}
        if self.description:
            body["error_description"] = self.description
        return JSONResponse(body, self.status, {**NO_STORE, **self.headers})


def invalid_request(description: str) -> OAuthError:
    return OAuthError(400, "invalid_request", description)


def invalid_grant() -> OAuthError:
    return OAuthError(400, "invalid_grant")


def invalid_scope() -> OAuthError:
    return OAuthError(400, "invalid_scope")


def invalid_client() -> OAuthError:
    return OAuthError(401, "invalid_client", WWW_Authenticate='Basic realm="oauth"')


def invalid_token() -> OAuthError:
    return OAuthError(401, "invalid_token", WWW_Authenticate='Bearer error="invalid_token"')


def insufficient_scope(scope: str = "") -> OAuthError:
    challenge = 'Bearer error="insufficient_scope"' + (f', scope="{scope}"' if scope else "")
    return OAuthError(403, "insufficient_scope", WWW_Authenticate=challenge)


# -- reading what others have written


def is_text(value: object) -> bool:
    """Return whether this is a text that can be written in UTF-8 (JSON has "\\ud800", too)."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def strict_object(raw: bytes) -> dict[str, Any]:
    """Return the one JSON object that these bytes are. Raises ValueError."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = dict(pairs)
        if len(names) != len(pairs):
            raise ValueError("a name comes twice")
        return names

    def no_constant(name: str) -> None:
        raise ValueError(f"{name} is not JSON")

    try:
        value = json.loads(raw.decode(), object_pairs_hook=unique, parse_constant=no_constant)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


async def json_body(request: Request) -> dict[str, Any]:
    try:
        return strict_object(await request.body())
    except ValueError as error:
        raise invalid_request("the body is not a JSON object") from error


def text_fields(body: dict[str, Any], *names: str) -> list[str]:
    values = [body.get(name) for name in names]
    if not all(is_text(value) and value for value in values):
        raise invalid_request(f"required texts: {', '.join(names)}")
    return values


class Parameters(dict[str, str]):
    """The known parameters of a query or form that have a value.

    `repeated` are the names of those that come more than once. Bytes that are not UTF-8 become
    surrogates, out of which `urlencode` can make the same bytes again.
    """

    def __init__(self, raw: bytes, known: Iterable[str]) -> None:
        pairs = [
            (name, value)
            for name, value in parse_qsl(
                raw.decode("utf-8", "surrogateescape"), errors="surrogateescape"
            )
            if name in known
        ]
        super().__init__(pairs)
        counts = Counter(name for name, _ in pairs)
        self.repeated = {name for name, count in counts.items() if count > 1}

    def require(self, *names: str) -> None:
        if missing := [name for name in names if name not in self]:
            raise invalid_request(f"missing: {', '.join(missing)}")


async def form(request: Request, known: Iterable[str]) -> Parameters:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_form = media_type == "application/x-www-form-urlencoded"
    parameters = Parameters(await request.body() if is_form else b"", known)
    if parameters.repeated:
        raise invalid_request("a parameter comes twice")
    return parameters


def granted(asked: str | None, may: Iterable[str]) -> str:
    """Return the scope for who asks for this one. Raises OAuthError."""
    may = list(dict.fromkeys(may))
    if not asked:
        return " ".join(may)
    names = list(dict.fromkeys(asked.split(" ")))
    if not set(names) <= set(may):
        raise invalid_scope()
    return " ".join(names)


def common(scope: str, names: Iterable[str]) -> str:
    """Return what of the scope is among the names."""
    names = set(names)
    return " ".join(name for name in scope.split() if name in names)


# -- base64url, keys and access tokens


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    """Decode base64url without padding. Raises ValueError; also if there are other ways to say it."""
    if not BASE64URL.fullmatch(text):
        raise ValueError("not base64url")
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if b64(raw) != text:
        raise ValueError("not the base64url of anything")
    return raw


@lru_cache(maxsize=64)
def public_key(key: Key) -> rsa.RSAPublicKey | ec.EllipticCurvePublicKey:
    """Return the public half of a key. Raises ValueError if it is not fit for its algorithm."""
    try:
        public = serialization.load_pem_public_key(key.public_pem.encode())
    except (TypeError, UnsupportedAlgorithm) as error:
        raise ValueError(f"key {key.kid!r} cannot be read") from error
    if key.alg == "RS256":
        fit = isinstance(public, rsa.RSAPublicKey) and public.key_size >= 2048
    elif key.alg == "ES256":
        fit = isinstance(public, ec.EllipticCurvePublicKey) and isinstance(
            public.curve, ec.SECP256R1
        )
    else:
        raise ValueError(f"key {key.kid!r} has an unknown algorithm")
    if not fit:
        raise ValueError(f"key {key.kid!r} is not fit for {key.alg}")
    return public


@lru_cache(maxsize=8)
def private_key(key: Key) -> Any:
    """Return the private half of a key. Raises ValueError if the halves do not belong together."""
    public = public_key(key)
    try:
        private = serialization.load_pem_private_key(key.private_pem.encode(), password=None)
    except (TypeError, UnsupportedAlgorithm) as error:
        raise ValueError(f"key {key.kid!r} cannot be read") from error
    if private.public_key() != public:
        raise ValueError(f"the halves of key {key.kid!r} do not belong together")
    return private


def jwk(key: Key) -> dict[str, str]:
    numbers = public_key(key).public_numbers()
    names = {"kid": key.kid, "alg": key.alg, "use": "sig"}
    if isinstance(numbers, rsa.RSAPublicNumbers):
        n, e = (
            b64(number.to_bytes((number.bit_length() + 7) // 8, "big"))
            for number in (numbers.n, numbers.e)
        )
        return {**names, "kty": "RSA", "n": n, "e": e}
    x, y = (b64(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
    return {**names, "kty": "EC", "crv": "P-256", "x": x, "y": y}


def read_access_token(
    token: str, verifying: Iterable[Key], settings: Settings, now: float
) -> dict[str, Any]:
    """Return the claims of an access token. Raises ValueError if it is not to be accepted."""

    def demand(truth: object, what: str) -> None:
        if not truth:
            raise ValueError(what)

    demand(len(token) <= MAX_TOKEN, "too long")
    parts = token.split(".")
    demand(len(parts) == 3, "not three parts")
    raw_header, raw_claims, signature = map(unb64, parts)

    header = strict_object(raw_header)
    key = next((key for key in verifying if key.kid == header.get("kid")), None)
    demand(key, "no such key")
    demand(header.get("alg") == key.alg, "not the key's algorithm")
    signed = token.rpartition(".")[0].encode()
    demand(ALGORITHMS[key.alg].verify(signed, public_key(key), signature), "signature")
    kind = header.get("typ")
    demand(isinstance(kind, str), "no typ")
    demand(kind.lower() in ("at+jwt", "application/at+jwt"), "made for something else")
    demand("crit" not in header, "crit")

    claims = strict_object(raw_claims)
    demand(claims.get("iss") == settings.issuer, "not our issuer")
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    demand(all(isinstance(text, str) for text in audiences), "aud is no text")
    demand(settings.audience in audiences, "not our audience")
    for name in ("sub", "client_id", "jti"):
        demand(is_text(claims.get(name)) and claims[name], f"no {name}")
    demand(is_text(claims.setdefault("scope", "")), "scope is no text")
    for name in ("exp", "iat", *({"nbf"} & claims.keys())):
        demand(is_number(claims.get(name)), f"{name} is no number")
    demand(claims["exp"] > now, "expired")
    demand(claims["iat"] <= now and claims.get("nbf", now) <= now, "not yet good")
    return claims


# -- the database

SCHEMA = """
BEGIN IMMEDIATE;
-- How many events there were: what begins or ends something is one.
CREATE TABLE IF NOT EXISTS event (id INTEGER PRIMARY KEY CHECK (id = 0), count INTEGER NOT NULL);
INSERT OR IGNORE INTO event VALUES (0, 0);
-- The last event that ended everything of a user.
CREATE TABLE IF NOT EXISTS ending (user_id TEXT PRIMARY KEY, event INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS family (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    event INTEGER NOT NULL,
    user_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    scope TEXT NOT NULL,
    expires REAL NOT NULL,
    ended INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS family_user ON family (user_id);
CREATE INDEX IF NOT EXISTS family_expires ON family (expires);
CREATE TABLE IF NOT EXISTS refresh (
    hash TEXT PRIMARY KEY,
    family INTEGER NOT NULL,
    used INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS refresh_family ON refresh (family);
CREATE TABLE IF NOT EXISTS code (
    hash TEXT PRIMARY KEY,
    event INTEGER NOT NULL,
    user_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    challenge TEXT NOT NULL,
    scope TEXT NOT NULL,
    expires REAL NOT NULL,
    ended INTEGER NOT NULL DEFAULT 0,
    family INTEGER,        -- the one that it has begun: then it is used up
    remember REAL NOT NULL -- until when
);
CREATE INDEX IF NOT EXISTS code_user ON code (user_id);
CREATE INDEX IF NOT EXISTS code_remember ON code (remember);
COMMIT;
"""


class Store:
    """Families and codes. Each method is one transaction, in the store's own thread.

    Refusals are returned as None, because some of them (a reuse) change something.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._connection: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(1, "auth-store")
        with closing(self._connect()) as connection:
            connection.executescript(SCHEMA)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._settings.database, timeout=60, isolation_level=None, check_same_thread=False
        )
        connection.row_factory = sqlite3.Row
        return connection

    async def _run(self, work: Callable[[sqlite3.Connection, float], Any]) -> Any:
        """Do this in a transaction, at the time at which it has got the lock."""

        def transaction() -> Any:
            if self._connection is None:  # only now, so that create_app may be followed by a fork
                self._connection = self._connect()
            db = self._connection
            db.execute("BEGIN IMMEDIATE")
            try:
                result = work(db, self._clock.time())
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
            return result

        return await asyncio.get_running_loop().run_in_executor(self._thread, transaction)

    def _hash(self, token: str) -> str:
        text = token.encode("utf-8", "surrogateescape")
        return hmac.new(self._settings.secret, text, hashlib.sha256).hexdigest()

    # Parts of transactions

    @staticmethod
    def _count_event(db: sqlite3.Connection) -> int:
        return db.execute("UPDATE event SET count = count + 1 RETURNING count").fetchone()[0]

    @staticmethod
    def _ended_since(db: sqlite3.Connection, user_id: str, event: int) -> bool:
        sql = "SELECT 1 FROM ending WHERE user_id = ? AND event > ?"
        return db.execute(sql, (user_id, event)).fetchone() is not None

    @staticmethod
    def _end_family(db: sqlite3.Connection, family: int) -> None:
        db.execute("UPDATE family SET ended = 1 WHERE id = ?", (family,))

    def _add_refresh_token(self, db: sqlite3.Connection, family: int) -> str:
        token = secrets.token_urlsafe(32)
        db.execute("INSERT INTO refresh (hash, family) VALUES (?, ?)", (self._hash(token), family))
        return token

    def _add_family(
        self, db: sqlite3.Connection, now: float, user_id: str, client_id: str, scope: str
    ) -> tuple[int, float]:
        """Begin a family. Returns its id and its end."""
        self._forget(db, now - KEEP_S)
        expires = now + self._settings.refresh_ttl_s
        cursor = db.execute(
            "INSERT INTO family (event, user_id, client_id, scope, expires) VALUES (?, ?, ?, ?, ?)",
            (self._count_event(db), user_id, client_id, scope, expires),
        )
        return cursor.lastrowid, expires

    @staticmethod
    def _forget(db: sqlite3.Connection, before: float) -> None:
        """Delete what nobody can use, or use again, any more."""
        old = "(SELECT id FROM family WHERE expires < ?)"
        db.execute(f"DELETE FROM refresh WHERE family IN {old}", (before,))  # noqa: S608
        db.execute("DELETE FROM family WHERE expires < ?", (before,))
        db.execute("DELETE FROM code WHERE remember < ?", (before,))

    def _usable_refresh_token(
        self, db: sqlite3.Connection, now: float, token: str, client_id: str
    ) -> sqlite3.Row | None:
        """Return the family of a token that this client may use now. A reuse ends the family."""
        row = db.execute(
            "SELECT family.*, used FROM refresh JOIN family ON family.id = family WHERE hash = ?",
            (self._hash(token),),
        ).fetchone()
        if row is None or row["client_id"] != client_id:
            return None
        if row["used"]:
            self._end_family(db, row["id"])
            return None
        return None if row["ended"] or now >= row["expires"] else row

    def _usable_code(
        self, db: sqlite3.Connection, now: float, code: str, client_id: str
    ) -> sqlite3.Row | None:
        """Return a code that this client may redeem now. A second use ends the family."""
        sql = "SELECT * FROM code WHERE hash = ?"
        row = db.execute(sql, (self._hash(code),)).fetchone()
        if row is None or row["client_id"] != client_id:
            return None
        if row["family"] is not None:
            self._end_family(db, row["family"])
            return None
        return None if row["ended"] or now >= row["expires"] else row

    # Transactions

    async def last_event(self) -> int:
        return await self._run(lambda db, now: db.execute("SELECT count FROM event").fetchone()[0])

    async def begin_family(
        self, user_id: str, client_id: str, scope: str, asked: int
    ) -> str | None:
        """Return the first refresh token, unless the user's families have ended since `asked`."""

        def work(db: sqlite3.Connection, now: float) -> str | None:
            if self._ended_since(db, user_id, asked):
                return None
            family, _ = self._add_family(db, now, user_id, client_id, scope)
            return self._add_refresh_token(db, family)

        return await self._run(work)

    async def find_refresh_token(self, token: str, client_id: str) -> tuple[str, int] | None:
        """Return the user of a token that may be used, and the last event."""

        def work(db: sqlite3.Connection, now: float) -> tuple[str, int] | None:
            row = self._usable_refresh_token(db, now, token, client_id)
            event = db.execute("SELECT count FROM event").fetchone()[0]
            return row and (row["user_id"], event)

        return await self._run(work)

    async def use_refresh_token(
        self, token: str, client_id: str, asked_scope: str | None
    ) -> tuple[str, str] | None:
        """Use a token up. Returns the scope and the next one. Raises OAuthError for the scope."""

        def work(db: sqlite3.Connection, now: float) -> tuple[str, str] | None:
            row = self._usable_refresh_token(db, now, token, client_id)
            if row is None:
                return None
            scope = granted(asked_scope, row["scope"].split())
            db.execute("UPDATE refresh SET used = 1 WHERE hash = ?", (self._hash(token),))
            return scope, self._add_refresh_token(db, row["id"])

        return await self._run(work)

    async def add_code(
        self,
        user_id: str,
        client_id: str,
        redirect_uri: str,
        challenge: str,
        scope: str,
        asked: int,
    ) -> str | None:
        """Return a new code, unless the user's codes have ended since `asked`."""

        def work(db: sqlite3.Connection, now: float) -> str | None:
            if self._ended_since(db, user_id, asked):
                return None
            code = secrets.token_urlsafe(32)
            expires = now + self._settings.code_ttl_s
            db.execute(
                "INSERT INTO code (hash, event, user_id, client_id, redirect_uri, challenge, scope,"
                " expires, remember) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (self._hash(code), self._count_event(db), user_id, client_id, redirect_uri)
                + (challenge, scope, expires, expires),
            )
            return code

        return await self._run(work)

    async def find_code(
        self, code: str, client_id: str, redirect_uri: str, challenge: str
    ) -> tuple[str, int] | None:
        """Return the user of a code that may be redeemed like this, and the last event."""

        def work(db: sqlite3.Connection, now: float) -> tuple[str, int] | None:
            row = self._usable_code(db, now, code, client_id)
            if row is None or (row["redirect_uri"], row["challenge"]) != (redirect_uri, challenge):
                return None
            return row["user_id"], db.execute("SELECT count FROM event").fetchone()[0]

        return await self._run(work)

    async def redeem_code(
        self, code: str, client_id: str, user_scopes: Iterable[str]
    ) -> tuple[str, str] | None:
        """Begin the family of a code that `find_code` has found. Returns its scope and a token."""

        def work(db: sqlite3.Connection, now: float) -> tuple[str, str] | None:
            row = self._usable_code(db, now, code, client_id)
            if row is None:
                return None
            scope = common(row["scope"], user_scopes)
            family, expires = self._add_family(db, now, row["user_id"], client_id, scope)
            sql = "UPDATE code SET family = ?, remember = ? WHERE hash = ?"
            db.execute(sql, (family, expires, row["hash"]))
            return scope, self._add_refresh_token(db, family)

        return await self._run(work)

    async def revoke(self, token: str) -> None:
        """End the family of a refresh token, if it is one."""

        def work(db: sqlite3.Connection, now: float) -> None:
            sql = "SELECT family FROM refresh WHERE hash = ?"
            if row := db.execute(sql, (self._hash(token),)).fetchone():
                self._end_family(db, row["family"])

        await self._run(work)

    async def end_user(self, user_id: str, unless_since: int | None = None) -> bool:
        """End all that there is of a user, and whatever is about to begin.

        With `unless_since`, only if that has not been done since this event.
        """

        def work(db: sqlite3.Connection, now: float) -> bool:
            if unless_since is not None and self._ended_since(db, user_id, unless_since):
                return False
            event = self._count_event(db)
            db.execute("INSERT OR REPLACE INTO ending VALUES (?, ?)", (user_id, event))
            self._end_before(db, user_id, event)
            return True

        return await self._run(work)

    async def lose_user(self, user_id: str, asked: int | None) -> None:
        """The directory does not vouch for the user: end what there was when it was asked."""

        def work(db: sqlite3.Connection, now: float) -> None:
            event = asked
            if event is None:
                event = db.execute("SELECT count FROM event").fetchone()[0]
            self._end_before(db, user_id, event)

        await self._run(work)

    @staticmethod
    def _end_before(db: sqlite3.Connection, user_id: str, event: int) -> None:
        for table in ("family", "code"):
            sql = f"UPDATE {table} SET ended = 1 WHERE user_id = ? AND event <= ? AND NOT ended"  # noqa: S608
            db.execute(sql, (user_id, event))


# -- the application


class Server:
    """What the endpoints share."""

    def __init__(
        self,
        settings: Settings,
        users: Users,
        hasher: Hasher,
        keys: KeyRing,
        clock: Clock,
        limiter: Limiter,
    ) -> None:
        if len(settings.secret) < 32:
            raise ValueError("settings.secret has fewer than 32 bytes")
        private_key(keys.signing())
        for key in keys.verifying():
            public_key(key)
        self.settings = settings
        self.clients = {client.id: client for client in settings.clients}
        self.users = users
        self.hasher = hasher
        self.keys = keys
        self.clock = clock
        self.limiter = limiter
        self.nobodys_hash = hasher.hash(secrets.token_urlsafe())
        self.store = Store(settings, clock)
        self._hashing = ThreadPoolExecutor(HASHER_THREADS, "auth-hasher")

    async def hash(self, password: str) -> str:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._hashing, self.hasher.hash, password)

    async def verify(self, password: str, password_hash: str) -> bool:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._hashing, self.hasher.verify, password, password_hash
        )

    # Tokens

    def tokens(self, sub: str, client_id: str, scope: str, refresh_token: str | None) -> Response:
        """Answer with an access token, and with this refresh token."""
        key = self.keys.signing()
        iat = math.floor(self.clock.time())
        claims = {
            "iss": self.settings.issuer,
            "aud": self.settings.audience,
            "sub": sub,
            "client_id": client_id,
            "iat": iat,
            "exp": iat + self.settings.access_ttl_s,
            "jti": secrets.token_urlsafe(16),
            "scope": scope,
        }
        headers = {"typ": "at+jwt", "kid": key.kid}
        body = {
            "access_token": jwt.encode(claims, private_key(key), key.alg, headers),
            "token_type": "Bearer",
            "expires_in": self.settings.access_ttl_s,
            "scope": scope,
        }
        if refresh_token is not None:
            body["refresh_token"] = refresh_token
        return JSONResponse(body, headers=NO_STORE)

    def access_token(self, request: Request) -> dict[str, Any]:
        """Return the claims of the access token that comes along."""
        credentials = request.headers.getlist("authorization")
        if not any(text.partition(" ")[0].lower() == "bearer" for text in credentials):
            raise OAuthError(401, None, WWW_Authenticate="Bearer")
        if len(credentials) != 1:
            raise invalid_token()
        token = credentials[0].partition(" ")[2]
        try:
            return read_access_token(token, self.keys.verifying(), self.settings, self.clock.time())
        except ValueError as error:
            raise invalid_token() from error

    async def vouched(
        self, user_id: str, user: User | None, asked: int | None = None
    ) -> User | None:
        """Return the user, if there is one who is not disabled. Otherwise all of theirs ends."""
        if user is not None and not user.disabled:
            return user
        await self.store.lose_user(user_id, asked)
        return None

    async def user_of(self, claims: Mapping[str, Any], asked: int | None = None) -> User:
        """Return the user for whom an access token stands."""
        if claims["sub"] == claims["client_id"]:
            raise invalid_token()
        user = await self.users.by_id(claims["sub"])
        user = await self.vouched(claims["sub"], user, asked)
        if user is None:
            raise invalid_token()
        return user

    # Clients

    async def client_of(self, request: Request, parameters: Parameters) -> Client | None:
        """Return the client that has proved, or only needs to say, who it is. None: first party."""
        credentials = request.headers.getlist("authorization")
        said = parameters.get("client_id")
        if credentials:
            client_id, secret = self.basic(credentials)
            client = self.clients.get(client_id)
            if client is None or client.secret_hash is None or said not in (None, client_id):
                raise invalid_client()
            if not await self.verify(secret, client.secret_hash):
                raise invalid_client()
            return client
        if said in (None, FIRST_PARTY):
            return None
        client = self.clients.get(said)
        if client is None or client.secret_hash is not None:
            raise invalid_client()
        return client

    @staticmethod
    def basic(credentials: list[str]) -> tuple[str, str]:
        """Return the id and the secret of HTTP Basic."""
        scheme, _, encoded = credentials[0].partition(" ")
        try:
            raw = base64.b64decode(encoded, validate=True).decode()
            client_id, colon, secret = raw.partition(":")
            client_id, secret = (
                unquote_plus(text, errors="strict") for text in (client_id, secret)
            )
        except ValueError as error:
            raise invalid_client() from error
        if len(credentials) != 1 or scheme.lower() != "basic" or not colon:
            raise invalid_client()
        return client_id, secret

    # Endpoints

    async def login(self, request: Request) -> Response:
        body = await json_body(request)
        username, password = text_fields(body, "username", "password")
        if not is_text(body.get("scope", "")):
            raise invalid_request("scope is no text")

        address = request.client.host if request.client else ""
        pair = json.dumps(["login", address, username])
        of_pair, of_address = await asyncio.gather(
            self.limiter.hit(pair, LOGIN_WINDOW_S),
            self.limiter.hit(json.dumps(["login", address]), LOGIN_WINDOW_S),
        )
        if of_pair > LOGINS_PER_PAIR or of_address > LOGINS_PER_ADDRESS:
            raise OAuthError(429, "slow_down", Retry_After=str(LOGIN_WINDOW_S))

        asked = await self.store.last_event()
        user = await self.users.by_name(username)
        known_hash = self.nobodys_hash if user is None else user.password_hash
        right = await self.verify(password, known_hash)
        if user is None or user.disabled or not right:
            # Of whom the directory says no good, all ends. It is asked of each, to take as long.
            lost = user.id if user is not None and user.disabled else ""
            await self.store.lose_user(lost, asked)
            raise invalid_grant()
        scope = granted(body.get("scope"), user.scopes)
        refresh_token = await self.store.begin_family(user.id, FIRST_PARTY, scope, asked)
        if refresh_token is None:
            raise invalid_grant()
        await self.limiter.forget(pair)
        return self.tokens(user.id, FIRST_PARTY, scope, refresh_token)

    async def token(self, request: Request) -> Response:
        parameters = await form(request, TOKEN_PARAMETERS)
        parameters.require("grant_type")
        grant_type = parameters["grant_type"]
        if grant_type not in GRANTS:
            raise OAuthError(400, "unsupported_grant_type")
        authenticates = {"client_id"} if "authorization" in request.headers else set()
        parameters.require(*(name for name in GRANTS[grant_type] if name not in authenticates))
        client = await self.client_of(request, parameters)
        if grant_type == "client_credentials":
            return self.client_credentials(client, parameters)
        if grant_type == "authorization_code":
            return await self.authorization_code(client, parameters)
        return await self.refresh(client, parameters)

    async def refresh(self, client: Client | None, parameters: Parameters) -> Response:
        client_id = client.id if client else FIRST_PARTY
        token = parameters["refresh_token"]
        found = await self.store.find_refresh_token(token, client_id)
        if found is None:
            raise invalid_grant()
        user_id, asked = found
        user = await self.vouched(user_id, await self.users.by_id(user_id), asked)
        if user is None:
            raise invalid_grant()
        used = await self.store.use_refresh_token(token, client_id, parameters.get("scope"))
        if used is None:
            raise invalid_grant()
        scope, refresh_token = used
        return self.tokens(user_id, client_id, common(scope, user.scopes), refresh_token)

    async def authorization_code(self, client: Client | None, parameters: Parameters) -> Response:
        verifier = parameters["code_verifier"]
        # Find the code first, even for a verifier that is none: it may be its second use.
        challenge = ""
        if VERIFIER.fullmatch(verifier):
            challenge = b64(hashlib.sha256(verifier.encode()).digest())
        client_id = client.id if client else FIRST_PARTY
        code = parameters["code"]
        found = await self.store.find_code(code, client_id, parameters["redirect_uri"], challenge)
        if found is None:
            raise invalid_grant()
        user_id, asked = found
        user = await self.vouched(user_id, await self.users.by_id(user_id), asked)
        if user is None:
            raise invalid_grant()
        redeemed = await self.store.redeem_code(code, client_id, user.scopes)
        if redeemed is None:
            raise invalid_grant()
        return self.tokens(user_id, client_id, *redeemed)

    def client_credentials(self, client: Client | None, parameters: Parameters) -> Response:
        if client is None or client.secret_hash is None:
            raise invalid_client()
        scope = granted(parameters.get("scope"), client.scopes)
        return self.tokens(client.id, client.id, scope, None)

    async def revoke(self, request: Request) -> Response:
        parameters = await form(request, {"token"})
        parameters.require("token")
        await self.store.revoke(parameters["token"])
        return JSONResponse({}, headers=NO_STORE)

    async def authorize(self, request: Request) -> Response:
        claims = self.access_token(request)
        asked = await self.store.last_event()
        user = await self.user_of(claims, asked)
        if claims["client_id"] != FIRST_PARTY:
            raise insufficient_scope()

        parameters = Parameters(request.scope["query_string"], AUTHORIZE_PARAMETERS)
        if parameters.repeated & {"client_id", "redirect_uri"}:
            raise invalid_request("a parameter comes twice")
        parameters.require("client_id", "redirect_uri")
        client = self.clients.get(parameters["client_id"])
        redirect_uri = parameters["redirect_uri"]
        if client is None or redirect_uri not in client.redirect_uris:
            raise invalid_request("no such client or redirect_uri")

        try:
            answer = {"code": await self.new_code(client, user, parameters, asked)}
        except OAuthError as error:
            answer = {"error": error.error}
        if "state" in parameters and "state" not in parameters.repeated:
            answer["state"] = parameters["state"]
        answer["iss"] = self.settings.issuer
        separator = "?" if "?" not in redirect_uri else "" if redirect_uri[-1] in "?&" else "&"
        location = redirect_uri + separator + urlencode(answer, errors="surrogateescape")
        return Response(status_code=302, headers={**NO_STORE, "Location": location})

    async def new_code(self, client: Client, user: User, parameters: Parameters, asked: int) -> str:
        if parameters.repeated:
            raise invalid_request("a parameter comes twice")
        parameters.require("response_type")
        if parameters["response_type"] != "code":
            raise OAuthError(400, "unsupported_response_type")
        parameters.require("state", "code_challenge", "code_challenge_method")
        challenge = parameters["code_challenge"]
        if parameters["code_challenge_method"] != "S256" or not CHALLENGE.fullmatch(challenge):
            raise invalid_request("no challenge of S256")
        both = [name for name in user.scopes if name in client.scopes]
        scope = granted(parameters.get("scope"), both)
        redirect_uri = parameters["redirect_uri"]
        code = await self.store.add_code(user.id, client.id, redirect_uri, challenge, scope, asked)
        if code is None:  # in this very moment the password was changed, or the user deleted
            raise OAuthError(400, "access_denied")
        return code

    async def password(self, request: Request) -> Response:
        claims = self.access_token(request)
        asked = await self.store.last_event()
        user = await self.user_of(claims, asked)
        current, new = text_fields(await json_body(request), "current", "new")
        if not await self.verify(current, user.password_hash):
            raise invalid_grant()
        new_hash = await self.hash(new)
        # Before: if two requests change it, the later one's `current` is not right any more; and
        # whatever becomes of this process, the old families do not survive. After: what has begun
        # with the old password meanwhile ends, too.
        if not await self.store.end_user(user.id, unless_since=asked):
            raise invalid_grant()
        try:
            await self.users.set_password(user.id, new_hash)
        finally:
            await self.store.end_user(user.id)
        return Response(status_code=204, headers=NO_STORE)

    async def me(self, request: Request) -> Response:
        claims = self.access_token(request)
        user = await self.user_of(claims)
        return JSONResponse(
            {
                "id": user.id,
                "username": user.username,
                "email": user.email,
                "scope": claims["scope"],
            },
            headers=NO_STORE,
        )

    async def delete_user(self, request: Request, user_id: str) -> Response:
        if "users:delete" not in self.access_token(request)["scope"].split(" "):
            raise insufficient_scope("users:delete")
        deleted = await self.users.delete(user_id)
        await self.store.end_user(user_id)
        return Response(status_code=204 if deleted else 404)

    async def jwks(self) -> Response:
        return JSONResponse({"keys": [jwk(key) for key in self.keys.verifying()]})


def create_app(
    settings: Settings,
    *,
    users: Users,
    hasher: Hasher,
    keys: KeyRing,
    clock: Clock,
    limiter: Limiter,
) -> FastAPI:
    """Return the application, with all its endpoints.

    It may be called in several processes with the same `settings.database`. Requests to any of
    these applications are answered as if there were only one.

    Raises ValueError if `settings.secret` or a key of the ring is too weak, or a key is not fit for
    its algorithm.
    """
    server = Server(settings, users, hasher, keys, clock, limiter)
    app = FastAPI(title="OAuth2 with JWT")

    async def refuse(request: Request, error: OAuthError) -> Response:
        return error.response()

    app.add_exception_handler(OAuthError, refuse)
    app.post("/login")(server.login)
    app.post("/oauth/token")(server.token)
    app.post("/oauth/revoke")(server.revoke)
    app.get("/oauth/authorize")(server.authorize)
    app.post("/password")(server.password)
    app.get("/me")(server.me)
    app.delete("/users/{user_id:path}")(server.delete_user)
    app.get("/.well-known/jwks.json")(server.jwks)
    return app
