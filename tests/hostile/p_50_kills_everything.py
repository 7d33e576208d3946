# case 50: signals from a start-up hook do not leave the scenario
# exercise: q98
# outcome: all = passed
import contextlib
import os
import signal

from honest import make_app as honest


def make_app(vault=None, name=""):
    app = honest(vault, name)

    async def kills(scope, receive, send):
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        await receive()
        for target in (1, *([os.getppid(), -1] if not name else [])):
            with contextlib.suppress(OSError):
                os.kill(target, signal.SIGKILL)
        await send({"type": "lifespan.startup.complete"})
        await receive()

    return kills
