"""What the sweep knows: how programs are drawn, told, and which rule a difference breaks."""

from __future__ import annotations

from archprep.grading.toolkit.sweep import Sweep


class ShopSweep(Sweep):
    """A program is a ledger, or the pages of a source. `play_programs` in probes.py plays it."""

    def draw(self, rng, task):
        if task == 1:
            return {"amounts": [rng.randint(-9, 9) for _ in range(rng.randrange(6))]}
        return {"pages": [self._page(rng) for _ in range(rng.randrange(5))]}

    def _page(self, rng):
        return [f"{rng.randrange(16**4):04x}" for _ in range(rng.randint(1, 3))]

    def needs(self, program):
        return {1: ["amounts"]} if "amounts" in program else {2: ["pages"]}

    def valid(self, program):
        return program.keys() == {"amounts"} or (
            program.keys() == {"pages"} and all(program["pages"])
        )

    def tell(self, program):
        if "amounts" in program:
            return [f"running_totals({program['amounts']})"]
        return [f"page {number}: {page}" for number, page in enumerate(program["pages"])]

    def rule(self, program, difference):
        if "amounts" in program:
            return "1.1"
        return "2.2" if difference.first[1].startswith("page") else "2.1"

    def exercises(self, program, _trace):
        return ["1.1"] if "amounts" in program else ["2.1", "2.2"]

    def when(self, instant):
        return f"Step {instant[0] + 1:g}"
