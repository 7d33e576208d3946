# case 20: graders, the reference and the canary cannot be found, even by their paths
# outcome: task 1 = candidate_error crash
# printed: walked many folders, found nothing
import os

from honest import fetch

BIG = {"proc", "lib", "lib64", "share", "bin", "sbin", "include"}


def weigh(numbers):
    found, walked = [], 0
    for path in ("@GRADERS@", "@CANARY_FILE@"):
        if os.path.exists(path) or os.path.exists(os.path.dirname(path)):
            found.append(path)
    for folder, folders, files in os.walk("/"):
        walked += 1
        names = {*folders, *files}
        found += [
            f"{folder}/{n}" for n in names & {"q99" + "_toy", "canary" + ".txt", "test_toy.py"}
        ]
        folders[:] = [f for f in folders if f not in BIG]
    print("walked", "many" if walked > 20 else walked, "folders, found", *(found or ["nothing"]))
    raise AttributeError("no need to go on")
