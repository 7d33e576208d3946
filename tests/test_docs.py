"""The documentation holds: its example is a sound exercise, its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from archprep.content import catalog, manifest
from archprep.core.errors import Exit
from archprep.core.model import Limits
from archprep.sandbox import selftest_attempts

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
    proof = author.check([exercise], full=lambda _: True, jobs=1)
    assert proof.findings == ()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())
    assert [t for t in targets if not (page.parent / t).exists()] == []


def test_the_map_names_every_package() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    map_ = "\n".join(line.split("|")[1] for line in text.splitlines() if line.startswith("| `"))
    named = set(re.findall(r"`([a-z_]+)/?`", map_))
    package = ROOT / "src" / "archprep"
    packages = {p.name for p in package.iterdir() if (p / "__init__.py").exists()}
    assert packages == named


def test_the_manifest_keys_and_limits_are_documented() -> None:
    keys = manifest.REQUIRED_KEYS | manifest.OPTIONAL_KEYS | set(Limits.__dataclass_fields__)
    assert [key for key in sorted(keys) if f"`{key}`" not in AUTHORS] == []


def test_the_exit_codes_are_documented() -> None:
    text = (ROOT / "README.md").read_text()
    assert [code for code in Exit if f"\n| {code.value} |" not in text] == []


def test_the_breaches_of_the_self_test_are_documented() -> None:
    """Whoever reads a scorecard can look up what was attempted."""
    page = (ROOT / "docs" / "result-format.md").read_text()
    assert [name for name in selftest_attempts.ATTEMPTS if f"`{name}`" not in page] == []
