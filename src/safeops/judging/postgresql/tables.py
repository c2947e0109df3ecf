"""What CREATE TABLE and ALTER TABLE do, subcommand by subcommand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from pglast import ast
from pglast.enums import AlterTableType as AT
from pglast.enums import ConstrType, DropBehavior

from safeops.judging import operations as op
from safeops.judging.operations import Operation
from safeops.judging.postgresql.columns import KINDS, added_column, constraint, is_using_itself
from safeops.judging.postgresql.nodes import name_of, sql_of, type_text, words_of
from safeops.judging.postgresql.rows import columns_read, select
from safeops.naming import Name

# ALTER TABLE ---------------------------------------------------------------------------------------------------------


def alter_table(node: Any) -> Iterator[Operation]:
    """Return an operation for each subcommand of ALTER TABLE, ALTER INDEX, ALTER VIEW and the like."""
    table, kind = name_of(node.relation), node.objtype.name
    if kind == "OBJECT_TYPE":
        yield Operation(op.ALTER_TYPE, name=str(table), traits=frozenset({"attribute"}), node=node)
        return
    for command in sorted(node.cmds, key=_pass_of):
        made = _altered_index(table, command) if kind == "OBJECT_INDEX" else _altered(table, command)
        for one in made:
            yield _marked(one, node, command)


_PASSES = (
    (AT.AT_DropColumn, AT.AT_DropConstraint),
    (AT.AT_AlterColumnType,),
    (AT.AT_AddColumn,),
    (AT.AT_SetNotNull, AT.AT_DropNotNull, AT.AT_ColumnDefault, AT.AT_AddIdentity),
    (AT.AT_AddConstraint,),
)
"""The order in which the server works through the subcommands of a statement; what is not listed comes last."""


def _pass_of(command: Any) -> int:
    return next((place for place, kinds in enumerate(_PASSES) if command.subtype in kinds), len(_PASSES))


def _marked(operation: Operation, node: Any, command: Any) -> Operation:
    words = {"if exists"} if node.missing_ok or command.missing_ok else set()
    words |= {"cascade"} if command.behavior == DropBehavior.DROP_CASCADE else set()
    words |= {"only"} if not node.relation.inh else set()
    words |= (
        {"not a table"} if node.objtype.name in ("OBJECT_SEQUENCE", "OBJECT_VIEW", "OBJECT_FOREIGN_TABLE") else set()
    )
    return operation.with_traits(*words)


def _altered(table: Name, command: Any) -> list[Operation]:
    made = _SPECIAL.get(AT(command.subtype))
    if made is not None:
        return made(table, command)
    kind, words = _PLAIN.get(AT(command.subtype), (op.ALTER_TABLE, (_words_of(command),)))
    name = command.name or _text_of(command.def_)
    column = command.name if kind in _ABOUT_A_COLUMN or "expression" in words else None
    return [Operation(kind, table, name, column, traits=frozenset(words), node=command)]


def _words_of(command: Any) -> str:
    return _SUBCOMMANDS.get(AT(command.subtype), "option")


def _text_of(node: Any) -> str | None:
    return node.sval if isinstance(node, ast.String) else None


_ABOUT_A_COLUMN = (op.DROP_COLUMN, op.SET_NOT_NULL, op.DROP_NOT_NULL, op.DROP_DEFAULT)
_PLAIN: dict[AT, tuple[str, tuple[str, ...]]] = {
    AT.AT_DropColumn: (op.DROP_COLUMN, ()),
    AT.AT_SetNotNull: (op.SET_NOT_NULL, ()),
    AT.AT_DropNotNull: (op.DROP_NOT_NULL, ()),
    AT.AT_DropConstraint: (op.DROP_CONSTRAINT, ()),
    AT.AT_ValidateConstraint: (op.VALIDATE_CONSTRAINT, ()),
    AT.AT_EnableRowSecurity: (op.ROW_LEVEL_SECURITY, ()),
    AT.AT_ForceRowSecurity: (op.ROW_LEVEL_SECURITY, ("force",)),
    AT.AT_SetExpression: (op.REWRITE_TABLE, ("expression",)),
    AT.AT_SetLogged: (op.REWRITE_TABLE, ("logged",)),
    AT.AT_SetUnLogged: (op.REWRITE_TABLE, ("unlogged option",)),
    AT.AT_SetAccessMethod: (op.REWRITE_TABLE, ("access method",)),
    AT.AT_SetTableSpace: (op.REWRITE_TABLE, ("tablespace",)),
}
_SUBCOMMANDS = {
    AT.AT_SetStatistics: "statistics",
    AT.AT_SetOptions: "column option",
    AT.AT_ResetOptions: "column option",
    AT.AT_SetStorage: "storage",
    AT.AT_SetCompression: "compression",
    AT.AT_DropExpression: "expression",
    AT.AT_ChangeOwner: "owner",
    AT.AT_ClusterOn: "cluster option",
    AT.AT_DropCluster: "cluster option",
    AT.AT_SetRelOptions: "storage option",
    AT.AT_ResetRelOptions: "storage option",
    AT.AT_ReplaceRelOptions: "storage option",
    AT.AT_EnableTrig: "trigger",
    AT.AT_EnableAlwaysTrig: "trigger",
    AT.AT_EnableReplicaTrig: "trigger",
    AT.AT_DisableTrig: "trigger",
    AT.AT_EnableTrigAll: "trigger",
    AT.AT_DisableTrigAll: "trigger",
    AT.AT_EnableTrigUser: "trigger",
    AT.AT_DisableTrigUser: "trigger",
    AT.AT_EnableRule: "rule",
    AT.AT_EnableAlwaysRule: "rule",
    AT.AT_EnableReplicaRule: "rule",
    AT.AT_DisableRule: "rule",
    AT.AT_AddInherit: "inherit",
    AT.AT_DropInherit: "inherit",
    AT.AT_ReplicaIdentity: "replica identity",
    AT.AT_DisableRowSecurity: "row level security off",
    AT.AT_NoForceRowSecurity: "row level security off",
    AT.AT_AddIdentity: "identity",
    AT.AT_SetIdentity: "identity",
    AT.AT_DropIdentity: "identity",
}


def _add_column(table: Name, command: Any) -> list[Operation]:
    return [added_column(table, command.def_)]


def _set_default(table: Name, command: Any) -> list[Operation]:
    kind = op.DROP_DEFAULT if command.def_ is None else op.SET_DEFAULT
    return [Operation(kind, table, column=command.name, expression=sql_of(command.def_), node=command)]


def _add_constraint(table: Name, command: Any) -> list[Operation]:
    return [constraint(table, command.def_)]


def _change_type(table: Name, command: Any) -> list[Operation]:
    wanted = command.def_
    traits = {"using"} if not is_using_itself(command.name, wanted) else set()
    traits |= {"collation"} if wanted.collClause is not None else set()
    made = Operation(op.CHANGE_TYPE, table, column=command.name, type=type_text(wanted.typeName), node=wanted)
    return [replace(made, expression=sql_of(wanted.raw_default), traits=frozenset(traits))]


def _alter_constraint(table: Name, command: Any) -> list[Operation]:
    wanted = command.def_
    enforced = "enforced" if wanted.is_enforced else "not enforced"
    word = enforced if wanted.alterEnforceability else "deferrable"
    return [
        Operation(op.ALTER_TABLE, table, wanted.conname, traits=frozenset({"constraint option", word}), node=wanted)
    ]


def _attach(table: Name, command: Any) -> list[Operation]:
    part = command.def_
    traits = {"default partition"} if part.bound is not None and part.bound.is_default else set()
    return [Operation(op.ATTACH_PARTITION, table, other=name_of(part.name), traits=frozenset(traits), node=part)]


def _detach(table: Name, command: Any) -> list[Operation]:
    finalize = command.subtype == AT.AT_DetachPartitionFinalize
    words = {"FINALIZE"} if finalize else {"concurrently"} if command.def_.concurrent else set()
    other = name_of(command.def_.name)
    return [Operation(op.DETACH_PARTITION, table, other=other, traits=frozenset(words), node=command)]


def _inherit(table: Name, command: Any) -> list[Operation]:
    other = name_of(command.def_)
    return [Operation(op.ALTER_TABLE, table, other=other, traits=frozenset({"inherit"}), node=command)]


_SPECIAL: dict[AT, Callable[[Name, Any], list[Operation]]] = {
    AT.AT_AddColumn: _add_column,
    AT.AT_ColumnDefault: _set_default,
    AT.AT_AddConstraint: _add_constraint,
    AT.AT_AlterConstraint: _alter_constraint,
    AT.AT_AlterColumnType: _change_type,
    AT.AT_AttachPartition: _attach,
    AT.AT_DetachPartition: _detach,
    AT.AT_DetachPartitionFinalize: _detach,
    AT.AT_AddInherit: _inherit,
    AT.AT_DropInherit: _inherit,
}


def _altered_index(index: Name, command: Any) -> list[Operation]:
    """ALTER INDEX names the index alone: its table is found by what exists."""
    if command.subtype == AT.AT_AttachPartition:
        part = name_of(command.def_.name)
        return [
            Operation(op.ALTER_TABLE, name=str(index), other=part, traits=frozenset({"attach index"}), node=command)
        ]
    if command.subtype == AT.AT_SetTableSpace:
        return [Operation(op.REINDEX, name=str(index), traits=frozenset({"tablespace"}), node=command)]
    return [Operation(op.ALTER_TABLE, name=str(index), traits=frozenset({"index option"}), node=command)]


# CREATE TABLE --------------------------------------------------------------------------------------------------------


def create_table(node: Any) -> Iterator[Operation]:
    """Return the new table, each foreign key of it, and the table that it is a partition of or inherits from."""
    table = name_of(node.relation)
    words = {"if exists"} if node.if_not_exists else set()
    words |= {"unlogged"} if node.relation.relpersistence == "u" else set()
    words |= {"temporary"} if node.relation.relpersistence == "t" else set()
    words |= {"partitioned"} if node.partspec is not None else set()
    words |= {"like"} if any(isinstance(one, ast.TableLikeClause) for one in node.tableElts or ()) else set()
    words |= {"inherits"} if node.inhRelations else set()
    yield Operation(op.CREATE_TABLE, table, traits=frozenset(words), parts=tuple(_parts(table, node)), node=node)
    for one in _foreign_keys(table, node):
        yield one.with_traits("new table", "inline")
    parents = [name_of(one) for one in node.inhRelations or ()]
    for parent in parents:
        yield _partition_of(parent, table, node) if node.partbound is not None else _child_of(parent, table, node)


def _parts(table: Name, node: Any) -> Iterator[Operation]:
    for element in node.tableElts or ():
        if isinstance(element, ast.ColumnDef):
            yield added_column(table, element)
        elif isinstance(element, ast.Constraint) and element.contype in KINDS:
            yield constraint(table, element)


def _foreign_keys(table: Name, node: Any) -> Iterator[Operation]:
    for element in node.tableElts or ():
        if isinstance(element, ast.ColumnDef):
            own = [one for one in element.constraints or () if one.contype == ConstrType.CONSTR_FOREIGN]
            yield from (replace(constraint(table, one), columns=(str(element.colname),)) for one in own)
        elif isinstance(element, ast.Constraint) and element.contype == ConstrType.CONSTR_FOREIGN:
            yield constraint(table, element)


def _partition_of(parent: Name, table: Name, node: Any) -> Operation:
    words = {"new table", "inline"} | ({"default partition"} if node.partbound.is_default else set())
    return Operation(op.ATTACH_PARTITION, parent, other=table, traits=frozenset(words), node=node)


def _child_of(parent: Name, table: Name, node: Any) -> Operation:
    return Operation(op.ALTER_TABLE, parent, other=table, traits=frozenset({"inherited by"}), node=node)


def create_table_as(node: Any) -> Iterator[Operation]:
    """Return the new table or materialised view, and what its query reads."""
    table = name_of(node.into.rel)
    words = {"as select"} | ({"if exists"} if node.if_not_exists else set())
    words |= {"materialized"} if node.objtype.name == "OBJECT_MATVIEW" else set()
    words |= {"temporary"} if node.into.rel.relpersistence == "t" else set()
    words |= {"unlogged"} if node.into.rel.relpersistence == "u" else set()
    parts = columns_read(node.query) if "materialized" in words else ()
    yield Operation(op.CREATE_TABLE, table, traits=frozenset(words), parts=parts, node=node)
    # A table is known once it is made: of two that exist, the second CREATE ... IF NOT EXISTS reads nothing.
    if not node.into.skipData and isinstance(node.query, ast.SelectStmt):
        yield from (one for one in select(node.query) if one.kind != op.OTHER)


def names_in(objects: Any) -> list[Name]:
    """Return the names of what a DROP or a COMMENT is about."""
    listed = [one if isinstance(one, (list, tuple)) else [one] for one in objects or ()]
    return [_name_in(words_of(one) or words_of(getattr(one[0], "names", None) or [])) for one in listed]


def _name_in(words: list[str]) -> Name:
    return Name(words[-1] if words else "", words[-2] if len(words) > 1 else None)
