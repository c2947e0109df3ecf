"""update_with_in_parameters

Revision ID: n025
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n025"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    bind = op.get_bind()
    bind.execute(sa.text("UPDATE users SET notes = 'vip' WHERE id IN :ids").bindparams(sa.bindparam("ids", expanding=True)), {"ids": [1, 5, 9]})


def downgrade() -> None:
    pass
