"""The kit works with each way in which an env.py finds the database, and never connects to the project's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from tests.testing.sessions import EMAIL, USERS, TeamProject, project_in

CHECKED = ("-k", "up_down_up or offline")
ONLINE = """
import os
import sqlalchemy as sa
from alembic import context

url = {url}
if context.is_offline_mode():
    context.configure(url=url, literal_binds=True, dialect_opts={{"paramstyle": "named"}})
    with context.begin_transaction():
        context.run_migrations()
else:
    with sa.create_engine(url).connect() as connection:
        context.configure(connection=connection)
        with context.begin_transaction():
            context.run_migrations()
"""
URLS = {
    "a variable of the environment": "os.environ['DATABASE_URL']",
    "an argument": "context.get_x_argument(as_dictionary=True)['url']",
    "the settings": "'sqlite:///' + os.path.join(os.getcwd(), 'own.sqlite')",
    "memory": "'sqlite://'",
}


@pytest.mark.parametrize("way", URLS)
def test_the_url_comes_from(way: str, tmp_path: Path) -> None:
    project = project_in(tmp_path, "sqlite:///own.sqlite", env=ONLINE.format(url=URLS[way]))
    project.chain(USERS, EMAIL)
    options = () if way in ("the settings", "memory") else ("--safeops-url", "sqlite:///empty.sqlite")
    outcome = project.pytest(*CHECKED, *options)
    assert (outcome.status, outcome["passed"]) == (0, 4), outcome.output
    assert not (tmp_path / "own.sqlite").exists()


HANDED = """
from alembic import context

connection = context.config.attributes["connection"]
if context.is_offline_mode():
    context.configure(dialect_name="sqlite", literal_binds=True, dialect_opts={"paramstyle": "named"})
else:
    context.configure(connection=connection)
with context.begin_transaction():
    context.run_migrations()
"""


SLOW = """
import os, threading, time

with open("loaded_by", "a") as file:
    file.write(f"{os.getpid()}\\n")
time.sleep(1.1)
"""
AUTOCOMMIT = """
import pytest
import sqlalchemy as sa
from alembic.config import Config


@pytest.fixture(scope="session")
def safeops_config():
    config = Config("alembic.ini")
    engine = sa.create_engine("sqlite:///nowhere/never.sqlite")
    config.attributes["connection"] = engine.execution_options(isolation_level="AUTOCOMMIT")
    return config
"""
THREAD = "threading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n"


def _slow(folder: Path, models: str) -> TeamProject:
    settings = {"prepend_sys_path": ".", "path_separator": "os"}
    project = project_in(folder, "sqlite:///own.sqlite", env=f"import slow\n{HANDED}", settings=settings)
    project.file("slow.py", models)
    return project


def test_the_application_hands_its_connection_over(tmp_path: Path) -> None:
    """Such an env.py has no URL: the application calls alembic.command with a connection in the attributes.

    What it imports then takes long. So it is loaded once for all other processes, which are forked from that one.
    """
    project = _slow(tmp_path, SLOW)
    project.chain(USERS, EMAIL)
    outcome = project.pytest("-k", "not old_release", "--safeops-url", "sqlite:///empty.sqlite")
    assert not outcome["errors"], outcome.output
    assert "KeyError" not in outcome.output
    assert outcome["passed"] >= 6, outcome.output
    # On a busy machine a runner can be taken for one that waits, which the message then leaves out.
    assert outcome.output.count("Both had read the version before") in (1, 2)
    assert not (tmp_path / "own.sqlite").exists()
    assert len(set((tmp_path / "loaded_by").read_text().split())) == 2


def test_each_runner_loads_a_project_that_starts_threads(tmp_path: Path) -> None:
    """A fork does not have them. A runner that loads the project after it got its connection does not wait for the other.

    The connection has the options of the application's.
    """
    project = _slow(tmp_path, SLOW + THREAD)
    project.file("conftest.py", AUTOCOMMIT)
    project.chain(
        (f"assert op.get_bind().get_execution_options()['isolation_level'] == 'AUTOCOMMIT'\n{USERS[0]}", "pass")
    )
    outcome = project.pytest("-k", "two_at_once", "--safeops-url", "sqlite:///empty.sqlite")
    assert "Both had read the version before" in outcome.output, outcome.output
    assert len(set((tmp_path / "loaded_by").read_text().split())) == 4


NO_SCRIPT = """
from alembic import context

connection = None if context.is_offline_mode() else context.config.attributes["connection"]
context.configure(connection=connection, dialect_name=connection.dialect.name)
with context.begin_transaction():
    context.run_migrations()
"""


def test_an_env_py_that_needs_a_connection_for_sql_too(tmp_path: Path) -> None:
    project = project_in(tmp_path, "sqlite:///own.sqlite", env=NO_SCRIPT)
    project.chain(USERS)
    outcome = project.pytest("-k", "offline", "--safeops-url", "sqlite:///empty.sqlite")
    assert "env.py fails under --sql: AttributeError" in outcome.output
    assert 'pytest --safeops -m "not offline"' in outcome.output


@pytest.mark.parametrize("template", ["generic", "async", "pyproject", "pyproject_async"])
def test_a_project_as_alembic_makes_it(template: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if template not in {path.name for path in Path(Config().get_template_directory()).iterdir()}:
        pytest.skip("this version of Alembic does not have it")
    driver = "sqlite+aiosqlite" if "async" in template else "sqlite"
    command.init(Config("alembic.ini", toml_file="pyproject.toml"), "migrations", template=template)
    ini = tmp_path / "alembic.ini"
    ini.write_text(ini.read_text().replace("driver://user:pass@localhost/dbname", f"{driver}:///own.sqlite"))
    project = TeamProject(tmp_path)
    project.chain(USERS, EMAIL)
    outcome = project.pytest(*CHECKED)
    assert (outcome.status, outcome["passed"]) == (0, 4), outcome.output
    assert not (tmp_path / "own.sqlite").exists()


# Fixtures of a team ---------------------------------------------------------------------------------------------


def test_fixtures_of_a_team_replace_those_of_the_kit(tmp_path: Path) -> None:
    project = project_in(tmp_path, "sqlite:///own.sqlite")
    project.chain(USERS, EMAIL)
    project.file(
        "conftest.py",
        """
        import pytest
        import sqlalchemy as sa
        from alembic.config import Config


        @pytest.fixture(scope="session")
        def safeops_config():
            return Config("alembic.ini")


        @pytest.fixture(scope="session")
        def safeops_url(tmp_path_factory):
            return f"sqlite:///{tmp_path_factory.mktemp('db')}/empty.sqlite"


        @pytest.fixture(scope="session")
        def safeops_rows():
            def insert(connection, revision):
                if revision == "0002":
                    connection.execute(sa.text("INSERT INTO users (id, name) VALUES (7, 'Ada')"))

            return insert
        """,
    )
    project.file(
        "tests/test_emails.py",
        """
        def test_emails(migrated_to, rows):
            database = migrated_to("0001")
            assert rows(database, "users") == [{"id": 7, "name": "Ada"}]
            rows.insert(database, "users", {"id": 8, "name": "Grace"})
            database.upgrade("0002")
            assert rows(database, "users")[-1] == {"id": 8, "name": "Grace", "email": None}
            with database.another() as other:
                assert len(rows(other, "users")) == 1
            database.downgrade()
            assert len(rows(database, "users")) == 2
        """,
    )
    outcome = project.pytest(*CHECKED, "tests", "alembic.ini")
    assert (outcome.status, outcome["passed"]) == (0, 4), outcome.output
    outcome = project.pytest("tests/test_emails.py::test_emails")
    assert (outcome.status, outcome["passed"]) == (0, 1), outcome.output


def test_tables_that_are_older_than_the_first_revision(tmp_path: Path) -> None:
    project = project_in(tmp_path, "sqlite:///own.sqlite")
    project.chain(EMAIL)
    outcome = project.pytest("-k", "up_down_up")
    assert "create them in conftest.py, as they were then:" in outcome.output
    project.file(
        "conftest.py",
        """
        import pytest
        import sqlalchemy as sa


        @pytest.fixture(scope="session")
        def safeops_older_tables():
            return lambda connection: connection.execute(sa.text("CREATE TABLE users (id INTEGER PRIMARY KEY)"))
        """,
    )
    outcome = project.pytest(*CHECKED)
    assert (outcome.status, outcome["passed"]) == (0, 2), outcome.output


def test_the_fixtures_can_be_had_without_the_option(tmp_path: Path) -> None:
    project = project_in(tmp_path, "sqlite:///own.sqlite")
    project.chain(USERS)
    project.file("conftest.py", 'pytest_plugins = ["safeops.testing.fixtures"]\n')
    project.file(
        "tests/test_users.py",
        """
        def test_users(migrated_to, rows):
            assert len(rows(migrated_to("0001"), "users")) == 10
        """,
    )
    outcome = project.pytest(safeops=False)
    assert (outcome.status, outcome["passed"]) == (0, 1), outcome.output


def test_what_was_left_out_is_noted_in_the_summary(tmp_path: Path) -> None:
    project = project_in(tmp_path, "sqlite:///own.sqlite")
    body = "for row in op.get_bind().execute(sa.text('SELECT name FROM users')):\n    int(row.name)"
    project.chain(USERS, (body, "pass"))
    outcome = project.pytest("-k", "up_down_up", "-n", "2")
    assert outcome["passed"] == 2, outcome.output
    assert "notes of safeops" in outcome.output
    assert "0002 (0002): without sample rows, because with them the upgrade ends with: ValueError" in outcome.output
