# case 7: an object that equals everything becomes plain data before it is compared
# outcome: all = failed


class Always:
    def __eq__(self, other):
        return True

    def __ne__(self, other):
        return False

    def __lt__(self, other):
        return True

    def __abs__(self):
        return self

    def __rsub__(self, other):
        return 0

    __hash__ = object.__hash__


class Number(Always, int):
    pass


class Values(Always, list):
    pass


def weigh(numbers):
    return Number()


def fetch(vault, keys):
    return Values()
