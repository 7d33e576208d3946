"""The list of candidates: sorting, filtering, paging, and invalid parameters."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from report.samples import ROUTING, scorecard

from archprep.interview.model import Graded, Received, Result, SubmittedExercise
from archprep.review import listing
from archprep.review.candidate_rows import LABELS, CandidateRow
from archprep.review.listing import PAGE_SIZE, SORT_KEYS, ListQuery, list_page, neighbours

DEFAULT = ListQuery()


def row(
    slug: str,
    points: int | None = 0,
    *,
    name: str = "",
    at: str = "",
    seconds: float = 0.0,
    labels: tuple[str, ...] = (),
    flags: tuple[str, ...] = (),
    problem: str | None = None,
    source: str = "",
) -> CandidateRow:
    """A candidate with one exercise, q1; without a scorecard if `points` is None."""
    result = replace(ROUTING, earned=points or 0, points=100)
    card = None if points is None else scorecard(result)
    graded = Graded("q1", card, None if card else "answer.py is missing.")
    parts = (SubmittedExercise("q1", Path()),)
    about = Received(name or slug, slug, source, at, "d", parts, flags=flags, problem=problem)
    return CandidateRow(slug, Result(about, (graded,)), frozenset(labels), seconds)


def order(
    rows: list[CandidateRow], query: ListQuery = DEFAULT, marked: tuple[str, ...] = ()
) -> list[str]:
    """The slugs in order, with automatic points as final ones."""
    finals = {r.slug: r.result.score if r.result.graded[0].scorecard else None for r in rows}
    return [row.slug for row in list_page(rows, query, finals, marked).rows]


# ------------------------------------------------------------------ sorting


def test_the_highest_score_comes_first() -> None:
    """Ties are sorted by name, ignoring case. Missing scores come last in both directions."""
    rows = [row("d", None), row("c", 5, name="cleo"), row("b", 5, name="Bea"), row("a", 50)]
    assert order(rows) == ["a", "b", "c", "d"]
    assert order(rows, ListQuery(reverse=True)) == ["b", "c", "a", "d"]


def test_the_list_is_sorted_by_final_points() -> None:
    """Scores are compared as a share of the maximum."""
    small, large = row("small", 10), row("large", 10)
    graded = large.result.graded * 2
    large = replace(large, result=replace(large.result, graded=graded))
    rows, finals = [large, small], {"small": 60, "large": 100}
    assert [r.slug for r in list_page(rows, DEFAULT, finals, ()).rows] == ["small", "large"]
    finals["large"] = 140
    assert [r.slug for r in list_page(rows, DEFAULT, finals, ()).rows] == ["large", "small"]


def test_a_candidate_without_exercises_has_no_score() -> None:
    """A submission that could not be unpacked has no exercises."""
    broken = row("a", None)
    broken = replace(broken, result=replace(broken.result, graded=()))
    listing_ = list_page([broken, row("b", 0)], DEFAULT, {"a": 0, "b": 0}, ())
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
    """The longest time and the most flags come first, and last when reversed."""
    rows = [
        row("d", None, name="Zoe", at="2026-01-01T00:00:00"),
        row("a", 20, name="ada", at="", seconds=2, labels=("late",)),
        row(
            "c",
            30,
            name="Cem",
            at="2026-01-03T00:00:00",
            seconds=3,
            labels=("late", "broken"),
            flags=("late by 3 min",),
        ),
        row("b", 10, name="Bob", at="2026-01-02T00:00:00", seconds=1, labels=("late", "waiting")),
    ]
    assert order(rows, ListQuery(sort=sort)) == expected
    assert set(SORT_KEYS) >= {"score", "name", "received", "time", "flags"}


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("sort", ["score", "received", "time", "q1"])
def test_missing_values_come_last(sort: str, reverse: bool) -> None:
    """This holds in both directions."""
    rows = [row("a", None), row("b", 10, at="2026-01-02T00:00:00", seconds=1)]
    assert order(rows, ListQuery(sort=sort, reverse=reverse)) == ["b", "a"]


def test_reversing_keeps_ties_sorted_by_name() -> None:
    """Equal rows do not change places."""
    rows = [row(slug, 10, seconds=5.0) for slug in ("b", "c", "a")]
    for sort in ("score", "time", "flags", "q1"):
        assert order(rows, ListQuery(sort=sort, reverse=True)) == ["a", "b", "c"]


def test_equal_names_are_sorted_by_slug() -> None:
    """The order must not depend on the file system."""
    rows = [row("ada-2", 1, name="Ada"), row("ada", 1, name="Ada")]
    assert order(rows, ListQuery(sort="name")) == ["ada", "ada-2"]


# ------------------------------------------------------------------ filters


@pytest.mark.parametrize("label", LABELS)
def test_every_label_is_a_filter(label: str) -> None:
    """Candidates with further labels match, too."""
    rows = [row("a", labels=(label,)), row("b", labels=LABELS), row("c")]
    assert order(rows, ListQuery(label=label)) == ["a", "b"]


def test_candidates_are_filtered_by_whether_they_have_marks() -> None:
    """ "yes" and "no" are complementary."""
    rows = [row("a"), row("b"), row("c")]
    assert order(rows, ListQuery(marked="yes"), ("b",)) == ["b"]
    assert order(rows, ListQuery(marked="no"), ("b",)) == ["a", "c"]
    assert order(rows, DEFAULT, ("b",)) == ["a", "b", "c"]


@pytest.mark.parametrize(
    "text", ["STRASSE", "straße", "hans-2", "Upload.ZIP", "late by", "corrupt", "is missing"]
)
def test_text_is_searched_in_names_flags_and_problems(text: str) -> None:
    """The search also covers slug and source, and ignores case."""
    found = row(
        "hans-2",
        None,
        name="Hans Straße",
        flags=("late by 3 min",),
        problem="Corrupt archive",
        source="upload.zip",
    )
    assert order([found, row("eve", 3)], ListQuery(text=text)) == ["hans-2"]


def test_every_word_must_match() -> None:
    """Words may occur in any order and in any field."""
    rows = [row("a", name="Ada Lovelace"), row("b", name="Ada Byron", flags=("late by 1 min",))]
    assert order(rows, ListQuery(text="ada")) == ["b", "a"]
    assert order(rows, ListQuery(text="late ADA")) == ["b"]
    assert order(rows, ListQuery(text="byron lovelace")) == []


def test_filters_are_combined() -> None:
    """A candidate must match all filters."""
    rows = [row("a1", labels=("late",)), row("a2", labels=("late",)), row("b", labels=("late",))]
    assert order(rows, ListQuery(text="a", label="late", marked="no"), ("a2",)) == ["a1"]


# ------------------------------------------------------------------ pages


def many(count: int) -> list[CandidateRow]:
    return [row(f"c{number:04}") for number in range(count)]


def test_pages_partition_the_list() -> None:
    """Only the last page is shorter."""
    rows = many(2 * PAGE_SIZE + 1)
    pages = [list_page(rows, ListQuery(page=n), {}, ()) for n in (1, 2, 3)]
    assert [len(page.rows) for page in pages] == [PAGE_SIZE, PAGE_SIZE, 1]
    assert [r for page in pages for r in page.rows] == rows
    assert {(page.total, page.pages) for page in pages} == {(len(rows), 3)}


def test_a_page_number_out_of_range_gives_the_last_page() -> None:
    """An empty list has one page."""
    assert list_page(many(PAGE_SIZE + 1), ListQuery(page=99), {}, ()).page == 2
    assert list_page(many(PAGE_SIZE), ListQuery(page=99), {}, ()).pages == 1
    empty = list_page([], ListQuery(page=99), {}, ())
    assert (empty.rows, empty.total, empty.page, empty.pages) == ((), 0, 1, 1)


# ------------------------------------------------------------------ neighbours


def test_neighbours_follow_the_list() -> None:
    """They follow its order and filter, across pages."""
    rows = [*many(PAGE_SIZE + 2), row("x", labels=("late",))]
    query = ListQuery(sort="name", reverse=True, label="")
    before, after, place, total = neighbours(rows, query, {}, (), f"c{PAGE_SIZE - 1:04}")
    assert before
    assert after
    assert (before.slug, after.slug) == (f"c{PAGE_SIZE:04}", f"c{PAGE_SIZE - 2:04}")
    assert (place, total) == (4, PAGE_SIZE + 3)


def test_the_first_and_last_candidate_have_one_neighbour() -> None:
    """A single candidate has none."""
    rows = many(3)
    assert neighbours(rows, DEFAULT, {}, (), "c0000") == (None, rows[1], 1, 3)
    assert neighbours(rows, DEFAULT, {}, (), "c0002") == (rows[1], None, 3, 3)
    assert neighbours(rows[:1], DEFAULT, {}, (), "c0000") == (None, None, 1, 1)


def test_an_excluded_candidate_keeps_its_neighbours() -> None:
    """Saving a mark removes a candidate from the filter "not yet marked"."""
    rows = many(4)
    unmarked = ListQuery(marked="no")
    assert neighbours(rows, unmarked, {}, ("c0001",), "c0001") == (rows[0], rows[2], 0, 3)
    assert neighbours(rows, unmarked, {}, ("c0000",), "c0000") == (None, rows[1], 0, 3)
    assert neighbours(rows, DEFAULT, {}, (), "eve") == (None, None, 0, 4)


# ------------------------------------------------------------------ query strings


def test_a_query_survives_a_round_trip() -> None:
    """Special characters are encoded."""
    query = ListQuery("name", reverse=True, text='a&b="ü"? #%', label="late", marked="no", page=3)
    string = query.string()
    assert string.startswith("?")
    assert string.isascii()
    assert ListQuery.parse(dict(parse_qsl(string[1:]))) == query


def test_defaults_are_not_part_of_the_query_string() -> None:
    """The default list has the URL "/"."""
    assert DEFAULT.string() == ""
    assert ListQuery(sort="name", page=2).string() == "?sort=name&page=2"
    assert ListQuery(reverse=True).string() == "?reverse=1"


def test_changing_the_query_leads_to_the_first_page() -> None:
    """Only a link to a page keeps the page."""
    query = ListQuery(sort="name", page=3)
    assert query.string(sort="time") == "?sort=time"
    assert query.string(page=4) == "?sort=name&page=4"
    assert query.string(sort="score", page=1) == ""
    assert query.string() == "?sort=name&page=3"


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"sort": "__class__", "label": "x", "marked": "maybe", "reverse": "no", "page": "-1"},
        {"sort": "q0", "page": "0"},
        {"sort": "", "label": "", "text": " \n\t\0\u202e\x1b[2J", "page": ""},
        {"sort": "q" * 99_999, "page": "9" * 99_999, "label": "\udce9"},
        {"sort": "q1\n", "page": "٣"},
        {"page": "1e3", "more": "x"},
    ],
)
def test_invalid_parameters_become_defaults(odd: dict[str, str]) -> None:
    """Users can type any URL."""
    assert ListQuery.parse(odd) == DEFAULT


def test_the_search_text_is_sanitized_and_limited() -> None:
    """It is shown on the page, and a URL may contain invalid Unicode."""
    query = ListQuery.parse({"text": "\udce9" + "x" * 100_000})
    assert len(query.text) == listing._MAX_TEXT
    assert query.string().isascii()
    assert ListQuery.parse({"text": " a \x1b[31m\n b "}).text == "a b"


def test_the_list_can_be_sorted_by_exercise() -> None:
    """Any exercise id is valid."""
    assert ListQuery.parse({"sort": "q12"}).sort == "q12"


def test_the_page_is_parsed_as_a_number() -> None:
    """The parameter is text."""
    assert ListQuery.parse({"page": "12"}).page == 12
