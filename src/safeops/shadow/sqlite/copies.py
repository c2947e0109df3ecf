"""The indexes of a twin: copies of those of its column, under names of ours."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from safeops.databases.definitions import Index, Table
from safeops.databases.sqlite.catalogue import clauses_of
from safeops.databases.sqlite.spelling import Token, folded, items, literal, quoted, tokens
from safeops.databases.sqlite.text import Clause, parse
from safeops.databases.steps import Plan, Step
from safeops.databases.triggers import Pair
from safeops.errors import DefinitionMismatch, DuplicateRows, InvalidArgument, UnsafeOperation, ViolatingRows
from safeops.naming import call
from safeops.shadow import port
from safeops.shadow.sqlite.triggers import ROW_IDS, Keeping, names, renamed


class Equipping(port.ShadowColumns):
    """What a twin gets before it takes over."""

    def _keeping(self, pair: Pair, stands: Table) -> Keeping:
        return Keeping(pair, stands.sql, self.database.infos(stands.name), bool(_unique_on(stands, pair.source)))

    def _pair_triggers(self, stands: Table, *, spelled: bool = False) -> dict[str, str]:
        sql = f"""SELECT name, sql FROM {self.database.master(stands.name.schema or "main")} WHERE type = 'trigger'
            AND tbl_name = {literal(stands.name.name)} COLLATE NOCASE"""
        return {name if spelled else folded(name): text for name, text in self.read(sql)}

    def check_pair(self, pair: Pair, stands: Table) -> None:
        if stands.kind != "table":
            raise self.database.unsupported(
                f"A second column beside one of the {stands.kind} {stands.name}", "an ordinary table"
            )
        self._check_twin(pair, stands)
        keeping = self._keeping(pair, stands)
        self._check_source(keeping, stands)
        if pair.winner is None:
            self._check_conversions(pair, stands)
            return
        self._check_key(keeping, stands)
        self._check_default(keeping, stands)

    def _check_twin(self, pair: Pair, stands: Table) -> None:
        if folded(pair.source) == folded(pair.shadow):
            names = f"{self.quoted(pair.source)} TO {self.quoted(pair.shadow)}"
            rename = f"ALTER TABLE {self.quoted_table(stands.name)} RENAME COLUMN {names}"
            raise UnsafeOperation(
                f"{pair.source} and {pair.shadow} are one name to SQLite, which goes by no case.",
                why="Applications find the column under either name as it is.",
                remedy="Rename it in one step:",
                code=call("op.execute", rename),
            )
        if pair.shadow in stands.columns:
            raise DefinitionMismatch(
                f"Column {stands.name}.{pair.shadow} exists, but nothing keeps it in step with {pair.source}.",
                why="It was left untouched: it may be another column, or one whose triggers were dropped.",
                remedy="Choose another name, or where it holds nothing that is needed, drop it first:",
                code=call("drop_column_if_exists", stands.name.name, pair.shadow, schema=stands.name.schema),
            )

    def _check_source(self, keeping: Keeping, stands: Table) -> None:
        pair = keeping.pair
        if stands.columns[pair.source].computed is not None:
            raise UnsafeOperation(
                f"{stands.name}.{pair.source} is generated: nobody writes it, so that nothing has to be kept in step.",
                remedy="Add the generated column under its new name or type, and drop this one when nobody reads it.",
            )
        if keeping.is_row_id and pair.winner is None:
            raise UnsafeOperation(
                f"{stands.name}.{pair.source} is the row id, which numbers itself as long as it is INTEGER PRIMARY KEY.",
                remedy="Keep its type: it holds numbers of 64 bits as it is.",
            )
        taken = {folded(one) for one in stands.columns}
        if keeping.has_row_ids and taken.issuperset(ROW_IDS):
            raise self.database.unsupported(
                f"A trigger on {stands.name}, whose columns are called {', '.join(ROW_IDS)},", "one of them"
            )

    def _check_conversions(self, pair: Pair, stands: Table) -> None:
        for argument, sql in (("using", pair.value), ("reverse_using", pair.back)):
            try:
                self.read(f"SELECT ({sql or 1}) FROM {self.quoted_table(stands.name)} LIMIT 0")
            except sa.exc.DBAPIError as error:
                if self.database.errors.is_lock_failure(error):
                    raise
                raise InvalidArgument(
                    f"SQLite refuses {argument} of {stands.name}.{pair.source}: {error.orig}\nIt was asked for: {sql}",
                    remedy="Give SQL over the column's own name, without functions of one connection alone:",
                    code=f'{argument}="CAST({quoted(pair.source)} AS ...)"',
                ) from error

    def _check_key(self, keeping: Keeping, stands: Table) -> None:
        pair = keeping.pair
        info = next(one for one in keeping.infos if folded(one[1]) == folded(pair.source))
        explicit = parse(stands.sql).column(pair.source).clause("not null")
        # The key of a table WITHOUT ROWID, or of a STRICT one, is NOT NULL by itself.
        if info[5] and not keeping.is_row_id and (not keeping.has_row_ids or (info[3] and explicit is None)):
            raise self.database.unsupported(
                f"A second name for {pair.source}, in the primary key of {stands.name},",
                "an ordinary table: the key of this one takes no row without it, as the new application writes them",
                "Stop the applications, and rename it in one step:",
                f"op.{call('alter_column', stands.name.name, pair.source, new_column_name=pair.shadow)}",
            )

    def _check_default(self, keeping: Keeping, stands: Table) -> None:
        """Refuse a default under a unique key: rows of the new application all have it for a moment."""
        keys = _unique_on(stands, keeping.pair.source)
        if keeping.default is not None and keys and not keeping.is_lifted:
            source = keeping.pair.source
            raise UnsafeOperation(
                f"{stands.name}.{source} has the default {keeping.default} and takes NULL, and is in the unique {keys[0]}.",
                why="SQLite's triggers work after the write: a row with the new name alone has the default under the old one"
                " for a moment, and breaks the key where another row has it too.",
                remedy="Make it NOT NULL, or take the default away first:",
                code=call("set_server_default", stands.name.name, source, None, schema=stands.name.schema),
            )

    def equip_twin(self, pair: Pair, stands: Table) -> Plan:
        self._refuse_nulls(pair, stands)
        wanted = self._copies(pair, stands)
        for name, sql in wanted.items():
            there = stands.indexes.get(name)
            if there is None or _rest(there.definition) != _rest(sql):
                does = f"built index {name} on {stands.name}"
                drops = [self.database.ddl.index_drop(stands.name, name)] if there is not None else []
                self._refuse_duplicates(pair, stands, name, sql)
                first, *then = [*drops, sql]
                yield Step(first, does, (stands.name,), then=tuple(then), scans=True)

    def _refuse_nulls(self, pair: Pair, stands: Table) -> None:
        if pair.winner is not None or stands.columns[pair.source].nullable:
            return
        twin, table = quoted(pair.shadow), self.quoted_table(stands.name)
        query = f"SELECT * FROM {table} WHERE {twin} IS NULL"
        count = self.scalar(f"SELECT count(*) FROM {table} WHERE {twin} IS NULL")
        if count:
            raise ViolatingRows(
                f"{count} rows of {stands.name} have a {pair.source} that becomes NULL, and it is NOT NULL.",
                remedy="Mend those rows, or give a conversion that takes them. This finds them:",
                code=query,
            )

    def _refuse_duplicates(self, pair: Pair, stands: Table, name: str, sql: str) -> None:
        """Say which values of another type would be the same under a unique index."""
        if pair.winner is not None:
            return
        rest = sql[tokens(sql)[_place_of_list(sql)].start :]
        found, end = items(tokens(rest), 0)
        listed = ", ".join(_without_order(rest, item) for item in found)
        known = " AND ".join(f"{_without_order(rest, item)} IS NOT NULL" for item in found)
        where = f"{rest[end:]} AND {known}" if rest[end:].strip() else f" WHERE {known}"
        table = self.quoted_table(stands.name)
        query = f"SELECT {listed}, count(*) FROM {table}{where} GROUP BY {listed} HAVING count(*) > 1"
        rows = self.read(f"{query} LIMIT 1")
        if rows:
            raise DuplicateRows(
                f"Values of {stands.name}.{pair.source} that differ become the same, and"
                f" {name.removeprefix(pair.name)[1:]} is unique: {', '.join(map(repr, rows[0][:-1]))} {rows[0][-1]} times.",
                remedy="Mend those rows, or give a conversion that keeps them apart. This finds them:",
                code=query,
            )

    def _copies(self, pair: Pair, stands: Table) -> dict[str, str]:
        """Return the indexes of the twin: all for a second name; of another type the unique ones, for what breaks them.

        The rebuild of the switch makes the others again in any case.
        """
        made: dict[str, str] = {}
        for one in stands.indexes.values():
            rest = one.definition[tokens(one.definition)[_place_of_list(one.definition)].start :]
            if self._is_to_copy(pair, one, rest):
                made |= self._copy(pair, stands, one.name, one.unique, renamed(rest, pair.source, pair.shadow))
        for name, clause in clauses_of(parse(stands.sql), stands.name.name):
            if clause.kind in ("unique", "primary key") and folded(pair.source) in map(folded, clause.columns):
                columns = renamed(_key_list(stands.sql, clause), pair.source, pair.shadow)
                made |= self._copy(pair, stands, name, True, columns)
        return made

    def _is_to_copy(self, pair: Pair, index: Index, rest: str) -> bool:
        own = (
            names(rest, pair.source) and not names(rest, pair.shadow) and not folded(index.name).startswith("safeops_")
        )
        return own and (index.unique or pair.winner is not None)

    def _copy(self, pair: Pair, stands: Table, name: str, unique: bool, rest: str) -> dict[str, str]:
        copy = f"{pair.name}_{name}"
        full = f"{quoted(stands.name.schema or 'main')}.{quoted(copy)}"
        return {copy: f"CREATE {'UNIQUE ' if unique else ''}INDEX {full} ON {quoted(stands.name.name)} {rest}"}


def _unique_on(stands: Table, column: str) -> list[str]:
    unique = ("unique", "primary key")
    return [
        one.name
        for one in stands.having(stands.columns[column].name)
        if (one.unique if isinstance(one, Index) else one.kind in unique)
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
    whole = [one for one in tokens(sql) if clause.start <= one.start < clause.end]
    opened = next(place for place, one in enumerate(whole) if one.text == "(")
    found, _ = items(whole, opened)
    parts = [[one for one in item if one.word != "AUTOINCREMENT"] for item in found]
    return f"({', '.join(sql[part[0].start : part[-1].end] for part in parts)})"


def _without_order(sql: str, item: Sequence[Token]) -> str:
    last = item[-2] if item[-1].word in ("ASC", "DESC") else item[-1]
    return sql[item[0].start : last.end]
