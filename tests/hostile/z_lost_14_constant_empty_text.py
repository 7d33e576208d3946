# case 14: a constant, or the input itself, earns nothing anywhere
# outcome: all = failed, candidate_error protocol


def weigh(numbers):
    return ""


def fetch(vault, keys):
    return ""
