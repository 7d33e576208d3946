"""Servers that attack the judge as their client; harness.py explains the format of cases.

Numbers 43-50 of the attack catalogue, and others. Each attacks one task or none; the servers of
the other tasks are honest, and pass.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hostile.harness import (
    CASES,
    SERVICE,
    Expected,
    Server,
    check,
    level_a_only,
    numbers_of,
    outcome_of,
    source_of,
    staged,
    toy_of,
)

pytest.importorskip("uvicorn")

MINE = [case for case in CASES if toy_of(source_of(case)) is SERVICE]

pytestmark = level_a_only

# Replies to all requests except the first: what `attack(link, request, right)` does.
REPLIES = {
    "z_timeout_43_never_answers": r"time.sleep(60)",
    "z_protocol_43_closes_its_listener": r"end(); link.close(); time.sleep(60)",
    "z_crash_43_exits_within_a_reply": r"link.sendall(OK + b'Content-Length: 9'); os._exit(3)",
    "z_timeout_43_stops_within_a_reply": r"link.sendall(OK); os.kill(os.getpid(), signal.SIGSTOP)",
    # Time
    "z_timeout_44_slow_headers": r"drip(link, OK, b'x: y\r\n')",
    "z_timeout_44_slow_body": r"drip(link, OK + b'Content-Length: 500\r\n\r\n', b'1')",
    "z_timeout_44_slow_hints": r"drip(link, b'', HINT)",
    "z_timeout_44_out_of_band": r"link.send(b'x', socket.MSG_OOB); time.sleep(60)",
    "z_timeout_44_chunk_that_never_comes": r"link.sendall(CHUNKED + b'fff\r\n'); time.sleep(60)",
    # Size
    "z_output_44_endless_body": r"flood(link, OK + b'\r\n', b'1' * 60000)",
    "z_output_44_endless_hints": r"flood(link, b'', HINT * 1000)",
    "z_output_44_large_body": r"answer(link, b' ' * (2 << 20))",
    "z_protocol_44_endless_headers": r"flood(link, OK, b'x: y\r\n' * 1000)",
    "z_protocol_44_endless_line": r"flood(link, OK + b'x: ', b'y' * 60000)",
    "z_protocol_44_endless_trailers": r"flood(link, CHUNKED + b'0\r\n', b'x: y\r\n' * 1000)",
    "z_protocol_44_endless_extension": r"flood(link, CHUNKED + b'1;x=', b'y' * 60000)",
    # What is not a reply
    "z_protocol_44_nothing": r"pass",
    "z_protocol_44_other_protocol": r"link.sendall(b'SSH-2.0-OpenSSH_9.2p1\r\n')",
    "z_protocol_44_only_a_body": r"link.sendall(right(request))",
    "z_protocol_44_cut_off_headers": r"link.sendall(OK)",
    "z_protocol_44_cut_off_body": r"link.sendall(OK + b'Content-Length: 9\r\n\r\n1')",
    "z_protocol_44_switches_protocols": r"answer(link, right(request), SWITCH)",
    "z_protocol_44_status_099": r"answer(link, right(request), b'HTTP/1.1 099 OK\r\n')",
    "z_protocol_44_status_1000": r"answer(link, right(request), b'HTTP/1.1 1000 OK\r\n')",
    "z_protocol_44_status_2_5": r"answer(link, right(request), b'HTTP/1.1 2.5 OK\r\n')",
    "z_protocol_44_version_11": r"answer(link, right(request), b'HTTP/11 200 OK\r\n')",
    "z_protocol_44_no_content_with_body": r"answer(link, right(request), b'HTTP/1.1 204 No\r\n')",
    "z_protocol_44_not_modified_with_body": r"answer(link, right(request), b'HTTP/1.1 304 No\r\n')",
    # Names and lengths that other clients interpret differently
    "z_protocol_44_escape_in_a_name": r"answer(link, right(request), OK + b'\x1b[2Jx: y\r\n')",
    "z_protocol_44_return_in_a_name": r"answer(link, right(request), OK + b'x\rx: y\r\n')",
    "z_protocol_44_nul_in_a_name": r"answer(link, right(request), OK + b'x\0x: y\r\n')",
    "z_protocol_44_nul_in_a_value": r"answer(link, right(request), OK + b'x: y\0y\r\n')",
    "z_protocol_44_eight_bits_in_a_name": r"answer(link, right(request), OK + b'x\xe9: y\r\n')",
    "z_protocol_44_space_after_a_name": r"answer(link, right(request), OK + b'x : y\r\n')",
    "z_protocol_44_no_name": r"answer(link, right(request), OK + b': y\r\n')",
    "z_protocol_44_lengths_that_differ": r"answer(link, b'1', OK + b'Content-Length: 2\r\n')",
    "z_protocol_44_length_below_zero": r"link.sendall(OK + b'Content-Length: -1\r\n\r\n1')",
    "z_protocol_44_length_without_end": (
        r"link.sendall(OK + b'Content-Length: ' + b'9' * 5000 + b'\r\n\r\n1')"
    ),
    "z_protocol_44_chunk_below_zero": r"link.sendall(CHUNKED + b'-1\r\n1')",
    "p_44_length_and_chunks": (
        r"link.sendall(OK + b'Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n')"
        "\n    "
        r"link.sendall(b'%x\r\n%b\r\n0\r\n\r\n' % (len(right(request)), right(request)))"
    ),
    "p_44_escape_in_a_value": r"answer(link, right(request), OK + b'x: \x1b[2J\x9b\xe9\r\n')",
    "p_44_ends_with_the_connection": r"link.sendall(b'HTTP/1.0 200 OK\r\n\r\n' + right(request))",
    "p_44_hints_before": r"link.sendall(HINT * 20); answer(link, right(request))",
    # Only the first reply on a connection counts
    "p_44_right_and_wrong": r"answer(link, right(request)); answer(link, b'0')",
    "z_failed_44_wrong_and_right": r"answer(link, b'0'); answer(link, right(request))",
    # JSON
    "z_protocol_42_deep_reply": r"answer(link, b'[' * 100_000 + b']' * 100_000)",
    "z_protocol_42_long_integer": r"answer(link, b'9' * 5000)",
    "z_protocol_42_nan": r"answer(link, b'NaN')",
    "z_protocol_42_key_twice": r"answer(link, b'{\"a\": 1, \"a\": 1}')",
    "z_protocol_42_two_values": r"answer(link, right(request) + b', \"body\": ' + right(request))",
    "z_failed_42_large_reply": r"answer(link, b'[' + b'[],' * 100_000 + b'0]')",
    # What decompresses to 300 MB
    "z_protocol_45_gzip": r"answer(link, bomb(), OK + b'Content-Encoding: gzip\r\n')",
    "z_protocol_45_br": r"answer(link, bomb(), OK + b'Content-Encoding: br\r\n')",
    "z_protocol_45_all": r"answer(link, bomb(), OK + b'Content-Encoding: gzip, deflate, zstd\r\n')",
    "z_protocol_45_transfer": r"answer(link, bomb(), OK + b'Transfer-Encoding: gzip, chunked\r\n')",
    "z_output_45_chunk": r"flood(link, CHUNKED + b'fffffffffffffff\r\n', b'1' * 60000)",
    "p_45_only_in_words": r"answer(link, right(request), OK + b'Content-Encoding: gzip\r\n')",
    # What other clients follow, store or answer
    "z_failed_46_redirect": r"redirect(link, 'http://169.254.169.254/latest/meta-data/')",
    "z_failed_46_redirect_to_a_port": r"redirect(link, 'http://127.0.0.1:@PORT@/')",
    "z_failed_46_redirect_to_a_file": r"redirect(link, 'file://@CANARY_FILE@')",
    "z_failed_46_redirect_to_a_socket": r"redirect(link, 'http+unix://@SOCKET@')",
    "z_failed_46_redirect_to_itself": r"redirect(link, '/sum')",
    "z_failed_46_asks_who_it_is": (
        r"answer(link, b'0', b'HTTP/1.1 401 No\r\nWWW-Authenticate: Negotiate, Basic realm=x\r\n')"
    ),
    "z_output_46_ten_thousand_fields": r"answer(link, right(request), OK + b'a: b\r\n' * 10_000)",
    "p_46_cookies": (
        r"cookie = b'Set-Cookie: a' + b'a' * 8000 + b'=b; Domain=.com; Max-Age=999999999999\r\n'"
        "\n    sent = b'cookie' in request.lower()"
        "\n    answer(link, b'0' if sent else right(request), OK + cookie * 4)"
    ),
}

ATTACKS = """\
import gzip
import json
import os
import signal
import socket
import time

import raw
from honest import make_app as honest
from raw import *

FIRST = os.getpid()  # of two apps, each in a process of its own
HINT = b"HTTP/1.1 103 Early Hints\\r\\n\\r\\n"
SWITCH = b"HTTP/1.1 101 Switching\\r\\nConnection: upgrade\\r\\nUpgrade: websocket\\r\\n"


def make_app(vault=None, name=""):
    if os.getpid() != FIRST:
        return honest(vault, name)
    if vault:
        raw.play(attack_2, lambda path, _: vault.get(path.rpartition("/")[2]))
    if name:
        raw.play(attack_3, lambda *_: name)
    raw.play(attack_1, lambda _, body: sum(json.loads(body)))


def bomb():
    return gzip.compress(bytes(1 << 20)) * 300


def redirect(link, where):
    head = "HTTP/1.1 302 Found\\r\\nRefresh: 0; url={0}\\r\\nLocation: {0}\\r\\n"
    answer(link, b"0", head.format(where).encode())


def end():
    for listener in listeners():
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
"""
ATTACK = """

def attack_NUMBER(link, request, right):
    CODE
"""


@pytest.mark.parametrize("case", MINE, ids=lambda path: path.stem)
def test_a_hostile_service_gets_its_stated_outcome(case: Path, server: Server, tmp_path: Path):
    """And every general condition of the catalogue holds."""
    folder = staged(case, tmp_path / "submission", server, SERVICE)
    check(server, folder, Expected.of(source_of(case)))


def in_threes() -> list[list[str]]:
    """Group replies by three, one per task of a submission; those in a group take equally long."""
    names = list(REPLIES)
    rows = -(-len(names) // 3)
    return [names[row::rows] for row in range(rows)]


@pytest.mark.parametrize("names", in_threes(), ids="-".join)
def test_replies(names: list[str], server: Server, tmp_path: Path):
    """Cases 42-46: an invalid or late reply is the candidate's fault, and harms nothing else."""
    code = ATTACKS
    for number in (1, 2, 3):
        does = (
            REPLIES[names[number - 1]] if number <= len(names) else "answer(link, right(request))"
        )
        code += ATTACK.replace("NUMBER", str(number)).replace("CODE", does)
    (tmp_path / "case.py").write_text(code)
    folder = staged(tmp_path / "case.py", tmp_path / "submission", server, SERVICE)
    outcomes = [f"task {n} = {outcome_of(name)}" for n, name in enumerate(names, 1)]
    check(server, folder, Expected(outcomes, toy=SERVICE, within=12))


def test_every_case_of_the_catalogue_is_here():
    """Every number that needs a server; 40 and 42 apply to servers as well."""
    found = numbers_of(MINE) | {int(re.search(r"\d+", name)[0]) for name in REPLIES}
    assert found == {40, 42, *range(43, 51)}
