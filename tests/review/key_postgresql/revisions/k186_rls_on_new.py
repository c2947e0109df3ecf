"""rls_on_new

Revision ID: k186
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k186"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TABLE notes_of (id int, owner text)")
    op.execute("ALTER TABLE notes_of ENABLE ROW LEVEL SECURITY")
    op.execute("CREATE POLICY own ON notes_of USING (owner = current_user)")


def downgrade() -> None:
    pass
