"""metadata_drop_all

Revision ID: n046
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n046"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    metadata = sa.MetaData()
    sa.Table("cache", metadata, sa.Column("k", sa.Integer()))
    metadata.drop_all(op.get_bind())


def downgrade() -> None:
    pass
