"""rule_on_new

Revision ID: m075
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m075"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TABLE r1 (a int); CREATE RULE r1_log AS ON INSERT TO r1 DO ALSO NOTIFY r1")


def downgrade() -> None:
    pass
