"""The indexes of a twin: copies of those of its column, under names of ours."""

from __future__ import annotations

from collections.abc import Sequence

from safeops.databases.definitions import Index, Table
from safeops.databases.pairs import Pair
from safeops.databases.sqlite.catalogue import clauses_of
from safeops.databases.sqlite.text import Clause, parse
from safeops.databases.sqlite.tokens import Token, folded, items, quoted, tokens
from safeops.databases.steps import Plan, Step
from safeops.errors import DuplicateRows, ViolatingRows
from safeops.shadow.sqlite.pairing import Pairing
from safeops.shadow.sqlite.triggers import names, renamed


class Equipping(Pairing):
    """What a twin gets before it takes over."""

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
        twin, table = quoted(pair.twin), self.quoted_table(stands.name)
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
                made |= self._copy(pair, stands, one.name, one.unique, renamed(rest, pair.source, pair.twin))
        for name, clause in clauses_of(parse(stands.sql), stands.name.name):
            if clause.kind in ("unique", "primary key") and folded(pair.source) in map(folded, clause.columns):
                columns = renamed(_key_list(stands.sql, clause), pair.source, pair.twin)
                made |= self._copy(pair, stands, name, True, columns)
        return made

    def _is_to_copy(self, pair: Pair, index: Index, rest: str) -> bool:
        own = names(rest, pair.source) and not names(rest, pair.twin) and not folded(index.name).startswith("safeops_")
        return own and (index.unique or pair.winner is not None)

    def _copy(self, pair: Pair, stands: Table, name: str, unique: bool, rest: str) -> dict[str, str]:
        copy = f"{pair.name}_{name}"
        full = f"{quoted(stands.name.schema or 'main')}.{quoted(copy)}"
        return {copy: f"CREATE {'UNIQUE ' if unique else ''}INDEX {full} ON {quoted(stands.name.name)} {rest}"}


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
