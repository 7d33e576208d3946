"""Which rules have cost points in a run: a slip costs its own rule, not its neighbours."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class LostRules:
    """The rule that broke in each failed criterion, and what may explain it instead."""

    _broken: dict[str, str] = field(default_factory=dict)  # by the id of the criterion
    _causes: dict[str, frozenset[str]] = field(default_factory=dict)  # rules of other criteria
    _sweeps: set[str] = field(default_factory=set)

    def add(self, criterion: str, rule: str, causes: frozenset[str], *, sweep: bool) -> None:
        """Note that a criterion failed; `causes` are rules of others that may be why."""
        self._broken[criterion] = rule
        if causes:
            self._causes[criterion] = causes
        if sweep:
            self._sweeps.add(criterion)

    def explanation(self, criterion: str) -> frozenset[str]:
        """Return the causes of a failed criterion if other criteria have lost all of them."""
        causes = self._causes.get(criterion, frozenset())
        # What a sweep finds depends on the seed, so it explains nothing.
        others = {
            rule
            for other, rule in self._broken.items()
            if other not in self._causes and other not in self._sweeps
        }
        return causes if causes <= others else frozenset()

    def charged(self) -> set[str]:
        """Return the rules that have cost points so far; sweeps come last in a task."""
        return {rule for name, rule in self._broken.items() if not self.explanation(name)}
