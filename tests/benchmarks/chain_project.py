"""Writes an Alembic project of 100 revisions with 300 operations, by the helpers of safeops or by plain ``op``."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

REVISIONS = 100
A_REVISION = 3
TABLES = 30
OLD = 12
"""Tables of the first revision, which is plain in both: a second run finds what later ones alter and drop."""

ENV = """
from alembic import context
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

engine = create_engine(context.config.attributes["url"], poolclass=NullPool)
with engine.connect() as connection:
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
"""

REVISION = """
import sqlalchemy as sa
from alembic import op
from safeops import *

revision = {revision!r}
down_revision = {before!r}


def upgrade():
{body}
"""


@dataclass(frozen=True)
class Operation:
    """One change, in both spellings; ``batch`` is the plain one if the database cannot alter a constraint or column."""

    safe: str
    plain: str
    batch: str = ""


def write_project(folder: Path, family: str, *, plain: bool) -> None:
    """Write the project for a family of databases."""
    versions = folder / "versions"
    versions.mkdir(parents=True)
    (folder / "env.py").write_text(ENV)
    _write(versions, 0, [_old_table(number) for number in range(OLD)])
    operations = [_spelled(operation, family, plain) for operation in operations_of(family)]
    for number in range(REVISIONS):
        _write(versions, number + 1, operations[number * A_REVISION : (number + 1) * A_REVISION])


def _write(versions: Path, number: int, body: Sequence[str]) -> None:
    before = f"r{number - 1:03}" if number else None
    code = textwrap.indent("\n".join(body), "    ")
    (versions / f"r{number:03}.py").write_text(REVISION.format(revision=f"r{number:03}", before=before, body=code))


def _spelled(operation: Operation, family: str, plain: bool) -> str:
    if not plain:
        return operation.safe
    return operation.batch if family == "sqlite" and operation.batch else operation.plain


def operations_of(family: str) -> list[Operation]:
    """Return the operations in a realistic order: each table is made, then it grows, and old things change and go."""
    tables = [_table(number) for number in range(TABLES)]
    kinds: list[Iterator[Operation]] = [
        _several(70, _column),
        _several(50, _index),
        _several(35, _foreign_key),
        _several(20, _check),
        _several(20, _unique),
        _several(12, _type),
        _several(8, _not_null),
        _several(6, _nullable),
        _several(16, _default),
        _several(8, _dropped_column),
        _several(6, _dropped_index),
        _several(4, _dropped_constraint),
        _several(4, _enum if family == "postgresql" else _column, 70),
        _several(4, _enum_column if family == "postgresql" else _column, 74),
        _several(7, _comment if family != "sqlite" else _index, 50),
    ]
    # The first tables come first: the others among what is done to them.
    return tables[:10] + _mixed([iter(tables[10:]), *kinds])


def _several(count: int, make: Callable[[int], Operation], first: int = 0) -> Iterator[Operation]:
    return (make(number) for number in range(first, first + count))


def _mixed(kinds: Sequence[Iterator[Operation]]) -> list[Operation]:
    """Spread the operations of each kind evenly over the whole chain."""
    placed = []
    for order, kind in enumerate(kinds):
        listed = [*kind]
        placed += [((place + 0.5) / len(listed), order, operation) for place, operation in enumerate(listed)]
    return [operation for _, _, operation in sorted(placed, key=lambda one: one[:2])]


# The old tables ---------------------------------------------------------------------------------------------------


def _old_table(number: int) -> str:
    return (
        f'op.create_table("old{number}", sa.Column("id", sa.Integer, primary_key=True),'
        ' sa.Column("a", sa.String(50)), sa.Column("b", sa.Integer), sa.Column("c", sa.Integer, nullable=False),'
        ' sa.Column("d", sa.String(20)), sa.Column("e", sa.Integer),'
        f' sa.CheckConstraint("e > 0", name="ck_old{number}_e"), sa.Index("ix_old{number}_b", "b"))'
    )


def _old(number: int) -> str:
    return f"old{number % OLD}"


def _altered(number: int, safe: str, column: str, options: str) -> Operation:
    table = _old(number)
    return Operation(
        safe,
        f'op.alter_column("{table}", "{column}", {options})',
        f'with op.batch_alter_table("{table}") as batch:\n    batch.alter_column("{column}", {options})',
    )


def _type(number: int) -> Operation:
    safe = f'alter_column_type("{_old(number)}", "a", sa.String(60))'
    return _altered(number, safe, "a", "type_=sa.String(60), existing_type=sa.String(50)")


def _not_null(number: int) -> Operation:
    safe = f'enforce_not_null("{_old(number)}", "b")'
    return _altered(number, safe, "b", "nullable=False, existing_type=sa.Integer()")


def _nullable(number: int) -> Operation:
    safe = f'relax_not_null("{_old(number)}", "c")'
    return _altered(number, safe, "c", "nullable=True, existing_type=sa.Integer()")


def _default(number: int) -> Operation:
    column, type_ = ("b", "sa.Integer()") if number < OLD else ("a", "sa.String(60)")
    # Each existing column once: a second run must find what the last change made.
    value = "1" if number < OLD else "x"
    safe = f'set_server_default("{_old(number)}", "{column}", "{value}")'
    nullable = ", existing_nullable=False" if column == "b" and number < 8 else ""
    return _altered(number, safe, column, f'server_default="{value}", existing_type={type_}{nullable}')


def _dropped_column(number: int) -> Operation:
    table = _old(number)
    return Operation(f'drop_column_if_exists("{table}", "d")', f'op.drop_column("{table}", "d")')


def _dropped_index(number: int) -> Operation:
    table = _old(number)
    plain = f'op.drop_index("ix_{table}_b", "{table}")'
    return Operation(f'drop_index_if_exists("ix_{table}_b", "{table}")', plain)


def _dropped_constraint(number: int) -> Operation:
    table = _old(number)
    return Operation(
        f'drop_constraint_if_exists("ck_{table}_e", "{table}", type_="check")',
        f'op.drop_constraint("ck_{table}_e", "{table}", type_="check")',
        f'with op.batch_alter_table("{table}") as batch:\n    batch.drop_constraint("ck_{table}_e", type_="check")',
    )


# The new tables ---------------------------------------------------------------------------------------------------


def _table(number: int) -> Operation:
    columns = (
        f'"t{number}", sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),'
        ' sa.Column("name", sa.String(200), nullable=False), sa.Column("kind", sa.String(20), server_default="a"),'
        ' sa.Column("other_id", sa.Integer), sa.Column("amount", sa.Numeric(10, 2)),'
        ' sa.Column("created_at", sa.DateTime)'
    )
    if number % 3 == 0:
        columns += f', sa.Index("ix_t{number}_created_at", "created_at")'
    return Operation(f"create_table_if_missing({columns})", f"op.create_table({columns})")


def _new(number: int) -> str:
    """Return a table that the chain has made by then: the first ten are in use from the beginning."""
    return f"t{number % 10}"


def _column(number: int) -> Operation:
    kinds = ["sa.String(100)", "sa.Integer", "sa.Text", "sa.DateTime", "sa.Boolean"]
    default = ', nullable=False, server_default="0"' if number % 10 == 1 else ""
    arguments = f'"{_new(number)}", sa.Column("extra{number}", {kinds[number % 5]}{default})'
    return Operation(f"add_column_if_missing({arguments})", f"op.add_column({arguments})")


def _index(number: int) -> Operation:
    column = ["name", "kind", "other_id", "amount", "created_at"][number // 10 % 5]
    columns = [column] if number < 50 else [column, "id"]
    arguments = f'"ix_{_new(number)}_{number}", "{_new(number)}", {columns!r}'
    return Operation(f"create_index_if_missing({arguments})", f"op.create_index({arguments})")


def _foreign_key(number: int) -> Operation:
    table, referent = _new(number), f"old{(number + number // 10) % OLD}"
    rest = f'"fk_{table}_{number}", "{referent}", ["other_id"], ["id"]'
    arguments = f'"fk_{table}_{number}", "{table}", "{referent}", ["other_id"], ["id"]'
    return Operation(
        f"create_foreign_key_if_missing({arguments})",
        f"op.create_foreign_key({arguments})",
        f'with op.batch_alter_table("{table}") as batch:\n    batch.create_foreign_key({rest})',
    )


def _check(number: int) -> Operation:
    table, condition = _new(number), f"amount >= {number - 100}"
    return Operation(
        f'create_check_constraint_if_missing("ck_{table}_{number}", "{table}", "{condition}")',
        f'op.create_check_constraint("ck_{table}_{number}", "{table}", "{condition}")',
        f'with op.batch_alter_table("{table}") as batch:\n'
        f'    batch.create_check_constraint("ck_{table}_{number}", "{condition}")',
    )


def _unique(number: int) -> Operation:
    table, columns = _new(number), ["name", "kind"] if number < 10 else ["name", "other_id"]
    arguments = f'"uq_{table}_{number}", "{table}", {columns!r}'
    return Operation(
        f"create_unique_constraint_if_missing({arguments})",
        f"op.create_unique_constraint({arguments})",
        f'with op.batch_alter_table("{table}") as batch:\n'
        f'    batch.create_unique_constraint("uq_{table}_{number}", {columns!r})',
    )


def _comment(number: int) -> Operation:
    table = _new(number)
    safe = f'set_comment("{table}", None, "What it is for")'
    return Operation(safe, f'op.create_table_comment("{table}", "What it is for")')


def _enum(number: int) -> Operation:
    return Operation(
        f'create_enum_if_missing("kind{number}", ["a", "b", "c"])',
        f'sa.Enum("a", "b", "c", name="kind{number}").create(op.get_bind())',
    )


def _enum_column(number: int) -> Operation:
    # The types of _enum, each made a revision or more before.
    kind = f'sa.Enum("a", "b", "c", name="kind{number - 4}")'
    arguments = f'"{_new(number)}", sa.Column("extra{number}", {kind})'
    return Operation(f"add_column_if_missing({arguments})", f"op.add_column({arguments})")
