"""Stubs keep the signatures of the starter and return constants."""

from __future__ import annotations

import ast

from archprep.author import stubs

STARTER = '''\
from contextlib import contextmanager
from dataclasses import dataclass

@dataclass
class Point:
    x: int
    def given(self) -> int:
        return self.x

class Thing:
    def __init__(self, name, *, size=1):
        raise NotImplementedError
    async def fetch(self) -> "list[int]":
        """Fetch."""
    @contextmanager
    def held(self):
        raise NotImplementedError
        yield
    def each(self):
        raise NotImplementedError("later")
        yield 1
    @property
    def names(self) -> dict[str, int]: ...
'''


def test_stubs_keep_signatures_and_written_functions():
    """A stub differs from the starter only in the bodies that are still to be written."""
    text = stubs.stub(STARTER, lambda _: "0")
    assert "return self.x" in text
    assert "def __init__(self, name, *, size=1):\n        pass" in text
    assert "async def fetch(self) -> 'list[int]':\n        return 0" in text
    assert text.count("yield 0") == 2
    ast.parse(text)


def test_the_empty_stub_matches_the_annotations():
    """Empty data of the right type comes closest to an implementation."""
    text = stubs.stub(STARTER, stubs._empty_value)
    assert "fetch(self) -> 'list[int]':\n        return []" in text
    assert "names(self) -> dict[str, int]:\n        return {}" in text
    assert "def each(self):\n        return\n        yield" in text
