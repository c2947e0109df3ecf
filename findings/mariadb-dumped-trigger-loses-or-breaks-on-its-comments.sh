#!/usr/bin/env bash
# A dump of a MariaDB trigger cannot be restored if a block comment is in its body, and restores another body if a line comment is.
#
# mariadb-dump writes each trigger as a comment that servers run: /*!50003 TRIGGER ... BEGIN ... END */. The client that reads the
# dump strips comments before it sends a statement (--skip-comments, its default), and takes the end of an inner block comment
# for the end of the outer one: ERROR 1064. It strips a line comment silently, so the restored body differs from the dumped one:
# what a tool records in a comment of a trigger is lost. mariadb --comments restores both unchanged. A record survives as a
# literal without backslashes: information_schema shows a literal without the backslashes that it was written with.
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

body_of() { client -e "SELECT ACTION_STATEMENT FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = '$1'"; }
restored() { # the body of the trigger after a dump and a restore: the body, then options of the client
  client -e "DROP DATABASE IF EXISTS one; CREATE DATABASE one; CREATE TABLE one.t (a int, b int);
    DROP DATABASE IF EXISTS two; CREATE DATABASE two"
  client --comments --delimiter="//" one -e "CREATE TRIGGER r BEFORE INSERT ON t FOR EACH ROW $1"
  "$usr/bin/mariadb-dump" --no-defaults --user=root --socket="$folder/data/socket" one | client "${@:2}" two 2>&1 | grep -o "ERROR 1064" || body_of two
}
block=$(restored "BEGIN /* note */ SET NEW.b = NEW.a; END")
line=$(restored $'BEGIN -- note\n SET NEW.b = NEW.a; END')
kept=$(restored "BEGIN /* note */ SET NEW.b = NEW.a; END" --comments)
literal=$(restored "BEGIN DECLARE n TEXT DEFAULT 'note \\\\u002a'; SET NEW.b = NEW.a; END")

echo "guess:          the restored trigger is the dumped one"
echo "block comment:  $block"
echo "line comment:   ${line//$'\n'/ }"
echo "with --comments: $kept"
echo "literal:        $literal   (it was written with two backslashes)"
[ "$block" = "ERROR 1064" ] && [[ $line != *note* ]] && [[ $kept == *"/* note */"* ]] && [[ $literal == *note* ]]
