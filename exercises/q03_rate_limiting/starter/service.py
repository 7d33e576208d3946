"""A small service to try your middleware on. It is given, and not graded.

    uvicorn service:app
    REDIS_URL=redis://localhost uvicorn service:app --workers 4

Then open http://127.0.0.1:8000/docs, or watch the fields from a shell:

    curl -i http://127.0.0.1:8000/items
    curl -i http://127.0.0.1:8000/search?q=x -H "Authorization: Bearer ann-secret"
"""

import os
import time
from typing import Annotated

from fastapi import Depends, FastAPI
from fastapi.security import HTTPBearer
from ratelimit import (
    Limiter,
    MemoryWindow,
    Policy,
    Principal,
    RateLimitMiddleware,
    RedisWindow,
)
from redis.asyncio import Redis
from starlette.datastructures import Headers
from starlette.types import Scope

TOKENS = {"ann-secret": Principal("ann"), "bob-secret": Principal("bob", tier="gold")}
TIERS = {
    "default": [Policy("minute", 10, 60), Policy("hour", 60, 3600)],
    "gold": [Policy("minute", 30, 60)],
}


async def identify(scope: Scope) -> Principal | None:
    """Look the bearer token up: a stand-in for verifying one."""
    scheme, _, token = Headers(scope=scope).get("authorization", "").partition(" ")
    return TOKENS.get(token.strip()) if scheme.lower() == "bearer" else None


def create_limiter() -> Limiter:
    """Return a limiter in Redis if REDIS_URL is set, else one in memory."""
    url = os.environ.get("REDIS_URL")
    return RedisWindow(Redis.from_url(url)) if url else MemoryWindow(clock=time.monotonic)


def create_app() -> RateLimitMiddleware:
    """Return an API inside the middleware, which thus sees its error responses too."""
    bearer = HTTPBearer(auto_error=False, description="ann-secret, or bob-secret of tier gold")
    api = FastAPI(title="Rate limited", dependencies=[Depends(bearer)])

    @api.get("/items")
    async def items() -> list[str]:
        return ["apple", "pear"]

    @api.get("/search")
    async def search(q: Annotated[str, "what to look for"]) -> list[str]:
        return [item for item in ("apple", "pear") if q in item]

    @api.get("/broken")
    async def broken() -> None:
        raise RuntimeError("this route always fails")

    return RateLimitMiddleware(api, limiter=create_limiter(), identify=identify, tiers=TIERS)


app = create_app()
