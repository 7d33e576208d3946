"""A deployment of your server to try it on: everything behind the ports stands in. Not graded.

    uvicorn service:app

Two users, `ann` (who may do anything) and `bob`, both with the password "correct horse"; and two
clients, `spa` (public) and `reports` (confidential, its secret is "battery staple").

    curl -i localhost:8000/login --json '{"username": "ann", "password": "correct horse"}'
    curl -i localhost:8000/me -H "Authorization: Bearer $ACCESS"
    curl -i localhost:8000/oauth/token -d grant_type=refresh_token -d refresh_token=$REFRESH
    curl -i localhost:8000/oauth/token -u 'reports:battery staple' -d grant_type=client_credentials
    curl -i localhost:8000/.well-known/jwks.json

The code flow, for a verifier that only you know:

    VERIFIER=$(openssl rand -hex 32)
    CHALLENGE=$(printf %s $VERIFIER | openssl dgst -sha256 -binary | basenc --base64url | tr -d =)
    curl -i -G localhost:8000/oauth/authorize -H "Authorization: Bearer $ACCESS" \
        -d response_type=code -d client_id=spa -d state=xyz -d code_challenge_method=S256 \
        -d code_challenge=$CHALLENGE --data-urlencode redirect_uri=http://localhost:3000/callback
    curl -i localhost:8000/oauth/token -d grant_type=authorization_code -d code=$CODE \
        -d client_id=spa -d code_verifier=$VERIFIER \
        --data-urlencode redirect_uri=http://localhost:3000/callback

http://localhost:8000/docs has what FastAPI knows of your routes. Keys, secret and users are made
anew at each start, so that tokens of the last one are worth nothing.
"""

import dataclasses
import secrets
import tempfile
import time
from collections import defaultdict, deque
from pathlib import Path

from auth import create_app
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from ports import Client, Key, Settings, User
from pwdlib import PasswordHash
from pwdlib.exceptions import UnknownHashError
from pwdlib.hashers.argon2 import Argon2Hasher


class Argon2:
    """Argon2id with the parameters that pwdlib recommends."""

    def __init__(self) -> None:
        self._argon2 = PasswordHash((Argon2Hasher(),))

    def hash(self, password: str) -> str:
        """Return a new hash."""
        return self._argon2.hash(password)

    def verify(self, password: str, password_hash: str) -> bool:
        """Return whether the hash is one of this password."""
        try:
            return self._argon2.verify(password, password_hash)
        except UnknownHashError:
            return False


class MemoryUsers:
    """A directory in memory."""

    def __init__(self, *users: User) -> None:
        self._users = {user.id: user for user in users}

    async def by_name(self, username: str) -> User | None:
        """Return the user of this name."""
        return next((user for user in self._users.values() if user.username == username), None)

    async def by_id(self, user_id: str) -> User | None:
        """Return the user of this id."""
        return self._users.get(user_id)

    async def set_password(self, user_id: str, password_hash: str) -> None:
        """Replace the password's hash."""
        user = self._users[user_id]
        self._users[user_id] = dataclasses.replace(user, password_hash=password_hash)

    async def delete(self, user_id: str) -> bool:
        """Delete the user."""
        return self._users.pop(user_id, None) is not None


class OneKey:
    """A ring with a single key, made at the start."""

    def __init__(self) -> None:
        private = ec.generate_private_key(ec.SECP256R1())
        private_pem = private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        public_pem = private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self._key = Key(secrets.token_hex(4), "ES256", private_pem.decode(), public_pem.decode())

    def signing(self) -> Key:
        """Return the key that signs."""
        return self._key

    def verifying(self) -> list[Key]:
        """Return all keys that are accepted."""
        return [self._key]


class SystemClock:
    """The clock of this machine."""

    def time(self) -> float:
        """Return the seconds since 1970."""
        return time.time()


class MemoryLimiter:
    """Counts in the memory of one process, which is enough for one process."""

    def __init__(self) -> None:
        self._hits: defaultdict[str, deque[float]] = defaultdict(deque)

    async def hit(self, key: str, window_s: int) -> int:
        """Count one, and return how many there were."""
        now, hits = time.monotonic(), self._hits[key]
        hits.append(now)
        while hits[0] <= now - window_s:
            hits.popleft()
        return len(hits)

    async def forget(self, key: str) -> None:
        """Let a count begin anew."""
        self._hits.pop(key, None)


argon2 = Argon2()
password_hash = argon2.hash("correct horse")
app = create_app(
    Settings(
        issuer="http://localhost:8000",
        audience="http://localhost:8000",
        database=str(Path(tempfile.mkdtemp(prefix="q12-")) / "auth.db"),
        secret=secrets.token_bytes(32),
        clients=(
            Client("spa", None, ("http://localhost:3000/callback",), ("items:read", "items:write")),
            Client("reports", argon2.hash("battery staple"), (), ("items:read",)),
        ),
    ),
    users=MemoryUsers(
        User(
            id="u1",
            username="ann",
            email="ann@example.org",
            password_hash=password_hash,
            disabled=False,
            scopes=("items:read", "items:write", "users:delete"),
        ),
        User(
            id="u2",
            username="bob",
            email="bob@example.org",
            password_hash=password_hash,
            disabled=False,
            scopes=("items:read",),
        ),
    ),
    hasher=argon2,
    keys=OneKey(),
    clock=SystemClock(),
    limiter=MemoryLimiter(),
)
