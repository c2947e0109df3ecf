"""python_compute_then_insert

Revision ID: m109
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m109"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    bind = op.get_bind()
    table = op.create_table('ages', sa.Column('age', sa.Integer()), sa.Column('n', sa.Integer()))
    counts = {}
    for (age,) in bind.execute(sa.text('SELECT age FROM users')):
        counts[age] = counts.get(age, 0) + 1
    op.bulk_insert(table, [{'age': age, 'n': n} for age, n in counts.items()])


def downgrade() -> None:
    pass
