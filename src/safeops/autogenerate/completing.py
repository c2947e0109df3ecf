"""Makes rendered code whole: the imports of own types, the prefix of types inside types, percent signs as they are."""

from __future__ import annotations

import io
import sys
import tokenize
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from alembic.autogenerate.api import AutogenContext

Token = tokenize.TokenInfo


def completed(context: AutogenContext, code: str) -> str:
    """Return code in which each type is found: Alembic leaves that to the author."""
    lines = code.splitlines(keepends=True)
    for chain in reversed(list(_called(code))):
        first, names = chain[0], [token.string for token in chain]
        if len(names) > 1:
            _import(context, ".".join(names[:-1]))
        elif names[0][0].isupper() and hasattr(sa, names[0]):
            row, column = first.start
            prefix = context.opts["sqlalchemy_module_prefix"] or ""
            lines[row - 1] = f"{lines[row - 1][:column]}{prefix}{lines[row - 1][column:]}"
    return "".join(lines)


def _import(context: AutogenContext, module: str) -> None:
    """Import the module of a type of the project's own, unless env.py has a prefix for such types."""
    known = any(line.endswith(f"import {module}") for line in context.imports)
    if module in sys.modules and not known and not context.opts.get("user_module_prefix"):
        context.imports.add(f"import {module}")


def _called(code: str) -> Iterator[list[Token]]:
    """Go through the dotted names that are called."""
    chain: list[Token] = []
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        if token.type == tokenize.NAME:
            chain.append(token)
        elif token.string == "(" and chain:
            yield chain
            chain = []
        elif token.string != ".":
            chain = []


@contextmanager
def single_percents(context: AutogenContext) -> Iterator[None]:
    """Have expressions rendered for Python, not for a driver that reads percent signs as parameters."""
    preparer = context.migration_context.impl.dialect.identifier_preparer
    doubled = getattr(preparer, "_double_percents", False)
    preparer._double_percents = False
    try:
        yield
    finally:
        preparer._double_percents = doubled
