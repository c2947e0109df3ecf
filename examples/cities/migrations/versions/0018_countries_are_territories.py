"""Countries become territories: both names work.

Then deploy the application that uses territories. SQLite has no view that can be written to like a table: there the next
revision does everything.
"""

from __future__ import annotations

from alembic import op

from safeops import TableRename

revision: str = "0018"
down_revision: str | None = "0017"

rename = TableRename("countries", "territories")


def upgrade() -> None:
    if op.get_context().dialect.name != "sqlite":
        rename.expand()


def downgrade() -> None:
    if op.get_context().dialect.name != "sqlite":
        rename.undo_expand()
