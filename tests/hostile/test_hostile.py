"""Submissions that attack the judge without HTTP or DAGs; harness.py explains their format.

Numbers 1-42, 54 and 59-62 of the attack catalogue; the others are in test_hostile_*.py.
"""

from __future__ import annotations

import json
import re
import shutil
import struct
import threading
import zlib
from pathlib import Path

import pytest
from hostile.harness import (
    CASES,
    HERE,
    PLAIN,
    Expected,
    Server,
    check,
    check_general_conditions,
    judging,
    level_a_only,
    numbers_of,
    outcome_of,
    source_of,
    staged,
    toy_of,
)

MINE = [case for case in CASES if toy_of(source_of(case)) is PLAIN]
PAIRED = {"p_28_leaves_traces", "p_29_marks_and_looks", "z_timeout_32_fork_bomb"}  # in other tests
PROCESSES = 16

pytestmark = level_a_only

# Invalid bytes, valid ones that only look invalid (case 59), and sources that are hard to compile
# (case 61).
HONEST = b"from honest import fetch, weigh\n"
# How the compiler fails depends on the version of Python, memory and the C stack.
HARD = "all = candidate_error import, candidate_error crash, candidate_error memory, passed"
SOURCES = {
    "p_59_byte_order_mark": (b"\xef\xbb\xbf" + HONEST, "all = passed", ""),
    "p_59_crlf": (HONEST.replace(b"\n", b"\r\n"), "all = passed", ""),
    "p_59_latin_1_declared": (b"# coding: latin-1\n# \xe9\n" + HONEST, "all = passed", ""),
    "p_59_utf_7_declared": (b"# coding: utf-7\n" + HONEST, "all = passed", ""),
    "z_crash_59_empty": (b"", "all = candidate_error crash", "weigh"),
    "z_crash_59_only_comments": (b"# nothing\n", "all = candidate_error crash", "weigh"),
    "z_import_59_syntax_error": (HONEST + b"def (:\n", "all = candidate_error import", "line 2"),
    "z_import_59_tabs_and_spaces": (
        HONEST + b"if fetch:\n\tx = 1\n        y = 2\n", "all = candidate_error import", "line 4",
    ),
    "z_import_59_latin_1": (
        HONEST + b"x = '\xe9'\n", "all = candidate_error import", "SyntaxError",
    ),
    "z_import_59_unknown_coding": (
        b"# coding: klingon\n" + HONEST, "all = candidate_error import", "klingon",
    ),
    "z_import_59_nul_byte": (HONEST + b"x = 1\x00\n", "all = candidate_error import", "null"),
    "z_import_61_nested_parentheses": (
        HONEST + b"(" * 5000 + b"1" + b")" * 5000, "all = candidate_error import", "line 2",
    ),
    "z_crash_61_many_branches": (HONEST + b"if 0:pass\n" + b"elif 0:pass\n" * 20_000, HARD, ""),
    "z_crash_61_long_expression": (HONEST + b"x = " + b"1+" * 100_000 + b"1", HARD, ""),
}  # fmt: skip


def framed(body: bytes) -> bytes:
    """Return a frame as the worker would send it."""
    return struct.pack(">I", len(body)) + body


# Bytes on the judge's channel other than one valid frame (cases 10, 18 and 42).
CHANNEL = {
    "z_protocol_10_two_frames": framed(b'{"result": [1]}') + framed(b'{"result": [2]}'),
    "z_protocol_10_trailing_bytes": framed(b'{"result": [1]}') + b"and more",
    "z_protocol_10_truncated_frame": framed(b'{"result": [1]}')[:-1],
    "z_protocol_10_length_too_large": struct.pack(">I", 100) + b'{"result": [1]}',
    "z_protocol_10_length_too_small": struct.pack(">I", 3) + b'{"result": [1]}',
    "z_protocol_10_length_of_4_gigabytes": b"\xff\xff\xff\xff{}",
    "z_protocol_18_pickle": framed(
        b"\x80\x04c__builtin__\nopen\n(X\x09\0\0\0unpickledX\1\0\0\0wtR."
    ),
    "z_protocol_18_yaml": framed(b"result: !!python/object/apply:os.system ['touch loaded']"),
    "z_protocol_42_deep": framed(b'{"result": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "z_protocol_42_deep_objects": framed(
        b'{"result": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001
    ),
    "z_protocol_42_long_integer": framed(b'{"result": [' + b"9" * 5000 + b"]}"),
    "z_protocol_42_infinite": framed(b'{"result": [1e999]}'),
    "z_protocol_42_nan": framed(b'{"result": [NaN]}'),
    "z_protocol_42_lone_surrogate": framed(b'{"result": ["\\ud800"]}'),
    "z_protocol_42_surrogate_bytes": framed(b'{"result": ["\xed\xa0\x80"]}'),
    "z_protocol_42_frame_of_2_mib": framed(b'{"result": ["' + b"x" * (2 << 20) + b'"]}'),
    "z_protocol_42_duplicate_keys": framed(b'{"result": [1], "result": [2]}'),
    "z_protocol_42_duplicate_keys_inside": framed(b'{"result": [{"a": 1, "a": 2}]}'),
    "z_protocol_42_unknown_key": framed(b'{"result": [1], "score": 100}'),
    "z_protocol_42_other_encoding": framed('{"result": [1]}'.encode("utf-16")),
    "z_protocol_42_wrong_form": framed(b'{"result": [[1], {"a": null}, true]}'),
    "z_failed_42_as_much_as_fits": framed(b'{"result": [' + b"1," * 500_000 + b"1]}"),
    "z_failed_42_empty": framed(b'{"result": []}'),
}

WRITES = """\
import os
import zlib

from honest import fetch

data = zlib.decompress(bytes.fromhex("DATA"))


def weigh(numbers):
    sent = 0
    while sent < len(data):
        sent += os.write(3, data[sent:])
    os._exit(0)
"""

# Expressions for values that a submission returns (case 42).
RETURNED = {
    "z_crash_42_returns_nan": "float('nan')",
    "z_crash_42_returns_infinity": "1e999",
    "z_crash_42_returns_bytes": "b'1'",
    "z_crash_42_returns_a_loop": "[loop := [], loop.append(loop)]",
    "z_crash_42_returns_deep_lists": "nested([], 5000)",
    "z_crash_42_returns_strange_keys": "{(1, 2): 3}",
    "z_protocol_42_returns_a_long_integer": "10**1000",
    "z_protocol_42_returns_a_lone_surrogate": "'\\ud800'",
    "z_protocol_42_returns_a_truth_value": "True",
    "z_failed_42_returns_unprintable_text": "'\\x1b[2J\\r\\u202e' * 1000",
    "z_failed_42_returns_minus_zero": "-0",
}
NESTED = """
def nested(value, times):
    for _ in range(times):
        value = [value]
    return value
"""


@pytest.mark.parametrize(
    "case", [path for path in MINE if path.stem not in PAIRED], ids=lambda path: path.stem
)
def test_a_hostile_submission_gets_its_stated_outcome(case: Path, server: Server, tmp_path: Path):
    """And every general condition of the catalogue holds."""
    expected = Expected.of(source_of(case))
    staged(case, tmp_path / "submission", server)
    check(server, tmp_path / "submission", expected)


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_that_is_hard_to_read(name: str, server: Server, tmp_path: Path):
    """Cases 59 and 61: what Python can compile is graded, anything else fails."""
    source, outcome, message = SOURCES[name]
    folder = staged(None, tmp_path / "submission", server)
    (folder / "toy.py").write_bytes(source)
    check(server, folder, Expected([outcome], messages=[message]))


@pytest.mark.parametrize("name", CHANNEL)
def test_bytes_on_the_judges_channel(name: str, server: Server, tmp_path: Path):
    """Cases 10, 18 and 42: anything but one valid frame is the candidate's protocol error."""
    folder = staged(None, tmp_path / "submission", server)
    data = zlib.compress(CHANNEL[name]).hex()
    (folder / "toy.py").write_text(WRITES.replace("DATA", data))
    check(server, folder, Expected([f"task 1 = {outcome_of(name)}"]))


@pytest.mark.parametrize("name", RETURNED)
def test_values_that_are_returned(name: str, server: Server, tmp_path: Path):
    """Case 42: only plain data arrives, and what arrives is harmless."""
    code = f"from honest import fetch\n{NESTED}\ndef weigh(numbers):\n    return {RETURNED[name]}\n"
    folder = staged(None, tmp_path / "submission", server)
    (folder / "toy.py").write_text(code)
    check(server, folder, Expected([f"task 1 = {outcome_of(name)}"]))


@pytest.mark.parametrize("name", ["p_03_conftest", "p_04_pytest_settings", "p_05_shadowed_tools"])
def test_a_judge_started_in_the_workspace(name: str, server: Server, tmp_path: Path):
    """Cases 3-5: nothing is read from the working directory, even if it is the candidate's own."""
    folder = staged(HERE / name, tmp_path / "submission", server)
    check(server, folder, Expected(["all = passed"]), cwd=folder)


def test_printed_inputs_are_worth_nothing_the_next_time(server: Server, tmp_path: Path):
    """Case 24: answers memorized from an earlier attempt fail."""
    shown = []
    for attempt in range(2):
        folder = staged(HERE / "s_24_prints_its_inputs.py", tmp_path / str(attempt), server)
        card = check(server, folder, Expected(["task 1 = failed"]))
        outputs = {c["id"]: c["evidence"]["output"] for c in card["criteria"]}
        assert not outputs["fetches"], "the output of one scenario is shown with another"
        shown.append(set(re.findall(r"numbers (\[.*?\])", outputs["weighs"])))
    assert shown[0], "candidates may see their own output"
    assert not shown[0] & shown[1]
    known = {tuple(n): sum(x * x for x in n) for n in map(json.loads, shown[0]) if min(n) >= 0}
    code = f"KNOWN = {known}\ndef weigh(numbers):\n    return KNOWN.get(tuple(numbers), 0)\n"
    folder = staged(None, tmp_path / "replayed", server)
    (folder / "toy.py").write_text("from honest import fetch\n" + code)
    check(server, folder, Expected(["task 1 = failed"]))


def test_a_submission_leaves_nothing_for_the_next(server: Server, tmp_path: Path):
    """Case 28: the same judge grades the same code twice."""
    for attempt in range(2):
        folder = staged(HERE / "p_28_leaves_traces.py", tmp_path / str(attempt), server)
        check(server, folder, Expected(["all = passed"]))


def test_submissions_side_by_side_do_not_see_each_other(
    server: Server, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, home: Path
):
    """Case 29: two judges run at the same time."""
    with judging(tmp_path_factory, home) as second:
        judges = {"first": server, "second": second}
        for name, judge in judges.items():
            judge.send(staged(HERE / "p_29_marks_and_looks.py", tmp_path / name, judge))
        for judge in judges.values():
            result = judge.result()
            assert result["card"]["score"] == 100, json.dumps(result["card"])
            check_general_conditions(judge, result, json.dumps(result["card"]))


def test_floods_leave_nothing_in_memory_or_on_disk(server: Server, tmp_path: Path):
    """Cases 35 and 36: the memory of files, pipes and sockets is free again."""
    before, disk = shared_mb(), shutil.disk_usage(server.tmp).free
    for name in ("z_crash_35_many_files", "p_35_deep_tree", "z_crash_36_pipe_buffers"):
        server.send(staged(HERE / f"{name}.py", tmp_path / name, server))
        server.result()
    assert shared_mb() - before < 30
    assert disk - shutil.disk_usage(server.tmp).free < 30 << 20


def test_a_fork_bomb_stays_within_its_limit(server: Server, tmp_path: Path):
    """Case 32: there are never more processes than two scenarios may have."""
    folder = staged(HERE / "z_timeout_32_fork_bomb.py", tmp_path / "submission", server)
    counted, over = [0], threading.Event()

    def count() -> None:
        while not over.wait(0.02):
            counted.append(len(server.processes()))

    counting = threading.Thread(target=count)
    counting.start()
    try:
        check(server, folder, Expected(["task 1 = candidate_error timeout"]))
    finally:
        over.set()
        counting.join()
    assert PROCESSES // 2 < max(counted) <= 2 * PROCESSES + 8


def test_every_case_of_the_catalogue_is_here():
    """Every number of this file's part."""
    found = numbers_of(MINE)
    found |= {int(re.search(r"\d+", name)[0]) for name in (*SOURCES, *CHANNEL, *RETURNED)}
    assert found == {*range(1, 43), 54, 59, 60, 61, 62}


def shared_mb() -> int:
    """Return the memory of files in memory, on the whole machine."""
    return int(Path("/proc/meminfo").read_text().split("Shmem:")[1].split()[0]) >> 10
