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


def play_programs(programs, traces):
    """Play the programs of the sweep, one after the other."""
    from answer import read_all, running_totals

    for program in programs:
        if "amounts" in program:
            moments = [[[0], f"running_totals returns {running_totals(program['amounts'])}"]]
        else:
            source = Pages(program["pages"])
            result = f"read_all returns {read_all(source)}"
            moments = [*source.requests, [[len(source.requests)], result]]
        traces.add({"moments": moments})


class Pages:
    """A source whose pages the program lists; notes each request."""

    def __init__(self, pages):
        self._pages = pages
        self.requests = []

    def page(self, number):
        self.requests.append([[len(self.requests)], f"page {number} is requested"])
        return list(self._pages[number]) if number < len(self._pages) else []
