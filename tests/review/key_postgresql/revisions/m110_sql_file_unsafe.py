"""sql_file_unsafe

Revision ID: m110
Revises: base0000
"""

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "m110"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute((Path(__file__).parent / 'steps' / 'totals.sql').read_text())


def downgrade() -> None:
    pass
