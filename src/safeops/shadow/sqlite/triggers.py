"""The triggers that keep a column and its shadow column in sync on SQLite.

They run after each write, because triggers before it cannot change the row. PRAGMA recursive_triggers causes no loop: if the
two are equal, none of them fires.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from safeops.databases.sqlite.catalogue import Clause, TableText, parse, row_id_of
from safeops.databases.sqlite.rebuild import Edit
from safeops.databases.sqlite.spelling import Token, folded, items, literal, quoted, tokens
from safeops.databases.triggers import Pair

ROW_IDS = ("rowid", "_rowid_", "oid")
# Each returns one value throughout a statement: https://www.sqlite.org/lang_datefunc.html
_STEADY = {
    *("date", "time", "datetime", "julianday", "strftime", "unixepoch", "json", "json_array", "json_object"),
    *("lower", "upper", "trim", "replace", "substr", "printf", "format", "coalesce", "ifnull", "round", "abs", "cast"),
}
_VALUES = {"NULL", "TRUE", "FALSE", "CURRENT_TIME", "CURRENT_DATE", "CURRENT_TIMESTAMP"}


def differ(one: str, other: str) -> str:
    """Return the condition that two values of one type differ in any bit; for columns and for those of a trigger."""
    return f"({one} COLLATE BINARY IS NOT +{other} OR typeof({one}) <> typeof({other}))"


def is_not(column: str, value: str) -> str:
    """Return the condition that a column differs from a value as it would be stored there.

    The plus sign removes the affinity of the value; it then gets that of the column, as a stored value does.
    """
    return f"{column} COLLATE BINARY IS NOT +({value})"


def renamed(sql: str, old: str, new: str) -> str:
    """Replace a column in an expression or a list of columns."""
    found = tokens(sql)
    for place in reversed(range(len(found))):
        if _names_column(found, place, old):
            sql = f"{sql[: found[place].start]}{quoted(new)}{sql[found[place].end :]}"
    return sql


def names(sql: str, column: str) -> bool:
    found = tokens(sql)
    return any(_names_column(found, place, column) for place in range(len(found)))


def _names_column(found: Sequence[Token], place: int, column: str) -> bool:
    token = found[place]
    calls = place + 1 < len(found) and found[place + 1].text == "("
    collates = place > 0 and found[place - 1].word == "COLLATE"
    return token.kind in ("word", "quoted") and folded(token.name) == folded(column) and not calls and not collates


def default_of(text: TableText, column: str) -> str | None:
    """Return a column's default as an expression; None if it is NULL."""
    clause = text.column(column).clause("default")
    found = tokens(clause.expression or "") if clause else ()
    if clause is None or not found or (len(found) == 1 and found[0].word == "NULL"):
        return None
    if len(found) == 1 and found[0].kind in ("word", "quoted") and found[0].word not in _VALUES:
        # A name is a text here.
        return literal(found[0].name)
    return clause.expression


def is_steady(default: str) -> bool:
    """Return whether a default gives the same value twice in one statement."""
    found = tokens(default)
    called = {folded(one.text) for one, other in pairwise(found) if one.kind == "word" and other.text == "("}
    return called <= _STEADY


def is_constant(default: str) -> bool:
    """Return whether a default is allowed in a CHECK and in ALTER TABLE ADD COLUMN."""
    return len(tokens(default)) <= 2 and not tokens(default)[0].word.startswith("CURRENT_")


@dataclass(frozen=True)
class PairTriggers:
    """A pair, with the definition of its table with or without the shadow column.

    Args:
        pair: The pair.
        sql: The definition of the table.
        infos: The rows of ``PRAGMA table_xinfo``.
        is_unique: The source is in a unique index or key.
    """

    pair: Pair
    sql: str
    infos: Sequence[Any]
    is_unique: bool = False

    @property
    def text(self) -> TableText:
        return parse(self.sql)

    @property
    def is_row_id(self) -> bool:
        """The source is another name of the row id, which SQLite numbers automatically."""
        row_id = row_id_of(self.text, self.infos)
        return row_id is not None and folded(row_id) == folded(self.pair.source)

    @property
    def has_row_ids(self) -> bool:
        return not any(token.word == "WITHOUT" for token in tokens(self.text.options))

    @property
    def is_strict(self) -> bool:
        return any(token.word == "STRICT" for token in tokens(self.text.options))

    @property
    def is_lifted(self) -> bool:
        """Neither column has the default while they are a pair; the trigger gives it to rows without a value.

        Otherwise new rows would have the default under the other name until the trigger runs, and violate the unique key.
        """
        required = self.text.column(self.pair.source).clause("not null") is not None
        return self.is_unique and required and self.default is not None

    @property
    def shared(self) -> str | None:
        """The default of both; the column that differs from it is the one that an INSERT wrote."""
        return None if self.is_lifted else self.default

    @property
    def default(self) -> str | None:
        """The default of the source, if it is steady."""
        default = default_of(self.text, self.pair.source)
        return default if default is not None and not self.is_row_id and is_steady(default) else None

    @property
    def is_numbered(self) -> bool:
        """The source has a generated value in each row that gives none, so the shadow column must decide."""
        return self.is_row_id or (self.default is None and default_of(self.text, self.pair.source) is not None)

    @property
    def decider(self) -> str:
        """The column that decides an INSERT: if it is not its default, it was written."""
        return self.pair.shadow if self.is_numbered or self.pair.winner is None else self.pair.winner

    @property
    def triggers(self) -> tuple[str, str]:
        return f"{self.pair.name}_insert", f"{self.pair.name}_update"

    @property
    def row(self) -> str:
        """The condition that identifies the written row."""
        if self.has_row_ids:
            taken = {folded(info[1]) for info in self.infos} | {folded(self.pair.shadow)}
            own = next(name for name in ROW_IDS if name not in taken)
            return f"{own} = NEW.{own}"
        keys = [quoted(info[1]) for info in self.infos if info[5]]
        return " AND ".join(f"{key} = NEW.{key}" for key in keys)

    def statements(self, schema: str, value: str) -> list[str]:
        """Return the triggers; ``value`` is the value of the shadow column, if it only follows."""
        one_way = self.pair.winner is None
        bodies = self._following(value) if one_way else self._both_ways()
        events = ("INSERT", "UPDATE")
        return [
            f"CREATE TRIGGER {quoted(schema)}.{quoted(name)} AFTER {event} ON {quoted(self.pair.table.name)} {body}"
            for name, event, body in zip(self.triggers, events, bodies, strict=True)
        ]

    def _following(self, value: str) -> tuple[str, str]:
        source, shadow = quoted(self.pair.source), quoted(self.pair.shadow)
        if self.is_strict and self.pair.type is not None and not self.pair.type.upper().startswith("ANY"):
            # A value that such a column would reject becomes NULL: the write of the application succeeds.
            value = f"CASE WHEN {value} = CAST({value} AS {self.pair.type.split()[0]}) THEN {value} END"
        write = f"BEGIN {self.pair.note} UPDATE {self._table} SET {shadow} = {value} WHERE {self.row}; END"
        changed = differ(f"NEW.{source}", f"OLD.{source}")
        return write, f"WHEN {changed} {write}"

    def _both_ways(self) -> tuple[str, str]:
        source, shadow = quoted(self.pair.source), quoted(self.pair.shadow)
        apart = differ(f"NEW.{source}", f"NEW.{shadow}")
        winner = quoted(self.pair.winner or "")
        changed = [differ(f"NEW.{one}", f"OLD.{one}") for one in (source, shadow)]
        won = changed[0] if winner == source else changed[1]
        inserted = self._body(quoted(self.decider), is_not(quoted(self.decider), self.shared or "NULL"), new=True)
        updated = self._body(winner, won)
        touched = f"{apart} AND ({' OR '.join(changed)})"
        if not self.is_lifted:
            return f"WHEN {apart} {inserted}", f"WHEN {touched} {updated}"
        return self._lifted(f"{apart} OR NEW.{source} IS NULL", inserted, f"{touched} OR NEW.{source} IS NULL", updated)

    def _lifted(self, when_inserted: str, inserted: str, when_updated: str, updated: str) -> tuple[str, str]:
        """Let the triggers apply the default and NOT NULL."""
        source, shadow = quoted(self.pair.source), quoted(self.pair.shadow)
        empty = f"{self.row} AND {source} IS NULL AND {shadow} IS NULL"
        given = f"UPDATE {self._table} SET {source} = {self.default} WHERE {empty};"
        message = literal(f"NOT NULL constraint failed: {self.pair.table.name}.{self.pair.source}")
        refused = f"SELECT RAISE(ABORT, {message}) FROM {self._table} WHERE {self.row} AND {source} IS NULL; END"
        return (
            f"WHEN {when_inserted} {inserted.replace('*/ ', f'*/ {given} ', 1)}",
            f"WHEN {when_updated} {updated.removesuffix('END')}{refused}",
        )

    def _body(self, first: str, won: str, *, new: bool = False) -> str:
        """Let ``first`` win if it ``won``, else the other one.

        This also applies if a constraint of the other rejects the value under OR IGNORE, or a trigger of the application has
        changed it. A ``new`` row that OR IGNORE would have skipped can no longer be skipped: that is an error.
        """
        source, shadow = quoted(self.pair.source), quoted(self.pair.shadow)
        second, table = source if first == shadow else shadow, self._table
        apart = f"{self.row} AND {differ(first, second)}"
        message = literal(f"safeops: {self.pair.table.name}.{self.pair.source} and {self.pair.shadow} would differ")
        raised = f"SELECT RAISE(ABORT, {message}) FROM {table} WHERE {apart}"
        refused = f" {raised} AND {won} AND NOT {differ(second, f'NEW.{second}')};" if new else ""
        return (
            f"BEGIN {self.pair.note} UPDATE {table} SET {second} = {first} WHERE {self.row} AND {won};{refused}"
            f" UPDATE {table} SET {first} = {second} WHERE {apart}; {raised}; END"
        )

    @property
    def _table(self) -> str:
        return quoted(self.pair.table.name)


class _Marks:
    """The comments that enclose the additions for a pair; each pair of the table has its own."""

    def __init__(self, pair: Pair) -> None:
        key = hashlib.sha256(pair.name.encode()).hexdigest()[:8]
        self.eased, self.was, self.either, self.end = (
            f"/*safeops {key} {word}" for word in ("eased*/", "was ", "or*/", "end*/")
        )


def is_relaxed(sql: str, pair: Pair) -> bool:
    return _Marks(pair).end in sql


def relaxing_constraints(keeping: PairTriggers) -> Edit:
    """Relax constraints for rows that are written by the new name only."""

    marks = _Marks(keeping.pair)

    def edit(sql: str) -> str:
        for clause in reversed(_to_relax(keeping, sql)):
            start, end = clause.start, clause.end
            if clause.kind == "check":
                start, end = _group(sql, clause)
                eased = f"{marks.eased}({sql[start:end]}){marks.either} OR {_new_name_alone(keeping)}{marks.end}"
            else:
                was = json.dumps(sql[start:end]).replace("/", "\\u002f").replace("*", "\\u002a")
                eased = f"{marks.was}{was}*/{_instead(keeping)}{marks.end}"
            sql = f"{sql[:start]}{eased}{sql[end:]}"
        return sql

    return edit


def restoring_constraints(pair: Pair) -> Edit:
    """Remove exactly what ``relaxing_constraints`` added."""
    marks = _Marks(pair)
    eased, was, either, end = map(re.escape, (marks.eased, marks.was, marks.either, marks.end))

    def edit(sql: str) -> str:
        sql = re.sub(rf"{eased}\((.*?)\){either}.*?{end}", lambda match: match[1], sql, flags=re.S)
        return re.sub(rf"{was}(.*?)\*/.*?{end}", lambda match: str(json.loads(match[1])), sql, flags=re.S)

    return edit


def needs_relaxing(keeping: PairTriggers) -> bool:
    return bool(_to_relax(keeping, keeping.sql))


def _to_relax(keeping: PairTriggers, sql: str) -> list[Clause]:
    text, source = parse(sql), keeping.pair.source
    found = [clause for clause in text.clauses if clause.kind == "check" and names(clause.expression or "", source)]
    kinds = ["not null"] if not keeping.is_numbered and (keeping.default is None or keeping.is_lifted) else []
    kinds += ["default"] if keeping.is_lifted else []
    return _in_order([*found, *(clause for clause in text.column(source).clauses if clause.kind in kinds)])


def _in_order(clauses: Iterable[Clause]) -> list[Clause]:
    return sorted(clauses, key=lambda one: one.start)


def _instead(keeping: PairTriggers) -> str:
    """Return the replacement of NOT NULL, or of a default that was lifted: the triggers apply both."""
    if keeping.is_lifted:
        return ""
    name = quoted(f"{keeping.pair.name}_not_null")
    return f"CONSTRAINT {name} CHECK ({quoted(keeping.pair.source)} IS NOT NULL OR {_new_name_alone(keeping)})"


def _new_name_alone(keeping: PairTriggers) -> str:
    """Return the condition that only the new name has been written so far."""
    source, shadow, default = quoted(keeping.pair.source), quoted(keeping.pair.shadow), keeping.shared or "NULL"
    if keeping.is_lifted:
        return f"{source} IS NULL"
    if keeping.is_numbered or not is_constant(default):
        return f"({shadow} IS NOT NULL AND {source} IS NOT {shadow})"
    return f"({source} COLLATE BINARY IS {default} AND {shadow} COLLATE BINARY IS NOT {default})"


def _group(sql: str, clause: Clause) -> tuple[int, int]:
    """Return the start and the end of the condition of a CHECK, without its parentheses."""
    whole = tokens(sql)
    check = next(place for place, one in enumerate(whole) if one.start >= clause.start and one.word == "CHECK")
    return whole[check + 1].end, items(whole, check + 1)[1] - 1
