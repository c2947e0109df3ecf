"""Countries are gone, territories alone stand.

For when the last process of the old application has ended; on SQLite it has to stop before, and the new one starts after.
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
    # op.rename_table does not look; under --sql nobody can.
    if op.get_context().as_sql or sa.inspect(op.get_bind()).has_table(old):
        op.rename_table(old, new)
