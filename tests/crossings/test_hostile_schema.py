"""What safeops runs and leaves in a PostgreSQL database calls nothing of a schema that a search_path finds first.

A role that may create in one schema of a search_path can put a function, an operator or a type there that is a better match
than the server's own. It would run as the migration, and later as each writer.
"""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa

from safeops import (
    ColumnRename,
    TableRename,
    TypeChange,
    add_required_column,
    backfill,
    create_check_constraint_if_missing,
    create_unique_constraint_if_missing,
    drop_column_if_exists,
    restore_column,
)
from safeops.databases import sqltext
from tests.projects import migrate, render, run_sql
from tests.servers import Database
from tests.whole import one_in

pytestmark = pytest.mark.only("postgresql")

TYPES = ("integer", "bigint", "smallint", "text", "varchar", "name", "boolean", "numeric", "record")
# Not varchar, for which the server has no operators: Alembic itself would call that for its version table.
OPERANDS = [one for one in TYPES if one != "varchar"]
# Operators and functions that the server does not have for these types, which makes them better matches in the catalogue.
MIXED = [("oid", "smallint"), ("oid", "integer"), ("oid", "bigint"), ("oid", "regclass"), ("smallint", "integer")]
BETTER = [("quote_ident", "name"), ("to_regclass", "varchar"), ("format_type", "oid, bigint"), ("lower", "name")]
CALLED = "BEGIN PERFORM pg_catalog.nextval('evil.calls'::pg_catalog.regclass); RETURN {}; END"


def _function(name: str, arguments: str, returns: str, value: str) -> str:
    head = f"CREATE FUNCTION evil.{name}({arguments}) RETURNS pg_catalog.{returns} LANGUAGE plpgsql"
    return f"{head} AS $${CALLED.format(value)}$$"


def _hostile() -> list[str]:
    """A schema in which all that our triggers could use means something else."""
    made = ["CREATE SCHEMA evil", "CREATE SEQUENCE evil.calls"]
    made += [_function("num_nulls", f"{one}", "int4", "1") for one in TYPES if one != "record"]
    made += [_function("record_image_eq", "record, record", "bool", "true")]
    for one in OPERANDS:
        made.append(_function(f"eq_{one}", f"{one}, {one}", "bool", "true"))
        made += [
            f"CREATE OPERATOR evil.{sign} (FUNCTION = evil.eq_{one}, LEFTARG = {one}, RIGHTARG = {one})"
            for sign in ("=", "<>", "<", ">", "<=", ">=")
        ]
    for one, other in MIXED:
        sign = "&" if other == "integer" and one == "smallint" else "="
        made.append(_function(f"eq_{one}_{other}", f"{one}, {other}", "bool" if sign == "=" else "int4", "1"))
        made.append(
            f"CREATE OPERATOR evil.{sign} (FUNCTION = evil.eq_{one}_{other}, LEFTARG = {one}, RIGHTARG = {other})"
        )
    made += [_function(named, arguments, "text", "'x'") for named, arguments in BETTER]
    made.append(_function("seen", "text", "bool", "true"))
    made += [f"CREATE DOMAIN evil.{one} AS pg_catalog.{one} CHECK (evil.seen(VALUE::text))" for one in ("int8", "text")]
    made.append("GRANT USAGE ON SCHEMA evil TO PUBLIC")
    return made


def prepare(database: Database) -> None:
    database.execute(
        "CREATE TABLE t (id integer PRIMARY KEY, a integer, b text DEFAULT 'none', c varchar(20) NOT NULL DEFAULT 'x')",
        "INSERT INTO t (id, a) SELECT g, g FROM generate_series(1, 5) g",
        *_hostile(),
    )


def write(database: Database, table: str = "public.t") -> None:
    """Write without an operator of the writer's own, by two kinds of search_path."""
    for path in ("evil, public", "evil, pg_catalog, public"):
        database.execute(
            f"SET LOCAL search_path = {path}",
            f"INSERT INTO {table} (id) SELECT pg_catalog.nextval('public.ids'::pg_catalog.regclass)",
            f"UPDATE {table} SET id = id",
            "SAVEPOINT one",
            f"DELETE FROM {table}",
            "ROLLBACK TO one",
        )


def run(database: Database, phase) -> None:
    """Run a phase with the hostile schema in front, and write as the application does after it."""
    with database.engine().connect() as connection:
        connection.exec_driver_sql("SET search_path = evil, public")
        connection.commit()
        migrate(database, phase, connection=connection)
    write(database)
    assert database.query("SELECT is_called FROM evil.calls") == [(False,)]


CHANGES = {
    "rename": ColumnRename("t", "a", "n", schema="public"),
    "rename with a default": ColumnRename("t", "b", "n", schema="public"),
    "type": TypeChange("t", "a", sa.Text(), schema="public"),
    "type that takes all": TypeChange("t", "a", sa.BigInteger(), schema="public"),
    "type of a text": TypeChange("t", "c", sa.Text(), using="c || ''", reverse_using="left(c, 20)", schema="public"),
}


@pytest.mark.parametrize("name", one_in(3, [*CHANGES]))
def test_no_phase_and_no_writer_calls_what_a_hostile_schema_has(database, name):
    change = CHANGES[name]
    prepare(database)
    database.execute("CREATE SEQUENCE public.ids START 100")
    phases = [change.expand, change.undo_expand, change.expand]
    phases += [] if isinstance(change, ColumnRename) else [change.switch, change.undo_switch, change.switch]
    phases += [change.contract, change.undo_contract]

    for phase in phases:
        run(database, phase)
        check_functions(database)


def test_columns_archives_backfills_and_tables_call_nothing_of_a_hostile_schema(database):
    prepare(database)
    database.execute("CREATE SEQUENCE public.ids START 100")
    column = sa.Column("r", sa.Integer)

    run(database, lambda: backfill("t", {"a": sa.column("id")}, schema="public"))
    run(database, lambda: add_required_column("t", column, populate=sa.text("7"), schema="public", keep_filled=True))
    check_functions(database)
    run(database, lambda: drop_column_if_exists("t", "b", archive=True, schema="public"))
    run(database, lambda: restore_column("t", sa.Column("b", sa.Text), schema="public"))
    run(database, lambda: create_unique_constraint_if_missing("uq", "t", ["id", "c"], schema="public"))
    run(database, lambda: create_check_constraint_if_missing("ck", "t", "c IS NOT NULL", schema="public"))
    run(database, TableRename("t", "u", schema="public").expand)


def test_a_script_leaves_the_same(database):
    prepare(database)
    database.execute("CREATE SEQUENCE public.ids START 100")

    run_sql(database, render(database, CHANGES["rename"].expand))

    check_functions(database)
    write(database)
    assert database.query("SELECT is_called FROM evil.calls") == [(False,)]


OURS = """SELECT p.proname, p.prosrc, p.proconfig FROM pg_proc p JOIN pg_trigger g ON g.tgfoid = p.oid
    WHERE starts_with(p.proname, 'safeops') AND NOT g.tgisinternal"""
# Words before a parenthesis that are not functions.
WORDS = {
    "and",
    "as",
    "begin",
    "cast",
    "conflict",
    "from",
    "if",
    "in",
    "not",
    "operator",
    "or",
    "row",
    "select",
    "then",
    "values",
    "varying",
}


def check_functions(database: Database) -> None:
    """Each function has its own search_path, and names the schema of each function and operator that it uses."""
    for name, body, settings in database.query(OURS):
        assert any(re.match("search_path=pg_catalog,", one) for one in settings or ()), name
        code = re.sub(r"/\*.*?\*/", "", body).replace(":=", ";").replace("%TYPE", "")
        # What the author wrote is found by the path.
        for author in ("c || ''", "left(c, 20)"):
            code = code.replace(author, "c")
        tokens = [text for _, text in sqltext.tokens(code)]
        for before, word, behind in zip(tokens, tokens[1:], tokens[2:], strict=False):
            calls = behind == "(" and re.match(r"\w+$", word) and word.lower() not in WORDS
            assert not calls or before == ".", (word, body)
            bare = re.match(r"[-+*/<>=~!@#%^&|`?]+$", word)
            assert not bare or (before == "." and behind == ")"), (word, body)


NOTE = (
    '"name": "safeops_t_a_n", "table": null, "source": "a", "twin": "n", "winner": "n", "type": null, "value": null,'
    ' "back": null, "default": null, "switched": false'
)
FORMER = f"""
/*safeops {{{NOTE}}}*/
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF num_nulls(NEW.n) = 0 THEN NEW.a := NEW.n; ELSE NEW.n := NEW.a; END IF;
  ELSIF NOT pg_catalog.record_image_eq(ROW(NEW.n), ROW(OLD.n)) THEN NEW.a := NEW.n;
  ELSIF NOT pg_catalog.record_image_eq(ROW(NEW.a), ROW(OLD.a)) THEN NEW.n := NEW.a;
  END IF;
  RETURN NEW;
END """


def test_a_half_done_change_of_an_earlier_release_is_finished_and_its_trigger_renewed(database):
    prepare(database)
    database.execute("CREATE SEQUENCE public.ids START 100", "ALTER TABLE t ADD COLUMN n integer")
    name = "safeops_t_a_n"
    database.execute(
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ {FORMER} $$",
        f"CREATE TRIGGER {name} BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION {name}()",
    )

    run(database, CHANGES["rename"].expand)

    check_functions(database)
    run(database, CHANGES["rename"].contract)
    assert database.query("SELECT count(n) FROM t WHERE id < 6") == [(5,)]
