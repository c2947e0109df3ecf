"""inherit_on_new

Revision ID: m079
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m079"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TABLE base_of (id int); CREATE TABLE one_of (id int); ALTER TABLE one_of INHERIT base_of")


def downgrade() -> None:
    pass
