"""The submissions that prove an exercise, and the constant stubs made from its starter.

A stub is what somebody hands in who has understood nothing but the signatures. Code that the
starter gives away complete stays in it: a lazy candidate would keep it, too.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

from archprep.content import exercise_files
from archprep.content.yaml_reader import display_path, read_text
from archprep.core.errors import ContentError
from archprep.core.model import Exercise

Function = ast.FunctionDef | ast.AsyncFunctionDef
Value = Callable[[Function], str]

CONSTANTS = ("None", "0", '""', "{}", "[]", "True", "False")
# What an empty implementation returns that at least keeps to its annotation.
_EMPTY = {
    "bool": "False",
    "int": "0",
    "float": "0.0",
    "str": '""',
    "bytes": 'b""',
    "list": "[]",
    "dict": "{}",
    "set": "set()",
    "frozenset": "frozenset()",
    "tuple": "()",
    "Sequence": "[]",
    "Iterable": "[]",
    "Mapping": "{}",
    "Self": "self",
}
_RETURNS_NOTHING = {"__init__", "__post_init__", "__init_subclass__", "__set_name__", "__del__"}
_CONTEXT_MANAGERS = {"contextmanager", "asynccontextmanager"}


def starter(exercise: Exercise) -> dict[str, str]:
    """The starter's code, by path in the workspace."""
    files = exercise_files.starter_files(exercise)
    return {name: read_text(path) for name, path in files.items() if name in exercise.entry}


def stubs(exercise: Exercise) -> dict[str, dict[str, str]]:
    """The files of each stub, by what its functions return; one keeps to their annotations."""
    values: dict[str, Value] = {"empty by type": _empty_value}
    for constant in CONSTANTS:
        values[constant] = lambda _, constant=constant: constant  # type: ignore[misc]
    made = {name: _stub(exercise, value) for name, value in values.items()}
    # Without annotations two of them are the same: grade it once, under its later, simpler name.
    return {name: files for name, files in made.items() if _last(made, files) == name}


def _last(made: Mapping[str, dict[str, str]], files: dict[str, str]) -> str:
    return [name for name, others in made.items() if others == files][-1]


def _stub(exercise: Exercise, value: Value) -> dict[str, str]:
    sources = {name: text for name, text in starter(exercise).items() if name.endswith(".py")}
    return {name: stub(text, value, _place(exercise, name)) for name, text in sources.items()}


def _place(exercise: Exercise, name: str) -> str:
    return display_path(exercise.brief_dir / "starter" / name)


def stub(source: str, value: Value, where: str = "the starter") -> str:
    """`source` with a constant in the place of each function body that is still to be written."""
    try:
        tree = ast.parse(source)
    except SyntaxError as e:
        raise ContentError(f"{where}:{e.lineno}: {e.msg}.") from None
    functions = [node for node in ast.walk(tree) if isinstance(node, Function)]
    unwritten = [function for function in functions if _is_unwritten(function)]
    for function in unwritten or functions:
        function.body = ast.parse(_body(function, value)).body
    return ast.unparse(ast.fix_missing_locations(tree))


def _is_unwritten(function: Function) -> bool:
    """Whether it raises NotImplementedError, or does nothing at all."""
    if any(_refuses(statement) for statement in ast.walk(function)):
        return True
    return all(
        isinstance(s, ast.Pass) or (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))
        for s in function.body
    )


def _refuses(node: ast.AST) -> bool:
    if not isinstance(node, ast.Raise) or node.exc is None:
        return False
    raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
    return isinstance(raised, ast.Name) and raised.id == "NotImplementedError"


def _body(function: Function, value: Value) -> str:
    if function.name in _RETURNS_NOTHING:
        return "pass"
    constant = value(function)
    if _CONTEXT_MANAGERS & {_name(d) for d in function.decorator_list}:
        return f"yield {constant}"
    if not _generates(function):
        return f"return {constant}"
    return f"yield {constant}" if value is not _empty_value else "return\nyield"


def _generates(function: Function) -> bool:
    """Whether the function itself, not one inside it, yields."""
    return any(isinstance(node, ast.Yield | ast.YieldFrom) for node in _own_nodes(function))


def _own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, Function | ast.Lambda):
            yield child
            yield from _own_nodes(child)


def _empty_value(function: Function) -> str:
    annotation = function.returns
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        with suppress(SyntaxError):
            annotation = ast.parse(annotation.value, mode="eval").body
    if isinstance(annotation, ast.Subscript):
        annotation = annotation.value
    return _EMPTY.get(_name(annotation), "None")


def _name(node: ast.AST | None) -> str:
    if isinstance(node, ast.Call):
        node = node.func
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""
