"""How large an exercise is: words, lines of code, and the minutes that they take.

A good candidate reads 150 words of a brief a minute and needs 0.55 minutes for a line of the
reference that the starter does not have. Blank lines, comments and docstrings take no time.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from archprep.content import exercise_files
from archprep.content.yaml_reader import read_text
from archprep.core.model import Exercise

WORDS_A_MINUTE = 150
MINUTES_A_LINE = 0.55
LEAST_STATED = 0.8  # of the computed minutes; with less, a warning

_NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}


def words(markdown: str) -> int:
    """Return the number of words that a reader sees; signs alone are none."""
    visible = re.sub(r"<!--.*?-->|\{[%#].*?[%#]\}", "", markdown, flags=re.DOTALL)
    return sum(any(c.isalnum() for c in word) for word in visible.split())


def code_lines(source: str) -> list[str]:
    """Return the lines of Python code, stripped: no blanks, comments or docstrings."""
    lines = source.splitlines()
    numbers: dict[int, None] = {}
    begins = True  # a statement: a string there is a docstring
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in _NO_CODE:
            begins = begins or token.type == tokenize.NEWLINE
        elif begins and token.type == tokenize.STRING:
            begins = False
        else:
            begins = False
            numbers |= dict.fromkeys(range(token.start[0], token.end[0] + 1))
    return [lines[number - 1].strip() for number in numbers]


@dataclass(frozen=True)
class Sizes:
    """The measures of one exercise."""

    exercise: Exercise

    @cached_property
    def brief_words(self) -> int:
        """Words of the brief."""
        return words(exercise_files.brief_template(self.exercise))

    @cached_property
    def reference_lines(self) -> int:
        """Lines of the reference that are not in the starter."""
        starter = exercise_files.starter_files(self.exercise)
        given = Counter(_python_lines({name: read_text(path) for name, path in starter.items()}))
        written = Counter(_python_lines(exercise_files.reference(self.exercise)))
        return (written - given).total()

    @cached_property
    def grader_lines(self) -> int:
        """Lines of the graders, probes included; not those of right and wrong answers."""
        paths = sorted(self.exercise.grader_dir.glob("*.py"))
        return sum(len(code_lines(read_text(path))) for path in paths)

    def minutes(self, share: float = 1.0) -> int:
        """Return the minutes to read the brief and to write this share of the reference."""
        writing = self.reference_lines * MINUTES_A_LINE * share
        return round(self.brief_words / WORDS_A_MINUTE + writing)


def _python_lines(files: dict[str, str]) -> Iterable[str]:
    return (
        line for name, text in files.items() if name.endswith(".py") for line in code_lines(text)
    )
