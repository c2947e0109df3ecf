"""new_table_with_everything

Revision ID: k056
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "k056"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table("invoices", sa.Column("id", sa.Integer(), primary_key=True), sa.Column("user_id", sa.Integer()), sa.Column("no", sa.String(20)))
    op.create_index("ix_invoices_no", "invoices", ["no"])
    op.create_foreign_key("fk_invoices_user", "invoices", "users", ["user_id"], ["id"])
    op.alter_column("invoices", "no", type_=sa.String(200), existing_type=sa.String(20))
    op.create_check_constraint("ck_no", "invoices", "no <> ''")


def downgrade() -> None:
    pass
