"""Splits a candidate's DISCUSSION.md into answers, each next to the rubric's point about it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from archprep.interview.reports.exercise_material import ExerciseMaterial, RubricPoint
from archprep.interview.reports.starter_diff import split_lines

_PROMPT = re.compile(r"\d+\.\s+\S.*")


@dataclass(frozen=True, slots=True)
class Answer:
    """A prompt with the candidate's answer, and what the rubric says about it.

    `runs` are pieces of text, each with whether it was given rather than written by the candidate.
    """

    runs: list[tuple[str, bool]]
    points: tuple[RubricPoint, ...]
    written: bool


def answers(text: str | None, material: ExerciseMaterial) -> list[Answer]:
    """Return an answer for each prompt; a single one if the prompts are not all in place."""
    given = {line.strip() for line in material.prompts.splitlines()} - {""}
    lines = split_lines(material.prompts if text is None else text)
    marked = [(line, line.strip() in given) for line in lines]
    starts = _prompt_lines(lines, material)
    if not starts:
        return [_answer(marked, material.rubric)]
    pieces = [marked[start:end] for start, end in pairwise([*starts, len(lines)])]
    preface = _answer(marked[: starts[0]], ())
    found = [_answer(p, (point,)) for p, point in zip(pieces, material.rubric, strict=True)]
    return [preface, *found] if preface.written else found


def _prompt_lines(lines: Sequence[str], material: ExerciseMaterial) -> list[int]:
    """Where each prompt starts; empty unless all are there in order, one for each point."""
    prompts = [line.strip() for line in material.prompts.splitlines() if _PROMPT.match(line)]
    starts: list[int] = []
    for number, line in enumerate(lines):
        if len(starts) < len(prompts) and line.strip() == prompts[len(starts)]:
            starts.append(number)
    return starts if len(starts) == len(prompts) == len(material.rubric) else []


def _answer(lines: Sequence[tuple[str, bool]], points: tuple[RubricPoint, ...]) -> Answer:
    runs = [
        (_prompt(run) if given else "\n".join(run).strip("\n"), given)
        for given, group in groupby(lines, key=lambda line: line[1])
        for run in [[text for text, _ in group]]
    ]
    shown = [(text, given) for text, given in runs if text.strip()]
    return Answer(shown, points, written=any(not given for _, given in shown))


def _prompt(lines: Sequence[str]) -> str:
    """A prompt as plain text, without its line breaks and asterisks."""
    return " ".join(" ".join(lines).replace("**", "").split())
