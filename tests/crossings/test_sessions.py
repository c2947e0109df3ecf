"""What env.py has set on its session, a search_path, a role, a database, holds on its side connections too."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import replace

import psycopg
import pytest
import sqlalchemy as sa

import safeops
from safeops.backfilling import interruption, parallel, state
from safeops.errors import BackfillStopped
from tests.authoring.workshop import Workshop
from tests.backfill.workers import HUNDREDFOLD, hundredfold, sums
from tests.projects import log_lines, migrate
from tests.runner.deploys import Deploy, printed

TENANT = 'ten"ant %(x)s'


@pytest.fixture(autouse=True)
def quickly(monkeypatch):
    monkeypatch.setattr(state, "LEASE", 0.8)
    monkeypatch.setattr(interruption, "RENEW_EVERY", 0.1)
    monkeypatch.setattr(parallel, "SMALLEST", 50)


def accounts(database):
    database.execute(
        "CREATE TABLE accounts (id int PRIMARY KEY, balance bigint)",
        f"INSERT INTO accounts VALUES {', '.join(f'({one}, {one})' for one in range(1, 201))}",
    )


class Opened:
    """A database whose tables only a session finds, or can change, as env.py has set it.

    Args:
        database: As env.py enters it.
        sets: What env.py sets.
        all_rights: The URL at which an administrator finds the version table.
        schema: The schema that env.py gives to SQLAlchemy for it.
    """

    def __init__(self, database, sets, all_rights=None, schema=None):
        self.database, self.sets = database, sets
        self.all_rights, self.schema = all_rights or database, schema

    @contextmanager
    def connected(self):
        with self.database.engine().connect() as connection:
            connection.exec_driver_sql(self.sets, execution_options={"no_parameters": True})
            connection.commit()
            connection.dialect.default_schema_name = self.schema or connection.dialect.default_schema_name
            yield connection

    def run(self, body):
        with self.connected() as connection:
            return migrate(self.all_rights, body, connection=connection)


def in_a_schema(database):
    schema = database.quoted(TENANT)
    accounts(database)
    database.execute(f"CREATE SCHEMA {schema}", f"ALTER TABLE accounts SET SCHEMA {schema}")
    return Opened(database, f"SET search_path TO {schema}, public")


def of_a_role(database):
    owner, login = (database.quoted(f"{database.name} {one}") for one in ("Owner", "login"))
    accounts(database)
    made = "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"
    database.execute(
        *{
            "postgresql": (
                f"CREATE ROLE {owner}",
                f"CREATE ROLE {login} LOGIN NOINHERIT IN ROLE {owner}",
                f"ALTER TABLE accounts OWNER TO {owner}",
                f"GRANT CREATE ON SCHEMA public TO {owner}",
                made,
                f"ALTER TABLE alembic_version OWNER TO {owner}",
            ),
            "mysql": (
                f"CREATE ROLE {owner}",
                f"CREATE USER {login} IDENTIFIED BY 'password'",
                f"GRANT ALL ON {database.name}.* TO {owner}",
                f"GRANT SELECT ON {database.name}.* TO {login}",
                f"GRANT {owner} TO {login}",
            ),
        }[database.kind]
    )
    entered = replace(database, url=database.url.set(username=f"{database.name} login"))
    return Opened(entered, f"SET ROLE {owner}", database)


def in_another_database(database, new_database):
    other = new_database()
    accounts(other)
    return Opened(database, f"USE {other.name}", other, other.name)


@pytest.fixture(params=["names", "rights"])
def opened(request, database, new_database):
    if request.param == "rights":
        return of_a_role(database)
    return in_a_schema(database) if database.kind == "postgresql" else in_another_database(database, new_database)


def lease_left(opened):
    """The seconds for which the claim still counts, as the server has it."""
    now = (
        "extract(epoch FROM clock_timestamp())"
        if opened.database.kind == "postgresql"
        else "UNIX_TIMESTAMP(SYSDATE(6))"
    )
    with opened.connected() as connection:
        return connection.execute(sa.text(f"SELECT lease_until - {now} FROM safeops_backfill WHERE part = 0")).scalar()


def filled(opened):
    with opened.connected() as connection:
        return connection.execute(sa.text("SELECT count(*) FROM accounts WHERE balance = id * 100")).scalar()


@pytest.mark.only("pg18", "mysql")
def test_a_lease_is_renewed(opened):
    left = []

    @safeops.reads("balance", writes=("balance",))
    def slowly(rows):
        time.sleep(1.0)
        left.append(lease_left(opened))
        return hundredfold(rows)

    opened.run(lambda: safeops.backfill("accounts", slowly, where=True, batch_size=1000))
    assert [one > 0.3 for one in left] == [True]
    assert filled(opened) == 200


@pytest.mark.only("pg18", "mysql")
def test_workers_find_the_table(opened):
    with ThreadPoolExecutor(2) as executor, log_lines() as said:
        opened.run(lambda: safeops.backfill("accounts", HUNDREDFOLD, where=True, executor=executor))
    assert not [line for line in said if "could not go on" in line]
    assert filled(opened) == 200


@pytest.mark.only("sqlite")
def test_workers_attach_what_is_attached(database, new_database):
    other = new_database()
    accounts(other)
    opened = Opened(database, f"ATTACH DATABASE '{other.name}' AS {database.quoted(TENANT)}")
    with ThreadPoolExecutor(2) as executor, log_lines() as said:
        opened.run(lambda: safeops.backfill("accounts", HUNDREDFOLD, where=True, executor=executor, schema=TENANT))
    assert not [line for line in said if "could not go on" in line]
    assert sums(other) == (200, 0)


@pytest.mark.only("pg18")
@pytest.mark.parametrize("renews", [True, False])
def test_a_run_that_cannot_renew_its_lease_ends_once_another_has_it(database, renews):
    """Else each of two runners would take the other one for dead, again and again."""
    accounts(database)
    made = []

    def connect():
        made.append(1)
        if len(made) > 1 and not renews:
            raise RuntimeError("no more connections")
        return psycopg.connect(database.url.set(drivername="postgresql").render_as_string(hide_password=False))

    def taken(_rows):
        time.sleep(0.4)
        database.execute("UPDATE safeops_backfill SET runner = 'another', lease_until = 0")
        return hundredfold(_rows)

    function = safeops.reads("balance", writes=("balance",))(taken)
    engine = sa.create_engine(database.url, creator=connect, poolclass=sa.pool.NullPool)
    calls = []

    def once(rows):
        calls.append(1)
        return function(rows) if len(calls) == 1 else hundredfold(rows)

    once = safeops.reads("balance", writes=("balance",))(once)
    raises = nullcontext() if renews else pytest.raises(BackfillStopped, match="no more connections")
    with engine.connect() as connection, raises:
        migrate(
            database,
            lambda: safeops.backfill("accounts", once, where=True, batch_size=1000, name="fill"),
            connection=connection,
        )
    assert sums(database)[0] == (200 if renews else 0)


@pytest.mark.only("pg18")
def test_autogenerate_reads_the_schema_that_env_py_reads(database, tmp_path):
    opened = in_a_schema(database)
    workshop = Workshop(tmp_path, database)
    (tmp_path / "migrations/env.py").write_text(
        (tmp_path / "migrations/env.py")
        .read_text()
        .replace(
            "    context.configure(",
            f"    connection.exec_driver_sql({opened.sets!r}, execution_options={{'no_parameters': True}})\n"
            f"    connection.commit()\n    connection.dialect.default_schema_name = {TENANT!r}\n"
            "    context.configure(",
            1,
        )
    )
    models = sa.MetaData()
    sa.Table(
        "accounts",
        models,
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("balance", sa.BigInteger),
    )
    assert 'TypeChange("accounts", "id"' in workshop.revise(models).read_text().replace("'", '"')


@pytest.mark.only("pg18")
def test_the_runner_finds_the_version_table_of_env_py(database, tmp_path, capsys):
    database.execute(f"CREATE SCHEMA {database.quoted(TENANT)}")
    sets = f"SET search_path TO {database.quoted(TENANT)}"
    project = Deploy(tmp_path, database, {"r1": ("create_table_if_missing('t', sa.Column('id', sa.Integer))", "pass")})
    env = tmp_path / "migrations/env.py"
    line = (
        f"connection.exec_driver_sql({sets!r}, execution_options={{'no_parameters': True}})\n"
        "            connection.commit()\n            "
    )
    env.write_text(env.read_text().replace("context.configure(connection", line + "context.configure(connection"))
    assert project.main("upgrade", "--json") == 0
    assert printed(capsys)["current"] == ["r1"]
    assert database.query("SELECT schemaname FROM pg_tables WHERE tablename IN ('t', 'alembic_version')") == [
        (TENANT,),
        (TENANT,),
    ]
