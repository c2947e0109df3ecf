"""op_as_argument

Revision ID: m112
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m112"
down_revision = "base0000"
branch_labels = None
depends_on = None


class Steps:
    def __init__(self, operations):
        self.operations = operations

    def run(self, table):
        self.operations.create_index(f'ix_{table}_total', table, ['total'])


def upgrade() -> None:
    Steps(op).run('orders')


def downgrade() -> None:
    pass
