"""The documentation holds: its example is a sound exercise, its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from archprep import catalog

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
EXAMPLE = re.compile(
    r"^`((?:exercises|solutions|graders)/q90_\S+)`\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL
)
AUTHORS = (ROOT / "docs" / "writing-exercises.md").read_text()


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A content root with the one exercise that docs/writing-exercises.md spells out."""
    for name, text in EXAMPLE.findall(AUTHORS):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setenv("ARCHPREP_CONTENT", str(tmp_path))
    return tmp_path


def test_the_example_is_sound(example: Path, home: Path) -> None:
    from archprep import author

    (exercise,) = catalog.load_all()
    proof = author.check([exercise], jobs=1, thorough=False, progress=lambda *_: None)
    assert proof.findings == ()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())
    assert [t for t in targets if not (page.parent / t).exists()] == []
