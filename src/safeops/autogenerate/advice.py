"""Notes for the author on what autogenerate cannot decide: it adds nothing that the models lack."""

from __future__ import annotations

import logging
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from alembic.util import to_list

from safeops.autogenerate.alembic_operations import is_partial, leads, models, name_of
from safeops.autogenerate.comparators import enum_of, types_of
from safeops.autogenerate.live_database import LiveDatabase
from safeops.autogenerate.operations import Note
from safeops.naming import Name, call, shell_quoted

log = logging.getLogger("safeops.autogenerate")


# Foreign keys ---------------------------------------------------------------------------------------------------


def unindexed_keys(live: LiveDatabase, operation: ops.MigrateOperation) -> Iterator[Note]:
    """Warn of new foreign keys that no index of the models covers."""
    if live.database and live.database.abilities.indexes_foreign_keys:
        return
    for name, columns in _new_keys(operation):
        table = _model(live.context, name)
        if table is None or any(leads(columns, covered) for covered in _covered(table)):
            continue
        text = (
            f"The foreign key of {name} ({', '.join(columns)}) has no index: each delete or update of a row that it refers"
            f" to reads all of {name}. The models decide: index=True on the column, or an Index, gives it one."
        )
        log.warning("%s", text)
        yield Note(text)


def _new_keys(operation: ops.MigrateOperation) -> Iterator[tuple[Name, list[str]]]:
    if isinstance(operation, ops.CreateForeignKeyOp):
        yield name_of(operation), [str(column) for column in operation.local_cols]
    elif isinstance(operation, ops.CreateTableOp):
        table = operation.to_table()
        for key in sorted(table.foreign_key_constraints, key=lambda key: list(key.column_keys)):
            yield name_of(operation), [column.name for column in key.columns]


def _covered(table: sa.Table) -> Iterator[list[str]]:
    """Yield the columns of the indexes and keys of a table that hold all its rows."""
    whole = [index for index in table.indexes if not is_partial(index.dialect_kwargs)]
    keys = [key for key in table.constraints if isinstance(key, (sa.PrimaryKeyConstraint, sa.UniqueConstraint))]
    for thing in (*whole, *keys):
        expressions: Iterable[Any] = thing.expressions if isinstance(thing, sa.Index) else thing.columns
        yield [getattr(element, "name", None) or "" for element in expressions]


def _model(context: MigrationContext, name: Name) -> sa.Table | None:
    default = context.dialect.default_schema_name
    tables = (table for table in models(context) if Name(table.name, table.schema).at(default) == name.at(default))
    return next(tables, None)


# What is refused while the table has rows -----------------------------------------------------------------------


def blocking_checks(live: LiveDatabase, operation: ops.MigrateOperation) -> Iterator[Note]:
    """Note that a new check is refused if the server would copy the table for it."""
    if not live.database or live.database.abilities.adds_checks_online:
        return
    if isinstance(operation, ops.CreateCheckConstraintOp) or _brings_check(operation):
        yield Note(
            "This is refused while the table has rows: the server copies the table for a check, and blocks writes."
            ' If writes can wait, put it in a block: with assured("..."):'
        )


def _brings_check(operation: ops.MigrateOperation) -> bool:
    """Return whether a new column has a check of its type: Boolean and Enum bring one on request."""
    return isinstance(operation, ops.AddColumnOp) and bool(getattr(operation.column.type, "create_constraint", False))


def blocking_column(refusal: str, instead: str = "") -> Note:
    """Note that a new column is refused if it would block a table that has rows, and what to do instead."""
    text = f"This is refused while the table has rows, because it would block: {refusal}."
    return Note(f"{text}\n{instead}" if instead else text)


# Renames --------------------------------------------------------------------------------------------------------


def renames(context: MigrationContext, table: ops.ModifyTableOps) -> Iterator[Note]:
    """Offer a rename if a column is dropped and another one like it is added."""
    name = name_of(table)
    dropped = [operation.to_column() for operation in table.ops if isinstance(operation, ops.DropColumnOp)]
    added = [operation.column for operation in table.ops if isinstance(operation, ops.AddColumnOp)]
    dropped.sort(key=lambda column: str(column.name))
    pairs = [(str(old.name), str(new.name)) for old in dropped for new in added if _alike(context, old, new)]
    olds, news = Counter(old for old, _ in pairs), Counter(new for _, new in pairs)
    ambiguous = [(old, new) for old, new in pairs if olds[old] > 1 or news[new] > 1]
    for old, new in pairs:
        if (old, new) not in ambiguous:
            yield Note(_offer(name, old, new))
    if ambiguous:
        went, came = (", ".join(dict.fromkeys(side)) for side in zip(*ambiguous, strict=True))
        yield Note(
            f"{went} would be dropped, and {came} of the same type added. With one of each as OLD and NEW:\n"
            f"{_offer(name, 'OLD', 'NEW')}"
        )


def _alike(context: MigrationContext, old: sa.Column[Any], new: sa.Column[Any]) -> bool:
    """Return whether two columns have the same type and the same references."""
    compared: Any = context.impl
    referred = ({key.target_fullname for key in column.foreign_keys} for column in (old, new))
    return not compared.compare_type(old, new) and next(referred) == next(referred)


def _offer(name: Name, old: str, new: str) -> str:
    given = {"schema": name.schema, "table": name.name, "old": old, "new": new}
    rename = call("ColumnRename", name.name, old, new, schema=name.schema)
    return (
        f"Is {new} the new name of {old}? Then {rename} keeps its values: remove the lines that drop {old} and add {new},"
        " here and in downgrade(), or have a revision written by:\n"
        f"{revision_command('rename-column', f'rename {old}', **given)}"
    )


def revision_command(pattern: str, message: str, **given: Any) -> str:
    """Return the command that has a pattern write a revision."""
    options = " ".join(f"-x {name}={shlex.quote(str(value))}" for name, value in given.items() if value)
    return f"    alembic -x pattern={pattern} {options} revision -m {shell_quoted(message)}"


# Archives -------------------------------------------------------------------------------------------------------


def kept_types(context: MigrationContext, operation: Any) -> Iterator[Note]:
    """Note which named types are used by an archive only, and by no model."""
    is_column = isinstance(operation, ops.DropColumnOp)
    columns = [operation.to_column()] if is_column else operation.to_table().columns
    used = types_of(to_list(context.opts.get("target_metadata"), []), context.dialect)
    enums = {str(enum.name): enum for column in columns if (enum := enum_of(column.type, context.dialect))}
    for name, enum in enums.items():
        if Name(name, enum.schema or None) not in used:
            drop = call("drop_enum_if_exists", name, schema=enum.schema)
            yield Note(
                f"The type {name} is kept, because the archive uses it. When the archive has been dropped: {drop}"
            )
