"""What graders draw: unique, harmless, exact, and able to tell a wrong model from the right one."""

from __future__ import annotations

import ipaddress
import random
from datetime import UTC
from fractions import Fraction

import pytest

from archprep.core.errors import GraderFault
from archprep.grading.toolkit.draw import NAMES, Draw, UndecidedError


@pytest.fixture
def draw():
    return Draw(random.Random(7))


def test_the_same_seed_draws_the_same():
    """A criterion repeats exactly."""
    first, second = (Draw(random.Random("1/x")) for _ in "ab")
    for one, other in zip(_everything(first), _everything(second), strict=True):
        assert one == other


def _everything(draw):
    yield from (draw.token(), draw.name(), draw.lookalikes(), draw.email(), draw.address())
    yield from (draw.seconds(1, 5), draw.monotonic(), draw.instant())


def test_nothing_unique_is_drawn_twice(draw):
    """No case of a scenario can meet another one by chance."""
    drawn = [draw.token(2) for _ in range(300)]
    drawn += [draw.name() for _ in range(3 * len(NAMES))]
    drawn += [draw.address() for _ in range(300)] + [draw.email("ann") for _ in range(50)]
    assert len(set(drawn)) == len(drawn)


def test_what_is_used_up_is_our_fault(draw):
    """Too small a space ends in a message, not in an endless loop."""
    with pytest.raises(GraderFault, match="drawn before"):
        [draw.token(1) for _ in range(100)]


def test_lookalikes_differ_only_in_what_code_might_drop(draw):
    """Folding case, accents and separators makes them all one."""
    alike = draw.lookalikes()
    folded = {text.casefold().translate({ord(c): None for c in "-_.éè"}) for text in alike}
    assert len(set(alike)) == len(alike) == 8
    assert len(folded) == 1


def test_addresses_belong_to_nobody(draw):
    """All of them are from ranges that are reserved for documentation and benchmarks."""
    networks = [
        ipaddress.ip_network(text)
        for text in ("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
    ]
    for version in (4, 6, None):
        for _ in range(50):
            text = draw.address(version)
            address = ipaddress.ip_address(text)
            assert any(address in net for net in networks if net.version == address.version)
            assert str(address) == text
            assert version in (address.version, None)


def test_sums_of_drawn_times_are_exact(draw):
    """Instants and durations are multiples of a quarter, whatever is added to them."""
    at, exact = draw.monotonic(), Fraction(0)
    exact += Fraction(at)
    for _ in range(200):
        more = draw.seconds(0.25, 90)
        at, exact = at + more, exact + Fraction(more)
        assert 0.25 <= more <= 90
    assert Fraction(at) == exact


def test_instants_are_aware(draw):
    """A naive one would mean something else on another machine."""
    instant = draw.instant()
    assert instant.tzinfo is UTC
    assert instant.microsecond % 250_000 == 0


# -- until


def by_priority(items):
    return sorted(items, key=lambda item: (-item[0], item[1]))


def in_order(items):
    return sorted(items, key=lambda item: item[1])


def test_a_wrong_model_never_answers_like_the_right_one():
    """Whatever the seed, the input tells them apart."""
    for seed in range(200):
        draw = Draw(random.Random(seed))
        items = draw.until(
            lambda d=draw: [(d.rng.randint(0, 1), n) for n in range(3)], by_priority, in_order
        )
        assert by_priority(items) != in_order(items)


def test_types_count(draw):
    """A model that answers 1 for True is another model."""
    assert draw.until(lambda: 1, bool, int) == 1


def test_what_the_rules_leave_open_is_drawn_again(draw):
    """Both the drawing and the model may find that out."""

    def make():
        number = draw.rng.randint(0, 9)
        if number == 3:
            raise UndecidedError
        return number

    def model(number):
        if number < 8:
            raise UndecidedError
        return number

    assert {draw.until(make, model) for _ in range(50)} == {8, 9}


def test_a_draw_that_never_proves_anything_is_our_fault(draw):
    """The message names the model that cannot be told apart."""
    with pytest.raises(
        GraderFault, match=r"wrong model 1 \(in_order\) answered the last one like by_p"
    ):
        draw.until(lambda: [(1, 1), (1, 2)], by_priority, in_order)


def test_rules_that_are_never_decided_are_our_fault(draw):
    """The message says that it was not a wrong model."""

    def model(_):
        raise UndecidedError

    with pytest.raises(GraderFault, match="left every draw undecided"):
        draw.until(lambda: 1, model)
