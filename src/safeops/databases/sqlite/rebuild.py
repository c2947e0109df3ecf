"""The rebuild of a table: what SQLite cannot alter is created again with an edited definition, in one transaction.

The order is that of https://www.sqlite.org/lang_altertable.html#otheralter, except that the old table is renamed first: the
new definition is then exactly the edited text. A kill leaves the old table or the new one.
"""

from __future__ import annotations

import hashlib
import logging
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from safeops.databases.sqlite.catalogue import Clause, ColumnText, TableText, parse, row_id_of
from safeops.databases.sqlite.session import Session
from safeops.databases.sqlite.spelling import folded, literal, quoted, tokens
from safeops.databases.steps import Step
from safeops.errors import SafeOpsError
from safeops.naming import Name

log = logging.getLogger("safeops")

ROW_IDS = ("rowid", "_rowid_", "oid")


@dataclass(frozen=True)
class Rebuild(Step):
    """A step that rebuilds a table.

    Args:
        table: The table, in its file.
        seen: Its definition when the step was planned.
        edit: Makes the new definition of it.
        without: The indexes that do not come back.
        referring: Other tables whose foreign keys are checked afterwards, as those of the table always are.
        natively: Statements that do the same without a rebuild, if SQLite accepts them.
        values: The new values of columns, as SQL over the old row; by name. The other columns keep theirs.
    """

    table: Name = field(default_factory=lambda: Name(""))
    seen: str = ""
    edit: Edit = str
    without: frozenset[str] = frozenset()
    referring: tuple[str, ...] = ()
    natively: tuple[str, ...] = ()
    values: tuple[tuple[str, str], ...] = ()

    def execute(self, database: Any) -> bool:
        """Rebuild the table, or do the same without that."""
        if self.natively and _done_natively(database, self):
            return True
        with (
            # Dropping the old table would delete the rows of the tables that cascade from it.
            database.pragma("foreign_keys", 0),
            # Else the renaming would be carried into views, triggers and foreign keys.
            database.pragma("legacy_alter_table", 1),
            database.transaction(),
        ):
            _Rebuilding(database, self).execute()
        return True


def _done_natively(database: Session, step: Rebuild) -> bool:
    try:
        with database.transaction():
            for sql in step.natively:
                database.run(sql)
    except sa.exc.OperationalError as error:
        if database.errors.is_lock_failure(error):
            raise
        # For example, any view in the file is already broken, even one of another table.
        log.info("SQLite cannot %s, so the table is rebuilt: %s", step.sql, error.orig)
        return False
    return True


class _Rebuilding:
    def __init__(self, database: Session, step: Rebuild) -> None:
        self.database = database
        self.step = step
        self.name = step.table.name
        self.schema = step.table.schema or "main"
        self.master = database.master(self.schema)
        self.old_name = f"safeops_rebuild_{hashlib.sha256(self.name.encode()).hexdigest()[:12]}"
        self.table, self.old = self.full(self.name), self.full(self.old_name)

    def execute(self) -> None:
        self.check_unchanged()
        orphans, counter, parts = self.orphans(), self.counter(), self.parts()
        for kind, name, _ in parts:
            if kind == "trigger":
                self.run(f"DROP TRIGGER {self.full(name)}")
        self.run(f"ALTER TABLE {self.table} RENAME TO {quoted(self.old_name)}")
        self.run(self.in_schema(self.step.edit(self.step.seen)))
        self.copy()
        self.run(f"DROP TABLE {self.old}")
        for _, _, sql in parts:
            self.run(self.in_schema(sql))
        self.set_counter(counter)
        for sql in self.step.then:
            self.run(sql)
        self.check_no_more(orphans)

    def check_unchanged(self) -> None:
        sql = self.database.scalar(f"SELECT sql FROM {self.master} WHERE type = 'table' AND name = {self.literal}")
        if sql != self.step.seen:
            raise SafeOpsError(
                f"Another connection changed table {self.name} while this migration looked at it.",
                remedy="Run one migration at a time, which migration_lock() in env.py sees to, and run again.",
            )

    def parts(self) -> list[tuple[str, str, str]]:
        """Return kind, name and definition of the table's indexes and triggers."""
        sql = f"""SELECT type, name, sql FROM {self.master} WHERE type IN ('index', 'trigger') AND sql IS NOT NULL
            AND tbl_name = {self.literal} COLLATE NOCASE ORDER BY type, rowid"""
        found = [(row[0], row[1], row[2]) for row in self.database.read(sql)]
        without = set(map(folded, self.step.without))
        # A trigger may have the name of an index; of the triggers only our own go.
        return [
            part for part in found if folded(part[1]) not in without or (part[0] == "trigger" and not _is_ours(part[1]))
        ]

    def copy(self) -> None:
        """Copy all rows with their row ids, despite any ON CONFLICT clause; another number of rows is an error."""
        given = {quoted(name): value for name, value in self.step.values}
        taken = {**{column: column for column in self.columns()}, **given}
        targets, values = ", ".join(taken), ", ".join(taken.values())
        self.run(f"INSERT OR ABORT INTO {self.table} ({targets}) SELECT {values} FROM {self.old}")
        old, new = (self.database.scalar(f"SELECT count(*) FROM {table}") for table in (self.old, self.table))
        if old != new:
            raise self.violation(f"{old} rows became {new}")

    def columns(self) -> Iterator[str]:
        old, new = (self.database.infos(Name(table, self.schema)) for table in (self.old_name, self.name))
        stored = {folded(info[1]) for info in new if info[6] == 0}
        text = parse(self.step.edit(self.step.seen))
        taken = {folded(info[1]) for info in (*old, *new)}
        row_ids = [row_id for row_id in ROW_IDS if row_id not in taken]
        if row_ids and "WITHOUT" not in text.options.upper() and row_id_of(text, new) is None:
            yield row_ids[0]
        yield from (quoted(column[1]) for column in old if column[6] == 0 and folded(column[1]) in stored)

    def counter(self) -> int | None:
        """Return the counter of AUTOINCREMENT."""
        if not self.database.scalar(f"SELECT 1 FROM {self.master} WHERE name = 'sqlite_sequence'"):
            return None
        counter = self.database.scalar(f"SELECT seq FROM {self.full('sqlite_sequence')} WHERE name = {self.literal}")
        return None if counter is None else int(counter)

    def set_counter(self, counter: int | None) -> None:
        if counter is None or not any(clause.autoincrement for clause in parse(self.step.edit(self.step.seen)).clauses):
            return
        sequence = self.full("sqlite_sequence")
        self.run(f"DELETE FROM {sequence} WHERE name = {self.literal}")
        self.run(f"INSERT INTO {sequence} (name, seq) VALUES ({self.literal}, {counter})")

    def orphans(self) -> Counter[tuple[str, str]] | None:
        """Count the rows that break a foreign key; None if a key itself is broken, which SQLite cannot check."""
        found: Counter[tuple[str, str]] = Counter()
        for table in (self.name, *self.step.referring):
            check = f"pragma_foreign_key_check({literal(table)}, {literal(self.schema)})"
            try:
                rows = self.database.read(f'SELECT "table", parent, count(*) FROM {check} GROUP BY 1, 2')
            except sa.exc.OperationalError:
                return None
            found.update({(row[0], row[1]): row[2] for row in rows})
        return found

    def check_no_more(self, before: Counter[tuple[str, str]] | None) -> None:
        """Refuse rows that break a foreign key now and did not before."""
        now = self.orphans()
        if before is not None and (now is None or now - before):
            raise self.violation("FOREIGN KEY constraint failed")

    def violation(self, what: str) -> sa.exc.IntegrityError:
        return sa.exc.IntegrityError(self.step.sql, None, sqlite3.IntegrityError(what))

    # Spelling ---------------------------------------------------------------------------------------------------

    def run(self, sql: str) -> None:
        self.database.run(sql)

    @property
    def literal(self) -> str:
        return literal(self.name)

    def full(self, name: str) -> str:
        return f"{quoted(self.schema)}.{quoted(name)}"

    def in_schema(self, sql: str) -> str:
        """Name the schema in a definition, in which SQLite keeps none."""
        words = tokens(sql)
        place = next(number for number, token in enumerate(words) if token.word in ("TABLE", "INDEX", "TRIGGER"))
        start = words[place + 1].start
        return f"{sql[:start]}{quoted(self.schema)}.{sql[start:]}"


def _is_ours(trigger: str) -> bool:
    return folded(trigger).startswith("safeops_")


Edit = Callable[[str], str]

NOTE = " /* safeops: for the primary key */"
"""Follows a NOT NULL that a primary key brought with it: dropping the key makes the column nullable again."""


def adding_column(spec: str) -> Edit:
    """Put a column before the constraints of the table, as ALTER TABLE ADD COLUMN does."""
    return lambda sql: _inserted(sql, parse(sql).columns[-1].end, f", {spec}")


def dropping_column(name: str) -> Edit:
    """Take a column out, with the constraints of the table that are of this column alone."""

    def edit(sql: str) -> str:
        text = parse(sql)
        column = text.column(name)
        own = [constraint for constraint in text.constraints if is_of_column_alone(text, constraint, name)]
        spans = [
            _with_comma(sql, column.start, column.end),
            *(_with_comma(sql, clause.start, clause.end) for clause in own),
        ]
        return _replaced(sql, [(start, end, "") for start, end in spans])

    return edit


def adding_constraint(spec: str, not_null: Sequence[str] = ()) -> Edit:
    """Put a constraint at the end of the table, and make columns NOT NULL in the same go."""

    def edit(sql: str) -> str:
        for name in not_null:
            sql = setting_not_null(name, NOTE)(sql)
        text = parse(sql)
        end = max([text.columns[-1].end, *(clause.end for clause in text.constraints)])
        # On a separate line: SQLAlchemy reads two quoted names in one line as one.
        return _inserted(sql, end, f",\n\t{spec}")

    return edit


def dropping_clause(found: Callable[[TableText], Clause]) -> Edit:
    """Remove one constraint of the table or of a column."""

    def edit(sql: str) -> str:
        clause = found(parse(sql))
        alone = clause.column is None
        start, end = _with_comma(sql, clause.start, clause.end) if alone else _with_space(sql, clause)
        return _replaced(sql, [(start, end, "")])

    return edit


def giving_null_back(sql: str) -> str:
    """Take out what a primary key brought with it."""
    clauses = [
        clause for clause in parse(sql).clauses if clause.kind == "not null" and sql.startswith(NOTE, clause.end)
    ]
    return _replaced(sql, [(*_with_space(sql, clause), "") for clause in clauses])


def setting_not_null(name: str, note: str = "") -> Edit:
    def edit(sql: str) -> str:
        column = parse(sql).column(name)
        if column.clause("not null"):
            return sql
        return _inserted(sql, _place_after(column, "collate", "default"), f" NOT NULL{note}")

    return edit


def dropping_not_null(name: str) -> Edit:
    return _dropping(name, "not null")


def setting_default(name: str, default: str | None) -> Edit:
    def edit(sql: str) -> str:
        return _with_clause(sql, parse(sql).column(name), "default", f"DEFAULT {default}", ("collate",))

    return _dropping(name, "default") if default is None else edit


def changing_type(name: str, type_: str, collation: str | None) -> Edit:
    def edit(sql: str) -> str:
        column = parse(sql).column(name)
        space = (
            "" if column.type_start > column.start + len(column.name) and sql[column.type_start - 1].isspace() else " "
        )
        sql = _replaced(sql, [(column.type_start, column.type_end, f"{space}{type_}")])
        if collation is None:
            return _dropping(name, "collate")(sql)
        return _with_clause(sql, parse(sql).column(name), "collate", f"COLLATE {quoted(collation)}", ())

    return edit


def is_of_column_alone(text: TableText, clause: Clause, column: str) -> bool:
    """Return whether a constraint of the table names this column and no other."""
    if clause.kind == "check":
        named = {folded(token.name) for token in tokens(clause.expression or "") if token.kind in ("word", "quoted")}
        return {folded(part.name) for part in text.columns} & named == {folded(column)}
    return [folded(name) for name in clause.columns] == [folded(column)]


def _dropping(name: str, kind: str) -> Edit:
    def edit(sql: str) -> str:
        clauses = [clause for clause in parse(sql).column(name).clauses if clause.kind == kind]
        return _replaced(sql, [(*_with_space(sql, clause), "") for clause in clauses])

    return edit


def _with_clause(sql: str, column: ColumnText, kind: str, wanted: str, after: Sequence[str]) -> str:
    existing = column.clause(kind)
    if existing is not None:
        return _replaced(sql, [(existing.start, existing.end, wanted)])
    return _inserted(sql, _place_after(column, *after), f" {wanted}")


def _place_after(column: ColumnText, *kinds: str) -> int:
    """Return the place after the type and the clauses of these kinds, in which SQLAlchemy writes what comes next."""
    return max([column.type_end, *(clause.end for clause in column.clauses if clause.kind in kinds)])


def _inserted(sql: str, place: int, what: str) -> str:
    return sql[:place] + what + sql[place:]


def _replaced(sql: str, edits: Sequence[tuple[int, int, str]]) -> str:
    for start, end, what in sorted(edits, reverse=True):
        sql = sql[:start] + what + sql[end:]
    return sql


def _with_space(sql: str, clause: Clause) -> tuple[int, int]:
    end = clause.end + len(NOTE) if sql.startswith(NOTE, clause.end) else clause.end
    return len(sql[: clause.start].rstrip()), end


def _with_comma(sql: str, start: int, end: int) -> tuple[int, int]:
    """Widen a place to the comma before it, or for the first one to what comes next."""
    before = [token for token in tokens(sql) if token.end <= start][-1]
    if before.text == ",":
        return before.start, end
    if before.text != "(":
        return before.end, end
    behind = [token for token in tokens(sql) if token.start >= end]
    return start, behind[1].start
