def weigh(batches):
    import toy

    return [_weighed(toy.weigh, numbers) for numbers in batches]


def _weighed(function, numbers):
    try:
        return function(numbers)
    except ValueError:
        return "refused"


def fetch(vault, keys):
    import toy

    return toy.fetch(vault, keys)
