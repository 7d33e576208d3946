"""The secret that opens a review, and the addresses and keys derived from it."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field

HOST = "127.0.0.1"
TOKEN_PARAMETER = "token"  # noqa: S105 - not a secret

_HTTP_PORT = 80  # browsers omit this one


@dataclass(frozen=True, slots=True)
class Access:
    """The token and the port of a running review."""

    token: str = field(repr=False)
    port: int

    @classmethod
    def new(cls, port: int) -> Access:
        """Draw a token for the server at `port`."""
        return cls(secrets.token_urlsafe(32), port)

    @property
    def url(self) -> str:
        """The address that opens the review."""
        return self.url_with(self.token)

    def url_with(self, secret: str) -> str:
        """The address that opens the review with this token or one-time ticket."""
        return f"http://{HOST}:{self.port}/?{TOKEN_PARAMETER}={secret}"

    @property
    def cookie(self) -> str:
        """The name of the cookie. It contains the port because cookies ignore ports."""
        return f"archprep-review-{self.port}"

    @property
    def form_key(self) -> str:
        """The value of the field `key` in every form."""
        return hmac.new(self.token.encode(), b"form", hashlib.sha256).hexdigest()

    def is_form_key(self, text: str) -> bool:
        """Whether `text` is the key of this review's forms."""
        return is_equal(text, self.form_key)

    def is_token(self, text: str) -> bool:
        """Whether `text` is the token."""
        return is_equal(text, self.token)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The values of the Host header that are accepted."""
        names = (HOST, "localhost")
        bare = names if self.port == _HTTP_PORT else ()
        return (*(f"{name}:{self.port}" for name in names), *bare)


def is_equal(text: str, secret: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(text.encode("utf-8", "replace"), secret.encode())
