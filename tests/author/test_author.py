"""What an author's commands promise: the template is sound, and each unsoundness is found."""

from __future__ import annotations

import ast
import errno
import io
import os
import random
import re
import shutil
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
from archprep.author import answers, forged_runner, prove
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
    """Register what spoils an exercise; all are proven in one go, which takes seconds."""
    FLAWS[spoil.__name__] = spoil
    return spoil


@flawed
def sound(draft: _Draft) -> None:
    """The template as it is."""


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
def stumbling(draft: _Draft) -> None:
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
    draft.replace(name, "2. Only an empty page ends the reading. A short one does not.\n", "")
    draft.replace(name, "# Hints\n", "# Hints\n\n## nobody\n\n1. Asks.\n2. For this.\n")


@flawed
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
    draft.replace("graders/test_answer.py", "points=40", "points=39")


@flawed
def deadly_grader(draft: _Draft) -> None:
    draft.replace("graders/test_answer.py", "@scenario", "import os; os._exit(9)\n@scenario")


@pytest.fixture(scope="module")
def proof(tmp_path_factory: pytest.TempPathFactory) -> Iterator[author.Proof]:
    """All flawed exercises, proven together."""
    root = empty_root(tmp_path_factory.mktemp("content"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ARCHPREP_CONTENT", str(root))
        patch.setattr(prove, "REFERENCE_SEEDS", 2)
        patch.setattr(prove, "FORGED_ROUNDS", 1)
        patch.setattr(answers, "CONSTANTS", ("None", "0", "[]"))
        for number, (name, spoil) in enumerate(FLAWS.items(), start=1):
            author.new(f"q{number}_{name}")
            spoil(_Draft(root, f"q{number:02}_{name}"))
        scratch = tmp_path_factory.mktemp("scratch")
        patch.setattr("tempfile.tempdir", str(scratch))
        yield author.check(catalog.load_all(), seed=SEED)
        assert not list(scratch.iterdir()), "not even a process that was killed leaves a file"


def empty_root(root: Path) -> Path:
    for kind in ("exercises", "solutions", "graders"):
        (root / kind).mkdir(parents=True)
    return root


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A content root without exercises."""
    made = empty_root(tmp_path / "checkout")
    monkeypatch.setenv("ARCHPREP_CONTENT", str(made))
    return made


def found(proof: author.Proof, flaw: Callable[[_Draft], None]) -> list[str]:
    """What was found in one exercise, its folder written as *."""
    proven = next(p for p in proof.exercises if p.exercise.folder[4:] == flaw.__name__)
    return [str(f).replace(proven.exercise.folder, "*") for f in proven.findings]


def only(findings: list[str], *patterns: str) -> bool:
    """Whether each pattern is found in exactly one finding, and nothing else was found."""
    matched = [[f for f in findings if re.search(p, f, re.DOTALL)] for p in patterns]
    assert [len(m) for m in matched] == [1] * len(patterns), findings
    assert len(findings) == len(patterns), findings
    return True


# -- the proof ------------------------------------------------------------------------------


def test_the_template_proves_itself(proof):
    """What `author new` writes passes `author check` as it stands."""
    assert found(proof, sound) == []


def test_wrong_answers_lose_exactly_what_they_name(proof):
    """A wrong answer that loses less or more than its header says is a finding.

    So is an edit that does not apply, an unknown name, and a criterion that no wrong answer
    loses; what loses everything does not count for any.
    """
    assert only(
        found(proof, wrong_answers),
        r"^graders/\*/wrong/loses_nothing.yaml: should lose `running-totals`, but earns it",
        r"^graders/\*/wrong/loses_too_much.yaml: should lose only `each-page-once`; it also "
        r"loses `all-items-in-order` \(seed 7\). In `all-items-in-order`: expected: the items of .*"
        r"write `loses: \[all-items-in-order, each-page-once\]`",
        r"^graders/\*/wrong/names_no_criterion.yaml: `loses` names `each-page`, which is no "
        r"criterion. Did you mean `each-page-once`\?",
        r"names_no_criterion.yaml: should lose only `each-page`; it also loses "
        r"`all-items-in-order`, `each-page-once` \(seed 7\)",
        r"^graders/\*/wrong/does_not_apply.yaml: .* occurs 0 times",
        r"^graders/\*/wrong: no wrong answer loses `running-totals`",
    )


def test_right_answers_of_another_design_are_accepted(proof):
    """An answer under right/ that the graders refuse is a finding: the brief owes the rule."""
    findings = [f for f in found(proof, unfair) if "/right/" in f]
    assert findings
    assert all(re.match(r"graders/\*/right/refused: this answer is right", f) for f in findings)


def test_starter_stubs_and_forged_observations_earn_nothing(proof):
    """A criterion that no work, constants or random observations earn is a finding, by its name."""
    findings = [f for f in found(proof, lenient) if "/wrong" not in f]
    assert only(
        findings,
        r"^exercises/\*/starter: should score 0; it earns `running-totals` \(40 points, seed 7\)",
        r"^graders/\*: `running-totals` should need .* \(constant: None, 0, \[\]; seed 7\)",
        r"^graders/\*: `each-page-once` should need .* \(constant: \[\]; seed 7\)",
        r"^graders/\*: `all-items-in-order` should not be .*; of 3 sets .* 1 earned it",
        r"^graders/\*: `each-page-once` should not be earned by chance",
    )


def test_wrong_answers_wait_for_a_reference_that_passes(proof):
    """A reference below 100 is told with what it does; nothing else is graded against it."""
    assert only(
        found(proof, failing_reference),
        r"^solutions/\*: the reference should score 100; it loses `running-totals` with seed 7: "
        r"expected: each total is the sum .*observed: at \[",
        r"^exercises/\*/starter/test_examples.py: should pass with the reference",
        # The edit of total_without_its_amount.yaml:
        r"occurs 0 times",
    )


def test_a_grader_never_fails_whatever_was_observed(proof):
    """A grader that stumbles over an observation it did not expect is a finding."""
    findings = found(proof, stumbling)
    assert any("the grader of `running-totals` fails" in f and "forged" in f for f in findings)


def test_public_examples_run_and_the_reference_passes_them(proof):
    """The examples may fail in the starter, but must run there, and pass with the reference."""
    start = "exercises/*/starter/test_examples.py: should"
    says = [f.partition("\n")[0] for f in found(proof, stumbling) if f.startswith(start)]
    assert says == [
        f"{start} run in a new workspace, though it may fail there; pytest says:",
        f"{start} pass with the reference in place; pytest says:",
    ]


def test_no_stray_files_no_blank_ones_and_hints_that_lead_somewhere(proof):
    """Files that nothing reads are findings (not those left by Python), and so are blank texts.

    Every criterion has at least two hints, and every hint a criterion.
    """
    assert only(
        found(proof, litter),
        r"^exercises/\*/starter/answer.py~: is a stray file",
        r"^solutions/\*/thoughts.txt: is a stray file",
        r"^graders/\*/wrong/old.yaml.bak: is a stray file",
        r"notes.* empty",
        r"^exercises/\*/starter: has no test_examples.py",
        r"hints.md: the section `pages`, which `all-items-in-order` names, .* it has 1",
        r"hints.md: no criterion names the section `nobody`",
    )


def test_graders_that_do_not_add_up_are_told_once(proof):
    """A fault that every grading meets is one finding."""
    assert only(found(proof, points), r"points of the criteria add up to 99, not 100")


def test_a_process_that_dies_costs_its_job_only(proof):
    """A grader that kills its process is a finding; the proof goes on."""
    findings = found(proof, deadly_grader)
    assert all("ended its process (9)" in f for f in findings)
    assert findings


def test_findings_mean_exit_code_3(proof):
    """Content at fault is exit code 3; the screen shows each finding and the seed."""
    screen = io.StringIO()
    assert author.print_proof(proof, Console(file=screen, width=80)) is Exit.INTERNAL
    text = screen.getvalue()
    assert "q1 New exercise: proven\n  3 criteria, reference with 2 seeds, 3 wrong answers" in text
    assert all(f"- {finding}\n" in text for finding in proof.findings)
    assert re.search(r"^\d+ of \d+ not proven \(seed 7, isolation level ", text, re.MULTILINE)


@pytest.mark.parametrize("jobs", [0, -1])
def test_some_process_must_grade(jobs):
    """No process at all is a mistake in the command."""
    with pytest.raises(UsageError, match="grade nothing"):
        author.check([], jobs=jobs)


def test_ctrl_c_leaves_nothing_behind(root, home, tmp_path):
    """Ctrl-C in the middle of a grading ends all processes, without a word from them."""
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
    started = _wait_for(lambda: _busy_for(psutil.Process(process.pid), seconds=0.3))
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=10)
    assert process.returncode == -signal.SIGINT
    assert said.count("Traceback") == 1  # this script's own
    _wait_for(lambda: not any(_lives(p) for p in started))
    assert not list(tmp_path.glob("archprep-*"))


def _busy_for(process: psutil.Process, seconds: float) -> list[psutil.Process]:
    """The processes below, once one of them has computed for that long."""
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
    pytest.fail("waited in vain")


# -- stubs and forgeries --------------------------------------------------------------------

STARTER = '''\
from contextlib import contextmanager
from dataclasses import dataclass

@dataclass
class Point:
    x: int
    def given(self) -> int:
        return self.x

class Thing:
    def __init__(self, name, *, size=1):
        raise NotImplementedError
    async def fetch(self) -> "list[int]":
        """Fetch."""
    @contextmanager
    def held(self):
        raise NotImplementedError
        yield
    def each(self):
        raise NotImplementedError("later")
        yield 1
    @property
    def names(self) -> dict[str, int]: ...
'''


def test_stubs_keep_signatures_and_what_is_given():
    """A stub differs from the starter in the bodies still to be written, and in nothing else."""
    text = answers.stub(STARTER, lambda _: "0")
    assert "return self.x" in text
    assert "def __init__(self, name, *, size=1):\n        pass" in text
    assert "async def fetch(self) -> 'list[int]':\n        return 0" in text
    assert text.count("yield 0") == 2
    ast.parse(text)


def test_the_empty_stub_keeps_to_the_annotations():
    """What is most likely to pass for an implementation is empty data of the right type."""
    text = answers.stub(STARTER, answers._empty_value)
    assert "fetch(self) -> 'list[int]':\n        return []" in text
    assert "names(self) -> dict[str, int]:\n        return {}" in text
    assert "def each(self):\n        return\n        yield" in text


def test_forgeries_keep_the_shape_and_no_value():
    """Redrawn data has the types and sizes of what was observed."""
    seen = {"a": [1, 2.5, "text", None, {"b": [True] * 40}], "c": []}
    forged = forged_runner.redrawn(random.Random(1), seen)
    assert forged != seen
    assert [type(v) for v in forged["a"]] == [type(v) for v in seen["a"]]
    assert len(set(forged["a"][4]["b"])) == 2
    assert (forged["c"], len(forged["a"][2])) == ([], 4)


# -- new ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "title", "folder"),
    [
        ("q18", "Feature flags, done right: a story", "q18_feature_flags_done_right"),
        ("7", 'Don\'t "quote"', "q07_dont_quote"),
        ("Q09-own-words", "Anything: else", "q09_own_words"),
    ],
)
def test_new_names_the_folders_after_the_title(root, name, title, folder):
    """`new` writes three folders that the catalog reads; any title is legal."""
    made = author.new(name, title=title)
    assert made == [root / kind / folder for kind in ("exercises", "solutions", "graders")]
    assert [(e.folder, e.title) for e in catalog.load_all()] == [(folder, title)]


@pytest.mark.parametrize("name", ["", "q0", "eighteen", "q18/../x", "q18_"])
def test_new_wants_an_id(root, name):
    """What cannot be an id is refused, and nothing is written."""
    with pytest.raises(UsageError, match="is not the id of an exercise"):
        author.new(name)
    assert not list((root / "exercises").iterdir())


def test_new_wants_a_word_for_the_folder(root):
    """A title without a letter names no folder."""
    with pytest.raises(UsageError, match="no word"):
        author.new("q1", title="???")


@pytest.mark.parametrize("kind", ["exercises", "solutions", "graders"])
def test_new_never_touches_what_is_there(root, kind):
    """A number is taken if any of the three folders has it."""
    (root / kind / "q018_older").mkdir()
    with pytest.raises(UsageError, match=f"q18 is taken: {kind}/q018_older"):
        author.new("q18")


def test_new_works_in_a_checkout_only(root, monkeypatch):
    """An installed package is nobody's to edit."""
    installed = root.rename(root.with_name("_content"))
    monkeypatch.setenv("ARCHPREP_CONTENT", str(installed))
    with pytest.raises(UsageError, match="in a checkout"):
        author.new("q18")


def test_new_leaves_nothing_half_written(root, monkeypatch):
    """Where one folder cannot be written, none is there afterwards."""
    genuine = shutil.copyfile

    def copyfile(source: Path, target: Path) -> None:
        if "graders" in str(target):
            raise OSError(errno.ENOSPC, "No space left on device", str(target))
        genuine(source, target)

    monkeypatch.setattr("archprep.author.scaffold.shutil.copyfile", copyfile)
    with pytest.raises(UsageError, match=r"cannot be written to .*: No space left on device"):
        author.new("q18")
    assert not any(list((root / kind).iterdir()) for kind in ("exercises", "solutions", "graders"))


def test_forged_replies_are_http():
    """Whatever a forger says, the judge's client can read it, and no number of it is kept."""
    pytest.importorskip("h11")
    from archprep.author import forged_replies
    from archprep.grading.http_client import HttpClient, Request
    from archprep.sandbox.sockets import listeners

    rng = random.Random(1)
    seen = forged_replies.ForgedReply(
        429, [("retry-after", "17"), ("content-length", "3")], '{"a": 12345}'
    )
    said = iter([seen, seen.redrawn(rng, forged_runner.redrawn), None, {"x": [1, "\x00", 0.5]}])
    with listeners(1) as (listener,):
        playing = forged_replies.serve([listener], lambda: next(said))
        web = HttpClient([Path(listener.getsockname())], playing.fate)
        first, second, third, fourth = (web.send(Request("GET", "/")) for _ in range(4))
    assert (first.status, first.header("retry-after"), first.json()) == (429, "17", {"a": 12345})
    assert second.json().keys() == {"a"}
    assert second.json()["a"] != 12345
    assert (third.json(), fourth.json()) == (None, {"x": [1, "\x00", 0.5]})
