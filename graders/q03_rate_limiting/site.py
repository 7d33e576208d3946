"""A site behind the candidate's middleware, drawn at random: rules, people, requests, answers.

The limiter and the app are the judge's own: what they were called with, and how often, are facts.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from archprep.core.errors import CandidateError
from archprep.core.model import Reason
from archprep.grading import Refuse, Request, exposed, fake
from archprep.grading.toolkit.barrier import Barrier
from archprep.grading.toolkit.draw import Draw
from archprep.grading.toolkit.replies import ReplyCheck

from .telling import tell_request

WORDS = (
    "search orders users invoices reports exports carts basket quotes tickets catalog prices media "
    "uploads feeds alerts labels stock parcels refunds coupons ledger notes teams events maps "
    "drafts jobs plans rooms seats trips routes depots claims grants papers photos songs games "
    "recipes lessons badges polls forms sheets slides boards tasks shifts"
).split()
POLICIES = "minute hour day burst steady short long peak base bulk-read bulk_write slow".split()
WINDOWS = (1, 10, 30, 60, 90, 600, 900, 3600, 86400)
AGENTS = ("curl/8.5.0", "python-httpx/0.28.1", "okhttp/4.12.0", "Mozilla/5.0", "Go-http-client/2.0")
PATIENCE = 5.0  # seconds for one reply, which takes some milliseconds
LESS_PATIENCE = 2.5  # once it is known that something hangs

Wire = list[Any]  # a policy as it travels: name, limit, window_s, burst


@dataclass(frozen=True, slots=True)
class Hit:
    """A call of the limiter."""

    ident: Any
    policies: Any
    cost: Any


@dataclass(frozen=True, slots=True)
class Person:
    """Whom the credentials in a header belong to."""

    id: str
    tier: str
    header: tuple[str, str]


@dataclass(eq=False)
class Case:
    """A request, how the judge's limiter and app answer it, and what came of it."""

    request: Request
    guard: str
    peer: str | None
    policies: list[Wire]  # what the limiter must be asked for; empty: nothing
    cost: int
    decision: dict[str, Any]  # or {"raises": …}
    answer: dict[str, Any]  # of the app
    ident: str = ""
    note: str = ""  # what this case is about, in words
    kind: str = ""
    hold_hit: Barrier | None = None  # holds back what the limiter says
    hold_visit: Barrier | None = None  # holds back what the app answers
    hits: list[Hit] = field(default_factory=list)
    decided: list[dict[str, Any]] = field(default_factory=list)  # what each hit was told
    visits: list[list[Any]] = field(default_factory=list)
    broke: str = ""  # what the middleware raised
    reply: Any = None

    @property
    def allowed(self) -> bool:
        return bool(self.decision.get("allowed"))

    def check(self, given: str = "") -> ReplyCheck:
        """Check the reply; a failure also says who was called, and what the middleware raised."""
        because = f"the middleware raised {self.broke}" if self.broke else ""
        calls = {"the limiter": self.hits, "the app": self.visits}
        return ReplyCheck(self.reply, given, because, calls)

    def fresh(self) -> Case:
        """Forget what came of it."""
        self.hits, self.decided, self.visits, self.broke, self.reply = [], [], [], "", None
        return self


class World:
    """The judge's half of a site. Finds the case of a call by what only its request leads to.

    The sandbox can call the exposed methods alone.
    """

    def __init__(self) -> None:
        self.now: Case | None = None  # the one under way, when they come one by one
        self.at_once: list[Case] = []  # or those under way together: each has a rule of its own

    @exposed
    def hit(self, ident: Any, policies: list[list[Any]], cost: Any) -> Any:
        """The limiter decides."""
        case = self._case(lambda c: [c.policies[0][0]] == [p[0] for p in policies if p][:1])
        case.hits.append(Hit(ident, policies, cost))
        case.decided.append(decide(case, policies))
        said = case.decided[-1]
        return case.hold_hit.arrive(said) if case.hold_hit else said

    @exposed
    def visit(self, path: str, method: str, length: int, digest: str) -> Any:
        """The app answers."""
        case = self._case(lambda c: c.request.path == path)
        case.visits.append([method, path, length, digest])
        return case.hold_visit.arrive(case.answer) if case.hold_visit else case.answer

    @exposed
    def broke(self, path: str, text: str) -> None:
        """The middleware has raised: only for the words of a failure."""
        self._case(lambda c: c.request.path == path).broke = str(text)

    def _case(self, belongs: Callable[[Case], bool]) -> Case:
        if self.now is not None:
            return self.now
        found = [case for case in self.at_once if belongs(case)]
        if not found:
            raise Refuse("no request of the judge's leads to this call")
        return found[0]


def decide(case: Case, policies: Any) -> dict[str, Any]:
    """The decision drawn for a case; a later one on the same request has other numbers.

    It is for the policies that the limiter was in fact asked for, and not in their order.
    """
    if "raises" in case.decision:
        return case.decision
    remaining, reset, later = (
        case.decision["remaining"],
        case.decision["reset_s"],
        len(case.decided),
    )
    names = [str(name) for name, *_ in policies]
    return case.decision | {
        "remaining": {name: remaining.get(name, 0) + 3 * later for name in sorted(names)},
        "reset_s": {name: reset.get(name, 1.0) + 5 * later for name in sorted(names, reverse=True)},
    }


@dataclass
class Site:
    """Draws what the graders need and never the same word twice, so that no case meets another."""

    rng: random.Random
    guards: dict[str, dict[str, Any]] = field(default_factory=dict)
    rules: list[dict[str, Any]] = field(default_factory=list)
    people: list[Person] = field(default_factory=list)
    trusted: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._draw = Draw(self.rng)
        self.token, self.address = self._draw.token, self._draw.address

    def word(self) -> str:
        return self._draw.word(WORDS)

    def policies(self, count: int = 2) -> list[Wire]:
        names = self.rng.sample(POLICIES, count)
        while count > 2 and names in (sorted(names), sorted(names, reverse=True)):
            self.rng.shuffle(names)
        return [
            [n, self.rng.randint(9, 5000), self.rng.choice(WINDOWS) + self.rng.randint(0, 9), None]
            for n in names
        ]

    def rule(
        self,
        path: str,
        policies: dict[str, list[Wire]] | list[Wire],
        methods: Iterable[str] | None = None,
        cost: int = 1,
    ) -> dict[str, Any]:
        """Add a rule; a list of policies is for the tier "default"."""
        by_tier = policies if isinstance(policies, dict) else {"default": policies}
        made = {
            "path": path,
            "policies": by_tier,
            "methods": sorted(methods) if methods else None,
            "cost": cost,
        }
        self.rules.append(made)
        return made

    def person(
        self, tier: str = "default", header: str = "Authorization", name: str = ""
    ) -> Person:
        """Somebody with credentials that identify() knows."""
        scheme = "Bearer " if header == "Authorization" else ""
        name = name or f"{self.rng.choice('acmpx')}{self.rng.randint(100, 99999)}"
        self.people.append(Person(name, tier, (header, scheme + self.token())))
        return self.people[-1]

    def case(
        self,
        method: str,
        path: str,
        *,
        rule: dict[str, Any] | None = None,
        person: Person | None = None,
        peer: str | None = "",
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        allowed: bool = True,
        status: int = 200,
        guard: str = "main",
        **more: Any,
    ) -> Case:
        """A request; `rule` is the one that must decide, `peer` "" any address."""
        policies, cost = [], 1
        if rule is not None:
            tier = person.tier if person else "default"
            policies = rule["policies"].get(tier, rule["policies"].get("default", []))
            cost = rule["cost"]
        peer = self.address() if peer == "" else peer
        told = [("X-Guard", guard)] + ([("X-Peer", peer)] if peer is not None else [])
        own = [*headers, *([person.header] if person else [])]
        common = [("User-Agent", self.rng.choice(AGENTS)), ("Accept", "*/*")]
        request = Request(method, path, tuple(told + common + own), body)
        return Case(
            request,
            guard,
            peer,
            policies,
            cost,
            self.decision(policies, cost, allowed=allowed and bool(policies)),
            self.answer(status),
            **more,
        )

    def decision(self, policies: list[Wire], cost: int, *, allowed: bool) -> dict[str, Any]:
        """What the limiter says: numbers that follow from nothing else."""
        names = [p[0] for p in policies]
        full = self.rng.sample(names, self.rng.randint(1, len(names))) if names else []
        full = [] if allowed else full
        remaining = {
            name: self.rng.randint(0, cost - 1)
            if name in full
            else self.rng.randint(0 if allowed else cost, limit - cost)
            for name, limit, *_ in policies
        }
        quarters = {p[0]: self.rng.randint(1, 4 * p[2]) / 4 for p in policies}
        retry_after = 0 if allowed else self.rng.randint(1, 4000)
        return {
            "allowed": allowed,
            "remaining": remaining,
            "reset_s": quarters,
            "retry_after": retry_after,
        }

    def answer(self, status: int) -> dict[str, Any]:
        body = "" if status == 204 else f"{self.rng.choice(WORDS)} {self.token()}"
        return {"status": status, "body": body, "headers": [["x-serial", self.token()]]}

    def inputs(self) -> dict[str, Any]:
        """What the probe is told in advance: nothing of what will be asked, or answered."""
        known: dict[str, dict[str, list[str]]] = {}
        for person in self.people:
            header, value = person.header
            known.setdefault(header.lower(), {})[value] = [person.id, person.tier]
        common = {"rules": self.rules, "trusted_proxies": self.trusted, "store_timeout_s": 10.0}
        guards = self.guards or {"main": {}}
        return {"known": known, "guards": {name: common | own for name, own in guards.items()}}


@dataclass
class Group:
    """The cases of one criterion, in any order, and how to judge them."""

    cases: list[Case]
    judge: Callable[[Case], None]
    broke: CandidateError | None = None

    def check(self) -> None:
        if self.broke:
            raise self.broke
        for case in self.cases:
            self.judge(case)


Groups = dict[Callable[..., Group], Group]


def play_all(candidate: Any, site: Site, *builders: Callable[[Site], Group]) -> Groups:
    """Draw a group with each builder and send all their requests, mixed, to one site."""
    groups = {builder: builder(site) for builder in builders}
    mixed = [case for group in groups.values() for case in group.cases]
    site.rng.shuffle(mixed)
    try:
        send_all(candidate, site, mixed)
    except CandidateError as error:
        if error.reason is Reason.IMPORT or error.exception == "NotImplementedError":
            raise
        for group in groups.values():  # each on a site of its own: what hangs costs no other
            try:
                fresh = [case.fresh() for case in group.cases]
                send_all(candidate, site, fresh, seconds=LESS_PATIENCE)
            except CandidateError as its_own:
                group.broke = its_own
    return groups


def send_all(candidate: Any, site: Site, cases: Sequence[Case], seconds: float = PATIENCE) -> None:
    """Send requests one after another."""
    world = World()
    try:
        with candidate.serve("guard", seconds=30, world=fake(world), **site.inputs()) as web:
            for case in cases:
                world.now = case
                case.reply = web.send(case.request, seconds=seconds)
    except CandidateError as error:
        if world.now is not None:
            error.given = tell_request(world.now)
        raise
