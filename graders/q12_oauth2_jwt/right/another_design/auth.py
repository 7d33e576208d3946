"""One closure, short statements on the loop's own thread, and refresh tokens that name their family.

A refresh token is "<family>.<random>". The family's row knows the HMAC of the newest one only: any
other token of the family is a reuse. Rotation is one conditional UPDATE, without a transaction.
"""

import base64
import hashlib
import hmac
import json
import sqlite3
import string
import uuid
from contextlib import closing
from secrets import token_bytes, token_hex
from urllib.parse import parse_qsl, unquote_plus, urlencode, urlsplit, urlunsplit

import anyio.to_thread
import jwt
from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response

B64 = set(string.ascii_letters + string.digits + "-_")
UNRESERVED = B64 | set(".~")
TABLES = """
create table if not exists family (
    id text primary key, who text, client text, scope text, newest text, until real, dead integer);
create table if not exists code (
    id text primary key, who text, client text, scope text, uri text, challenge text, until real,
    family text);
create table if not exists epoch (who text primary key, n integer);
"""


class No(Exception):
    def __init__(self, error, status=400, **headers):
        self.error, self.status = error, status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def answer(body, status=200, headers=()):
    return JSONResponse(body, status, {"Cache-Control": "no-store", **dict(headers)})


# -- keys


def jwk_of(key):
    """The key as PyJWT understands it, bound to its algorithm; or ValueError."""
    try:
        kind = {"RS256": jwt.algorithms.RSAAlgorithm, "ES256": jwt.algorithms.ECAlgorithm}[key.alg]
        loaded = kind(kind.SHA256).prepare_key(key.public_pem)
        data = kind.to_jwk(loaded, as_dict=True)
    except Exception as e:
        raise ValueError(f"{key.kid}: no key for {key.alg}") from e
    if key.alg == "RS256":
        modulus = base64.urlsafe_b64decode(data["n"] + "==")
        if data["kty"] != "RSA" or int.from_bytes(modulus, "big").bit_length() < 2048:
            raise ValueError(f"{key.kid}: too short")
    elif data.get("crv") != "P-256":
        raise ValueError(f"{key.kid}: another curve")
    public = {name: data[name] for name in ("kty", "n", "e", "crv", "x", "y") if name in data}
    return jwt.PyJWK({**public, "kid": key.kid, "alg": key.alg, "use": "sig"}), public


def must_sign(key):
    """A signature by the private half that the public half verifies: they belong together."""
    bound, _ = jwk_of(key)
    try:
        probe = jwt.encode({"probe": token_hex(8)}, key.private_pem, algorithm=key.alg)
        jwt.decode(probe, bound, algorithms=[key.alg])
    except Exception as e:
        raise ValueError(f"{key.kid}: the private half is of no use") from e


# -- tokens


def only_once(pairs):
    names = [name for name, _ in pairs]
    if len(names) != len(set(names)):
        raise ValueError("twice")
    return dict(pairs)


def no_constant(text):
    raise ValueError(text)


def parse(part):
    data = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    found = json.loads(
        data.decode("utf-8"), object_pairs_hook=only_once, parse_constant=no_constant
    )
    if type(found) is not dict:
        raise ValueError("no object")
    return found


def is_time(value):
    return type(value) in (int, float) and -(10**12) < value < 10**12


def is_text(value):
    return type(value) is str and value != ""


def create_app(settings, *, users, hasher, keys, clock, limiter):
    if len(settings.secret) < 32:
        raise ValueError("short secret")
    for one in keys.verifying():
        jwk_of(one)
    must_sign(keys.signing())
    nobody = hasher.hash(token_hex(16))
    clients = {one.id: one for one in settings.clients}
    hashing = None

    # -- the database: every statement stands alone, or in one short transaction

    def connect():
        db = sqlite3.connect(settings.database, timeout=20)
        db.isolation_level = None
        return closing(db)

    with connect() as db:
        db.executescript("begin immediate;" + TABLES + "commit;")

    def mac(text):
        return hmac.new(settings.secret, text.encode(), hashlib.sha256).hexdigest()

    def epoch(who):
        with connect() as db:
            row = db.execute("select n from epoch where who = ?", (who,)).fetchone()
        return row[0] if row else 0

    def end_of(who):
        with connect() as db:
            db.execute("begin immediate")
            db.execute("update family set dead = 1 where who = ?", (who,))
            db.execute("delete from code where who = ? and family is null", (who,))
            db.execute(
                "insert into epoch values (?, 1) on conflict (who) do update set n = n + 1", (who,)
            )
            db.execute("commit")

    def kill(family):
        with connect() as db:
            db.execute("update family set dead = 1 where id = ?", (family,))

    def fresh(family):
        return f"{family}.{base64.urlsafe_b64encode(token_bytes(24)).decode()}"

    def family_of(token):
        return mac("family " + token.partition(".")[0])

    def new_family(db, who, client, scope):
        token = fresh(token_hex(16))
        db.execute(
            "insert into family values (?, ?, ?, ?, ?, ?, 0)",
            (
                family_of(token),
                who,
                client,
                scope,
                mac(token),
                clock.time() + settings.refresh_ttl_s,
            ),
        )
        return token

    # -- hashing

    async def verify(password, known):
        nonlocal hashing
        hashing = hashing or anyio.CapacityLimiter(6)
        return await anyio.to_thread.run_sync(hasher.verify, password, known, limiter=hashing)

    # -- access tokens

    def access_token(sub, client, scope):
        key, now = keys.signing(), int(clock.time() // 1)
        return jwt.encode(
            dict(
                iss=settings.issuer,
                aud=settings.audience,
                sub=sub,
                client_id=client,
                iat=now,
                exp=now + settings.access_ttl_s,
                jti=str(uuid.uuid4()),
                scope=scope,
            ),
            key.private_pem,
            algorithm=key.alg,
            headers={"kid": key.kid, "typ": "at+jwt"},
        )

    def read(token):
        parts = token.split(".")
        if len(token) > 8192 or len(parts) != 3 or not all(p and set(p) <= B64 for p in parts):
            raise ValueError("form")
        header, claims, now = parse(parts[0]), parse(parts[1]), clock.time()
        key = next((k for k in keys.verifying() if k.kid == header.get("kid")), None)
        if key is None or header.get("alg") != key.alg or "crit" in header:
            raise ValueError("key")
        if str(header.get("typ")).lower() not in {"at+jwt", "application/at+jwt"}:
            raise ValueError("typ")
        jwt.decode(
            token,
            jwk_of(key)[0],
            algorithms=[key.alg],
            audience=settings.audience,
            issuer=settings.issuer,
            options={
                "require": ["exp", "iat", "iss", "aud", "sub", "jti", "client_id"],
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
        if not all(is_text(claims[name]) for name in ("sub", "jti", "client_id", "iss")):
            raise ValueError("text")
        if type(claims.setdefault("scope", "")) is not str:
            raise ValueError("scope")
        if not all(is_time(claims.get(name, now)) for name in ("exp", "iat", "nbf")):
            raise ValueError("time")
        if not (claims["exp"] > now >= max(claims["iat"], claims.get("nbf", now))):
            raise ValueError("when")
        return claims

    def bearer(request, scope=None):
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise No("no_token", 401, WWW_Authenticate="Bearer")
        try:
            claims = read(token.strip(" "))
        except (ValueError, RecursionError, jwt.PyJWTError):
            raise No(
                "invalid_token", 401, WWW_Authenticate='Bearer error="invalid_token"'
            ) from None
        if scope and scope not in claims["scope"].split(" "):
            said = f'Bearer error="insufficient_scope", scope="{scope}"'
            raise No("insufficient_scope", 403, WWW_Authenticate=said)
        return claims

    async def user_of(claims):
        user = None
        if claims["sub"] != claims["client_id"]:
            user = await users.by_id(claims["sub"])
        if user is None:
            raise No("invalid_token", 401, WWW_Authenticate='Bearer error="invalid_token"')
        return user

    # -- scopes, parameters, clients

    def scope_of(asked, allowed):
        if not asked:
            return " ".join(sorted(set(allowed)))
        names = asked.split(" ")
        if any(name not in allowed for name in names):
            raise No("invalid_scope")
        return " ".join(sorted(set(names)))

    def may(user, client):
        if client == "first-party":
            return set(user.scopes)
        return set(user.scopes) & set(clients[client].scopes)

    def once(pairs):
        try:
            found = only_once(pairs)
        except ValueError:
            raise No("invalid_request") from None
        return {name: value for name, value in found.items() if value}

    async def form(request):
        body = (await request.body()).decode("utf-8", "replace")
        try:
            return once(parse_qsl(body, keep_blank_values=True))
        except ValueError:
            raise No("invalid_request") from None

    def need(fields, *names):
        if any(name not in fields for name in names):
            raise No("invalid_request")
        return [fields[name] for name in names]

    async def fields_of(request, *names):
        try:
            body = json.loads(await request.body())
        except (ValueError, RecursionError):
            body = None
        if type(body) is not dict or not all(type(body.get(name)) is str for name in names):
            raise No("invalid_request")
        return body

    refused = {"status": 401, "WWW_Authenticate": "Basic"}

    async def confidential(header):
        try:
            scheme, _, text = header.partition(" ")
            who, colon, secret = base64.b64decode(text, validate=True).decode().partition(":")
        except ValueError:
            raise No("invalid_client", **refused) from None
        client = clients.get(unquote_plus(who))
        known = (client and client.secret_hash) or nobody
        right = await verify(unquote_plus(secret), known)
        if scheme.lower() != "basic" or not colon or known == nobody or not right:
            raise No("invalid_client", **refused)
        return client

    async def client_of(request, fields):
        header = request.headers.get("authorization")
        if header:
            return (await confidential(header)).id
        client = fields.get("client_id", "first-party")
        if client != "first-party" and (client not in clients or clients[client].secret_hash):
            raise No("invalid_client", **refused)
        return client

    def tokens(sub, client, scope, refresh=None):
        body = {
            "access_token": access_token(sub, client, scope),
            "token_type": "Bearer",
            "expires_in": settings.access_ttl_s,
            "scope": scope,
        }
        if refresh:
            body["refresh_token"] = refresh
        return answer(body)

    async def living(who):
        user = await users.by_id(who)
        if user is None or user.disabled:
            raise No("invalid_grant")
        return user

    # -- grants

    async def refresh(request, fields):
        (token,) = need(fields, "refresh_token")
        client = await client_of(request, fields)
        family = family_of(token)
        with connect() as db:
            row = db.execute(
                "select who, client, scope, newest, until, dead from family where id = ?", (family,)
            ).fetchone()
        if row is None or row[1] != client:
            raise No("invalid_grant")
        who, _, scope, newest, until, dead = row
        if not hmac.compare_digest(newest, mac(token)):
            kill(family)
            raise No("invalid_grant")
        if dead or clock.time() >= until:
            raise No("invalid_grant")
        user = await living(who)
        narrowed = scope_of(fields.get("scope"), scope.split())
        following = fresh(token.partition(".")[0])
        with connect() as db:
            won = db.execute(
                "update family set newest = ? where id = ? and newest = ? and dead = 0"
                " and until > ?",
                (mac(following), family, newest, clock.time()),
            ).rowcount
        if not won:
            kill(family)
            raise No("invalid_grant")
        left = [name for name in narrowed.split() if name in may(user, client)]
        return tokens(who, client, " ".join(left), following)

    async def redeem(request, fields):
        code, uri, verifier = need(fields, "code", "redirect_uri", "code_verifier")
        if "authorization" not in request.headers:
            need(fields, "client_id")
        client = await client_of(request, fields)
        with connect() as db:
            row = db.execute("select * from code where id = ?", (mac(code),)).fetchone()
        if row is None or row[2] != client:
            raise No("invalid_grant")
        _, who, _, scope, right_uri, challenge, until, family = row
        if family:
            kill(family)
            raise No("invalid_grant")
        digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode()
        good = 43 <= len(verifier) <= 128 and set(verifier) <= UNRESERVED
        if not good or digest.rstrip("=") != challenge or uri != right_uri:
            raise No("invalid_grant")
        if clock.time() >= until:
            raise No("invalid_grant")
        user = await living(who)
        with connect() as db:
            db.execute("begin immediate")
            token = new_family(db, who, client, scope)
            won = db.execute(
                "update code set family = ? where id = ? and family is null and until > ?",
                (family_of(token), mac(code), clock.time()),
            ).rowcount
            db.execute("commit" if won else "rollback")
            if not won:
                db.execute(
                    "update family set dead = 1 where id = (select family from code where id = ?)",
                    (mac(code),),
                )
                raise No("invalid_grant")
        left = [name for name in scope.split() if name in may(user, client)]
        return tokens(who, client, " ".join(left), token)

    async def own(request, fields):
        client = await confidential(request.headers.get("authorization", ""))
        scope = scope_of(fields.get("scope"), client.scopes)
        return tokens(client.id, client.id, scope)

    # -- HTTP

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.exception_handler(No)
    async def said_no(request, no):
        return answer({"error": no.error}, no.status, no.headers)

    @app.post("/login")
    async def login(request: Request):
        body = await fields_of(request, "username", "password")
        name, password, asked = body["username"], body["password"], body.get("scope")
        if asked is not None and type(asked) is not str:
            raise No("invalid_request")
        address = request.client.host if request.client else "?"
        pair = "pair:" + mac(json.dumps([address, name]))
        counts = [await limiter.hit("address:" + address, 900), await limiter.hit(pair, 900)]
        if counts[0] > 20 or counts[1] > 5:
            raise No("slow_down", 429, Retry_After="900")
        user = await users.by_name(name)
        before = epoch(user.id) if user else 0
        right = await verify(password, user.password_hash if user else nobody)
        if not (user and right) or user.disabled:
            raise No("invalid_grant")
        await limiter.forget(pair)
        scope = scope_of(asked, set(user.scopes))
        with connect() as db:
            token = new_family(db, user.id, "first-party", scope)
        if epoch(user.id) != before:  # the password has changed while this one was being verified
            kill(family_of(token))
            raise No("invalid_grant")
        return tokens(user.id, "first-party", scope, token)

    @app.post("/oauth/token")
    async def token(request: Request):
        fields = await form(request)
        ways = {
            "refresh_token": refresh,
            "authorization_code": redeem,
            "client_credentials": own,
        }
        (grant,) = need(fields, "grant_type")
        if grant not in ways:
            raise No("unsupported_grant_type")
        return await ways[grant](request, fields)

    @app.post("/oauth/revoke")
    async def revoke(request: Request):
        (token,) = need(await form(request), "token")
        kill(family_of(token))
        return answer({})

    @app.get("/oauth/authorize")
    async def authorize(request: Request):
        claims = bearer(request)
        user = await user_of(claims)
        if claims["client_id"] != "first-party":
            said = 'Bearer error="insufficient_scope"'
            raise No("insufficient_scope", 403, WWW_Authenticate=said)
        pairs = request.query_params.multi_items()
        target = once([pair for pair in pairs if pair[0] in ("client_id", "redirect_uri")])
        client, uri = need(target, "client_id", "redirect_uri")
        if client not in clients or uri not in clients[client].redirect_uris:
            raise No("invalid_request")
        states = [value for name, value in pairs if name == "state" and value]
        added = {"state": states[0]} if len(states) == 1 else {}
        try:
            query = once(pairs)
            kind, challenge, method, _ = need(
                query, "response_type", "code_challenge", "code_challenge_method", "state"
            )
            if kind != "code":
                raise No("unsupported_response_type")
            if method != "S256" or len(challenge) != 43 or not set(challenge) <= B64:
                raise No("invalid_request")
            scope = scope_of(query.get("scope"), may(user, client))
            code = token_hex(32)
            until = clock.time() + settings.code_ttl_s
            with connect() as db:
                db.execute(
                    "insert into code values (?, ?, ?, ?, ?, ?, ?, null)",
                    (mac(code), user.id, client, scope, uri, challenge, until),
                )
            added["code"] = code
        except No as no:
            added["error"] = no.error
        added["iss"] = settings.issuer
        parts = urlsplit(uri)
        query = "&".join(part for part in (parts.query, urlencode(added)) if part)
        location = urlunsplit(parts._replace(query=query))
        return Response(None, 302, {"Location": location, "Cache-Control": "no-store"})

    @app.post("/password")
    async def password(request: Request):
        user = await user_of(bearer(request))
        body = await fields_of(request, "current", "new")
        if not body["new"]:
            raise No("invalid_request")
        if not await verify(body["current"], user.password_hash):
            raise No("invalid_grant")
        fresh_hash = await anyio.to_thread.run_sync(hasher.hash, body["new"], limiter=hashing)
        await users.set_password(user.id, fresh_hash)
        end_of(user.id)
        return Response(None, 204)

    @app.get("/me")
    async def me(request: Request):
        claims = bearer(request)
        user = await user_of(claims)
        return answer(
            {
                "id": user.id,
                "username": user.username,
                "email": user.email,
                "scope": claims["scope"],
            }
        )

    @app.delete("/users/{who}")
    async def delete(who: str, request: Request):
        bearer(request, "users:delete")
        found = await users.delete(who)
        end_of(who)
        return Response(None, 204) if found else answer({"error": "unknown"}, 404)

    @app.get("/.well-known/jwks.json")
    async def jwks():
        shown = [(key, jwk_of(key)[1]) for key in keys.verifying()]
        return {
            "keys": [{**data, "kid": key.kid, "alg": key.alg, "use": "sig"} for key, data in shown]
        }

    return app
