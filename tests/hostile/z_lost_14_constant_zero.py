# case 14: a constant, or the input itself, earns nothing
# outcome: all = failed, candidate_error protocol


def weigh(numbers):
    return 0


def fetch(vault, keys):
    return 0
