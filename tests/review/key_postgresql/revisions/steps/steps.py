"""What several revisions call: a module that is no revision itself."""

import sqlalchemy as sa
from alembic import op


def index_everything(table, *columns):
    for column in columns:
        op.create_index(f"ix_{table}_{column}", table, [column])


def add_audit_columns(table):
    for name in ("created_at", "changed_at"):
        op.add_column(table, sa.Column(name, sa.DateTime(timezone=True), server_default=sa.func.now()))
