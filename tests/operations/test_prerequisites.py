"""What columns are made with: domains and sequences are created with them, other types that lack are named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from tests.authoring.authored import Authored, models, statements, users
from tests.catalogue import snapshot
from tests.projects import migrate, render, run_sql
from tests.servers import Database

from safeops import (
    DefinitionMismatch,
    UnknownType,
    UnsafeOperation,
    add_column_if_missing,
    add_required_column,
    create_table_if_missing,
    drop_column_if_exists,
    drop_table_if_exists,
)

DOMAIN = postgresql.DOMAIN
# SQLAlchemy has it from 2.0.7 on.
CITEXT: Any = getattr(postgresql, "CITEXT", lambda: sa.Text())


def positive(name: str = "Pos int", **options: Any) -> Any:
    return DOMAIN(name, sa.Integer(), **{"check": "VALUE > 0", **options})


class Decorated(sa.types.TypeDecorator[int]):
    impl = positive("decorated")
    cache_ok = True


TYPES: dict[str, Callable[[], Any]] = {
    "plain": positive,
    "with all its rules": lambda: positive(not_null=True, default=sa.text("7"), constraint_name="c 'x'"),
    "in an array": lambda: postgresql.ARRAY(positive()),
    "of another one": lambda: DOMAIN("outer", positive(), check=sa.text("VALUE < 9")),
    "by a decorator": Decorated,
    "as a variant": lambda: sa.Integer().with_variant(positive(), "postgresql"),
}


@pytest.mark.only("postgresql")
@pytest.mark.parametrize("type_", TYPES.values(), ids=TYPES)
def test_a_domain_is_created_with_the_table_or_the_column(database: Database, type_: Callable[[], Any]) -> None:
    def table() -> bool:
        return create_table_if_missing("t", sa.Column("a", type_()), sa.Column("b", type_()))

    def column() -> bool:
        return add_column_if_missing("u", sa.Column("a", type_()))

    assert [migrate(database, table), migrate(database, table)] == [True, False]
    made = snapshot(database)
    migrate(database, lambda: drop_table_if_exists("t"))
    migrate(database, table)
    assert snapshot(database) == made
    migrate(database, lambda: drop_table_if_exists("t"))
    database.execute("CREATE TABLE u (id integer)", 'DROP DOMAIN IF EXISTS "outer", "Pos int", decorated')
    assert [migrate(database, column), migrate(database, column)] == [True, False]
    migrate(database, lambda: drop_column_if_exists("u", "a"))
    assert migrate(database, column)


@pytest.mark.only("postgresql")
def test_a_domain_of_a_schema_and_one_that_the_script_creates(database: Database) -> None:
    database.execute('CREATE SCHEMA "Odd s"')

    def up() -> bool:
        return create_table_if_missing("t", sa.Column("a", positive(schema="Odd s")), schema="Odd s")

    script = render(database, up)
    for _ in range(2):
        run_sql(database, script)
    assert migrate(database, up) is False


@pytest.mark.only("postgresql")
def test_a_domain_of_other_rules_is_a_difference(database: Database) -> None:
    database.execute('CREATE DOMAIN "Pos int" AS integer CHECK (VALUE > 1)')
    with pytest.raises(DefinitionMismatch, match=r"integer CHECK \(VALUE > 1\)") as refusal:
        migrate(database, lambda: create_table_if_missing("t", sa.Column("a", positive())))
    as_it_is = eval(refusal.value.code, {"postgresql": postgresql, "sa": sa})
    assert migrate(database, lambda: create_table_if_missing("t", sa.Column("a", as_it_is)))


@pytest.mark.only("postgresql")
def test_rules_of_a_domain_that_is_missing_are_refused_before_it_is_created(database: Database) -> None:
    database.execute("CREATE TABLE t (id integer PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    with pytest.raises(UnsafeOperation, match="domain"):
        migrate(database, lambda: add_column_if_missing("t", sa.Column("a", positive())))
    with pytest.raises(UnsafeOperation, match="domain"):
        migrate(database, lambda: add_required_column("t", sa.Column("a", positive()), populate=3))
    assert sa.inspect(database.observer()).get_domains() == []
    plain = DOMAIN("plain", sa.Integer())
    assert migrate(database, lambda: add_required_column("t", sa.Column("a", plain), populate=3))


class Composite(sa.types.UserDefinedType[Any]):
    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **_: Any) -> str:
        return self.name


UNKNOWN = {
    "composite": (Composite("addr(3)"), "CREATE TYPE addr AS (...)"),
    "extension": (CITEXT(), "CREATE EXTENSION IF NOT EXISTS citext"),
    "domain": (positive("p", create_type=False), "CREATE DOMAIN p AS INTEGER CHECK (VALUE > 0)"),
    "of a domain": (DOMAIN("mail", CITEXT()), "CREATE EXTENSION IF NOT EXISTS citext"),
    "range": (postgresql.ARRAY(Composite("float_range")), "CREATE TYPE float_range AS (...)"),
}


@pytest.mark.only("postgresql")
@pytest.mark.parametrize(("type_", "code"), UNKNOWN.values(), ids=UNKNOWN)
def test_another_type_that_is_missing_is_named_with_what_creates_it(database: Database, type_: Any, code: str) -> None:
    database.execute("CREATE TABLE u (id integer)")
    enum = sa.Column("e", sa.Enum("a", name="e"))
    calls = [
        lambda: create_table_if_missing("t", enum._copy(), sa.Column("a", type_)),
        lambda: add_column_if_missing("u", sa.Column("a", type_)),
    ]
    for call in calls:
        with pytest.raises(UnknownType) as refusal:
            migrate(database, call)
        assert refusal.value.code == f'op.execute("{code}")'
    assert sa.inspect(database.observer()).get_enums() == []


@pytest.mark.only("postgresql")
def test_what_a_type_of_the_project_writes_is_left_to_the_server(database: Database) -> None:
    columns = [
        sa.Column(f"c{at}", Composite(text)) for at, text in enumerate(("bigserial", "text DEFAULT 'x'", "int4"))
    ]
    assert migrate(database, lambda: create_table_if_missing("t", *columns))


# Sequences ------------------------------------------------------------------------------------------------------


def numbered() -> list[sa.Column[Any]]:
    first, second = sa.Sequence("S q", start=5), sa.Sequence("other")
    by_server = sa.Column("b", sa.Integer, server_default=second.next_value())
    return [sa.Column("a", sa.Integer, first, primary_key=True), by_server]


@pytest.mark.only("postgresql", "mariadb")
def test_the_sequence_of_a_default_is_created_with_the_table(database: Database) -> None:
    def up() -> bool:
        return create_table_if_missing("t", *numbered())

    assert [migrate(database, up), migrate(database, up)] == [True, False]
    database.execute("INSERT INTO t (a) VALUES (1)")
    assert database.query("SELECT b FROM t") == [(1,)]
    assert sorted(sa.inspect(database.observer()).get_sequence_names()) == ["S q", "other"]
    assert migrate(database, lambda: drop_table_if_exists("t"))
    run_sql(database, render(database, up))
    assert migrate(database, up) is False


@pytest.mark.only("postgresql")
def test_the_sequence_of_a_column(database: Database) -> None:
    database.execute("CREATE TABLE t (id integer)")

    def up() -> bool:
        return add_column_if_missing("t", numbered()[1])

    assert [migrate(database, up), migrate(database, up)] == [True, False]


# Autogenerate -----------------------------------------------------------------------------------------------------


@pytest.mark.only("postgresql")
def test_autogenerate_writes_a_domain_with_its_rules(database: Database, tmp_path: Path) -> None:
    authored = Authored(tmp_path, database, compare_type=True)
    first = positive(not_null=True, default=sa.text("7"))
    authored.there_and_back(models(users(sa.Column("a", first), sa.Column("l", sa.ARRAY(positive("el"))))))
    mail = sa.Column("mail", DOMAIN("mail", sa.String(9), check=sa.text(r"VALUE LIKE '%@\:x%'")))
    text = authored.there_and_back(models(users(sa.Column("a", first), sa.Column("l", sa.ARRAY(positive("el"))), mail)))
    assert "check=" in statements(text)[0]
    checks = {one["name"]: one["constraints"] for one in sa.inspect(database.observer()).get_domains()}
    assert "@:x" in str(checks["mail"])
