"""new_table_with_everything

Revision ID: k041
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "k041"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table("invoices", sa.Column("id", sa.Integer(), primary_key=True), sa.Column("user_id", sa.Integer(), sa.ForeignKey("users.id")), sa.Column("no", sa.String(20)))
    op.create_index("ix_invoices_no", "invoices", ["no"])
    with op.batch_alter_table("invoices") as batch:
        batch.alter_column("no", type_=sa.Text(), existing_type=sa.String(20))


def downgrade() -> None:
    pass
