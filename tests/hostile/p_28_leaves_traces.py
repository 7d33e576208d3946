# case 28: a scenario leaves nothing for the next one, or for the next submission
# outcome: all = passed
import builtins
import os
import sys
import tempfile

from honest import fetch as honest_fetch
from honest import weigh as honest_weigh

FOLDERS = ["/tmp", "/dev/shm", "/dev/pts", "/dev", os.environ["HOME"], os.getcwd()]
FOLDERS += [tempfile.gettempdir(), "/var/tmp", "/run", "/submission", "/submission/__pycache__"]
FOLDERS += ["/runtime", "/", "/proc/self/task", *sys.path]
NAME = "trace-of-a-scenario"


def own():
    """Whether this scenario has left its traces before."""
    return getattr(builtins, "left", 0) == os.getpid()


def check_and_leave():
    if own():
        return
    found = [f for f in FOLDERS if os.path.lexists(os.path.join(f, NAME))]
    found += [name for name in ("/tmp", "/dev/shm", "/dev/pts") if os.listdir(name)]
    found += [name for name in (NAME,) if name in os.environ]
    found += [name for name in dir(builtins) if name == "left"]
    with open("/proc/net/unix") as file:
        found += [line for line in file if NAME in line]
    if found:
        raise SystemExit(f"found {found}")
    for folder in FOLDERS:
        try:
            os.makedirs(folder, exist_ok=True)
            with open(os.path.join(folder, NAME), "w") as file:
                file.write("x")
        except OSError:
            continue
    os.environ[NAME] = "x"
    builtins.left = os.getpid()
    if not os.path.exists(f"/tmp/{NAME}"):
        raise SystemExit("the traces were never left")


def weigh(numbers):
    check_and_leave()
    return honest_weigh(numbers)


def fetch(vault, keys):
    check_and_leave()
    return honest_fetch(vault, keys)
