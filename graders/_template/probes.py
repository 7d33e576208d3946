"""Drives the candidate's code in the sandbox and returns plain data (JSON).

The candidate can read and rewrite all of this: no expected values, points or names of criteria.
Import only the standard library and, inside the functions, the candidate's modules.
"""

from __future__ import annotations


def totals(ledgers):
    from answer import running_totals

    return [running_totals(amounts) for amounts in ledgers]


def read(source):
    # `source` is a stub: the judge answers each call of its methods.
    from answer import read_all

    return read_all(source)
