"""text_comments

Revision ID: k181
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k181"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
    -- DROP TABLE users; UPDATE users SET notes = '';
    /* CREATE INDEX ix ON users (notes); /* TRUNCATE users */ */
    COMMENT ON COLUMN users.notes IS 'it''s; DELETE FROM users; CREATE INDEX x ON users (notes)'
    """)


def downgrade() -> None:
    pass
