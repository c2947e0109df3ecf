"""What statements read, change and lock, from sqlglot's tree: SELECT, INSERT, UPDATE and DELETE."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from safeops.judging import operations as op
from safeops.judging.operations import Operation
from safeops.judging.row_bounds import is_by_key, rows_bound
from safeops.naming import Name

_KEY = frozenset({"id", "rowid"})
"""Columns that are taken for a key as long as the table is not known."""
_CALLS = frozenset(
    {
        "get_lock",
        "release_lock",
        "release_all_locks",
        "is_free_lock",
        "is_used_lock",
        "connection_id",
        "version",
        "sleep",
    }
    | {
        "last_insert_id",
        "row_count",
        "found_rows",
        "uuid_short",
        "benchmark",
        "user",
        "current_role",
        "schema",
        "database",
    }
    | {"changes", "total_changes", "sqlite_version", "last_insert_rowid"}
)
"""Functions without arguments about a table that the tree has no class for."""


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the parser's log for the block: a finding reports what the parser does not understand."""
    log = logging.getLogger("sqlglot")
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before


def rows_of(sql: str, dialect: str) -> list[Operation] | None:
    """Return what a statement about rows does; None if the parser does not take it for one."""
    try:
        with quiet():
            tree = sqlglot.parse_one(sql, read=dialect)
    except (SqlglotError, RecursionError):
        return None
    kinds: dict[Any, Callable[[Any], Iterator[Operation]]]
    kinds = {exp.Insert: _insert, exp.Update: _update, exp.Delete: _delete}
    found = kinds.get(type(tree))
    if found is not None:
        return list(found(tree))
    return list(selected(tree)) if isinstance(tree, exp.Query) else None


def rows_or_opaque(sql: str, dialect: str) -> list[Operation]:
    """Return what a statement about rows does; one OPAQUE if the parser does not understand it."""
    found = rows_of(sql, dialect)
    return (
        [Operation(op.OPAQUE, opaque="the parser does not understand this statement on rows")]
        if found is None
        else found
    )


def reading(sql: str, dialect: str) -> str | None:
    """Return a query that reads the rows that a statement works on, and locks none; None if it is another statement."""
    try:
        with quiet():
            tree: Any = sqlglot.parse_one(sql, read=dialect)
    except (SqlglotError, RecursionError):
        return None
    if isinstance(tree, (exp.Update, exp.Delete)):
        return _selecting(tree).sql(dialect)
    query = tree.expression if isinstance(tree, exp.Insert) else tree
    if not isinstance(query, exp.Query) or isinstance(query, exp.Values):
        return None
    for each in query.find_all(exp.Select):
        each.set("locks", None)
    return query.sql(dialect)


def _selecting(tree: Any) -> exp.Select:
    """Return the query with the tables, the condition and the limit of an UPDATE or a DELETE."""
    query = exp.select("1").from_(tree.this.copy())
    for table in tree.args.get("using") or ():
        query = query.join(table.copy())
    for part in ("where", "limit", "with_"):
        if tree.args.get(part) is not None:
            query.set(part, tree.args[part].copy())
    return query


def name_of(table: Any) -> Name | None:
    """Return the name of a table, as the tree has it; None of a subquery."""
    found = table.this if isinstance(table, exp.Schema) else table
    return Name(found.name, found.db or None) if isinstance(found, exp.Table) and found.name else None


def _update(tree: exp.Update) -> Iterator[Operation]:
    columns = [each.this.name for each in tree.expressions if isinstance(each, exp.EQ)]
    yield from _changed(op.UPDATE, tree, tree.this, tuple(columns))


def _delete(tree: exp.Delete) -> Iterator[Operation]:
    named = tree.args.get("tables") or [tree.this]
    for table in named:
        yield from _changed(op.DELETE, tree, table, ())


def _changed(kind: str, tree: Any, table: Any, columns: tuple[str, ...]) -> Iterator[Operation]:
    own = name_of(table)
    others = [name for name in _tables(tree) if name != own]
    made = Operation(kind, own, columns=columns, other=others[0] if others else None, node=tree)
    joined = bool(
        tree.args.get("using") or tree.args.get("from_") or tree.args.get("tables") or table.args.get("joins")
    )
    traits = {"from table"} if joined and others else set()
    yield bounded(made.with_traits(*traits, *_shown(tree)), _KEY)


def _insert(tree: exp.Insert) -> Iterator[Operation]:
    source = tree.expression
    columns = tuple(one.name for one in tree.this.expressions) if isinstance(tree.this, exp.Schema) else ()
    reads = list(selected(source)) if isinstance(source, exp.Query) and not isinstance(source, exp.Values) else []
    tables = [read for read in reads if read.table is not None]
    traits = {"from table"} if tables else set()
    traits |= set(tables[0].traits & {"by key", "limit", "where"}) if tables else set()
    traits |= {"on conflict update"} if tree.args.get("conflict") else set()
    rows = len(source.expressions) if isinstance(source, exp.Values) else tables[0].rows if tables else None
    other = tables[0].table if tables else None
    made = Operation(op.INSERT, name_of(tree.this), columns=columns, other=other, rows=rows, node=tree)
    yield made.with_traits(*traits)
    yield from (read for read in reads if read.kind != op.SELECT)


def selected(tree: Any) -> Iterator[Operation]:
    """What a query does: it reads tables, and may lock the rows that it reads."""
    found = False
    for query in tree.find_all(exp.Select):
        for table in _own_tables(query):
            found = True
            made = Operation(op.SELECT, table, node=query).with_traits(*_shown(query))
            yield bounded(made, _KEY) if len(list(_own_tables(query))) == 1 else made
    calls = [call.name for call in tree.find_all(exp.Anonymous) if call.name.lower() not in _CALLS]
    if calls and not found:
        why = f"it calls the function {calls[0]}(), and the code of that is not part of the statement"
        yield Operation(op.OPAQUE, name=calls[0], opaque=why, node=tree)
    elif not found:
        yield Operation(op.OTHER, node=tree)


def _shown(tree: Any) -> set[str]:
    traits = {"where"} if tree.args.get("where") else set()
    traits |= {"limit"} if tree.args.get("limit") else set()
    return traits | ({"for update"} if tree.args.get("locks") else set())


def bounded(operation: Operation, keys: Collection[str]) -> Operation:
    """Return a statement about rows with how many there are at most, if its condition compares a key with values."""
    tree = operation.node
    if not isinstance(tree, exp.Expression):
        return operation
    where = tree.args.get("where")
    condition = where.this if where is not None else None
    bounds = [bound for bound in (rows_bound(condition, keys), _limit_of(tree)) if bound is not None]
    by_key = {"by key"} if is_by_key(condition, keys) else set()
    rows = min(bounds) if bounds else None
    return replace(operation, rows=rows, traits=(operation.traits - {"by key"}) | by_key)


def _limit_of(tree: Any) -> int | None:
    limit = tree.args.get("limit")
    shown = limit.expression if limit is not None else None
    return int(shown.name) if isinstance(shown, exp.Literal) and shown.name.isdigit() else None


def _own_tables(query: exp.Select) -> Iterator[Name]:
    """Return the tables that a query itself names, without those of the queries in it."""
    source = query.args.get("from_")
    joins = [join.this for join in query.args.get("joins") or ()]
    named = {one.alias for one in _named_queries(query)}
    for table in [source.this if source is not None else None, *joins]:
        name = name_of(table)
        if name is not None and name.name not in named:
            yield name
            yield from (found for found in map(name_of, (join.this for join in table.args.get("joins") or ())) if found)


def _named_queries(tree: Any) -> list[Any]:
    """Return the queries that WITH names for a query, or for one around it."""
    found: list[Any] = []
    while tree is not None:
        within = tree if isinstance(tree, exp.With) else tree.args.get("with_")
        found += within.expressions if within is not None else []
        tree = tree.parent
    return found


def _tables(tree: Any) -> list[Name]:
    named = {one.alias for one in tree.find_all(exp.CTE)}
    found = [name_of(table) for table in tree.find_all(exp.Table)]
    return list(dict.fromkeys(name for name in found if name is not None and name.name not in named))
