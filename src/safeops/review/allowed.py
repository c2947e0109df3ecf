"""Comments that accept findings: ``# safeops: allow RULE -- reason`` on a statement, or directly above it."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from safeops.judging.finding import NOTE, Finding
from safeops.judging.sent import Place
from safeops.naming import nearest
from safeops.runner.checks import ALLOWED, KINDS, names_of

UNUSED, UNKNOWN, NO_REASON = "unused-allow", "unknown-allow", "allow-without-reason"
OF_TESTS = frozenset({"drop-column", "drop-table", "lossy-downgrade", "rename-column", "rename-table"})
"""The rules whose comments ``pytest --safeops`` reads too: a comment may be there for its sake."""


@dataclass(frozen=True)
class Comment:
    """A comment that accepts findings.

    Args:
        line: Its line.
        names: The rules that it accepts.
        reason: Why; without it, the comment accepts nothing.
    """

    line: int
    names: tuple[str, ...]
    reason: str


class Allowed:
    """The comments of a file that accept findings, and which of them were used.

    Args:
        file: The file of a revision, or a module that it calls.
    """

    def __init__(self, file: str) -> None:
        self.file = file
        self._used: set[tuple[int, str]] = set()

    def reason_for(self, rule: str, line: int) -> str | None:
        """Return the reason of the comment that accepts findings of a rule on a line; None if none does."""
        # Most files have none, and then there is no need to read their statements.
        lines = self._lines_about(line) if self._comments else set()
        for comment in self._comments:
            if comment.reason and comment.line in lines and rule in comment.names:
                self._used.add((comment.line, rule))
                return comment.reason
        return None

    def notes(self, rules: Collection[str], *, complete: bool) -> Iterator[Finding]:
        """Yield the findings about the comments.

        Args:
            rules: The names of the rules.
            complete: Whether all statements of the file were judged: only then is a comment certainly unused.
        """
        for comment in self._comments:
            # The kinds of findings of a check share the comment.
            names = [name for name in comment.names if name not in KINDS]
            if names and not comment.reason:
                why = f'The comment accepts nothing without a reason: "# safeops: allow {", ".join(names)} -- why".'
                yield self._note(NO_REASON, comment, why)
                continue
            for name in names:
                if name not in rules:
                    yield self._note(UNKNOWN, comment, f"There is no rule {name}. {nearest(name, rules, 'rules')}")
                elif complete and name not in OF_TESTS and (comment.line, name) not in self._used:
                    yield self._note(UNUSED, comment, f"There is no finding of {name} here: remove the comment.")

    def _note(self, rule: str, comment: Comment, why: str) -> Finding:
        return Finding(rule, NOTE, why, Place(self.file, comment.line))

    # The file ---------------------------------------------------------------------------------------------------

    @cached_property
    def _text(self) -> str:
        with suppress(OSError):
            return Path(self.file).read_text(encoding="utf-8", errors="replace")
        return ""

    @cached_property
    def _comments(self) -> list[Comment]:
        if ALLOWED.search(self._text) is None:
            return []
        found = ((line, ALLOWED.match(text)) for line, text in self._comment_lines.items())
        return [
            Comment(line, tuple(names_of(match)), (match[2] or "").strip())
            for line, match in found
            if match is not None
        ]

    @cached_property
    def _comment_lines(self) -> dict[int, str]:
        lines = {}
        # A file that Python cannot read has already been reported.
        with suppress(tokenize.TokenError, SyntaxError):
            for token in tokenize.generate_tokens(io.StringIO(self._text).readline):
                if token.type == tokenize.COMMENT:
                    lines[token.start[0]] = token.string
        return lines

    @cached_property
    def _statements(self) -> list[tuple[int, int]]:
        """The first and the last line of each statement."""
        with suppress(SyntaxError, ValueError):
            return [_lines_of(node) for node in ast.walk(ast.parse(self._text)) if isinstance(node, ast.stmt)]
        return []

    def _lines_about(self, line: int) -> set[int]:
        """Return the lines of the statement that a line is part of, and those of the comments directly above it."""
        around = [lines for lines in self._statements if lines[0] <= line <= lines[1]]
        first, last = min(around, key=lambda lines: lines[1] - lines[0], default=(line, line))
        lines = set(range(first, last + 1))
        above = self._text.splitlines()[: first - 1]
        while above and above.pop().lstrip().startswith("#"):
            first -= 1
            lines.add(first)
        return lines


def _lines_of(statement: ast.stmt) -> tuple[int, int]:
    body = getattr(statement, "body", None)
    # A batch sends its statements at the end of its block, from its first line: the whole block belongs to them.
    if body and not isinstance(statement, (ast.With, ast.AsyncWith)):
        return statement.lineno, max(statement.lineno, body[0].lineno - 1)
    return statement.lineno, statement.end_lineno or statement.lineno
