"""Task 4: who may do what, what an error says, and what no response ever contains."""

from __future__ import annotations

from archprep.grading import criterion, scenario

from .client import play_all
from .telling import short
from .tokens import Minter, read
from .world import DELETE, Argon2, Site, draw


@scenario
def guarded(candidate, rng):
    return play_all(candidate, Site(rng, Argon2), no_hash, scopes, errors)


# -- scopes


def scopes(it):
    chosen(it)
    deleting(it)


def chosen(it):
    """A login gets what it asks for, or nothing."""
    person, rng = it.site.person(), it.site.rng
    for count in (1, 2, 3):
        some = rng.sample(person.scopes, count)
        answer = it.works(it.login(person, scope=" ".join(some)), "a login with some scopes")
        judge_scope(it, answer, some)
    judge_scope(it, it.works(it.login(person), "a login without a scope"), person.scopes)
    foreign = draw(rng, 7)
    for scope in (foreign, f"{person.scopes[0]} {foreign}", f"{person.scopes[0]}{foreign}", DELETE):
        answer = it.login(person, scope=scope)
        it.is_error(answer, 400, "invalid_scope", "a scope that this user may not have")


def judge_scope(it, answer, due):
    it.expect(
        answer.scopes == sorted(due) == sorted(str(answer.body.get("scope")).split()),
        expected=f"the token and the response have the scope that was asked for, or all: {due}",
        observed=f"{answer.scopes} and {answer.body.get('scope')!r}",
    )
    me = it.me(answer.access)
    it.expect(
        sorted(str(me.body.get("scope")).split()) == sorted(due),
        expected=f"GET /me shows the token's scope: {' '.join(due)}",
        observed=me.tell(),
    )


def deleting(it):
    """Only the scope users:delete of the token lets anybody delete."""
    site, rng = it.site, it.site.rng
    boss, person, *victims = (site.person(*more) for more in ([DELETE], [], [], [], []))
    full = it.works(it.login(boss), "a login with the right password").access
    less = it.works(it.login(boss, scope=boss.scopes[0]), "a login with less scope").access
    plain = it.works(it.login(person), "a login with the right password").access
    minter = Minter(site, boss.id, site.keys[rng.choice(site.ring)])
    odd = (
        "",
        "users",
        f"{DELETE}d",
        f"x{DELETE}",
        f"{DELETE}:all",
        "users: delete",
        DELETE.upper(),
    )
    made = [minter.make(claims=minter.claims(scope=scope)).decode() for scope in odd]
    right = minter.make(claims=minter.claims(scope=f"read {DELETE} write")).decode()
    for victim, token in zip(victims, (full, right), strict=False):
        for short_of in [less, *rng.sample([plain, *made], 4)]:
            judge_kept(it, short_of, victim)
        judge_gone(it, it.delete(token, victim.id), victim)
        again = it.delete(token, victim.id)
        it.expect(
            again.status == 404,
            expected="there is no such user any more: 404",
            observed=again.tell(),
        )
    for token in made:
        judge_kept(it, token, victims[-1])


def judge_kept(it, token, victim):
    it.begin_anew()
    answer, found = it.delete(token, victim.id), read(token)
    scope = found.claims.get("scope") if found else "of another one"
    it.expect(
        answer.status == 403,
        expected=f"a token with the scope {scope!r}, which lacks {DELETE}, deletes nobody: 403",
        observed=answer.tell(),
    )
    kept = victim.id in it.site.directory.people
    it.expect(kept, expected="who may not delete, deletes nobody", observed="the user is gone")


def judge_gone(it, answer, victim):
    gone = victim.id not in it.site.directory.people
    it.expect(
        answer.status == 204 and gone,
        expected=f"a token with the scope {DELETE} deletes the user: 204",
        observed=f"{answer.tell()}; the directory has {'no such user' if gone else 'the user'}",
    )


@criterion(
    "A token may do what its scope says, and nobody gets a scope beyond what is allowed",
    task=4,
    points=6,
    hint="scopes",
)
def test_scopes(guarded):
    guarded[scopes].check()


# -- no hash


def no_hash(it):
    """From a login to a new password, on real argon2."""
    site, person = it.site, it.site.person()
    answers = [it.works(it.login(person), "a login with the right password")]
    answers.append(me := it.me(answers[0].access))
    due = {"id": person.id, "username": person.username, "email": person.email}
    it.expect(
        me.status == 200 and {**me.body, "scope": ""} == {**due, "scope": ""},
        expected=f"GET /me gives {due} and the scope, and nothing else",
        observed=me.tell(),
    )
    old, new, said = person.password, draw(site.rng), len(site.directory.passwords_set)
    answers.append(it.password(answers[0].access, old, new))
    stored = site.directory.passwords_set[said:]
    it.expect(
        answers[-1].status == 204
        and [user_id for user_id, _ in stored] == [person.id]
        and site.hasher.made.get(stored[0][1]) == new,
        expected="the password is changed: 204, and set_password() gets what hash() made of it",
        observed=f"{answers[-1].tell()}; set_password() got {[short(h) for _, h in stored]}",
    )
    answers.append(it.login(person, old))
    it.refused(answers[-1], "the old password is over")
    answers.append(it.works(it.login(person, new), "a login with the new password"))
    person.password = new
    for answer in answers:
        judge_clean(it, answer)


def judge_clean(it, answer):
    text = answer.reply.body.decode("utf-8", "replace") + str(answer.reply.headers)
    text += str(answer.read.claims) if answer.read else ""
    found = [made for made in it.site.hasher.made if made in text or made.split("$")[-1] in text]
    it.expect(
        not found and "argon2" not in text,
        expected="no response contains a password's hash",
        observed=f"it contains {found[0] if found else 'argon2'!r}",
        given=answer.said,
    )


@criterion(
    "From login to new password, and no response contains a hash", task=4, points=3, hint="no-hash"
)
def test_no_hash(guarded):
    guarded[no_hash].check()


# -- errors


def errors(it):
    person = it.site.person(DELETE)
    login = it.works(it.login(person), "a login with the right password")
    judge_no_store(it, login)
    for body in bad_logins(it, person):
        answer = it.send("POST", "/login", data=body)
        judge_error(it, answer, "invalid_request", "username and password are missing, or no text")
    judge_error(it, it.login(person, draw(it.site.rng)), "invalid_grant", "a wrong password")
    answer = it.login(person, scope=draw(it.site.rng))
    judge_error(it, answer, "invalid_scope", "a scope that this user may not have")
    token = login.refresh
    for form, error, says in bad_forms(it, token):
        judge_error(it, it.send("POST", "/oauth/token", form=form), error, says)
    answer = it.send("POST", "/oauth/revoke", form=[("hint", token)])
    judge_error(it, answer, "invalid_request", "token is missing")
    judge_no_store(it, it.works(it.refresh(token), "a token that nothing has used"))
    wrong = it.password(login.access, draw(it.site.rng), draw(it.site.rng))
    judge_error(it, wrong, "invalid_grant", "the current password is wrong")
    empty = it.password(login.access, person.password, "")
    judge_error(it, empty, "invalid_request", "the new password is empty")
    bearer(it, person)


def bad_logins(it, person):
    name, password = person.username, person.password
    found = [{}, {"username": name}, {"password": password}, {"username": name, "password": None}]
    found += [{"username": [name], "password": password}, b"", b"{", b"[]"]
    return it.site.rng.sample(found, len(found))


def bad_forms(it, token):
    grant, ours = ("grant_type", "refresh_token"), ("refresh_token", token)
    unknown = ("refresh_token", draw(it.site.rng, 43))
    strange = [("grant_type", name) for name in ("password", "implicit", draw(it.site.rng))]
    missing = "a parameter is missing"
    repeated = "a parameter comes twice"
    found = [
        ([("scope", "read")], "invalid_request", missing),
        ([ours], "invalid_request", missing),
        ([grant], "invalid_request", missing),
        ([grant, grant, ours], "invalid_request", repeated),
        ([grant, ours, ours], "invalid_request", repeated),
        ([grant, ours, ("scope", "a"), ("scope", "a")], "invalid_request", repeated),
        ([grant, unknown], "invalid_grant", "there is no such refresh token"),
        *(([one, ours], "unsupported_grant_type", "nobody knows this grant") for one in strange),
    ]
    return it.site.rng.sample(found, len(found))


def judge_error(it, answer, error, says):
    it.is_error(answer, 400, error, says)
    description = answer.body.get("error_description", "")
    it.expect(
        isinstance(description, str),
        expected="error_description is a text",
        observed=answer.tell(),
    )
    judge_no_store(it, answer)


def judge_no_store(it, answer):
    said = (answer.reply.header("cache-control") or "").lower()
    it.expect(
        "no-store" in [word.strip() for word in said.split(",")],
        expected="tokens and errors are kept by no cache: Cache-Control: no-store",
        observed=f"{answer.tell()}, with Cache-Control: {said}"
        if said
        else f"{answer.tell()}, without Cache-Control",
    )


def bearer(it, person):
    """The errors of RFC 6750, where an access token is wanted."""
    weak = it.works(it.login(person, scope=person.scopes[0]), "a login with less scope").access
    junk = draw(it.site.rng, 30)
    victim = it.site.person()
    small = it.send("GET", "/me", headers=[("Authorization", f"bEaReR {weak}")])
    it.expect(
        small.status == 200,
        expected="the scheme's case means nothing: 200 with Authorization: bEaReR",
        observed=small.tell(),
    )
    for method, path in (("GET", "/me"), ("DELETE", f"/users/{victim.id}")):
        said = "no credentials: 401, and Bearer without an error"
        judge_challenge(it, it.send(method, path), 401, {}, said)
        said = "an access token that is none: 401"
        wrong = {"error": "invalid_token"}
        judge_challenge(it, it.send(method, path, bearer=junk), 401, wrong, said)
        late = Minter(it.site, person.id, it.site.keys[it.site.ring[0]])
        old = late.make(claims=late.claims(iat=it.site.now - 9999, exp=it.site.now - 9000)).decode()
        said = "an access token that has expired: 401"
        judge_challenge(it, it.send(method, path, bearer=old), 401, wrong, said)
    due = {"error": "insufficient_scope", "scope": DELETE}
    answer = it.delete(weak, victim.id)
    judge_challenge(it, answer, 403, due, f"a token without the scope {DELETE}: 403")


def judge_challenge(it, answer, status, due, says):
    scheme, found = answer.challenge()
    field = answer.reply.header("www-authenticate")
    told = " and ".join(f'{name}="{value}"' for name, value in due.items())
    it.expect(
        answer.status == status
        and scheme == "bearer"
        and due.items() <= found.items()
        and ("error" in found) == ("error" in due),
        expected=f"{says}, with WWW-Authenticate: Bearer {told}".rstrip(),
        observed=f"{answer.tell()}, with WWW-Authenticate: {field}",
    )


@criterion(
    "Errors are those of RFC 6749 and RFC 6750, and no cache keeps what is secret",
    task=4,
    points=6,
    hint="errors",
)
def test_errors(guarded):
    guarded[errors].check()
