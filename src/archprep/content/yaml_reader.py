"""Reads the YAML and text files of exercises; errors say `file: key problem`.

Written by hand because `archprep list` reads every manifest: importing a validation library would
take longer than the rest of the command.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, TypeVar

from archprep.core.errors import ContentError

_T = TypeVar("_T")
_TYPE_NAMES: dict[type, str] = {str: "text", list: "a list", dict: "a mapping"}


class MappingReader:
    """Checked access to the keys of a YAML mapping; every method raises ContentError."""

    def __init__(self, path: Path, data: object = None, prefix: str = "") -> None:
        self.path = path
        self.prefix = prefix
        loaded = read_yaml(path) if data is None else data
        if not isinstance(loaded, dict):
            name = prefix.rstrip(".") or "the file"
            raise ContentError(f"{display_path(path)}: {name} must be a mapping.")
        self.data: dict[str, Any] = loaded

    def error(self, key: str, problem: str) -> ContentError:
        """Return the error to raise about `key`."""
        return ContentError(f"{display_path(self.path)}: `{self.prefix}{key}` {problem}.")

    def check_keys(self, required: set[str], optional: set[str]) -> None:
        """Refuse missing and unknown keys."""
        for key in sorted(required - self.data.keys()):
            raise self.error(key, "is missing")
        for key in self.data:
            if key not in required | optional:
                raise self.error(str(key), "is not a known key")

    def get(self, key: str, kind: type[_T], default: _T | None = None) -> _T:
        """Return the value of `key`, which must be a `kind` and, if text, not blank."""
        value: object = self.data.get(key, default)
        if not isinstance(value, kind):
            raise self.error(key, f"must be {_TYPE_NAMES.get(kind, kind.__name__)}")
        if isinstance(value, str) and not value.strip():
            raise self.error(key, "is empty")
        return value

    def positive_int(self, key: str) -> int:
        """Return a whole number above 0; `true` does not count as 1."""
        value = self.data[key]
        if type(value) is not int or value < 1:
            raise self.error(key, "must be a whole number above 0")
        return value

    def string_list(self, key: str) -> tuple[str, ...]:
        """Return a list of distinct, non-empty strings; empty if the key is absent."""
        items = self.get(key, list, [])
        if any(not isinstance(item, str) or not item for item in items):
            raise self.error(key, "must be a list of non-empty strings")
        if len(set(items)) != len(items):
            raise self.error(key, "lists an item twice")
        return tuple(items)


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file; a duplicate key is an error."""
    import yaml

    try:
        return yaml.load(read_text(path), _loader())  # noqa: S506 - a safe loader
    except yaml.YAMLError as error:
        raise ContentError(f"{display_path(path)} is not valid YAML: {error}") from error


@functools.cache
def _loader() -> Any:
    import yaml

    base: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(base):  # type: ignore[misc, valid-type]
        def construct_mapping(self, node: yaml.MappingNode, *args: Any, **kwargs: Any) -> Any:
            mapping = super().construct_mapping(node, *args, **kwargs)
            if len(mapping) != len(node.value):
                line = node.start_mark.line + 1
                raise yaml.YAMLError(f"duplicate key in the mapping at line {line}")
            return mapping

    return Loader


def read_text(path: Path) -> str:
    """Return the text of a UTF-8 file."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ContentError(f"{display_path(path)} is missing.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ContentError(f"{display_path(path)} cannot be read: {error}") from error


def display_path(path: Path) -> str:
    """Return the path relative to the content root, as authors know it."""
    for parent in path.parents:
        if parent.name in ("exercises", "solutions", "graders"):
            return path.relative_to(parent.parent).as_posix()
    return path.name
