"""The interviewer's pages: nothing that a candidate wrote acts in them."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

import pytest
from interview.reports.page_samples import (
    ANSWER,
    hostile__index,
    hostile__page,
    index_of,
    page_of,
    source_with,
    visible_text,
)
from interview.reports.result_values import BATCH, card, criterion, received, result
from report.samples import (
    LEVEL_A,
    LEVEL_D,
    SAMPLES,
)
from report.test_html import ATTACKS, _Reader

from archprep.interview.model import Graded, Result
from archprep.interview.reports import pages, statistics


@pytest.mark.parametrize("page", [hostile__page, hostile__index])
@pytest.mark.parametrize("text", [*ATTACKS, "<base href='http://evil.example/'>", "' onclick='x"])
def test_hostile_text_is_inert(page, text: str) -> None:
    """Attacks 63-65: no element, attribute, style or expression, and no character that acts."""
    document = page(text)
    read, harmless = _Reader(document), _Reader(page("harmless"))
    assert set(read.tags) <= set(harmless.tags)
    assert {name for name, _ in read.attributes} <= {name for name, _ in harmless.attributes}
    assert read.tags.count("style") == 1
    assert all(char in "\n\t" or char.isprintable() for char in document)
    assert "49" not in re.sub(r"<style>.*?</style>|sha256-\S+", "", document, flags=re.DOTALL)


FULL = {"reported": {"begun_at": "x"}, "flags": ("late",), "superseded": ("a.zip",)}


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("index", [False, True])
def test_the_pages_need_nothing_and_run_nothing(name: str, index: bool) -> None:
    """Self-contained, well nested, with links only to candidates' pages and places on the page."""
    graded = Graded("q1", SAMPLES[name], source=source_with(answer__py=ANSWER))
    both = Result(received(**FULL), (graded, Graded("q3", problem="a file is missing")))
    read = _Reader(index_of(both) if index else pages.report(both, BATCH))
    assert read.open == []
    assert not {"script", "link", "img", "iframe", "object", "form", "base"} & set(read.tags)
    assert not read.values("style") + read.values("src")
    assert not [key for key, _ in read.attributes if key.startswith("on")]
    links = [link or "" for link in read.values("href")]
    assert all(link.startswith("candidates/" if index else "#") for link in links)
    ids = read.values("id")
    assert len(ids) == len(set(ids))
    assert index or {link[1:] for link in links} <= set(ids)


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("index", [False, True])
def test_the_pages_are_accessible(name: str, index: bool) -> None:
    """A language, headings in order, a scope for each table header."""
    graded = Graded("q1", SAMPLES[name], source=source_with(answer__py=ANSWER))
    both = Result(received(**FULL), (graded, Graded("q3", problem="a file is missing")))
    document = index_of(both) if index else pages.report(both, BATCH)
    read = _Reader(document)
    levels = [int(tag[1]) for tag in read.tags if re.fullmatch(r"h\d", tag)]
    assert '<html lang="en">' in document
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert read.tags.count("th") == len(read.values("scope"))


def test_the_content_security_policy_allows_only_the_style_sheet() -> None:
    """Everything else is forbidden."""
    for document in (index_of(), page_of(Graded("q1", problem="x"))):
        policy = re.search(r'Content-Security-Policy" content="([^"]+)"', document)
        assert policy
        assert re.fullmatch(
            r"default-src 'none'; style-src 'sha256-[\w+/]+='; base-uri 'none'; form-action 'none'",
            policy[1],
        )


def test_the_top_has_name_receipt_flags_isolation_and_total() -> None:
    """Before the first exercise."""
    flags = ("late by 12 min", "signature not checked")
    text = visible_text(page_of(Graded("q1", SAMPLES["mixed"]), name="Ada Lovelace", flags=flags))
    top = text[: text.index("Score by task")]
    pieces = ("Ada Lovelace", "2026-03-01 12:10 UTC", *flags, "8 of 100 points")
    for piece in (*pieces, LEVEL_A.sentence, "use the network: blocked"):
        assert piece in top
    assert "Isolation level A: 2 of 2 attempts to break out were blocked" in top


def test_weaker_isolation_is_provisional_at_the_top() -> None:
    """On the candidate's page and on that of the batch."""
    weak = replace(BATCH, isolation=LEVEL_D)
    one = result("Ada", card(criterion("a")))
    for document in (pages.report(one, weak), pages.index([one], weak, statistics.of([one]))):
        assert "Provisional: graded with weaker isolation." in visible_text(document)
    assert "Provisional" not in page_of(one.graded[0]) + index_of(one)


def test_reported_values_are_marked_as_unverified() -> None:
    """Times in them are readable."""
    reported = {"begun_at": "2026-03-01T10:00:00Z", "edited": {"answer.py": "yesterday"}}
    text = visible_text(page_of(Graded("q1", SAMPLES["mixed"]), reported=reported))
    section = text[text.index("Reported by the candidate's machine") :]
    assert "None of this is verified" in section
    assert "begun_at 2026-03-01 10:00 UTC" in section
    assert "edited answer.py yesterday" in section


def test_any_reported_value_can_be_shown() -> None:
    """However deep, long or large it is."""
    deep: dict[str, object] = {}
    for _ in range(50_000):
        deep = {"x": deep}
    odd = {"deep": deep, "many": {str(n): n for n in range(5000)}, "big": 10**5000, "none": None}
    document = page_of(Graded("q1", SAMPLES["mixed"]), reported=odd)
    assert len(document) < 200_000


def test_an_unreadable_submission_has_a_page() -> None:
    """It says why."""
    document = pages.report(Result(received(problem="a.zip is not a zip archive."), ()), BATCH)
    assert "Not graded. a.zip is not a zip archive." in visible_text(document)


def test_an_exercise_without_scorecard_says_why() -> None:
    """On the candidate's page."""
    text = visible_text(page_of(Graded("q1", problem="answer.py is missing.")))
    assert "Not graded. answer.py is missing." in text
