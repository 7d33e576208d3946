"""A slip costs its own rule: what explains a failed criterion, and what does not."""

from __future__ import annotations

from archprep.grading.lost_rules import LostRules

ELSEWHERE = frozenset({"1.1"})


def lost(*, sweep: bool = False, causes: frozenset[str] = frozenset()) -> LostRules:
    """A criterion that rule 1.1 may explain, and one that has lost rule 1.1."""
    rules = LostRules()
    rules.add("filters", "1.5", ELSEWHERE, sweep=False)
    rules.add("patterns", "1.1", causes, sweep=sweep)
    return rules


def test_a_rule_that_another_criterion_has_lost_explains_it():
    """Only the other one is charged."""
    assert lost().explanation("filters") == ELSEWHERE
    assert lost().explanation("patterns") == frozenset()
    assert lost().charged() == {"1.1"}


def test_a_sweep_explains_nothing():
    """What it finds depends on the seed, and the verdict must not."""
    assert lost(sweep=True).explanation("filters") == frozenset()
    assert lost(sweep=True).charged() == {"1.1", "1.5"}


def test_two_criteria_do_not_explain_each_other():
    """Both would keep their points, and the slip would cost nothing."""
    rules = lost(causes=frozenset({"1.5"}))
    assert rules.charged() == {"1.1", "1.5"}


def test_all_causes_must_have_been_lost():
    rules = lost()
    rules.add("replay", "3.4", frozenset({"1.1", "1.7"}), sweep=False)
    assert rules.explanation("replay") == frozenset()
