#!/usr/bin/env bash
# SQLAlchemy takes MariaDB's "referenced trigger does not exist" for a lost connection, and throws away the whole pool.
#
# The MySQL dialects count error 4031 as a disconnect: in MySQL 8.0.24 and later it informs an idle client that it was
# disconnected. MariaDB gave the number to another error years before: CREATE TRIGGER ... FOLLOWS a trigger that is missing.
# The connection still works, but SQLAlchemy invalidates it, and with it all others of the pool, also for a
# mariadb:// URL. Code that tries again on a lost connection repeats a statement that can never succeed.
# Exits with 1 if any of that changes.
set -euo pipefail
folder=$(mktemp -d)
trap '[ -f "$folder/data/pid" ] && kill "$(cat "$folder/data/pid")"; sleep 1; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check sqlalchemy==2.0.43 pymysql==1.1.2
(cd "$folder" && apt-get download -q mariadb-server-core=1:10.11.19-0+deb12u1 mariadb-client-core=1:10.11.19-0+deb12u1) >/dev/null
for package in "$folder"/*.deb; do dpkg-deb -x "$package" "$folder/mariadb"; done
base="$folder/mariadb/usr"
as() { if [ "$(id -u)" = 0 ]; then setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; else "$@"; fi; }
mkdir "$folder/data"
chmod 755 "$folder"
[ "$(id -u)" = 0 ] && chown 65534:65534 "$folder/data"
as "$base/bin/mariadb-install-db" --no-defaults --basedir="$base" --datadir="$folder/data" \
  --auth-root-authentication-method=normal --skip-test-db >/dev/null 2>&1
as "$base/sbin/mariadbd" --no-defaults --basedir="$base" --datadir="$folder/data" \
  --pid-file="$folder/data/pid" --socket="$folder/data/s" --skip-networking >/dev/null 2>&1 &
for _ in $(seq 100); do [ -S "$folder/data/s" ] && break || sleep 0.1; done

"$folder/venv/bin/python" - "$folder/data/s" <<'PY'
import sys

import sqlalchemy as sa

engine = sa.create_engine(f"mariadb+pymysql://root@localhost/?unix_socket={sys.argv[1]}", isolation_level="AUTOCOMMIT")
with engine.connect() as connection:
    print(connection.exec_driver_sql("SELECT VERSION()").scalar(), "SQLAlchemy", sa.__version__)
    for sql in ("CREATE DATABASE d", "USE d", "CREATE TABLE t (a int)"):
        connection.exec_driver_sql(sql)
    driver = connection.connection.driver_connection
    try:
        connection.exec_driver_sql("CREATE TRIGGER u BEFORE INSERT ON t FOR EACH ROW FOLLOWS missing SET @a = 1")
    except sa.exc.DBAPIError as error:
        number, invalidated = error.orig.args[0], error.connection_invalidated
        said = error.orig.args[1]
alive = driver.open
print("guess: an ordinary error of the statement, after which the connection is used on")
print(f"seen:  ({number}, {said!r}); connection_invalidated = {invalidated}; SQLAlchemy has closed it: {not alive}")
sys.exit(not (number == 4031 and invalidated and not alive))
PY
