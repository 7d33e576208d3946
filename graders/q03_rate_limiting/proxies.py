"""Draws requests that came through proxies, some of them with forged X-Forwarded-For."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .site import Case, Site

RIGHT_TO_LEFT = (
    "behind a trusted proxy the client is the first entry, from the right, that is no trusted proxy"
)
IGNORED = "the peer is no trusted proxy: X-Forwarded-For may say what it likes"
ALL_TRUSTED = "all entries are trusted proxies: the leftmost is the client"
NOTHING_SAID = "a trusted proxy that names nobody is the client itself"
NOBODY = "without an address of the peer, there is one identity for all"
KNOWN = "whom identify() knows counts for user:<id>, wherever the request came from"


class Proxies:
    """Addresses that are trusted, and near ones that are not."""

    def __init__(self, site: Site) -> None:
        self._rng = rng = site.rng
        self._net = rng.randint(2, 24)  # 10.2.0.0/16; 10.20.0.0 begins like it
        self._single = f"192.0.2.{rng.randint(2, 24)}"
        self._six = f"fd{rng.randint(16, 255):x}:{rng.randint(1, 4095):x}"
        self._site = site
        site.trusted += rng.sample(
            [f"10.{self._net}.0.0/16", "172.16.0.0/12", self._single, f"{self._six}::/32"], 4
        )

    def trusted(self) -> str:
        draw = self._rng.randint
        return self._rng.choice(
            [
                f"10.{self._net}.{draw(0, 255)}.{draw(1, 254)}",
                f"172.{draw(16, 31)}.{draw(0, 255)}.{draw(1, 254)}",
                self._single,
                f"{self._six}::{draw(1, 4095):x}",
            ]
        )

    def near(self) -> str:
        """An address that only looks as if it were one of ours."""
        draw = self._rng.randint
        return self._rng.choice(
            [
                f"10.{self._net}{draw(0, 9)}.{draw(0, 255)}.{draw(1, 254)}",
                f"172.{draw(32, 99)}.{draw(0, 255)}.{draw(1, 254)}",
                f"{self._single}{draw(0, 9)}" if len(self._single) < 12 else "192.0.2.1",
                f"{self._six}0::{draw(1, 4095):x}" if len(self._six) < 9 else "fd00::1",
            ]
        )

    def outside(self) -> str:
        return self._rng.choice([self._site.address, self.near])()


def forwarded_cases(site: Site) -> list[Case]:
    """Requests whose `ident` is the client that the brief's rule finds."""
    proxies = Proxies(site)
    trusted, outside = proxies.trusted, proxies.outside
    path, person = f"/{site.word()}", site.person(header="X-Api-Key")
    rule = site.rule(path, site.policies())
    cases: list[Case] = []

    def add(note: str, peer: str | None, lines: list[str], ident: str, **more: object) -> None:
        headers = [("X-Forwarded-For", line) for line in lines]
        if len(cases) % 3:  # nothing is said of these, so they say nothing
            name, form = [("X-Real-Ip", "{}"), ("Forwarded", "for={}")][len(cases) % 3 - 1]
            headers.append((name, form.format(site.address())))
        where = f"{path}/{site.token()}"
        cases.append(
            site.case(
                "GET", where, rule=rule, peer=peer, headers=headers, ident=ident, note=note, **more
            )
        )

    for forged in (trusted(), outside(), f"{outside()}, {trusted()}", outside()):
        peer = outside()
        add(IGNORED, peer, [forged], f"ip:{peer}")
    peer = outside()
    add("without X-Forwarded-For the peer is the client", peer, [], f"ip:{peer}")
    for template in (
        ["{c}"],
        ["{c}"],
        ["{f}, {c}"],
        ["{f},{c}"],
        ["{t}, {c}"],
        ["{f}, {c}, {t}"],
        ["{f}, {c} ,  {t}, {t}"],
        ["not-an-address, {c}"],
        ["{f}, not-an-address, {c}, {t}"],
        ["{f}", "{c}"],
        ["{f}", "{c}, {t}"],
        ["{f},, {c}, ,{t},"],
        ["{f}, {c}", "{t}"],
        ["{c}", "{t}", "{t}"],
    ):
        client = outside()
        lines = [_fill(line, client, trusted, outside) for line in template]
        add(RIGHT_TO_LEFT, trusted(), lines, f"ip:{client}")
    for count in (1, 2, 3):
        chain = [trusted() for _ in range(count)]
        lines = chain if count == 3 else [", ".join(chain)]
        add(ALL_TRUSTED, trusted(), lines, f"ip:{chain[0]}")
    for lines in ([], [""]):
        peer = trusted()
        add(NOTHING_SAID, peer, lines, f"ip:{peer}")
    for lines in ([], [outside()], [trusted()]):
        add(NOBODY, None, lines, "ip:unknown")
    add(KNOWN, trusted(), [outside()], f"user:{person.id}", person=person)
    return cases


def _fill(line: str, client: str, trusted, outside) -> str:
    while "{t}" in line:
        line = line.replace("{t}", trusted(), 1)
    while "{f}" in line:
        line = line.replace("{f}", outside(), 1)
    return line.replace("{c}", client)
