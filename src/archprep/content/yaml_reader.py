"""Reads the YAML and text files of the content; every fault is told as `file: key: problem`.

Written by hand because `archprep list` reads all manifests: importing a validation library would
cost more than the whole command.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, TypeVar

from archprep.core.errors import ContentError

_T = TypeVar("_T")


class Reader:
    """A YAML mapping whose faults are told as `file: key: what is wrong`."""

    def __init__(self, path: Path, data: object = None, prefix: str = "") -> None:
        self.path = path
        self.prefix = prefix
        loaded = read_yaml(path) if data is None else data
        if not isinstance(loaded, dict):
            raise ContentError(f"{place(path)}: {prefix.rstrip('.') or 'it'} must be a mapping.")
        self.data: dict[str, Any] = loaded

    def wrong(self, key: str, problem: str) -> ContentError:
        """The error to raise about `key`."""
        return ContentError(f"{place(self.path)}: `{self.prefix}{key}` {problem}.")

    def keys(self, required: set[str], optional: set[str]) -> None:
        """Refuse missing and unknown keys."""
        for key in sorted(required - self.data.keys()):
            raise self.wrong(key, "is missing")
        for key in self.data:
            if key not in required | optional:
                raise self.wrong(str(key), "is not a known key")

    def get(self, key: str, kind: type[_T], default: _T | None = None) -> _T:
        """The value of `key`, which is a `kind` and, if text, not blank."""
        value: object = self.data.get(key, default)
        if not isinstance(value, kind):
            names: dict[type, str] = {str: "text", list: "a list", dict: "a mapping"}
            raise self.wrong(key, f"must be {names.get(kind, kind.__name__)}")
        if isinstance(value, str) and not value.strip():
            raise self.wrong(key, "is empty")
        return value

    def positive(self, key: str) -> int:
        """A whole number above 0 (and not `true`, which Python counts as 1)."""
        value = self.data[key]
        if type(value) is not int or value < 1:
            raise self.wrong(key, "must be a whole number above 0")
        return value

    def strings(self, key: str) -> tuple[str, ...]:
        """A list of non-empty texts; absent means none."""
        items = self.get(key, list, [])
        if any(not isinstance(item, str) or not item for item in items):
            raise self.wrong(key, "must be a list of texts")
        if len(set(items)) != len(items):
            raise self.wrong(key, "names something twice")
        return tuple(items)


def read_yaml(path: Path) -> Any:
    """The content of a YAML file of ours; a key given twice is an error."""
    import yaml

    try:
        return yaml.load(read_text(path), _loader())  # noqa: S506 - a safe loader
    except yaml.YAMLError as error:
        raise ContentError(f"{place(path)} is not valid YAML: {error}") from error


@functools.cache
def _loader() -> Any:
    import yaml

    base: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(base):  # type: ignore[misc, valid-type]
        def construct_mapping(self, node: yaml.MappingNode, *args: Any, **kwargs: Any) -> Any:
            mapping = super().construct_mapping(node, *args, **kwargs)
            if len(mapping) != len(node.value):
                line = node.start_mark.line + 1
                raise yaml.YAMLError(f"a key is given twice in the mapping at line {line}")
            return mapping

    return Loader


def read_text(path: Path) -> str:
    """The text of a UTF-8 file of ours."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ContentError(f"{place(path)} is missing.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ContentError(f"{place(path)} cannot be read: {error}") from error


def place(path: Path) -> str:
    """The path as an author knows it: from the content root on."""
    for parent in path.parents:
        if parent.name in ("exercises", "solutions", "graders"):
            return path.relative_to(parent.parent).as_posix()
    return path.name
