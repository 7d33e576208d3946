"""The judge's half of a site: who there is, with which keys and settings.

The directory, the hasher and the limiter live here: what they were asked is a fact. The sandbox can
call their exposed methods alone.
"""

from __future__ import annotations

import random
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from msgspec import Meta

from archprep.grading import HeldReply, exposed

NAMES = (
    "ada ben cleo dora emil finn greta hugo iris jonas kira lena milo nora oscar pia quinn rosa "
    "sven tilda ugo vera willi xenia yann zoe"
).split()
PLACES = "harbor meadow quarry summit valley orchard canal market bridge garden tower mill".split()
SCOPES = "read write reports billing audit media notes export".split()
DELETE = "users:delete"
LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"

# -- keys


@dataclass(frozen=True)
class Pair:
    """A key of the ring, with what the judge signs with."""

    kid: str
    alg: str
    private: Any

    @property
    def public_pem(self) -> bytes:
        return self.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def wire(self) -> dict[str, str]:
        """As the probe gets it."""
        private_pem = self.private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return {
            "kid": self.kid,
            "alg": self.alg,
            "private_pem": private_pem.decode(),
            "public_pem": self.public_pem.decode(),
        }


@cache
def rsa_key(number: int = 0, bits: int = 2048) -> rsa.RSAPrivateKey:  # noqa: ARG001
    """An RSA key; it takes long to make, so the same number gives the same one in each scenario."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def ec_key(curve: ec.EllipticCurve | None = None) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(curve or ec.SECP256R1())


def ed_key() -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.generate()


# -- people and clients


@dataclass
class Person:
    """Somebody in the directory, and the password that nobody else knows."""

    id: str
    username: str
    email: str
    password: str
    password_hash: str
    scopes: list[str]
    disabled: bool = False

    def wire(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "username": self.username,
            "email": self.email,
            "password_hash": self.password_hash,
            "disabled": self.disabled,
            "scopes": list(self.scopes),
        }


@dataclass
class App:
    """A client of the settings; `secret` None: a public one."""

    id: str
    secret: str | None
    secret_hash: str | None
    redirect_uris: list[str]
    scopes: list[str]

    def wire(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "secret_hash": self.secret_hash,
            "redirect_uris": self.redirect_uris,
            "scopes": self.scopes,
        }


# -- the objects that the app calls


class Barrier:
    """Holds replies of one object back, once it is told to."""

    def __init__(self) -> None:
        self.most = 0  # replies that it will still hold back
        self.waiting: list[tuple[HeldReply, Any]] = []
        self._lock = threading.Lock()

    def pass_or_hold(self, value: Any) -> Any:
        with self._lock:
            if self.most < 1:
                return value
            self.most -= 1
            self.waiting.append((HeldReply(), value))
            return self.waiting[-1][0]

    def hold(self, most: int = 1000) -> None:
        """Hold the next replies back, at most so many."""
        with self._lock:
            self.most = most

    def release(self, *, stay_closed: bool = False) -> None:
        """Let go what waits, and hold nothing any more unless it stays closed."""
        with self._lock:
            self.most, waiting = self.most if stay_closed else 0, self.waiting
            self.waiting = []
        for held, value in waiting:
            held.release(value)


class Directory:
    """The users. Notes what it was asked."""

    def __init__(self) -> None:
        self.people: dict[str, Person] = {}
        self.barrier = Barrier()  # of by_id
        self.passwords_set: list[tuple[str, str]] = []

    @exposed
    def by_name(self, username: str) -> dict[str, Any] | None:
        found = [p for p in self.people.values() if p.username == username]
        return found[0].wire() if found else None

    @exposed
    def by_id(self, user_id: str) -> Any:
        found = self.people.get(user_id)
        return self.barrier.pass_or_hold(found.wire() if found else None)

    @exposed
    def set_password(self, user_id: str, password_hash: str) -> None:
        self.passwords_set.append((str(user_id), str(password_hash)))
        if user_id in self.people:
            self.people[user_id].password_hash = str(password_hash)

    @exposed
    def delete(self, user_id: str) -> bool:
        return self.people.pop(user_id, None) is not None


class Hasher:
    """Hashes that say nothing: which password is whose is known here alone."""

    def __init__(self, rng: random.Random) -> None:
        self.made: dict[str, str] = {}  # password by hash
        self.of_app: dict[str, str] = {}  # the same by which the app has asked for
        self.asked: list[tuple[str, str]] = []  # of verify: password and hash
        self.barrier = Barrier()
        self._rng = random.Random(rng.random())

    @exposed
    def hash(self, password: str) -> Any:
        made = self.known(str(password))
        self.of_app[made] = str(password)
        return self.barrier.pass_or_hold(made)

    def make(self, password: str) -> str:  # noqa: ARG002 - a class below needs it
        return "$argon2id$v=19$m=65536,t=3,p=4$" + draw(self._rng, 22) + "$" + draw(self._rng, 43)

    def known(self, password: str) -> str:
        """The hash of a password that the directory or the settings know."""
        made = self.make(password)
        self.made[made] = password
        return made

    @exposed
    def verify(self, password: str, password_hash: str) -> Any:
        self.asked.append((str(password), str(password_hash)))
        return self.barrier.pass_or_hold(self.made.get(password_hash) == password)


class Argon2(Hasher):
    """Real hashes, cheap ones: 64 kB and one pass."""

    def make(self, password: str) -> str:
        salt = self._rng.randbytes(16)
        argon2 = Argon2id(salt=salt, length=32, iterations=1, lanes=1, memory_cost=64)
        return argon2.derive_phc_encoded(password.encode())


class Limiter:
    """Counts by the judge's clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.hits: dict[str, list[float]] = defaultdict(list)

    @exposed
    def hit(self, key: str, window_s: Annotated[int, Meta(ge=0, le=10**9)]) -> int:
        self.hits[key].append(self.now)
        return sum(at > self.now - window_s for at in self.hits[key])

    @exposed
    def forget(self, key: str) -> None:
        self.hits.pop(key, None)


class News:
    """Hears how many requests have been answered: only to spare time, it decides nothing."""

    def __init__(self) -> None:
        self.count = 0

    @exposed
    def answered(self) -> None:
        self.count += 1


# -- a site


def draw(rng: random.Random, length: int = 12) -> str:
    """Letters and digits that mean nothing."""
    return "".join(rng.choices(LETTERS, k=length))


@dataclass
class Site:
    """Settings, keys, people and clients, drawn at random."""

    rng: random.Random
    hashes: type[Hasher] = Hasher
    clients: list[App] = field(default_factory=list)

    def __post_init__(self) -> None:
        rng = self.rng
        self.now = 2_000_000_000.0 + rng.randrange(10**8)
        place = rng.choice(PLACES)
        self.issuer = f"https://id.{place}.example"
        self.audience = f"https://api.{place}.example"
        self.secret = rng.randbytes(rng.randint(32, 48))
        self.access_ttl_s = rng.randint(100, 200) * 6
        self.refresh_ttl_s = rng.randint(20, 40) * 86400
        self.code_ttl_s = rng.randint(30, 90)
        self.directory, self.hasher = Directory(), self.hashes(rng)
        self.limiter, self.news = Limiter(), News()
        self._names = rng.sample(NAMES, len(NAMES))
        self._address = rng.randrange(1 << 16)
        self.keys = [self.rsa_pair(), self.ec_pair()]
        rng.shuffle(self.keys)
        self.ring = [0, 1]

    def rsa_pair(self, number: int = 0) -> Pair:
        return Pair(draw(self.rng, 8), "RS256", rsa_key(number))

    def ec_pair(self) -> Pair:
        return Pair(draw(self.rng, 8), "ES256", ec_key())

    def person(self, *extra: str) -> Person:
        """Somebody new with some scopes, and these."""
        name = self._names.pop()
        username = f"{name}{self.rng.randint(10, 99)}"
        password = draw(self.rng)
        scopes = [*self.rng.sample(SCOPES, 3), *extra]
        person = Person(
            id=f"u-{draw(self.rng, 10)}",
            username=username,
            email=f"{username}@{draw(self.rng, 6)}.example",
            password=password,
            password_hash=self.hasher.known(password),
            scopes=scopes,
        )
        self.directory.people[person.id] = person
        return person

    def client(self, *scopes: str, confidential: bool = False) -> App:
        """A new client that may have these scopes."""
        name = f"{self.rng.choice(['web', 'app', 'cli', 'job'])}-{draw(self.rng, 6)}"
        # Form-encoded before base64: what stands for itself elsewhere does not here.
        secret = "%:+ /&".join(draw(self.rng, 6) for _ in range(4)) if confidential else None
        host = f"https://{name}.example"
        made = App(
            id=name,
            secret=secret,
            secret_hash=secret and self.hasher.known(secret),
            redirect_uris=[] if confidential else [f"{host}/back", f"{host}/in?from=id"],
            scopes=list(scopes),
        )
        self.clients.append(made)
        return made

    def address(self) -> str:
        """An address that nobody else in this site has."""
        self._address += self.rng.randint(1, 300)
        return f"10.{self._address >> 16}.{self._address >> 8 & 255}.{self._address & 255}"

    def settings(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "audience": self.audience,
            "secret": self.secret.hex(),
            "clients": [client.wire() for client in self.clients],
            "access_ttl_s": self.access_ttl_s,
            "refresh_ttl_s": self.refresh_ttl_s,
            "code_ttl_s": self.code_ttl_s,
        }

    def wire(self) -> dict[str, Any]:
        """What the probe is told in advance."""
        return {
            "settings": self.settings(),
            "keys": [pair.wire() for pair in self.keys],
            "ring": self.ring,
            "now": self.now,
        }
