"""A family of databases is one folder: with it the helpers of a schema work, and each wing that it lacks is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext

import safeops
from safeops import databases
from safeops.databases.base import Database
from safeops.databases.ports import Port

DEEPEST = 4
MOST_NAMES = 80


@pytest.fixture
def fifth(monkeypatch, tmp_path):
    """Runs a function in a migration on a database of the fifth family."""
    monkeypatch.setattr(databases, "__path__", [*databases.__path__, str(Path(__file__).parent / "families")])
    monkeypatch.setitem(databases._CLASSES, "sqlite", ("safeops.databases.fifth", "Fifth"))
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'fifth.sqlite'}")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)")

    def run(function):
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"transaction_per_migration": True})
            with Operations.context(context), context.begin_transaction(_per_migration=True):
                return function()

    run.inspect = lambda: sa.inspect(engine)
    return run


def test_the_helpers_of_a_schema_work(fifth):
    column = lambda: sa.Column("email", sa.Text())  # noqa: E731
    assert fifth(lambda: safeops.add_column_if_missing("users", column())) is True
    assert fifth(lambda: safeops.add_column_if_missing("users", column())) is False
    assert fifth(lambda: safeops.create_index_if_missing("ix_email", "users", ["email"])) is True
    assert fifth(lambda: safeops.enforce_not_null("users", "email")) is True
    assert [index["name"] for index in fifth.inspect().get_indexes("users")] == ["ix_email"]
    assert not fifth.inspect().get_columns("users")[-1]["nullable"]
    assert fifth(lambda: safeops.drop_index_if_exists("ix_email", "users")) is True
    assert fifth(lambda: safeops.drop_column_if_exists("users", "email")) is True
    assert [found["name"] for found in fifth.inspect().get_columns("users")] == ["id", "name"]


@pytest.mark.parametrize(
    "call",
    [
        lambda: safeops.backfill("users", {"name": sa.text("'x'")}),
        lambda: safeops.add_required_column("users", sa.Column("email", sa.Text()), populate=sa.text("'x'")),
        lambda: safeops.drop_column_if_exists("users", "name", archive=True),
        lambda: safeops.ColumnRename("users", "name", "title").expand(),
        lambda: safeops.TypeChange("users", "name", sa.Integer(), using="1").expand(),
        lambda: safeops.TableRename("users", "people").expand(),
    ],
    ids=["backfill", "required column", "archive", "column rename", "type change", "table rename"],
)
def test_a_wing_that_it_lacks_is_refused(fifth, call):
    with pytest.raises(safeops.UnsupportedOnDatabase, match="this server is Fifth") as raised:
        fifth(call)
    assert "Nothing was changed" in str(raised.value)
    assert [found["name"] for found in fifth.inspect().get_columns("users")] == ["id", "name"]


def test_a_family_that_leaves_a_method_out_is_refused():
    with pytest.raises(TypeError, match="abstract"):
        type("Half", (Database,), {"family": "half", "product": "Half"})(sa.create_engine("sqlite://").dialect, None)


@pytest.mark.parametrize("kind", databases.KINDS)
def test_a_database_stays_small(kind):
    database = databases.abilities_of(kind).database
    own = [one for one in type(database).__mro__ if one.__module__.startswith("safeops.")]
    assert len(own) <= DEEPEST
    assert len([name for name in dir(database) if not name.startswith("_")]) <= MOST_NAMES


LACKS = {("sqlite", "TableRenames"), ("mysql", "Embedded"), ("mariadb", "Embedded")} | {
    (kind, "Heap") for kind in ("mysql", "mariadb", "sqlite")
}
"""The families without an implementation of a port."""


@pytest.mark.parametrize("kind", databases.KINDS)
def test_each_port_has_all_that_it_requires_of_a_family(kind):
    database = databases.abilities_of(kind).database
    for port in Port.__subclasses__():
        lacks = (kind, port.__name__) in LACKS
        assert port.serves(database) is not lacks
        assert lacks or isinstance(port.of(database), port)
