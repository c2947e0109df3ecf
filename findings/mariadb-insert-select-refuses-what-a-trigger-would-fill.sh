#!/usr/bin/env bash
# MariaDB accepts a row by INSERT ... VALUES and refuses the same row by INSERT ... SELECT, if a trigger fills a column.
#
# A BEFORE INSERT trigger may fill a NOT NULL column without a default that the statement leaves out: MariaDB checks
# VALUES for missing columns after the trigger. For INSERT ... SELECT and REPLACE ... SELECT it checks before it, with the
# same error 1364 in strict mode. A trigger that was tested with VALUES alone breaks the other writers of the table.
# (MySQL 9.7 checks both after the trigger.) A default of the column lets both through; it may name the column that the
# trigger copies from. Exits with 1 if any of that changes.
set -euo pipefail
folder=$(mktemp -d)
trap '[ -f "$folder/data/pid" ] && kill "$(cat "$folder/data/pid")"; sleep 1; rm -rf "$folder"' EXIT
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
sql() { "$base/bin/mariadb" --no-defaults --socket="$folder/data/s" --user=root -N -e "$1" 2>&1; }

sql "SELECT VERSION(); CREATE DATABASE d; CREATE TABLE d.t (id int AUTO_INCREMENT PRIMARY KEY, old int NOT NULL, new int);
  CREATE TRIGGER d.fills BEFORE INSERT ON d.t FOR EACH ROW SET NEW.old = NEW.new"
values=$(sql "INSERT INTO d.t (new) VALUES (1)" && echo accepted)
select=$(sql "INSERT INTO d.t (new) SELECT 2" | tail -1 || true)
sql "ALTER TABLE d.t ALTER COLUMN old SET DEFAULT (new)"
default=$(sql "INSERT INTO d.t (new) SELECT 3" && echo accepted)

echo "guess: both are checked at the same time, and accepted"
echo "seen:  VALUES: $values; SELECT: $select; SELECT with a default: $default; rows: $(sql "SELECT COUNT(*) FROM d.t WHERE old = new")"
[ "$values" = accepted ] && [[ $select == *1364* ]] && [ "$default" = accepted ]
