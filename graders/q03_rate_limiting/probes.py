"""What graders observe: programs, memory, and limiters that processes share."""

from __future__ import annotations

import asyncio
import gc
import logging

from http_probes import play_http
from limiter_probes import crowd, play_limiter
from shared_probes import shared

__all__ = ["play_crowd", "play_programs", "shared"]


def play_programs(programs, traces):
    logging.disable(logging.CRITICAL)
    gc.disable()
    for program in programs:
        traces.add(play_limiter(program) if "limiter" in program else play_http(program))


def play_crowd(**plan):
    return asyncio.run(crowd(**plan))
