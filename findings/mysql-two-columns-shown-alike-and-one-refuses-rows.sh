#!/usr/bin/env bash
# MySQL shows two TEXT columns alike, in SHOW CREATE TABLE and in information_schema, and refuses rows that omit one of them.
#
# ALTER COLUMN ... DROP DEFAULT leaves a nullable column without any default, not even NULL: an INSERT that omits it fails with 1364.
# For an INT the server shows that: `n int` instead of `n int DEFAULT NULL`. For TEXT, BLOB, JSON, geometry it never shows DEFAULT
# NULL, so the two cannot be distinguished; a dump and its restore silently repairs the column. ALTER COLUMN ... SET DEFAULT NULL,
# which is right for an INT, is refused for these types (1101), and so is SET DEFAULT ('x'): parentheses make no expression of a
# literal there, though they do in CREATE TABLE and MODIFY. A tool that takes a default away, or sets one, must repeat the whole
# column: MODIFY c TEXT, or MODIFY c TEXT DEFAULT ('x'), both of which are INSTANT.
# Exits with 1 if any of that changes. Needs root, for debootstrap: MySQL 9.7 is in Debian unstable alone.
set -euo pipefail
folder=$(mktemp -d)
trap '[ -f "$folder/sid/data/pid" ] && kill "$(cat "$folder/sid/data/pid")" 2>/dev/null; sleep 2; rm -rf "$folder"' EXIT
version=9.7.4-2
command -v debootstrap >/dev/null || apt-get -qq install -y --no-install-recommends debootstrap >/dev/null
debootstrap --variant=minbase sid "$folder/sid" http://deb.debian.org/debian >/dev/null
printf '#!/bin/sh\nexit 101\n' >"$folder/sid/usr/sbin/policy-rc.d"
chmod +x "$folder/sid/usr/sbin/policy-rc.d"
chroot "$folder/sid" apt-get -qq install -y --no-install-recommends "mysql-server-core=$version" "mysql-client-core=$version" &>/dev/null || true
mkdir "$folder/sid/data"
chmod 777 "$folder/sid/data"
inside() { chroot --userspec=65534:65534 "$folder/sid" "$@"; }
inside /usr/sbin/mysqld --no-defaults --initialize-insecure --datadir=/data/d >/dev/null 2>&1
inside /usr/sbin/mysqld --no-defaults --datadir=/data/d --skip-networking --mysqlx=OFF --socket=/data/socket \
  --pid-file=/data/pid --secure-file-priv=NULL >/dev/null 2>&1 &
client() { inside /usr/bin/mysql --no-defaults --user=root --socket=/data/socket --batch --raw --skip-column-names "$@" 2>&1; }
for _ in $(seq 200); do client -e "SELECT 1" >/dev/null 2>&1 && break || sleep 0.1; done
client -e "SELECT VERSION()"
client -e "CREATE DATABASE d; CREATE TABLE d.t (id int PRIMARY KEY, plain text, dropped text DEFAULT ('x'), n int DEFAULT 5)"
client d -e "ALTER TABLE t ALTER COLUMN dropped DROP DEFAULT, ALTER COLUMN n DROP DEFAULT, ALGORITHM=INSTANT"
shown() { client d -e "SHOW CREATE TABLE t" | grep -o "\`$1\` .*" | sed 's/`[a-z]*` //'; }
told() { client d -e "SELECT COLUMN_DEFAULT, IS_NULLABLE, EXTRA FROM information_schema.COLUMNS WHERE TABLE_NAME = 't' AND COLUMN_NAME = '$1'"; }
number() {
  local said
  said=$(client d -e "$1") || true
  grep -oE "ERROR [0-9]+" <<<"$said" || echo accepted
}

echo "guess:            columns that are shown alike take the same rows"
echo "plain:            $(shown plain) $(told plain)"
echo "dropped:          $(shown dropped) $(told dropped)"
echo "of an int:        $(shown n)"
without_plain=$(number "INSERT INTO t (id, dropped, n) VALUES (1, 'x', 1)")
without_dropped=$(number "INSERT INTO t (id, plain, n) VALUES (2, 'x', 1)")
to_null=$(number "ALTER TABLE t ALTER COLUMN dropped SET DEFAULT NULL")
to_literal=$(number "ALTER TABLE t ALTER COLUMN dropped SET DEFAULT ('x')")
modified=$(number "ALTER TABLE t MODIFY dropped text DEFAULT ('x'), ALGORITHM=INSTANT")
repaired=$(number "ALTER TABLE t MODIFY dropped text, ALGORITHM=INSTANT; INSERT INTO t (id, plain, n) VALUES (3, 'x', 1)")
echo "INSERT without plain: $without_plain; without dropped: $without_dropped"
echo "SET DEFAULT NULL: $to_null; SET DEFAULT ('x'): $to_literal; MODIFY ... DEFAULT ('x'): $modified"
echo "MODIFY dropped text, INSERT without it: $repaired"
[ "$(shown plain)" = "$(shown dropped)" ] && [ "$(told plain)" = "$(told dropped)" ] &&
  [ "$without_plain$without_dropped" = "acceptedERROR 1364" ] && [ "$to_null$to_literal" = "ERROR 1101ERROR 1101" ] &&
  [ "$modified$repaired" = acceptedaccepted ]
