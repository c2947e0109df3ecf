"""The indexes of a shadow column: copies of those of its column, with names of safeops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import sqlalchemy as sa

from safeops.databases.definitions import Index, Table
from safeops.databases.sqlite.catalogue import Clause, clauses_of, parse
from safeops.databases.sqlite.spelling import Token, folded, items, literal, quoted, tokens
from safeops.databases.steps import Plan, Step
from safeops.databases.triggers import Pair
from safeops.errors import DefinitionMismatch, DuplicateRows, InvalidArgument, UnsafeOperation, ViolatingRows
from safeops.naming import call
from safeops.shadow import port
from safeops.shadow.sqlite.triggers import ROW_IDS, PairTriggers, names, renamed

if TYPE_CHECKING:
    from safeops.databases.sqlite import SQLite


class IndexCopies(port.ShadowColumns):
    """The checks of a pair, and the indexes of its shadow column."""

    database: SQLite

    def _triggers_for(self, pair: Pair, table: Table) -> PairTriggers:
        return PairTriggers(pair, table.sql, self.database.infos(table.name), bool(_unique_on(table, pair.source)))

    def _pair_triggers(self, table: Table, *, spelled: bool = False) -> dict[str, str]:
        sql = f"""SELECT name, sql FROM {self.database.master(table.name.schema or "main")} WHERE type = 'trigger'
            AND tbl_name = {literal(table.name.name)} COLLATE NOCASE"""
        return {name if spelled else folded(name): text for name, text in self.read(sql)}

    def check_pair(self, pair: Pair, table: Table) -> None:
        if table.kind != "table":
            raise self.database.unsupported(f"A shadow column in the {table.kind} {table.name}", "an ordinary table")
        self._check_shadow(pair, table)
        keeping = self._triggers_for(pair, table)
        self._check_source(keeping, table)
        if pair.winner is None:
            self._check_conversions(pair, table)
            return
        self._check_key(keeping, table)
        self._check_default(keeping, table)

    def _check_shadow(self, pair: Pair, table: Table) -> None:
        if folded(pair.source) == folded(pair.shadow):
            names = f"{self.quoted(pair.source)} TO {self.quoted(pair.shadow)}"
            rename = f"ALTER TABLE {self.quoted_table(table.name)} RENAME COLUMN {names}"
            raise UnsafeOperation(
                f"{pair.source} and {pair.shadow} are one name: SQLite does not distinguish upper and lower case.",
                why="Applications find the column under either spelling.",
                remedy="Rename it in one step:",
                code=call("op.execute", rename),
            )
        if pair.shadow in table.columns:
            raise DefinitionMismatch(
                f"Column {table.name}.{pair.shadow} exists, but nothing keeps it in sync with {pair.source}.",
                why="It was left untouched: it may be another column, or one whose triggers were dropped.",
                remedy="Choose another name. If you do not need the values of the column, drop it first:",
                code=call("drop_column_if_exists", table.name.name, pair.shadow, schema=table.name.schema),
            )

    def _check_source(self, keeping: PairTriggers, table: Table) -> None:
        pair = keeping.pair
        if table.columns[pair.source].computed is not None:
            raise UnsafeOperation(
                f"{table.name}.{pair.source} is generated: it is not written, so there is nothing to keep in sync.",
                remedy="Add the generated column under its new name or type, and drop this one when it is no longer used.",
            )
        if keeping.is_row_id and pair.winner is None:
            raise UnsafeOperation(
                f"{table.name}.{pair.source} is the row id, which SQLite numbers only while it is INTEGER PRIMARY KEY.",
                remedy="Keep its type: it already holds 64-bit numbers.",
            )
        taken = {folded(column) for column in table.columns}
        if keeping.has_row_ids and taken.issuperset(ROW_IDS):
            raise self.database.unsupported(
                f"A trigger on {table.name}, whose columns are called {', '.join(ROW_IDS)},", "one of them"
            )

    def _check_conversions(self, pair: Pair, table: Table) -> None:
        for argument, sql in (("using", pair.value), ("reverse_using", pair.back)):
            try:
                self.read(f"SELECT ({sql or 1}) FROM {self.quoted_table(table.name)} LIMIT 0")
            except sa.exc.DBAPIError as error:
                if self.database.errors.is_lock_failure(error):
                    raise
                raise InvalidArgument(
                    f"SQLite rejects {argument} of {table.name}.{pair.source}: {error.orig}\nThe SQL was: {sql}",
                    remedy="Pass SQL over the column's own name, without functions that exist on one connection only:",
                    code=f'{argument}="CAST({quoted(pair.source)} AS ...)"',
                ) from error

    def _check_key(self, keeping: PairTriggers, table: Table) -> None:
        pair = keeping.pair
        info = next(info for info in keeping.infos if folded(info[1]) == folded(pair.source))
        explicit = parse(table.sql).column(pair.source).clause("not null")
        # The key of a table WITHOUT ROWID, or of a STRICT table, is implicitly NOT NULL.
        if info[5] and not keeping.is_row_id and (not keeping.has_row_ids or (info[3] and explicit is None)):
            raise self.database.unsupported(
                f"A second name for {pair.source}, in the primary key of {table.name},",
                "an ordinary table: the key of this one rejects rows without it, which the new application writes",
                "Stop the applications, and rename it in one step:",
                f"op.{call('alter_column', table.name.name, pair.source, new_column_name=pair.shadow)}",
            )

    def _check_default(self, keeping: PairTriggers, table: Table) -> None:
        """Refuse a default under a unique key: all new rows of the new application have it until the trigger runs."""
        keys = _unique_on(table, keeping.pair.source)
        if keeping.default is not None and keys and not keeping.is_lifted:
            source = keeping.pair.source
            raise UnsafeOperation(
                f"{table.name}.{source} has the default {keeping.default}, allows NULL, and is in the unique {keys[0]}.",
                why="Triggers of SQLite run after the write. Until then a row that is written by the new name has the"
                " default under the old name, and violates the key if another row has the same value.",
                remedy="Make it NOT NULL, or drop the default first:",
                code=call("set_server_default", table.name.name, source, None, schema=table.name.schema),
            )

    def copy_indexes(self, pair: Pair, table: Table) -> Plan:
        self._refuse_nulls(pair, table)
        wanted = self._copies(pair, table)
        for name, sql in wanted.items():
            existing = table.indexes.get(name)
            if existing is None or _rest(existing.definition) != _rest(sql):
                does = f"built index {name} on {table.name}"
                drops = [self.database.ddl.index_drop(table.name, name)] if existing is not None else []
                self._refuse_duplicates(pair, table, name, sql)
                first, *then = [*drops, sql]
                yield Step(first, does, (table.name,), then=tuple(then), scans=True)

    def _refuse_nulls(self, pair: Pair, table: Table) -> None:
        if pair.winner is not None or table.columns[pair.source].nullable:
            return
        shadow, target = quoted(pair.shadow), self.quoted_table(table.name)
        query = f"SELECT * FROM {target} WHERE {shadow} IS NULL"
        count = self.scalar(f"SELECT count(*) FROM {target} WHERE {shadow} IS NULL")
        if count:
            raise ViolatingRows(
                f"{count} rows of {table.name} have a {pair.source} that becomes NULL, and it is NOT NULL.",
                remedy="Fix those rows, or pass a conversion that accepts them. This query finds them:",
                code=query,
            )

    def _refuse_duplicates(self, pair: Pair, table: Table, name: str, sql: str) -> None:
        """Raise ViolatingRows with the values that would be equal under a unique index of another type."""
        if pair.winner is not None:
            return
        rest = sql[tokens(sql)[_place_of_list(sql)].start :]
        found, end = items(tokens(rest), 0)
        listed = ", ".join(_without_order(rest, item) for item in found)
        known = " AND ".join(f"{_without_order(rest, item)} IS NOT NULL" for item in found)
        where = f"{rest[end:]} AND {known}" if rest[end:].strip() else f" WHERE {known}"
        target = self.quoted_table(table.name)
        query = f"SELECT {listed}, count(*) FROM {target}{where} GROUP BY {listed} HAVING count(*) > 1"
        rows = self.read(f"{query} LIMIT 1")
        if rows:
            raise DuplicateRows(
                f"Different values of {table.name}.{pair.source} become equal, and"
                f" {name.removeprefix(pair.name)[1:]} is unique: {', '.join(map(repr, rows[0][:-1]))} {rows[0][-1]} times.",
                remedy="Fix those rows, or pass a conversion that keeps them distinct. This query finds them:",
                code=query,
            )

    def _copies(self, pair: Pair, table: Table) -> dict[str, str]:
        """Return the indexes of the shadow column: for a second name all, for another type the unique ones.

        Converted values may violate the unique ones; the rebuild of the switch re-creates all others.
        """
        made: dict[str, str] = {}
        for index in table.indexes.values():
            rest = index.definition[tokens(index.definition)[_place_of_list(index.definition)].start :]
            if self._is_to_copy(pair, index, rest):
                made |= self._copy(pair, table, index.name, index.unique, renamed(rest, pair.source, pair.shadow))
        for name, clause in clauses_of(parse(table.sql), table.name.name):
            if clause.kind in ("unique", "primary key") and folded(pair.source) in map(folded, clause.columns):
                columns = renamed(_key_list(table.sql, clause), pair.source, pair.shadow)
                made |= self._copy(pair, table, name, True, columns)
        return made

    def _is_to_copy(self, pair: Pair, index: Index, rest: str) -> bool:
        own = (
            names(rest, pair.source) and not names(rest, pair.shadow) and not folded(index.name).startswith("safeops_")
        )
        return own and (index.unique or pair.winner is not None)

    def _copy(self, pair: Pair, table: Table, name: str, unique: bool, rest: str) -> dict[str, str]:
        copy = f"{pair.name}_{name}"
        full = f"{quoted(table.name.schema or 'main')}.{quoted(copy)}"
        return {copy: f"CREATE {'UNIQUE ' if unique else ''}INDEX {full} ON {quoted(table.name.name)} {rest}"}


def _unique_on(table: Table, column: str) -> list[str]:
    unique = ("unique", "primary key")
    return [
        owned.name
        for owned in table.things_using(table.columns[column].name)
        if (owned.unique if isinstance(owned, Index) else owned.kind in unique)
    ]


def is_copy(pair: Pair, index: Index) -> bool:
    return folded(index.name).startswith(folded(f"{pair.name}_"))


def is_on(index: Index, column: str) -> bool:
    return names(index.definition[tokens(index.definition)[_place_of_list(index.definition)].start :], column)


def _place_of_list(definition: str) -> int:
    return next(place for place, one in enumerate(tokens(definition)) if one.text == "(")


def _rest(definition: str) -> str:
    """Return the definition of an index without its name and schema."""
    found = tokens(definition)
    return f"{found[1].word} {definition[found[_place_of_list(definition)].start :]}"


def _key_list(sql: str, clause: Clause) -> str:
    """Return the list of the columns of a key, with their collations and directions."""
    if clause.column is not None:
        return f"({quoted(clause.column)})"
    whole = [token for token in tokens(sql) if clause.start <= token.start < clause.end]
    opened = next(place for place, one in enumerate(whole) if one.text == "(")
    found, _ = items(whole, opened)
    parts = [[one for one in item if one.word != "AUTOINCREMENT"] for item in found]
    return f"({', '.join(sql[part[0].start : part[-1].end] for part in parts)})"


def _without_order(sql: str, item: Sequence[Token]) -> str:
    last = item[-2] if item[-1].word in ("ASC", "DESC") else item[-1]
    return sql[item[0].start : last.end]
