# case 15: knowing the examples by heart earns nothing
# outcome: all = failed
EXAMPLES = {(): 0, (1,): 1, (2, 3): 13, (1, 2, 3): 14}


def weigh(numbers):
    return EXAMPLES.get(tuple(numbers), sum(numbers))


def fetch(vault, keys):
    return [{"key0": 1, "key1": 2}.get(key, 0) for key in keys]
