"""A review in a real browser: the workflow of a reviewer, and attacks by candidates.

The command is started for real, and the system's Chromium opens the address that it prints.
Pictures of the pages go to `screenshots/` in the checkout: look at them.
"""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from review.samples import HOSTILE, ROLES, make

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")

AUDIT = Path(__file__).with_name("audit.js").read_text()
PICTURES = Path(__file__).parents[2] / "screenshots"
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
SCHEMES = ("light", "dark")
ORDINARY, HOST = ROLES["ordinary"], "http://127.0.0.1:"
_TOP, _TALLEST = {"x": 0, "y": 0}, 2_400  # of a screenshot, in pixels
_SECONDS = 15_000  # milliseconds


# ------------------------------------------------------------------ the command and the browser


@dataclass
class Review:
    """A review that is being served."""

    root: Path
    address: str  # with the token

    @property
    def origin(self) -> str:
        return self.address.partition("/?")[0]


@pytest.fixture(scope="module")
def review(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Review]:
    """The samples, served by the command."""
    root = make(tmp_path_factory.mktemp("review") / "results")
    command = [sys.executable, "-m", "archprep", "review", str(root), "--as", "Ada"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            lines = iter(process.stdout.readline, "")
            yield Review(root, next(line.strip() for line in lines if HOST in line))
        finally:
            process.send_signal(signal.SIGINT)
            last, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "All marks are saved" in last


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """The system's browser; its own sandbox does not work for root."""
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with playwright.sync_playwright() as run:
        browser = run.chromium.launch(executable_path=BROWSER, args=options)
        yield browser
        browser.close()


@dataclass
class Watch:
    """What pages have requested, logged and asked."""

    origin: str
    asked: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)

    def over(self, context: Any) -> None:
        """Record everything."""
        context.on("request", lambda request: self.asked.append(request.url))
        context.on("console", lambda message: self.said.append(message.text))
        context.on("weberror", lambda error: self.said.append(str(error.error)))
        context.on("dialog", self._dismiss)

    def _dismiss(self, dialog: Any) -> None:
        if dialog.type == "beforeunload":  # the browser's question, requested by review.js
            dialog.accept()
            return
        self.opened.append(dialog.message)
        dialog.dismiss()

    def assert_quiet(self) -> None:
        """No requests to other hosts, no dialogs and no console errors."""
        assert not [url for url in self.asked if not url.startswith(f"{self.origin}/")]
        assert not self.opened
        # That a page has one of these states is told there, too: they are meant to come.
        assert not [text for text in self.said if not re.search(r"status of 4(03|04|09|22) ", text)]


Open = Callable[..., Any]


@pytest.fixture
def opened(review: Review, chromium: Any) -> Iterator[Open]:
    """Open the review with the printed URL; each call is another reviewer."""
    contexts = []
    watch = Watch(review.origin)

    def open_(path: str = "/", **options: Any) -> Any:
        context = chromium.new_context(**{"viewport": DESK, "reduced_motion": "reduce", **options})
        contexts.append(context)
        context.set_default_timeout(_SECONDS)
        watch.over(context)
        page = context.new_page()
        page.goto(review.address)
        assert page.url == f"{review.origin}/"  # the token is not in the browser history
        if path != "/":
            page.goto(review.origin + path)
        return page

    yield open_
    for context in contexts:
        context.close()
    watch.assert_quiet()


def rows(page: Any) -> list[str]:
    """The names in the list, from the top."""
    found: list[str] = page.get_by_role("rowheader").get_by_role("link").all_inner_texts()
    return found


def criterion(page: Any, identifier: str) -> Any:
    """A criterion on a candidate's page."""
    return page.get_by_role("article").filter(has=page.get_by_text(identifier, exact=True)).first


def saved(field: Any) -> None:
    """Wait until the form of a field is saved."""
    form = field.locator("xpath=ancestor::form")
    playwright.expect(form.get_by_role("status")).to_contain_text("Saved by")


def downloaded(page: Any, link: str) -> str:
    with page.expect_download() as coming:
        page.get_by_role("link", name=link, exact=True).click()
    return Path(coming.value.path()).read_text()


# ------------------------------------------------------------------ the workflow


@dataclass
class Trip:
    """The candidate of a workflow, and the override."""

    slug: str
    name: str
    criterion: str
    points: int
    automatic: int = 0  # read from the page: exercises change


TRIPS = {
    True: Trip(ORDINARY, "Bruno Keller", "patterns", 3),
    False: Trip(ROLES["earlier"], "Noah Weiss", "priority", 2),
}
QUESTION = "Event sourcing or event-driven?"


@pytest.mark.parametrize("script", [True, False], ids=["with scripts", "without scripts"])
def test_the_workflow_of_a_reviewer(opened: Open, *, script: bool) -> None:
    """List, mark, override, comment, undo, exports and print view."""
    trip = replace(TRIPS[script])
    page = opened(java_script_enabled=script)
    _find(page, trip)
    trip.automatic = int(page.locator("h1 + .score").inner_text().partition("/")[0])
    _mark(page, script=script)
    _override(page, trip)
    _comment(page, script=script)
    _export(page, trip)
    _undo(page, trip)
    _print(page, trip)


def _find(page: Any, trip: Trip) -> None:
    playwright.expect(page.get_by_role("heading", level=1)).to_have_text("Interviews")
    page.get_by_role("columnheader", name="Candidate").get_by_role("link").click()
    names = rows(page)
    assert names[:2] == ["Amira Haddad", "Bruno Keller"] or names[0].startswith("</h1>")
    page.get_by_role("columnheader", name="Total").get_by_role("link").click()
    assert rows(page)[0] == "Hanna Lindqvist"
    page.get_by_label("Flag", exact=True).select_option("time-out")
    page.get_by_role("button", name="Filter").click()
    assert rows(page) == ["Ivan Petrov"]
    page.get_by_role("link", name="Show all").click()
    page.get_by_label("Name, flag or problem").fill(trip.name.split()[1].lower())
    page.get_by_role("button", name="Filter").click()
    page.get_by_role("link", name=trip.name, exact=True).click()
    playwright.expect(page.get_by_role("heading", level=1)).to_have_text(trip.name)


def _save(page: Any, field: Any) -> None:
    """Save a field by its button, and wait for the page that the server answers with."""
    with page.expect_navigation():
        field.locator("xpath=ancestor::form").get_by_role("button", name="Save").click()


def _mark(page: Any, *, script: bool) -> None:
    """Mark an answer; with scripts it is saved when it changes."""
    field = page.get_by_label(f"Mark for “{QUESTION}”")
    field.select_option("3")
    if script:
        saved(field)
    else:
        _save(page, field)
    page.reload()
    playwright.expect(field).to_have_value("3")


def _override(page: Any, trip: Trip) -> None:
    """Without a reason it is rejected, and what was typed is kept."""
    box = criterion(page, trip.criterion)
    box.locator("summary").click()
    box.get_by_label(re.compile("^Points")).fill(str(trip.points))
    box.get_by_label("Reason (required)").fill("  ")  # the browser rejects an empty one
    box.get_by_role("button", name="Save override").click()
    playwright.expect(page.get_by_role("heading", level=1)).to_have_text("Your mark was not saved")
    playwright.expect(page.get_by_role("alert")).to_contain_text("needs a reason")
    playwright.expect(page.get_by_label(re.compile("^Points"))).to_have_value(str(trip.points))
    page.get_by_label("Reason (required)").fill("Said in the interview how it should be")
    page.get_by_role("button", name="Save").click()
    playwright.expect(page.get_by_role("heading", level=1)).to_have_text(trip.name)
    playwright.expect(criterion(page, trip.criterion)).to_contain_text(
        f"{trip.points} instead of 0 points, by Ada"
    )
    total = page.locator("h1 + .score")
    playwright.expect(total.locator("del")).to_have_text(str(trip.automatic))
    playwright.expect(total.locator("ins")).to_have_text(str(trip.automatic + trip.points))


def _comment(page: Any, *, script: bool) -> None:
    field = page.get_by_label("Visible to everyone who reads the result", exact=True)
    field.fill("Strong on failure,\nshould read up on brokers")
    if script:
        field.blur()
        saved(field)
    else:
        _save(page, field)
    page.reload()
    playwright.expect(field).to_have_value("Strong on failure,\nshould read up on brokers")


def _export(page: Any, trip: Trip) -> None:
    """Both formats separate automatic and final points."""
    table = csv.DictReader(downloaded(page, "CSV").splitlines())
    row = next(row for row in table if row["folder"] == trip.slug)
    final = trip.automatic + trip.points
    assert (row["automatic"], row["final"], row["overrides"]) == (
        f"{trip.automatic}",
        f"{final}",
        "1",
    )
    assert (row["q1_answers_sum"], row["q1_answers_marked"]) == ("3", "1")
    assert "Strong on failure" in row["comment"]
    candidates = json.loads(downloaded(page, "JSON"))["candidates"]
    found = next(one for one in candidates if one["folder"] == trip.slug)
    assert (found["automatic"], found["final"]) == (trip.automatic, final)
    one = next(c for c in found["exercises"][0]["criteria"] if c["id"] == trip.criterion)
    assert one["override"]["reason"] == "Said in the interview how it should be"
    assert one["override"]["who"] == "Ada"


def _undo(page: Any, trip: Trip) -> None:
    """The override is undone, and the history still has it."""
    page.get_by_role("link", name="Mark history").click()
    undo = page.get_by_role("button", name=re.compile("^Undo q1: "))
    before = page.get_by_role("row").count()
    undo.click()
    playwright.expect(page.get_by_role("row")).to_have_count(before + 1)
    playwright.expect(page.get_by_text("undid an earlier change")).to_be_visible()
    page.get_by_role("link", name=trip.name).click()
    playwright.expect(page.locator("h1 + .score")).to_contain_text(f"{trip.automatic}/200")
    playwright.expect(criterion(page, trip.criterion)).not_to_contain_text("instead of")


def _print(page: Any, trip: Trip) -> None:
    """It has all marks, and the printed page has no navigation."""
    page.get_by_role("link", name="Print view").click()
    playwright.expect(page.get_by_role("heading", level=1)).to_have_text(trip.name)
    playwright.expect(page.get_by_text(re.compile("^3 . good"))).to_be_visible()
    playwright.expect(page.get_by_text("Strong on failure,")).to_be_visible()
    page.emulate_media(media="print")
    playwright.expect(page.get_by_role("navigation", name="Review")).to_be_hidden()
    breaks = "(el) => getComputedStyle(el).breakBefore"
    assert [section.evaluate(breaks) for section in page.get_by_role("region").all()][1:] == (
        ["page"] * (page.get_by_role("region").count() - 1)
    )


# ------------------------------------------------------------------ two reviewers


def test_a_conflict_is_shown_to_the_slower_reviewer(opened: Open) -> None:
    """Both versions are shown, and only a decision replaces one."""
    ada, grace = (opened(f"/candidates/{ROLES['best']}") for _ in range(2))
    grace.get_by_text("Reviewing as Ada").click()
    grace.get_by_label("Your name").fill("Grace")
    grace.get_by_role("button", name="Change").click()
    grace.goto(ada.url)
    playwright.expect(grace.get_by_text("Reviewing as Grace")).to_be_visible()
    label = f"Comment on “{QUESTION}”"
    for page, text in ((ada, "Ada: clear"), (grace, "Grace: names the price of it")):
        page.get_by_label(label).fill(text)
        page.get_by_label(label).blur()
        if page is ada:
            saved(page.get_by_label(label))
    playwright.expect(grace.get_by_role("heading", level=1)).to_have_text("Conflicting change")
    playwright.expect(grace.get_by_text("Ada: clear")).to_be_visible()
    playwright.expect(grace.get_by_label("Comment", exact=True)).to_have_value(
        "Grace: names the price of it"
    )
    _pictures(grace, "conflict")
    assert not grace.evaluate(AUDIT)
    grace.get_by_role("button", name="Save my version").click()
    playwright.expect(grace.get_by_label(label)).to_have_value("Grace: names the price of it")
    grace.get_by_role("link", name="Mark history").click()
    for text in ("Ada: clear", "Grace: names the price of it"):
        playwright.expect(grace.get_by_text(text).first).to_be_visible()


# ------------------------------------------------------------------ saving and leaving

REMARK = "Visible to everyone who reads the result"


def typed(page: Any, text: str) -> Any:
    """Type a comment on the candidate and keep the focus in the field."""
    field = page.get_by_label(REMARK, exact=True)
    field.click()
    field.press("ControlOrMeta+A")
    field.press_sequentially(text)
    return field


def test_navigating_immediately_saves_the_text(opened: Open) -> None:
    """Navigation waits for the request."""
    page = opened(f"/candidates/{ROLES['late']}")
    address = page.url
    typed(page, "Written and left at once.")
    page.route("**/marks", lambda route: (page.wait_for_timeout(300), route.continue_()))
    page.get_by_role("link", name="Print view").click()
    playwright.expect(page.get_by_text("Written and left at once.")).to_be_visible()
    assert page.url == f"{address}/print"


def test_navigating_immediately_shows_a_rejected_mark(opened: Open) -> None:
    """The conflict page appears instead of the link's target."""
    page, other = (opened(f"/candidates/{ROLES['weaker isolation']}") for _ in range(2))
    typed(other, "Of now.").blur()
    saved(other.get_by_label(REMARK, exact=True))
    typed(page, "Of before.")
    page.route("**/marks", lambda route: (page.wait_for_timeout(300), route.continue_()))
    page.get_by_role("link", name="Print view").click()
    playwright.expect(page.get_by_role("heading", level=1)).to_have_text("Conflicting change")
    playwright.expect(page.get_by_label("Comment", exact=True)).to_have_value("Of before.")


def test_leaving_while_typing_asks_and_saves(opened: Open) -> None:
    """The browser asks first, and the text is there after reloading."""
    page = opened(f"/candidates/{ROLES['import error']}")
    typed(page, "In the middle of")
    with page.expect_event("dialog") as asked:
        page.reload()
    assert asked.value.type == "beforeunload"
    playwright.expect(page.get_by_label(REMARK, exact=True)).to_have_value("In the middle of")


def test_text_typed_during_a_save_is_saved_next(opened: Open) -> None:
    """Requests of one form are sequential."""
    page = opened(f"/candidates/{ROLES['one missing']}")
    page.route("**/marks", lambda route: (page.wait_for_timeout(300), route.continue_()))
    typed(page, "First.").blur()
    with page.expect_response(lambda answer: "Second" in (answer.request.post_data or "")):
        typed(page, "Second.").blur()
    page.unroute("**/marks")
    saved(page.get_by_label(REMARK, exact=True))
    page.reload()
    playwright.expect(page.get_by_label(REMARK, exact=True)).to_have_value("Second.")


def test_restarting_the_review_loses_no_text(opened: Open) -> None:
    """The cookie is no longer valid; the page keeps the text and says what to do."""
    page = opened(f"/candidates/{ROLES['one missing']}")
    page.context.clear_cookies()
    field = typed(page, "Still here.")
    field.blur()
    playwright.expect(page.get_by_text("Not saved: Open the address")).to_be_visible()
    playwright.expect(field).to_have_value("Still here.")


def test_going_back_does_not_restore_old_text(opened: Open) -> None:
    """The browser would combine it with a version that the reviewer has not seen."""
    path = f"/candidates/{ROLES['time-out']}"
    page, other = opened(path), opened(path)
    lost = page.locator(".criterion.lost").first
    lost.get_by_text("Override").first.click()
    lost.get_by_label("Reason").press_sequentially("Of before.")
    page.get_by_role("link", name="Candidates").click()
    playwright.expect(page.get_by_role("heading", level=1)).to_have_text("Interviews")
    new = other.locator(".criterion.lost").first
    new.get_by_text("Override").first.click()
    new.get_by_label("Points").fill("0")
    new.get_by_label("Reason").fill("Of now.")
    new.get_by_role("button", name="Save override").click()
    playwright.expect(other.get_by_text("Overridden").first).to_be_visible()
    page.go_back()
    shown = page.locator(".criterion.lost").first.get_by_label("Reason")
    playwright.expect(shown).to_have_value("Of now.")


# ------------------------------------------------------------------ the keyboard


def press(page: Any, key: str) -> None:
    """Press a key once the page's script has run."""
    page.wait_for_load_state()
    page.keyboard.press(key)


def test_everything_works_with_the_keyboard(opened: Open) -> None:
    """Filtering, navigating between candidates and criteria, and saving an override."""
    page = opened()
    press(page, "/")
    page.keyboard.type("rossi")  # letters are not shortcuts in a field
    page.keyboard.press("Enter")
    playwright.expect(page.get_by_role("rowheader")).to_have_count(1)
    page.goto(page.url.partition("?")[0] + "?sort=name")
    page.get_by_role("link", name="Giulia Rossi").focus()
    page.keyboard.press("Enter")
    heading = page.get_by_role("heading", level=1)
    playwright.expect(heading).to_have_text("Giulia Rossi")
    press(page, "n")
    playwright.expect(heading).to_have_text("Hanna Lindqvist")
    press(page, "p")
    playwright.expect(heading).to_have_text("Giulia Rossi")
    focused = page.locator("article:focus")
    press(page, "j")
    first = focused.get_by_role("heading").inner_text()
    press(page, "j")
    assert focused.get_by_role("heading").inner_text() != first
    press(page, "k")
    playwright.expect(focused.get_by_role("heading")).to_have_text(first)
    name = focused.locator("code").first.inner_text()
    while "Override" not in page.evaluate("document.activeElement.textContent") or (
        page.evaluate("document.activeElement.localName") != "summary"
    ):
        page.keyboard.press("Tab")
    for key in ("Enter", "Tab", "1", "Tab"):
        page.keyboard.press(key)
    page.keyboard.type("n, j, p, k and / are letters here")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    playwright.expect(criterion(page, name)).to_contain_text("1 instead of 0 points, by Ada")
    press(page, "u")
    playwright.expect(heading).to_have_text("Interviews")


OUTLINE = """() => {
  const style = getComputedStyle(document.activeElement);
  const is = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
  const box = document.activeElement.getBoundingClientRect();
  const on = box.right > 0 && box.bottom > 0 && box.left < innerWidth && box.top < innerHeight;
  return [document.activeElement.outerHTML.slice(0, 80), is && on];
}"""


@pytest.mark.parametrize("path", ["/", f"/candidates/{ORDINARY}", "/compare"])
def test_focus_is_visible(opened: Open, path: str) -> None:
    """The first stop skips the navigation."""
    page = opened(path)
    page.keyboard.press("Tab")
    assert "Skip" in page.evaluate("document.activeElement.textContent")
    for _ in range(25):
        place, visible = page.evaluate(OUTLINE)
        if place.startswith("<body"):
            break  # after the last one
        assert visible, place
        page.keyboard.press("Tab")


# ------------------------------------------------------------------ attacks

MADE = """() => ({
  owned: window.owned ?? null,
  title: document.title,
  scripts: [...document.scripts].map((one) => one.getAttribute('src')),
  strange: document.querySelectorAll('iframe, object, embed, svg svg, base, [onload], [onerror],'
    + '[onfocus], [style], img:not(.chart), meta[http-equiv], a[href^="javascript:" i]').length,
  forms: [...document.forms].map((form) => form.action).filter((to) => !to.startsWith(origin)),
  links: [...document.links].map((a) => a.href).filter((to) => !to.startsWith(origin)),
  raw: /[\\u0000-\\u0008\\u001b\\u200b\\u202e\\u2066\\ufeff]/.test(document.body.textContent),
})"""


@pytest.fixture(scope="module")
def remarked(review: Review, chromium: Any) -> None:
    """A hostile comment: reviewers' text is not trusted, either."""
    page = chromium.new_page()
    page.goto(review.address)
    page.goto(f"{review.origin}/candidates/c1")
    field = page.get_by_label("Visible to everyone who reads the result", exact=True)
    field.fill(HOSTILE.replace("\x00", ""))
    field.blur()
    saved(field)
    page.close()


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/?text=%3Cscript%3Ewindow.owned%3D1%3C%2Fscript%3E",
        "/candidates/c1",
        "/candidates/c1/print",
        "/candidates/c1/history",
        "/candidates/c1/q1/source",
        "/candidates/c1/q3/source",
        f"/compare?exercise=q1&a=c1&b={ORDINARY}",
        "/candidates/%3Cscript%3Ewindow.owned=1%3C%2Fscript%3E",
        "/statistics",
    ],
)
@pytest.mark.usefixtures("remarked")
def test_text_of_a_hostile_candidate_is_inert(review: Review, opened: Open, path: str) -> None:
    """No script, request or element of theirs; their text is only shown."""
    page = opened(path)
    page.wait_for_load_state("load")
    made = page.evaluate(MADE)
    assert made["owned"] is None
    assert made["title"] != "owned"
    assert made["scripts"] == ["/static/review.js"]
    assert (made["strange"], made["forms"], made["links"], made["raw"]) == (0, [], [], False)
    assert page.url == review.origin + path


def test_the_attack_works_without_escaping(chromium: Any) -> None:
    """Otherwise the test above would prove nothing."""
    page = chromium.new_page()
    page.on("dialog", lambda dialog: dialog.dismiss())
    page.set_content(HOSTILE.partition("<link")[0])
    assert (page.evaluate("window.owned"), page.title()) == (1, "owned")
    page.close()


# ------------------------------------------------------------------ accessibility

PAGES = {
    "list": "/",
    "statistics": "/statistics",
    "candidate": f"/candidates/{ORDINARY}",
    "candidate-hostile": "/candidates/c1",
    "candidate-broken": f"/candidates/{ROLES['unreadable']}",
    "candidate-time-out": f"/candidates/{ROLES['time-out']}",
    "candidate-earlier": f"/candidates/{ROLES['earlier']}",
    "history": f"/candidates/{ORDINARY}/history",
    "source": f"/candidates/{ORDINARY}/q1/source",
    "source-hostile": "/candidates/c1/q1/source",
    "compare": f"/compare?exercise=q1&a={ORDINARY}&b={ROLES['prints']}",
    "compare-choose": "/compare",
    "print": f"/candidates/{ORDINARY}/print",
    "print-hostile": "/candidates/c1/print",
    "nowhere": "/candidates/nobody",
}
SHOWN = ("list", "statistics", "candidate", "source", "compare", "print")


@pytest.mark.parametrize("name", PAGES)
def test_pages_are_accessible(opened: Open, name: str) -> None:
    """Labels, headings, contrast and width on desktop and phone, light and dark."""
    page = opened(PAGES[name])
    for size in (DESK, PHONE):
        page.set_viewport_size(size)
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, f"{wide} pixels too wide at {size['width']}"
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            assert page.evaluate(AUDIT) == [], (size, scheme)
    if name in SHOWN:
        _pictures(page, name)


BAD = """<h1>Bad</h1><h3>Skips</h3><p style="color: #999">pale</p><input name=nameless>
<button></button><i id=twice></i><i id=twice></i><a href="#gone">x</a><img src=x>"""


def test_the_audit_finds_each_problem(chromium: Any) -> None:
    """Otherwise the test above would prove nothing."""
    page = chromium.new_page()
    page.set_content(BAD)
    found = "\n".join(page.evaluate(AUDIT))
    page.close()
    for complaint in (
        *("nameless has no label", "has no name", "skips a level", "a contrast of 2.8"),
        *("twice stands there twice", "#gone, which is not there", "no alternative text"),
        *("no language", "not one <main>", "no title", "is broken"),
    ):
        assert complaint in found


def _pictures(page: Any, name: str) -> None:
    """Take screenshots at both widths and in both color schemes."""
    PICTURES.mkdir(exist_ok=True)
    for size in (DESK, PHONE):
        page.set_viewport_size(size)
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            path = PICTURES / f"{name}-{size['width']}-{scheme}.png"
            height = min(_TALLEST, page.evaluate("document.documentElement.scrollHeight"))
            page.screenshot(path=path, full_page=True, clip={**_TOP, **size, "height": height})
    page.set_viewport_size(DESK)
