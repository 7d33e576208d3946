"""Judge-side fakes in asynchronous code: calls are awaited and do not block the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

AT_ONCE = 16  # calls that the judge may hold back at the same time


class AsyncStub:
    """A stub whose methods are coroutines.

    It has threads of its own, so calls that the judge holds back take none from the candidate's
    code.
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
