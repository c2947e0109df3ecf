#!/usr/bin/env bash
# After an upgrade that failed, alembic.op stays bound to the migration: op.execute() outside of any migration writes to its
# connection.
#
# Outside of a migration each call of op is an error, also after an upgrade that succeeded: Alembic takes the binding
# back. It does so after the last line of a generator without `finally`, so an exception in upgrade() leaves it in place. With
# the connection of a caller, as in the cookbook's recipe for tests, the connection is still open: what a later line of the
# same process does by op is done there, and the caller's commit keeps it. Exits with 1 if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check sqlalchemy==2.1.9 alembic==1.20.1

mkdir -p "$folder/migrations/versions"
cat >"$folder/migrations/env.py" <<'ENV'
from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
ENV
cat >"$folder/migrations/versions/r1.py" <<'REVISION'
from alembic import op

revision, down_revision = "r1", None


def upgrade():
    op.execute("CREATE TABLE notes (text TEXT)")
REVISION
cat >"$folder/migrations/versions/r2.py" <<'REVISION'
revision, down_revision = "r2", "r1"


def upgrade():
    raise LookupError("a revision that fails")
REVISION

cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import sys

import alembic
import sqlalchemy as sa
from alembic import command, op
from alembic.config import Config

print("SQLAlchemy", sa.__version__, "Alembic", alembic.__version__)
config = Config()
config.set_main_option("script_location", "migrations")


def write():
    try:
        op.execute("INSERT INTO notes VALUES ('outside')")
    except (NameError, AttributeError) as error:
        return type(error).__name__
    return "no error"


with sa.create_engine("sqlite:///app.sqlite").connect() as connection:
    config.attributes["connection"] = connection
    command.upgrade(config, "r1")
    connection.commit()
    succeeded = write()
    try:
        command.upgrade(config, "r2")
    except LookupError:
        connection.rollback()
    failed = write()
    connection.commit()
    rows = connection.exec_driver_sql("SELECT text FROM notes").scalars().all()

print("guess:                        an error both times")
print("after a successful upgrade:  ", succeeded)
print("after one that failed:       ", failed, "and the table has", rows)
sys.exit(not (succeeded == "AttributeError" and failed == "no error" and rows == ["outside"]))
PY
