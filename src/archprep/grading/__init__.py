"""The judge: runs graders against a submission and decides the score.

Graders import everything they need from here: `from archprep.grading import criterion, scenario`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archprep.grading.api import (
        assert_same,
        criterion,
        expect,
        redis_server,
        scenario,
    )
    from archprep.grading.http_client import Request
    from archprep.sandbox.fakes import HeldReply, Refuse, exposed, fake
    from archprep.sandbox.sockets import silent_endpoint

__all__ = [
    "HeldReply",
    "Refuse",
    "Request",
    "assert_same",
    "criterion",
    "expect",
    "exposed",
    "fake",
    "redis_server",
    "scenario",
    "silent_endpoint",
]

_ELSEWHERE = {
    "HeldReply": "archprep.sandbox.fakes",
    "Refuse": "archprep.sandbox.fakes",
    "Request": "archprep.grading.http_client",
    "exposed": "archprep.sandbox.fakes",
    "fake": "archprep.sandbox.fakes",
    "silent_endpoint": "archprep.sandbox.sockets",
}


def __getattr__(name: str) -> Any:
    """Import each name when it is first used: other modules of this package do without pytest."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_ELSEWHERE.get(name, "archprep.grading.api")), name)
