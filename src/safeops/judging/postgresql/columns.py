"""What the text shows of a new column and of a constraint."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from pglast import ast
from pglast.enums import ConstrType as Kind

from safeops.judging import operations as op
from safeops.judging.operations import Operation
from safeops.judging.postgresql.functions import is_volatile
from safeops.judging.postgresql.nodes import (
    column_of,
    columns_in,
    functions_in,
    is_null,
    is_serial,
    name_of,
    sql_of,
    type_text,
    words_of,
)
from safeops.naming import Name


def added_column(table: Name, column: Any) -> Operation:
    """Return ADD COLUMN with the traits of its text."""
    own = {one.contype: one for one in column.constraints or ()}
    default = own[Kind.CONSTR_DEFAULT].raw_expr if Kind.CONSTR_DEFAULT in own else None
    referent = own[Kind.CONSTR_FOREIGN].pktable if Kind.CONSTR_FOREIGN in own else None
    return Operation(
        op.ADD_COLUMN,
        table,
        column=column.colname,
        other=name_of(referent) if referent is not None else None,
        type=type_text(column.typeName),
        expression=sql_of(default),
        traits=frozenset(_words_of(column, own, default)),
        parts=tuple(_own_constraints(table, column)),
        node=column,
    )


def _own_constraints(table: Name, column: Any) -> Iterator[Operation]:
    """Return the constraints that a column is declared with, as if the table had them."""
    for one in column.constraints or ():
        if one.contype in (Kind.CONSTR_CHECK, Kind.CONSTR_FOREIGN, Kind.CONSTR_UNIQUE, Kind.CONSTR_PRIMARY):
            yield replace(constraint(table, one), columns=(column.colname,))


_WORDS = {
    Kind.CONSTR_NOTNULL: "not null",
    Kind.CONSTR_IDENTITY: "identity",
    Kind.CONSTR_CHECK: "inline check",
    Kind.CONSTR_FOREIGN: "inline references",
    Kind.CONSTR_UNIQUE: "inline unique",
    Kind.CONSTR_PRIMARY: "inline unique",
    Kind.CONSTR_ATTR_NOT_ENFORCED: "not enforced",
}


def _words_of(column: Any, own: dict[Any, Any], default: Any) -> set[str]:
    words = {_WORDS[kind] for kind in own if kind in _WORDS}
    words |= {"not null"} if column.is_not_null or Kind.CONSTR_PRIMARY in own else set()
    words |= {"serial"} if is_serial(column.typeName) else set()
    if Kind.CONSTR_GENERATED in own:
        words.add("virtual" if own[Kind.CONSTR_GENERATED].generated_kind == "v" else "stored")
    if any(one.skip_validation and one.contype == Kind.CONSTR_CHECK for one in own.values()):
        words.discard("inline check")
    return words | default_words(default)


def default_words(default: Any, volatile: Callable[[str], bool | None] = lambda name: None) -> set[str]:
    """Return whether a default is the same for every row; an unknown function counts as volatile.

    Args:
        default: The expression.
        volatile: Returns whether a function that is not built in is volatile; None if that is not known.
    """
    if default is None or is_null(default):
        return set()
    answers = [volatile(str(one)) if (own := is_volatile(one)) is None else own for one in functions_in(default)]
    return {"constant default"} if all(answer is False for answer in answers) else {"volatile default"}


# Constraints ---------------------------------------------------------------------------------------------------------

KINDS = {
    Kind.CONSTR_CHECK: op.ADD_CHECK,
    Kind.CONSTR_FOREIGN: op.ADD_FOREIGN_KEY,
    Kind.CONSTR_UNIQUE: op.ADD_UNIQUE,
    Kind.CONSTR_PRIMARY: op.ADD_PRIMARY_KEY,
    Kind.CONSTR_EXCLUSION: op.ADD_EXCLUSION,
    Kind.CONSTR_NOTNULL: op.ADD_NOT_NULL_CONSTRAINT,
}


def constraint(table: Name, node: Any) -> Operation:
    """Return the operation that adds a constraint to a table."""
    kind = KINDS[node.contype]
    columns = columns_of(node)
    return Operation(
        kind,
        table,
        node.conname,
        column=columns[0] if kind == op.ADD_NOT_NULL_CONSTRAINT and columns else None,
        columns=columns,
        other=name_of(node.pktable) if node.pktable is not None else None,
        other_columns=tuple(words_of(node.pk_attrs)),
        expression=node.indexname or sql_of(node.raw_expr),
        traits=frozenset(_constraint_words(node)),
        node=node,
    )


def columns_of(node: Any) -> tuple[str, ...]:
    """Return the columns of a constraint."""
    if node.contype == Kind.CONSTR_EXCLUSION:
        return _exclusion_columns(node.exclusions)
    if node.contype == Kind.CONSTR_CHECK:
        return columns_in(node.raw_expr)
    return tuple(words_of(node.fk_attrs if node.contype == Kind.CONSTR_FOREIGN else node.keys))


def _exclusion_columns(exclusions: Iterable[Any]) -> tuple[str, ...]:
    elements = [pair[0] for pair in exclusions]
    return tuple(one.name for one in elements if isinstance(one, ast.IndexElem) and one.name)


def _constraint_words(node: Any) -> set[str]:
    words = {"not valid"} if node.skip_validation else set()
    # For other kinds of constraints the parser sets "not enforced" without a meaning.
    if node.contype in (Kind.CONSTR_CHECK, Kind.CONSTR_FOREIGN) and not node.is_enforced:
        words.add("not enforced")
    return words | ({"using index"} if node.indexname else set())


# Changes of type -----------------------------------------------------------------------------------------------------


def is_using_itself(column: str, wanted: Any) -> bool:
    """Return whether USING is absent, or is the column itself, cast to its new type at most."""
    using = wanted.raw_default
    if using is None:
        return True
    plain = isinstance(using, ast.ColumnRef) or (
        isinstance(using, ast.TypeCast)
        and isinstance(using.arg, ast.ColumnRef)
        and type_text(using.typeName) == type_text(wanted.typeName)
    )
    return plain and column_of(using) == column
