"""The servers that the tests run on."""

import sys
from types import SimpleNamespace

import pytest
from tests.servers import Server, has_ability


def test_each_database_is_new_and_empty(new_database):
    first, second = new_database(), new_database()
    first.execute("CREATE TABLE t (id int PRIMARY KEY)")
    second.execute("CREATE TABLE t (id int PRIMARY KEY)")
    first.execute("INSERT INTO t VALUES (1)")
    assert first.query("SELECT count(*) FROM t") == [(1,)]
    assert second.query("SELECT count(*) FROM t") == [(0,)]


@pytest.mark.every_postgresql
@pytest.mark.only("postgresql")
def test_every_postgresql_starts(database, server_name):
    assert f"pg{database.version[0]}" == server_name


@pytest.mark.only("postgresql")
@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
def test_other_drivers(database, driver):
    with database.with_driver(driver).engine().connect() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1


@pytest.mark.only("sqlite")
def test_foreign_keys_on_request(database):
    with database.with_foreign_keys().engine().connect() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


@pytest.mark.only("pg18", "mysql")
def test_a_killed_server_recovers_all(server: Server, new_database):
    database = new_database()
    database.execute("CREATE TABLE t (id int PRIMARY KEY)")
    server.kill9()
    server.start()
    assert database.query("SELECT count(*) FROM t") == [(0,)]


@pytest.mark.only("sqlite")
def test_abilities_are_those_of_the_library(server, monkeypatch):
    asked = []

    def abilities_of(*question):
        asked.append(question)
        return SimpleNamespace(flies=False, swims=True)

    monkeypatch.setitem(sys.modules, "safeops.databases", SimpleNamespace(abilities_of=abilities_of))
    assert has_ability(server, "swims")
    assert not has_ability(server, "flies")
    assert asked[0] == ("sqlite", server.version)
    with pytest.raises(AttributeError):
        has_ability(server, "walks")
