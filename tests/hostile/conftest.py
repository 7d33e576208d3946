"""Most files of this folder misbehave on purpose; they are graded, never collected."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("hostile.harness")

from hostile.harness import Server, judging  # noqa: E402 - so that its asserts are rewritten

collect_ignore_glob = ["_exercise/*", "z_*", "p_*", "s_*"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, home: Path) -> Iterator[Server]:
    with judging(tmp_path_factory, home) as running:
        yield running
