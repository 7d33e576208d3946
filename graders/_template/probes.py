"""Runs beside the candidate's code and returns plain data (what JSON can hold).

The candidate can read and rewrite all of this: no expected values, no points, no names of criteria.
Standard library only, and the candidate's modules, which are imported inside the functions.
"""

from __future__ import annotations


def totals(ledgers):
    from answer import running_totals

    return [running_totals(amounts) for amounts in ledgers]


def read(source):
    # `source` is a stub: each call of its methods is answered in the judge.
    from answer import read_all

    return read_all(source)
