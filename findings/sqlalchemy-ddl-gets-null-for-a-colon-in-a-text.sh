#!/usr/bin/env bash
# A colon before a word in sa.text() becomes NULL in DDL, without an error; Alembic's autogenerate writes such a text itself.
#
# In a query, SQLAlchemy refuses a :name of sa.text() without a value. In DDL it must write values into the SQL, and writes
# NULL for one that is missing: in a server default '{"n":1}' and in a CHECK against ':x', inside the quotes of the SQL.
# A model can escape the colon with a backslash. But autogenerate renders the default without the backslash, so the revision
# creates another default than the model. Exits with 1 if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check sqlalchemy==2.1.9 alembic==1.20.1

"$folder/venv/bin/python" - <<'PY'
import sys

import alembic
import sqlalchemy as sa
from alembic import op
from alembic.autogenerate import produce_migrations, render_python_code
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext

print("SQLAlchemy", sa.__version__, "Alembic", alembic.__version__)


def default_of(connection):
    [row] = connection.exec_driver_sql("SELECT dflt_value FROM pragma_table_info('t') WHERE name = 'a'")
    return row[0]


def made(*things):
    engine = sa.create_engine("sqlite://")
    connection = engine.connect()
    sa.Table("t", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), *things).create(connection)
    return connection


try:
    sa.create_engine("sqlite://").connect().execute(sa.text("""SELECT '{"n":1}'"""))
except sa.exc.StatementError as error:
    print("a query: ", str(error).splitlines()[0])

given = """'{"n":1}'"""
unescaped = default_of(made(sa.Column("a", sa.Text, server_default=sa.text(given))))

connection = made(sa.Column("a", sa.Text), sa.CheckConstraint("a <> ':x'"))
connection.exec_driver_sql("INSERT INTO t (a) VALUES (':x')")
accepted = connection.exec_driver_sql("SELECT a FROM t").scalar()


def column():
    return sa.Column("a", sa.Text, server_default=sa.text(given.replace(":", r"\:")))


model = sa.MetaData()
sa.Table("t", model, sa.Column("id", sa.Integer, primary_key=True), column())
wanted = default_of(made(column()))

context = MigrationContext.configure(sa.create_engine("sqlite://").connect())
code = render_python_code(produce_migrations(context, model).upgrade_ops)
with Operations.context(context):
    exec("\n".join(line.strip() for line in code.splitlines()), {"op": op, "sa": sa})
migrated = default_of(context.connection)

print("guess:    the error that a query gets, or the text as it is")
print(f"DDL:      DEFAULT {given} becomes DEFAULT {unescaped}; a CHECK (a <> ':x') accepts {accepted!r}")
print(f"Alembic:  the model has DEFAULT {wanted}, its generated revision creates DEFAULT {migrated}")
sys.exit(not ((unescaped, accepted, wanted, migrated) == ("""'{"n"NULL}'""", ":x", given, """'{"n"NULL}'""")))
PY
