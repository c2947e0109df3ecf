"""schema_type_operator

Revision ID: m074
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m074"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE SCHEMA more; CREATE TYPE more.pair AS (a int, b int); CREATE DOMAIN more.age AS int CHECK (VALUE > 0); ALTER TYPE user_status OWNER TO postgres; ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC")


def downgrade() -> None:
    pass
