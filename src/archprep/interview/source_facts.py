"""A program that reads source without running it: each line of input and output is JSON.

Input is {name: text}; output is [facts, {name: hash}]. A fact is (name, line, kind, what). The
hash is that of the compiled code, without comments and layout; what does not compile has none.

It runs in a process of its own, on its own: parsers have crashed on hostile text.
"""

from __future__ import annotations

import ast
import hashlib
import json
import resource
import sys
import warnings
from collections.abc import Iterator
from types import CodeType

IMPORTED = {"_ctypes", "archprep", "cffi", "ctypes", "gc", "multiprocessing", "probes", "pty"}
IMPORTED |= {"socket", "socketserver", "subprocess"}
HOOKS = {"addaudithook", "setprofile", "settrace"}
FRAMES = {"_current_frames", "_getframe", "cr_frame", "currentframe", "f_back", "f_globals"}
FRAMES |= {"f_locals", "gi_frame", "tb_frame"}
PROCESSES = {"create_subprocess_exec", "create_subprocess_shell", "fork", "forkpty", "popen"}
PROCESSES |= {"posix_spawn", "posix_spawnp", "execv", "execve", "execvp", "execvpe"}
SOCKETS = {"create_connection", "create_server", "open_connection", "open_unix_connection"}
SOCKETS |= {"start_server", "start_unix_server"}
NAMED = {"uses a hook": HOOKS, "reads frames": FRAMES, "starts a process": PROCESSES}
NAMED |= {"opens a socket": SOCKETS}
OUTSIDE = tuple(f"/{name}/" for name in "dev etc home proc root runtime sys tmp usr var".split())
MEMORY, SECONDS = 1 << 30, 60  # for all that one process reads


def facts(tree: ast.AST) -> Iterator[tuple[int, str, str]]:
    """Yield (line, kind, what) for what an honest answer does not need."""
    for node in ast.walk(tree):
        for kind, what in _of(node):
            yield getattr(node, "lineno", 0), kind, what


def _of(node: ast.AST) -> Iterator[tuple[str, str]]:
    match node:
        case ast.Import(names=names):
            yield from (("imports", n.name) for n in names if n.name.split(".")[0] in IMPORTED)
        case ast.ImportFrom(module=str(module), names=names, level=0):
            if module.split(".")[0] in IMPORTED:
                yield "imports", module
            yield from (found for n in names for found in _named(n.name))
        case ast.Attribute(value=ast.Name("os"), attr="system"):
            yield "starts a process", "system"
        case ast.Attribute(attr=name):
            yield from _named(name)
        case ast.Constant(value=str(text)) if text.startswith((*OUTSIDE, "../")):
            yield "names a file outside its folder", text


def _named(name: str) -> Iterator[tuple[str, str]]:
    return ((kind, name) for kind, names in NAMED.items() if name in names)


def read(files: dict[str, str]) -> tuple[list[tuple[str, int, str, str]], dict[str, str]]:
    """Return the facts about all files, and the hashes of their code."""
    found, hashes = [], {}
    for name, text in files.items():
        try:
            tree = ast.parse(text.encode("utf-8", "surrogateescape"))
            code = compile(tree, "", "exec", dont_inherit=True, optimize=2)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        found += [(name, *fact) for fact in facts(tree)]
        hashes[name] = hashlib.sha256(repr(_plain(code)).encode()).hexdigest()
    return found, hashes


def _plain(value: object) -> object:
    """Compiled code, or a constant in it, without its place in the file."""
    if isinstance(value, CodeType):
        return value.co_code, value.co_names, value.co_varnames, _plain(value.co_consts)
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if isinstance(value, frozenset):
        return sorted(map(repr, value))
    return repr(value)


def main() -> None:
    """Answer each line of standard input."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    warnings.simplefilter("ignore")
    for line in sys.stdin:
        sys.stdout.write(f"{json.dumps(read(json.loads(line)))}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
