"""Task 5: codes for applications, and applications that act for themselves."""

from __future__ import annotations

import base64
import hashlib
import hmac

from archprep.grading import criterion, scenario

from .client import given, play_all
from .telling import short
from .tokens import forms
from .world import DELETE, SCOPES, Site, draw

WORDS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~"  # of a verifier


@scenario
def applications(candidate, rng):
    site = Site(rng)
    for scopes in (SCOPES[:6], SCOPES[3:], SCOPES):  # others than any user's, in part
        site.client(*scopes)
    for _ in range(2):
        site.client(*rng.sample(SCOPES, 3), confidential=True)
    return play_all(candidate, site, client_credentials, pkce)


# -- codes


class Asked:
    """A request for a code, of a client on behalf of a user."""

    def __init__(self, it, person, client, access):
        rng = it.site.rng
        self.it, self.person, self.client, self.access = it, person, client, access
        self.verifier = "".join(rng.choices(WORDS, k=rng.choice([43, 64, 128])))
        self.state = f"{draw(rng, 6)} {draw(rng, 4)}&{draw(rng, 3)}="
        self.redirect_uri = rng.choice(client.redirect_uris)

    def query(self, **changed):
        """The parameters, but for what is changed; None leaves one out."""
        right = {
            "response_type": "code",
            "client_id": self.client.id,
            "redirect_uri": self.redirect_uri,
            "state": self.state,
            "code_challenge": challenge_of(self.verifier),
            "code_challenge_method": "S256",
        }
        return given(**right | changed)

    def send(self, **changed):
        self.it.begin_anew()
        return self.it.authorize(self.access, self.query(**changed))

    def code(self, **changed):
        """The code that the client gets."""
        answer = self.send(**changed)
        judge_redirect(self, answer, "code", "a request for a code that is in order")
        return answer.location[1]["code"]

    def redeem(self, code, /, **changed):
        right = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "client_id": self.client.id,
            "code_verifier": self.verifier,
        }
        return self.it.token(**right | changed)


def challenge_of(verifier):
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def judge_redirect(asked, answer, has, says, error=None):
    """A redirect to the client, with what a client wants to know; `has` code or error."""
    it, (where, found) = asked.it, answer.location
    base, _, own = asked.redirect_uri.partition("?")
    due = {"state": asked.state, "iss": it.site.issuer} | dict([own.split("=")] if own else [])
    due |= {"error": error} if error else {}
    told = f"302 to {asked.redirect_uri} with {error or has}, state and iss"
    it.expect(
        answer.status == 302
        and where == base
        and due.items() <= found.items()
        and bool(found.get(has))
        and ("code" in found) == (has == "code"),
        expected=f"{says}: {told}",
        observed=answer.tell(),
    )


def pkce(it):
    person = it.site.person()
    access = it.works(it.login(person), "a login with the right password").access
    parts = (in_order, refusing, redeeming, replayed, not_redirected, not_asked, outlived)
    for part in parts:
        part(it, person, access)


def ask(it, person, access):
    return Asked(it, person, it.site.rng.choice(it.site.clients[:3]), access)


def in_order(it, person, access):
    """From the request to refreshed tokens, for each client."""
    for client in it.site.clients[:3]:
        asked = Asked(it, person, client, access)
        both = [name for name in person.scopes if name in client.scopes]
        code = asked.code()
        judge_stored(it, code)
        answer = it.works(asked.redeem(code), "a code, redeemed by whoever asked for it")
        judge_grant(asked, answer, both)
        says = "a refresh by the client that the family belongs to"
        answer = it.works(it.refresh(answer.refresh, client_id=client.id), says)
        judge_grant(asked, answer, both)
        others = [{}, {"client_id": it.site.clients[client is it.site.clients[0]].id}]
        for other in others:
            says = "a refresh token, presented by another client (none is first-party), is refused"
            it.refused(it.refresh(answer.refresh, **other), says)
        if both:
            answer = it.works(asked.redeem(asked.code(scope=both[-1])), "a code with less scope")
            judge_grant(asked, answer, both[-1:])
        helped = it.authorize(answer.access, asked.query())
        it.expect(
            helped.status == 403 and helped.reply.header("location") is None,
            expected="an application may not get itself a code with its own access token: 403",
            observed=helped.tell(),
        )


def judge_grant(asked, answer, scopes):
    claims = answer.read.claims if answer.read else {}
    seen = {name: claims.get(name) for name in ("sub", "client_id")}
    asked.it.expect(
        seen == {"sub": asked.person.id, "client_id": asked.client.id}
        and answer.scopes == sorted(scopes),
        expected=f"an access token of {asked.person.id} and {asked.client.id} with the scope that "
        f"both may have, or that was asked for: {' '.join(scopes)!r}",
        observed=f"its claims are {seen}, its scope is {' '.join(answer.scopes)!r}",
    )


def judge_stored(it, code):
    files = it.files()
    due = hmac.digest(it.site.secret, code.encode(), "sha256")
    it.expect(
        code.encode() not in files and any(text in files for text in forms(due)),
        expected="a code is stored as HMAC-SHA256 under settings.secret, and not in plain",
        observed="it is there in plain" if code.encode() in files else "its HMAC is not there",
        given=f"the code {short(code)}",
    )


def refusing(it, person, access):
    """Each with a code of its own, which is good but for this."""
    rng, life = it.site.rng, it.site.code_ttl_s
    asked = ask(it, person, access)
    other = next(client for client in it.site.clients if client is not asked.client)
    short_one, odd = asked.verifier[:42], f"{asked.verifier[:42]}+"
    wrong = [
        ("the verifier is another one", {"code_verifier": flip(asked.verifier)}, {}),
        ("the verifier is the challenge", {"code_verifier": challenge_of(asked.verifier)}, {}),
        ("the verifier has 42 characters", {"code_verifier": short_one}, short_one),
        ("the verifier has a character it must not have", {"code_verifier": odd}, odd),
        ("another client asks", {"client_id": other.id}, {}),
        ("another redirect_uri of the client", {"redirect_uri": other_uri(asked)}, {}),
        ("redirect_uri goes on", {"redirect_uri": f"{asked.redirect_uri}/"}, {}),
        ("there is no such code", {"code": draw(rng, 43)}, {}),
    ]
    for says, changed, of in rng.sample(wrong, len(wrong)):
        code = asked.code(**{"code_challenge": challenge_of(of)} if of else {})
        it.refused(asked.redeem(code, **changed), f"{says}: the code is refused")
    for name in ("code", "redirect_uri", "client_id", "code_verifier"):
        code = asked.code()
        answer = asked.redeem(code, **{name: None})
        it.refused(answer, f"{name} is missing: the code is refused (invalid_request)")
    for seconds, good in ((life - 0.5, True), (life, False)):
        code = asked.code()
        it.later(seconds)
        if good:
            it.works(asked.redeem(code), f"a code lives for code_ttl_s, {life} s")
        else:
            it.refused(asked.redeem(code), f"after code_ttl_s, {life} s, a code is refused")


def flip(verifier):
    return verifier[:-1] + ("a" if verifier[-1] != "a" else "b")


def other_uri(asked):
    return next(uri for uri in asked.client.redirect_uris if uri != asked.redirect_uri)


def redeeming(it, person, access):
    """A code, redeemed several times at once: the directory answers none before all have asked."""
    asked = ask(it, person, access)
    code = asked.code()
    it.note("the code is redeemed 4 times at the same time")
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": asked.redirect_uri}
    form |= {"client_id": asked.client.id, "code_verifier": asked.verifier}
    barrier, news = it.site.directory.barrier, it.site.news
    barrier.hold()
    done = news.count
    rivals = it.begin(it.request("POST", "/oauth/token", form=form, told=True) for _ in range(4))
    it.web.wait_until(lambda: len(barrier.waiting) + news.count - done >= 4, seconds=0.3)
    barrier.release()
    answers = it.answers(rivals)
    count = sum(answer.status == 200 for answer in answers)
    it.expect(count == 1, expected="exactly one of them gets tokens", observed=f"{count} did")


def replayed(it, person, access):
    """The second use says that the code was stolen: what came of the first one ends."""
    for refreshed in (False, True):
        asked = ask(it, person, access)
        code = asked.code()
        answer = it.works(asked.redeem(code), "a code that is used for the first time")
        if refreshed:
            again = it.refresh(answer.refresh, client_id=asked.client.id)
            answer = it.works(again, "a refresh by the client that the family belongs to")
        it.refused(asked.redeem(code), "a code that was used is refused")
        says = "after the second use of a code, what came of the first one is dead"
        it.refused(it.refresh(answer.refresh, client_id=asked.client.id), says)


def outlived(it, person, access):
    """A new password ends the codes, too, that nobody has redeemed yet."""
    asked = ask(it, person, access)
    code = asked.code()
    it.works(asked.redeem(asked.code()), "a code, redeemed by whoever asked for it")
    it.change_password(person, access)
    it.refused(asked.redeem(code), "a code is older than the user's password: it is refused")


def not_redirected(it, person, access):
    """Where the client is not known for sure, nobody is sent anywhere."""
    asked = ask(it, person, access)
    asked.code()
    uri, stranger = asked.redirect_uri, f"https://{draw(it.site.rng)}.example/back"
    uris = [stranger, f"{uri}/", f"{uri}?a=b", f"{uri}x", uri.replace("https", "http"), uri[:-1]]
    uris += [
        f"{uri}/../evil",
        uri.upper(),
        uri.replace(".example", f".example@{draw(it.site.rng)}"),
    ]
    changes = [{"redirect_uri": wrong} for wrong in [*uris, None]]
    changes += [{"client_id": wrong} for wrong in (draw(it.site.rng), None)]
    other = next(c for c in it.site.clients[:3] if c is not asked.client)
    for change in it.site.rng.sample([*changes, {"client_id": other.id}], len(changes) + 1):
        answer = asked.send(**change)
        it.expect(
            answer.status == 400 and answer.reply.header("location") is None,
            expected="a client that is not known, or a redirect_uri that is not exactly one of "
            "its own: 400, without a redirect",
            observed=answer.tell(),
            given=f"{answer.said}\nredirect_uris of {asked.client.id}: "
            f"{', '.join(asked.client.redirect_uris)}",
        )
    answer = it.authorize(None, asked.query())
    it.expect(
        answer.status == 401,
        expected="without an access token there is no code: 401",
        observed=answer.tell(),
    )


def not_asked(it, person, access):
    """What the client is told by a redirect."""
    asked = ask(it, person, access)
    cases = [
        ({"code_challenge_method": "plain"}, "invalid_request", "plain protects nobody"),
        ({"code_challenge_method": None}, "invalid_request", "no method means plain"),
        (
            {"code_challenge_method": "plain", "code_challenge": asked.verifier[:43]},
            "invalid_request",
            "plain protects nobody",
        ),
        ({"code_challenge": None}, "invalid_request", "without a challenge"),
        (
            {"code_challenge": None, "code_challenge_method": None},
            "invalid_request",
            "without PKCE",
        ),
        ({"response_type": "token"}, "unsupported_response_type", "another response_type"),
        ({"response_type": None}, "invalid_request", "without a response_type"),
        ({"scope": DELETE}, "invalid_scope", "a scope that the client may not have"),
        ({"scope": draw(it.site.rng, 7)}, "invalid_scope", "a scope that nobody has"),
    ]
    alone = [name for name in asked.client.scopes if name not in person.scopes]
    cases += [({"scope": alone[0]}, "invalid_scope", "a scope that only the client may have")]
    for changed, error, says in it.site.rng.sample(cases, len(cases)):
        judge_redirect(asked, asked.send(**changed), "error", says, error)


@criterion(
    "Codes are for one client, one redirect_uri, one use and whoever has the verifier",
    task=5,
    points=8,
    hint="pkce",
)
def test_pkce(applications):
    applications[pkce].check()


# -- clients for themselves


def client_credentials(it):
    public, *confidential = [*it.site.clients[:1], *it.site.clients[3:]]
    for client in confidential:
        own_tokens(it, client)
    proves_nothing(it, public, *confidential)


def own_tokens(it, client):
    """Tokens for the client itself: no user, nothing to refresh."""
    for scopes in (None, client.scopes[:1], client.scopes[1:]):
        answer = it.as_client(client, scope=scopes and " ".join(scopes))
        claims = answer.read.claims if answer.read else {}
        seen = {name: claims.get(name) for name in ("sub", "client_id")}
        it.expect(
            answer.status == 200
            and seen == {"sub": client.id, "client_id": client.id}
            and answer.scopes == sorted(scopes or client.scopes),
            expected=f"200 with an access token of the client, sub and client_id {client.id}, and "
            f"scope {' '.join(scopes or client.scopes)}",
            observed=f"{answer.tell()}, with {seen} and scope {' '.join(answer.scopes)!r}",
        )
        it.expect(
            "refresh_token" not in answer.body,
            expected="no refresh token: the client can ask again whenever it wants",
            observed=answer.tell(),
        )
        me = it.me(answer.access)
        it.expect(
            me.status == 401,
            expected="a client is no user: GET /me refuses its token with 401",
            observed=me.tell(),
        )
    foreign = next(name for name in SCOPES if name not in client.scopes)
    for scope in (foreign, f"{client.scopes[0]} {foreign}"):
        answer = it.as_client(client, scope=scope)
        it.is_error(answer, 400, "invalid_scope", "a scope that this client may not have")


def proves_nothing(it, public, one, other):
    rng, form = it.site.rng, {"grant_type": "client_credentials"}
    person = it.site.person()
    token = it.works(it.login(person), "a login with the right password").refresh
    refresh = {"grant_type": "refresh_token", "refresh_token": token, "client_id": one.id}
    cases = [
        (("a wrong secret"), lambda: it.as_client(one, draw(rng, 24))),
        ("the secret of another client", lambda: it.as_client(one, other.secret)),
        ("the hash instead of the secret", lambda: it.as_client(one, one.secret_hash)),
        ("a public client", lambda: it.as_client(public, draw(rng))),
        ("a public client without a secret", lambda: it.as_client(public, "")),
        ("without Authorization", lambda: it.token(**form)),
        ("a client_id alone", lambda: it.token(**form, client_id=one.id)),
        ("a public client_id alone", lambda: it.token(**form, client_id=public.id)),
        ("a confidential client that only says its client_id", lambda: it.token(**refresh)),
    ]
    for says, send in rng.sample(cases, len(cases)):
        answer = send()
        it.is_error(answer, 401, "invalid_client", says)
        it.expect(
            answer.challenge()[0] == "basic",
            expected=f"{says}: 401 with WWW-Authenticate: Basic",
            observed=f"WWW-Authenticate is {answer.reply.header('www-authenticate')!r}",
        )


@criterion(
    "A confidential client gets tokens for itself, and nobody else does",
    task=5,
    points=4,
    hint="client-credentials",
)
def test_client_credentials(applications):
    applications[client_credentials].check()
