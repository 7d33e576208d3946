"""The list of candidates: sorted, filtered and cut into pages; nothing asked for breaks it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from report.test_samples import ROUTING, scorecard

from archprep.interview.model import Graded, Part, Received, Result
from archprep.review import listing
from archprep.review.listing import KINDS, PAGE, SORTS, Query, listed, neighbours
from archprep.review.results_reader import Row

DEFAULT = Query()


def row(
    slug: str,
    points: int | None = 0,
    *,
    name: str = "",
    at: str = "",
    seconds: float = 0.0,
    kinds: tuple[str, ...] = (),
    flags: tuple[str, ...] = (),
    problem: str | None = None,
    source: str = "",
) -> Row:
    """A candidate with one exercise, q1; with `points` None there is no scorecard of it."""
    result = replace(ROUTING, earned=points or 0, points=100)
    card = None if points is None else scorecard(result)
    graded = Graded("q1", card, None if card else "answer.py is missing.")
    parts = (Part("q1", Path()),)
    about = Received(name or slug, slug, source, at, "d", parts, flags=flags, problem=problem)
    return Row(slug, Result(about, (graded,)), frozenset(kinds), seconds)


def order(rows: list[Row], query: Query = DEFAULT, marked: tuple[str, ...] = ()) -> list[str]:
    """The slugs as listed; the automatic points count."""
    finals = {r.slug: r.result.score if r.result.graded[0].scorecard else None for r in rows}
    return [row.slug for row in listed(rows, query, finals, marked).rows]


# ------------------------------------------------------------------ in which order


def test_the_best_come_first() -> None:
    """Ties by name, whatever its case; who has no score comes last, in either direction."""
    rows = [row("d", None), row("c", 5, name="cleo"), row("b", 5, name="Bea"), row("a", 50)]
    assert order(rows) == ["a", "b", "c", "d"]
    assert order(rows, Query(reverse=True)) == ["b", "c", "a", "d"]


def test_overrides_count() -> None:
    """The points after them, as a share of what could be earned."""
    small, large = row("small", 10), row("large", 10)
    graded = large.result.graded * 2
    large = replace(large, result=replace(large.result, graded=graded))
    rows, finals = [large, small], {"small": 60, "large": 100}
    assert [r.slug for r in listed(rows, DEFAULT, finals, ()).rows] == ["small", "large"]
    finals["large"] = 140
    assert [r.slug for r in listed(rows, DEFAULT, finals, ()).rows] == ["large", "small"]


def test_a_candidate_without_exercises_has_no_share() -> None:
    """What could not be unpacked asks for nothing."""
    broken = row("a", None)
    broken = replace(broken, result=replace(broken.result, graded=()))
    listing_ = listed([broken, row("b", 0)], DEFAULT, {"a": 0, "b": 0}, ())
    assert [r.slug for r in listing_.rows] == ["b", "a"]


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("name", ["a", "b", "c", "d"]),
        ("received", ["d", "b", "c", "a"]),
        ("time", ["c", "a", "b", "d"]),
        ("flags", ["c", "b", "a", "d"]),
        ("q1", ["c", "a", "b", "d"]),
        ("q77", ["a", "b", "c", "d"]),
    ],
)
def test_every_column_sorts(sort: str, expected: list[str]) -> None:
    """The first, the longest, the most and the best come first, and last when reversed."""
    rows = [
        row("d", None, name="Zoe", at="2026-01-01T00:00:00"),
        row("a", 20, name="ada", at="", seconds=2, kinds=("late",)),
        row(
            "c",
            30,
            name="Cem",
            at="2026-01-03T00:00:00",
            seconds=3,
            kinds=("late", "broken"),
            flags=("late by 3 min",),
        ),
        row("b", 10, name="Bob", at="2026-01-02T00:00:00", seconds=1, kinds=("late", "waiting")),
    ]
    assert order(rows, Query(sort=sort)) == expected
    assert set(SORTS) >= {"score", "name", "received", "time", "flags"}


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("sort", ["score", "received", "time", "q1"])
def test_what_is_not_known_comes_last(sort: str, reverse: bool) -> None:
    """In either direction: it is neither the best nor the worst."""
    rows = [row("a", None), row("b", 10, at="2026-01-02T00:00:00", seconds=1)]
    assert order(rows, Query(sort=sort, reverse=reverse)) == ["b", "a"]


def test_reversed_ties_still_stand_by_name() -> None:
    """So that a list does not turn where nothing differs."""
    rows = [row(slug, 10, seconds=5.0) for slug in ("b", "c", "a")]
    for sort in ("score", "time", "flags", "q1"):
        assert order(rows, Query(sort=sort, reverse=True)) == ["a", "b", "c"]


def test_the_same_name_twice_is_no_tie() -> None:
    """The folder's name decides."""
    rows = [row("ada-2", 1, name="Ada"), row("ada", 1, name="Ada")]
    assert order(rows, Query(sort="name")) == ["ada", "ada-2"]


# ------------------------------------------------------------------ which of them


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_can_be_asked_for(kind: str) -> None:
    """Whatever else a candidate is."""
    rows = [row("a", kinds=(kind,)), row("b", kinds=KINDS), row("c")]
    assert order(rows, Query(kind=kind)) == ["a", "b"]


def test_marked_or_not() -> None:
    """By whether somebody has marked."""
    rows = [row("a"), row("b"), row("c")]
    assert order(rows, Query(marked="yes"), ("b",)) == ["b"]
    assert order(rows, Query(marked="no"), ("b",)) == ["a", "c"]
    assert order(rows, DEFAULT, ("b",)) == ["a", "b", "c"]


@pytest.mark.parametrize(
    "text", ["STRASSE", "straße", "hans-2", "Upload.ZIP", "late by", "corrupt", "is missing"]
)
def test_text_is_looked_for_in_what_is_said_of_a_candidate(text: str) -> None:
    """Name, folder, source, flags, problems; upper and lower case are one."""
    found = row(
        "hans-2",
        None,
        name="Hans Straße",
        flags=("late by 3 min",),
        problem="Corrupt archive",
        source="upload.zip",
    )
    assert order([found, row("eve", 3)], Query(text=text)) == ["hans-2"]


def test_every_word_must_be_found() -> None:
    """In any order, in any of the places."""
    rows = [row("a", name="Ada Lovelace"), row("b", name="Ada Byron", flags=("late by 1 min",))]
    assert order(rows, Query(text="ada")) == ["b", "a"]
    assert order(rows, Query(text="late ADA")) == ["b"]
    assert order(rows, Query(text="byron lovelace")) == []


def test_filters_are_combined() -> None:
    """Each leaves out more."""
    rows = [row("a1", kinds=("late",)), row("a2", kinds=("late",)), row("b", kinds=("late",))]
    assert order(rows, Query(text="a", kind="late", marked="no"), ("a2",)) == ["a1"]


# ------------------------------------------------------------------ pages


def many(count: int) -> list[Row]:
    return [row(f"c{number:04}") for number in range(count)]


def test_a_page_is_a_part_of_the_list() -> None:
    """All pages together are the list; the last one is shorter."""
    rows = many(2 * PAGE + 1)
    pages = [listed(rows, Query(page=n), {}, ()) for n in (1, 2, 3)]
    assert [len(page.rows) for page in pages] == [PAGE, PAGE, 1]
    assert [r for page in pages for r in page.rows] == rows
    assert {(page.total, page.pages) for page in pages} == {(len(rows), 3)}


def test_a_page_that_is_not_there_is_the_last_one() -> None:
    """An empty list has one page, too."""
    assert listed(many(PAGE + 1), Query(page=99), {}, ()).page == 2
    assert listed(many(PAGE), Query(page=99), {}, ()).pages == 1
    empty = listed([], Query(page=99), {}, ())
    assert (empty.rows, empty.total, empty.page, empty.pages) == ((), 0, 1, 1)


# ------------------------------------------------------------------ neighbours


def test_neighbours_are_those_of_the_list() -> None:
    """In its order, by its filter, over the ends of pages."""
    rows = [*many(PAGE + 2), row("x", kinds=("late",))]
    query = Query(sort="name", reverse=True, kind="")
    before, after, place, total = neighbours(rows, query, {}, (), f"c{PAGE - 1:04}")
    assert before
    assert after
    assert (before.slug, after.slug) == (f"c{PAGE:04}", f"c{PAGE - 2:04}")
    assert (place, total) == (4, PAGE + 3)


def test_the_first_and_the_last_have_one_neighbour() -> None:
    """And who is alone has none."""
    rows = many(3)
    assert neighbours(rows, DEFAULT, {}, (), "c0000") == (None, rows[1], 1, 3)
    assert neighbours(rows, DEFAULT, {}, (), "c0002") == (rows[1], None, 3, 3)
    assert neighbours(rows[:1], DEFAULT, {}, (), "c0000") == (None, None, 1, 1)


def test_who_is_left_out_stands_between_the_others() -> None:
    """The list has no place for them, but there is a way on: marking takes one out of a filter."""
    rows = many(4)
    unmarked = Query(marked="no")
    assert neighbours(rows, unmarked, {}, ("c0001",), "c0001") == (rows[0], rows[2], 0, 3)
    assert neighbours(rows, unmarked, {}, ("c0000",), "c0000") == (None, rows[1], 0, 3)
    assert neighbours(rows, DEFAULT, {}, (), "eve") == (None, None, 0, 4)


# ------------------------------------------------------------------ what was asked for


def test_a_query_is_read_from_its_own_string() -> None:
    """Whatever text is looked for."""
    query = Query("name", reverse=True, text='a&b="ü"? #%', kind="late", marked="no", page=3)
    string = query.string()
    assert string.startswith("?")
    assert string.isascii()
    assert Query.of(dict(parse_qsl(string[1:]))) == query


def test_only_what_differs_is_in_the_string() -> None:
    """The plain list has a plain address."""
    assert DEFAULT.string() == ""
    assert Query(sort="name", page=2).string() == "?sort=name&page=2"
    assert Query(reverse=True).string() == "?reverse=1"


def test_another_choice_begins_on_its_first_page() -> None:
    """The third page of one order is nothing in another; a link to a page says so."""
    query = Query(sort="name", page=3)
    assert query.string(sort="time") == "?sort=time"
    assert query.string(page=4) == "?sort=name&page=4"
    assert query.string(sort="score", page=1) == ""
    assert query.string() == "?sort=name&page=3"


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"sort": "__class__", "kind": "x", "marked": "maybe", "reverse": "no", "page": "-1"},
        {"sort": "q0", "page": "0"},
        {"sort": "", "kind": "", "text": " \n\t\0\u202e\x1b[2J", "page": ""},
        {"sort": "q" * 99_999, "page": "9" * 99_999, "kind": "\udce9"},
        {"sort": "q1\n", "page": "٣"},
        {"page": "1e3", "more": "x"},
    ],
)
def test_whatever_is_odd_becomes_the_default(odd: dict[str, str]) -> None:
    """An address can be typed by anybody."""
    assert Query.of(odd) == DEFAULT


def test_a_text_is_bounded_and_clean() -> None:
    """It is shown in the list again; also what is no Unicode can be a part of an address."""
    query = Query.of({"text": "\udce9" + "x" * 100_000})
    assert len(query.text) == listing._LONGEST
    assert query.string().isascii()
    assert Query.of({"text": " a \x1b[31m\n b "}).text == "a b"


def test_exercises_can_be_sorted_by() -> None:
    """By their ids, of which a results folder has any."""
    assert Query.of({"sort": "q12"}).sort == "q12"


def test_the_page_is_a_number() -> None:
    """As an address writes it."""
    assert Query.of({"page": "12"}).page == 12
