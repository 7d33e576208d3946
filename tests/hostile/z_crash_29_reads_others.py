# case 29: neither other submissions nor earlier results can be found
# outcome: task 1 = candidate_error crash
# printed: looked everywhere, found nothing
import os
import sys

from honest import fetch

PLACES = ["@HOME@", "@TMP@", "@WORKSPACE@", "@OTHERS@"]
BIG = {"proc", "usr", "lib", "lib64", "bin", "runtime"}


def weigh(numbers):
    found = [p for place in PLACES for p in (place, os.path.dirname(place)) if os.path.exists(p)]
    found = [p for p in found if p not in ("/", "/tmp")]
    known = {"toy.py", "honest.py"}
    for folder, folders, files in os.walk("/"):
        folders[:] = [f for f in folders if folder != "/" or f not in BIG]
        if folder == sys.base_prefix:
            folders[:] = []
            continue
        found += [f"{folder}/{n}" for n in files if n.endswith((".py", ".json", ".db", ".sqlite"))]
    found = [f for f in found if f not in {f"/submission/{name}" for name in known}]
    with open("/proc/self/mountinfo") as file:
        found += [word for word in ("@WORKSPACE@", "@OTHERS@", "@HOME@") if word in file.read()]
    print("looked everywhere, found", *(found or ["nothing"]))
    raise AttributeError("no need to go on")
