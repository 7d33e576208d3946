# case 18: what would run when it is unpickled is no plain data
# outcome: task 1 = candidate_error crash
# told: not plain data
from honest import fetch


class Bomb:
    def __reduce__(self):
        return open, ("unpickled", "w")


def weigh(numbers):
    return Bomb()
