"""`author check` proves the template and finds each flaw of a flawed exercise."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from rich.console import Console

from archprep import author
from archprep.author import prove, stubs, sweep_survey
from archprep.content import catalog
from archprep.core.errors import Exit, UsageError

SEED = 7
GRADERS, WRONG = "graders/{}/test_answer.py", "graders/{}/wrong/{}.yaml"
FLAWS: dict[str, Callable[[_Draft], None]] = {}


class _Draft:
    """An exercise made from the template, about to be spoilt."""

    def __init__(self, root: Path, folder: str) -> None:
        self.root, self.folder = root, folder

    def path(self, name: str) -> Path:
        kind, _, inner = name.partition("/")
        return self.root / kind / self.folder / inner

    def write(self, name: str, text: str) -> None:
        self.path(name).write_text(text)

    def replace(self, name: str, old: str, new: str) -> None:
        text = self.path(name).read_text()
        assert old in text
        self.write(name, text.replace(old, new))

    def wrong(self, name: str, loses: str, old: str, new: str) -> None:
        text = f"defect: near miss\nsays: {name}\nloses: {loses}\nedits:\n  answer.py:\n"
        self.write(f"graders/wrong/{name}.yaml", f"{text}    - {{replace: '{old}', by: '{new}'}}\n")


def flawed(spoil: Callable[[_Draft], None]) -> Callable[[_Draft], None]:
    """Register a function that spoils an exercise; all are proven in one run to save time."""
    FLAWS[spoil.__name__] = spoil
    return spoil


@flawed
def sound(draft: _Draft) -> None:
    """The template, unchanged."""


@flawed
def wrong_answers(draft: _Draft) -> None:
    draft.wrong("loses_nothing", "[running-totals]", "number = 0", "number = int()")
    draft.wrong("loses_too_much", "[each-page-once]", "items += page", "items = page; break")
    draft.wrong("names_no_criterion", "[each-page]", "number = 0", "number = 1")
    draft.wrong("does_not_apply", "[each-page-once]", "no such text", "")
    draft.wrong("loses_all", "all", "import annotations", "import nothing")
    draft.path("graders/wrong/total_without_its_amount.yaml").unlink()


@flawed
def lenient(draft: _Draft) -> None:
    name = "graders/test_answer.py"
    draft.replace(name, "seen, items, says", "len(seen), len(items), says")  # any of that length
    draft.replace(name, "source.asked == list(range(len(source.pages)))", "len(source.asked) < 99")
    done = "from itertools import accumulate\n    return list(accumulate(amounts))"
    draft.replace("exercises/starter/answer.py", 'raise NotImplementedError("Task 1")', done)


@flawed
def failing_reference(draft: _Draft) -> None:
    draft.replace("solutions/answer.py", "list(accumulate(amounts))", "amounts")


@flawed
def raising(draft: _Draft) -> None:
    name = "graders/test_answer.py"
    draft.replace(name, ", returns=list[list[int]]", "")
    draft.replace(name, "ledgers, seen = summed", "ledgers, seen = summed\n    seen[2]")
    draft.replace(
        "exercises/starter/test_examples.py", "from answer", "import nothing\nfrom answer"
    )


@flawed
def litter(draft: _Draft) -> None:
    draft.write("exercises/starter/answer.py~", "")
    draft.write("solutions/thoughts.txt", "")
    draft.write("graders/wrong/old.yaml.bak", "")
    draft.path("graders/__pycache__").mkdir()
    draft.write("graders/__pycache__/probes.pyc", "")
    draft.write("solutions/notes.md", "\n")
    draft.path("exercises/starter/test_examples.py").unlink()
    name = "exercises/hints.md"
    draft.replace(name, "2. Only an empty page is the end. A short one is not.\n", "")
    draft.replace(name, "# Hints\n", "# Hints\n\n## nobody\n\n1. Asks.\n2. For this.\n")


def unfair(draft: _Draft) -> None:
    reference = draft.path("solutions/answer.py").read_text()
    for name, text in (
        ("as_good", reference),
        ("refused", reference.replace("number = 0", "number = 1")),
    ):
        draft.path(f"graders/right/{name}").mkdir(parents=True)
        draft.write(f"graders/right/{name}/answer.py", text)


@flawed
def points(draft: _Draft) -> None:
    draft.replace("graders/test_answer.py", "points=32", "points=31")


@flawed
def rules(draft: _Draft) -> None:
    draft.replace("exercises/brief.md", "* **2.2**", "* **2.3** Unknown.\n* **2.2**")
    draft.wrong("breaks_a_rule", "[running-totals]", "accumulate(amounts)", "amounts")
    name = "graders/wrong/breaks_a_rule.yaml"
    draft.replace(name, "defect", 'rules: ["1.9"]\ndefect')


@flawed
def sweeps(draft: _Draft) -> None:
    draft.replace("graders/test_answer.py", "points=32", "points=37")
    draft.replace("graders/test_answer.py", "points=8", "points=3")
    undefined = '"undefined": ["pages"] if program.get("pages") else []'
    draft.replace("graders/probes.py", '"moments": moments', f'"moments": moments, {undefined}')
    corpus = draft.path("graders/corpus")
    (corpus / "total_without_its_amount.json").rename(corpus / "asks_twice.json")


@flawed
def deadly_grader(draft: _Draft) -> None:
    draft.replace("graders/test_answer.py", "@scenario", "import os; os._exit(9)\n@scenario")


@pytest.fixture(scope="module")
def proof(tmp_path_factory: pytest.TempPathFactory) -> Iterator[author.Proof]:
    """All flawed exercises, proven together."""
    root = empty_root(tmp_path_factory.mktemp("content"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ARCHPREP_CONTENT", str(root))
        patch.setattr(prove, "FULL_SEEDS", 2)
        patch.setattr(prove, "FORGED_ROUNDS", 1)
        patch.setattr(stubs, "CONSTANTS", ("None", "0", "[]"))
        patch.setattr(sweep_survey, "PROGRAMS", 100)
        for number, (name, spoil) in enumerate(FLAWS.items(), start=1):
            author.new(f"q{number}_{name}")
            spoil(_Draft(root, f"q{number:02}_{name}"))
        scratch = tmp_path_factory.mktemp("scratch")
        patch.setattr("tempfile.tempdir", str(scratch))
        yield author.check(catalog.load_all(), full=lambda _: True, seed=SEED, draft=True)
        assert not list(scratch.iterdir()), "even a killed process leaves no file"


def empty_root(root: Path) -> Path:
    for kind in ("exercises", "solutions", "graders"):
        (root / kind).mkdir(parents=True)
    return root


def found(proof: author.Proof, flaw: Callable[[_Draft], None]) -> list[str]:
    """The findings about one exercise, with its folder written as *."""
    proven = next(p for p in proof.exercises if p.exercise.folder[4:] == flaw.__name__)
    return [str(f).replace(proven.exercise.folder, "*") for f in proven.findings]


def only(findings: list[str], *patterns: str) -> bool:
    """Whether each pattern matches exactly one finding, and there are no others."""
    matched = [[f for f in findings if re.search(p, f, re.DOTALL)] for p in patterns]
    assert [len(m) for m in matched] == [1] * len(patterns), findings
    assert len(findings) == len(patterns), findings
    return True


def test_the_template_proves_itself(proof):
    """What `author new` creates passes `author check` unchanged."""
    assert found(proof, sound) == []


def test_wrong_answers_lose_exactly_what_they_declare(proof):
    """A wrong answer that loses fewer or more criteria than it declares is a finding.

    So are an edit that does not match, an unknown criterion, and a criterion that no wrong answer
    loses. A wrong answer that loses everything does not count for any criterion.
    """
    assert only(
        found(proof, wrong_answers),
        r"^graders/\*/wrong/loses_nothing.yaml: should lose `running-totals`, but earns it",
        r"^graders/\*/wrong/loses_too_much.yaml: should lose only `each-page-once`, but also "
        r"loses `all-items-in-order` \(seed 7\). `all-items-in-order`: expected: .*"
        r"write `loses: \[all-items-in-order, each-page-once\]`",
        r"^graders/\*/wrong/names_no_criterion.yaml: `loses` names `each-page`, which is not a "
        r"criterion. Did you mean `each-page-once`\?",
        r"names_no_criterion.yaml: should lose only `each-page`, but also loses "
        r"`all-items-in-order`, `each-page-once` \(seed 7\)",
        r"^graders/\*/wrong/does_not_apply.yaml: .* occurs 0 times",
        r"^graders/\*/wrong: no wrong answer loses `running-totals`",
        r"^graders/\*/wrong: no wrong answer loses `sweep-totals`",
    )


def test_what_a_draft_leaves_out(home, tmp_path, monkeypatch):
    """Right answers that the graders or a sweep reject, survivors and great size are findings.

    A draft may have all of them: it says what was left out.
    """
    monkeypatch.setenv("ARCHPREP_CONTENT", str(empty_root(tmp_path / "checkout")))
    monkeypatch.setattr(prove, "FULL_SEEDS", 1)
    monkeypatch.setattr(prove, "FORGED_ROUNDS", 1)
    monkeypatch.setattr(stubs, "CONSTANTS", ("None",))
    monkeypatch.setattr(sweep_survey, "PROGRAMS", 100)
    author.new("q1")
    unfair(_Draft(tmp_path / "checkout", "q01_new_exercise"))
    reference = tmp_path / "checkout/solutions/q01_new_exercise/answer.py"
    reference.write_text(f"{reference.read_text()}\n\nunused = None\n")
    whole = author.check(catalog.load_all(), full=lambda _: True, seed=SEED)
    texts = [str(finding) for finding in whole.findings]
    assert any("right/refused: this right answer should score 100" in t for t in texts)
    assert any("right/refused: differs from the reference in" in t for t in texts)
    assert not any("as_good" in t for t in texts)
    assert any("the mutant answer.py: 'unused = None' -> " in t for t in texts)
    assert any("has 32 points for `running-totals`, at most 8 are allowed" in t for t in texts)


def test_every_rule_is_graded_and_broken(proof):
    """A rule that no criterion names or no wrong answer breaks is a finding."""
    assert only(
        found(proof, rules),
        r"brief.md: rule 2.3 \(Unknown.\): no criterion and no program of the corpus names it",
        r"brief.md: rule 2.3 \(Unknown.\): no wrong answer breaks it",
        r"wrong/breaks_a_rule.yaml: `rules`: the brief has no rule 1.9",
    )


def test_sweeps_are_worth_playing(proof):
    """Programs that are left out, or hardly exercise a rule, and odd points are findings.

    So is a program of the corpus that does not show the wrong answer it is named after.
    """
    findings = [f for f in found(proof, sweeps) if "no wrong answer loses `sweep-pages`" not in f]
    assert only(
        findings,
        r"the sweep of task 1 is worth 3 of 40 points; it should be 10% to 25% of them",
        r"the sweep of task 2 leaves out \d+ of 50 programs, more than 20%. .*: pages \(\d+\)",
        r"wrong/asks_twice.yaml: corpus/asks_twice.json keeps a program that shows it, but",
    )


def test_starter_stubs_and_forged_observations_earn_nothing(proof):
    """A criterion earned by the starter, by constants or by random observations is a finding."""
    findings = [f for f in found(proof, lenient) if "/wrong" not in f]
    assert only(
        findings,
        r"^exercises/\*/starter: should score 0, but earns `running-totals` \(32 points, seed 7\)",
        r"^exercises/\*/starter: should score 0, but earns `sweep-totals` \(8 points, seed 7\)",
        r"^graders/\*: `running-totals` should require .* \(constant: None, 0, \[\]; seed 7\)",
        r"^graders/\*: `sweep-totals` should require .* \(constant: None, 0, \[\]; seed 7\)",
        r"^graders/\*: `each-page-once` should require .* \(constant: \[\]; seed 7\)",
        r"^graders/\*: `all-items-in-order` should not be .* 1 of 3 sets .* earned it",
        r"^graders/\*: `each-page-once` should not be earned by chance",
    )


def test_wrong_answers_need_a_passing_reference(proof):
    """A reference below 100 is a finding with evidence, and nothing is compared with it."""
    assert only(
        found(proof, failing_reference),
        r"^solutions/\*: the reference should score 100, but loses `running-totals` with seed 7: "
        r"expected: each total is the sum .*observed: at \[",
        r"^exercises/\*/starter/test_examples.py: should pass with the reference",
        # The edit of total_without_its_amount.yaml:
        r"occurs 0 times",
    )


def test_a_grader_must_not_fail_on_any_observation(proof):
    """A grader that raises on an unexpected observation is a finding."""
    findings = found(proof, raising)
    assert any("the grader of `running-totals` fails" in f and "forged" in f for f in findings)


def test_public_examples_run_and_pass_with_the_reference(proof):
    """The examples may fail with the starter, but must run, and pass with the reference."""
    start = "exercises/*/starter/test_examples.py: should"
    says = [f.partition("\n")[0] for f in found(proof, raising) if f.startswith(start)]
    assert says == [
        f"{start} run in a new workspace (failing there is fine), but pytest reports:",
        f"{start} pass with the reference, but pytest reports:",
    ]


def test_stray_files_empty_texts_and_unused_hints_are_found(proof):
    """Files that nothing reads are findings, except caches; so are empty texts.

    Every criterion has at least two hints, and every section of hints.md a criterion.
    """
    assert only(
        found(proof, litter),
        r"^exercises/\*/starter/answer.py~: is a stray file",
        r"^solutions/\*/thoughts.txt: is a stray file",
        r"^graders/\*/wrong/old.yaml.bak: is a stray file",
        r"^solutions/\*/notes.md: is empty",
        r"^exercises/\*/starter: has no test_examples.py",
        r"hints.md: the section `2.1`, used by `all-items-in-order` and .*, .* but has 1",
        r"hints.md: no criterion uses the section `nobody`",
    )


def test_points_that_do_not_add_up_are_one_finding(proof):
    """An error in every grading is reported once."""
    assert only(found(proof, points), r"points of the criteria add up to 99, not 100")


def test_a_dead_process_costs_only_its_job(proof):
    """A grader that kills its process is a finding; the proof goes on."""
    findings = found(proof, deadly_grader)
    assert all("exited (9)" in f for f in findings)
    assert findings


def test_findings_mean_exit_code_3(proof):
    """Findings mean exit code 3; the output shows each of them and the seed."""
    screen = io.StringIO()
    assert author.print_proof(proof, Console(file=screen, width=80)) is Exit.INTERNAL
    text = screen.getvalue()
    assert (
        "q1 New exercise: proven\n  rules     3, 3 named by criteria, 3 broken by wrong answers\n"
        in text
    )
    assert all(f"- {finding}\n" in text for finding in proof.findings)
    assert re.search(r"^\d+ of \d+ not proven \(seed 7, isolation level ", text, re.MULTILINE)


@pytest.mark.parametrize("jobs", [0, -1])
def test_jobs_must_be_positive(jobs):
    """Without a process nothing is graded."""
    with pytest.raises(UsageError, match="--jobs must be at least 1"):
        author.check([], jobs=jobs)


def test_ctrl_c_leaves_nothing_behind(home, tmp_path, monkeypatch):
    """Ctrl-C during grading silently ends all processes and leaves no files."""
    root = empty_root(tmp_path / "checkout")
    monkeypatch.setenv("ARCHPREP_CONTENT", str(root))
    author.new("q1")
    draft = _Draft(root, "q01_new_exercise")
    draft.replace("solutions/answer.py", "while page", "while True:\n        pass\n    while page")
    draft.replace("exercises/exercise.yaml", "seconds: 4", "seconds: 60")
    code = "from archprep import author\nfrom archprep.content import catalog\n"
    code += "author.check(catalog.load_all())"
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        started = _wait_for(lambda: _busy_for(psutil.Process(process.pid), seconds=0.3), seconds=60)
    finally:
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGINT
    assert said.count("Traceback") == 1  # this script's own
    _wait_for(lambda: not any(_lives(p) for p in started))
    assert not list(tmp_path.glob("archprep-*"))


def _busy_for(process: psutil.Process, seconds: float) -> list[psutil.Process]:
    """The child processes, once a sandboxed one has computed for that long."""
    below = process.children(recursive=True)
    sandboxed = [p for p in below if _lives(p) and "/runtime" in " ".join(p.cmdline())]
    busy = any(p.cpu_times().user > seconds for p in sandboxed)
    return below if busy else []


def _lives(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def _wait_for(condition: Callable[[], Any], seconds: float = 10) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if result := condition():
                return result
        except psutil.NoSuchProcess:
            pass
        time.sleep(0.05)
    pytest.fail("timed out")
