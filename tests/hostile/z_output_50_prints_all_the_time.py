# case 50: output is limited for as long as an app lives
# exercise: q98
# outcome: task 1 = candidate_error output
import sys
import threading
import time

from honest import make_app as honest

served = []


def make_app(vault=None, name=""):
    app = honest(vault, name)

    async def prints(scope, receive, send):
        if scope["type"] == "http" and scope["path"] == "/sum":
            if not served:
                threading.Thread(target=print_on, daemon=True).start()
            served.append(True)
            if len(served) > 1:
                time.sleep(1.5)
        await app(scope, receive, send)

    return prints


def print_on():
    while True:
        sys.stdout.write("x" * 10_000 + "\n")
        sys.stdout.flush()
        time.sleep(0.01)
