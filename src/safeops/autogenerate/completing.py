"""Makes rendered code whole: the imports of own types, the prefix of types inside types, percent signs and colons."""

from __future__ import annotations

import io
import re
import sys
import tokenize
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate import render
from alembic.autogenerate.api import AutogenContext

from safeops.naming import domain_arguments

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
def literal_text(context: AutogenContext) -> Iterator[None]:
    """Have expressions rendered as text for Python: a percent sign is no parameter, and neither is a colon."""
    impl: Any = context.migration_context.impl
    preparer = impl.dialect.identifier_preparer
    doubled, theirs = getattr(preparer, "_double_percents", False), impl.render_ddl_sql_expr
    preparer._double_percents = False
    impl.render_ddl_sql_expr = theirs if isinstance(theirs, _Literally) else _Literally(theirs)
    # Alembic looks for it by this name; without it a domain is written without its rules.
    impl._render_DOMAIN_type = _domain
    try:
        yield
    finally:
        preparer._double_percents = doubled
        impl.render_ddl_sql_expr = theirs


def _domain(type_: Any, context: AutogenContext) -> str:
    arguments = domain_arguments(type_, render._repr_type(type_.data_type, context))
    return f"{type(type_).__module__.split('.')[2]}.DOMAIN({arguments})"


@dataclass
class _Literally:
    theirs: Any

    def __call__(self, expression: Any, *, is_index: bool = False, **options: Any) -> str:
        if isinstance(expression, sa.TextClause) and any(one.required for one in expression._bindparams.values()):
            expression = sa.text(plain_text(expression.text))
        rendered: str = self.theirs(expression, is_index=is_index, **options)
        # The elements of an index are written as literal columns, which have no parameters.
        return rendered if is_index else escaped(rendered)


_PARAMETER = re.compile(r"(?<![:\w$\\])(?=:[\w$]+(?![:\w$]))")
_COLON = re.compile(rf"{_PARAMETER.pattern}|(?<=\\)(?=:[\w$]*(?![:\w$]))")


def escaped(text: str) -> str:
    """Return what ``sa.text()`` reads as this very text."""
    return _COLON.sub(r"\\", text)


def plain_text(text: str) -> str:
    """Return what ``sa.text()`` reads as text without parameters: what the server has told of has none."""
    return escaped(text) if _PARAMETER.search(text) else text
