"""Serves the candidate's app and hands it the judge's objects; nothing here knows what is right."""

from __future__ import annotations

import asyncio
import json
import socketserver
import tempfile
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from socket import AF_UNIX, socket

AT_ONCE = 32  # calls of the judge's objects that wait at the same time
OWN = {b"x-peer", b"x-now", b"x-ring", b"x-told", b"x-files"}  # headers of the judge's


# -- apps behind HTTP


def one(listeners, site, users, hasher, limiter, news):
    """Serve an app in this process."""
    from archprep.worker.serve import serve

    stubs = {"users": users, "hasher": hasher, "limiter": limiter, "news": news}
    serve(Front(site, in_folder(), stubs), listeners[0])


def several(listeners, site, users, hasher, limiter, news):
    """Serve an app in each of several processes, on one database."""
    from archprep.worker.serve import serve_each

    stubs = {"users": users, "hasher": hasher, "limiter": limiter, "news": news}
    database, hub = in_folder(), Hub(stubs)

    def make(number):
        if number:
            return Front(site, database, {name: Remote(hub.path, name) for name in stubs})
        threading.Thread(target=hub.serve_forever, daemon=True).start()
        return Front(site, database, stubs)

    serve_each(make, listeners)


def in_folder():
    return str(Path(tempfile.mkdtemp()) / "tokens.sqlite")


class Front:
    """What stands before the app: takes off the judge's headers and does what they say.

    Each request brings the address it comes from, the time and the keys in use.
    """

    def __init__(self, site, database, stubs):
        import auth

        self._database, self._news = database, stubs["news"]
        self._clock, self._ring = Clock(site["now"]), Ring(site["keys"], *site["ring"])
        self._app = auth.create_app(
            settings_of(site["settings"], database),
            users=Users(stubs["users"]),
            hasher=stubs["hasher"],
            keys=self._ring,
            clock=self._clock,
            limiter=Limiter(stubs["limiter"]),
        )

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(AT_ONCE))
            await self._app(scope, receive, send)
            return
        told = {n: v.decode() for n, v in scope["headers"] if n in OWN}
        headers = [(n, v) for n, v in scope["headers"] if n not in OWN]
        self._clock.now = float(told[b"x-now"])
        self._ring.turn(*json.loads(told[b"x-ring"]))
        if b"x-files" in told:
            await answer(send, zlib.compress(contents(self._database), 1))
            return
        scope = {**scope, "headers": headers, "client": (told[b"x-peer"], 1)}
        await self._app(scope, receive, send)
        if b"x-told" in told:
            with suppress(Exception):  # the scenario may be over by now
                await asyncio.to_thread(self._news.answered)


async def answer(send, body):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


def contents(database):
    """All bytes in the file of a database and in those beside it."""
    return b"".join(path.read_bytes() for path in sorted(Path(database).parent.iterdir()))


def settings_of(plain, database):
    import ports

    clients = tuple(
        ports.Client(c["id"], c["secret_hash"], tuple(c["redirect_uris"]), tuple(c["scopes"]))
        for c in plain["clients"]
    )
    secret = bytes.fromhex(plain["secret"])
    return ports.Settings(**{**plain, "database": database, "secret": secret, "clients": clients})


# -- what the app is given


class Clock:
    def __init__(self, now):
        self.now = now

    def time(self):
        return self.now


class Ring:
    """Some of the keys: the first of them signs."""

    def __init__(self, keys, *numbers):
        import ports

        self._keys = [ports.Key(**key) for key in keys]
        self._numbers = numbers

    def turn(self, *numbers):
        self._numbers = numbers

    def signing(self):
        return self._keys[self._numbers[0]]

    def verifying(self):
        """In the order of their names: which one signs cannot be seen."""
        return tuple(sorted((self._keys[n] for n in self._numbers), key=lambda key: key.kid))


class Users:
    """The directory, over there."""

    def __init__(self, stub):
        self._stub = stub

    async def by_name(self, username):
        return user_of(await asyncio.to_thread(self._stub.by_name, username))

    async def by_id(self, user_id):
        return user_of(await asyncio.to_thread(self._stub.by_id, user_id))

    async def set_password(self, user_id, password_hash):
        await asyncio.to_thread(self._stub.set_password, user_id, password_hash)

    async def delete(self, user_id):
        return await asyncio.to_thread(self._stub.delete, user_id)


def user_of(plain):
    import ports

    return plain and ports.User(**{**plain, "scopes": tuple(plain["scopes"])})


class Limiter:
    def __init__(self, stub):
        self._stub = stub

    async def hit(self, key, window_s):
        return await asyncio.to_thread(self._stub.hit, key, window_s)

    async def forget(self, key):
        await asyncio.to_thread(self._stub.forget, key)


# -- the judge's objects for a second process: the first one passes its calls on


class Hub(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, stubs):
        self.path = str(Path(tempfile.mkdtemp()) / "hub")
        self.stubs = stubs
        super().__init__(self.path, Passing)


class Passing(socketserver.StreamRequestHandler):
    def handle(self):
        name, method, args, kwargs = json.loads(self.rfile.readline())
        value = getattr(self.server.stubs[name], method)(*args, **kwargs)
        self.wfile.write(json.dumps(value).encode() + b"\n")


class Remote:
    """A stub of the other process: each call is a connection."""

    def __init__(self, path, name):
        self._path, self._name = path, name

    def __getattr__(self, method):
        def call(*args, **kwargs):
            with socket(AF_UNIX) as link:
                link.connect(self._path)
                link.sendall(json.dumps([self._name, method, args, kwargs]).encode() + b"\n")
                return json.loads(link.makefile().readline())

        return call


# -- starting, without HTTP


def start_all(sites, hasher):
    """Make an app of each; tell what is raised by name, or "" where nothing is."""
    return [start(site, hasher) for site in sites]


def start(site, hasher):
    import auth

    try:
        auth.create_app(
            settings_of(site["settings"], in_folder()),
            users=Users(None),
            hasher=hasher,
            keys=Ring(site["keys"], *site["ring"]),
            clock=Clock(site["now"]),
            limiter=Limiter(None),
        )
    except NotImplementedError:
        raise
    except Exception as error:  # noqa: BLE001 - the judge is told
        return type(error).__name__
    return ""
