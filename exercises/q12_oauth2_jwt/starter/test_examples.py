"""Public examples: a first orientation. The hidden graders check every rule of README.md.

Run them with `pytest`. httpx calls your app directly; the directory, the hasher, the clock and the
limiter are small fakes below.
"""

import asyncio
import base64
import dataclasses
import hashlib
import json
import sqlite3
from collections import Counter
from functools import cached_property, partialmethod
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest
from auth import create_app
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from ports import Client, Key, Settings, User

CALLBACK = "https://app.example/callback"
VERIFIER = "a-verifier-is-made-of-43-to-128-characters.~"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=")


class Users:
    def __init__(self, *users):
        self.users = {user.id: user for user in users}

    async def by_name(self, username):
        return next((user for user in self.users.values() if user.username == username), None)

    async def by_id(self, user_id):
        return self.users.get(user_id)

    async def set_password(self, user_id, password_hash):
        self.change(user_id, password_hash=password_hash)

    async def delete(self, user_id):
        return self.users.pop(user_id, None) is not None

    def change(self, user_id, **fields):
        self.users[user_id] = dataclasses.replace(self.users[user_id], **fields)


class Hasher:
    """Hashes nothing, and remembers what it was asked."""

    def __init__(self):
        self.verified = []

    def hash(self, password):
        return f"hash of {password}"

    def verify(self, password, password_hash):
        self.verified.append((password, password_hash))
        return password_hash == f"hash of {password}"


class Keys:
    def __init__(self, *keys):
        self.keys = keys

    def signing(self):
        return self.keys[0]

    def verifying(self):
        return self.keys


class Clock:
    now = 1_800_000_000.5

    def time(self):
        return self.now


class Limiter:
    def __init__(self):
        self.counts = Counter()

    async def hit(self, key, window_s):
        self.counts[key] += 1
        return self.counts[key]

    async def forget(self, key):
        self.counts[key] = 0


class Http:
    """A client of an app that is made at the first request, and lives on one event loop."""

    def __init__(self, make_app, runner):
        self.make_app = make_app
        self.runner = runner

    @cached_property
    def client(self):
        app = self.make_app()
        self.runner.run(app.router.lifespan_context(app).__aenter__())
        return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")

    def request(self, method, path, **options):
        return self.runner.run(self.client.request(method, path, **options))

    get = partialmethod(request, "GET")
    post = partialmethod(request, "POST")
    delete = partialmethod(request, "DELETE")


def new_key(kid):
    private = ec.generate_private_key(ec.SECP256R1())
    private_pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public_pem = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return Key(kid, "ES256", private_pem.decode(), public_pem.decode())


ANN = User("u1", "ann", "ann@example.org", "hash of horse", False, ("read", "write"))
BOB = User("u2", "bob", "bob@example.org", "hash of staple", False, ("read", "users:delete"))
APP = Client("app", None, (CALLBACK,), ("read", "mail"))
BATCH = Client("batch", "hash of s3cret", (), ("read", "count"))


@pytest.fixture
def world(tmp_path):
    """An app and what it was given; `world.http` is a client of it."""
    world = SimpleNamespace(
        settings=Settings(
            issuer="https://auth.example",
            audience="https://api.example",
            database=str(tmp_path / "auth.db"),
            secret=b"s" * 32,
            clients=(APP, BATCH),
        ),
        users=Users(ANN, BOB),
        hasher=Hasher(),
        keys=Keys(new_key("k1")),
        clock=Clock(),
        limiter=Limiter(),
    )
    ports = dict(vars(world))
    settings = ports.pop("settings")
    with asyncio.Runner() as runner:
        world.http = Http(lambda: create_app(settings, **ports), runner)
        yield world


def login(world, username="ann", password="horse", **more):  # noqa: S107 - of nobody
    return world.http.post("/login", json={"username": username, "password": password, **more})


def tokens(world, *args, **more):
    response = login(world, *args, **more)
    assert response.status_code == 200, response.text
    return response.json()


def form(world, **fields):
    return world.http.post("/oauth/token", data=fields)


def refresh(world, refresh_token, **more):
    return form(world, grant_type="refresh_token", refresh_token=refresh_token, **more)


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


# -- task 1: access tokens


def test_login_gives_an_access_token_of_rfc_9068(world):
    response = login(world, scope="read")
    body = response.json()
    assert (response.status_code, response.headers["cache-control"]) == (200, "no-store")
    assert (body["token_type"], body["expires_in"], body["scope"]) == ("Bearer", 300, "read")
    header = jwt.get_unverified_header(body["access_token"])
    assert header == {"typ": "at+jwt", "alg": "ES256", "kid": "k1"}
    claims = jwt.decode(body["access_token"], options={"verify_signature": False})
    assert claims.pop("jti")
    assert claims == {
        "iss": "https://auth.example",
        "aud": "https://api.example",
        "sub": "u1",
        "client_id": "first-party",
        "iat": 1_800_000_000,
        "exp": 1_800_000_300,
        "scope": "read",
    }


def test_me_says_little_and_only_with_a_token_that_is_valid(world):
    token = tokens(world)["access_token"]
    response = world.http.get("/me", headers=bearer(token))
    body = response.json()
    assert set(body.pop("scope").split(" ")) == {"read", "write"}
    assert body == {"id": "u1", "username": "ann", "email": "ann@example.org"}
    assert world.http.get("/me").headers["www-authenticate"] == "Bearer"
    head, body, _ = token.split(".")
    unsigned = base64.urlsafe_b64encode(json.dumps({"alg": "none", "kid": "k1"}).encode()).decode()
    for bad in (f"{head}.{body}.AAAA", f"{unsigned.rstrip('=')}.{body}.", "rubbish"):
        response = world.http.get("/me", headers=bearer(bad))
        assert response.status_code == 401
        assert 'error="invalid_token"' in response.headers["www-authenticate"]
    world.clock.now += 300
    assert world.http.get("/me", headers=bearer(token)).status_code == 401


# -- task 2: refresh tokens


def test_a_refresh_token_works_once_and_its_reuse_ends_the_family(world):
    first = tokens(world)["refresh_token"]
    second = refresh(world, first).json()["refresh_token"]
    third = refresh(world, second).json()["refresh_token"]
    for token in (first, third):  # the thief's, or the victim's: nobody can tell
        response = refresh(world, token)
        assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")


def test_the_file_holds_no_token(world):
    token = tokens(world)["refresh_token"]
    with sqlite3.connect(world.settings.database) as database:
        dump = "\n".join(database.iterdump())
    assert "insert" in dump.lower()
    assert token not in dump
    assert token.encode().hex() not in dump.lower()


# -- task 3: revocation and keys


def test_what_ends_refresh_tokens_at_once(world):
    revoked, other = tokens(world), tokens(world)
    assert world.http.post("/oauth/revoke", data={"token": "unknown"}).status_code == 200
    response = world.http.post("/oauth/revoke", data={"token": revoked["refresh_token"]})
    assert response.status_code == 200
    assert refresh(world, revoked["refresh_token"]).status_code == 400
    change = {"current": "horse", "new": "zebra"}
    response = world.http.post("/password", json=change, headers=bearer(other["access_token"]))
    assert response.status_code == 204
    assert refresh(world, other["refresh_token"]).status_code == 400
    again = tokens(world, "ann", "zebra")
    world.users.change("u1", disabled=True)
    assert refresh(world, again["refresh_token"]).status_code == 400


def test_keys_change_while_the_app_runs(world):
    old, new = world.keys.keys[0], new_key("k2")
    token = tokens(world)["access_token"]
    world.keys.keys = (new, old)
    assert jwt.get_unverified_header(tokens(world)["access_token"])["kid"] == "k2"
    assert world.http.get("/me", headers=bearer(token)).status_code == 200
    published = world.http.get("/.well-known/jwks.json").json()["keys"]
    assert {key["kid"] for key in published} == {"k1", "k2"}
    assert not any("d" in key for key in published)
    world.keys.keys = (new,)
    assert world.http.get("/me", headers=bearer(token)).status_code == 401


# -- task 4: authorization and abuse


def test_all_ways_to_fail_a_login_look_the_same(world):
    world.users.change("u2", disabled=True)
    attempts = [("ann", "wrong"), ("bob", "staple"), ("carol", "horse")]
    responses = [login(world, *attempt) for attempt in attempts]
    assert {(r.status_code, r.json()["error"]) for r in responses} == {(400, "invalid_grant")}
    assert len({r.content for r in responses}) == 1
    assert [password for password, _ in world.hasher.verified] == ["wrong", "staple", "horse"]


def test_a_sixth_attempt_is_one_too_many(world):
    assert [login(world, "ann", "guess").status_code for _ in range(5)] == [400] * 5
    response = login(world)
    assert (response.status_code, response.json()["error"]) == (429, "slow_down")
    assert int(response.headers["retry-after"]) >= 1
    assert len(world.hasher.verified) == 5


def test_scopes_are_enforced(world):
    token = tokens(world)["access_token"]
    response = world.http.delete("/users/u2", headers=bearer(token))
    assert response.status_code == 403
    assert 'error="insufficient_scope"' in response.headers["www-authenticate"]
    token = tokens(world, "bob", "staple")["access_token"]
    assert world.http.delete("/users/u1", headers=bearer(token)).status_code == 204
    assert world.http.delete("/users/u1", headers=bearer(token)).status_code == 404
    assert login(world, "bob", "staple", scope="read write").json()["error"] == "invalid_scope"


# -- task 5: clients


def test_a_code_needs_its_verifier_and_works_once(world):
    request = {
        "response_type": "code",
        "client_id": "app",
        "redirect_uri": CALLBACK,
        "state": "x y",
        "code_challenge": CHALLENGE.decode(),
        "code_challenge_method": "S256",
    }
    headers = bearer(tokens(world)["access_token"])
    response = world.http.get("/oauth/authorize", params=request, headers=headers)
    assert response.status_code == 302
    assert response.headers["location"].startswith(CALLBACK + "?")
    answer = parse_qs(urlsplit(response.headers["location"]).query)
    assert (answer["state"], answer["iss"]) == (["x y"], ["https://auth.example"])
    redeem = {
        "grant_type": "authorization_code",
        "code": answer["code"][0],
        "client_id": "app",
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
    }
    body = form(world, **redeem).json()
    assert body["scope"] == "read"  # what ann and the app both may
    assert form(world, **redeem).json()["error"] == "invalid_grant"
    assert refresh(world, body["refresh_token"], client_id="app").json()["error"] == "invalid_grant"
    evil = {**request, "redirect_uri": "https://evil.example/"}
    assert world.http.get("/oauth/authorize", params=evil, headers=headers).status_code == 400


def test_a_client_of_its_own(world):
    fields = {"grant_type": "client_credentials"}
    response = world.http.post("/oauth/token", data=fields, auth=("batch", "s3cret"))
    body = response.json()
    assert response.status_code == 200
    assert set(body["scope"].split(" ")) == {"read", "count"}
    assert "refresh_token" not in body
    response = world.http.post("/oauth/token", data=fields, auth=("batch", "guess"))
    assert (response.status_code, response.json()["error"]) == (401, "invalid_client")
    assert response.headers["www-authenticate"].startswith("Basic")
