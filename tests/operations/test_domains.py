"""Columns of a domain (PostgreSQL): a type with constraints, which the server checks on every row, and a default."""

import alembic.op
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import DOMAIN
from tests.operations.shape import Expect, assert_refused
from tests.projects import migrate, render

from safeops import (
    OnlineOnly,
    UnsafeOperation,
    add_column_if_missing,
    add_required_column,
    alter_column_type,
    create_check_constraint_if_missing,
    drop_column_if_exists,
    enforce_not_null,
    restore_column,
)

pytestmark = [pytest.mark.only("pg18", "pg14"), pytest.mark.every_postgresql]

DOMAINS = (
    'CREATE DOMAIN "Above 0" AS integer CHECK (value > 0)',
    'CREATE DOMAIN inner_one AS "Above 0" CHECK (VALUE <> 7)',
    "CREATE DOMAIN given AS integer NOT NULL DEFAULT 1",
    "CREATE DOMAIN five AS integer DEFAULT 5",
    "CREATE DOMAIN token AS uuid DEFAULT gen_random_uuid()",
    'CREATE TYPE pair AS (one integer, other "Above 0")',
    'CREATE TABLE t (id integer PRIMARY KEY, "N" integer)',
)
ROWS = "INSERT INTO t SELECT n FROM generate_series(1, 3) n"


class Named(sa.types.UserDefinedType):
    """A type that SQLAlchemy knows by its name alone."""

    cache_ok = True

    def __init__(self, name):
        self.name = name

    def get_col_spec(self, **kw):
        return self.name


def domain(name, of=sa.Integer):
    return DOMAIN(name, of(), create_type=False)


def node(database):
    return database.query("SELECT pg_relation_filenode('t')")


@pytest.mark.parametrize(
    ("type_", "words"),
    [
        (domain("Above 0"), ["domain with constraints", "integer", 'create_check_constraint_if_missing("ck_t_d"']),
        (Named("inner_one"), ["(d > 0) AND (", "d", "<> 7)"]),
        (domain("given"), ['enforce_not_null("t", "d")']),
        (Named("token"), ["differ from row to row", "add_required_column"]),
    ],
    ids=str,
)
def test_a_domain_that_rewrites_is_refused(database, type_, words):
    database.execute(*DOMAINS, ROWS)
    calls = [
        lambda: add_column_if_missing("t", sa.Column("d", type_)),
        *([] if "differ" in words[0] else [lambda: add_required_column("t", sa.Column("d", type_), populate=3)]),
    ]
    assert_refused(database, [Expect(call, words, UnsafeOperation) for call in calls])


def test_a_domain_with_the_name_of_a_type_of_the_server_is_found_if_its_schema_comes_first(database):
    database.execute(*DOMAINS, ROWS, "CREATE DOMAIN date AS pg_catalog.date NOT NULL DEFAULT now()")

    def body():
        assert add_column_if_missing("t", sa.Column("d", sa.Date))
        alembic.op.execute("SET search_path TO public, pg_catalog")
        return add_column_if_missing("t", sa.Column("e", sa.Date))

    with pytest.raises(UnsafeOperation, match="domain with constraints"):
        migrate(database, body)
    assert database.query("SELECT d FROM t WHERE d IS NULL LIMIT 1") == [(None,)]


def test_what_the_refusal_writes_runs(database):
    database.execute(*DOMAINS, ROWS)
    assert migrate(database, lambda: add_required_column("t", sa.Column("d", sa.Integer), populate=3)).rows == 3
    assert migrate(database, lambda: create_check_constraint_if_missing("ck_t_d", "t", "(d > 0) AND (d <> 7)"))
    assert migrate(database, lambda: enforce_not_null("t", "d")) is False


@pytest.mark.parametrize("type_", [domain("five"), Named('"Above 0"[]'), Named("pair")], ids=str)
def test_what_rewrites_nothing_passes(database, type_):
    database.execute(*DOMAINS, ROWS)
    before = node(database)
    assert migrate(database, lambda: add_column_if_missing("t", sa.Column("d", type_))) is True
    assert node(database) == before


@pytest.mark.parametrize("name", ["Above 0", "given", "token"])
def test_an_empty_table_takes_them(database, name):
    database.execute(*DOMAINS)
    assert migrate(database, lambda: add_column_if_missing("t", sa.Column("d", domain(name)))) is True
    assert migrate(database, lambda: add_required_column("t", sa.Column("e", domain(name)), populate=sa.text("NULL")))


@pytest.mark.parametrize(
    ("name", "value", "new"), [("five", 9, "5"), ("token", sa.text("'{}'::uuid".format("0" * 32)), None)]
)
def test_a_required_column_has_its_values_and_not_the_default_of_its_domain(database, name, value, new):
    database.execute(*DOMAINS, ROWS)
    before = node(database)
    with_default = sa.Column("d", domain(name))
    assert migrate(database, lambda: add_required_column("t", with_default, populate=value)).rows == 3
    assert node(database) == before
    assert len({row[0] for row in database.query("SELECT d::text FROM t")}) == 1
    database.execute("INSERT INTO t VALUES (9)")
    made = database.query("SELECT d::text FROM t WHERE id = 9")[0][0]
    assert made == new if new else made != "0" * 32


def test_a_restored_column_has_its_values_and_not_the_default_of_its_domain(database):
    database.execute(*DOMAINS, ROWS, "ALTER TABLE t ADD d five", "UPDATE t SET d = nullif(id, 2)")
    before = database.query("SELECT * FROM t ORDER BY id")
    assert migrate(database, lambda: drop_column_if_exists("t", "d", archive=True)) is True
    assert migrate(database, lambda: restore_column("t", sa.Column("d", domain("five")))) is True
    assert database.query("SELECT * FROM t ORDER BY id") == before
    database.execute("INSERT INTO t VALUES (9)")
    assert database.query("SELECT d FROM t WHERE id = 9") == [(5,)]


@pytest.mark.parametrize(("name", "words"), [("Above 0", ["assured("]), ("given", ["DROP NOT NULL", "SET NOT NULL"])])
def test_a_restored_column_of_a_domain_with_rules_is_refused(database, name, words):
    database.execute(*DOMAINS, f'ALTER TABLE t ADD d "{name}"', "INSERT INTO t (id, d) VALUES (1, 1)")
    migrate(database, lambda: drop_column_if_exists("t", "d", archive=True))
    assert_refused(
        database, [Expect(lambda: restore_column("t", sa.Column("d", domain(name))), words, UnsafeOperation)]
    )


def test_a_type_that_is_a_domain(database):
    database.execute(*DOMAINS, ROWS)
    change = lambda: alter_column_type("t", "N", domain("inner_one"))  # noqa: E731
    assert_refused(database, [Expect(change, ["rewrites", '("N" > 0) AND '], UnsafeOperation)])
    database.execute("TRUNCATE t")
    assert [migrate(database, change), migrate(database, change)] == [True, False]


@pytest.mark.parametrize("type_", [sa.ARRAY(sa.String(10)), sa.ARRAY(sa.Text)], ids=str)
def test_an_array_is_rewritten_although_its_element_would_not_be(database, type_):
    database.execute("CREATE TABLE t (id integer PRIMARY KEY, a varchar(5)[])", "INSERT INTO t VALUES (1, '{x}')")
    change = lambda: alter_column_type("t", "a", type_)  # noqa: E731
    assert_refused(database, [Expect(change, ["rewrites", "TypeChange"], UnsafeOperation)])
    database.execute("TRUNCATE t")
    assert [migrate(database, change), migrate(database, change)] == [True, False]


def test_a_partition_is_inspected_too(database):
    database.execute(
        "CREATE TABLE t (id integer, day date, a varchar(5), b varchar(5)) PARTITION BY RANGE (day)",
        'CREATE TABLE "T 1" PARTITION OF t DEFAULT PARTITION BY LIST (id)',
        'CREATE TABLE t_1_1 PARTITION OF "T 1" DEFAULT',
        "ALTER TABLE t_1_1 ADD CONSTRAINT ck_a CHECK (a <> 'z')",
        "CREATE INDEX ix_b ON t_1_1 ((b || ''))",
        "INSERT INTO t VALUES (1, now(), 'x', 'y')",
    )
    changes = [lambda: alter_column_type("t", "a", sa.String(9))]
    assert_refused(database, [Expect(one, ["ck_a", "t_1_1"], UnsafeOperation) for one in changes])


def test_a_missing_conversion_is_reported_on_an_empty_table_too(database):
    database.execute("CREATE TABLE t (id integer PRIMARY KEY, a varchar(5))")
    assert_refused(
        database,
        [
            Expect(
                lambda: alter_column_type("t", "a", sa.Integer),
                ["Could not change the type of t.a", "TypeChange"],
                UnsafeOperation,
            )
        ],
    )


def test_offline_the_domain_is_not_known(database):
    for call in (add_column_if_missing, lambda *given: add_required_column(*given, populate=1)):
        with pytest.raises(OnlineOnly, match=r"live|rows"):
            render(database, lambda: call("t", sa.Column("d", domain("five"))))  # noqa: B023
