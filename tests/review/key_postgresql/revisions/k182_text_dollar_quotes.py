"""text_dollar_quotes

Revision ID: k182
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k182"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("INSERT INTO empty_table (id, val) VALUES (1, $a$; UPDATE users SET notes = 'x'; $b$ DROP TABLE users; $b$ $a$), (2, E'it\\'s; TRUNCATE users')")


def downgrade() -> None:
    pass
