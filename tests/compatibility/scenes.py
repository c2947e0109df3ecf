"""What a release may have left in a database when the next one is installed: one scene for each.

The release that begins a scene may be an older one, in its own process: only what each release has is used here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from tests.compatibility.stops import Call, Killed, half, run
from tests.servers import Database

from safeops import (
    ColumnRename,
    TableRename,
    TypeChange,
    add_required_column,
    assured,
    backfill,
    create_check_constraint_if_missing,
    create_foreign_key_if_missing,
    create_index_if_missing,
    create_primary_key_if_missing,
    drop_archives,
    drop_column_if_exists,
    drop_constraint_if_exists,
    drop_table_if_exists,
    enforce_not_null,
    forget_backfill,
    reads,
    restore_column,
    restore_table,
)

TABLE = (
    "CREATE TABLE {table} (id int NOT NULL PRIMARY KEY, a varchar(20) DEFAULT 'none', b varchar(20), n int)",
    "CREATE INDEX ix_{table} ON {table} (a, b)",
    "INSERT INTO {table} VALUES (1, 'one', '10', 1), (2, 'it''s', '20', 2), (3, NULL, NULL, 3)",
)
ALONE = TABLE[0], TABLE[1].replace("(a, b)", "(a)"), TABLE[2]
NO_KEY = "CREATE TABLE {table} (id int, a varchar(20), b varchar(20), n int)", TABLE[2]
CHILD = "CREATE TABLE {table}_child (id int PRIMARY KEY, parent int)", "INSERT INTO {table}_child VALUES (1, 1)"
PARTED = (
    "CREATE TABLE {table} (id int NOT NULL, a varchar(20), n int DEFAULT 1, PRIMARY KEY (id, n)) PARTITION BY LIST (n)",
    "CREATE TABLE {table}_1 PARTITION OF {table} FOR VALUES IN (1)",
    "INSERT INTO {table} VALUES (1, 'one', 1), (2, 'two', 1)",
    "CREATE TABLE {table}_child (id int PRIMARY KEY, parent int, n int,"
    " CONSTRAINT fk FOREIGN KEY (parent, n) REFERENCES {table} (id, n))",
    "INSERT INTO {table}_child VALUES (1, 1, 1)",
    "COMMENT ON CONSTRAINT fk ON {table}_child IS 'which one'",
)
NOTHING = "SELECT 1"
LONG = "a_table_of_so_long_a_name_that_what_is_named_after_it_is_cut"
A = "INSERT INTO {table} (id, a) VALUES (4, 'four'); UPDATE {table} SET a = 'eins' WHERE id = 1"
B = "INSERT INTO {table} (id, b) VALUES (4, '40'); UPDATE {table} SET b = '11' WHERE id = 1"
NUMBER = "INSERT INTO {table} (id, b) VALUES (4, 40); UPDATE {table} SET b = 11 WHERE id = 1"
C = "INSERT INTO {table} (id, c) VALUES (4, 'four'); UPDATE {table} SET c = 'eins' WHERE id = 1"


@dataclass(frozen=True)
class Scene:
    """A change that one release begins and another one ends.

    Args:
        table: Its table.
        begun: What the release that began it has done.
        ended: What the next one does.
        writes: What an application writes in between.
        sql: What makes the table.
        recent: The first release that could begin it came after 0a3dd99.
    """

    table: str
    begun: Sequence[Call | Killed]
    ended: Sequence[Call | Killed]
    writes: str = A
    sql: Sequence[str] = TABLE
    recent: bool = False

    def begin(self, database: Database, *, recent: bool = True) -> None:
        database.execute(*(one.format(table=self.table) for one in self.sql))
        for call in self.begun if recent or not self.recent else ():
            run(database, call)

    def end(self, database: Database) -> None:
        database.execute(*self.writes.format(table=self.table).split("; "))
        for call in self.ended:
            run(database, call)


def scenes(database: Database) -> list[Scene]:
    """The scenes of a server, always in the same order."""
    own: dict[str, Callable[[Database], list[Scene]]] = {
        "postgresql": of_postgresql,
        "mysql": of_mysql,
        "sqlite": lambda _: [],
    }
    found = [*renames(database), *type_changes(database), *archives(), *required_columns(), *backfills(database)]
    tables = table_renames() if database.kind != "sqlite" else []
    return [*found, *tables, *keys(), *own[database.kind](database), *let_go()]


def rich(database: Database, further: str = "") -> list[str]:
    """A table whose column b has all that depends on it."""
    # MariaDB and MySQL copy a table for a check.
    check = ", CONSTRAINT ck_{table} CHECK (b <> '0')" if database.kind != "mysql" else ""
    return [
        "CREATE TABLE {table}_code (code varchar(20) NOT NULL PRIMARY KEY)",
        "INSERT INTO {table}_code VALUES ('7'), ('10'), ('11'), ('40')",
        "CREATE TABLE {table} (id int NOT NULL PRIMARY KEY, a varchar(20), b varchar(20) DEFAULT '7' NOT NULL, n int,"
        f" CONSTRAINT uq_{{table}} UNIQUE (b){check}{further})",
        "INSERT INTO {table} VALUES (1, 'one', '7', 1), (2, 'two', '10', 2)",
    ]


# --- changes over several deploys ----------------------------------------------------------------------------------


def renames(database: Database) -> list[Scene]:
    tables = ("renamed", "unwanted", "contracted", "half", "half_unwanted")
    one, unwanted, contracted, filled, half_unwanted = (ColumnRename(table, "a", "c") for table in tables)
    # A dump of MariaDB or MySQL has its triggers in comments, which such a name ends.
    end = "" if database.kind == "mysql" else "*/ "
    long, full, left = ColumnRename(LONG, "a", "c"), ColumnRename("rich", "b", "c"), ColumnRename("rich_left", "b", "c")
    tied = ", CONSTRAINT fk_{table} FOREIGN KEY (b) REFERENCES {table}_code (code)"
    hostile = ColumnRename("hostile", "a", f"the 'new' {end}a = 100%")
    return [
        Scene("renamed", [one.expand], [one.expand, one.contract]),
        Scene("unwanted", [unwanted.expand], [unwanted.undo_expand]),
        Scene(
            "contracted",
            [contracted.expand, contracted.contract],
            [contracted.undo_contract, contracted.undo_expand],
            C,
        ),
        Scene("half", [half(filled.expand)], [filled.expand, filled.contract]),
        Scene("half_unwanted", [half(half_unwanted.expand)], [half_unwanted.undo_expand]),
        Scene("hostile", [hostile.expand], [hostile.contract]),
        Scene(LONG, [long.expand], [long.contract]),
        Scene("rich", [full.expand], [full.contract], B, rich(database, tied)),
        Scene("rich_left", [half(left.expand)], [left.undo_expand], B, rich(database, tied)),
    ]


def type_change(database: Database, table: str) -> TypeChange:
    number, text = {
        "postgresql": ("INTEGER", "CAST(b / 2 AS VARCHAR(20))"),
        "mysql": ("SIGNED", "CAST(b DIV 2 AS CHAR(20))"),
        "sqlite": ("INTEGER", "CAST(b / 2 AS TEXT)"),
    }[database.kind]
    using = f"CAST(b AS {number}) /* of b; and: 'so' */ * 2"
    return TypeChange(table, "b", sa.Integer(), using=using, reverse_using=text)


def type_changes(database: Database) -> list[Scene]:
    full, there_and_back = (TypeChange(table, "b", sa.Integer()) for table in ("rich_paired", "rich_switched"))
    tables = ("paired", "taken_back", "switched", "kept", "finished", "half_paired")
    paired, back, switched, kept, finished, filled = (type_change(database, table) for table in tables)
    return [
        Scene("paired", [paired.expand], [paired.switch, paired.contract], B),
        Scene("taken_back", [back.expand], [back.undo_expand], B),
        Scene("switched", [switched.expand, switched.switch], [switched.undo_switch, switched.undo_expand], NUMBER),
        Scene("kept", [kept.expand, kept.switch], [kept.contract], NUMBER),
        Scene(
            "finished",
            [finished.expand, finished.switch, finished.contract],
            [finished.undo_contract, finished.undo_switch, finished.undo_expand],
            NUMBER,
        ),
        Scene("rich_paired", [full.expand], [full.switch, full.contract], B, rich(database)),
        Scene(
            "rich_switched",
            [there_and_back.expand, there_and_back.switch],
            [there_and_back.undo_switch, there_and_back.switch, there_and_back.contract],
            NUMBER,
            rich(database),
        ),
        Scene("half_paired", [half(filled.expand)], [filled.expand, filled.switch, filled.contract], B),
    ]


def table_renames() -> list[Scene]:
    moved, unwanted, back = (TableRename(table, f"{table} 2") for table in ("moved", "moved_unwanted", "moved_back"))
    return [
        Scene("moved", [moved.expand], [moved.contract]),
        Scene("moved_unwanted", [unwanted.expand], [unwanted.undo_expand]),
        Scene("moved_back", [back.expand, back.contract], [back.undo_contract, back.undo_expand], NOTHING),
    ]


# --- archives ------------------------------------------------------------------------------------------------------


def archives() -> list[Scene]:
    def drop(table: str) -> Call:
        return lambda: drop_column_if_exists(table, "b", archive=True)

    def restore(table: str) -> Call:
        return lambda: restore_column(table, sa.Column("b", sa.String(20)))

    copies, puts_back = r"^INSERT INTO \S*safeops_archive_\d", r"^UPDATE .*safeops_archive_\d"
    return [
        Scene("archived", [drop("archived")], [restore("archived")], sql=ALONE),
        Scene(
            "half_archived",
            [Killed(copies, drop("half_archived"))],
            [drop("half_archived"), restore("half_archived")],
            sql=ALONE,
        ),
        Scene(
            "half_restored",
            [drop("half_restored"), Killed(puts_back, restore("half_restored"))],
            [restore("half_restored")],
            sql=ALONE,
        ),
        Scene(
            "put_away",
            [lambda: drop_table_if_exists("put_away", archive=True)],
            [lambda: restore_table("put_away")],
            NOTHING,
        ),
    ]


def let_go() -> list[Scene]:
    """All archives go: the last scene."""
    drop = [lambda: drop_column_if_exists("let_go", "b", archive=True)]
    return [Scene("let_go", drop, [lambda: drop_archives(older_than=0)], sql=ALONE)]


# --- fills ---------------------------------------------------------------------------------------------------------


def required_columns() -> list[Scene]:
    def required(table: str, **own: Any) -> Callable[..., object]:
        column = sa.Column("r", sa.String(9), nullable=False, **own)
        populate = sa.text("coalesce(b /* it */, 'none')")
        return lambda **options: add_required_column(table, column, populate=populate, **options)

    plain, unwanted = required("required"), required("required_unwanted")
    default = required("required_default", server_default="new")
    return [
        Scene("required", [half(plain)], [plain]),
        Scene("required_default", [half(default)], [default]),
        Scene("required_unwanted", [half(unwanted)], [lambda: drop_column_if_exists("required_unwanted", "r")]),
    ]


@reads("b", writes=("b",))
def shout(rows: Sequence[Any]) -> list[dict[str, str]]:
    return [{"b": f"-{row['b']}"} for row in rows]


def backfills(database: Database) -> list[Scene]:
    def count(table: str) -> Callable[..., object]:
        return lambda **options: backfill(table, {"n": sa.text("n + 1")}, where=True, name=f"count {table}", **options)

    def function(**options: Any) -> None:
        backfill("shouted", shout, where=sa.text("b > '1'"), **options)

    def ranges(**options: Any) -> None:
        with ThreadPoolExecutor(1) as executor:
            count("ranges")(executor=executor, **options)

    number = {"postgresql": "numeric(9, 2)", "mysql": "decimal(9, 2)", "sqlite": "int"}[database.kind]
    by_three = (
        f"CREATE TABLE {{table}} (w {number}, d date, t varchar(20), n int, PRIMARY KEY (w, d, t))",
        "INSERT INTO {table} VALUES (1, '2027-01-31', 'a', 1), (1, '2027-01-31', 'it''s ä', 2), (2, '2027-02-01', 'b', 3)",
    )
    return [
        Scene("counted", [half(count("counted"))], [count("counted")], NOTHING),
        Scene("done", [count("done")], [count("done")], NOTHING),
        Scene("forgotten", [half(count("forgotten"))], [lambda: forget_backfill("count forgotten")], NOTHING),
        Scene("by_three", [half(count("by_three"))], [count("by_three")], NOTHING, by_three),
        Scene("shouted", [half(function)], [function], NOTHING),
        Scene("ranges", [half(ranges)], [ranges], NOTHING),
    ]


# --- keys and checks -----------------------------------------------------------------------------------------------


def keys() -> list[Scene]:
    def key() -> None:
        create_primary_key_if_missing("keyed_pkey", "keyed", ["id", "n"])

    def drop() -> None:
        with assured("nobody uses it"):
            drop_constraint_if_exists("keyed_pkey", "keyed", type_="primary")

    return [Scene("keyed", [key], [drop], NOTHING, NO_KEY)]


def of_postgresql(database: Database) -> list[Scene]:
    def enforce() -> None:
        enforce_not_null("enforced", "id")

    def replace() -> None:
        create_index_if_missing("ix_replaced", "replaced", ["b"], if_different="replace")

    def check() -> None:
        create_check_constraint_if_missing("ck", "checked", "n > 0")

    parent = TypeChange("parent", "id", sa.BigInteger())
    torn, parted = type_change(database, "torn"), TypeChange("parted", "id", sa.BigInteger())
    key = "ALTER TABLE {table}_child ADD CONSTRAINT fk FOREIGN KEY (parent) REFERENCES {table}"
    return [
        Scene("enforced", [Killed("VALIDATE", enforce)], [enforce], NOTHING, NO_KEY),
        Scene("checked", [Killed("VALIDATE", check)], [check], NOTHING),
        Scene("replaced", [Killed("RENAME|DROP INDEX", replace)], [replace], NOTHING, recent=True),
        Scene("parent", [parent.expand], [parent.switch, parent.contract], A, [*TABLE, *CHILD, key]),
        Scene(
            "parted",
            [parted.expand, Killed("VALIDATE CONSTRAINT fk(;|$)", parted.switch)],
            [parted.expand, parted.switch, parted.contract],
            A,
            PARTED,
            recent=True,
        ),
        Scene("torn", [torn.expand, Killed("RENAME", torn.switch)], [torn.switch, torn.contract], B),
    ]


def of_mysql(database: Database) -> list[Scene]:
    def key() -> None:
        create_foreign_key_if_missing("fk", "tied_child", "tied", ["parent"], ["id"])

    torn = type_change(database, "torn")
    # MariaDB exchanges the names and the triggers in one block.
    exchanged = Scene("torn", [torn.expand, Killed("^DROP TRIGGER", torn.switch)], [torn.switch, torn.contract], B)
    stopped, unwanted = (TableRename(table, f"{table} 2") for table in ("standing", "standing_unwanted"))
    return [
        Scene("tied", [Killed("^SELECT 1 .*tied_child.* LIMIT 1", key)], [key], A, [*TABLE, *CHILD]),
        *([] if database.server.product == "mariadb" else [exchanged]),
        Scene("standing", [Killed("^RENAME TABLE", stopped.expand)], [stopped.expand, stopped.contract]),
        Scene("standing_unwanted", [Killed("^RENAME TABLE", unwanted.expand)], [unwanted.undo_expand]),
    ]
