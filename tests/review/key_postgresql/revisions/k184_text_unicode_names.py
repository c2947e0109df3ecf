"""text_unicode_names

Revision ID: k184
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k184"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute('CREATE TABLE "Ünï; DROP TABLE users" (id int, "select" text); CREATE INDEX ON "Ünï; DROP TABLE users" ("select")')


def downgrade() -> None:
    pass
