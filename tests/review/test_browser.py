"""A review in a real browser: what interviewers do, and what hostile candidates cannot.

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
from dataclasses import dataclass, field
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
_TOP, _TALLEST = {"x": 0, "y": 0}, 2_400  # of a picture, in pixels
_SECONDS = 15_000  # milliseconds, for whatever is waited for


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
    """What pages have done beside showing themselves."""

    origin: str
    asked: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)

    def over(self, context: Any) -> None:
        """Note it all."""
        context.on("request", lambda request: self.asked.append(request.url))
        context.on("console", lambda message: self.said.append(message.text))
        context.on("weberror", lambda error: self.said.append(str(error.error)))
        context.on("dialog", self._dismiss)

    def _dismiss(self, dialog: Any) -> None:
        if dialog.type == "beforeunload":  # the browser's own question, asked for by our script
            dialog.accept()
            return
        self.opened.append(dialog.message)
        dialog.dismiss()

    def assert_quiet(self) -> None:
        """Nothing was asked of anybody else, no dialog, no complaint of the browser."""
        assert not [url for url in self.asked if not url.startswith(f"{self.origin}/")]
        assert not self.opened
        # That a page has one of these states is told there, too: they are meant to come.
        assert not [text for text in self.said if not re.search(r"status of 4(03|04|09|22) ", text)]


Open = Callable[..., Any]


@pytest.fixture
def opened(review: Review, chromium: Any) -> Iterator[Open]:
    """Open the review as somebody does who has just copied the address; each call is a reviewer."""
    contexts = []
    watch = Watch(review.origin)

    def open_(path: str = "/", **options: Any) -> Any:
        context = chromium.new_context(**{"viewport": DESK, "reduced_motion": "reduce", **options})
        contexts.append(context)
        context.set_default_timeout(_SECONDS)
        watch.over(context)
        page = context.new_page()
        page.goto(review.address)
        assert page.url == f"{review.origin}/"  # the token stays in no history
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
    """What stands on a candidate's page about a criterion."""
    return page.get_by_role("article").filter(has=page.get_by_text(identifier, exact=True)).first


def saved(field: Any) -> None:
    """Wait until the form around a field says that it is saved."""
    form = field.locator("xpath=ancestor::form")
    playwright.expect(form.get_by_role("status")).to_contain_text("Saved by")


def downloaded(page: Any, link: str) -> str:
    with page.expect_download() as coming:
        page.get_by_role("link", name=link, exact=True).click()
    return Path(coming.value.path()).read_text()


# ------------------------------------------------------------------ the journey


@dataclass
class Trip:
    """Whom the journey leads to, and what is overridden there."""

    slug: str
    name: str
    criterion: str
    points: int
    automatic: int


TRIPS = {
    True: Trip(ORDINARY, "Bruno Keller", "routes-by-pattern", 3, 177),
    False: Trip(ROLES["earlier"], "Noah Weiss", "middleware-chain", 2, 191),
}
QUESTION = "Event sourcing or event-driven?"


@pytest.mark.parametrize("script", [True, False], ids=["with scripts", "without scripts"])
def test_the_journey_of_an_interviewer(opened: Open, *, script: bool) -> None:
    """From the list to a mark, an override, a comment, back by undo, the exports and the print."""
    trip = TRIPS[script]
    page = opened(java_script_enabled=script)
    _find(page, trip)
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
    assert rows(page)[0] == "Amira Haddad"
    page.get_by_label("Flag", exact=True).select_option("time-out")
    page.get_by_role("button", name="Filter").click()
    assert rows(page) == ["Ivan Petrov"]
    page.get_by_role("link", name="Show all").click()
    page.get_by_label("Name, flag or problem").fill(trip.name.split()[1].lower())
    page.get_by_role("button", name="Filter").click()
    page.get_by_role("link", name=trip.name, exact=True).click()
    playwright.expect(page.get_by_role("heading", level=1)).to_have_text(trip.name)


def _mark(page: Any, *, script: bool) -> None:
    """A discussion answer; with scripts it is saved as soon as it changes."""
    field = page.get_by_label(f"Mark for “{QUESTION}”")
    field.select_option("3")
    if script:
        saved(field)
    else:
        field.locator("xpath=ancestor::form").get_by_role("button", name="Save").click()
    page.reload()
    playwright.expect(field).to_have_value("3")


def _override(page: Any, trip: Trip) -> None:
    """Without a reason it is refused, and what was typed is kept."""
    box = criterion(page, trip.criterion)
    box.locator("summary").click()
    box.get_by_label(re.compile("^Points")).fill(str(trip.points))
    box.get_by_label("Reason (required)").fill("  ")  # an empty one the browser itself refuses
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
        field.locator("xpath=ancestor::form").get_by_role("button", name="Save").click()
    page.reload()
    playwright.expect(field).to_have_value("Strong on failure,\nshould read up on brokers")


def _export(page: Any, trip: Trip) -> None:
    """Automatic and final points stand apart, in both forms."""
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
    """The override is taken back, and the history still has it."""
    page.get_by_role("link", name="Mark history").click()
    undo = page.get_by_role("button", name=re.compile("^Undo q1: "))
    before = page.get_by_role("row").count()
    undo.click()
    playwright.expect(page.get_by_role("row")).to_have_count(before + 1)
    playwright.expect(page.get_by_text("undid an earlier change")).to_be_visible()
    page.get_by_role("link", name=trip.name).click()
    playwright.expect(page.locator("h1 + .score")).to_have_text(f"{trip.automatic}/200")
    playwright.expect(criterion(page, trip.criterion)).not_to_contain_text("instead of")


def _print(page: Any, trip: Trip) -> None:
    """What people said stands on it, and on paper nothing that only a screen has."""
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


def test_a_stale_write_is_shown_to_whoever_was_slower(opened: Open) -> None:
    """Nothing is swallowed: both marks stand there, and only a decision replaces one."""
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


# ------------------------------------------------------------------ nothing typed is lost

REMARK = "Visible to everyone who reads the result"


def typed(page: Any, text: str) -> Any:
    """A comment on the candidate that is being written: the field still has the focus."""
    field = page.get_by_label(REMARK, exact=True)
    field.click()
    field.press("ControlOrMeta+A")
    field.press_sequentially(text)
    return field


def test_whoever_goes_on_at_once_has_saved(opened: Open) -> None:
    page = opened(f"/candidates/{ROLES['late']}")
    address = page.url
    typed(page, "Written and left at once.")
    page.route("**/marks", lambda route: (page.wait_for_timeout(300), route.continue_()))
    page.get_by_role("link", name="Print view").click()
    playwright.expect(page.get_by_text("Written and left at once.")).to_be_visible()
    assert page.url == f"{address}/print"


def test_whoever_goes_on_at_once_is_shown_what_was_refused(opened: Open) -> None:
    page, other = (opened(f"/candidates/{ROLES['weaker isolation']}") for _ in range(2))
    typed(other, "Of now.").blur()
    saved(other.get_by_label(REMARK, exact=True))
    typed(page, "Of before.")
    page.route("**/marks", lambda route: (page.wait_for_timeout(300), route.continue_()))
    page.get_by_role("link", name="Print view").click()
    playwright.expect(page.get_by_role("heading", level=1)).to_have_text("Conflicting change")
    playwright.expect(page.get_by_label("Comment", exact=True)).to_have_value("Of before.")


def test_whoever_leaves_while_typing_is_asked_and_has_saved(opened: Open) -> None:
    page = opened(f"/candidates/{ROLES['import error']}")
    typed(page, "In the middle of")
    with page.expect_event("dialog") as asked:
        page.reload()
    assert asked.value.type == "beforeunload"
    playwright.expect(page.get_by_label(REMARK, exact=True)).to_have_value("In the middle of")


def test_what_is_typed_while_a_save_is_under_way_is_saved_after_it(opened: Open) -> None:
    page = opened(f"/candidates/{ROLES['crash']}")
    page.route("**/marks", lambda route: (page.wait_for_timeout(300), route.continue_()))
    typed(page, "First.").blur()
    with page.expect_response(lambda answer: "Second" in (answer.request.post_data or "")):
        typed(page, "Second.").blur()
    page.unroute("**/marks")
    saved(page.get_by_label(REMARK, exact=True))
    page.reload()
    playwright.expect(page.get_by_label(REMARK, exact=True)).to_have_value("Second.")


def test_a_review_that_was_started_anew_loses_no_text(opened: Open) -> None:
    """Its cookie is another one: the page stays as it is, and says what to do."""
    page = opened(f"/candidates/{ROLES['crash']}")
    page.context.clear_cookies()
    field = typed(page, "Still here.")
    field.blur()
    playwright.expect(page.get_by_text("Not saved: Open the address")).to_be_visible()
    playwright.expect(field).to_have_value("Still here.")


def test_going_back_brings_no_old_text_over_a_new_mark(opened: Open) -> None:
    """The browser would put what was typed beside the version that it has not seen."""
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
    """Once the page's script, which knows the keys, has run."""
    page.wait_for_load_state()
    page.keyboard.press(key)


def test_the_keyboard_is_enough(opened: Open) -> None:
    """Through the list, from candidate to candidate, to what failed, and an override is saved."""
    page = opened()
    press(page, "/")
    page.keyboard.type("rossi")  # no letter of it is taken for a command
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
def test_who_tabs_through_a_page_sees_where_they_are(opened: Open, path: str) -> None:
    """The first stop leads past the navigation."""
    page = opened(path)
    page.keyboard.press("Tab")
    assert "Skip" in page.evaluate("document.activeElement.textContent")
    for _ in range(25):
        place, visible = page.evaluate(OUTLINE)
        if place.startswith("<body"):
            break  # past the last
        assert visible, place
        page.keyboard.press("Tab")


# ------------------------------------------------------------------ somebody who attacks

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
    """Reviewers' text is no more trusted than that of candidates."""
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
def test_nothing_of_a_hostile_candidate_acts(review: Review, opened: Open, path: str) -> None:
    """No script, no address of theirs, no element of theirs; what they wrote is only shown."""
    page = opened(path)
    page.wait_for_load_state("load")
    made = page.evaluate(MADE)
    assert made["owned"] is None
    assert made["title"] != "owned"
    assert made["scripts"] == ["/static/review.js"]
    assert (made["strange"], made["forms"], made["links"], made["raw"]) == (0, [], [], False)
    assert page.url == review.origin + path


def test_the_attack_would_work(chromium: Any) -> None:
    """Where a page does not escape it: else the test above would show nothing."""
    page = chromium.new_page()
    page.on("dialog", lambda dialog: dialog.dismiss())
    page.set_content(HOSTILE.partition("<link")[0])
    assert (page.evaluate("window.owned"), page.title()) == (1, "owned")
    page.close()


# ------------------------------------------------------------------ for everybody, everywhere

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
def test_a_page_is_for_everybody(opened: Open, name: str) -> None:
    """On a desk and on a phone, light and dark: labels, headings, contrast; nothing to the side."""
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


def test_the_audit_finds_what_is_wrong(chromium: Any) -> None:
    """Each rule is broken once; else the test above would show nothing."""
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
    """Pictures of a page as it is now, at both widths and in both schemes."""
    PICTURES.mkdir(exist_ok=True)
    for size in (DESK, PHONE):
        page.set_viewport_size(size)
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            path = PICTURES / f"{name}-{size['width']}-{scheme}.png"
            height = min(_TALLEST, page.evaluate("document.documentElement.scrollHeight"))
            page.screenshot(path=path, full_page=True, clip={**_TOP, **size, "height": height})
    page.set_viewport_size(DESK)
