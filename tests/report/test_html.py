"""The HTML report: one file without scripts, in which the candidate's text is inert."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from report.samples import CRASH, PRIORITY, ROUTING, SAMPLES, SUBMISSION, scorecard
from report.test_terminal import HOSTILE

from archprep.core.model import Evidence, Frame, SubmittedFile
from archprep.report import to_html

ATTACKS = [
    *HOSTILE,
    '"><svg onload=alert(1)>',
    "</style><style>*{display:none}</style>",
    "</pre></dd></dl><img src=x onerror=alert(1)>",
    "javascript:alert(1)",
    "```\n</textarea>-->",
]
VOID = {"br", "col", "hr", "img", "input", "link", "meta", "rect"}


class _Reader(HTMLParser):
    """Collects what a browser would act on, and checks that the tags nest."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.feed(document)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def values(self, name: str) -> list[str | None]:
        return [value for key, value in self.attributes if key == name]


def _hostile(text: str) -> str:
    evidence = Evidence(
        given=text, difference=text, message=text, frames=(Frame(text, 1, text, text),), output=text
    )
    failed = replace(PRIORITY, expected=text, observed=text, evidence=evidence)
    submission = replace(SUBMISSION, files=(SubmittedFile(text, "00", 1),))
    return to_html(
        scorecard(ROUTING, failed, replace(CRASH, evidence=evidence), submission=submission),
        source={text: text, "a.py": text},
        discussion=text,
    )


@pytest.mark.parametrize("text", ATTACKS)
def test_hostile_text_is_inert(text: str) -> None:
    """Text of the candidate stays text: no element, attribute, style or expression."""
    document = _hostile(text)
    harmless = _Reader(_hostile("harmless"))
    read = _Reader(document)
    assert set(read.tags) <= set(harmless.tags)
    assert {name for name, _ in read.attributes} <= {name for name, _ in harmless.attributes}
    assert read.tags.count("style") == 1
    assert all(char in "\n\t" or char.isprintable() for char in document)
    assert "49" not in re.sub(r"<style>.*?</style>|sha256-\S+", "", document, flags=re.DOTALL)


@pytest.mark.parametrize("name", SAMPLES)
def test_the_document_is_self_contained_and_runs_nothing(name: str) -> None:
    """No scripts, no style attributes and no links that leave the page."""
    read = _Reader(to_html(SAMPLES[name], source={"eventbus.py": "x = 1\n" * 50}))
    assert read.open == []
    assert not {"script", "link", "img", "iframe", "object", "form", "base"} & set(read.tags)
    assert not read.values("style") + read.values("src")
    assert all((link or "").startswith("#") for link in read.values("href"))
    assert not [key for key, _ in read.attributes if key.startswith("on")]


def test_the_policy_allows_our_style_sheet_only() -> None:
    """The policy holds the hash of the style element's text, as a browser computes it."""
    document = to_html(SAMPLES["mixed"])
    style = re.search(r"<style>(.*?)</style>", document, re.DOTALL)
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', document)
    assert style
    assert policy
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert policy[1].startswith(f"default-src 'none'; style-src 'sha256-{digest}'")


def test_links_point_to_existing_ids() -> None:
    """Each link points to an id that exists, and ids are unique."""
    source = {"eventbus.py": "\n".join(f"line {n}" for n in range(1, 60))}
    read = _Reader(to_html(SAMPLES["mixed"], source=source))
    ids = read.values("id")
    assert len(ids) == len(set(ids))
    links = [(link or "")[1:] for link in read.values("href")]
    assert "f0-41" in links
    assert set(links) <= set(ids)


def test_a_frame_beyond_the_source_is_not_a_link() -> None:
    """A line number is a claim of the worker and may be wrong."""
    read = _Reader(to_html(scorecard(CRASH), source={"eventbus.py": "short\n"}))
    assert "#f0-41" not in read.values("href")


def test_the_report_is_accessible() -> None:
    """It has a language, ordered headings and table headers, and marks come with words."""
    document = to_html(SAMPLES["mixed"], source={"a.py": "1"}, discussion="text")
    read = _Reader(document)
    assert 'lang="en"' in document
    levels = [int(tag[1]) for tag in read.tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert read.tags.count("th") == len(read.values("scope"))
    for word in ("✓ passed", "✗ failed", "! time-out", "blocked", "? not scored"):
        assert word in document


def test_one_cause_is_one_article_with_all_its_criteria() -> None:
    """Causes are grouped as on the terminal."""
    document = to_html(SAMPLES["starter"])
    assert document.count("<article") == 1
    assert "7 criteria · 100 points" in document


def test_the_evidence_is_shown_in_full() -> None:
    """Nothing is shortened as on the terminal."""
    many = "\n".join(f"line {n}" for n in range(500))
    document = to_html(scorecard(replace(PRIORITY, evidence=Evidence(given=many, output=many))))
    assert document.count("line 499") == 2
    assert document.count("line 250") == 2


def test_submission_and_self_test_are_shown() -> None:
    """The report shows what was graded and how the isolation self-test went."""
    document = to_html(SAMPLES["unimportable"])
    assert SUBMISSION.digest in document
    assert SUBMISSION.files[0].sha256 in document
    assert "NOT blocked" in document
    assert "not tested" in document


def test_source_and_discussion_are_optional() -> None:
    """A candidate's own report does not repeat the code."""
    bare = to_html(SAMPLES["mixed"])
    full = to_html(SAMPLES["mixed"], source={"eventbus.py": "a = 1\n"}, discussion="My answer")
    assert "Source, as it was graded" not in bare
    assert "Discussion, as" not in bare
    assert "a = 1" in full
    assert "My answer" in full
