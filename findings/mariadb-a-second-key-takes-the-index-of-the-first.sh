#!/usr/bin/env bash
# A second foreign key on a column takes away the index that MariaDB made for the first one, and makes another under its own name.
#
# For a foreign key without an index, the server creates one with the key's name. A second key on the same column could use that
# index. Instead the server drops it and creates one with the name of the second key, in one statement or in two. That index
# keeps its name when the second key is dropped. Some tools distinguish an index made for a key from an author's index by its
# name, because DROP FOREIGN KEY does not drop it. Such a tool must add last the key whose name the index should have, or
# create the index itself: both keys use an explicit index, and it keeps its name.
# Exits with 1 if any of that changes.
set -euo pipefail
folder=$(mktemp -d)
trap '[ -f "$folder/data/pid" ] && kill "$(cat "$folder/data/pid")"; sleep 1; rm -rf "$folder"' EXIT
version=1:10.11.19-0+deb12u1
chmod 755 "$folder"
cd "$folder"
apt-get download -qq "mariadb-server-core=$version" "mariadb-client-core=$version" "mariadb-client=$version" 2>/dev/null
for package in ./*.deb; do dpkg -x "$package" "$folder"; done
as() { if [ "$(id -u)" = 0 ]; then setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; else "$@"; fi; }
mkdir data && chmod 777 data
usr=$folder/usr
as "$usr/bin/mariadb-install-db" --no-defaults --basedir="$usr" --datadir="$folder/data" --skip-test-db --auth-root-authentication-method=normal >/dev/null
as "$usr/sbin/mariadbd" --no-defaults --lc-messages-dir="$usr/share/mysql" --datadir="$folder/data" --skip-networking \
  --pid-file="$folder/data/pid" --socket="$folder/data/socket" >/dev/null 2>&1 &
client() { "$usr/bin/mariadb" --no-defaults --user=root --socket="$folder/data/socket" --batch --raw --skip-column-names "$@"; }
for _ in $(seq 100); do client -e "SELECT 1" >/dev/null 2>&1 && break || sleep 0.1; done
client -e "SELECT VERSION()"

indexes_after() { # the names of the indexes on the column, after these statements
  client -e "DROP DATABASE IF EXISTS d; CREATE DATABASE d; CREATE TABLE d.parent (id int PRIMARY KEY); CREATE TABLE d.child (p int); USE d; $1"
  client -e "SELECT GROUP_CONCAT(INDEX_NAME ORDER BY INDEX_NAME) FROM information_schema.STATISTICS
    WHERE TABLE_SCHEMA = 'd' AND TABLE_NAME = 'child'"
}
key() { echo "ADD CONSTRAINT $1 FOREIGN KEY (p) REFERENCES parent (id)"; }
apart=$(indexes_after "ALTER TABLE child $(key first); ALTER TABLE child $(key second)")
together=$(indexes_after "ALTER TABLE child $(key first), $(key second)")
dropped=$(indexes_after "ALTER TABLE child $(key first), $(key second); ALTER TABLE child DROP FOREIGN KEY second")
given=$(indexes_after "ALTER TABLE child ADD INDEX first (p), $(key first), $(key second)")

echo "guess:                     first, first, first, first"
echo "two statements:            $apart"
echo "one statement:             $together"
echo "and the second key gone:   $dropped"
echo "with an index of its own:  $given"
[ "$apart $together $dropped $given" = "second second second first" ]
