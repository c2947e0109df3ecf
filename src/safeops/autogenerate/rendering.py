"""Writes calls of helpers and comments, and completes the code that Alembic renders: imports, types, percent signs."""

from __future__ import annotations

import io
import re
import sys
import tokenize
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate.api import AutogenContext

from safeops import _alembic, _sqlalchemy
from safeops.naming import Code, domain_arguments


def completed(context: AutogenContext, write: Callable[[AutogenContext], list[str]]) -> list[str]:
    """Return lines in which each type is imported, and SQL is text for Python."""
    with _literal_text(context):
        lines = write(context)
    lines = [line if line.startswith("#") else _with_types_imported(context, line) for line in lines]
    _allow_imports_of_template(context, "\n".join(line for line in lines if not line.startswith("#")))
    return lines


# Calls and comments ---------------------------------------------------------------------------------------------


def helper_call(context: AutogenContext, helper: str, *arguments: Any, **options: Any) -> str:
    """Write the call of a helper, and import it. Options that are None are left out."""
    import_helper(context, helper)
    values = [_value(argument) for argument in arguments]
    values += [f"{name}={_value(value)}" for name, value in options.items() if value is not None]
    return f"{helper}({', '.join(values)})"


def _value(value: Any) -> str:
    if isinstance(value, Code):
        return str(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    # SQLAlchemy's quoted_name has another repr().
    return repr(str(value)) if isinstance(value, str) else repr(value)


def commented(text: str) -> list[str]:
    """Write a text as comments; indented lines are commands and stay whole."""
    lines = [part for line in text.splitlines() for part in ([line] if line[:1] == " " else wrap(line, 110))]
    return [f"# {line}" for line in lines]


def complete_exclusion(constraint: Any, rendered: str) -> str:
    """Add what Alembic leaves out of an exclusion constraint: the operator classes, and True instead of a string."""
    rendered = rendered.replace("deferrable='True'", "deferrable=True")
    classes = {str(name): str(value) for name, value in (constraint.ops or {}).items()}
    return f"{rendered.removesuffix(')')}, ops={classes!r})" if classes and "ops=" not in rendered else rendered


# Types ----------------------------------------------------------------------------------------------------------

Token = tokenize.TokenInfo


def _with_types_imported(context: AutogenContext, code: str) -> str:
    """Return code in which each type can be found: Alembic leaves that to the author."""
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
    """Import the module of a project's type, unless env.py has a prefix for such types."""
    known = any(line.endswith(f"import {module}") for line in context.imports)
    if module in sys.modules and not known and not context.opts.get("user_module_prefix"):
        context.imports.add(f"import {module}")


def _called(code: str) -> Iterator[list[Token]]:
    """Yield the dotted names that are called."""
    chain: list[Token] = []
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        if token.type == tokenize.NAME:
            chain.append(token)
        elif token.string == "(" and chain:
            yield chain
            chain = []
        elif token.string != ".":
            chain = []


# SQL in code ----------------------------------------------------------------------------------------------------


@contextmanager
def _literal_text(context: AutogenContext) -> Iterator[None]:
    """Render SQL as text for Python: neither a percent sign nor a colon begins a parameter."""
    impl: Any = context.migration_context.impl
    original = impl.render_ddl_sql_expr
    impl.render_ddl_sql_expr = original if isinstance(original, _Literal) else _Literal(original)
    # Without it Alembic writes a domain without its rules.
    _alembic.render_domains_by(impl, _domain)
    try:
        with _sqlalchemy.single_percents(impl.dialect):
            yield
    finally:
        impl.render_ddl_sql_expr = original


def _domain(type_: Any, context: AutogenContext) -> str:
    arguments = domain_arguments(type_, _alembic.rendered_type(type_.data_type, context))
    return f"{type(type_).__module__.split('.')[2]}.DOMAIN({arguments})"


@dataclass
class _Literal:
    original: Any

    def __call__(self, expression: Any, *, is_index: bool = False, **options: Any) -> str:
        rendered: str = self.original(closed(expression), is_index=is_index, **options)
        # The elements of an index are written as literal columns, which have no parameters.
        return rendered if is_index else escaped(rendered)


_PARAMETER = re.compile(r"(?<![:\w$\\])(?=:[\w$]+(?![:\w$]))")
_COLON = re.compile(rf"{_PARAMETER.pattern}|(?<=\\)(?=:[\w$]*(?![:\w$]))")


def escaped(text: str) -> str:
    """Return what ``sa.text()`` reads as this very text."""
    return _COLON.sub(r"\\", text)


def closed(expression: Any) -> Any:
    """Return an expression of the models; a text whose colons were taken for parameters without a value has none."""
    # Alembic wraps the text of an index.
    text = expression if isinstance(expression, sa.TextClause) else getattr(expression, "text", None)
    if isinstance(text, sa.TextClause) and any(parameter.required for parameter in _sqlalchemy.parameters(text)):
        return sa.text(without_parameters(text.text))
    return expression


def without_parameters(text: str) -> str:
    """Return what ``sa.text()`` reads as text without parameters, as what a server reports never has any."""
    return escaped(text) if _PARAMETER.search(text) else text


# Imports --------------------------------------------------------------------------------------------------------

WIDTH = 88
_HELPERS = "from safeops import "
_NOQA = "# ruff: noqa: "
_OF_ALEMBIC = "from alembic import op\nimport sqlalchemy as sa\n${imports"
_TYPED = "from typing import Sequence, Union"


def import_helper(context: AutogenContext, name: str) -> None:
    """Import a helper in the revision, together with the others."""
    before = next((line for line in context.imports if line.startswith(_HELPERS)), "")
    names = {name, *re.findall(r"\w+", before.removeprefix(_HELPERS))}
    context.imports.discard(before)
    context.imports.add(_import_of(sorted(names, key=lambda name: (name[:1].islower(), name))))


def _import_of(names: list[str]) -> str:
    line = f"{_HELPERS}{', '.join(names)}"
    return line if len(line) <= WIDTH else "\n".join([f"{_HELPERS}(", *(f"    {name}," for name in names), ")"])


def _allow_imports_of_template(context: AutogenContext, code: str) -> None:
    """Have ruff accept the imports in Alembic's own template, which no rewriter can change.

    Their order and their types are outdated, and a revision of helpers might not use them all.
    """
    template = _template(context)
    if _OF_ALEMBIC not in template:
        return
    used: set[str] = context.opts.setdefault("safeops_used", set())
    used |= {module for module in ("op", "sa") if re.search(rf"\b{module}\.", code)}
    codes = ["F401"] if len(used) < 2 else []
    codes += ["I001", *(["UP007", "UP035"] if _TYPED in template else [])]
    for line in [line for line in context.imports if line.startswith(_NOQA)]:
        context.imports.discard(line)
    context.imports.add(_NOQA + ", ".join(codes))


def _template(context: AutogenContext) -> str:
    script = context.migration_context.script
    path = Path(script.dir) / "script.py.mako" if script is not None else None
    return path.read_text() if path is not None and path.is_file() else ""
