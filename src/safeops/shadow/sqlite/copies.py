"""The indexes of a twin: copies of those of its column, under names of ours."""

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
    """What a shadow column gets before it takes over."""

    database: SQLite

    def _triggers_for(self, pair: Pair, table: Table) -> PairTriggers:
        return PairTriggers(pair, table.sql, self.database.infos(table.name), bool(_unique_on(table, pair.source)))

    def _pair_triggers(self, table: Table, *, spelled: bool = False) -> dict[str, str]:
        sql = f"""SELECT name, sql FROM {self.database.master(table.name.schema or "main")} WHERE type = 'trigger'
            AND tbl_name = {literal(table.name.name)} COLLATE NOCASE"""
        return {name if spelled else folded(name): text for name, text in self.read(sql)}

    def check_pair(self, pair: Pair, table: Table) -> None:
        if table.kind != "table":
            raise self.database.unsupported(
                f"A second column beside one of the {table.kind} {table.name}", "an ordinary table"
            )
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
                f"{pair.source} and {pair.shadow} are one name to SQLite, which goes by no case.",
                why="Applications find the column under either name as it is.",
                remedy="Rename it in one step:",
                code=call("op.execute", rename),
            )
        if pair.shadow in table.columns:
            raise DefinitionMismatch(
                f"Column {table.name}.{pair.shadow} exists, but nothing keeps it in step with {pair.source}.",
                why="It was left untouched: it may be another column, or one whose triggers were dropped.",
                remedy="Choose another name, or where it holds nothing that is needed, drop it first:",
                code=call("drop_column_if_exists", table.name.name, pair.shadow, schema=table.name.schema),
            )

    def _check_source(self, keeping: PairTriggers, table: Table) -> None:
        pair = keeping.pair
        if table.columns[pair.source].computed is not None:
            raise UnsafeOperation(
                f"{table.name}.{pair.source} is generated: nobody writes it, so that nothing has to be kept in step.",
                remedy="Add the generated column under its new name or type, and drop this one when nobody reads it.",
            )
        if keeping.is_row_id and pair.winner is None:
            raise UnsafeOperation(
                f"{table.name}.{pair.source} is the row id, which numbers itself as long as it is INTEGER PRIMARY KEY.",
                remedy="Keep its type: it holds numbers of 64 bits as it is.",
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
                    f"SQLite refuses {argument} of {table.name}.{pair.source}: {error.orig}\nIt was asked for: {sql}",
                    remedy="Give SQL over the column's own name, without functions of one connection alone:",
                    code=f'{argument}="CAST({quoted(pair.source)} AS ...)"',
                ) from error

    def _check_key(self, keeping: PairTriggers, table: Table) -> None:
        pair = keeping.pair
        info = next(info for info in keeping.infos if folded(info[1]) == folded(pair.source))
        explicit = parse(table.sql).column(pair.source).clause("not null")
        # The key of a table WITHOUT ROWID, or of a STRICT one, is NOT NULL by itself.
        if info[5] and not keeping.is_row_id and (not keeping.has_row_ids or (info[3] and explicit is None)):
            raise self.database.unsupported(
                f"A second name for {pair.source}, in the primary key of {table.name},",
                "an ordinary table: the key of this one takes no row without it, as the new application writes them",
                "Stop the applications, and rename it in one step:",
                f"op.{call('alter_column', table.name.name, pair.source, new_column_name=pair.shadow)}",
            )

    def _check_default(self, keeping: PairTriggers, table: Table) -> None:
        """Refuse a default under a unique key: rows of the new application all have it for a moment."""
        keys = _unique_on(table, keeping.pair.source)
        if keeping.default is not None and keys and not keeping.is_lifted:
            source = keeping.pair.source
            raise UnsafeOperation(
                f"{table.name}.{source} has the default {keeping.default} and takes NULL, and is in the unique {keys[0]}.",
                why="SQLite's triggers work after the write: a row with the new name alone has the default under the old one"
                " for a moment, and breaks the key where another row has it too.",
                remedy="Make it NOT NULL, or take the default away first:",
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
                remedy="Mend those rows, or give a conversion that takes them. This finds them:",
                code=query,
            )

    def _refuse_duplicates(self, pair: Pair, table: Table, name: str, sql: str) -> None:
        """Say which values of another type would be the same under a unique index."""
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
                f"Values of {table.name}.{pair.source} that differ become the same, and"
                f" {name.removeprefix(pair.name)[1:]} is unique: {', '.join(map(repr, rows[0][:-1]))} {rows[0][-1]} times.",
                remedy="Mend those rows, or give a conversion that keeps them apart. This finds them:",
                code=query,
            )

    def _copies(self, pair: Pair, table: Table) -> dict[str, str]:
        """Return the indexes of the shadow column: all for a second name; for another type the unique ones.

        Values may break the unique ones; the rebuild of the switch makes all others again.
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
    """Return what is the same of an index whatever its name and schema are."""
    found = tokens(definition)
    return f"{found[1].word} {definition[found[_place_of_list(definition)].start :]}"


def _key_list(sql: str, clause: Clause) -> str:
    """Return the columns of a key as they are listed, with their collations and directions."""
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
