"""Hits over HTTP on limiters in several processes, and a look at the server that they share."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from archprep.grading import Request, expect

from .telling import short

AT_ONCE = 64  # hits
WORKERS = 2
PATIENCE = 15.0  # seconds for all at once: whoever retries under contention needs some
FEW_KEYS = 2000  # more are not looked at
NO_TTL = -1
DECISION = ("allowed", "remaining", "reset_s", "retry_after")

# Reads no more than it has to: names may be long, and keys many.
LOOK = """
local found, cursor, count = {}, '0', redis.call('DBSIZE')
repeat
  local page = redis.call('SCAN', cursor, 'COUNT', 500)
  cursor = page[1]
  for _, key in ipairs(page[2]) do
    if #found < 2000 then
      found[#found + 1] = {
        string.sub(key, 1, 200), redis.call('PTTL', key),
        redis.call('MEMORY', 'USAGE', key, 'SAMPLES', 0)
      }
    end
  end
until cursor == '0' or #found >= 2000
return {count, found}
"""


@dataclass(frozen=True)
class Ask:
    """A hit over HTTP, and the process it goes to."""

    prefix: str
    ident: str
    policies: list[list[Any]]
    cost: int = 1
    app: int = 0

    def request(self):
        told = {
            "prefix": self.prefix,
            "ident": self.ident,
            "policies": self.policies,
            "cost": self.cost,
        }
        return Request("POST", "/", body=json.dumps(told).encode(), app=self.app)


def decisions(replies, given):
    """The decisions in some replies; an exception of the limiter fails the criterion."""
    found = []
    for reply in replies:
        told = reply.json()
        broke = told.get("broke") if isinstance(told, dict) else short(told)
        expect(
            broke is None,
            expected="a decision on every hit",
            observed=f"hit() raised {broke}",
            given=given,
        )
        found.append({field: told.get(field) for field in DECISION})
    return found


def left_of(decision, name):
    remaining = decision["remaining"]
    return remaining.get(name) if isinstance(remaining, dict) else None


def look(server):
    """How many keys there are, and of each its name, time to live and size."""
    count, found = server.client.eval(LOOK, 0)
    return count, {name.decode("latin-1"): (ttl, size or 0) for name, ttl, size in found}
