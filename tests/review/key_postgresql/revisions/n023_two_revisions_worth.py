"""two_revisions_worth

Revision ID: n023
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n023"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table("jobs", sa.Column("id", sa.BigInteger(), primary_key=True), sa.Column("state", sa.Text(), server_default="new"))
    op.execute("CREATE INDEX ON jobs (state) WHERE state <> 'done'")
    op.execute("ALTER TABLE jobs ADD CONSTRAINT ck CHECK (state IN ('new', 'done'))")
    op.execute("CREATE TRIGGER t BEFORE INSERT ON jobs FOR EACH ROW EXECUTE FUNCTION tgf()")
    op.execute("ALTER TABLE jobs SET (autovacuum_vacuum_scale_factor = 0), ALTER state SET NOT NULL")
    op.execute("ALTER TABLE jobs CLUSTER ON jobs_pkey; CLUSTER jobs")


def downgrade() -> None:
    pass
