"""Which acknowledged writes an upgrade has lost: those that an upgrade after the writes, undisturbed, does not lose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import Connection, Engine

from safeops.databases import database_on
from safeops.databases.connections import run_on_connection
from safeops.databases.definitions import Table
from safeops.databases.statements import names_in, words_of
from safeops.naming import Name
from safeops.rehearse.traffic import Loss, Replacements
from safeops.rehearse.traffic.ledger import text_of
from safeops.rehearse.traffic.losses import ALTERED, MISSING, STALE
from safeops.review.tracing import is_own
from safeops.testing.filling import tables_in
from safeops.testing.snapshots import is_now
from safeops.testing.writers import Writers

if TYPE_CHECKING:
    from safeops.testing.kit import Trial

BEHIND = "behind"
"""What is lost: a trigger would give the value, and a copy that was made before has not given it."""
Row = dict[str, Any]
Place = tuple[str, tuple[Any, ...], str]


@dataclass(frozen=True)
class Lost:
    """An acknowledged write that is lost.

    Args:
        loss: What the table has instead.
        written: The column that was written, if it no longer exists, and its value.
        after: The last statement of the upgrade before the write; None if there was none.
        before: The next statement; None if there was none.
    """

    loss: Loss
    written: tuple[str, str | None] | None = None
    after: str | None = None
    before: str | None = None


class _Database:
    """A database after the upgrade."""

    def __init__(self, trial: Trial, writers: Writers, replacements: Replacements) -> None:
        self._trial, self._writers, self._replacements = trial, writers, replacements

    @cached_property
    def losses(self) -> tuple[Loss, ...]:
        # Without the default schema: on MariaDB and MySQL it is the database.
        names = {str(table.name): str(name) for name, table in self.tables.items()}
        found = self._writers.compare(self._trial.engine, self._replacements).losses
        return tuple(replace(loss, table=names.get(loss.table, loss.table)) for loss in found)

    @cached_property
    def tables(self) -> dict[Name, Table]:
        return tables_in(self._trial.engine)

    def rows(self, table: Name) -> list[Row]:
        def read(connection: Connection) -> list[Row]:
            database = database_on(connection)
            query = f"SELECT * FROM {database.quoted_table(table)}"
            rows = connection.execution_options(no_parameters=True).exec_driver_sql(query).mappings()
            return [{name: text_of(value) for name, value in row.items()} for row in rows]

        return run_on_connection(self._trial.engine, read)


def losses_of(trial: Trial, writers: Writers, replacements: Replacements, before: Mapping[Name, Table]) -> list[Lost]:
    """Return the acknowledged writes that are lost.

    What differs from the ledger may be what the revision does on purpose. So the same writes are repeated on two other
    databases before the upgrade: what an undisturbed upgrade makes of them is right.

    Args:
        trial: The database, after the upgrade.
        writers: The clients, which have ended.
        replacements: What the revisions rename, or give another type.
        before: The tables before the upgrade.
    """
    here = _Database(trial, writers, replacements)
    search = _Search(writers, replacements, before, here)
    has_triggers = any(map(_creates_trigger, writers.ledger.statements))
    if not (here.losses or search.gone_columns or search.gone_tables or has_triggers):
        return []
    with ExitStack() as stack:

        def undisturbed(repeat: Callable[[Engine], object]) -> _Database:
            other = stack.enter_context(trial.another())
            repeat(other.engine)
            for revision in trial.current():
                other.upgrade(revision)
            return _Database(other, writers, replacements)

        search.twins = [undisturbed(writers.repeat) for _ in range(2)]
        found = [*search.changed(), *search.stale(), *search.missing()]
        found = without_filled(found, search.twins)
        nulls = {_column(lost.loss) for lost in found if _was_null(lost.loss)}
        # The NULLs without the other values of their rows may be refused by what the upgrade adds.
        with suppress(Exception):
            if nulls:
                repeat = partial(writers.repeat_what_can_be, written=writers.nulls_of(nulls))
                found = without_filled(found, [undisturbed(repeat)])
        if has_triggers or any(lost.loss.column and lost.written is None for lost in found):
            one, other = (stack.enter_context(trial.another()) for _ in range(2))
            made = _Made(one, other, trial.current(), writers, replacements)
            found = [lost for lost in found if lost.written is not None or _place(lost.loss) not in made.places]
            found += search.behind(made.database) if has_triggers else ()
    return [_dated(one, writers) for one in found]


def _was_null(loss: Loss) -> bool:
    return bool(loss.column) and loss.expected is None and loss.found is not None


def without_filled(found: Iterable[Lost], undisturbed: Iterable[_Database]) -> list[Lost]:
    """Return what is lost without the NULLs of a column that is filled.

    An upgrade that fills it fills a NULL that is written next to it too, from the row as it is at that moment. The row may
    change after that.

    Args:
        found: What differs.
        undisturbed: What the upgrade makes of NULLs that are written before it, in rows with other values.
    """
    fills = {_column(loss) for one in undisturbed for loss in one.losses if _was_null(loss)}
    return [lost for lost in found if not (_was_null(lost.loss) and _column(lost.loss) in fills)]


def _column(loss: Loss) -> tuple[str, str]:
    return loss.table, loss.column


def _creates_trigger(sql: str) -> bool:
    words = words_of(sql)
    return words[:1] == ("CREATE",) and "TRIGGER" in words[:5] and not any(map(is_own, names_in(sql)))


def _dated(lost: Lost, writers: Writers) -> Lost:
    """Return a loss with the statements between which the write was acknowledged."""
    ledger = writers.ledger
    names = [str(traffic.table) for traffic in writers.plan.tables]
    key = tuple(map(str, lost.loss.key))
    column = lost.written[0] if lost.written is not None and lost.loss.column else lost.loss.column
    written = {
        name: moment
        for (place, row, name), moment in sorted(ledger.moments.items(), key=lambda item: item[1])
        if names[place] == lost.loss.table and tuple(map(str, row)) == key
    }
    moments = [written[name] for name in (column, "") if name in written][:1]
    if not moments:
        return lost
    sent, moment = ledger.statements, moments[0]
    if lost.loss.what == BEHIND and any(map(partial(_copies_to, column), sent[moment:])):
        # The values were copied after that: it was another write, as one to the table whose trigger gives the value.
        return lost
    after = sent[moment - 1] if moment else None
    return Lost(lost.loss, lost.written, after, sent[moment] if moment < len(sent) else None)


def _copies_to(column: str, sql: str) -> bool:
    return words_of(sql)[:1] in (("UPDATE",), ("INSERT",), ("MERGE",), ("REPLACE",)) and column in names_in(sql)


class _Made:
    """Values that the upgraded schema makes of those written, as a trigger that lower-cases a column: none of them is lost.

    A trigger that ignores what is written loses it. So on another database the rows get the values of one another.

    Args:
        one: A database before the upgrade.
        other: Another one.
        to: The revisions to upgrade to.
        writers: The clients, which have ended.
        replacements: What the revisions rename, or give another type.
    """

    def __init__(
        self, one: Trial, other: Trial, to: Sequence[str], writers: Writers, replacements: Replacements
    ) -> None:
        self.places: set[Place] = set()
        self.database = _Database(one, writers, replacements)
        for trial in (one, other):
            for revision in to:
                trial.upgrade(revision)
        # Triggers of an INSERT, and those of an UPDATE: the second time each row exists.
        for _ in range(2):
            written = writers.repeat_what_can_be(one.engine, writers.written())
            exchanged = writers.repeat_what_can_be(other.engine, writers.exchanged())
            others = {_place(loss): loss.found for loss in _Database(other, writers, replacements).losses}
            for loss in _Database(one, writers, replacements).losses:
                row = loss.table, tuple(map(str, loss.key))
                if loss.column in written.get(row, {}) and row in exchanged:
                    same = text_of(written[row][loss.column]) == text_of(exchanged[row][loss.column])
                    follows = others.get(_place(loss), loss.expected) != loss.found
                    if loss.what == ALTERED if same else follows:
                        self.places.add(_place(loss))


class _Search:
    """Looks for what is lost in one database, by two others that got the same writes before the upgrade."""

    def __init__(
        self, writers: Writers, replacements: Replacements, before: Mapping[Name, Table], here: _Database
    ) -> None:
        self.writers, self.replacements, self.before, self.here = writers, replacements, before, here
        self.twins: list[_Database] = []

    @cached_property
    def gone_columns(self) -> dict[Name, list[str]]:
        """The written columns that no longer exist, of tables in which another column may have their values."""
        found: dict[Name, list[str]] = {}
        for traffic in self.writers.plan.tables:
            table = self.here.tables.get(traffic.table)
            if table is not None:
                gone = [one.name for one in traffic.columns if one.written and self._is_gone(traffic.table, one.name)]
                if gone and set(table.columns) - {*self._always_written(traffic.table)}:
                    found[traffic.table] = gone
        return found

    @cached_property
    def gone_tables(self) -> list[Name]:
        """The written tables that no longer exist, if there are new ones."""
        gone = [one.table for one in self.writers.plan.tables if not self._is_there(one.table)]
        return list(dict.fromkeys(gone)) if self._new_tables() else []

    def _is_there(self, table: Name) -> bool:
        return any(name in self.here.tables for name in self.replacements.names_of(table))

    def _is_gone(self, table: Name, column: str) -> bool:
        names = [column, *(one.replaced_by for one in self.replacements.columns_of(table, column))]
        return not any(name in self.here.tables[table].columns for name in names)

    def _always_written(self, table: Name) -> set[str]:
        """Return the columns that each client of a table writes: the ledger has their values."""
        written = [
            {one.name for one in traffic.columns if one.written}
            for traffic in self.writers.plan.tables
            if traffic.table == table
        ]
        return set.intersection(*written)

    def _new_tables(self) -> list[Name]:
        return [name for name in self.here.tables if name not in self.before]

    # What is lost -----------------------------------------------------------------------------------------------

    def changed(self) -> Iterator[Lost]:
        """Yield what differs from the ledger, except for what the revision does to the same writes on purpose."""
        one, other = ({_place(loss): loss for loss in twin.losses} for twin in self.twins)
        for loss in self.here.losses:
            twin = one.get(_place(loss))
            varies = twin is not None and twin != other.get(_place(loss))
            if twin != loss and not (varies or is_now(loss.found)):
                yield Lost(loss)

    def stale(self) -> Iterator[Lost]:
        """Yield the values that replace those of a column that no longer exists, if they are not made of its last ones."""
        for table, gone in self.gone_columns.items():
            key = self._key(table)
            here, one, other = (
                {_keyed(key, row): row for row in each.rows(table)} for each in (self.here, *self.twins)
            )
            for (place, written_key), values in self.writers.ledger.rows.items():
                rows = [each.get(tuple(map(text_of, written_key))) for each in (here, one, other)]
                if self.writers.plan.tables[place].table == table and values and all(rows):
                    yield from self._stale(table, gone, written_key, values, rows)

    def _stale(
        self, table: Name, gone: Sequence[str], key: tuple[Any, ...], values: Row, rows: Sequence[Any]
    ) -> Iterator[Lost]:
        here, one, other = rows
        for column in here:
            expected, found = one[column], here[column]
            if column in values or expected != other[column] or expected == found or is_now(found):
                continue
            texts = {name: text_of(values[name]) for name in gone if name in values}
            for name, text in texts.items():
                if text == expected or self._is_made_of(column, name):
                    yield Lost(Loss(str(table), key, column, STALE, expected, found), (name, text))
                    break

    def _is_made_of(self, column: str, gone: str) -> bool:
        """Return whether a statement of the upgrade gave a column values of another one, as far as its names show."""
        return any({column, gone} <= names_in(sql) for sql in self.writers.ledger.statements)

    def behind(self, later: _Database) -> Iterator[Lost]:
        """Yield the values that other columns of a row get if it is written before the upgrade, and after it, but not now.

        Args:
            later: A database with the same writes after the upgrade.
        """
        for table in dict.fromkeys(traffic.table for traffic in self.writers.plan.tables):
            if table not in self.here.tables:
                continue
            key = self._key(table)
            here, one, other, after = (
                {_keyed(key, row): row for row in each.rows(table)} for each in (self.here, *self.twins, later)
            )
            for (place, written_key), values in self.writers.ledger.rows.items():
                rows = [each.get(tuple(map(text_of, written_key)), {}) for each in (here, one, other, after)]
                if self.writers.plan.tables[place].table != table or not values or not all(rows):
                    continue
                for column, found in rows[0].items():
                    expected = {row.get(column) for row in rows[1:]}
                    if column not in values and len(expected) == 1 and found not in expected and not is_now(found):
                        yield Lost(Loss(str(table), written_key, column, BEHIND, expected.pop(), found))

    def missing(self) -> Iterator[Lost]:
        """Yield rows of a table that no longer exists which no new table has."""
        if not self.gone_tables:
            return
        for table in self._new_tables():
            if any(table not in twin.tables for twin in self.twins):
                continue
            here, one, other = (each.rows(table) for each in (self.here, *self.twins))
            columns = [name for name in (one[0] if one else {}) if _values(one, name) == _values(other, name)]
            found = Counter(_keyed(columns, row) for row in here)
            for row in Counter(_keyed(columns, row) for row in one) - found:
                source = self.gone_tables[0]
                shown = ", ".join(f"{name} {value}" for name, value in zip(columns, row, strict=True))
                yield Lost(Loss(str(table), (), "", MISSING, shown), (str(source), None))

    def _key(self, table: Name) -> tuple[str, ...]:
        return next(one.key for one in self.writers.plan.tables if one.table == table)


def _place(loss: Loss) -> Place:
    return loss.table, loss.key, loss.column


def _keyed(names: Sequence[str], row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row.get(name) for name in names)


def _values(rows: Sequence[Row], column: str) -> Counter[Any]:
    return Counter(row.get(column) for row in rows)
