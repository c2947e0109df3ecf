"""What statements read, change and lock: SELECT, INSERT, UPDATE, DELETE, MERGE, COPY, TRUNCATE and LOCK TABLE."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any

from pglast import ast
from pglast.enums import OnConflictAction

from safeops.judging import operations as op
from safeops.judging.operations import Operation
from safeops.judging.postgresql.bounds import is_by_key, joined_values, reads_an_end, rows_bound
from safeops.judging.postgresql.functions import is_known
from safeops.judging.postgresql.nodes import (
    columns_in,
    functions_in,
    is_constant,
    name_of,
    number_of,
    sql_of,
    text_of,
    walk,
    words_of,
)
from safeops.naming import Name

_KEY = frozenset({"id", "ctid"})
"""Columns that are taken for a key as long as the table is not known."""


def select(node: Any) -> Iterator[Operation]:
    """Return the effects of a query: it can lock rows, create a table, change a setting, or call any function."""
    into = getattr(node, "intoClause", None)
    if into is not None:
        yield Operation(op.CREATE_TABLE, name_of(into.rel), traits=frozenset({"as select"}), node=node)
    found = [*_reads(node), *_calls(node), *_writes_within(node)]
    yield from found
    if not found and into is None:
        yield Operation(op.OTHER, node=node)


def insert(node: Any) -> Iterator[Operation]:
    table = name_of(node.relation)
    source = node.selectStmt
    rows = len(source.valuesLists) if source is not None and source.valuesLists else None
    reads = list(_reads(source, also=_named_queries(node))) if source is not None else []
    traits = {"from table"} if reads else set()
    if node.onConflictClause is not None and node.onConflictClause.action == OnConflictAction.ONCONFLICT_UPDATE:
        traits.add("on conflict update")
    columns = tuple(one.name for one in node.cols or ())
    other = reads[0].table if reads else None
    yield Operation(op.INSERT, table, columns=columns, other=other, traits=frozenset(traits), rows=rows, node=node)
    yield from reads[1:]
    yield from _around(node)


def update(node: Any) -> Iterator[Operation]:
    yield from _changed(op.UPDATE, node, tuple(one.name for one in node.targetList or ()), node.fromClause)


def delete(node: Any) -> Iterator[Operation]:
    yield from _changed(op.DELETE, node, (), node.usingClause)


def _changed(kind: str, node: Any, columns: tuple[str, ...], source: Any) -> Iterator[Operation]:
    reads = list(_reads([source, node.whereClause, getattr(node, "targetList", None)], _named_queries(node)))
    made = Operation(
        kind,
        name_of(node.relation),
        columns=columns,
        other=reads[0].table if reads else None,
        expression=sql_of(node.whereClause),
        node=node,
    )
    traits = {"where"} if node.whereClause is not None else set()
    traits |= {"from table"} if source else set()
    yield bounded(made.with_traits(*traits), _KEY)
    yield from reads[1:]
    yield from _around(node)


def merge(node: Any) -> Iterator[Operation]:
    table = name_of(node.relation)
    reads = list(_reads(node.sourceRelation, _named_queries(node)))
    other = reads[0].table if reads else None
    traits = frozenset({"from table"} if reads else ())
    yield Operation(op.MERGE, table, other=other, traits=traits, expression=sql_of(node.joinCondition), node=node)
    yield from reads[1:]
    yield from _around(node)


def bounded(operation: Operation, keys: Collection[str]) -> Operation:
    """Return a statement about rows with how many there are at most, if its condition compares a key with values."""
    where = getattr(operation.node, "whereClause", None)
    rows = rows_bound(where, keys)
    rows = joined_values(operation.node, keys) if rows is None else rows
    by_key = {"by key"} if where is not None and is_by_key(where, keys) else set()
    limit = number_of(getattr(operation.node, "limitCount", None))
    if limit is not None and operation.kind == op.SELECT:
        rows = limit if rows is None else min(rows, limit)
    if operation.kind == op.SELECT and reads_an_end(operation.node, keys):
        by_key.add("end of key")
    return replace(operation, rows=rows, traits=(operation.traits - {"by key", "end of key"}) | by_key)


def copy(node: Any) -> Iterator[Operation]:
    if node.query is not None:
        yield from select(node.query)
    elif node.is_from:
        yield Operation(op.INSERT, name_of(node.relation), traits=frozenset({"copy"}), node=node)
    else:
        yield Operation(op.SELECT, name_of(node.relation), node=node)
    if node.is_program:
        yield Operation(op.OPAQUE, opaque="COPY runs a program on the database server", node=node)


def truncate(node: Any) -> Iterator[Operation]:
    traits = frozenset({"cascade"} if node.behavior == 1 else ())
    for relation in node.relations:
        yield Operation(op.TRUNCATE, name_of(relation), traits=traits, node=node)


MODES = (
    "access share",
    "row share",
    "row exclusive",
    "share update exclusive",
    "share",
    "share row exclusive",
    "exclusive",
    "access exclusive",
)
"""The modes of a lock, by their number."""


def lock(node: Any) -> Iterator[Operation]:
    mode = MODES[node.mode - 1]
    for relation in node.relations:
        yield Operation(op.LOCK_TABLE, name_of(relation), name=mode, traits=frozenset({f"mode {mode}"}), node=node)


# What is read on the way ---------------------------------------------------------------------------------------------


def _around(node: Any) -> Iterator[Operation]:
    """Return the effects of the WITH queries and the functions of a statement."""
    for query in node.withClause.ctes if node.withClause is not None else ():
        inner = query.ctequery
        yield from _reads(inner, _named_queries(node)) if isinstance(inner, ast.SelectStmt) else _written(inner)
    yield from _calls(node)


def _writes_within(node: Any) -> Iterator[Operation]:
    for one in walk(node):
        if isinstance(one, ast.CommonTableExpr) and not isinstance(one.ctequery, ast.SelectStmt):
            yield from _written(one.ctequery)


def _written(node: Any) -> Iterator[Operation]:
    kinds = {ast.InsertStmt: insert, ast.UpdateStmt: update, ast.DeleteStmt: delete, ast.MergeStmt: merge}
    sql = sql_of(node) or ""
    yield from (replace(one, sql=sql) for one in kinds[type(node)](node))


def _named_queries(node: Any) -> frozenset[str]:
    return frozenset(str(one.ctename) for one in walk(node) if isinstance(one, ast.CommonTableExpr))


def _reads(node: Any, also: Collection[str] = ()) -> Iterator[Operation]:
    """Return a SELECT for each table that a query reads, with the conditions of its level."""
    named = _named_queries(node) | frozenset(also)
    seen: set[Name] = set()
    for query in walk(node):
        if isinstance(query, ast.SelectStmt):
            for relation in _tables_of(query, named):
                seen.add(relation)
                yield _read(relation, query)
    elsewhere = {id(one) for part in walk(node) if isinstance(part, _NAMES_NO_SOURCE) for one in walk(part)}
    for relation in walk(node):
        if isinstance(relation, ast.RangeVar) and _is_table(relation, named) and id(relation) not in elsewhere:
            if name_of(relation) not in seen:
                yield Operation(op.SELECT, name_of(relation), node=relation)
            seen.add(name_of(relation))


_NAMES_NO_SOURCE = (ast.IntoClause, ast.LockingClause, ast.InsertStmt, ast.UpdateStmt, ast.DeleteStmt, ast.MergeStmt)
"""Parts of a query that name tables without reading them, or whose reads are part of a change."""


def _tables_of(query: Any, named: Collection[str]) -> Iterator[Name]:
    stack = list(query.fromClause or ())
    while stack:
        one = stack.pop(0)
        if isinstance(one, ast.RangeVar) and _is_table(one, named):
            yield name_of(one)
        elif isinstance(one, ast.JoinExpr):
            stack = [one.larg, one.rarg, *stack]


def _read(table: Name, query: Any) -> Operation:
    made = Operation(op.SELECT, table, expression=sql_of(query.whereClause), node=query)
    traits = {"where"} if query.whereClause is not None else set()
    traits |= {"limit"} if query.limitCount is not None else set()
    traits |= {"for update"} if _locks(query, table) else set()
    single = len(query.fromClause or ()) == 1 and isinstance(query.fromClause[0], ast.RangeVar)
    return bounded(made.with_traits(*traits), _KEY) if single else made.with_traits(*traits)


def columns_read(query: Any) -> tuple[Operation, ...]:
    """Return a SELECT for each table that a query reads, with the columns of it that the query names."""
    named = _named_queries(query)
    tables = [one for one in walk(query) if isinstance(one, ast.RangeVar) and _is_table(one, named)]
    return tuple(Operation(op.SELECT, name_of(one), columns=_columns_of(one, query)) for one in tables)


def _columns_of(relation: Any, query: Any) -> tuple[str, ...]:
    """Return the columns that are named as those of a table, or without any table."""
    own = relation.alias.aliasname if relation.alias is not None else relation.relname
    references = [one for one in walk(query) if isinstance(one, ast.ColumnRef)]
    return columns_in([one for one in references if words_of(list(one.fields or ())[:-1])[-1:] in ([], [own])])


def _locks(query: Any, table: Name) -> bool:
    """Return whether a query locks the rows of a table: ``FOR UPDATE``, or ``FOR UPDATE OF`` that table or its alias."""
    for clause in query.lockingClause or ():
        if not clause.lockedRels:
            return True
        wanted = {relation.relname for relation in clause.lockedRels}
        for one in walk(query.fromClause):
            if isinstance(one, ast.RangeVar) and name_of(one) == table:
                alias = one.alias.aliasname if one.alias is not None else one.relname
                if alias in wanted:
                    return True
    return False


def _is_table(relation: Any, named: Collection[str]) -> bool:
    if relation.schemaname in ("pg_catalog", "information_schema"):
        return False
    return bool(relation.schemaname) or (relation.relname not in named and not relation.relname.startswith("pg_"))


# Functions -----------------------------------------------------------------------------------------------------------


def _calls(node: Any) -> Iterator[Operation]:
    """Return the settings that a statement's functions change, and an OPAQUE for each function that is not built in."""
    for one in walk(node):
        if isinstance(one, ast.FuncCall) and functions_in(one)[0].name == "set_config":
            yield _setting(one)
    unknown = [name for name in functions_in(node) if not is_known(name)]
    for name in dict.fromkeys(unknown):
        why = f"it calls the function {name}(), and the code of that is not part of the statement"
        yield Operation(op.OPAQUE, name=str(name), opaque=why, node=node)


def _setting(call: Any) -> Operation:
    name, value, local = (list(call.args) + [None] * 3)[:3]
    traits = frozenset({"local"} if text_of(local) == "true" else ())
    value_text = text_of(value) if is_constant(value) else None
    return Operation(op.SET_SESSION, name=(text_of(name) or "").lower(), expression=value_text, traits=traits)
