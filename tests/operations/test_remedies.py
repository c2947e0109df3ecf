"""The code in a message is made of the author's own call: its table, columns and names, not those of an example."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from tests.projects import migrate
from tests.servers import Database

from safeops import (
    ColumnRename,
    InvalidArgument,
    SafeOpsError,
    TableRename,
    add_column_if_missing,
    add_enum_value_if_missing,
    add_required_column,
    alter_column_type,
    backfill,
    create_check_constraint_if_missing,
    create_enum_if_missing,
    create_exclude_constraint_if_missing,
    create_foreign_key_if_missing,
    create_index_if_missing,
    create_primary_key_if_missing,
    create_table_if_missing,
    create_unique_constraint_if_missing,
    drop_column_if_exists,
    drop_constraint_if_exists,
    enforce_not_null,
    restore_column,
    set_comment,
    set_server_default,
)

OF_EXAMPLES = r"\b(users|teams|orders|bookings|mood|sad|name|email|slug|age|room|during|as they typed it)\b|\.\.\."

Call = Callable[[], Any]

WRONG: dict[str, tuple[Call, str]] = {
    "a column that is not one": (lambda: add_column_if_missing("gadgets", "hue"), '"gadgets", sa.Column("hue"'),  # type: ignore[arg-type]
    "a required column that is not one": (
        lambda: add_required_column("gadgets", "hue", populate="x"),  # type: ignore[arg-type]
        '"gadgets", sa.Column("hue"',
    ),
    "no value for a required column": (
        lambda: add_required_column("gadgets", sa.Column("hue", sa.Text), populate=None),
        '"gadgets", sa.Column("hue", sa.Text())',
    ),
    "a restored column that is not one": (
        lambda: restore_column("gadgets", "hue"),  # type: ignore[arg-type]
        '"gadgets", sa.Column("hue"',
    ),
    "a type that is not one": (lambda: alter_column_type("gadgets", "hue", "text"), '"gadgets", "hue"'),
    "a default that is not one": (lambda: set_server_default("gadgets", "hue", 3), '"gadgets", "hue", "3"'),
    "a comment that is not one": (lambda: set_comment("gadgets", "hue", 3), '"gadgets", "hue"'),  # type: ignore[arg-type]
    "a column alone": (lambda: create_index_if_missing("ix", "gadgets", "hue"), '"ix", "gadgets", ["hue"]'),
    "a unique column alone": (
        lambda: create_unique_constraint_if_missing("uq", "gadgets", "hue"),
        '"uq", "gadgets", ["hue"]',
    ),
    "a key column alone": (lambda: create_primary_key_if_missing("pk", "gadgets", "hue"), '"pk", "gadgets", ["hue"]'),
    "columns of a foreign key": (
        lambda: create_foreign_key_if_missing("fk", "gadgets", "makers", ["maker_id", "hue"], ["id"]),
        '"fk", "gadgets", "makers", ["maker_id", "hue"], ["id"]',
    ),
    "a condition that is not one": (
        lambda: create_check_constraint_if_missing("ck", "gadgets", 3),
        '"ck", "gadgets"',
    ),
    "elements that are not pairs": (
        lambda: create_exclude_constraint_if_missing("ex", "gadgets", "hue"),  # type: ignore[arg-type]
        '"ex", "gadgets"',
    ),
    "a kind that is not one": (
        lambda: drop_constraint_if_exists("ck", "gadgets", type_="chekc"),
        "type_=",
    ),
    "a flag that is not one": (lambda: drop_column_if_exists("gadgets", "hue", archive="yes"), '"gadgets", "hue"'),  # type: ignore[arg-type]
    "a name that is not one": (lambda: enforce_not_null("gadgets", ""), '"gadgets"'),
    "columns of a table": (lambda: create_table_if_missing("gadgets", "hue"), '"gadgets", sa.Column("hue"'),
    "values of a type": (lambda: create_enum_if_missing("shade", "dark"), '"shade", ["dark"]'),
    "two places": (
        lambda: add_enum_value_if_missing("shade", "dim", before="dark", after="light"),
        '"shade", "dim", after="light"',
    ),
    "values of a backfill": (lambda: backfill("gadgets", 3), '"gadgets"'),  # type: ignore[arg-type]
    "equal names": (lambda: TableRename("gadgets", "gadgets").expand(), '"gadgets", "gadgets"'),
    "a name of a change": (lambda: ColumnRename("gadgets", "hue", "").expand(), '"gadgets", "hue"'),
    "a misspelt argument": (lambda: create_index_if_missing("ix", "gadgets", ["hue"], uniqe=True), '"ix", "gadgets"'),
}


@pytest.mark.only("sqlite")
@pytest.mark.parametrize("mistake", WRONG)
def test_a_wrong_argument_is_answered_with_the_authors_own_call(database: Database, mistake: str) -> None:
    call, shown = WRONG[mistake]
    with pytest.raises(InvalidArgument) as raised:
        migrate(database, call)
    assert shown in raised.value.code
    assert not re.search(OF_EXAMPLES, raised.value.code), raised.value.code


REFUSED: dict[str, tuple[Call, str]] = {
    "required": (
        lambda: add_column_if_missing("gadgets", sa.Column("hue", sa.Text, nullable=False)),
        'add_required_column("gadgets", sa.Column("hue", sa.Text(), nullable=False)',
    ),
    "another definition": (
        lambda: create_index_if_missing("ix_gadgets", "gadgets", ["weight"]),
        'drop_index_if_exists("ix_gadgets", "gadgets")',
    ),
    "no key": (
        lambda: create_foreign_key_if_missing("fk", "gadgets", "makers", ["id"], ["code"]),
        'create_unique_constraint_if_missing("uq_makers_code", "makers", ["code"])',
    ),
    "part of the key": (
        lambda: add_column_if_missing("gadgets", sa.Column("other", sa.Integer, sa.Identity())),
        "",
    ),
    "nothing archived": (lambda: restore_column("gadgets", sa.Column("hue", sa.Text)), ""),
}


@pytest.mark.only("pg18")
@pytest.mark.parametrize("reason", REFUSED)
def test_a_refusal_shows_the_authors_own_table(database: Database, reason: str) -> None:
    call, shown = REFUSED[reason]
    database.execute(
        "CREATE TABLE makers (id integer PRIMARY KEY, code integer)",
        "CREATE TABLE gadgets (id integer PRIMARY KEY, weight integer)",
        "CREATE INDEX ix_gadgets ON gadgets (id, weight)",
        "INSERT INTO gadgets VALUES (1, 2)",
    )
    with pytest.raises(SafeOpsError) as raised:
        migrate(database, call)
    assert shown in raised.value.code
    assert not re.search(OF_EXAMPLES.removesuffix(r"|\.\.\."), raised.value.code), raised.value.code
