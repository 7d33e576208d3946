"""Lets the candidate's files import each other, even if a library has a module of that name.

A candidate's calendar.py must not replace the library's, on which the rest of the process may
rely. So such a name means the candidate's file in the candidate's files, as it does when they run
their tests, and the library's module everywhere else.
"""

from __future__ import annotations

import builtins
import os
import sys
from importlib.machinery import PathFinder
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PACKAGE = "submitted_files"  # under which the candidate's modules with such names are kept

_stand_ins: set[str] = set()


def stand_in(name: str) -> ModuleType:
    """Return a new module that everybody gets in place of the candidate's file of this name."""
    _stand_ins.add(name)
    sys.modules[name] = ModuleType(name)
    return sys.modules[name]


def prefer_own(folders: list[str]) -> None:
    """Let code in these folders import the modules there before any other of the same name."""
    names = {name for folder in folders for name in _modules(folder) if _exists_elsewhere(name)}
    if not names:
        return
    package = ModuleType(PACKAGE)
    package.__path__ = folders
    sys.modules[PACKAGE] = package
    original = builtins.__import__

    def import_(
        name: str,
        globals: Mapping[str, object] | None = None,  # noqa: A002 - the names of Python's own
        locals: Mapping[str, object] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        top = name.partition(".")[0]
        if level or top not in names or not _is_below(folders, globals):
            return original(name, globals, locals, fromlist, level)
        found = original(f"{PACKAGE}.{name}", globals, locals, fromlist, 0)
        return found if fromlist else sys.modules[f"{PACKAGE}.{top}"]

    builtins.__import__ = import_


def _modules(folder: str) -> list[str]:
    names = []
    for entry in os.scandir(folder):
        name, suffix = os.path.splitext(entry.name)
        is_package = entry.is_dir() and os.path.exists(f"{entry.path}/__init__.py")
        if suffix == ".py" or is_package:
            names.append(name)
    return names


def _exists_elsewhere(name: str) -> bool:
    """Whether this name would find a library's module: the folders are not on the path yet."""
    if name in _stand_ins:
        return False
    return name in sys.modules or PathFinder.find_spec(name) is not None


def _is_below(folders: list[str], globals_: Mapping[str, object] | None) -> bool:
    file = (globals_ or {}).get("__file__")
    return isinstance(file, str) and any(file.startswith(f"{folder}/") for folder in folders)
