"""The interviewer's pages: everything is on them, nothing that a candidate wrote acts in them."""

from __future__ import annotations

import http.server
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from conftest import write_tree
from interview.test_exports import hostile
from interview.test_statistics import BATCH, card, criterion, received, result
from report.samples import (
    CRASH,
    CRASH_TOO,
    LEVEL_A,
    LEVEL_D,
    PRIORITY,
    SAMPLES,
    SUBMISSION,
    scorecard,
)
from report.test_html import ATTACKS, _Reader

from archprep.core.model import Evidence, State, SubmittedFile
from archprep.interview import pages, statistics
from archprep.interview.model import Graded, Kit, KitExercise, Result

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
DISCUSSION = "# Talk\n\n1. **Why?** Say why\n   at length.\n2. **What else?** Say it.\n"
RUBRIC = "- prompt: Why?\n  strong: [simple]\n  weak: [magic]\n- prompt: Else\n  strong: [other]\n"
STARTER = "def add(a: int, b: int) -> int:\n    raise NotImplementedError\n"
ANSWER = "def add(a: int, b: int) -> int:\n    return a + b\n"


@pytest.fixture(autouse=True)
def exercise(content: Path) -> None:
    """q1 with two prompts and what the rubric says of them."""
    (folder,) = (content / "exercises").glob("q01_*")
    write_tree(content / "exercises" / folder.name, {"discussion.md": DISCUSSION})
    write_tree(content / "solutions" / folder.name, {"rubric.yaml": RUBRIC})


def _source(**files: str) -> dict[str, str]:
    """What somebody hands in who has changed nothing but these."""
    given = {"answer.py": STARTER, "test_examples.py": "def test_nothing() -> None: ...\n"}
    named = {name.replace("__", "."): text for name, text in files.items()}
    return given | {"DISCUSSION.md": DISCUSSION} | named


def _page(graded: Graded, **changes: object) -> str:
    return pages.report(Result(received(**changes), (graded,)), BATCH)


def _index(*results: Result) -> str:
    return pages.index(results, BATCH, statistics.of(results))


def _text(document: str) -> str:
    """What a reader sees, on one line."""
    plain = re.sub(r"<style>.*?</style>|<[^>]*>", " ", document, flags=re.DOTALL)
    for entity, char in (("&#39;", "'"), ("&#34;", '"'), ("&lt;", "<"), ("&gt;", ">")):
        plain = plain.replace(entity, char)
    return " ".join(plain.replace("&amp;", "&").split())


# ------------------------------------------------------------------ nothing acts


def _hostile_page(text: str) -> str:
    one = hostile(text)
    submission = replace(SUBMISSION, files=(SubmittedFile(text, "00", 1),))
    graded = replace(
        one.graded[0],
        scorecard=replace(one.graded[0].scorecard, submission=submission),
        source=_source(answer__py=f"{text}\n{ANSWER}", DISCUSSION__md=f"{DISCUSSION}{text}\n")
        | {text: text},
    )
    kit = Kit(text, 90, text, text, (KitExercise(text, text, 1, text),))
    about = replace(one.received, kit=kit, reported={text: {text: [text]}}, problem=text)
    return pages.report(Result(about, (graded, one.graded[1])), BATCH)


def _hostile_index(text: str) -> str:
    one = hostile(text)
    return _index(one, replace(one, received=replace(one.received, problem=text)))


@pytest.mark.parametrize("page", [_hostile_page, _hostile_index])
@pytest.mark.parametrize("text", [*ATTACKS, "<base href='http://evil.example/'>", "' onclick='x"])
def test_hostile_text_is_inert(page, text: str) -> None:
    """Cases 63-65: no element, attribute, style or expression, and no character that acts."""
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
    """Self-contained, nested as it should be, with no link but to the candidates' pages."""
    graded = Graded("q1", SAMPLES[name], source=_source(answer__py=ANSWER))
    both = Result(received(**FULL), (graded, Graded("q3", problem="a file is missing")))
    read = _Reader(_index(both) if index else pages.report(both, BATCH))
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
def test_they_can_be_read_without_eyes_for_colour_or_layout(name: str, index: bool) -> None:
    """A language, headings in order, a scope for each table header."""
    graded = Graded("q1", SAMPLES[name], source=_source(answer__py=ANSWER))
    both = Result(received(**FULL), (graded, Graded("q3", problem="a file is missing")))
    document = _index(both) if index else pages.report(both, BATCH)
    read = _Reader(document)
    levels = [int(tag[1]) for tag in read.tags if re.fullmatch(r"h\d", tag)]
    assert '<html lang="en">' in document
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert read.tags.count("th") == len(read.values("scope"))


def test_the_policy_is_that_of_the_candidates_own_report() -> None:
    """Everything is forbidden but the one style sheet."""
    for document in (_index(), _page(Graded("q1", problem="x"))):
        policy = re.search(r'Content-Security-Policy" content="([^"]+)"', document)
        assert policy
        assert re.fullmatch(
            r"default-src 'none'; style-src 'sha256-[\w+/]+='; base-uri 'none'; form-action 'none'",
            policy[1],
        )


# ------------------------------------------------------------------ a candidate's page


def test_the_top_tells_name_receipt_flags_isolation_and_total() -> None:
    flags = ("late by 12 min", "signature not checked")
    text = _text(_page(Graded("q1", SAMPLES["mixed"]), name="Ada Lovelace", flags=flags))
    top = text[: text.index("Score by task")]
    pieces = ("Ada Lovelace", "2026-03-01 12:10 UTC", *flags, "8 of 100 points")
    for piece in (*pieces, LEVEL_A.sentence, "use the network: blocked"):
        assert piece in top
    assert "Isolation level A: 2 of 2 attempts to break out were blocked" in top


def test_weaker_isolation_is_provisional_at_the_top() -> None:
    weak = replace(BATCH, isolation=LEVEL_D)
    one = result("Ada", card(criterion("a")))
    for document in (pages.report(one, weak), pages.index([one], weak, statistics.of([one]))):
        assert "Provisional: graded with weaker isolation." in _text(document)
    assert "Provisional" not in _page(one.graded[0]) + _index(one)


def test_an_exercise_under_another_isolation_says_so() -> None:
    text = _text(_page(Graded("q1", SAMPLES["unimportable"])))
    assert f"Provisional: graded with weaker isolation. {LEVEL_D.sentence}" in text


def test_each_failed_criterion_has_its_evidence_in_full() -> None:
    many = "\n".join(f"line {n}" for n in range(500))
    evidence = Evidence(given=many, difference="at 3", frames=CRASH.evidence.frames, output="said")
    document = _page(Graded("q1", scorecard(replace(PRIORITY, evidence=evidence))))
    text = _text(document)
    for piece in (
        PRIORITY.expected,
        PRIORITY.observed,
        "at 3",
        "eventbus.py:41 in publish",
        "said",
    ):
        assert f"{piece}" in text
    assert "line 250" in text
    assert "line 499" in text


def test_criteria_of_one_cause_keep_what_is_their_own() -> None:
    """Two scenarios break at one line; the drawn input of either is there."""
    first, second = (
        replace(c, evidence=replace(c.evidence, given=f"topic {c.id}")) for c in (CRASH, CRASH_TOO)
    )
    text = _text(_page(Graded("q1", scorecard(first, second))))
    assert "topic retry-backoff" in text
    assert "The same cause: A dead letter names its stage" in text
    assert "topic dead-letter-stage" in text


def test_advice_for_the_candidate_is_left_out() -> None:
    text = _text(_page(Graded("q1", SAMPLES["mixed"])))
    assert "archprep check" not in text
    assert str(PRIORITY.hint) not in text


def test_frames_lead_into_the_source() -> None:
    source = _source() | {"eventbus.py": "\n".join(f"line {n}" for n in range(1, 60))}
    one, two = Graded("q1", SAMPLES["mixed"], source=source), Graded("q3", SAMPLES["mixed"])
    read = _Reader(pages.report(Result(received(), (one, two)), BATCH))
    assert "#e1-f0-41" in read.values("href")
    assert "e1-f0-41" in read.values("id")
    assert not [link for link in read.values("href") if (link or "").startswith("#e2-f")]


def test_what_the_candidate_changed_is_compared_with_the_starter() -> None:
    source = _source(answer__py=ANSWER, more__py="x = 1\n")
    del source["test_examples.py"]
    document = _page(Graded("q1", card(criterion("a")), source=source))
    assert '<span class="del">-    raise NotImplementedError</span>' in document
    assert '<span class="add">+    return a + b</span>' in document
    assert "Not in the starter: more.py" in document
    assert "Of the starter, but not handed in: test_examples.py" in document


def test_files_as_in_the_starter_are_named_and_not_repeated() -> None:
    document = _page(Graded("q1", card(criterion("a")), source=_source(answer__py=ANSWER)))
    assert "As in the starter: test_examples.py" in document
    assert "test_nothing" not in document
    assert "return a + b" in document


def test_invisible_characters_are_counted() -> None:
    """They are not shown; a file that has them may do something else than it says."""
    source = _source(answer__py=f"# \u202e\u2066\r\n{ANSWER}")
    assert "they stand in answer.py (2)" in _text(_page(Graded("q1", None, "no", source)))


def test_a_very_long_source_is_cut_with_a_mark() -> None:
    source = _source(answer__py="x\n" * 30_000, b__py="y\n" * 30_000)
    start = time.monotonic()
    document = _page(Graded("q1", card(criterion("a")), source=source))
    assert time.monotonic() - start < 5
    assert "40,000 further lines are not shown" in document
    assert "Too long to be compared: answer.py" in document


def test_lines_are_counted_as_they_are_shown() -> None:
    """A carriage return ends one, too: it must not get round what a page has room for."""
    source = _source(answer__py="x\r" * 30_000)
    document = _page(Graded("q1", card(criterion("a")), source=source))
    assert "Too long to be compared: answer.py" in document


def test_comparing_takes_no_time_that_a_candidate_can_choose(content: Path) -> None:
    """The worst for a comparison: each line of a long starter, often."""
    lines = [f"line {n}\n" for n in range(300)]
    (folder,) = (content / "exercises").glob("q01_*")
    write_tree(folder, {"starter/answer.py": "".join(lines)})
    source = _source(answer__py="".join(lines[::-1] * 16))
    start = time.monotonic()
    _page(Graded("q1", card(criterion("a")), source=source))
    assert time.monotonic() - start < 5


def test_answers_stand_beside_the_rubric() -> None:
    """Each prompt has its own; the prompt is told from what was written."""
    said = DISCUSSION.replace("at length.\n", "at length.\n\nBecause it adds.\n")
    document = _page(Graded("q1", card(criterion("a")), source=_source(DISCUSSION__md=said)))
    first, second = document.split('<div class="answer">')[1:]
    assert '<p class="quiet">1. Why? Say why at length.</p>' in first
    assert '<pre class="prose">Because it adds.</pre>' in first
    assert re.search(
        r"Why\?</h4>\s*<p class=\"label\">strong</p>.*simple.*weak.*magic", first, re.DOTALL
    )
    assert "No answer." not in first
    assert "No answer." in second
    assert "<li>other</li>" in second


def test_answers_without_the_prompts_stand_beside_the_whole_rubric() -> None:
    source = _source(DISCUSSION__md="All my own words.\n")
    document = _page(Graded("q1", card(criterion("a")), source=source))
    (only,) = document.split('<div class="answer">')[1:]
    for piece in ("All my own words.", "simple", "other"):
        assert piece in only


@pytest.mark.parametrize(
    "rubric",
    ["Why?: [simple]\n", "- simple\n", "Why?: {strong: simple, deep: {a: b}}\n", "- [simple]\n"],
)
def test_a_rubric_may_have_any_form(content: Path, rubric: str) -> None:
    (folder,) = (content / "solutions").glob("q01_*")
    write_tree(folder, {"rubric.yaml": rubric})
    assert "simple" in _page(Graded("q1", card(criterion("a")), source=_source()))


def test_an_exercise_that_is_gone_can_still_be_shown() -> None:
    gone = Graded("q99", card(criterion("a"), exercise="q99"), source={"a.py": "x = 1\n"})
    text = _text(_page(gone))
    assert "No rubric and no comparison with the starter" in text
    assert "x = 1" in text


def test_an_exercise_of_another_version_says_so() -> None:
    older = replace(card(criterion("a")), exercise_version=7)
    assert "Graded with version 7 of the exercise" in _text(_page(Graded("q1", older)))


def test_what_the_candidates_machine_says_is_marked_as_such() -> None:
    reported = {"begun_at": "2026-03-01T10:00:00Z", "edited": {"answer.py": "yesterday"}}
    text = _text(_page(Graded("q1", SAMPLES["mixed"]), reported=reported))
    told = text[text.index("Reported by the candidate's machine") :]
    assert "Nothing of this is verified" in told
    assert "begun_at 2026-03-01 10:00 UTC" in told
    assert "edited answer.py yesterday" in told


def test_whatever_was_reported_can_be_shown() -> None:
    deep: dict[str, object] = {}
    for _ in range(50_000):
        deep = {"x": deep}
    odd = {"deep": deep, "many": {str(n): n for n in range(5000)}, "big": 10**5000, "none": None}
    document = _page(Graded("q1", SAMPLES["mixed"]), reported=odd)
    assert len(document) < 200_000


def test_a_submission_that_could_not_be_read_has_a_page() -> None:
    document = pages.report(Result(received(problem="a.zip is no zip archive."), ()), BATCH)
    assert "Not graded. a.zip is no zip archive." in _text(document)


def test_an_exercise_without_scorecard_tells_why() -> None:
    text = _text(_page(Graded("q1", problem="answer.py is missing.")))
    assert "Not graded. answer.py is missing." in text


# ------------------------------------------------------------------ the batch


def test_the_best_candidate_comes_first_and_who_has_no_score_last() -> None:
    low, high = (
        result(n, card(criterion("a", points=p), criterion("b", State.FAILED, 100 - p)))
        for n, p in (("Low", 10), ("High", 90))
    )
    text = _text(_index(low, Result(received("Broken", problem="no zip"), ()), high))
    text = text[text.index("Candidates") :]
    assert text.index("High") < text.index("Low") < text.index("Broken")
    assert "no zip" in text


def test_a_row_has_scores_total_flags_and_a_link() -> None:
    one = result("Ada", card(criterion("a", points=60), criterion("b", State.FAILED, 40)))
    one = replace(one, received=replace(one.received, flags=("late by 3 min",), slug="ada-2"))
    one = replace(one, graded=(*one.graded, Graded("q3", problem="a file is missing")))
    document = _index(one)
    assert 'href="candidates/ada-2/report.html"' in document
    text = _text(document)
    for piece in ("60 \u2013 60 /200", "late by 3 min", "q3 not graded: a file is missing"):
        assert piece in text


@pytest.mark.parametrize("slug", ["../../etc", 'x" onclick="y', "a/b", "javascript:x", ""])
def test_an_odd_folder_is_no_link(slug: str) -> None:
    one = replace(result("Ada", card(criterion("a"))), received=received(slug=slug))
    assert not _Reader(_index(one)).values("href")


def test_a_score_with_points_in_doubt_is_marked() -> None:
    assert "8? 8 /100" in _text(_index(Result(received(), (Graded("q1", SAMPLES["mixed"]),))))


def test_the_statistics_stand_on_the_page() -> None:
    results = [
        result(f"c{n}", card(criterion("a", points=50), criterion("b", State.FAILED, 50)))
        for n in range(8)
    ]
    text = _text(_index(*results))
    assert "Nobody passes: It does b." in text
    assert "Everybody passes: It does a." in text
    assert "It does a a 50 100 % 8 of 8 +0.00 0.00 s" in text
    assert "Totals of 8 candidates: mean 50 %, median 50, middle half 50 to 50" in text


def test_isolation_and_self_test_stand_at_the_top_of_the_batch() -> None:
    text = _text(_index())
    assert text.index(LEVEL_A.sentence) < text.index("Candidates")
    assert "No candidate." in text


# ------------------------------------------------------------------ a real browser


class _Requests(http.server.BaseHTTPRequestHandler):
    """Notes what is asked for."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        body = b"document.title = 'owned'"
        self.send_response(200)
        self.send_header("Content-Type", "text/javascript")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def site() -> Iterator[tuple[str, list[str]]]:
    """A server of the candidate's: its address, and what was requested from it."""
    asked: list[str] = []
    handler = type("Handler", (_Requests,), {"asked": asked})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


def _opened(page: Path) -> str:
    """The document as it is after a browser has had it for a while."""
    command = [
        *(CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        *("--virtual-time-budget=3000", f"--user-data-dir={page.parent / 'profile'}"),
        *("--dump-dom", page.as_uri()),
    ]
    environment = {"HOME": str(page.parent), "PATH": os.environ["PATH"]}
    done = subprocess.run(command, capture_output=True, timeout=120, check=True, env=environment)
    return done.stdout.decode()


def _tags(document: str) -> list[str]:
    """The elements as a browser finds them."""
    found: list[str] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: found.append(tag)  # type: ignore[method-assign]
    parser.feed(document)
    return found


def _attack(site: str) -> str:
    """Everything that would run or load, once for each way in which it could."""
    act = f"document.title='owned';document.body.dataset.marker='ran';fetch('{site}/fetched')"
    return "\n".join(
        [
            f"<script>{act}</script>",
            f"<script src='{site}/script.js'></script>",
            f'"><svg onload="{act}"><image href="{site}/svg.png"/></svg>',
            f"<img src='{site}/img.png' onerror=\"{act}\">",
            f"<iframe src='{site}/frame' srcdoc='<script>{act}</script>'></iframe>",
            f"</style><style>@import '{site}/style.css'; body {{background: url({site}/bg.png)}}",
            f"</title><link rel=stylesheet href='{site}/link.css'>",
            f"<link rel=preload as=image href='{site}/preload'>",
            f"<meta http-equiv=refresh content='0;url={site}/refresh'>",
            f"<base href='{site}/'><object data='{site}/object'></object>",
            f"<video src='{site}/video' autoplay></video><audio src='{site}/audio'></audio>",
            f'</pre></dd></dl><details open ontoggle="{act}">',
            f"<form action='{site}/form'><button autofocus onfocus=\"{act}\">",
            f"javascript:{act}",
            "{{ 7*7 }} {% include 'report.css' %}",
        ]
    )


@pytest.mark.skipif(
    not CHROMIUM, reason="no Chromium here: chromium, chromium-browser, google-chrome"
)
@pytest.mark.parametrize("page", [_hostile_page, _hostile_index])
def test_a_browser_runs_and_requests_nothing(page, site, tmp_path: Path) -> None:
    """The browser has the document that was written, and the candidate's server hears nothing."""
    address, asked = site
    written = page(_attack(address))
    (tmp_path / "page.html").write_text(written, encoding="utf-8")
    opened = _opened(tmp_path / "page.html")
    assert asked == []
    assert "data-marker" not in re.sub(r">[^<]*<", "><", opened)
    assert re.findall(r"<title>(.*?)</title>", opened) == [
        *re.findall(r"<title>(.*?)</title>", written)
    ]
    assert _tags(opened) == _tags(written)


@pytest.mark.skipif(
    not CHROMIUM, reason="no Chromium here: chromium, chromium-browser, google-chrome"
)
@pytest.mark.parametrize("policy", [True, False])
def test_the_policy_holds_where_escaping_would_not(policy: bool, site, tmp_path: Path) -> None:
    """The attack put in unescaped is stopped by the policy, and does run where that is missing."""
    address, asked = site
    document = _page(Graded("q1", SAMPLES["mixed"])).replace("<main>", f"<main>{_attack(address)}")
    if not policy:
        document = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", document)
    document = re.sub(r"<meta http-equiv=refresh[^>]*>", "", document)  # a policy cannot forbid it
    (tmp_path / "page.html").write_text(document, encoding="utf-8")
    opened = _opened(tmp_path / "page.html")
    assert ("<title>owned</title>" in opened) is not policy
    assert bool(asked) is not policy
