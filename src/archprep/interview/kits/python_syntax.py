"""Finds files that Python cannot parse."""

from __future__ import annotations

import ast
import sys
import warnings
from collections.abc import Iterator, Mapping

from archprep.core.sanitize import sanitize


def errors(files: Mapping[str, bytes], python: str = "") -> Iterator[str]:
    """Yield an error with file and line for each `.py` file that is not valid Python.

    Syntax that is newer than `python`, such as "3.11", is an error too, as far as `ast` knows it.
    """
    version = tuple(map(int, python.split("."))) if python else sys.version_info[:2]
    for name, data in files.items():
        if name.endswith(".py") and (problem := _error(name, data, version)):
            yield problem


def _error(name: str, data: bytes, version: tuple[int, ...]) -> str | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an invalid escape, for example, is still valid code
            ast.parse(data, filename=name, feature_version=(version[0], version[1]))
    except SyntaxError as error:
        line = f":{error.lineno}" if error.lineno else ""
        return f"{name}{line}: {sanitize(error.msg or 'invalid syntax', 200)}"
    except (RecursionError, MemoryError):
        return f"{name}: is nested too deeply for Python"
    except ValueError as error:  # NUL bytes, before Python 3.12
        return f"{name}: {sanitize(str(error), 200)}"
    return None
