"""The commands as a user runs them: real processes, exit codes, messages."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import RIGHT, Run, write_tree

from archprep import __version__

COMPLETE = "_PYTHON _M ARCHPREP_COMPLETE"  # click makes it of the words before the command


def test_an_exercise_from_start_to_finish(run: Run, workspace: Path) -> None:
    """Start, fail with reasons, write the code, pass: exit codes 1 and 0."""
    failed = run("check", cwd=workspace)
    assert failed.returncode == 1
    assert "Score 0/100" in failed.stdout
    (workspace / "answer.py").write_text(RIGHT)
    passed = run("check", cwd=workspace)
    assert passed.returncode == 0
    assert "Score 100/100" in passed.stdout
    assert "best 100" in run("list").stdout


def test_list_has_filters_and_json(run: Run) -> None:
    """`list --json` is one array with an object for each exercise; filters select from it."""
    rows = json.loads(run("list", "--json").stdout)
    assert [row["id"] for row in rows] == ["q1", "q3"]
    assert json.loads(run("list", "--json", "--difficulty", "easy").stdout) == []
    assert "q3" in run("list", "--section", "basic").stdout


def test_check_finds_the_exercise(run: Run, workspace: Path, desk: Path) -> None:
    """By the working directory, else by the last one started, or by --dir."""
    (workspace / "answer.py").write_text(RIGHT)
    deeper = workspace / "notes"
    deeper.mkdir()
    assert run("check", cwd=deeper).returncode == 0
    assert run("check", cwd=desk).returncode == 0
    assert run("check", "q1", "--dir", str(workspace), cwd=desk.parent).returncode == 0


def test_a_folder_with_the_entry_files_can_be_checked(run: Run, desk: Path) -> None:
    """--dir accepts a folder that archprep did not create."""
    write_tree(desk / "mine", {"answer.py": RIGHT})
    assert run("check", "q1", "--dir", "mine").returncode == 0


def test_json_is_one_object_and_the_seed_repeats_it(run: Run, workspace: Path) -> None:
    """The same seed and submission give the same inputs; standard output has nothing else."""
    (workspace / "answer.py").write_text("def add(a, b):\n    return a - b\n")
    one, two = (
        json.loads(run("check", "--json", "--seed", "7", cwd=workspace).stdout)["criteria"][0]
        for _ in range(2)
    )
    assert one["state"] == "failed"
    assert one["evidence"]["given"] == two["evidence"]["given"]
    assert (
        json.loads(run("check", "--json", "--seed", "8", cwd=workspace).stdout)["criteria"][0][
            "evidence"
        ]
        != one["evidence"]
    )


def test_a_part_can_be_checked(run: Run, workspace: Path) -> None:
    """--task and --criterion grade a part, which does not count as the best score."""
    (workspace / "answer.py").write_text(RIGHT)
    card = json.loads(run("check", "--json", "--task", "2", cwd=workspace).stdout)
    assert [c["id"] for c in card["criteria"]] == ["adds-to-nothing"]
    assert card["partial"] is True
    assert run("check", "--criterion", "adds", cwd=workspace).returncode == 0
    assert "in progress" in run("list").stdout


def test_another_folder_is_no_attempt_of_ones_own(
    run: Run, workspace: Path, tmp_path: Path
) -> None:
    """Its score does not count, and hints that follow say for which folder they are."""
    other = tmp_path / "theirs"
    other.mkdir()
    (other / "answer.py").write_text(RIGHT.replace("+", "*"))
    assert run("check", cwd=workspace).returncode == 1
    assert run("check", "q1", "--dir", str(other)).returncode == 1
    assert f"q1 adds, for {other}" in run("hint", "q1").stdout
    (other / "answer.py").write_text(RIGHT)
    assert run("check", "q1", "--dir", str(other)).returncode == 0
    assert "best 0" in run("list").stdout
    assert "1 attempt" in run("progress").stdout
    assert run("check", cwd=workspace).returncode == 1
    assert ", for " not in run("hint", "q1").stdout


def test_some_of_the_tasks_are_an_exercise_of_their_own(run: Run, desk: Path) -> None:
    """The workspace keeps the selection; scores are points of it, and percent."""
    done = run("start", "q1", "--tasks", "1")
    assert (done.returncode, "Tasks 1, " in done.stdout) == (0, True)
    workspace = desk / "q01_adding"
    (workspace / "answer.py").write_text(RIGHT)
    done = run("check", cwd=workspace)
    assert (done.returncode, "Score 60/60, 100 %" in done.stdout) == (0, True)
    card = json.loads(run("check", "--json", cwd=workspace).stdout)
    assert (card["selection"], card["partial"], card["percent"]) == ([1], False, 100)
    assert "best 60/60" in run("list").stdout
    assert "has no task 2" in run("check", "--task", "2", cwd=workspace).stderr
    again = run("start", "q1", "--tasks", "1-2")
    assert (again.returncode, "with task 1; nothing was changed." in again.stdout) == (0, True)
    assert "To fix: archprep start q3 --tasks 1,2" in run("start", "q3", "--tasks", "2").stderr


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["check", "q11"], "Did you mean"),
        (["check", "add"], "Did you mean q1?"),
        (["list", "--difficulty", "impossible"], "easy, medium, hard"),
        (["start", "nothing-like-it"], "archprep list"),
        (["check"], "archprep start"),
        (["check", "q3"], "archprep start q3"),
        (["hint", "q1", "nope"], "adds"),
        (["report", "q1"], "archprep check q1"),
        (["solution", "q1"], "--give-up"),
        (["check", "q1", "--dir", "missing"], "missing"),
        (["check", "q1", "--isolation", "Z"], "--isolation"),
        (["check", "q1", "--task", "1", "--criterion", "adds"], "cannot be combined"),
        (["check", "q1", "--seed", str(2**63)], "too large"),
    ],
)
def test_a_wrong_command_says_what_to_do(run: Run, desk: Path, args: list[str], says: str) -> None:
    """Exit code 2, a message and a tip; never a traceback."""
    if len(args) > 3 and "--dir" not in args:  # the mistake is only noticed in a workspace
        assert run("start", "q1").returncode == 0
    done = run(*args)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(("option", "value"), [("--task", "9"), ("--criterion", "addz")])
def test_a_part_that_does_not_exist(run: Run, workspace: Path, option: str, value: str) -> None:
    """The message lists the tasks or criteria."""
    done = run("check", option, value, cwd=workspace)
    assert done.returncode == 2
    assert ("adds" if option == "--criterion" else "1, 2") in done.stderr


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("def add(a, b:\n    return a\n", "answer.py:1"),
        ("def plus(a, b):\n    return a + b\n", "cannot import name 'add'"),
        ("def add(a):\n    return a\n", "positional argument"),
        ("def add(a, b):\n    return input()\n", "EOFError"),
        ("import nowhere_at_all\n", "nowhere_at_all"),
        ("raise SystemExit(0)\n", "SystemExit"),
    ],
)
def test_broken_code_is_scored_with_its_reason(
    run: Run, workspace: Path, text: str, says: str
) -> None:
    """It earns 0 points; the line is part of the result, not an error of the command."""
    (workspace / "answer.py").write_text(text)
    done = run("check", cwd=workspace)
    assert done.returncode == 1
    assert says in " ".join(done.stdout.split())  # wherever lines are wrapped
    assert "Score 0/100" in done.stdout


def test_a_missing_file_is_named(run: Run, workspace: Path) -> None:
    """A deleted or renamed file is a usage error, not a score of 0."""
    (workspace / "answer.py").rename(workspace / "answers.py")
    done = run("check", cwd=workspace)
    assert done.returncode == 2
    assert "answer.py" in done.stderr


def test_start_again_changes_nothing(run: Run, workspace: Path) -> None:
    """The second start resumes: no byte changes."""
    (workspace / "answer.py").write_text(RIGHT)
    before = {p: p.read_bytes() for p in workspace.iterdir()}
    again = run("start", "q1")
    assert again.returncode == 0
    assert "nothing was changed" in again.stdout
    assert {p: p.read_bytes() for p in workspace.iterdir()} == before


def test_reset_keeps_a_backup(run: Run, workspace: Path, desk: Path) -> None:
    """`reset` restores the starter and keeps every byte of the previous files."""
    (workspace / "answer.py").write_text(RIGHT)
    assert run("reset", "q1").returncode == 0
    assert "NotImplementedError" in (workspace / "answer.py").read_text()
    (backup,) = [p for p in desk.iterdir() if "backup" in p.name]
    assert (backup / "answer.py").read_text() == RIGHT


def test_hints_go_from_general_to_concrete_and_are_counted(run: Run, workspace: Path) -> None:
    """Each call reveals one more, and says when it is the last."""
    run("check", cwd=workspace)
    first, second, third = (run("hint", cwd=workspace).stdout for _ in range(3))
    assert "Python has an operator" in first
    assert "It is `+`" not in first
    assert "It is `+`" in second
    assert "last one" in third
    assert "--give-up" in third


def test_hints_fit_the_screen_and_any_encoding(run: Run, desk: Path) -> None:
    """Wrapped lines are indented; a character that the encoding lacks is escaped."""
    hint = "Look \u2713 " + "closely " * 20
    path = desk.parent / "content" / "exercises" / "q01_adding" / "hints.md"
    path.write_text(path.read_text(encoding="utf-8").replace("1. ", f"1. {hint}", 1), "utf-8")
    shown = run("hint", "q1", env={"PYTHONIOENCODING": "ascii", "COLUMNS": "60"})
    assert shown.returncode == 0
    assert "  1. Look \\u2713 closely" in shown.stdout
    assert "\n     closely closely" in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 70


def test_the_solution_opens_when_earned_or_given_up(run: Run, workspace: Path) -> None:
    """Before 100 points --give-up opens it, which is recorded; the diff has the user's code."""
    assert run("solution", "q1").returncode == 2
    opened = run("solution", "q1", "--give-up")
    assert opened.returncode == 0
    assert "return a + b" in opened.stdout
    assert "recorded" in opened.stdout
    assert "-    raise NotImplementedError" in opened.stdout
    assert run("solution", "q1").returncode == 0


def test_the_solution_opens_whatever_the_users_files_are(run: Run, workspace: Path) -> None:
    """The diff is sanitized; for a file that cannot be read there is none."""
    answer = workspace / "answer.py"
    answer.write_bytes(b"\xff = '\x1b[2J'\n")
    shown = run("solution", "q1", "--give-up", cwd=workspace)
    assert (shown.returncode, "\x1b" in shown.stdout) == (0, False)
    assert "-\ufffd = ''" in shown.stdout
    answer.unlink()
    answer.mkdir()
    shown = run("solution", "q1", cwd=workspace)
    assert shown.returncode == 0
    assert "return a + b" in shown.stdout


def test_report_overwrites_only_reports(run: Run, workspace: Path) -> None:
    """HTML and JSON of the last attempt; any other file stays as it is."""
    (workspace / "answer.py").write_text(RIGHT)
    run("check", cwd=workspace)
    done = run("report", "--html", "r.html", "--json", "r.json", cwd=workspace)
    assert done.returncode == 0
    assert "<html" in (workspace / "r.html").read_text()
    assert json.loads((workspace / "r.json").read_text())["score"] == 100
    assert run("report", "--html", "r.html", cwd=workspace).returncode == 0
    assert run("report", "--html", "answer.py", cwd=workspace).returncode == 2
    assert (workspace / "answer.py").read_text() == RIGHT


def test_the_candidates_modules_never_run_in_the_judge(run: Run, workspace: Path) -> None:
    """Modules and settings named like those of the library, pytest or archprep have no effect."""
    (workspace / "answer.py").write_text("def add(a, b):\n    return 0\n")
    bomb = "import os\nos.write(2, b'LOADED IN THE JUDGE')\nos._exit(0)\n"
    for name in (
        "json",
        "random",
        "typing",
        "signal",
        "pytest",
        "conftest",
        "sitecustomize",
        "yaml",
    ):
        (workspace / f"{name}.py").write_text(bomb)
    (workspace / "pytest.ini").write_text("[pytest]\naddopts = -k none\n")
    done = run(
        "check", cwd=workspace, env={"PYTEST_ADDOPTS": "-k none", "PYTEST_PLUGINS": "conftest"}
    )
    assert done.returncode == 1
    assert "LOADED IN THE JUDGE" not in done.stderr
    assert "Score 0/100" in done.stdout


@pytest.mark.parametrize("path", [":/opt/tools", "/opt/tools:", ".", "{workspace}"])
def test_a_search_path_of_the_candidates_is_not_searched_by_the_judge(
    run: Run, workspace: Path, path: str
) -> None:
    """An empty entry of PYTHONPATH, as `PYTHONPATH=$PYTHONPATH:/x` leaves it, means this folder."""
    (workspace / "answer.py").write_text(RIGHT)
    for name in ("json", "queue", "signal", "pytest", "multiprocessing"):
        (workspace / f"{name}.py").write_text("import os\nos.write(2, b'LOADED IN THE JUDGE')\n")
    done = run("check", cwd=workspace, env={"PYTHONPATH": path.format(workspace=workspace)})
    assert (done.returncode, done.stderr) == (0, "")


def test_plain_output_without_a_terminal(run: Run, workspace: Path) -> None:
    """No escape sequence reaches a file or a pipe, and no line is wider than 80 columns."""
    for done in (run("check", cwd=workspace), run("list"), run("hint", cwd=workspace)):
        assert "\x1b" not in done.stdout
        assert max(len(line) for line in done.stdout.splitlines()) <= 80


def test_two_checks_at_once(run: Run, workspace: Path) -> None:
    """Both finish, and both attempts are saved."""
    (workspace / "answer.py").write_text(RIGHT)
    command = [sys.executable, "-m", "archprep", "check"]
    both = [subprocess.Popen(command, cwd=workspace, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [p.wait(60) for p in both] == [0, 0]


def test_an_attempt_that_cannot_be_saved_is_still_shown(
    run: Run, workspace: Path, home: Path
) -> None:
    """If the home is a file: the scorecard, then the message; the exit code is the verdict."""
    (workspace / "answer.py").write_text(RIGHT)
    blocked = home.parent / "a-file"
    blocked.write_text("")
    done = run("check", "q1", "--dir", str(workspace), env={"ARCHPREP_HOME": str(blocked)})
    assert "Score 100/100" in done.stdout
    assert done.returncode == 0
    assert "it was not saved" in done.stderr


@pytest.mark.parametrize(("code", "verdict"), [(RIGHT, 0), ("def add(a, b): ...\n", 1)])
def test_a_reader_that_has_read_enough_changes_no_exit_code(
    workspace: Path, code: str, verdict: int
) -> None:
    """As in `archprep check | head -1`."""
    (workspace / "answer.py").write_text(code)
    line = f"set -o pipefail; {sys.executable} -m archprep check --json | true"
    done = subprocess.run(["bash", "-c", line], cwd=workspace, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (verdict, b"")


def test_a_damaged_state_database_is_moved_aside(run: Run, workspace: Path, home: Path) -> None:
    """archprep continues with a new one, says so, and deletes nothing."""
    for path in home.glob("state.sqlite*"):
        path.unlink()
    (home / "state.sqlite").write_bytes(b"not a database " * 1000)
    done = run("check", cwd=workspace)
    assert done.returncode == 1
    assert any("broken" in p.name for p in home.iterdir())
    assert "is kept as" in done.stderr


def test_ctrl_c_leaves_no_process(run: Run, workspace: Path, home: Path) -> None:
    """Interrupted in an endless loop: exit code 130, and no process is left."""
    (workspace / "answer.py").write_text(
        "def add(a, b):\n    print('spinning', flush=True)\n    while True:\n        pass\n"
    )
    command = [sys.executable, "-m", "archprep", "check"]
    process = subprocess.Popen(command, cwd=workspace, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 20
    while not _tree(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1)  # well inside the scenario's 4 s
    children = _tree(process.pid)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in said
    assert "Interrupted" in said
    assert children
    assert not [pid for pid in children if _alive(pid)]


@pytest.mark.parametrize("seconds", [0.03, 0.06, 0.09])
def test_ctrl_c_while_modules_are_imported(run: Run, seconds: float) -> None:
    """As soon as archprep runs, there is a message and no traceback."""
    code = (
        "import archprep.__main__ as m, os, signal, threading;"
        f"threading.Timer({seconds}, os.kill, (os.getpid(), signal.SIGINT)).start();"
        "import sys; sys.argv = ['archprep', 'doctor']; m.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "Interrupted. Nothing was lost.\n")


def test_help_of_every_command_has_an_example(run: Run) -> None:
    """In the output of `--help`."""
    commands = "list start check watch run hint solution reset report progress doctor tour"
    for name in commands.split():
        assert f"Example: archprep {name}" in run(name, "--help").stdout
    assert "Example: archprep author check" in run("author", "check", "--help").stdout


def test_version(run: Run) -> None:
    """One line, and no command is needed."""
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"archprep {__version__}\n")


@pytest.mark.parametrize(
    ("line", "offers"),
    [
        ("archprep hi", ["hint"]),
        ("archprep check q", ["q1", "q3"]),
        ("archprep check q1 --criterion adds-", ["adds-to-nothing"]),
        ("archprep check --criterion adds-", ["adds-to-nothing"]),
        ("archprep hint q1 adds-", ["adds-to-nothing"]),
        ("archprep check q9 --criterion a", []),
    ],
)
def test_completion(run: Run, workspace: Path, line: str, offers: list[str]) -> None:
    """As bash asks for it; without an id, criteria are those of the current workspace."""
    asked = {"COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    done = run(cwd=workspace, env={**asked, COMPLETE: "complete_bash"})
    assert (done.stdout.split(), done.stderr) == (offers, "")


def test_doctor_checks_the_machine(run: Run) -> None:
    """Including its isolation."""
    done = run("doctor")
    assert "isolation" in done.stdout
    assert "Traceback" not in done.stderr


def test_tour_overwrites_nothing(run: Run, workspace: Path) -> None:
    """It writes the reference, so never into an existing workspace."""
    mine = (workspace / "answer.py").read_text()
    done = run("tour", "--dir", str(workspace.parent))
    assert done.returncode == 2
    assert "would overwrite files" in done.stderr
    assert (workspace / "answer.py").read_text() == mine


def test_tour_goes_from_start_to_report(run: Run, desk: Path) -> None:
    """0 points, 100 points, a report; the user's attempts do not change."""
    done = run("tour", "q1", "--dir", "trip")
    assert done.returncode == 0
    assert "Score 0/100" in done.stdout
    assert "Score 100/100" in done.stdout
    assert (desk / "trip" / "report.html").exists()
    assert "not started" in run("list").stdout


def _tree(pid: int) -> list[int]:
    import psutil

    return [p.pid for p in psutil.Process(pid).children(recursive=True)]


def _alive(pid: int) -> bool:
    import psutil

    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
