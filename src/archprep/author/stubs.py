"""Stubs: constant implementations made from the starter, which must earn nothing.

A stub is what someone hands in who has read only the signatures. Functions that the starter
implements keep their body, as they would in a lazy candidate's answer.
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
Value = Callable[[Function], str]  # the expression that a stub returns

CONSTANTS = ("None", "0", '""', "{}", "[]", "True", "False")
_EMPTY_BY_TYPE = {
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


def from_starter(exercise: Exercise) -> dict[str, dict[str, str]]:
    """Return the files of each stub, keyed by the constant that its functions return.

    One of them, `empty by type`, returns an empty value of the annotated type.
    """
    values: dict[str, Value] = {"empty by type": _empty_value}
    for constant in CONSTANTS:
        values[constant] = lambda _, constant=constant: constant  # type: ignore[misc]
    made = {name: _stub(exercise, value) for name, value in values.items()}
    # Without annotations two stubs are identical: keep the one with the simpler name, the last.
    return {name: files for name, files in made.items() if _last(made, files) == name}


def _last(made: Mapping[str, dict[str, str]], files: dict[str, str]) -> str:
    return [name for name, others in made.items() if others == files][-1]


def _stub(exercise: Exercise, value: Value) -> dict[str, str]:
    return {
        name: stub(read_text(path), value, display_path(path))
        for name, path in exercise_files.starter_files(exercise).items()
        if name in exercise.entry and name.endswith(".py")
    }


def stub(source: str, value: Value, where: str = "the starter") -> str:
    """Return `source` with each unwritten function body replaced by `return value`.

    If every function is written, all bodies are replaced. `where` names the source in errors.
    """
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
    """Whether a function raises NotImplementedError or has an empty body."""
    if any(_raises_not_implemented(statement) for statement in ast.walk(function)):
        return True
    return all(
        isinstance(s, ast.Pass) or (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))
        for s in function.body
    )


def _raises_not_implemented(node: ast.AST) -> bool:
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
    if not _is_generator(function):
        return f"return {constant}"
    return f"yield {constant}" if value is not _empty_value else "return\nyield"


def _is_generator(function: Function) -> bool:
    """Whether the function itself, not one nested in it, yields."""
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
    return _EMPTY_BY_TYPE.get(_name(annotation), "None")


def _name(node: ast.AST | None) -> str:
    if isinstance(node, ast.Call):
        node = node.func
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""
