"""new_table_as_select

Revision ID: k115
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k115"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TABLE users_copy AS SELECT * FROM users; CREATE INDEX ON users_copy (email); ALTER TABLE users_copy ADD PRIMARY KEY (id)")


def downgrade() -> None:
    pass
