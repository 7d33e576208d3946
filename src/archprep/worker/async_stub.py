"""Judge-side fakes for asynchronous code: each call is awaited, and blocks nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

AT_ONCE = 32  # calls that the judge may hold back at the same time


class AsyncStub:
    """Stands for a judge-side object in asynchronous code.

    `await AsyncStub(stub).method(…)` lets the event loop go on until the judge answers. Its
    threads are its own, so that calls held back take none from the candidate's code.
    """

    def __init__(self, stub: Any, at_once: int = AT_ONCE) -> None:
        self._stub = stub
        self._threads = ThreadPoolExecutor(at_once)

    def __getattr__(self, method: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        function = getattr(self._stub, method)

        async def call(*args: Any, **kwargs: Any) -> Any:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, partial(function, *args, **kwargs))

        return call
