"""Measures how fast `archprep review` responds with 1,000 candidates: `python bench/review.py`.

The script writes a results folder from the samples in tests/review/samples.py: three exercises for
each candidate, and marks for every fifth one. It prints the median server time of each page with
its limit, and the memory before and after. On a busy machine CPU time says more than wall time.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[1]
LIST, PAGE = 300, 100  # maximum server time in milliseconds
GROWTH = 5  # maximum in MB
KITS = (("q1", "q3", "q12"), ("q1", "q3", "q6"))
MARKED = 5  # every fifth candidate has marks


def main() -> None:
    """Create the folder, then measure in a fresh process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=1000, help="candidates")
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--results", type=Path, help="folder to measure instead of creating one")
    asked = parser.parse_args()
    if asked.results:
        measure(asked.results, asked.requests)
        return
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, "results")
        make(made, asked.number)
        command = [sys.executable, __file__, "--results", str(made)]
        subprocess.run([*command, "--requests", str(asked.requests)], check=True)


# -- the folder --------------------------------------------------------------------------------


def make(root: Path, number: int) -> None:
    """Write a results folder with `number` candidates."""
    sys.path[0] = str(ROOT / "tests")  # instead of bench/, where `review` would be this file
    from review import samples

    from archprep.interview.results.results_folder import ResultsFolder
    from archprep.interview.results.results_lock import open_for_grading

    with tempfile.TemporaryDirectory() as scratch:
        parts = _parts(ResultsFolder(samples.make(Path(scratch, "samples"))), samples)
        with open_for_grading(root, resume=False) as folder:
            folder.begin(samples.BATCH)
            for count in range(number):
                _add(folder, count, parts)
            shutil.copytree(Path(scratch, "samples", "candidates", "c1"), folder.candidate("c1"))
    _mark(root)


def _parts(samples: Any, module: Any) -> dict[str, Iterator[Path]]:
    """Endless iterators over the files of graded exercises, by exercise."""
    from archprep.interview.model import Graded

    found: dict[str, list[Path]] = {}
    for slug in samples.slugs():
        for path in sorted((samples.candidate(slug) / "parts").glob("*.json")):
            if slug != "c1" and samples.graded(slug, path.stem).scorecard:
                found.setdefault(path.stem, []).append(path)
    for slug in ("q6-right", "q6-wrong"):
        samples.save(slug, "", Graded("q6", *_airflow(module, slug)))
        found.setdefault("q6", []).append(samples.graded_file(slug, "q6"))
    return {exercise: itertools.cycle(paths) for exercise, paths in found.items()}


def _airflow(module: Any, slug: str) -> tuple[Any, None, dict[str, str]]:
    """A scorecard of q6 with evidence of other exercises."""
    from archprep.content import catalog, criteria, exercise_files
    from archprep.core.model import State

    exercise = catalog.get("q6")
    source = dict(exercise_files.reference(exercise))
    declared = criteria.declared(exercise)
    lost = itertools.cycle(module._recorded()["dana-novakova/q1"])  # noqa: SLF001
    found = []
    for number, criterion in enumerate(declared):
        one = module._result(criterion, {})  # noqa: SLF001
        if slug == "q6-wrong" and number % 3 == 0:
            said = module._result(criterion, {criterion.id: next(lost)})  # noqa: SLF001
            one = replace(
                one,
                earned=0,
                state=State.FAILED,
                expected=said.expected,
                observed=said.observed,
                evidence=said.evidence,
            )
        found.append(one)
    return module.card("q6", tuple(found), source), None, source


def _add(folder: Any, count: int, parts: dict[str, Iterator[Path]]) -> None:
    from archprep.interview.model import Received, SubmittedExercise

    kit = KITS[count % 2]
    slug = f"candidate-{count + 1:04}"
    flags = (
        ("late by 12 min (by receipt: its beginning is not reported)",) if count % 9 == 0 else ()
    )
    folder.receive(
        Received(
            name=f"Candidate {count * 7919 % 10_000:04}",
            slug=slug,
            source=f"{slug}.zip",
            received_at=f"2026-03-{1 + count % 28:02}T10:{count % 60:02}:00+00:00",
            digest="",
            exercises=tuple(SubmittedExercise(exercise, Path()) for exercise in kit),
            flags=flags,
        )
    )
    (folder.candidate(slug) / "parts").mkdir()
    for exercise in kit:
        shutil.copy(next(parts[exercise]), folder.graded_file(slug, exercise))


def _mark(root: Path) -> None:
    """Save an override, a marked answer and a comment for every fifth candidate."""
    from archprep.review.mark_store import MarkStore
    from archprep.review.marks import MarkKind, Target
    from archprep.review.results_reader import ResultsReader

    marks = MarkStore.open(root)
    for row in ResultsReader(root).rows()[::MARKED]:
        card = row.result.graded[0].scorecard
        one = card.criteria[0] if card else None
        if one is None:
            continue
        for kind, item, points, text in (
            (MarkKind.OVERRIDE, one.id, one.points, "It works; only the name differs."),
            (MarkKind.ANSWER, "1", 3, "Names the trade-off."),
            (MarkKind.COMMENT, "", None, "Ask about the retries."),
        ):
            marks.save(
                Target(row.slug, kind, "q1", item),
                points=points,
                text=text,
                version=0,
                digest=row.result.received.digest,
                automatic=one.earned if kind is MarkKind.OVERRIDE else None,
                who="Ada",
            )
    marks.close()


# -- the measures ------------------------------------------------------------------------------


@dataclass
class Page:
    """A kind of page: its URLs, and the maximum server time in milliseconds."""

    name: str
    addresses: list[str]
    limit: int


def measure(root: Path, requests: int) -> None:
    """Open the folder as `review` does, request each page and print a line for it."""
    from archprep.review.access import Access
    from archprep.review.app import create_app
    from archprep.review.mark_store import MarkStore
    from archprep.review.results_reader import ResultsReader

    started = time.perf_counter()
    reader = ResultsReader(root)
    rows = reader.rows()
    cold = time.perf_counter() - started
    again = statistics.median(_seconds(reader.rows) for _ in range(20))
    size = sum(path.stat().st_size for path in root.glob("candidates/*/parts/*.json"))
    print(f"{len(rows)} candidates, {size / 1e6:,.0f} MB of results")
    print(f"{'first read':<34}{cold * 1000:>8.0f} ms")
    print(f"{'check for changes':<34}{again * 1000:>8.0f} ms\n")
    app = create_app(reader, MarkStore.open(root), Access.new(8765), "Ada")
    asyncio.run(_pages(app, pages([row.slug for row in rows]), requests))


def pages(slugs: list[str]) -> list[Page]:
    """The pages that reviewers use."""
    some = [slug for slug in slugs if slug != "c1"][::7]
    pairs = zip(some, reversed(some), strict=True)
    return [
        Page("/", ["/"], LIST),
        Page("/?sort=name&page=3", ["/?sort=name&page=3"], LIST),
        Page("/?text=candidate&label=late", ["/?text=candidate&label=late"], LIST),
        Page("/statistics", ["/statistics"], LIST),
        Page("/candidates/…", [f"/candidates/{slug}" for slug in some], PAGE),
        *(Page("/candidates/c1, hostile", ["/candidates/c1"], PAGE) for s in slugs if s == "c1"),
        Page("/compare?…", [f"/compare?exercise=q1&a={a}&b={b}" for a, b in pairs], PAGE),
    ]


async def _pages(app: Any, kinds: list[Page], requests: int) -> None:
    import httpx

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        print(f"{'server time, ms':<34}{'first':>8}{'median':>8}{'max':>7}{'CPU':>7}{'limit':>6}")
        for kind in kinds:
            addresses = itertools.cycle(kind.addresses)
            _print(kind, [await _asked(client, next(addresses)) for _ in range(30)])
        await _memory(client, kinds, requests)


async def _memory(client: Any, kinds: list[Page], requests: int) -> None:
    before = _resident()
    every = itertools.cycle(itertools.chain.from_iterable(kind.addresses for kind in kinds))
    for address in itertools.islice(every, requests):
        await _asked(client, address)
    after = _resident()
    mark = "" if after - before <= GROWTH else "  over the limit"
    print(
        f"\nmemory: {before:.0f} MB, after {requests} more requests {after:.0f} MB"
        f" (limit: {GROWTH} MB more){mark}"
    )


async def _asked(client: Any, address: str) -> tuple[float, float]:
    """Wall time and CPU time of a request in milliseconds."""
    started, began = time.perf_counter(), time.process_time()
    answer = await client.get(address)
    took, worked = time.perf_counter() - started, time.process_time() - began
    if answer.status_code != 200:
        sys.exit(f"{address} returned {answer.status_code}:\n{answer.text[-2000:]}")
    return took * 1000, worked * 1000


def _print(page: Page, measured: list[tuple[float, float]]) -> None:
    first, *rest = [took for took, _ in measured]
    middle, worked = statistics.median(rest), statistics.median(w for _, w in measured[1:])
    mark = "" if middle <= page.limit else "  over the limit"
    print(
        f"{page.name:<34}{first:>8.0f}{middle:>8.0f}{max(rest):>7.0f}{worked:>7.0f}{page.limit:>6}{mark}",
        flush=True,
    )


def _resident() -> float:
    return psutil.Process().memory_info().rss / 1e6


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
