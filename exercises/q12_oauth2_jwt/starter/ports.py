"""What your code is given: settings, and the ports to everything outside. Not to be changed.

Under `uvicorn service:app` stand-ins are behind the ports, under the graders other ones. README.md
has the rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class User:
    """A user as the directory knows it at this moment."""

    id: str  # never changes, and is never given to anybody else
    username: str
    email: str
    password_hash: str  # what Hasher.hash() returned
    disabled: bool  # may neither log in nor refresh
    scopes: tuple[str, ...]  # all that may be granted to this user


@dataclass(frozen=True)
class Client:
    """An application that is registered with us."""

    id: str  # never "first-party"
    secret_hash: str | None  # what Hasher.hash() returned; None: a public client, without a secret
    redirect_uris: tuple[str, ...]  # absolute, without a fragment; some have a query
    scopes: tuple[str, ...]  # all that may be granted to this client


@dataclass(frozen=True)
class Key:
    """A pair of keys."""

    kid: str  # names the key; no other key of the ring has this name
    alg: str  # "RS256" or "ES256", and nothing else
    private_pem: str  # PKCS #8, not encrypted
    public_pem: str  # SubjectPublicKeyInfo


@dataclass(frozen=True)
class Settings:
    """What differs from one deployment to the next."""

    issuer: str  # "https://auth.example"
    audience: str  # "https://api.example"
    database: str  # path of an SQLite file, shared by all processes; it may exist already
    secret: bytes  # the HMAC key under which refresh tokens and codes are stored
    clients: tuple[Client, ...]
    access_ttl_s: int = 300
    refresh_ttl_s: int = 1_209_600
    code_ttl_s: int = 60


class Users(Protocol):
    """The directory: somebody else's service, asked over the network.

    What it says is true at the moment when it says it. A user may be disabled, lose scopes or
    vanish between two questions, and nobody will tell you.
    """

    async def by_name(self, username: str) -> User | None:
        """Return the user of this name, or None if there is none."""

    async def by_id(self, user_id: str) -> User | None:
        """Return the user of this id, or None if there is none."""

    async def set_password(self, user_id: str, password_hash: str) -> None:
        """Replace the password's hash."""

    async def delete(self, user_id: str) -> bool:
        """Delete the user. Returns False if there was none."""


class Hasher(Protocol):
    """Argon2: each call takes 100 ms of a core and 64 MB, and returns when it has finished."""

    def hash(self, password: str) -> str:
        """Return a new hash of the password, with a new salt."""

    def verify(self, password: str, password_hash: str) -> bool:
        """Return whether the hash is one of this password. Never raises."""


class KeyRing(Protocol):
    """The keys of today. Ask whenever you need one: they may change between two requests.

    Both methods answer at once, from memory.
    """

    def signing(self) -> Key:
        """Return the key that signs now."""

    def verifying(self) -> Sequence[Key]:
        """Return all keys whose tokens are still accepted, the signing one included."""


class Clock(Protocol):
    """The time. There is no other: a deployment, a test and a grader all set it here."""

    def time(self) -> float:
        """Return the seconds since 1970, as JWTs count them."""


class Limiter(Protocol):
    """Counts for all processes. Any text is a key."""

    async def hit(self, key: str, window_s: int) -> int:
        """Count one, and return how many there were in the last `window_s` seconds, with this."""

    async def forget(self, key: str) -> None:
        """Let the count of this key begin anew."""
