"""Calls a function of the answer's with each argument."""


def call(name, arguments):
    import answer

    return [getattr(answer, name)(argument) for argument in arguments]
