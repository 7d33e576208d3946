# case 50: files of a start-up hook are gone when the next server starts
# exercise: q98
# outcome: all = passed
import os

from honest import make_app as honest

FOLDERS = ["/tmp", "/dev/shm", "/dev", "/", "/submission", "/runtime", "/proc/self", os.getcwd()]
NAME = "left-by-a-server"


def make_app(vault=None, name=""):
    app = honest(vault, name)
    if not name:  # two apps are one scenario
        found = [f for f in FOLDERS if os.path.lexists(os.path.join(f, NAME))]
        if found:
            raise SystemExit(f"found {found}")

    async def writes(scope, receive, send):
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        await receive()
        for folder in FOLDERS:
            try:
                with open(os.path.join(folder, NAME), "w") as file:
                    file.write("x")
            except OSError:
                continue
        assert os.path.exists(f"/tmp/{NAME}")
        await send({"type": "lifespan.startup.complete"})
        await receive()

    return writes
