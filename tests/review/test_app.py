"""The pages of a review over HTTP: showing, saving and rejecting."""

from __future__ import annotations

import asyncio
import csv
import fcntl
import io
import json
import re
import shutil
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from report.test_html import _Reader

httpx = pytest.importorskip("httpx")
pytest.importorskip("fastapi")

from review.samples import ROLES, make  # noqa: E402

from archprep.interview.results.results_folder import ResultsFolder  # noqa: E402
from archprep.review import app, batch_routes, submitted_files  # noqa: E402
from archprep.review.access import Access  # noqa: E402
from archprep.review.access_middleware import AccessMiddleware  # noqa: E402
from archprep.review.listing import ListQuery  # noqa: E402
from archprep.review.mark_store import MarkStore  # noqa: E402
from archprep.review.marks import MarkKind, Target  # noqa: E402
from archprep.review.results_reader import ResultsReader  # noqa: E402

ORDINARY, HOSTILE = ROLES["ordinary"], ROLES["hostile"]
FAILED = "patterns"  # a criterion of q1 that the ordinary candidate has lost
ADDRESS = "http://127.0.0.1:8765"


class Browser:
    """Sends requests like a browser, with the cookie and the form key."""

    def __init__(self, root: Path, reviewer: str = "Tess", access: Access | None = None) -> None:
        self.access = access or Access.new(8765)
        self.marks = MarkStore.open(root)
        self.reader = ResultsReader(root)
        made = app.create_app(self.reader, self.marks, self.access, reviewer)
        self._app = AccessMiddleware(made, self.access)
        self.cookies = {self.access.cookie: self.access.token}

    def _ask(self, ask: Callable[[httpx.AsyncClient], Awaitable[httpx.Response]]) -> httpx.Response:
        async def asked() -> httpx.Response:
            transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
            async with httpx.AsyncClient(
                transport=transport, base_url=ADDRESS, cookies=self.cookies
            ) as client:
                return await ask(client)

        return asyncio.run(asked())

    def get(self, address: str) -> httpx.Response:
        return self._ask(lambda client: client.get(address))

    def page(self, address: str) -> str:
        """The visible text on one line."""
        answer = self.get(address)
        assert answer.status_code == 200, answer.text
        return seen(answer.text)

    def post(self, address: str, *, headers: dict[str, str] | None = None, **data: object):
        data = {"key": self.access.form_key} | data
        origin = {"Origin": ADDRESS} | (headers or {})
        return self._ask(lambda client: client.post(address, data=data, headers=origin))

    def mark(self, kind: str = "override", version: int = 0, **changes: object) -> httpx.Response:
        """Save a mark for the ordinary candidate."""
        about: dict[str, object] = {"override": {"item": FAILED}, "answer": {"item": "2"}}.get(
            kind, {}
        )
        seen = {"version": version, "digest": self.reader.result(ORDINARY).received.digest}
        data = {"candidate": ORDINARY, "kind": kind, "exercise": "q1"} | seen
        return self.post("/marks", **(data | about | changes))


def seen(document: str) -> str:
    plain = re.sub(r"<(script|style)\b.*?</\1>|<[^>]*>", " ", document, flags=re.DOTALL)
    for entity, char in (("&#39;", "'"), ("&#34;", '"'), ("&lt;", "<"), ("&gt;", ">")):
        plain = plain.replace(entity, char)
    return " ".join(plain.replace("&amp;", "&").split())


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("samples") / "results")


@pytest.fixture
def root(samples: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(samples, tmp_path / "results"))


@pytest.fixture
def browser(root: Path) -> Iterator[Browser]:
    one = Browser(root)
    yield one
    one.marks.close()


# ------------------------------------------------------------------ pages


@pytest.mark.parametrize("role", ROLES)
def test_every_candidate_has_every_page(browser, role):
    """This holds for every state of a submission; each page has one first-level heading."""
    slug = ROLES[role]
    graded = browser.reader.result(slug).graded
    for page in ["", "/print", "/history", *(f"/{part.exercise}/source" for part in graded)]:
        answer = browser.get(f"/candidates/{slug}{page}")
        read = _Reader(answer.text)
        assert answer.status_code == 200, page
        assert read.tags.count("h1") == 1, page
        assert read.open == [], page


def test_the_list_has_all_candidates_with_their_problems(browser):
    """Flags and problems are shown with each candidate."""
    page = browser.page("/")
    assert "20 candidates" in page
    assert "late by 12 min" in page
    assert "quentin-dubois.zip is no zip archive" in page
    assert page.count("is damaged") == 2
    assert "not graded: not graded" not in page


def test_the_list_is_sorted_and_filtered_without_javascript(browser):
    """Sorting and filtering are parameters of the URL."""
    names = [row.result.received.name for row in browser.reader.rows()]
    page = browser.page("/?sort=name")
    places = [page.find(name) for name in sorted(names, key=str.casefold) if name.isascii()]
    assert [place for place in places if place > 0] == sorted(p for p in places if p > 0)
    late = browser.page("/?label=late")
    assert "Emeka Okafor" in late
    assert "Hanna Lindqvist" not in late
    assert "2 of 20 match" in late


def test_invalid_parameters_are_ignored(browser):
    """Users can type any URL."""
    assert browser.get("/?sort=%00&page=99999999999999999999&label=<script>").status_code == 200


def test_a_candidates_page_has_evidence_and_source(browser):
    """It has inputs, observations, excerpts, rubric, seed, isolation and self-test."""
    page = browser.page(f"/candidates/{ROLES['time-out']}")
    for said in (
        "Code",
        "Observed",
        "Isolation level A",
        "seed 471123",
        "read secret: blocked",
    ):
        assert said in page
    assert '<span class="hit">' in browser.get(f"/candidates/{ROLES['time-out']}").text


def test_earlier_gradings_are_listed(browser):
    """Each has a page, with source."""
    page = browser.page(f"/candidates/{ROLES['earlier']}")
    assert "Earlier gradings" in page
    assert "a different one" in page.split("Earlier gradings")[1]
    text = browser.get(f"/candidates/{ROLES['earlier']}").text
    links = re.findall(r'href="(/candidates/[^"]*/earlier/)(\d+)"', text)
    for folder, number in links:
        assert f"earlier grading {number}" in browser.page(f"{folder}{number}")
    folder, newest = links[0]
    for odd in (str(int(newest) + 1), "0", "-1", "x", "9" * 30):
        assert browser.get(f"{folder}{odd}").status_code in {400, 404}


def test_neighbours_follow_the_list(browser):
    """Next and previous keep the order and the filter."""
    text = browser.get(f"/candidates/{ROLES['late']}?label=late").text
    assert "1 of 2" in seen(text)
    assert f'rel="next" href="/candidates/{HOSTILE}?label=late"' in text


def test_source_is_shown_next_to_the_reference(browser):
    """Only files that differ from the starter are shown."""
    page = browser.page(f"/candidates/{ORDINARY}/q1/source?whole=1")
    assert "Reference" in page
    assert page.count("class Bus") == 2


def test_equal_lines_are_folded(browser):
    """The page shows their number and a link to show them."""
    text = browser.get(f"/candidates/{ORDINARY}/q1/source").text
    assert re.search(r"\d+ equal lines", text)
    assert "class Bus" not in seen(text)
    assert f'href="/candidates/{ORDINARY}/q1/source?whole=1"' in text


def test_source_is_shown_without_the_exercise(browser, monkeypatch, tmp_path):
    """A results folder may be older than the installed exercises."""
    submitted_files.material.cache_clear()
    submitted_files.reference.cache_clear()
    monkeypatch.setenv("ARCHPREP_CONTENT", str(tmp_path / "none"))
    try:
        for page in ("", "/print", "/q1/source"):
            assert "class Bus" in browser.page(f"/candidates/{ORDINARY}{page}")
    finally:
        submitted_files.material.cache_clear()
        submitted_files.reference.cache_clear()


def test_two_candidates_are_compared(browser):
    """Criteria, discussion and source are side by side."""
    page = browser.page(f"/compare?a={ORDINARY}&b={ROLES['best']}&exercise=q1&whole=1")
    assert "Bruno Keller and Hanna Lindqvist" in page
    assert page.count("class Bus") == 2


def test_an_ungraded_candidate_can_be_compared(browser, root):
    """It may be on either side."""
    (root / "candidates" / ORDINARY / "parts" / "q1.json").unlink()
    for pair in (f"a={ORDINARY}&b={ROLES['best']}", f"b={ORDINARY}&a={ROLES['best']}"):
        page = browser.page(f"/compare?{pair}&exercise=q1")
        assert "Bruno Keller: not graded." in page
        assert "Hanna Lindqvist: not graded." not in page


@pytest.mark.parametrize("query", ["", "?a=", f"?a={ORDINARY}", f"?a={ORDINARY}&b={ORDINARY}"])
def test_comparing_needs_two_candidates(browser, query):
    """Otherwise the page is a form."""
    assert "Compare two candidates" in browser.page(f"/compare{query}")


def test_candidates_without_common_exercises_cannot_be_compared(browser):
    """The page says so."""
    page = browser.page(f"/compare?a={ORDINARY}&b={ROLES['unreadable']}")
    assert "Quentin Dubois has not been graded." in page


def test_candidates_are_found_by_slug_or_name(browser):
    """Unknown names are reported."""
    assert "Bruno Keller and Olga Schmidt" in browser.page(
        "/compare?a=bruno%20keller&b=Olga Schmidt"
    )
    page = browser.page(f"/compare?a={ORDINARY}&b=Nobody<b>")
    assert "No candidate is named “Nobody<b>”" in page


def test_only_the_first_two_selected_candidates_are_compared(browser):
    """The page says so."""
    slugs = [ROLES[role] for role in ("best", "ordinary", "late")]
    page = browser.page("/compare?" + "&".join(f"c={slug}" for slug in slugs))
    assert "Hanna Lindqvist and Bruno Keller" in page
    assert "the first two that you selected" in page


def test_statistics_have_charts(browser):
    """The charts have a policy of their own."""
    read = _Reader(browser.get("/statistics").text)
    images = [src for src in read.values("src") if src and src.endswith(".svg")]
    assert "/charts/distribution.svg" in images
    assert len(images) >= 5
    for image in images:
        answer = browser.get(image)
        assert answer.headers["content-type"] == "image/svg+xml"
        assert "script-src" not in answer.headers["content-security-policy"]
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert len(read.values("alt")) == len(images)


@pytest.mark.parametrize(
    "address",
    [
        "/nosuch",
        "/candidates/nobody",
        "/candidates/nobody/print",
        "/candidates/nobody/history",
        "/candidates/nobody/final.json",
        "/candidates/..%2f..%2fbatch.json",
        f"/candidates/{'a' * 3000}",
        f"/candidates/{ORDINARY}/q99/source",
        f"/candidates/{ORDINARY}/..%2f..%2fparts/source",
        "/charts/q1/nosuch.svg",
        "/charts/q99/shares.svg",
        "/static/..%2freport.css",
        "/static/interview_report.html.j2",
        "/export/review.sqlite3",
        "/openapi.json",
        "/docs",
    ],
)
def test_an_unknown_url_is_a_page_with_status_404(browser, address):
    """The documentation of FastAPI is not served, either."""
    answer = browser.get(address)
    assert answer.status_code == 404
    assert "This page does not exist" in answer.text


def test_pages_load_only_files_of_the_review(browser):
    """The policy applies to every page."""
    answer = browser.get(f"/candidates/{ORDINARY}")
    read = _Reader(answer.text)
    assert set(read.values("src")) == {"/static/review.js"}
    assert "'unsafe" not in answer.headers["content-security-policy"]
    for name in ("review.css", "review.js", "icon.svg"):
        assert browser.get(f"/static/{name}").status_code == 200
    assert all(href is None or href[0] in "/#" for href in read.values("href"))


@pytest.mark.parametrize("page", ["", "/print", "/history", "/q1/source", "compare", "list"])
def test_text_of_candidates_is_escaped(browser, page):
    """No page has an element, handler, style or link of theirs."""
    for target in (Target(HOSTILE, MarkKind.COMMENT), Target(HOSTILE, MarkKind.COMMENT, "q1")):
        text = "<script>alert(1)</script> \u202e\x1b[31m"
        given = {"points": None, "version": 0, "digest": "", "automatic": None, "who": "<b>x"}
        browser.marks.save(target, text=text, **given)
    address = {"compare": f"/compare?a={HOSTILE}&b={ORDINARY}", "list": "/"}.get(
        page, f"/candidates/{HOSTILE}{page}"
    )
    text = browser.get(address).text
    read = _Reader(text)
    assert read.tags.count("script") == 1
    assert not {"iframe", "object", "base", "style", "b"} & (set(read.tags) - {"b"})
    assert not [name for name, _ in read.attributes if name.startswith("on") or name == "style"]
    assert all(href is None or href[0] in "/#" for href in read.values("href"))
    assert set(read.values("action")) <= {"/", "/marks", "/undo", "/reviewer", "/compare"}
    assert "\u202e" not in text
    assert "\x1b" not in text


# ------------------------------------------------------------------ marks


def test_a_saved_mark_is_shown_with_reviewer_and_time(browser, root):
    """It is on disk as well."""
    answer = browser.mark("answer", points="3", text="Names the price.\r\nTwice.", back="e1-a2")
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/candidates/{ORDINARY}#e1-a2"
    page = browser.page(f"/candidates/{ORDINARY}")
    assert "Names the price. Twice." in page
    assert "Tess, 20" in page
    with MarkStore.open(root) as later:
        (mark,) = later.current()
    assert (mark.points, mark.text, mark.who) == (3, "Names the price.\nTwice.", "Tess")


def test_an_override_is_shown_with_the_automatic_points(browser):
    """On the candidate's page, the print view and the list."""
    before = browser.reader.result(ORDINARY).score
    browser.mark(points="3", text="It asks for less than the brief does.")
    page = browser.page(f"/candidates/{ORDINARY}")
    assert "3 instead of 0 points, by Tess" in page
    assert "It asks for less than the brief does." in page
    assert f"{before} {before + 3} /200" in page
    assert f"{before} {before + 3} /200" in browser.page("/")
    card = browser.reader.result(ORDINARY).graded[0].scorecard
    assert f" {card.score} {card.score + 3} " in browser.page("/")  # the column of the exercise
    assert "1 mark " in browser.page("/")
    assert "overrides" in browser.page(f"/candidates/{ORDINARY}/print")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"points": "3", "text": "  "}, "needs a reason"),
        ({"points": "", "text": "why"}, "Enter the points"),
        ({"points": "4", "text": "why"}, "from 0 to 3"),
        ({"points": "-1", "text": "why"}, "from 0 to 3"),
        ({"points": "2.5", "text": "why"}, "from 0 to 3"),
        ({"points": "\u0664", "text": "why"}, "from 0 to 3"),
        ({"points": "9" * 30, "text": "why"}, "from 0 to 3"),
        ({"points": "3", "text": "x" * 20_001}, "20,000"),
    ],
)
def test_an_invalid_mark_is_shown_again(browser, changes, says):
    """Nothing is saved, and nothing that was typed is lost."""
    answer = browser.mark(**changes)
    assert answer.status_code == 422
    assert says in seen(answer.text)
    assert changes["text"].strip() in answer.text
    assert not browser.marks.current()


def test_a_conflict_shows_both_versions(browser):
    """Saving again from that page works."""
    browser.mark("comment", text="The first.")
    answer = browser.mark("comment", text="The second.")
    page = seen(answer.text)
    assert answer.status_code == 409
    assert "The first." in page
    assert "The second." in page
    assert [mark.text for mark in browser.marks.current()] == ["The first."]
    (version,) = re.findall(r'name="version" value="(\d+)"', answer.text)
    assert browser.mark("comment", text="The second.", version=version).status_code == 303
    assert [mark.text for mark in browser.marks.current()] == ["The second."]


def test_two_reviews_of_one_folder_lose_no_mark(browser, root):
    """The second one has its own port and token; the database decides."""
    other = Browser(root, "Tom", Access.new(8766 - 1))
    browser.mark("comment", text="From Tess.")
    assert other.mark("comment", text="From Tom.").status_code == 409
    assert "From Tess." in other.page(f"/candidates/{ORDINARY}")
    other.marks.close()


def test_a_script_gets_the_new_version(browser):
    """The next request needs it."""
    headers = {"X-Requested-With": "archprep"}
    answer = browser.mark("comment", text="One.", headers=headers)
    assert answer.json() == {"version": 1, "message": "Saved by Tess"}
    assert browser.mark("comment", text="Two.", version=1, headers=headers).json()["version"] == 2
    assert browser.mark("comment", text="Three.", version=1, headers=headers).status_code == 409


def test_an_override_can_be_removed(browser):
    """The automatic points count again."""
    before = browser.reader.result(ORDINARY).score
    browser.mark(points="3", text="why")
    browser.mark(version=1, remove="1")
    assert f"{before} /200" in browser.page(f"/candidates/{ORDINARY}")
    assert not browser.marks.current()


def test_every_change_can_be_undone(browser):
    """All changes stay in the history."""
    browser.mark("comment", text="The first.")
    browser.mark("comment", text="The second.", version=1)
    history = browser.get(f"/candidates/{ORDINARY}/history").text
    (number,) = re.findall(r'name="number" value="(\d+)"', history)  # the newest only
    assert browser.post("/undo", candidate=ORDINARY, number=number).status_code == 303
    page = browser.page(f"/candidates/{ORDINARY}/history")
    assert page.count("The second.") == 2  # as what came, and as what was undone
    assert "undid an earlier change" in page
    assert browser.post("/undo", candidate=ORDINARY, number=number).status_code == 409
    assert [mark.text for mark in browser.marks.current()] == ["The first."]


def test_the_history_is_complete(browser):
    """The last row of the table is the first change, however many there are."""
    for version in range(205):
        browser.marks.save(
            Target(ORDINARY, MarkKind.COMMENT),
            version=version,
            text=f"No. {version}.",
            points=None,
            digest="",
            automatic=None,
            who="Tess",
        )
    page = browser.page(f"/candidates/{ORDINARY}/history")
    assert page.count("The candidate as a whole") == 206  # with that of the button
    assert page.endswith("nothing No. 0.")


@pytest.mark.parametrize(
    "page", [f"/candidates/{ORDINARY}", f"/candidates/{ORDINARY}/print", "/compare"]
)
def test_an_outdated_mark_of_an_answer_says_so(browser, root, page):
    """On every page that shows it."""
    address = f"/compare?a={ORDINARY}&b={ROLES['best']}" if page == "/compare" else page
    browser.mark("answer", points="3", text="Of the first.")
    assert "another submission" not in browser.page(address)
    hand_in_again(root)
    assert "Outdated: given for another submission" in browser.page(address)


@pytest.mark.parametrize("number", ["0", "9" * 40, "7"])
def test_an_unknown_change_cannot_be_undone(browser, number):
    assert browser.post("/undo", candidate=ORDINARY, number=number).status_code == 400


@pytest.mark.parametrize("number", ["-1", "x", "", "9" * 41, "1e3"])
def test_an_invalid_number_cannot_be_undone(browser, number):
    """The form is rejected."""
    assert browser.post("/undo", candidate=ORDINARY, number=number).status_code == 400


@pytest.mark.parametrize(
    "changes",
    [
        {"candidate": "nobody"},
        {"candidate": "../../etc"},
        {"exercise": "q99"},
        {"exercise": ""},
        {"item": "no-such-criterion"},
        {"kind": "answer", "item": "99"},
        {"kind": "comment", "item": "1"},
    ],
)
def test_a_mark_for_an_unknown_target_is_refused(browser, changes):
    """The response is 404."""
    about = {"points": "1", "text": "why"} | changes
    assert browser.mark(about.pop("kind", "override"), **about).status_code == 404
    assert not browser.marks.current()


@pytest.mark.parametrize(
    "changes",
    [
        {"version": -1},
        {"version": 10**30},
        {"version": "x"},
        {"candidate": "a" * 300},
        {"back": '"><script>'},
        {"back": "//evil.example"},
        {"kind": "nosuch"},
    ],
)
def test_an_invalid_form_is_refused(browser, changes):
    """Nothing is saved."""
    kind = changes.pop("kind", "override")
    assert browser.mark(kind, points="1", text="why", **changes).status_code in {400, 404}
    assert not browser.marks.current()


@pytest.mark.parametrize("key", ["", "wrong", "\u00e9", "x" * 200])
def test_a_form_without_the_key_is_refused(browser, key):
    """Another site can make a browser send a form, but does not know the key."""
    assert browser.mark(points="1", text="why", key=key).status_code == 403
    assert browser.post("/undo", candidate=ORDINARY, number="1", key=key).status_code == 403
    assert browser.post("/reviewer", name="Eve", key=key).status_code == 403
    assert not browser.marks.current()


def test_the_redirect_stays_on_this_site(browser):
    """The form cannot name another host."""
    answer = browser.mark("comment", text="x", query="?sort=name&page=2&evil=//e.example\r\nX: y")
    assert answer.headers["location"] == f"/candidates/{ORDINARY}?sort=name&page=2"


def hand_in_again(root: Path) -> None:
    """Give the ordinary candidate another submission with the same results."""
    folder = ResultsFolder(root)
    received = folder.received(ORDINARY)
    graded = [folder.graded(ORDINARY, part.exercise) for part in received.exercises]
    folder.receive(replace(received, digest="0" * 64))
    for part in graded:
        folder.save(ORDINARY, "0" * 64, part)


@pytest.mark.parametrize("kind", ["override", "answer"])
def test_a_mark_for_an_unseen_submission_is_refused(browser, root, kind):
    """It was graded after the page was opened. The typed mark is shown again and can be saved."""
    opened = browser.reader.result(ORDINARY).received.digest
    hand_in_again(root)
    answer = browser.mark(kind, points="3", text="From the page before.", digest=opened)
    assert answer.status_code == 422
    assert "changed after you opened the page" in seen(answer.text)
    assert "From the page before." in answer.text
    assert not browser.marks.current()
    (digest,) = re.findall(r'name="digest" value="(\w*)"', answer.text)
    assert browser.mark(kind, points="3", text="Still.", digest=digest).status_code == 303


def test_a_comment_is_saved_for_any_submission(browser):
    """It is about the candidate."""
    assert browser.mark("comment", text="MarkKind.", digest="of before").status_code == 303


def test_a_mark_can_be_saved_with_the_longest_filter(browser):
    """Each character takes up to twelve in a URL."""
    query = ListQuery(text="\U0001f600" * 200).string()
    answer = browser.mark("comment", text="MarkKind.", query=query)
    assert answer.headers["location"] == f"/candidates/{ORDINARY}{query}"


def test_marks_of_an_earlier_submission_do_not_count(browser, root):
    """The page says that there are outdated marks."""
    browser.mark(points="3", text="why")
    hand_in_again(root)
    page = browser.page(f"/candidates/{ORDINARY}")
    assert "1 mark is outdated" in page
    assert "instead of 0 points" not in page
    history = browser.page(f"/candidates/{ORDINARY}/history")
    assert "Outdated: what it was given for has changed." in history
    assert "1 mark " not in browser.page("/")
    assert "Bruno Keller" in browser.page("/?marked=no")


def test_an_override_out_of_range_is_not_counted(browser):
    """Neither in the points nor in the list; the page says so."""
    given = {"version": 0, "automatic": 4, "who": "Tess", "points": 99, "text": "half fine"}
    digest = browser.reader.result(ORDINARY).received.digest
    browser.marks.save(Target(ORDINARY, MarkKind.OVERRIDE, "q1", FAILED), digest=digest, **given)
    page = browser.page(f"/candidates/{ORDINARY}")
    assert (
        "gave 99 points for a submission or grader that has changed. "
        "This override does not count: half" in page
    )
    assert "1 mark " not in browser.page("/")
    assert "del>" not in browser.get("/").text


def test_each_browser_has_its_own_reviewer_name(browser):
    """The name is kept in a cookie."""
    answer = browser.post("/reviewer", name="Zo\u00eb <b>\u202e\nX")
    assert answer.status_code == 303
    assert "httponly" in answer.headers["set-cookie"].lower()
    (cookie,) = answer.cookies.jar
    browser.cookies[cookie.name] = cookie.value or ""
    browser.mark("comment", text="x")
    assert browser.marks.current()[0].who == "Zo\u00eb <b> X"
    assert "Reviewing as Zo\u00eb <b> X" in browser.page("/")


def test_a_read_only_review_has_no_forms(browser, monkeypatch):
    """Reading works, and each page shows the reason."""
    browser.mark(points="3", text="because of the brief")
    monkeypatch.setattr(
        MarkStore, "read_only_reason", property(lambda _: "the folder is read-only.")
    )
    answer = browser.get(f"/candidates/{ORDINARY}")
    assert "/marks" not in _Reader(answer.text).values("action")
    assert "Marks cannot be saved. the folder is read-only." in seen(answer.text)
    assert "because of the brief" in answer.text
    history = browser.get(f"/candidates/{ORDINARY}/history").text
    assert "/undo" not in _Reader(history).values("action")


# ------------------------------------------------------------------ a folder that changes


def test_the_list_reloads_during_grading(browser, root):
    """It shows how many candidates are done."""
    with (root / "lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        text = browser.get("/").text
        assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in text
        assert "Grading is in progress: 19 of 20 candidates are done." in seen(text)
        assert "being-graded" in text
    assert 'http-equiv="refresh"' not in browser.get("/").text


def test_new_results_are_shown(browser, root):
    """The review does not need a restart."""
    folder = ResultsFolder(root)
    received = folder.received(ROLES["waiting"])
    assert "q3 not graded: `archprep grade` has not graded it yet" in browser.page("/")
    graded = folder.graded(ORDINARY, "q3")
    folder.save(received.slug, received.digest, graded)
    (row,) = (row for row in browser.reader.rows() if row.slug == received.slug)
    assert "waiting" not in row.labels
    assert "Rate limiting" in browser.page(f"/candidates/{received.slug}")


HALF = "\ud800"  # of a character: it can be read from JSON, and not be sent
CARD = ("graded", "scorecard")


@pytest.mark.parametrize(
    ("file", "place", "value"),
    [
        ("candidate.json", ("kit", "minutes"), HALF),
        ("candidate.json", ("flags",), HALF),
        ("candidate.json", ("digest",), HALF),
        ("parts/q1.json", (*CARD, "criteria", 0, "id"), HALF),
        ("parts/q1.json", ("graded", "source", "eventbus.py"), [None]),
        ("parts/q1.json", ("graded", "source", "eventbus.py"), HALF),
    ],
)
def test_damaged_files_do_not_break_pages(browser, root, file, place, value):
    """Any value in a file may be wrong."""
    path = root / "candidates" / ORDINARY / file
    data = json.loads(path.read_text())
    within = data
    for key in place[:-1]:
        within = within[key]
    within[place[-1]] = value
    path.write_text(json.dumps(data))
    for page in ("/", f"/candidates/{ORDINARY}", f"/candidates/{ORDINARY}/print", "/statistics"):
        assert browser.get(page).status_code == 200, page


# ------------------------------------------------------------------ exports


def test_the_csv_separates_automatic_and_final_points(browser):
    """It is a download."""
    browser.mark(points="3", text="why")
    answer = browser.get("/export/marks.csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="marks.csv"'
    rows = {row["candidate"]: row for row in csv.DictReader(io.StringIO(answer.text))}
    row = rows["Bruno Keller"]
    assert int(row["final"]) == int(row["automatic"]) + 3
    assert len(rows) == 20


def test_the_exports_agree(browser):
    """JSON for all candidates contains the same as JSON for one."""
    browser.mark(points="3", text="why")
    document = json.loads(browser.get("/export/marks.json").text)
    one = json.loads(browser.get(f"/candidates/{ORDINARY}/final.json").text)
    assert len(document["candidates"]) == 20
    assert one["final"] == one["automatic"] + 3
    assert {**one, "format": 1, "batch": one["batch"]}.items() >= next(
        found for found in document["candidates"] if found["folder"] == ORDINARY
    ).items()


def test_an_internal_error_is_a_page(browser, monkeypatch, capsys):
    """Details are in a file; the page has no traceback."""
    monkeypatch.setattr(batch_routes.pages, "batch_context", lambda _: 1 / 0)
    answer = browser.get("/")
    assert answer.status_code == 500
    assert "archprep itself failed" in answer.text
    assert "Traceback" not in answer.text
    assert "ZeroDivisionError" in capsys.readouterr().err
