"""backfill by expressions and plain values: what it takes, and that each row gets just that."""

import datetime
import decimal
import json
import threading
import time

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import declarative_base
from tests.projects import migrate

from safeops import InvalidArgument, UnsupportedOnDatabase, backfill

pytestmark = pytest.mark.only("pg18", "mysql", "sqlite")

WORLD = (
    "CREATE TABLE teams (id integer PRIMARY KEY, title varchar(50))",
    "INSERT INTO teams VALUES (1, 'red'), (2, 'blue')",
    "CREATE TABLE users (id integer PRIMARY KEY, team_id integer, a varchar(80), b varchar(80), n integer,"
    " team varchar(50))",
    *(f"INSERT INTO users (id, team_id, a) VALUES ({i}, {i % 2 + 1}, 'a{i}')" for i in range(1, 8)),
)
Base = declarative_base()


class User(Base):
    __tablename__ = "users"
    id = sa.Column(sa.Integer, primary_key=True)
    team_id = sa.Column(sa.Integer)
    team_title = sa.Column("team", sa.String(50))


class Team(Base):
    __tablename__ = "teams"
    id = sa.Column(sa.Integer, primary_key=True)
    title = sa.Column(sa.String(50))


users, teams = (
    sa.table("users", sa.column("id"), sa.column("team_id")),
    sa.table("teams", sa.column("id"), sa.column("title")),
)


def fill(database, values, table="users", **options):
    return migrate(database, lambda: backfill(table, values, batch_size=3, **options))


EXPRESSIONS = {
    "func": sa.func.upper(sa.column("a")),
    "text": sa.text("upper(a)"),
    "text with a colon and a percent sign": sa.text(r"replace(upper(a), '%\:x', '')"),
    "of a table": sa.func.upper(sa.table("users", sa.column("a")).c.a),
    "case": sa.case((sa.column("id") > 0, sa.func.upper(sa.column("a"))), else_="no"),
    "cast": sa.func.upper(sa.cast(sa.column("a"), sa.String(50))),
    "an operator": sa.literal("A") + sa.cast(sa.column("id"), sa.String(10)),
    "coalesce": sa.func.coalesce(sa.column("b"), sa.func.upper(sa.column("a"))),
}


def test_expressions(database):
    database.execute(*WORLD)
    for what, value in EXPRESSIONS.items():
        report = fill(database, {"b": value}, name=what)
        assert database.query("SELECT b FROM users ORDER BY id") == [(f"A{i}",) for i in range(1, 8)], what
        assert (report.rows, report.remaining) == (7, 0)
        database.execute("UPDATE users SET b = NULL")


SUBQUERIES = {
    "sa.table": sa.select(teams.c.title).where(teams.c.id == users.c.team_id).scalar_subquery(),
    "Table": sa.select(Team.__table__.c.title).where(Team.__table__.c.id == User.__table__.c.team_id).scalar_subquery(),
    "ORM attributes": sa.select(Team.title).where(Team.id == User.team_id).scalar_subquery(),
    "text": sa.text("(SELECT title FROM teams WHERE teams.id = users.team_id)"),
}


@pytest.mark.smoke
def test_a_subquery_on_another_table(database):
    database.execute(*WORLD)
    for what, value in SUBQUERIES.items():
        fill(database, {"team": value}, name=what)
        found = database.query("SELECT team, count(*) FROM users GROUP BY team ORDER BY team")
        assert found == [("blue", 4), ("red", 3)], what
        database.execute("UPDATE users SET team = NULL")


def test_a_condition_of_the_orm_and_with_exists(database):
    database.execute(*WORLD)
    red = sa.exists().where(Team.id == User.team_id, Team.title == "red")
    assert fill(database, {"n": 5}, where=sa.and_(User.id > 2, red)).rows == 2
    assert database.query("SELECT id FROM users WHERE n = 5 ORDER BY id") == [(4,), (6,)]
    # It is the condition that counts, not what is filled.
    assert fill(database, {"n": 6}, where="id IN (2, 4)", name="again").remaining == 2


def test_a_condition_with_or_does_not_leave_its_batch(database):
    database.execute(*WORLD)
    fill(database, {"n": sa.func.coalesce(sa.column("n"), 0) + 1}, where="id = 1 OR id > 0")
    assert database.query("SELECT n, count(*) FROM users GROUP BY n") == [(1, 7)]


def test_another_row_of_the_same_table(database):
    database.execute(*WORLD)
    other = sa.table("users", sa.column("id"), sa.column("a")).alias("other")
    before = sa.select(other.c.a).where(other.c.id == users.c.id - 1).scalar_subquery()
    values = {"b": sa.func.coalesce(before, "first")}
    if database.server.product == "mysql":
        # The server reads no other row of the table that an UPDATE changes.
        with pytest.raises(InvalidArgument, match="refuses the values"):
            fill(database, values)
        return
    fill(database, values)
    assert database.query("SELECT b FROM users ORDER BY id") == [("first",), *((f"a{i}",) for i in range(1, 7))]


# --- plain values ----------------------------------------------------------------------------------------

MOMENT = datetime.datetime(2024, 2, 29, 13, 14, 15)
PLAIN = {
    "varchar(80)": ['it\'s "x" 100% %s %(a)s :a \\ {}', "", "😀"],
    "integer": [0, -5],
    "boolean": [True, False],
    "decimal(20,5)": [decimal.Decimal("-12345.67891")],
    "date": [MOMENT.date()],
    "timestamp": [MOMENT],
}


def test_plain_values_alone_and_together(database):
    columns = [(f"{type_}", value) for type_, values in PLAIN.items() for value in values]
    listed = ", ".join(f"c{place} {type_} NULL" for place, (type_, _) in enumerate(columns))
    database.execute(f"CREATE TABLE users (id integer PRIMARY KEY, {listed})", "INSERT INTO users (id) VALUES (1), (2)")
    values = {f"c{place}": value for place, (_, value) in enumerate(columns)}
    migrate(database, lambda: backfill("users", {"c0": values["c0"]}, where="id = 1"))
    fill(database, values)
    table = sa.Table("users", sa.MetaData(), autoload_with=database.observer())
    with database.observer().connect() as connection:
        for row in connection.execute(sa.select(table)).mappings():
            assert {name: row[name] for name in values} == values


JSON = {"a": [1, None, 1.5, 'it\'s :x % \\ "q"']}


def json_of(database, values):
    database.execute(*WORLD, "ALTER TABLE users ADD COLUMN data json")
    fill(database, values)
    return [json.loads(one) if isinstance(one, str) else one for (one,) in database.query("SELECT data FROM users")]


@pytest.mark.parametrize("more", [{}, {"n": 1}], ids=["alone", "with another"])
def test_a_dict_is_json(database, more):
    assert json_of(database, {"data": JSON, **more}) == [JSON] * 7


def test_json_by_its_type_as_the_error_advises(database):
    assert json_of(database, {"data": sa.literal([1, 2], sa.JSON())}) == [[1, 2]] * 7


@pytest.mark.only("postgresql")
def test_jsonb_and_arrays(database):
    database.execute(*WORLD, "ALTER TABLE users ADD data jsonb", "ALTER TABLE users ADD list integer[]")
    fill(database, {"data": JSON, "list": sa.cast([1, 2], sa.ARRAY(sa.Integer))})
    assert database.query("SELECT DISTINCT data, list FROM users") == [(JSON, [1, 2])]


@pytest.mark.only("postgresql")
def test_what_cannot_be_written_is_reported(database):
    database.execute(*WORLD)
    with pytest.raises(InvalidArgument, match="cannot be written as SQL"):
        fill(database, {"b": object()})


def test_none_takes_values_away(database):
    database.execute(*WORLD)
    with pytest.raises(InvalidArgument, match="where=True"):
        fill(database, {"a": None})
    assert fill(database, {"a": None}, where=True).rows == 7
    assert database.query("SELECT count(*) FROM users WHERE a IS NULL") == [(7,)]


# --- several targets -------------------------------------------------------------------------------------


def test_of_several_targets_one_that_has_a_value_keeps_it(database):
    database.execute(*WORLD, "UPDATE users SET b = 'mine' WHERE id < 4", "UPDATE users SET n = 7 WHERE id IN (2, 6)")
    fill(database, {"b": sa.func.upper(sa.column("a")), "n": sa.column("id") * 10})
    assert database.query("SELECT b, n FROM users ORDER BY id") == [
        ("mine", 10),
        ("mine", 7),
        ("mine", 30),
        ("A4", 40),
        ("A5", 50),
        ("A6", 7),
        ("A7", 70),
    ]


def test_each_value_sees_the_row_as_it_was(database):
    """MariaDB assigns from left to right by default, and MySQL always does."""
    database.execute(*WORLD, "UPDATE users SET b = 'b'")
    values = {"a": sa.column("b"), "b": sa.column("a")}
    if database.server.product == "mysql":
        with pytest.raises(UnsupportedOnDatabase, match="Fill one column after the other"):
            fill(database, values, where=True)
        return
    fill(database, values, where=True)
    assert database.query("SELECT a, b FROM users ORDER BY id") == [("b", f"a{i}") for i in range(1, 8)]


# --- tables of all sorts ---------------------------------------------------------------------------------

HOSTILE = ['we"ird', "per%cent %s", "co:lon :x", "back\\slash", "it's", "select", "Ünïcode 😀", "new\nline", "a b`c"]


@pytest.mark.only("pg18", "mysql", "sqlite")
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names(database, name):
    if database.kind == "mysql" and "😀" in name:
        name = "Ünïcode"
    q = database.quoted
    database.execute(
        f"CREATE TABLE {q(name)} ({q(name + 'k')} integer PRIMARY KEY, {q(name)} varchar(20), {q('t' + name)} varchar(20))",
        f"INSERT INTO {q(name)} ({q(name + 'k')}) VALUES (1), (2), (3), (4)",
    )
    fill(database, {name: sa.cast(sa.column(name + "k"), sa.String(9))}, table=name)

    def doubled(rows):
        return [{"t" + name: str(row[name + "k"] * 2)} for row in rows]

    fill(database, doubled, table=name, where=sa.column("t" + name).is_(None), name="f")
    assert database.query(f"SELECT {q(name)}, {q('t' + name)} FROM {q(name)} ORDER BY 1") == [
        (str(i), str(2 * i)) for i in range(1, 5)
    ]


@pytest.mark.only("postgresql", "mysql")
def test_a_table_in_another_schema(database, new_database):
    other = "other" if database.kind == "postgresql" else new_database().name
    database.execute(*WORLD)
    if database.kind == "postgresql":
        database.execute("CREATE SCHEMA other")
    database.execute(
        f"CREATE TABLE {other}.users (id integer PRIMARY KEY, a varchar(9), b varchar(9))",
        f"INSERT INTO {other}.users (id, a) VALUES (1, 'x'), (2, 'y')",
    )
    own = sa.table("users", sa.column("a"), schema=other)
    assert fill(database, {"b": sa.func.upper(own.c.a)}, schema=other).rows == 2
    assert database.query(f"SELECT b FROM {other}.users ORDER BY id") == [("X",), ("Y",)]
    assert database.query("SELECT count(b) FROM users") == [(0,)]


@pytest.mark.only("postgresql")
def test_a_partitioned_table(database):
    database.execute(
        "CREATE TABLE users (id integer, day date, b text, PRIMARY KEY (day, id)) PARTITION BY RANGE (day)",
        "CREATE TABLE u1 PARTITION OF users FOR VALUES FROM ('2024-01-01') TO ('2024-02-01')",
        "CREATE TABLE u2 PARTITION OF users FOR VALUES FROM ('2024-02-01') TO ('2025-01-01')",
        "INSERT INTO users SELECT i, date '2024-01-20' + i, NULL FROM generate_series(1, 20) i",
    )
    assert fill(database, {"b": sa.cast(sa.column("id"), sa.Text)}).rows == 20
    assert database.query("SELECT count(*) FROM users WHERE b = id::text") == [(20,)]


def test_a_generated_column_follows(database):
    database.execute(
        *WORLD[:2],
        "CREATE TABLE users (id integer PRIMARY KEY, n integer, m integer GENERATED ALWAYS AS (n * 2) STORED)",
    )
    database.execute("INSERT INTO users (id) VALUES (1), (2)")
    fill(database, {"n": sa.column("id")})
    assert database.query("SELECT m FROM users ORDER BY id") == [(2,), (4,)]


TRIGGERS = {
    "postgresql": (
        "CREATE FUNCTION seen() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN INSERT INTO seen VALUES (NEW.id); RETURN NEW; END $$",
        "CREATE TRIGGER seen AFTER UPDATE ON users FOR EACH ROW EXECUTE FUNCTION seen()",
    ),
    "mysql": ("CREATE TRIGGER seen AFTER UPDATE ON users FOR EACH ROW INSERT INTO seen VALUES (NEW.id)",),
    "sqlite": ("CREATE TRIGGER seen AFTER UPDATE ON users BEGIN INSERT INTO seen VALUES (NEW.id); END",),
}


def test_triggers_fire_once_a_row(database):
    database.execute(*WORLD, "CREATE TABLE seen (id integer)", *TRIGGERS[database.kind])
    fill(database, {"b": "x"})
    assert database.query("SELECT id FROM seen ORDER BY id") == [(i,) for i in range(1, 8)]


# --- the application writes in between -------------------------------------------------------------------


def test_what_the_application_has_written_is_kept(database):
    database.execute(*WORLD)

    def tell(progress):
        if progress.batches == 1:
            database.execute("UPDATE users SET b = 'mine' WHERE id IN (2, 5)")

    fill(database, {"b": "x"}, progress=tell)
    assert database.query("SELECT id FROM users WHERE b = 'mine' ORDER BY id") == [(2,), (5,)]


def by_function(rows):
    return [{"b": "x"} for _ in rows]


@pytest.mark.only("postgresql", "mysql")
@pytest.mark.parametrize("values", [{"b": "x"}, {"b": "x", "n": 1}, by_function], ids=["one", "two", "function"])
def test_a_write_that_a_batch_waits_for_is_kept(database, values):
    """The condition is checked again after the lock is acquired."""
    database.execute(*WORLD)
    where = sa.column("b").is_(None) if values is by_function else None
    holder = database.observer().connect()
    holder.exec_driver_sql("UPDATE users SET b = 'mine' WHERE id = 2")
    done = threading.Timer(0.15, holder.commit)
    done.start()
    began = time.monotonic()
    try:
        fill(database, values, where=where)
    finally:
        done.join()
        holder.close()
    assert time.monotonic() - began > 0.14
    assert database.query("SELECT id, b FROM users ORDER BY id") == [
        (i, "mine" if i == 2 else "x") for i in range(1, 8)
    ]
