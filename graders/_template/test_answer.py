"""The hidden criteria. pytest runs them in the judge, apart from the candidate's code.

`candidate.observe` runs a probe in the sandbox. What it returns is a claim; the calls of a
judge-side fake are facts. Draw inputs from `rng`, and enough of them to make guessing hopeless.
"""

from __future__ import annotations

from itertools import accumulate

from archprep.grading import Refuse, assert_same, criterion, expect, exposed, fake, scenario

from .sweep_spec import ShopSweep


@scenario
def summed(candidate, rng):
    """A scenario runs once and feeds every criterion that has it as an argument."""
    ledgers = [[rng.randint(-999, 999) for _ in range(size)] for size in (0, 1, rng.randint(5, 9))]
    rng.shuffle(ledgers)
    # `returns` checks the form, so that criteria need not handle anything else.
    return ledgers, candidate.observe("totals", ledgers=ledgers, returns=list[list[int]])


# The function's name is the id of the criterion: running-totals. All points add up to 100; in a
# finished exercise no criterion has more than 8.
@criterion("Each total includes all amounts so far", task=1, points=32, rules=["1.1"])
def test_running_totals(summed):
    ledgers, seen = summed
    assert_same(
        seen,
        [list(accumulate(amounts)) for amounts in ledgers],
        says="each total is the sum up to and including its amount",
        given=f"the ledgers {ledgers}",
    )


# Each task has a sweep, worth 10 to 25 % of its points: it finds what no criterion was written for.
@criterion("Nothing else differs in random ledgers", task=1, points=8, rules=["1.1"])
def test_sweep_totals(sweep):
    sweep(ShopSweep(), programs=50)


class Source:
    """A judge-side fake: stays here, answers from secret data and logs the calls."""

    def __init__(self, rng):
        # Every draw has a short page before others, which wrong answers take for the last.
        sizes = [rng.randint(3, 5), rng.randint(1, 2), *(rng.randint(1, 5) for _ in range(4)), 0]
        self.pages = [[f"{rng.randrange(16**6):06x}" for _ in range(size)] for size in sizes]
        self.asked = []

    @exposed
    def page(self, number: int):
        """The sandbox can call exposed methods; their arguments are checked first."""
        self.asked.append(number)
        if not 0 <= number < len(self.pages):
            raise Refuse(f"there is no page {number}")  # raises in the candidate's code
        return self.pages[number]

    def __str__(self):
        return f"pages of {', '.join(str(len(page)) for page in self.pages)} items"


@scenario
def reading(candidate, rng):
    source = Source(rng)
    return source, candidate.observe("read", source=fake(source), returns=list[str])


@criterion("All items are read, in order", task=2, points=24, rules=["2.1"])
def test_all_items_in_order(reading):
    source, seen = reading
    items = [item for page in source.pages for item in page]
    assert_same(seen, items, says="the items of all pages", given=str(source))


@criterion(
    "Each page is requested once, and none after the empty one", task=2, points=24, rules=["2.2"]
)
def test_each_page_once(reading):
    source, _ = reading
    expect(
        source.asked == list(range(len(source.pages))),
        expected=f"pages 0 to {len(source.pages) - 1} are requested once each",
        observed=f"requested: {source.asked}",
        given=str(source),
    )


@criterion("Nothing else differs in random sources", task=2, points=12, rules=["2.1", "2.2"])
def test_sweep_pages(sweep):
    sweep(ShopSweep(), programs=50)
