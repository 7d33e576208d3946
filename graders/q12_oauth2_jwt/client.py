"""The judge as OAuth client: what it sends, what comes back, and what it makes of that."""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from typing import Any
from urllib.parse import parse_qsl, quote_plus, urlencode

from archprep.core.errors import CandidateError
from archprep.grading import Request, expect, fake

from .telling import tell_answer, tell_request
from .tokens import Read, read
from .world import App, Person, Site, draw

PATIENCE = 12  # seconds for one scenario, which takes a fraction of one
MOST_OF_FILES = 64 << 20
SHOWN = 9  # lines of what has happened
TOKEN = re.compile(r"[!-~]{1,12000}")  # what can be sent back in a header
CHALLENGE = re.compile(r'(?:\A|[\s,])([a-z_]+)=(?:"([^"]*)"|([^\s,"]+))')


@dataclass
class Answer:
    """What came back, and to what."""

    said: str
    reply: Any

    @property
    def status(self) -> int:
        return int(self.reply.status)

    @cached_property
    def body(self) -> dict[str, Any]:
        """The JSON object of the body; empty if it is none."""
        try:
            found = self.reply.json()
        except CandidateError:
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def error(self) -> Any:
        return self.body.get("error")

    @property
    def access(self) -> str:
        """The access token; "" if there is none."""
        return self._text("access_token")

    @property
    def refresh(self) -> str:
        return self._text("refresh_token")

    @property
    def scopes(self) -> list[str]:
        """What the access token may do, as it says itself."""
        claims = self.read.claims if self.read else {}
        return sorted(str(claims.get("scope", "")).split())

    @cached_property
    def read(self) -> Read | None:
        return read(self.access)

    @property
    def location(self) -> tuple[str, dict[str, str]]:
        """Where it redirects to: all before the query, and the query."""
        where, _, query = (self.reply.header("location") or "").partition("?")
        return where, dict(parse_qsl(query, keep_blank_values=True))

    def challenge(self) -> tuple[str, dict[str, str]]:
        """The scheme and the parameters of WWW-Authenticate."""
        scheme, _, rest = (self.reply.header("www-authenticate") or "").partition(" ")
        found = {name: quoted or plain for name, quoted, plain in CHALLENGE.findall(rest)}
        return scheme.lower(), found

    def tell(self) -> str:
        return tell_answer(self)

    def _text(self, name: str) -> str:
        value = self.body.get(name)
        return value if isinstance(value, str) and TOKEN.fullmatch(value) else ""


class Stop(Exception):
    """The rest of a part says nothing any more."""


@dataclass
class Part:
    """The requests of one criterion. Judges as it goes, and stops at the first thing amiss."""

    site: Site
    web: Any
    lines: list[str] = field(default_factory=list)  # what has happened, in words
    judged: list[dict[str, Any]] = field(default_factory=list)
    broke: CandidateError | None = None

    # -- judging

    def expect(self, condition: bool, *, expected: str, observed: str, given: str = "") -> None:
        """Note what is compared for the criterion; what is amiss ends this part."""
        told = ""
        if not condition:
            told = given or self.tell()
        self.judged.append(
            {
                "condition": bool(condition),
                "expected": expected,
                "observed": observed,
                "given": told,
            }
        )
        if not condition:
            raise Stop

    def tell(self) -> str:
        """What has happened last; what has happened several times stands there once."""
        groups = [(line, len([*alike])) for line, alike in groupby(self.lines)]
        told = [f"{count} times: {line}" if count > 1 else line for line, count in groups]
        return "\n".join(told[-SHOWN:])

    def check(self) -> None:
        """Compare all that was noted; to be called in the criterion."""
        if self.broke:
            raise self.broke
        for judged in self.judged:
            expect(**judged)

    def works(self, answer: Answer, says: str) -> Answer:
        """A token response: 200 with an access token and a refresh token."""
        self.expect(
            answer.status == 200 and bool(answer.access and answer.refresh),
            expected=f"{says}: 200 with access_token and refresh_token",
            observed=answer.tell(),
        )
        return answer

    def refused(self, answer: Answer, says: str) -> None:
        """No tokens, and it is the client's fault."""
        self.expect(
            400 <= answer.status < 500 and not answer.access and not answer.refresh,
            expected=f"{says}: 400 invalid_grant, without tokens",
            observed=answer.tell(),
        )

    def is_error(self, answer: Answer, status: int, error: str, says: str) -> None:
        """An error as RFC 6749 5.2 has it."""
        self.expect(
            answer.status == status and answer.error == error and not answer.access,
            expected=f"{says}: {status} {error}",
            observed=answer.tell(),
        )

    def knows(self, access: str, person: Person, says: str) -> None:
        """/me accepts this token as this person's."""
        answer = self.me(access)
        self.expect(
            answer.status == 200 and answer.body.get("id") == person.id,
            expected=f"{says}: GET /me gives 200 with the id {person.id}",
            observed=answer.tell(),
        )

    # -- sending

    def request(
        self,
        method: str,
        path: str,
        *,
        form: Any = None,
        data: Any = None,
        bearer: str | bytes | None = None,
        basic: tuple[str, str] | None = None,
        headers: Sequence[tuple[str, Any]] = (),
        peer: str = "",
        app: int = 0,
        told: bool = False,
        said: str = "",
    ) -> tuple[str, Request]:
        """A request, in words and as it is sent; `told`: the judge hears of its end."""
        site, body = self.site, b""
        own: list[tuple[str, Any]] = [
            ("x-peer", peer or site.address()),
            ("x-now", str(site.now)),
            ("x-ring", json.dumps(site.ring)),
            *([("x-told", "1")] if told else []),
            *headers,
        ]
        if form is not None:
            body = urlencode(form).encode()
            own.append(("Content-Type", "application/x-www-form-urlencoded"))
        if data is not None:
            body = data if isinstance(data, bytes) else json.dumps(data).encode()
            own.append(("Content-Type", "application/json"))
        if bearer is not None:
            sent = bearer if isinstance(bearer, bytes) else bearer.encode()
            own.append(("Authorization", b"Bearer " + sent))
        if basic is not None:
            pair = ":".join(quote_plus(text) for text in basic).encode()
            own.append(("Authorization", b"Basic " + base64.b64encode(pair)))
        said = said or tell_request(method, path, form, data, bearer, basic)
        if peer:
            said += f", from {peer}"
        return said, Request(method, path, tuple(own), body, app=app)

    def send(self, method: str, path: str, *, seconds: float = 5.0, **more: Any) -> Answer:
        """Send one request and wait for its answer."""
        said, request = self.request(method, path, **more)
        self.site.limiter.now = self.site.now
        answer = Answer(said, self.web.send(request, seconds=seconds))
        self.lines.append(f"{said} -> {answer.tell()}")
        return answer

    def all(self, requests: Iterable[tuple[str, Request]]) -> list[Answer]:
        """Send requests at the same time."""
        return self.answers(self.begin(requests))

    def begin(self, requests: Iterable[tuple[str, Request]]) -> tuple[list[str], Any]:
        """Send requests and do not wait."""
        said, sent = zip(*requests, strict=True)
        self.site.limiter.now = self.site.now
        return [*said], self.web.begin(sent)

    def answers(self, begun: tuple[list[str], Any]) -> list[Answer]:
        said, calls = begun
        found = [Answer(one, reply) for one, reply in zip(said, calls.replies(), strict=True)]
        self.lines += [f"{one.said} -> {one.tell()}" for one in found]
        return found

    def later(self, seconds: float) -> None:
        """Let time pass."""
        self.site.now += seconds
        self.lines.append(f"{seconds:,} s pass")

    def begin_anew(self) -> None:
        """What has happened so far has nothing to do with what comes now."""
        self.lines.clear()

    def note(self, line: str) -> None:
        self.lines.append(line)

    def files(self) -> bytes:
        """All that stands in the database file and in those beside it."""
        _, request = self.request("GET", "/", headers=[("x-files", "1")])
        try:
            return zlib.decompressobj().decompress(self.web.send(request).body, MOST_OF_FILES)
        except zlib.error:
            return b""

    # -- the endpoints

    def login(
        self, person: Person, password: str | None = None, scope: str | None = None, **more: Any
    ) -> Answer:
        right = person.password if password is None else password
        data = {"username": person.username, "password": right} | given(scope=scope)
        which = "the right" if right == person.password else "another"
        said = f"POST /login as {person.username} with {which} password"
        said += f', scope "{scope}"' if scope else ""
        return self.send("POST", "/login", data=data, said=said, **more)

    def token(self, **form: str | None) -> Answer:
        return self.send("POST", "/oauth/token", form=given(**form))

    def refresh(self, token: str, *, app: int = 0, **form: str | None) -> Answer:
        form = {"grant_type": "refresh_token", "refresh_token": token} | form
        return self.send("POST", "/oauth/token", form=given(**form), app=app)

    def revoke(self, token: str) -> Answer:
        return self.send("POST", "/oauth/revoke", form={"token": token})

    def me(self, access: str | bytes, **more: Any) -> Answer:
        return self.send("GET", "/me", bearer=access, **more)

    def password(self, access: str, current: str, new: str) -> Answer:
        return self.send("POST", "/password", bearer=access, data={"current": current, "new": new})

    def change_password(self, person: Person, access: str) -> None:
        """Give somebody a new password, with success."""
        new = draw(self.site.rng)
        answer = self.password(access, person.password, new)
        said = "the password is changed: 204"
        self.expect(answer.status == 204, expected=said, observed=answer.tell())
        person.password = new

    def delete(self, access: str, user_id: str) -> Answer:
        return self.send("DELETE", f"/users/{user_id}", bearer=access)

    def as_client(self, client: App, secret: str | None = None, **form: str | None) -> Answer:
        """The client credentials grant."""
        basic = (client.id, (client.secret or "") if secret is None else secret)
        form = {"grant_type": "client_credentials"} | form
        return self.send("POST", "/oauth/token", form=given(**form), basic=basic)

    def authorize(self, access: str | None, query: dict[str, str]) -> Answer:
        return self.send("GET", f"/oauth/authorize?{urlencode(query)}", bearer=access)

    def chain(self, person: Person, length: int) -> list[Answer]:
        """Log in and refresh, until there are so many tokens of one family."""
        found = [self.works(self.login(person), "a login with the right password")]
        while len(found) < length:
            says = "the newest refresh token works"
            found.append(self.works(self.refresh(found[-1].refresh), says))
        return found


def given(**values: str | None) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}


Parts = dict[Callable[[Part], None], Part]


def play_all(
    candidate: Any, site: Site, *parts: Callable[[Part], None], probe: str = "one", apps: int = 1
) -> Parts:
    """Play some parts, one after another, with one site.

    What is amiss in one ends no other. Where the app itself ends, a new one plays the rest.
    """
    played: Parts = {}
    while left := [part for part in parts if part not in played]:
        try:
            with candidate.serve(
                probe,
                apps=apps,
                seconds=PATIENCE,
                site=site.wire(),
                users=fake(site.directory),
                hasher=fake(site.hasher),
                limiter=fake(site.limiter),
                news=fake(site.news),
            ) as web:
                for part in left:
                    played[part] = Part(site, web)
                    with suppress(Stop):
                        part(played[part])
        except CandidateError as error:
            broken = [*played.values()][-1] if left[0] in played else Part(site, None)
            played.setdefault(left[0], broken)
            broken.broke = error
            error.given = broken.tell() or None
            site.directory.barrier.release()
            site.hasher.barrier.release()
    return played
