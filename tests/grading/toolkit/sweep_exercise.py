"""A tiny exercise with a sweep: named totals (task 1), some of them frozen (task 2)."""

from __future__ import annotations

import random

from archprep.grading.toolkit.sweep_compare import Difference
from archprep.grading.toolkit.sweep_spec import Program, Sweep, renamed

REFERENCE = """
class Totals:
    def __init__(self):
        self.totals, self.frozen = {}, set()

    def add(self, name, amount):
        if name not in self.frozen:
            self.totals[name] = self.totals.get(name, 0) + amount

    def total(self, name):
        return self.totals.get(name, 0)

    def freeze(self, name):
        self.frozen.add(name)
"""
# What each wrong answer gets wrong, as edits of the reference.
WRONG = {
    "positive_only": ("if name not in", "if amount > 0 and name not in"),
    "freezes_all": ("if name not in self.frozen", "if not self.frozen"),
    "thaws": ("self.frozen.add(name)", "self.frozen = {name}"),
    "crashes": (
        "self.totals.get(name, 0)\n\n    def freeze",
        "self.totals[name]\n\n    def freeze",
    ),
    "hangs": ("self.frozen.add(name)", "[0 for _ in iter(int, 1)]"),
}
RIGHT = REFERENCE.replace("self.totals.get(name, 0) + amount", "sum([self.total(name), amount])")

PROBES = """
def play_programs(programs, traces):
    from answer import Totals

    for program in programs:
        totals, moments = Totals(), []
        for number, step in enumerate(program["steps"]):
            if step["do"] == "total":
                moments.append([[number], f"total({step['name']}) is {totals.total(step['name'])}"])
            elif step["do"] == "add":
                totals.add(step["name"], step["amount"])
            else:
                totals.freeze(step["name"])
        freezes = [step for step in program["steps"] if step["do"] == "freeze"]
        undefined = ["freezes often"] if len(freezes) > 3 else []
        traces.add({"moments": moments, "undefined": undefined})
"""
BRIEF = """
* **1.1** `total` returns the sum of
  what was added.
* **2.1** Nothing is added to a frozen name.
"""
HINTS = "## 1.1\n\n1. Add.\n2. Sum.\n\n## 2.1\n\n1. Freeze.\n2. A set.\n"
GRADER = """
from archprep.grading import criterion
from sweep_exercise import Totals

@criterion("Nothing else differs in task 1", task=1, points=60, rules=["1.1"])
def test_sweep_totals(sweep):
    sweep(Totals(), programs=120)

@criterion("Nothing else differs in task 2", task=2, points=40, rules=["2.1", "1.1"])
def test_sweep_frozen(sweep):
    sweep(Totals(), programs=120)
"""


PLAINER = {"do": ["total"], "name": ["a"]}


class Totals(Sweep):
    """Draws a few steps on a few names."""

    plainer = PLAINER

    def draw(self, rng: random.Random, task: int) -> Program:
        kinds = ["add", "add", "total", "total"] + ["freeze"] * (task - 1)
        return {"steps": [self._step(rng, rng.choice(kinds)) for _ in range(rng.randint(1, 12))]}

    def _step(self, rng: random.Random, do: str) -> Program:
        amount = {"amount": rng.randint(-9, 9)} if do == "add" else {}
        return {"do": do, "name": rng.choice("abc"), **amount}

    def valid(self, program: Program) -> bool:
        """Every step has what it needs."""
        wanted = {"add": {"do", "name", "amount"}}
        return bool(program.get("steps")) and all(
            step.keys() == wanted.get(step.get("do"), {"do", "name"}) for step in program["steps"]
        )

    def redraw(self, rng: random.Random, program: Program) -> Program:
        """Give the names another order."""
        return renamed(program, dict(zip("abc", rng.sample("abc", 3), strict=True)))

    def needs(self, program: Program) -> dict[int, list[str]]:
        """Freezing is all that task 2 adds."""
        return {2: [s["name"] for s in program["steps"] if s["do"] == "freeze"]}

    def tell(self, program: Program) -> list[str]:
        """One call a line."""
        return [self._told(**step) for step in program["steps"]]

    def _told(self, do: str, name: str, amount: int | None = None) -> str:
        return f"{do}({name}{'' if amount is None else f', {amount}'})"

    def rule(self, program: Program, difference: Difference) -> str | None:
        """Every difference is one of totals."""
        assert difference.first[1].startswith("total(")
        return "2.1" if self.needs(program)[2] else "1.1"

    def when(self, instant: tuple[float, ...]) -> str:
        """Steps are counted from 1."""
        return f"In step {instant[0] + 1:g}"
