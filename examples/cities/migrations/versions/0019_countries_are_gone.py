"""The old name countries is dropped.

Run it after the last process of the old application has ended. On SQLite stop the application first, and start the new
version afterwards.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from safeops import TableRename

revision: str = "0019"
down_revision: str | None = "0018"

rename = TableRename("countries", "territories")


def upgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        _rename_at_once("countries", "territories")
    else:
        rename.contract()


def downgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        _rename_at_once("territories", "countries")
    else:
        rename.undo_contract()


def _rename_at_once(old: str, new: str) -> None:
    # op.rename_table does not check whether the table exists; under --sql it cannot be checked.
    if op.get_context().as_sql or sa.inspect(op.get_bind()).has_table(old):
        op.rename_table(old, new)
