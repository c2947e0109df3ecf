"""settings_table_upsert

Revision ID: n032
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n032"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table("settings", sa.Column("name", sa.Text(), primary_key=True), sa.Column("value", sa.Text()))
    for name in ("a", "b"):
        op.execute(sa.text("INSERT INTO settings VALUES (:name, 'x') ON CONFLICT (name) DO UPDATE SET value = excluded.value").bindparams(name=name))
    op.execute("UPDATE settings SET value = 'y'; DELETE FROM settings")


def downgrade() -> None:
    pass
