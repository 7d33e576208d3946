"""Writes the files that are made from results: for a candidate, and for the batch."""

from __future__ import annotations

from archprep.interview.model import Batch, Result
from archprep.interview.reports import gradescope, junit, pages, statistics, summary_csv
from archprep.interview.results import json_format
from archprep.interview.results.result_files import write, write_json
from archprep.interview.results.results_folder import SCORECARD, ResultsFolder


def write_candidate(folder: ResultsFolder, slug: str, batch: Batch) -> None:
    """Write a candidate's report, scorecard and exports, unless they are up to date."""
    place = folder.candidate(slug)
    if (place / SCORECARD).exists():
        return
    result = folder.result(slug)
    write(place / "report.html", pages.report(result, batch))
    write(place / "results.json", gradescope.results_json(result))
    write(place / "junit.xml", junit.xml(result))
    write_json(place / SCORECARD, json_format.scorecard_document(result))


def write_batch(folder: ResultsFolder, batch: Batch) -> list[Result]:
    """Write the batch's index, table and statistics; return all results, without sources."""
    results = [folder.result(slug, sources=False) for slug in folder.slugs()]
    figures = statistics.of(results)
    write(folder.root / "summary.csv", summary_csv.table(results))
    write(folder.root / "statistics.json", figures.dumps())
    write(folder.root / "index.html", pages.index(results, batch, figures))
    return results
