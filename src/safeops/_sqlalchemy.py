"""The parts of SQLAlchemy that are not public. No other module uses them.

Each docstring ends with the versions in which the part was seen to work; tests/unit/test_privates.py tries each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Dialect, Engine
from sqlalchemy.exc import CompileError
from sqlalchemy.sql.elements import _truncated_label

T = TypeVar("T", bound="sa.Column[Any] | sa.CheckConstraint")

# Schemas --------------------------------------------------------------------------------------------------------


def copied(part: T) -> T:
    """Return a copy of a column or a check that belongs to no table. 2.0.0 to 2.1.9."""
    made: T = part._copy()  # type: ignore[assignment]
    return made


def ordered_constraints(table: sa.Table) -> list[sa.Constraint]:
    """Return the constraints of a table in the order in which they were given. 2.0.0 to 2.1.9."""
    return list(table._sorted_constraints)


def counted_column(table: sa.Table) -> sa.Column[Any] | None:
    """Return the column that the server numbers, or None. 2.0.0 to 2.1.9."""
    return table.primary_key._autoincrement_column


def is_for_dialect(check: sa.CheckConstraint, compiler: Any) -> bool:
    """Return whether a check is rendered: Boolean and Enum bring one for dialects without such a type. 2.0.0 to 2.1.9."""
    return not check._create_rule or bool(check._create_rule(compiler))


def created_with(metadata: sa.MetaData) -> list[Any]:
    """Return what registered itself to be created with the metadata, such as named types. 2.0.0 to 2.1.9."""
    listeners = metadata.dispatch.before_create
    return [getattr(listener, "target", None) or getattr(listener, "__self__", None) for listener in listeners]


def are_akin(type_: Any, other: Any) -> bool:
    """Return whether two types are of one family, such as integers of different sizes. 2.0.0 to 2.1.9."""
    return type_._type_affinity is other._type_affinity


# Names and text -------------------------------------------------------------------------------------------------


def is_generated_name(name: Any) -> bool:
    """Return whether a naming convention made a name, which may be longer than the server takes. 2.0.0 to 2.1.9."""
    return isinstance(name, _truncated_label)


def generated_name(thing: Any, dialect: Dialect) -> str:
    """Return the generated name of an index or a constraint, cut as in SQL, without quotes. 2.0.0 to 2.1.9."""
    preparer: Any = dialect.identifier_preparer
    return str(preparer.format_constraint(thing, _alembic_quote=False))


def cut_name(name: Any, dialect: Dialect) -> str:
    """Return a generated name, cut as in SQL, without quotes. 2.0.0 to 2.1.9."""
    preparer: Any = dialect.identifier_preparer
    return str(preparer.truncate_and_render_constraint_name(name, _alembic_quote=False))


def parameters(text: sa.TextClause) -> list[sa.BindParameter[Any]]:
    """Return the parameters of a text. 2.0.0 to 2.1.9."""
    return list(text._bindparams.values())


@cache
def closed_compiler(compiler: Any) -> Any:
    """Return a statement compiler that refuses a parameter without a value: SQLAlchemy writes NULL. 2.0.0 to 2.1.9."""

    def render_literal_bindparam(self: Any, bindparam: Any, *args: Any, **options: Any) -> str:
        if bindparam.required:
            raise CompileError(
                f"the parameter :{bindparam.key} has no value. In text, a colon before a word is a parameter: write"
                " \\\\: for a colon, or give the value by .bindparams()"
            )
        return str(compiler.render_literal_bindparam(self, bindparam, *args, **options))

    return type(compiler.__name__, (compiler,), {"render_literal_bindparam": render_literal_bindparam})


@contextmanager
def single_percents(dialect: Dialect) -> Iterator[None]:
    """Compile percent signs as they are, for the block; drivers take them doubled. 2.0.0 to 2.1.9."""
    preparer: Any = dialect.identifier_preparer
    doubled = getattr(preparer, "_double_percents", False)
    preparer._double_percents = False
    try:
        yield
    finally:
        preparer._double_percents = doubled


def keep_backslashes(dialect: Any) -> None:
    """Render backslashes in strings as they are: the standard, without reading the setting. 2.0.0 to 2.1.9."""
    dialect._backslash_escapes = False


def copy_backslashes(dialect: Any, other: Any) -> None:
    """Have another dialect render backslashes in strings as this one does. 2.0.0 to 2.1.9."""
    if hasattr(dialect, "_backslash_escapes"):
        other._backslash_escapes = dialect._backslash_escapes


def dialect_of(pooled: Any) -> Dialect:
    """Return the dialect of a connection as the events of a pool get it. 2.0.0 to 2.1.9."""
    dialect: Dialect = pooled._pool._dialect
    return dialect


# Running statements ---------------------------------------------------------------------------------------------


def result_columns(context: Any) -> list[tuple[str, Any]]:
    """Return the columns that a statement returns, with their types; none for text. 2.0.0 to 2.1.9."""
    compiled = getattr(context, "compiled", None)
    entries = getattr(compiled, "_result_columns", None) or ()
    return [(entry.keyname, entry.type) for entry in entries]


@contextmanager
def connecting_by(connect: Callable[[Any], Any]) -> Iterator[None]:
    """Have each engine connect by this function, for the block. 2.0.0 to 2.1.9."""
    own: Any = Engine.connect
    Engine.connect = lambda engine: connect(engine)  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        Engine.connect = own  # type: ignore[method-assign]


def is_autocommit(connection: Connection) -> bool:
    """Return whether each statement of a connection is its own transaction, by its options. 2.0.0 to 2.1.9."""
    return connection._is_autocommit_isolation()


@contextmanager
def isolation_level_known(connection: Connection, level: str | None) -> Iterator[None]:
    """Have a connection answer its isolation level without sending a query, for the block. 2.0.0 to 2.1.9."""
    if level is not None:
        connection.get_isolation_level = lambda: level  # type: ignore[method-assign,assignment,return-value]
    try:
        yield
    finally:
        vars(connection).pop("get_isolation_level", None)
