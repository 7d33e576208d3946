"""A small service to try your middleware on. It is given, and not graded.

    uvicorn service:app --no-proxy-headers
    REDIS_URL=redis://localhost uvicorn service:app --no-proxy-headers --workers 4

Then open http://127.0.0.1:8000/docs, or watch the fields from a shell:

    curl -i http://127.0.0.1:8000/items
    curl -i http://127.0.0.1:8000/search?q=x -H "Authorization: Bearer ann-secret"

Without --no-proxy-headers uvicorn itself believes X-Forwarded-For when it comes from 127.0.0.1, and
puts that address in the place of the peer's, before your middleware sees the request.
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
    Rule,
)
from redis.asyncio import Redis
from starlette.requests import Request

TOKENS = {"ann-secret": Principal("ann"), "bob-secret": Principal("bob", tier="gold")}
UNLIMITED: dict[str, list[Policy]] = {}
RULES = [
    Rule("/health", UNLIMITED),
    Rule("/docs", UNLIMITED),
    Rule("/openapi.json", UNLIMITED),
    Rule(
        "/search",
        {
            "default": [Policy("search-minute", 6, 60), Policy("search-hour", 60, 3600)],
            "gold": [Policy("search-minute", 30, 60)],
        },
        methods=frozenset({"GET"}),
        cost=2,
    ),
    Rule("/", {"default": [Policy("minute", 10, 60)]}),
]


class SystemClock:
    """The clock of this machine."""

    def time(self) -> float:
        """Return the wall clock's time."""
        return time.time()

    def monotonic(self) -> float:
        """Return a time that never goes back."""
        return time.monotonic()


async def identify(request: Request) -> Principal | None:
    """Look the bearer token up: a stand-in for verifying one."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return TOKENS.get(token.strip()) if scheme.lower() == "bearer" else None


def create_limiter() -> Limiter:
    """Return a limiter in Redis if REDIS_URL is set, else one in memory."""
    url = os.environ.get("REDIS_URL")
    return RedisWindow(Redis.from_url(url)) if url else MemoryWindow(clock=SystemClock())


def create_app() -> RateLimitMiddleware:
    """Return an API inside the middleware, which thus sees its error responses too."""
    bearer = HTTPBearer(auto_error=False, description="ann-secret, or bob-secret of tier gold")
    api = FastAPI(title="Rate limited", dependencies=[Depends(bearer)])

    @api.get("/health")
    async def health() -> str:
        return "ok"

    @api.get("/items")
    async def items() -> list[str]:
        return ["apple", "pear"]

    @api.get("/search")
    async def search(q: Annotated[str, "what to look for"]) -> list[str]:
        return [item for item in ("apple", "pear") if q in item]

    @api.get("/broken")
    async def broken() -> None:
        raise RuntimeError("this route always fails")

    return RateLimitMiddleware(api, limiter=create_limiter(), identify=identify, rules=RULES)


app = create_app()
