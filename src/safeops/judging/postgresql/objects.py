"""What statements about indexes, types, views, triggers, rights and other objects do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pglast import ast
from pglast.enums import ConstrType, DropBehavior, VariableSetKind

from safeops.judging import operations as op
from safeops.judging.operations import Operation
from safeops.judging.postgresql.nodes import dotted, name_of, sql_of, text_of, type_text, words_of
from safeops.judging.postgresql.rows import columns_read
from safeops.judging.postgresql.tables import names_in
from safeops.naming import Name


def _with(words: dict[str, Any]) -> frozenset[str]:
    return frozenset(word for word, holds in words.items() if holds)


# Indexes -------------------------------------------------------------------------------------------------------------


def create_index(node: Any) -> Iterator[Operation]:
    words = {
        "unique": node.unique,
        "concurrently": node.concurrent,
        "only": not node.relation.inh,
        "if exists": node.if_not_exists,
        "where": node.whereClause is not None,
    }
    columns = tuple(one.name or sql_of(one.expr) or "" for one in node.indexParams or ())
    where = sql_of(node.whereClause)
    yield Operation(
        op.CREATE_INDEX,
        name_of(node.relation),
        node.idxname,
        columns=columns,
        expression=where,
        traits=_with(words),
        node=node,
    )


def reindex(node: Any) -> Iterator[Operation]:
    kind = node.kind.name
    words = _with({"concurrently": any(one.defname == "concurrently" for one in node.params or ())})
    if kind == "REINDEX_OBJECT_INDEX":
        yield Operation(op.REINDEX, name=str(name_of(node.relation)), traits=words | {"index alone"}, node=node)
    elif kind == "REINDEX_OBJECT_TABLE":
        yield Operation(op.REINDEX, name_of(node.relation), traits=words, node=node)
    else:
        yield Operation(op.REINDEX, EVERY_TABLE, name=node.name, traits=words, node=node)


EVERY_TABLE = Name("*")
"""All tables that a statement finds without naming them: VACUUM, REINDEX DATABASE, DROP OWNED."""


def vacuum(node: Any) -> Iterator[Operation]:
    options = {one.defname: one.arg for one in node.options or ()}
    kind = op.VACUUM if node.is_vacuumcmd else op.ANALYZE
    full = "full" in options and text_of_option(options["full"]) not in ("false", "off", "0")
    tables = [name_of(one.relation) for one in node.rels or ()] or [EVERY_TABLE]
    for table in tables:
        yield Operation(kind, table, traits=_with({"full": full}), node=node)


def text_of_option(arg: Any) -> str:
    if arg is None:
        return ""
    return str(getattr(arg, "sval", None) or getattr(arg, "boolval", None) or getattr(arg, "ival", "")).lower()


def cluster(node: Any) -> Iterator[Operation]:
    table = name_of(node.relation) if node.relation is not None else EVERY_TABLE
    yield Operation(op.CLUSTER, table, node.indexname, node=node)


# Types ---------------------------------------------------------------------------------------------------------------


def create_enum(node: Any) -> Iterator[Operation]:
    yield _type(op.CREATE_TYPE, dotted(node.typeName), node, "enum")


def create_composite(node: Any) -> Iterator[Operation]:
    yield _type(op.CREATE_TYPE, name_of(node.typevar), node, "composite")


def create_range(node: Any) -> Iterator[Operation]:
    yield _type(op.CREATE_TYPE, dotted(node.typeName), node, "range")


def create_domain(node: Any) -> Iterator[Operation]:
    kinds = {one.contype for one in node.constraints or ()}
    words = _with({"domain": True, "not null": ConstrType.CONSTR_NOTNULL in kinds})
    name, type_ = str(dotted(node.domainname)), type_text(node.typeName)
    yield Operation(op.CREATE_TYPE, name=name, type=type_, traits=words, parts=_rules(node.constraints), node=node)


def _rules(constraints: Any) -> tuple[Operation, ...]:
    """Return the checks of a domain, over VALUE."""
    checks = [one for one in constraints or () if one.contype == ConstrType.CONSTR_CHECK]
    return tuple(Operation(op.ADD_CHECK, name=one.conname, expression=sql_of(one.raw_expr)) for one in checks)


def _type(kind: str, name: Name, node: Any, *words: str) -> Operation:
    return Operation(kind, name=str(name), traits=frozenset(words), node=node)


def alter_enum(node: Any) -> Iterator[Operation]:
    kind, word = (op.RENAME_ENUM_VALUE, "rename value") if node.oldVal else (op.ALTER_TYPE, "add value")
    made = _type(kind, dotted(node.typeName), node, word)
    words = _with({"if exists": node.skipIfNewValExists})
    yield Operation(
        made.kind, name=made.name, column=node.oldVal, expression=node.newVal, traits=made.traits | words, node=node
    )


_DOMAIN_CHANGES = {
    "C": "add constraint",
    "O": "set not null",
    "V": "validate constraint",
    "N": "drop not null",
    "X": "drop constraint",
    "T": "default",
}


def alter_domain(node: Any) -> Iterator[Operation]:
    change = _DOMAIN_CHANGES.get(_letter(node.subtype), "default")
    not_valid = isinstance(node.def_, ast.Constraint) and node.def_.skip_validation
    words = _with({"domain": True, f"domain {change}": True, "not valid": not_valid})
    parts = _rules([node.def_]) if isinstance(node.def_, ast.Constraint) else ()
    yield Operation(op.ALTER_TYPE, name=str(dotted(node.typeName)), traits=words, parts=parts, node=node)


def _letter(value: Any) -> str:
    return value if isinstance(value, str) else chr(value)


def alter_type(node: Any) -> Iterator[Operation]:
    yield _type(op.ALTER_TYPE, dotted(node.typeName), node, "option")


# Views, triggers, rights ---------------------------------------------------------------------------------------------


def create_view(node: Any) -> Iterator[Operation]:
    parts, view = columns_read(node.query), name_of(node.view)
    yield Operation(op.CREATE_VIEW, view, str(view), traits=_with({"replace": node.replace}), parts=parts, node=node)
    # A view reads no rows when it is made: it locks its tables as any reader does.
    for one in parts:
        yield Operation(op.SELECT, one.table, traits=frozenset({"planned only"}), node=node)


def refresh(node: Any) -> Iterator[Operation]:
    words = _with({"concurrently": node.concurrent, "no data": node.skipData})
    yield Operation(op.REFRESH_VIEW, name_of(node.relation), traits=words, node=node)


def create_trigger(node: Any) -> Iterator[Operation]:
    yield Operation(
        op.CREATE_TRIGGER, name_of(node.relation), node.trigname, traits=_with({"replace": node.replace}), node=node
    )


def create_rule(node: Any) -> Iterator[Operation]:
    yield Operation(op.ALTER_TABLE, name_of(node.relation), node.rulename, traits=frozenset({"rule"}), node=node)


def policy(node: Any) -> Iterator[Operation]:
    yield Operation(op.ALTER_TABLE, name_of(node.table), node.policy_name, traits=frozenset({"policy"}), node=node)


def statistics(node: Any) -> Iterator[Operation]:
    for relation in node.relations or ():
        if isinstance(relation, ast.RangeVar):
            yield Operation(op.ALTER_TABLE, name_of(relation), traits=frozenset({"statistics"}), node=node)


def comment(node: Any) -> Iterator[Operation]:
    about = node.objtype.name.removeprefix("OBJECT_").lower()
    words = words_of(node.object)
    tables = {
        "table": 0,
        "view": 0,
        "matview": 0,
        "column": 1,
        "tabconstraint": 1,
        "trigger": 1,
        "policy": 1,
        "rule": 1,
    }
    owner = words[: len(words) - tables[about]] if about in tables and words else []
    table = Name(owner[-1], owner[-2] if len(owner) > 1 else None) if owner else None
    name = ".".join(words) if about == "index" else None
    yield Operation(op.COMMENT, table, name, traits=_with({"on index": about == "index"}), node=node)


def grant(node: Any) -> Iterator[Operation]:
    kind = op.GRANT if node.is_grant else op.REVOKE
    tables = [name_of(one) for one in node.objects or () if isinstance(one, ast.RangeVar)]
    whole = node.targtype.name == "ACL_TARGET_ALL_IN_SCHEMA"
    what = node.objtype.name.removeprefix("OBJECT_").lower()
    every: list[Name | None] = [EVERY_TABLE if whole and what == "table" else None]
    for table in tables or every:
        yield Operation(kind, table, name=what, traits=_with({"every table": whole}), node=node)


def grant_role(node: Any) -> Iterator[Operation]:
    yield Operation(op.GRANT if node.is_grant else op.REVOKE, name="role", node=node)


# Dropping and renaming -----------------------------------------------------------------------------------------------

_DROPPED = {
    "OBJECT_TABLE": op.DROP_TABLE,
    "OBJECT_FOREIGN_TABLE": op.DROP_TABLE,
    "OBJECT_VIEW": op.DROP_VIEW,
    "OBJECT_MATVIEW": op.DROP_VIEW,
    "OBJECT_INDEX": op.DROP_INDEX,
    "OBJECT_TYPE": op.DROP_TYPE,
    "OBJECT_DOMAIN": op.DROP_TYPE,
    "OBJECT_TRIGGER": op.DROP_TRIGGER,
    "OBJECT_RULE": op.ALTER_TABLE,
    "OBJECT_POLICY": op.ALTER_TABLE,
    "OBJECT_SCHEMA": op.DROP_SCHEMA,
}
_PARTS_OF_A_TABLE = {"OBJECT_TRIGGER": "trigger", "OBJECT_RULE": "rule", "OBJECT_POLICY": "policy"}


def drop(node: Any) -> Iterator[Operation]:
    what = node.removeType.name
    cascade = node.behavior == DropBehavior.DROP_CASCADE
    words = _with({"if exists": node.missing_ok, "cascade": cascade, "concurrently": node.concurrent})
    kind = _DROPPED.get(what, op.OTHER)
    for listed, name in zip(node.objects, names_in(node.objects), strict=True):
        if what in _PARTS_OF_A_TABLE:
            parts = words_of(listed)
            table = Name(parts[-2], parts[-3] if len(parts) > 2 else None)
            yield Operation(kind, table, parts[-1], traits=words | {_PARTS_OF_A_TABLE[what], "drop"}, node=node)
        elif what == "OBJECT_SCHEMA":
            # Without CASCADE the server drops empty schemas only.
            yield Operation(
                kind if cascade else op.OTHER, Name("*", name.name), name.name, traits=words | {"schema"}, node=node
            )
        elif kind in (op.DROP_TABLE, op.DROP_VIEW):
            yield Operation(kind, name, str(name), traits=words | _materialized(what), node=node)
        else:
            yield Operation(kind, name=str(name), traits=words, node=node)
            if kind == op.DROP_TYPE and cascade:
                # Columns of the type are dropped with it.
                yield Operation(op.DROP_COLUMN, name=str(name), traits=words, node=node)


def _materialized(what: str) -> frozenset[str]:
    return _with({"materialized": what == "OBJECT_MATVIEW"})


def drop_owned(node: Any) -> Iterator[Operation]:
    yield Operation(op.DROP_TABLE, name="all that the role owns", traits=frozenset({"cascade"}), node=node)


_RENAMED = {
    "OBJECT_TABLE": op.RENAME_TABLE,
    "OBJECT_VIEW": op.RENAME_TABLE,
    "OBJECT_MATVIEW": op.RENAME_TABLE,
    "OBJECT_FOREIGN_TABLE": op.RENAME_TABLE,
    "OBJECT_COLUMN": op.RENAME_COLUMN,
    "OBJECT_TABCONSTRAINT": op.RENAME_CONSTRAINT,
    "OBJECT_TRIGGER": op.ALTER_TABLE,
    "OBJECT_RULE": op.ALTER_TABLE,
    "OBJECT_POLICY": op.ALTER_TABLE,
}


def rename(node: Any) -> Iterator[Operation]:
    what = node.renameType.name
    if what == "OBJECT_INDEX":
        yield Operation(op.RENAME_INDEX, name=str(name_of(node.relation)), expression=node.newname, node=node)
    elif what in ("OBJECT_TYPE", "OBJECT_DOMAIN"):
        name = str(dotted(node.object))
        yield Operation(op.ALTER_TYPE, name=name, expression=node.newname, traits=frozenset({"rename"}), node=node)
    elif what in ("OBJECT_ATTRIBUTE", "OBJECT_DOMCONSTRAINT"):
        yield Operation(op.ALTER_TYPE, name=node.subname, traits=frozenset({"option"}), node=node)
    elif what == "OBJECT_SCHEMA":
        yield Operation(
            op.RENAME_TABLE, Name("*", node.subname), expression=node.newname, traits=frozenset({"schema"}), node=node
        )
    elif what in _RENAMED and node.relation is not None:
        yield _renamed(_RENAMED[what], node)
    else:
        yield Operation(op.OTHER, node=node)


def _renamed(kind: str, node: Any) -> Operation:
    words = _with(
        {"if exists": node.missing_ok, _PARTS_OF_A_TABLE.get(node.renameType.name, ""): kind == op.ALTER_TABLE}
    )
    words |= {"rename"} if kind == op.ALTER_TABLE else frozenset()
    table = name_of(node.relation)
    other = Name(node.newname, table.schema) if kind == op.RENAME_TABLE else None
    column = node.subname if kind == op.RENAME_COLUMN else None
    return Operation(kind, table, node.subname, column, other=other, expression=node.newname, traits=words, node=node)


def set_schema(node: Any) -> Iterator[Operation]:
    what = node.objectType.name
    if what in ("OBJECT_TABLE", "OBJECT_VIEW", "OBJECT_MATVIEW", "OBJECT_FOREIGN_TABLE"):
        table = name_of(node.relation)
        yield Operation(
            op.RENAME_TABLE, table, other=Name(table.name, node.newschema), expression=node.newschema, node=node
        )
    else:
        kind = op.ALTER_TYPE if what in ("OBJECT_TYPE", "OBJECT_DOMAIN") else op.OTHER
        yield Operation(
            kind,
            name=str(dotted(node.object)) if kind == op.ALTER_TYPE else None,
            traits=frozenset({"rename"}),
            node=node,
        )


def owner(node: Any) -> Iterator[Operation]:
    yield Operation(op.OTHER, node=node)


# Settings and transactions -------------------------------------------------------------------------------------------


def set_variable(node: Any) -> Iterator[Operation]:
    values = [text_of(one) for one in node.args or ()]
    shown = ", ".join(value for value in values if value is not None)
    is_set = node.kind == VariableSetKind.VAR_SET_VALUE
    name = "*" if node.kind == VariableSetKind.VAR_RESET_ALL else (node.name or "").lower()
    words = _with({"local": node.is_local, "reset": not is_set})
    yield Operation(op.SET_SESSION, name=name, expression=shown if is_set else None, traits=words, node=node)


_TRANSACTIONS = {
    "TRANS_STMT_BEGIN": op.BEGIN,
    "TRANS_STMT_START": op.BEGIN,
    "TRANS_STMT_COMMIT": op.COMMIT,
    "TRANS_STMT_ROLLBACK": op.ROLLBACK,
    "TRANS_STMT_SAVEPOINT": op.SAVEPOINT,
    "TRANS_STMT_RELEASE": op.SAVEPOINT,
    "TRANS_STMT_PREPARE": op.COMMIT,
}


def transaction(node: Any) -> Iterator[Operation]:
    kind = _TRANSACTIONS.get(node.kind.name, op.OTHER)
    to_savepoint = node.kind.name == "TRANS_STMT_ROLLBACK_TO"
    kind = op.SAVEPOINT if to_savepoint else kind
    yield Operation(kind, name=node.savepoint_name, traits=_with({"rollback to": to_savepoint}), node=node)
