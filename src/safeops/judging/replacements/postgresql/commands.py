"""Reads commands that change tables, indexes and constraints of PostgreSQL as calls of ``alembic.op``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops
from pglast import ast, enums

from safeops.judging import operations
from safeops.judging.operations import Operation
from safeops.judging.replacements.generated import SERIAL
from safeops.judging.replacements.postgresql.parsing import Parsed, columns_in, name_of, text
from safeops.naming import Name

AT, Constr, Object = enums.AlterTableType, enums.ConstrType, enums.ObjectType


@dataclass(frozen=True)
class Command:
    """One command of a statement, and the call that equals it.

    Args:
        kind: The kind of the operation that it is.
        table: Its table; None if the text does not name it.
        own: The column, the index or the constraint that it is about; None if it has no name.
        made: The call.
    """

    kind: str
    table: Name | None
    own: str | None
    made: ops.MigrateOperation

    def is_of(self, operation: Operation) -> bool:
        """Return whether an operation is what this command does."""
        same_table = self.table is None or operation.table is None or self.table.name == operation.table.name
        named = {operation.column, operation.name} - {None}
        return self.kind == operation.kind and same_table and (not named or self.own is None or self.own in named)


def of(parsed: Parsed, raw: Any) -> Iterator[Command]:
    """Yield the commands of a text that equal calls."""
    for statement in parsed.statements:
        match statement:
            case ast.AlterTableStmt(cmds=commands):
                for command in commands or ():
                    yield from _altered(command, name_of(statement.relation), raw)
            case ast.IndexStmt():
                yield _index(statement)
            case ast.RenameStmt() if statement.relation is not None:
                yield from _renamed(statement, name_of(statement.relation))
            case ast.DropStmt(objects=objects):
                yield from _dropped(statement.removeType, objects)


def alone(statement: Any) -> list[Any]:
    """Return a statement as one for each of its commands."""
    if not isinstance(statement, ast.AlterTableStmt) or len(statement.cmds or ()) < 2:
        return [statement]
    table, objtype, missing = statement.relation, statement.objtype, statement.missing_ok
    return [
        ast.AlterTableStmt(relation=table, objtype=objtype, missing_ok=missing, cmds=(command,))
        for command in statement.cmds or ()
    ]


def _altered(command: Any, name: Name, raw: Any) -> Iterator[Command]:
    own, schema = command.name, name.schema
    match command.subtype:
        case AT.AT_AddColumn:
            yield from _added(command.def_, name, raw)
        case AT.AT_DropColumn:
            yield Command(operations.DROP_COLUMN, name, own, ops.DropColumnOp(name.name, own, schema=schema))
        case AT.AT_SetNotNull:
            yield _changed(operations.SET_NOT_NULL, name, own, modify_nullable=False)
        case AT.AT_DropNotNull:
            yield _changed(operations.DROP_NOT_NULL, name, own, modify_nullable=True)
        case AT.AT_ColumnDefault:
            kind = operations.DROP_DEFAULT if command.def_ is None else operations.SET_DEFAULT
            default = None if command.def_ is None else sa.text(text(command.def_))
            yield _changed(kind, name, own, modify_server_default=default)
        case AT.AT_AlterColumnType:
            yield from _typed(command.def_, name, own, raw)
        case AT.AT_AddConstraint:
            yield from _constraint(command.def_, name)
        case AT.AT_DropConstraint:
            yield Command(operations.DROP_CONSTRAINT, name, own, ops.DropConstraintOp(own, name.name, schema=schema))


def _added(definition: Any, name: Name, raw: Any) -> Iterator[Command]:
    column = _column(definition, raw)
    if column is not None:
        made = ops.AddColumnOp(name.name, column, schema=name.schema)
        yield Command(operations.ADD_COLUMN, name, definition.colname, made)


def _changed(kind: str, name: Name, own: str, **changes: Any) -> Command:
    return Command(kind, name, own, ops.AlterColumnOp(name.name, own, schema=name.schema, **changes))


def _typed(definition: Any, name: Name, own: str, raw: Any) -> Iterator[Command]:
    type_ = raw.type_named(text(definition.typeName))
    using = {"postgresql_using": text(definition.raw_default)} if definition.raw_default is not None else {}
    type_ = _collated(type_, definition.collClause)
    if type_ is not None:
        yield _changed(operations.CHANGE_TYPE, name, own, modify_type=type_, **using)


def _collated(type_: Any, clause: Any) -> Any:
    """Return a type with its collation; None if the type cannot have one."""
    if clause is None or type_ is None:
        return type_
    if not isinstance(type_, sa.String) or len(clause.collname) > 1:
        return None
    type_.collation = clause.collname[0].sval
    return type_


# Columns --------------------------------------------------------------------------------------------------------


def _column(definition: Any, raw: Any) -> sa.Column[Any] | None:
    """Return a column as the text defines it; None if ``sa.Column`` cannot express it."""
    counted = _SERIALS.get(text(definition.typeName))
    type_ = counted or raw.type_named(text(definition.typeName))
    parts: list[Any] = []
    options: dict[str, Any] = {"info": {SERIAL: True}, "nullable": False} if counted else {}
    for constraint in _settled(definition.constraints or ()):
        _add_part(constraint, parts, options)
    type_ = _collated(type_, definition.collClause)
    if type_ is None or "unknown" in options:
        return None
    return sa.Column(definition.colname, type_, *parts, **options)


_SERIALS = {
    **dict.fromkeys(("serial", "serial4"), sa.Integer()),
    **dict.fromkeys(("bigserial", "serial8"), sa.BigInteger()),
    **dict.fromkeys(("smallserial", "serial2"), sa.SmallInteger()),
}


def _settled(constraints: Any) -> list[Any]:
    """Return the constraints of a column; their deferrability follows each as a separate node."""
    settled: list[Any] = []
    for constraint in constraints:
        match constraint.contype:
            case Constr.CONSTR_ATTR_DEFERRABLE:
                settled[-1].deferrable = True
            case Constr.CONSTR_ATTR_DEFERRED:
                settled[-1].initdeferred = settled[-1].deferrable = True
            case Constr.CONSTR_ATTR_NOT_DEFERRABLE | Constr.CONSTR_ATTR_IMMEDIATE:
                pass
            case _:
                settled.append(constraint)
    return settled


def _add_part(constraint: Any, parts: list[Any], options: dict[str, Any]) -> None:
    match constraint.contype:
        case Constr.CONSTR_NOTNULL:
            options["nullable"] = False
        case Constr.CONSTR_DEFAULT:
            options["server_default"] = sa.text(text(constraint.raw_expr))
        case Constr.CONSTR_UNIQUE:
            options["unique"] = True
        case Constr.CONSTR_CHECK:
            parts.append(sa.CheckConstraint(sa.text(text(constraint.raw_expr)), name=constraint.conname))
        case Constr.CONSTR_FOREIGN:
            parts.append(_reference(constraint))
        case Constr.CONSTR_IDENTITY:
            parts.append(sa.Identity(always=constraint.generated_when == "a", **_counting(constraint)))
        case Constr.CONSTR_GENERATED:
            persisted = constraint.generated_kind == "s"
            parts.append(sa.Computed(sa.text(text(constraint.raw_expr)), persisted=persisted))
        case Constr.CONSTR_PRIMARY:
            options["primary_key"] = True
        case Constr.CONSTR_NULL:
            pass
        case _:
            options["unknown"] = True


def _reference(constraint: Any) -> sa.ForeignKey:
    columns = [part.sval for part in constraint.pk_attrs or ()] or ["id"]
    return sa.ForeignKey(f"{name_of(constraint.pktable)}.{columns[0]}", name=constraint.conname, **_actions(constraint))


_ACTIONS = {"c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT", "r": "RESTRICT"}


def _actions(constraint: Any) -> dict[str, Any]:
    said = {
        "onupdate": _ACTIONS.get(constraint.fk_upd_action),
        "ondelete": _ACTIONS.get(constraint.fk_del_action),
        "match": "FULL" if constraint.fk_matchtype == "f" else None,
        **_timing(constraint),
    }
    return {key: value for key, value in said.items() if value is not None}


def _timing(constraint: Any) -> dict[str, Any]:
    if not constraint.deferrable:
        return {}
    return {"deferrable": True, **({"initially": "DEFERRED"} if constraint.initdeferred else {})}


def _counting(constraint: Any) -> dict[str, Any]:
    numbers = ("start", "increment", "minvalue", "maxvalue", "cache")
    return {
        option.defname: option.arg.ival
        for option in constraint.options or ()
        if option.defname in numbers and isinstance(option.arg, ast.Integer)
    }


# Constraints and indexes ----------------------------------------------------------------------------------------


def _constraint(added: Any, name: Name) -> Iterator[Command]:
    if added.indexname:
        return
    schema, options = {"schema": name.schema}, _not_valid(added)
    match added.contype:
        case Constr.CONSTR_CHECK:
            own = added.conname or _joined(name, columns_in(added.raw_expr), "check")
            made: Any = ops.CreateCheckConstraintOp(own, name.name, text(added.raw_expr), **schema, **options)
            yield Command(operations.ADD_CHECK, name, added.conname, made)
        case Constr.CONSTR_FOREIGN:
            yield Command(operations.ADD_FOREIGN_KEY, name, added.conname, _foreign_key(added, name, options))
        case Constr.CONSTR_UNIQUE | Constr.CONSTR_PRIMARY:
            yield _key(added, name)
        case Constr.CONSTR_NOTNULL if not added.conname:
            column = added.keys[0].sval
            yield Command(
                operations.ADD_NOT_NULL_CONSTRAINT,
                name,
                None,
                ops.AlterColumnOp(name.name, column, modify_nullable=False),
            )


def _joined(name: Name, columns: list[str], suffix: str) -> str:
    """Return the name that the server gives to a constraint without one; for a check of several columns without a column."""
    return "_".join([name.name, *(columns if len(columns) == 1 or suffix != "check" else []), suffix])


def _not_valid(added: Any) -> dict[str, Any]:
    return {"postgresql_not_valid": True} if added.skip_validation else {}


def _foreign_key(added: Any, name: Name, options: dict[str, Any]) -> ops.CreateForeignKeyOp:
    local = [part.sval for part in added.fk_attrs]
    referent = name_of(added.pktable)
    schemas = {"source_schema": name.schema, "referent_schema": referent.schema}
    return ops.CreateForeignKeyOp(
        added.conname or _joined(name, local, "fkey"),
        name.name,
        referent.name,
        local,
        [part.sval for part in added.pk_attrs or ()] or ["id"],
        **{key: value for key, value in schemas.items() if value},
        **_actions(added),
        **options,
    )


def _key(added: Any, name: Name) -> Command:
    columns = [part.sval for part in added.keys]
    options = {**_timing(added), "schema": name.schema}
    if added.including:
        options["postgresql_include"] = [part.sval for part in added.including]
    if added.contype == Constr.CONSTR_PRIMARY:
        own = added.conname or f"{name.name}_pkey"
        return Command(
            operations.ADD_PRIMARY_KEY, name, added.conname, ops.CreatePrimaryKeyOp(own, name.name, columns, **options)
        )
    if added.nulls_not_distinct:
        options["postgresql_nulls_not_distinct"] = True
    own = added.conname or _joined(name, columns, "key")
    return Command(
        operations.ADD_UNIQUE, name, added.conname, ops.CreateUniqueConstraintOp(own, name.name, columns, **options)
    )


def _index(created: Any) -> Command:
    name = name_of(created.relation)
    own = created.idxname or "_".join([name.name, *map(_label, created.indexParams), "idx"])
    options: dict[str, Any] = {}
    if created.accessMethod not in (None, "btree"):
        options["postgresql_using"] = created.accessMethod
    if created.whereClause is not None:
        options["postgresql_where"] = sa.text(text(created.whereClause))
    if created.indexIncludingParams:
        options["postgresql_include"] = [part.name for part in created.indexIncludingParams]
    if created.nulls_not_distinct:
        options["postgresql_nulls_not_distinct"] = True
    made = ops.CreateIndexOp(
        own,
        name.name,
        [_element(part) for part in created.indexParams],
        schema=name.schema,
        unique=created.unique,
        **options,
    )
    return Command(operations.CREATE_INDEX, name, created.idxname, made)


def _label(part: Any) -> str:
    if part.name:
        return str(part.name)
    called = getattr(part.expr, "funcname", None)
    return str(called[-1].sval) if called else "expr"


def _element(part: Any) -> Any:
    """Return a plain column by its name, and all else as the text that it is."""
    plain = part.name and not part.opclass and not part.collation and not part.ordering and not part.nulls_ordering
    return part.name if plain else sa.text(text(part))


# Renamed and dropped --------------------------------------------------------------------------------------------


def _renamed(statement: Any, name: Name) -> Iterator[Command]:
    if statement.renameType == Object.OBJECT_COLUMN:
        yield _changed(operations.RENAME_COLUMN, name, statement.subname, modify_name=statement.newname)
    elif statement.renameType == Object.OBJECT_TABLE:
        made = ops.RenameTableOp(name.name, statement.newname, schema=name.schema)
        yield Command(operations.RENAME_TABLE, name, None, made)


def _dropped(kind: Any, objects: Any) -> Iterator[Command]:
    for parts in objects if kind in (Object.OBJECT_TABLE, Object.OBJECT_INDEX) else ():
        names = [part.sval for part in parts]
        name = Name(names[-1], names[-2] if len(names) > 1 else None)
        if kind == Object.OBJECT_TABLE:
            yield Command(operations.DROP_TABLE, name, None, ops.DropTableOp(name.name, schema=name.schema))
        else:
            yield Command(operations.DROP_INDEX, None, name.name, ops.DropIndexOp(name.name, schema=name.schema))
