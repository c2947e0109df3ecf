"""Reads a statement of PostgreSQL, with PostgreSQL's parser, as the equivalent call of ``alembic.op``."""

from __future__ import annotations

from typing import Any, ClassVar

import sqlalchemy as sa
from pglast import ast
from sqlalchemy.dialects.postgresql import DOMAIN, ENUM

from safeops.databases.steps import ddl_compiler
from safeops.judging import operations
from safeops.judging.bound import bound_text
from safeops.judging.existing import KnownType
from safeops.judging.operations import Operation
from safeops.judging.replacements import raw
from safeops.judging.replacements.others import renamed_value
from safeops.judging.replacements.postgresql import commands, rows
from safeops.judging.replacements.postgresql.parsing import name_of, parsed, text
from safeops.judging.replacements.raw import Made, executed
from safeops.judging.replacements.replacement import NOTHING_TO_UNDO, About, Replacement, lines
from safeops.judging.replacements.rows import Rows
from safeops.judging.sent import Sent
from safeops.naming import Name, call


class RawSql(raw.RawSql):
    """How SQL of PostgreSQL is read."""

    row_id: ClassVar[str] = "ctid"

    def call_of(self, operation: Operation, sent: Sent) -> Made:
        for command in commands.of(parsed(sent.sql, sent.parameters), self):
            if command.is_of(operation):
                return command.made
        return super().call_of(operation, sent)

    def parts(self, sent: Sent) -> list[str]:
        found = parsed(bound_text(sent), None).statements
        return [text(part) for statement in found for part in commands.alone(statement)]

    def rows_of(self, about: About, sent: Sent, repeated: bool) -> Rows | None:
        return rows.of(parsed(sent.sql, sent.parameters), about, repeated)

    def named_type(self, text: str, known: KnownType | None) -> Any:
        name = Name(*reversed(text.replace('"', "").split("."))) if text.count(".") < 2 else Name(text)
        if known is not None and known.kind == "domain":
            return DOMAIN(name.name, self.type_named(known.base) or sa.Text(), schema=name.schema, create_type=False)
        # DDL writes the name alone, which is all that is known: the column gets the very type.
        return ENUM(name=name.name, schema=name.schema, create_type=False)

    def identity(self, name: Name, column: sa.Column[Any]) -> tuple[str, str, str] | None:
        sequence = self.database.quoted_table(Name(self.fitting("safeops", name.name, str(column.name)), name.schema))
        table, own = self.database.quoted_table(name), self.database.quoted(str(column.name))
        generated = str(ddl_compiler(self.database.dialect).visit_identity_column(column.identity))
        counts = self.literal(sequence)
        real = f"pg_get_serial_sequence({self.literal(table)}, {self.literal(str(column.name))})"
        return (
            f"CREATE SEQUENCE IF NOT EXISTS {sequence}",
            f"nextval({counts})",
            f"ALTER TABLE {table} ALTER COLUMN {own} DROP DEFAULT, ALTER COLUMN {own} ADD {generated};\n"
            f"SELECT setval({real}, nextval({counts}));\n"
            f"DROP SEQUENCE {sequence}",
        )

    def serial(self, name: Name, column: sa.Column[Any]) -> tuple[str, str, str] | None:
        sequence = self.database.quoted_table(Name(self.fitting(name.name, str(column.name), "seq"), name.schema))
        type_ = self.database.type_text(column.type).lower()
        counted = "" if type_ == "bigint" else f" AS {type_}"
        owner = f"{self.database.quoted_table(name)}.{self.database.quoted(str(column.name))}"
        return (
            f"CREATE SEQUENCE IF NOT EXISTS {sequence}{counted}",
            f"nextval({self.literal(sequence)})",
            f"ALTER SEQUENCE {sequence} OWNED BY {owner}",
        )

    def own(self, operation: Operation, sent: Sent, about: About) -> Replacement | None:
        for statement in parsed(sent.sql, sent.parameters).statements:
            made = self._own(statement, operation, about)
            if made is not None:
                return made
        return None

    def _own(self, statement: Any, operation: Operation, about: About) -> Replacement | None:
        match statement:
            case ast.AlterEnumStmt(typeName=typed, newVal=str() as new, oldVal=str() as old):
                return renamed_value(about, _type(typed), old, new)
            case ast.AlterEnumStmt(typeName=typed, newVal=str() as new) if operation.kind == operations.ALTER_TYPE:
                return _added_value(statement, _type(typed), new)
            case ast.AlterTableStmt() if operation.kind == operations.ADD_NOT_NULL_CONSTRAINT:
                return _named_not_null(statement, operation)
            case ast.ReindexStmt() if operation.kind == operations.REINDEX:
                return self._reindex(statement)
            case ast.DropStmt() if operation.kind == operations.DROP_INDEX:
                return self._drop_index(operation)
        return self._using_index(statement, operation)

    def _drop_index(self, operation: Operation) -> Replacement:
        """Return the statement that drops an index of an unknown table."""
        index = self.database.quoted_table(Name(operation.name or "", getattr(operation.table, "schema", None)))
        drop = executed(f"DROP INDEX CONCURRENTLY IF EXISTS {index}")
        return Replacement(
            lines("with op.get_context().autocommit_block():", f"    {drop}"),
            note="If you know its table, use drop_index_if_exists(index, table): it also limits the wait for locks.",
        )

    def _reindex(self, statement: Any) -> Replacement:
        kind = statement.kind.name.rpartition("_")[2]
        name = self.database.quoted_table(name_of(statement.relation)) if statement.relation else statement.name
        return Replacement(
            lines(
                "with op.get_context().autocommit_block():", f"    {executed(f'REINDEX {kind} CONCURRENTLY {name}')}"
            ),
            f"{NOTHING_TO_UNDO}: the index is the same",
        )

    def _using_index(self, statement: Any, operation: Operation) -> Replacement | None:
        """Return the key that takes an index, after its columns are NOT NULL without a scan under its lock."""
        if "using index" not in operation.traits or operation.kind != operations.ADD_PRIMARY_KEY or not operation.table:
            return None
        name, own = operation.table, operation.name or f"{operation.table.name}_pkey"
        not_null = [call("enforce_not_null", name.name, column, schema=name.schema) for column in operation.columns]
        if not not_null:
            return None
        undo = call("drop_constraint_if_exists", own, name.name, type_="primary", schema=name.schema)
        return Replacement(lines(*not_null, executed(text(statement))), undo)


def _named_not_null(statement: Any, operation: Operation) -> Replacement | None:
    """Return what adds NOT NULL under a name of the author's: for new rows first, then proved for all."""
    name, own = operation.table, operation.name
    if name is None or own is None:
        return None
    statement.cmds[0].def_.skip_validation, statement.cmds[0].def_.initially_valid = True, False
    return Replacement(
        lines(executed(text(statement)), call("validate_constraint", own, name.name, schema=name.schema)),
        call("drop_constraint_if_exists", own, name.name, schema=name.schema),
    )


def _type(parts: Any) -> Name:
    names = [part.sval for part in parts]
    return Name(names[-1], names[-2] if len(names) > 1 else None)


def _added_value(statement: Any, type_: Name, new: str) -> Replacement:
    place = {"after" if statement.newValIsAfter else "before": statement.newValNeighbor or None}
    return Replacement(
        call("add_enum_value_if_missing", type_.name, new, schema=type_.schema, **place),
        f"{NOTHING_TO_UNDO}: no server can remove a value, and it can stay",
        one_to_one=True,
    )
