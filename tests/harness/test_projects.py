"""Migrations as functions, as projects, and offline."""

import pytest
from alembic import context, op
from sqlalchemy import Column, Integer, text
from tests.projects import Project, migrate, render, run_sql, statements_of


def create():
    op.create_table("t", Column("a", Integer))
    return op.get_context().as_sql or "done"


@pytest.mark.smoke
def test_a_function_runs_as_a_migration(database):
    assert migrate(database, create) == "done"
    assert database.query("SELECT version_num FROM alembic_version") == [("r1",)]
    assert migrate(database, lambda: op.drop_table("t"), down=True) is None
    assert database.query("SELECT count(*) FROM alembic_version") == [(0,)]
    assert migrate(database, create) == "done"


def test_a_failing_function_moves_no_version(database):
    with pytest.raises(ZeroDivisionError):
        migrate(database, lambda: 1 / 0)
    assert database.query("SELECT count(*) FROM alembic_version") == [(0,)]


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg2", "aiosqlite"])
def test_other_drivers(database, driver):
    if database.kind != ("sqlite" if driver == "aiosqlite" else "postgresql"):
        pytest.skip("not a driver of this database")
    with statements_of(database) as sent:
        assert migrate(database.with_driver(driver), create) == "done"
    assert len(sent.ddl) == 1


@pytest.mark.smoke
def test_offline_sql_runs_in_the_client(database):
    script = render(database, create)
    assert "alembic_version" not in script
    run_sql(database, script)
    assert database.query("SELECT count(*) FROM t") == [(0,)]
    with pytest.raises(AssertionError if database.kind != "sqlite" else Exception, match="exists"):
        run_sql(database, script)


def test_offline_for_a_database_that_is_not_there():
    script = render("mysql+pymysql://", lambda: op.execute(text("SELECT :a").bindparams(a="100 %")))
    assert "SELECT '100 %'" in script
    assert render("postgresql://", lambda: context.is_offline_mode() or 1 / 0).split() == [
        "BEGIN;",
        "COMMIT;",
    ]


def test_statements_are_recorded_inside_the_body(database):
    def body():
        with statements_of(database) as sent:
            op.get_bind().execute(text("SELECT 1"))
            op.execute("CREATE TABLE t (a int)")
        return sent

    sent = migrate(database, body)
    assert sent.round_trips == ["SELECT 1"]
    assert sent.ddl == ["CREATE TABLE t (a int)"]


R1 = ("op.create_table('t', sa.Column('a', sa.Integer))", "op.drop_table('t')")
R2 = ("op.execute('INSERT INTO t VALUES (1)')", "op.execute('DELETE FROM t')")


@pytest.mark.parametrize("env", ["sync", "commit_before", "one_transaction", "async"])
def test_a_project_runs_up_and_down(database, tmp_path, env):
    if env == "async":
        if database.kind == "mysql":
            pytest.skip("no asynchronous driver for MariaDB among the test requirements")
        database = database.with_driver("asyncpg" if database.kind == "postgresql" else "aiosqlite")
    project = Project(tmp_path, database, {"r1": R1, "r2": R2}, env=env)
    project.upgrade()
    assert project.current() == ("r2",)
    assert database.query("SELECT a FROM t") == [(1,)]
    assert "INSERT INTO t" in project.sql("r1:r2")
    project.downgrade()
    assert project.current() == ()


@pytest.mark.only("postgresql")
def test_a_statement_before_configure_loses_everything(database, tmp_path):
    project = Project(tmp_path, database, {"r1": R1}, env="execute_before")
    project.upgrade()
    assert project.current() == ()


def test_log_lines_are_kept(database, tmp_path):
    body = "import logging; logging.getLogger('safeops.x').info('skipped %s', 't')"
    project = Project(tmp_path, database, {"r1": (body, "pass")})
    project.upgrade()
    assert project.log == ["skipped t"]
