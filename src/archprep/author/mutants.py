"""Mutants: the reference with one small change each, made by operators of mutmut.

Only mutmut's operators are used. Its runner copies each function for all of its mutants and needs
a test suite; here each mutant is an answer of its own, which the graders grade like any other.

What no rule can state is not changed: annotations, docstrings, log calls and the text of errors.
"""

from __future__ import annotations

import difflib
import random
import textwrap
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from archprep.content.equivalent_mutants import Change
from archprep.core.errors import UsageError

if TYPE_CHECKING:
    import libcst as cst

    Node = cst.CSTNode
    Pair = tuple[Node, Node]  # a node and what takes its place

CONTEXT = 3  # lines around the change in a diff

_LOGGING = {"debug", "info", "warning", "error", "exception", "critical", "log"}
_NEVER_CHANGED = {"len", "isinstance"}  # with other arguments they only raise


@dataclass(frozen=True, slots=True)
class Mutant:
    """A change of one file of the reference, and the file with that change."""

    change: Change
    source: str

    def files(self, reference: Mapping[str, str]) -> dict[str, str]:
        """Return the reference with this change."""
        return {**reference, self.change.file: self.source}

    def compiles(self) -> bool:
        """Whether the changed file is valid Python: a few changes make none."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about `is not "text"`, which a change may lead to
            try:
                compile(self.source, self.change.file, "exec", dont_inherit=True)
            except (SyntaxError, ValueError):
                return False
        return True

    def diff(self, reference: Mapping[str, str]) -> str:
        """Return the change as a unified diff."""
        name = self.change.file
        old, new = (text.splitlines() for text in (reference[name], self.source))
        lines = difflib.unified_diff(old, new, name, name, lineterm="", n=CONTEXT)
        return "\n".join(lines)


def is_available() -> bool:
    """Whether mutmut is installed."""
    from importlib.util import find_spec

    return find_spec("mutmut") is not None


def of(reference: Mapping[str, str]) -> list[Mutant]:
    """Return all mutants of the reference's Python files; UsageError without mutmut."""
    if not is_available():
        raise UsageError(
            "Mutants need mutmut, which is not installed.",
            tip="Run `pip install 'archprep[author]'`.",
        )
    return [
        mutant
        for name, source in sorted(reference.items())
        if name.endswith(".py")
        for mutant in _of_file(name, source)
    ]


def drawn(every: Sequence[Mutant], seed: int, count: int | None) -> list[Mutant]:
    """Return a sample of the mutants, or all of them, without those that are no valid Python."""
    rng = random.Random(seed)  # noqa: S311 - repeatable on purpose
    shuffled = rng.sample(every, len(every))
    return list(islice((m for m in shuffled if m.compiles()), count))


def _of_file(name: str, source: str) -> Iterator[Mutant]:
    seen, made = {source}, Counter[Change]()
    for function, changed in _changed_sources(source):
        if changed in seen:
            continue
        seen.add(changed)
        change = Change(name, function, *_changed_lines(source, changed))
        made[change] += 1
        yield Mutant(replace(change, nth=made[change]), changed)


def _changed_sources(source: str) -> Iterator[tuple[str, str]]:
    """Yield each changed source with the qualified name of the function that was changed."""
    import libcst as cst
    from libcst.metadata import MetadataWrapper, PositionProvider

    # Nobody else has this tree: a copy would take most of the time.
    wrapper = MetadataWrapper(cst.parse_module(source), unsafe_skip_copy=True)
    module, places = wrapper.module, wrapper.resolve(PositionProvider)
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for function, node, other in _walk(module, ()):
        place = places.get(node)
        # The places of operators include the spaces around them, or do not.
        old, new = (module.code_for_node(_bare(n, node)).strip() for n in (node, other))
        if place is not None:
            begin = starts[place.start.line - 1] + place.start.column
            end = starts[place.end.line - 1] + place.end.column
            begin += len(source[begin:end]) - len(source[begin:end].lstrip())
            if source[begin:end].rstrip() == old:
                yield function, source[:begin] + new + source[begin + len(old) :]
                continue
        # A compound statement, whose code depends on its indentation. This way is slow.
        yield function, module.deep_replace(node, other).code


def _bare(node: Any, original: Any) -> Node:
    """Leave out the parentheses of the original, which stay where they are."""
    around = getattr(original, "lpar", ())
    if around and getattr(node, "lpar", ()) == around:
        node = node.with_changes(lpar=(), rpar=())
    return node  # type: ignore[no-any-return]


def _walk(node: Node, names: tuple[str, ...], *, message: bool = False) -> Iterator[Any]:
    """Yield a function's name, a node and its replacement, for each change below `node`."""
    import libcst as cst

    if _is_left_alone(node) or (message and _is_text(node)):
        return
    if isinstance(node, cst.FunctionDef | cst.ClassDef):
        names = (*names, node.name.value)
    told = message and isinstance(node, cst.Call) and all(_is_text(a.value) for a in node.args)
    for original, other in () if told else _replacements(node):
        yield ".".join(names), original, other
    for child in node.children:
        yield from _walk(child, names, message=message or isinstance(node, cst.Raise))


def _is_left_alone(node: Node) -> bool:
    import libcst as cst
    import libcst.matchers as m

    docstring = m.Expr(value=m.SimpleString() | m.ConcatenatedString())
    log_call = m.Call(func=m.Attribute(attr=m.MatchIfTrue(lambda name: name.value in _LOGGING)))
    never = m.Call(func=m.Name(value=m.MatchIfTrue(lambda name: name in _NEVER_CHANGED)))
    alias = m.Assign(value=m.Subscript(value=m.MatchIfTrue(_is_type)))
    if isinstance(node, cst.Annotation | cst.Decorator | cst.Import | cst.ImportFrom):
        return True
    return m.matches(node, docstring | m.Expr(value=log_call) | never | alias)


def _is_type(value: Node) -> bool:
    """Whether a subscript of this name is a type: Literal[...], dict[...]."""
    import builtins

    import libcst as cst

    name = value.value if isinstance(value, cst.Name) else ""
    return name[:1].isupper() or isinstance(getattr(builtins, name, None), type)


def _replacements(node: Node) -> Iterator[Pair]:
    import libcst as cst
    from mutmut.mutation.mutators import mutation_operators

    for kind, operator in mutation_operators:
        if isinstance(node, kind):
            others = list(operator(node))
            # One other text shows as much as three.
            yield from ((node, other) for other in (others[:1] if _is_text(node) else others))
    if isinstance(node, cst.Raise) or (
        isinstance(node, cst.Expr) and isinstance(node.value, cst.Call | cst.Await)
    ):
        yield node, cst.Pass(semicolon=node.semicolon)  # mutmut never removes a statement
    if isinstance(node, cst.If | cst.While) and isinstance(
        node.test, cst.Name | cst.Attribute | cst.Call
    ):
        yield node.test, cst.UnaryOperation(cst.Not(), node.test)  # nor does it negate these


def _is_text(node: Node) -> bool:
    import libcst as cst

    return isinstance(node, cst.BaseString)


def _changed_lines(old: str, new: str) -> tuple[str, str]:
    """Return the lines that differ, before and after, without their indentation."""
    a, b = old.splitlines(), new.splitlines()
    begin = _common(a, b)
    end = _common(a[begin:][::-1], b[begin:][::-1])
    before, after = ("\n".join(lines[begin : len(lines) - end]) for lines in (a, b))
    return textwrap.dedent(before).strip(), textwrap.dedent(after).strip()


def _common(a: list[str], b: list[str]) -> int:
    """Return how many lines both begin with."""
    pairs = enumerate(zip(a, b, strict=False))
    return next((i for i, (x, y) in pairs if x != y), min(len(a), len(b)))
