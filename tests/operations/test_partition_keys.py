"""Keys of partitioned tables must contain the partition key of every level; what cannot be made leaves nothing."""

import pytest
import sqlalchemy as sa
from tests.lifecycle.harness import state
from tests.projects import migrate

from safeops import (
    DefinitionMismatch,
    DependentObjects,
    UnsafeOperation,
    UnsupportedOnDatabase,
    add_column_if_missing,
    create_exclude_constraint_if_missing,
    create_foreign_key_if_missing,
    create_index_if_missing,
    create_primary_key_if_missing,
    create_unique_constraint_if_missing,
    drop_column_if_exists,
    drop_constraint_if_exists,
    drop_index_if_exists,
)

pytestmark = pytest.mark.only("pg18", "pg14")

TWO_LEVELS = (
    'CREATE TABLE "Ev ents" (id int NOT NULL, day int NOT NULL, "Re gion" int NOT NULL, a int) PARTITION BY RANGE (day)',
    'CREATE TABLE ev_d PARTITION OF "Ev ents" DEFAULT',
    'CREATE TABLE ev_1 PARTITION OF "Ev ents" FOR VALUES FROM (0) TO (9) PARTITION BY LIST ("Re gion")',
    "CREATE TABLE ev_1a PARTITION OF ev_1 DEFAULT",
    'INSERT INTO "Ev ents" SELECT i, i, 1, i FROM generate_series(1, 20) i',
)
BY_EXPRESSION = (
    "CREATE TABLE log (id int, at int) PARTITION BY RANGE ((at / 10))",
    "CREATE TABLE log_d PARTITION OF log DEFAULT",
)
REFUSED = {
    "unique": lambda: create_unique_constraint_if_missing("uq", "Ev ents", ["id"]),
    "unique over the first level": lambda: create_unique_constraint_if_missing("uq", "Ev ents", ["id", "day"]),
    "primary key": lambda: create_primary_key_if_missing("pk", "Ev ents", ["id", "day"]),
    "unique index": lambda: create_index_if_missing("ux", "Ev ents", ["id"], unique=True),
    "unique index of an expression": lambda: create_index_if_missing(
        "ux", "Ev ents", ["id", "day", sa.text('abs("Re gion")')], unique=True
    ),
    "unique column": lambda: add_column_if_missing("Ev ents", sa.Column("b", sa.Integer, unique=True)),
    "unique indexed column": lambda: add_column_if_missing(
        "Ev ents", sa.Column("b", sa.Integer, unique=True, index=True)
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_key_without_the_partition_key_is_refused_before_anything_is_built(database, what):
    database.execute(*TWO_LEVELS)
    before = state(database)
    with pytest.raises(UnsafeOperation, match="Re gion") as caught:
        migrate(database, REFUSED[what])
    assert "Nothing was changed" in str(caught.value)
    assert state(database) == before


def test_the_code_in_the_message_is_right(database):
    database.execute(*TWO_LEVELS)
    with pytest.raises(UnsafeOperation) as caught:
        migrate(database, REFUSED["unique"])
    helper = {"create_unique_constraint_if_missing": create_unique_constraint_if_missing}
    assert migrate(database, lambda: eval(caught.value.code, helper)) is True
    assert migrate(database, lambda: drop_constraint_if_exists("uq", "Ev ents")) is True


def test_no_key_is_possible_if_the_partition_key_is_an_expression(database):
    database.execute(*BY_EXPRESSION)
    before = state(database)
    with pytest.raises(UnsafeOperation, match="expression") as caught:
        migrate(database, lambda: create_unique_constraint_if_missing("uq", "log", ["id", "at"]))
    assert state(database) == before
    assert (
        migrate(database, lambda: eval(caught.value.code, {"create_index_if_missing": create_index_if_missing})) is True
    )


def test_an_exclusion_constraint(database):
    database.execute(*TWO_LEVELS)
    before = state(database)
    error = UnsafeOperation if database.version >= (17,) else UnsupportedOnDatabase
    with pytest.raises(error):
        migrate(database, lambda: create_exclude_constraint_if_missing("ex", "Ev ents", ("a", "="), using="btree"))
    assert state(database) == before


def test_what_an_earlier_release_left_is_reverted_or_refused(database):
    database.execute(*TWO_LEVELS)
    before = state(database)
    database.execute(
        "ALTER TABLE ev_d ADD CONSTRAINT ev_d_uq UNIQUE (a)",
        "CREATE UNIQUE INDEX ev_1a_ev_1_uq ON ev_1a (a)",
    )
    with pytest.raises(DefinitionMismatch) as caught:
        migrate(database, lambda: create_unique_constraint_if_missing("uq", "Ev ents", ["day", "Re gion", "a"]))
    helper = {"drop_constraint_if_exists": drop_constraint_if_exists}
    assert migrate(database, lambda: eval(caught.value.code, helper)) is True
    assert migrate(database, lambda: eval(caught.value.code, helper)) is False
    assert state(database) == before


def test_an_interrupted_build_is_reverted(database):
    database.execute(*TWO_LEVELS, "CREATE TABLE r (id int PRIMARY KEY)", "INSERT INTO r SELECT generate_series(1, 20)")
    before = state(database)
    database.execute(
        "ALTER TABLE ev_d ADD CONSTRAINT fk FOREIGN KEY (a) REFERENCES r NOT VALID",
        'CREATE INDEX ix ON ONLY "Ev ents" (a)',
        "CREATE INDEX ev_d_ix ON ev_d (a)",
    )
    assert migrate(database, lambda: drop_index_if_exists("ix", "Ev ents")) is True
    assert migrate(database, lambda: drop_constraint_if_exists("fk", "Ev ents")) is True
    assert state(database) == before
    database.execute("CREATE INDEX ev_d_ix ON ev_d (day)")
    with pytest.raises(DefinitionMismatch):
        migrate(database, lambda: create_index_if_missing("ix", "Ev ents", ["a"]))
    assert migrate(database, lambda: create_foreign_key_if_missing("fk", "Ev ents", "r", ["a"], ["id"])) is True


def test_an_index_of_a_name_that_another_has_left_is_built_next_to_it(database):
    """An index that is renamed keeps the names of its parts."""
    database.execute(*TWO_LEVELS, "CREATE TABLE ev_d_former ()")
    create = lambda: create_index_if_missing("ix", "Ev ents", ["a"])  # noqa: E731
    assert migrate(database, create) is True
    database.execute("ALTER INDEX ix RENAME TO former")

    assert migrate(database, create) is True

    assert migrate(database, create) is False
    parts = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = '{}'::regclass ORDER BY 1"
    assert database.query(parts.format("former")) == [("ev_1_former",), ("ev_d_former_2",)]
    assert database.query(parts.format("ix")) == [("ev_1_ix",), ("ev_d_ix",)]
    assert database.query("SELECT bool_and(indisvalid) FROM pg_index") == [(True,)]


def test_a_key_of_a_name_that_another_has_left_is_built_next_to_it(database):
    """The server would build the part that is missing under its strongest lock, with a generated name."""
    database.execute(*TWO_LEVELS)
    create = lambda: create_unique_constraint_if_missing("uq", "Ev ents", ["id", "day", "Re gion"])  # noqa: E731
    assert migrate(database, create) is True
    database.execute('ALTER TABLE "Ev ents" RENAME CONSTRAINT uq TO former')

    assert migrate(database, create) is True

    assert migrate(database, create) is False
    parts = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = '{}'::regclass ORDER BY 1"
    assert database.query(parts.format("former")) == [("ev_1_former",), ("ev_d_former",)]
    assert database.query(parts.format("uq")) == [("ev_1_uq",), ("ev_d_uq",)]


@pytest.mark.parametrize(("table", "column"), [("Ev ents", "day"), ("Ev ents", "Re gion"), ("log", "at")])
def test_a_column_of_a_partition_key_is_not_dropped(database, table, column):
    database.execute(*TWO_LEVELS, *BY_EXPRESSION)
    before = state(database)
    with pytest.raises(DependentObjects, match="partition key"):
        migrate(database, lambda: drop_column_if_exists(table, column))
    assert state(database) == before
