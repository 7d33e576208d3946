# case 18: an object that runs code when unpickled is not plain data
# outcome: task 1 = candidate_error crash
# message: not plain data
from honest import fetch


class Bomb:
    def __reduce__(self):
        return open, ("unpickled", "w")


def weigh(numbers):
    return Bomb()
