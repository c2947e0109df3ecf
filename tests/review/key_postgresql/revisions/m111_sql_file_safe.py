"""sql_file_safe

Revision ID: m111
Revises: base0000
"""

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "m111"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for statement in (Path(__file__).parent / 'steps' / 'columns.sql').read_text().split(';'):
        if statement.strip():
            op.execute(statement)


def downgrade() -> None:
    pass
