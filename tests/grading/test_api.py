"""What graders compare with: strict, and showing the difference whole."""

from __future__ import annotations

import pytest

from archprep.core.errors import ContentError
from archprep.grading import assert_same, expect, exposed, fake
from archprep.grading.api import Tally, Unmet, difference, random_for


def unmet(observed, expected, **options) -> Unmet:
    with pytest.raises(Unmet) as caught:
        assert_same(observed, expected, says="the behaviour", **options)
    return caught.value


# -- equality ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [None, True, 0, 1.5, "x", [], {}, [1, [2, {"a": (3,)}]], {"a": [1], "b": None}],
)
def test_equal_values_are_the_same(value):
    assert difference(value, value) is None


@pytest.mark.parametrize(
    ("observed", "expected"),
    [
        (True, 1),
        (1, True),
        (0, False),
        (1.0, 1),
        (0, None),
        ("", None),
        ("1", 1),
        ([], ()),
        ([], {}),
        ([1, 2], [1, 2, 3]),
        ([1, 2, 3], [1, 2]),
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"a": 1, "b": 2}, {"a": 1}),
        ({"a": 1}, {"b": 1}),
    ],
)
def test_type_length_and_keys_count(observed, expected):
    """Python says that True == 1 == 1.0: here they differ, at the top and inside."""
    assert difference(observed, expected) == ()
    assert difference([0, observed], [0, expected]) == (1,)
    assert difference({"k": {"in": observed}}, {"k": {"in": expected}}) == ("k", "in")


def test_the_first_difference_counts():
    assert difference([1, 2, 3], [1, 0, 0]) == (1,)
    assert difference({"a": 1, "b": [0, 1]}, {"b": [0, 2], "a": 1}) == ("b", 1)


def test_the_order_of_keys_does_not_count():
    assert difference({"a": 1, "b": 2}, {"b": 2, "a": 1}) is None


@pytest.mark.parametrize("kind", [int, str, list, dict, float])
def test_a_subclass_is_another_type(kind):
    """An object with a favourable __eq__ never decides: its own method is not even asked."""

    class Always(kind):
        def __eq__(self, other):
            return True

        __hash__ = object.__hash__

    assert difference(Always(), kind()) == ()


# -- what is shown ----------------------------------------------------------------------------


def test_a_difference_names_its_place_and_both_sides():
    error = unmet([{"n": 1}, {"n": 2}], [{"n": 1}, {"n": True}], given="two")
    assert error.difference == "at [1]['n']: expected True, observed 2"
    assert error.expected == "the behaviour: [{'n': 1}, {'n': True}]"
    assert (error.observed, error.given) == ("[{'n': 1}, {'n': 2}]", "two")


def test_the_difference_is_whole_where_the_values_are_long():
    """A long value is cut, but the place where the two part is always shown in full."""
    expected = [*range(500), {"key": "the value that was expected"}, *range(500)]
    observed = [*range(500), {"key": "another"}, *range(500)]
    error = unmet(observed, expected)
    assert "more characters" in error.observed
    assert error.difference == (
        "at [500]['key']: expected 'the value that was expected', observed 'another'"
    )


@pytest.mark.parametrize(
    ("observed", "expected", "said"),
    [
        ([1, 2], [1, 2, 3], "the first 2 are as expected, then missing: [3]"),
        ([1, 2, 3, 4], [1, 2], "the first 2 are as expected, then too much: [3, 4]"),
        ([1, 9], [1, 2, 3], "at [1]: expected 2, observed 9"),
        ({"a": 1}, {"b": 1}, "missing: ['b'], too much: ['a']"),
        ({"x": {"a": 1}}, {"x": {}}, "at ['x']: too much: ['a']"),
        ([[*range(900)]], [[*range(901)]], "at [0]: the first 900 are as expected, then missing"),
    ],
)
def test_what_is_missing_or_too_much_is_said(observed, expected, said):
    """Both sides may be too long to show: that they part, and where, is shown all the same."""
    assert said in unmet(observed, expected).difference


def test_a_difference_at_the_top_needs_no_place():
    assert unmet(1, 2).difference is None


# -- expect, tally, randomness ----------------------------------------------------------------


def test_expect_raises_what_the_candidate_reads():
    expect(True, expected="a", observed="b")
    with pytest.raises(Unmet) as caught:
        expect(False, expected="a promise", observed="something else", given="this")
    error = caught.value
    assert (error.expected, error.observed, error.given) == ("a promise", "something else", "this")


def test_every_comparison_is_counted():
    """A criterion that compares nothing proves nothing: the judge looks at this count."""
    Tally.made = 0
    assert_same(1, 1, says="")
    expect(True, expected="", observed="")
    unmet(1, 2)
    assert Tally.made == 3


def test_randomness_repeats_for_a_seed_and_a_name_and_for_nothing_else():
    def drawn(seed: int, name: str) -> list[int]:
        rng = random_for(seed, name)
        return [rng.randrange(10**9) for _ in range(5)]

    assert drawn(1, "burst") == drawn(1, "burst")
    assert drawn(1, "burst") != drawn(2, "burst")
    assert drawn(1, "burst") != drawn(1, "bursts")
    assert drawn(1, "1/x") != drawn(11, "/x")


class Ledger:
    @exposed
    def get(self, key: str) -> int:
        return len(key)

    @exposed(one_way=True)
    def note(self, key: str) -> None:
        """Keep it."""


def test_a_fake_wraps_its_target():
    """The probe's stub has the exposed methods; those marked one_way are not answered."""
    target = Ledger()
    assert fake(target).target is target
    assert set(fake(target).methods) == {"get", "note"}
    assert fake(target).one_way == ("note",)


def test_a_fake_must_expose_something():
    """An author who forgets the decorator learns it at once."""
    with pytest.raises(ContentError, match="no method marked @exposed"):
        fake(object())


def test_an_exposed_method_must_be_annotated():
    """Arguments that are not declared cannot be checked."""

    class Loose:
        @exposed
        def get(self, key):
            return key

    with pytest.raises(ContentError, match="annotate the parameter `key`"):
        fake(Loose())
