"""Write your authorization server here. README.md has the rules.

Run the public examples with `pytest`, the graders with `archprep check`.
"""

from fastapi import FastAPI
from ports import Clock, Hasher, KeyRing, Limiter, Settings, Users


def create_app(
    settings: Settings,
    *,
    users: Users,
    hasher: Hasher,
    keys: KeyRing,
    clock: Clock,
    limiter: Limiter,
) -> FastAPI:
    """Return the application, with all its endpoints.

    It may be called in several processes with the same `settings.database`. Requests to any of
    these applications are answered as if there were only one.

    Raises ValueError if `settings.secret` or a key of the ring is too weak, or a key is not fit for
    its algorithm.
    """
    raise NotImplementedError("create_app() is yours to write")
