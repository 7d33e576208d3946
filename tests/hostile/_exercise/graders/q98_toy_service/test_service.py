"""Four criteria in three tasks, each with its own server; the tasks are independent."""

import json
import os

from archprep.grading import Refuse, Request, assert_same, criterion, exposed, fake, scenario

CANARY = os.environ.get("ARCHPREP_TEST_CANARY", "canary-in-the-judge")
READY = 5.0  # seconds for the first reply: on a loaded machine a server starts slowly
SOON = 2.0  # seconds for every other reply
ONE_BY_ONE = 4


class Vault:
    """A fake with secret values."""

    def __init__(self, rng):
        self.values = {f"key{n}": rng.randrange(10**9) for n in range(8)}
        self._master = CANARY

    @exposed
    def get(self, key: str):
        if key not in self.values:
            raise Refuse(f"there is no {key}")
        return self.values[key]


def replies(web, requests):
    """Send the first requests one by one, the others at the same time."""
    seen = [web.send(requests[0], seconds=READY)]
    seen += [web.send(request, seconds=SOON) for request in requests[1:ONE_BY_ONE]]
    seen += web.all(requests[ONE_BY_ONE:], seconds=SOON)
    return [[reply.status, reply.json()] for reply in seen]


@scenario
def summed(candidate, rng):
    lists = [[rng.randrange(10**9) for _ in range(5)] for _ in range(12)]
    with candidate.serve("serves") as web:
        seen = replies(web, [Request("POST", "/sum", body=json.dumps(n).encode()) for n in lists])
    return seen, [[200, sum(numbers)] for numbers in lists]


@scenario
def fetched(candidate, rng):
    vault = Vault(rng)
    keys = rng.choices(list(vault.values), k=8)
    with candidate.serve("serves", vault=fake(vault)) as web:
        seen = replies(web, [Request("GET", f"/value/{key}") for key in keys])
    return seen, [[200, vault.values[key]] for key in keys]


@scenario
def named(candidate, rng):
    names = [f"app{rng.randrange(10**9)}" for _ in range(2)]
    apps = [0, 1, *rng.choices([0, 1], k=4), 0, 1]
    with candidate.serve("serves_each", apps=2, names=names) as web:
        seen = replies(web, [Request("GET", "/name", app=number) for number in apps])
    return seen, [[200, names[number]] for number in apps]


@criterion("Adds numbers up", task=1, points=30, hint="sum")
def test_sums(summed):
    seen, expected = summed
    assert_same(seen[:ONE_BY_ONE], expected[:ONE_BY_ONE], says="the sum of the numbers comes back")


@criterion("Adds numbers up for several at the same time", task=1, points=20, hint="sum")
def test_sums_at_once(summed):
    seen, expected = summed
    assert_same(seen[ONE_BY_ONE:], expected[ONE_BY_ONE:], says="each gets its own sum")


@criterion("Returns what the vault holds", task=2, points=30, hint="value")
def test_values(fetched):
    assert_same(*fetched, says="each key's value comes back")


@criterion("Each app knows its name", task=3, points=20, hint="name")
def test_names(named):
    assert_same(*named, says="an app answers with the name that it was given")
