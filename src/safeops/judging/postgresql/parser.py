"""PostgreSQL's own parser: each statement of a text becomes the operations that it consists of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from pglast import ast

from safeops.judging import operations as op
from safeops.judging.operations import Operation
from safeops.judging.postgresql import objects, rows, tables
from safeops.judging.postgresql.blocks import call, create_function, do_block
from safeops.judging.postgresql.splitting import Statement, statements

_READERS: dict[type, Callable[[Any], Iterable[Operation]]] = {
    ast.AlterTableStmt: tables.alter_table,
    ast.CreateStmt: tables.create_table,
    ast.CreateForeignTableStmt: lambda node: tables.create_table(node.base),
    ast.CreateTableAsStmt: tables.create_table_as,
    ast.IndexStmt: objects.create_index,
    ast.ReindexStmt: objects.reindex,
    ast.VacuumStmt: objects.vacuum,
    ast.ClusterStmt: objects.cluster,
    ast.CreateEnumStmt: objects.create_enum,
    ast.CompositeTypeStmt: objects.create_composite,
    ast.CreateRangeStmt: objects.create_range,
    ast.CreateDomainStmt: objects.create_domain,
    ast.AlterEnumStmt: objects.alter_enum,
    ast.AlterDomainStmt: objects.alter_domain,
    ast.AlterTypeStmt: objects.alter_type,
    ast.ViewStmt: objects.create_view,
    ast.RefreshMatViewStmt: objects.refresh,
    ast.CreateTrigStmt: objects.create_trigger,
    ast.RuleStmt: objects.create_rule,
    ast.CreatePolicyStmt: objects.policy,
    ast.AlterPolicyStmt: objects.policy,
    ast.CreateStatsStmt: objects.statistics,
    ast.CommentStmt: objects.comment,
    ast.GrantStmt: objects.grant,
    ast.GrantRoleStmt: objects.grant_role,
    ast.DropStmt: objects.drop,
    ast.DropOwnedStmt: objects.drop_owned,
    ast.RenameStmt: objects.rename,
    ast.AlterObjectSchemaStmt: objects.set_schema,
    ast.VariableSetStmt: objects.set_variable,
    ast.TransactionStmt: objects.transaction,
    ast.SelectStmt: rows.select,
    ast.InsertStmt: rows.insert,
    ast.UpdateStmt: rows.update,
    ast.DeleteStmt: rows.delete,
    ast.MergeStmt: rows.merge,
    ast.CopyStmt: rows.copy,
    ast.TruncateStmt: rows.truncate,
    ast.LockStmt: rows.lock,
    ast.DoStmt: lambda node: do_block(node, operations),
    ast.CallStmt: call,
    ast.CreateSchemaStmt: lambda node: [
        one for element in node.schemaElts or () for one in _of(Statement("", element))
    ],
    ast.CreateFunctionStmt: lambda node: create_function(node, operations),
}
_OPAQUE = {
    ast.ExecuteStmt: "it runs a prepared statement, and the text of that is elsewhere",
    ast.AlterExtensionStmt: "it runs the script of an extension, which can change any of its tables",
    ast.LoadStmt: "it loads a library",
    ast.AlterTableMoveAllStmt: "it moves every table of a tablespace, each under ACCESS EXCLUSIVE",
    ast.ImportForeignSchemaStmt: "it creates the tables of another server",
}
"""Statements whose text does not show their effect."""


def operations(sql: str) -> list[Operation]:
    """Return the effects of each statement of a text."""
    found = statements(sql)
    read = [operation for statement in found for operation in _certain(statement)]
    # The server runs several statements of one text in an implicit transaction.
    return read if len(found) < 2 else [one.with_traits("in a transaction") for one in read]


def _certain(statement: Statement) -> list[Operation]:
    try:
        return _of(statement)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, RecursionError) as error:
        # An unknown form of a statement must not stop a review, and must not count as understood.
        return [
            Operation(
                op.OPAQUE, opaque=f"safeops does not know this form of statement ({type(error).__name__}: {error})"
            )
        ]


def _of(statement: Statement) -> list[Operation]:
    node = statement.node
    if node is None:
        why = f"PostgreSQL's parser does not understand it: {statement.error}"
        return [Operation(op.OPAQUE, expression=statement.sql, opaque=why)]
    if type(node) in _OPAQUE:
        return [Operation(op.OPAQUE, opaque=_OPAQUE[type(node)], node=node)]
    if isinstance(node, ast.ExplainStmt):
        return _explained(node)
    if isinstance(node, ast.PrepareStmt):
        return _of(Statement(statement.sql, node.query))
    reader = _READERS.get(type(node))
    found = list(reader(node)) if reader is not None else []
    found = found or [Operation(op.OTHER, node=node)]
    return [one if one.sql else replace(one, sql=statement.sql) for one in found]


def _explained(node: Any) -> list[Operation]:
    """EXPLAIN runs nothing, except with ANALYZE."""
    analyses = any(one.defname == "analyze" for one in node.options or ())
    return _of(Statement("", node.query)) if analyses else [Operation(op.OTHER, node=node)]
