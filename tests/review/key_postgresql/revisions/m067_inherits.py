"""inherits

Revision ID: m067
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m067"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TABLE vip () INHERITS (users); ALTER TABLE vip ADD COLUMN perks text; CREATE INDEX ON vip (perks)")


def downgrade() -> None:
    pass
