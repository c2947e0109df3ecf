"""The kit of a small project whose first revision makes a table of users, and whose others may call helpers."""

from __future__ import annotations

import textwrap
from contextlib import AbstractContextManager
from pathlib import Path

from tests.servers import Database
from tests.testing.kits import PLAIN, kit_of

from safeops.testing.kit import Kit

USERS = """
op.create_table(
    "users",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(100), nullable=False),
    sa.Column("email", sa.String(100), nullable=False, unique=True),
    sa.Column("age", sa.Integer),
)
"""
HELPERS = (
    "from safeops import ColumnRename, TableRename, TypeChange, add_column_if_missing, add_required_column, backfill,"
    " create_index_if_missing, enforce_not_null, lock_timeout\n"
)


def kit_over(
    folder: Path, database: Database, *upgrades: str, first: str = USERS, begin: str = PLAIN
) -> AbstractContextManager[Kit]:
    """Return the kit of a project: 0001 makes the table, the bodies of 0002 and so on are given."""
    bodies = [HELPERS + textwrap.dedent(body).strip() for body in upgrades]
    return kit_of(folder, database, first, *bodies, begin=begin)
