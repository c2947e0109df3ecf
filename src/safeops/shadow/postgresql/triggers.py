"""The trigger that keeps a column and its shadow column in sync on PostgreSQL: the changed one of the two wins.

The comparison is bit by bit, by record images: 'A' and 'a' of a citext, or 1.0 and 1.00, are different values, and types
without an equality operator can be compared too.
https://www.postgresql.org/docs/current/functions-comparisons.html#COMPOSITE-TYPE-COMPARISON
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING

from safeops.databases.definitions import Table
from safeops.databases.postgresql.sealing import sealed
from safeops.databases.postgresql.types import IS_INSERT, IS_UPDATE, SAFE_PATH, block, in_dollars, split_collation
from safeops.databases.steps import Plan, Step
from safeops.databases.triggers import Pair
from safeops.naming import Name
from safeops.shadow import port

if TYPE_CHECKING:
    from safeops.databases.postgresql import PostgreSQL

NO_DEFAULT = "NULL"

SETTINGS_OF = {
    r"date|time|interval|tstz|tsr|tsm|abstime": ("TimeZone", "DateStyle", "IntervalStyle"),
    r"float|double|real|point|line|lseg|box|path|polygon|circle": ("extra_float_digits",),
    "bytea": ("bytea_output",),
    "money": ("lc_monetary",),
    "to_char|to_number": ("lc_numeric", "lc_time", "lc_monetary"),
    "xml": ("xmloption", "xmlbinary"),
}
"""What the server's conversions depend on, by words in the types or in the author's expressions."""
_SETTINGS_KEPT = """SELECT split_part(s.kept, '=', 1), substr(s.kept, strpos(s.kept, '=') + 1),
  current_setting(split_part(s.kept, '=', 1))
FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid CROSS JOIN unnest(p.proconfig) AS s (kept)
WHERE g.tgrelid = to_regclass(:table) AND p.proname = :name AND NOT g.tgisinternal AND s.kept NOT LIKE 'search_path=%'"""


def differ(one: str, other: str) -> str:
    """Return the condition that two values of one type differ in any bit."""
    return f"NOT pg_catalog.record_image_eq(ROW({one}), ROW({other}))"


def lacking(value: str, nulls: int) -> str:
    """Return the condition that a value is NULL as a whole (1) or not (0). ``IS NULL`` checks the fields of a row."""
    return f"pg_catalog.num_nulls({value}) OPERATOR(pg_catalog.=) {nulls}"


def _qualified(line: str) -> str:
    """Qualify the server's own names in a line of a function of an earlier release."""
    line = re.sub(r"^(\s+(?:ELS)?IF TG_OP) = '", r"\1 OPERATOR(pg_catalog.=) '", line)
    return re.sub(r"^(\s+IF )(num_nulls\(.*\)) = 0 THEN", r"\1pg_catalog.\2 OPERATOR(pg_catalog.=) 0 THEN", line)


class SyncTriggers(port.ShadowColumns):
    """The function and the trigger of a pair."""

    database: PostgreSQL

    def shadow_value(self, pair: Pair) -> str:
        value = self.quoted(pair.source) if pair.value is None else f"({pair.value})"
        return value if pair.type is None else f"CAST({value} AS {split_collation(pair.type)[0]})"

    def source_value(self, pair: Pair, was: str) -> str:
        """Return the value of the shadow column in the type of the source."""
        if pair.back is None:
            return f"CAST({self.quoted(pair.shadow)} AS {was})"
        # The author writes it over the name of the column.
        shadow, source = self.quoted(pair.shadow), self.quoted(pair.source)
        return f"(SELECT CAST(({pair.back}) AS {was}) FROM (SELECT {shadow} AS {source}) safeops_row)"

    @contextmanager
    def converting(self, pair: Pair) -> Iterator[None]:
        kept = self.read(_SETTINGS_KEPT, table=self.quoted_table(pair.table), name=pair.name) if pair.type else []
        others = {name: (value, own) for name, value, own in kept if value != own}
        for name, (value, _) in others.items():
            self._set(name, value)
        try:
            yield
        finally:
            if not self.database.connection.invalidated:
                for name, (_, own) in others.items():
                    self._set(name, own)

    def _set(self, name: str, value: str) -> None:
        self.read("SELECT set_config(:name, :value, false)", name=name, value=value)

    def unfilled(self, pair: Pair) -> str:
        source, shadow = self.quoted(pair.source), self.quoted(pair.shadow)
        missing = f"{lacking(shadow, 1)} AND {lacking(source, 0)}"
        if pair.winner is not None:
            return missing
        return f"CASE WHEN {missing} THEN {lacking(self.shadow_value(pair), 0)} ELSE false END"

    def out_of_sync(self, pair: Pair) -> str:
        source, shadow = self.quoted(pair.source), self.quoted(pair.shadow)
        ahead = differ(shadow, self.shadow_value(pair))
        if not pair.switched:
            return ahead
        # Values of the old type are unchanged there, even if no conversion would restore them.
        was = self.scalar(
            """SELECT format_type(atttypid, atttypmod) FROM pg_attribute
            WHERE attrelid = to_regclass(:table) AND attname = :name""",
            table=self.quoted_table(pair.table),
            name=pair.source,
        )
        behind = differ(source, self.source_value(pair, was))
        return f"CASE WHEN {behind} THEN {ahead} ELSE false END"

    def trigger_statements(
        self, pair: Pair, default: str | None, others: list[str], *, certain: bool, type_: str = ""
    ) -> list[str]:
        """Return the statements that keep a pair in sync.

        Args:
            pair: The pair.
            default: The default of both columns, ``NO_DEFAULT``, or None if each row would get another value.
            others: The other triggers that run before a row is written.
            certain: The conversion accepts every value.
            type_: The type of the source, if the shadow column has its former position.
        """
        body = self._both_ways(pair, default) if pair.winner is not None else self._one_way(pair, certain, type_)
        function = self.quoted_table(Name(pair.name, pair.table.schema))
        plain = pair.winner is not None and default in (None, NO_DEFAULT)
        path = SAFE_PATH if plain else self.database.ddl.path_of_now()
        path += self._settings_of_now(pair, type_)
        # A remainder of a dropped table; one in use is kept, and raises an error.
        clear = f"DROP FUNCTION IF EXISTS {function}()"
        create = f"CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql {path} AS {in_dollars(body)}"
        trigger = self.quoted(self._last(pair.name, others))
        on = f"BEFORE INSERT OR UPDATE ON {self.quoted_table(pair.table)} FOR EACH ROW"
        return [clear, create, f"CREATE TRIGGER {trigger} {on} EXECUTE FUNCTION {function}()"]

    def _settings_of_now(self, pair: Pair, type_: str) -> str:
        """Return the clauses by which each write converts as the fill does, also in a session with another time zone."""
        if pair.type is None:
            return ""
        words = f"{pair.type} {type_} {pair.value} {pair.back}".lower()
        found = (names for pattern, names in SETTINGS_OF.items() if re.search(pattern, words))
        return "".join(f" SET {name} FROM CURRENT" for name in dict.fromkeys(chain.from_iterable(found)))

    def _last(self, name: str, others: list[str]) -> str:
        """Triggers run in the order of their names; this one must run after the others change the row."""
        last = max(others, default="")
        if name.encode() > last.encode():
            return name
        return f"{'z' * (len(last) - len(last.lstrip('z')) + 1)}_{name}"[: self.database.abilities.max_identifier]

    def _both_ways(self, pair: Pair, default: str | None) -> str:
        winner = pair.winner or pair.source
        other = pair.shadow if winner == pair.source else pair.source
        won, lost = f"NEW.{self.quoted(winner)}", f"NEW.{self.quoted(other)}"
        first, second, declared = won, lost, ""
        if default is None:
            # The source always has a value, perhaps generated; a value of the shadow column was written.
            first, second = f"NEW.{self.quoted(pair.shadow)}", f"NEW.{self.quoted(pair.source)}"
        given = lacking(first, 0)
        if default not in (None, NO_DEFAULT):
            # An INSERT that omits a column gives it the default: another value was written.
            given = differ(first, "safeops_default")
            type_ = f"{self._table(pair)}.{self.quoted(pair.source)}%TYPE"
            declared = f"\nDECLARE safeops_default {type_} := {default};"
        return f"""
{pair.note}{declared}
BEGIN
  IF {IS_INSERT} THEN
    IF {given} THEN {second} := {first}; ELSE {first} := {second}; END IF;
  ELSIF {differ(won, won.replace("NEW.", "OLD.", 1))} THEN {lost} := {won};
  ELSIF {differ(lost, lost.replace("NEW.", "OLD.", 1))} THEN {won} := {lost};
  END IF;
  RETURN NEW;
END """

    def _one_way(self, pair: Pair, certain: bool, type_: str) -> str:
        source, shadow = self.quoted(pair.source), self.quoted(pair.shadow)
        row = f"(SELECT NEW.{source} AS {source}) AS {self.quoted(pair.table.name)}"
        follow = f"NEW.{shadow} := (SELECT {self.shadow_value(pair)} FROM {row});"
        if certain:
            follow = f"NEW.{shadow} := NEW.{source};"
        else:
            # A value that cannot be converted must not fail the application's write: the next phase reports it.
            follow = f"BEGIN {follow} EXCEPTION WHEN OTHERS THEN NEW.{shadow} := NULL; END;"
        by_position = self._by_position(pair, type_) if pair.switched else ""
        declared = f"DECLARE safeops_given record;\nBEGIN\n  safeops_given := ROW(NEW.{shadow});"
        return f"""
{pair.note}
{declared if by_position else "BEGIN"}
  IF {IS_UPDATE} THEN
    IF pg_catalog.record_image_eq(ROW(NEW.{source}), ROW(OLD.{source})) THEN RETURN NEW; END IF;
  END IF;
  {follow}
{by_position}  RETURN NEW;
END """

    def _by_position(self, pair: Pair, type_: str) -> str:
        """Copy a value that an INSERT or COPY without a column list gave to the shadow column, or reject the row.

        The shadow column has the former position of the source, and no other write gives it a value.
        """
        source, shadow = self.quoted(pair.source), self.quoted(pair.shadow)
        row = f"(SELECT NEW.{shadow} AS {source}) AS {self.quoted(pair.table.name)}"
        value = f"(SELECT CAST(({pair.back or source}) AS {type_}) FROM {row})"
        value_of = f"a value for column {pair.source} of {pair.table}"
        message = f"{value_of} was written by its position, and {type_} does not take it"
        hint = (
            f"Name the columns: INSERT INTO {self._table(pair)} ({source}, ...) VALUES (...), or COPY {self._table(pair)}"
            f" ({source}, ...). The type of the column was changed, and its place is another one."
        )
        fail = f"RAISE data_exception USING MESSAGE := {self.literal(message)}, HINT := {self.literal(hint)}"
        return f"""  IF {IS_INSERT} THEN
    IF {lacking("safeops_given.f1", 0)} AND NOT pg_catalog.record_image_eq(ROW(NEW.{shadow}), safeops_given) THEN
      NEW.{shadow} := safeops_given.f1;
      BEGIN NEW.{source} := {value}; EXCEPTION WHEN OTHERS THEN {fail}, DETAIL := SQLERRM; END;
      IF {lacking(f"NEW.{source}", 1)} THEN {fail}; END IF;
    END IF;
  END IF;
"""

    def _table(self, pair: Pair) -> str:
        return self.quoted_table(pair.table)

    def still_in_sync(self, stands_id: int, pair: Pair) -> str:
        """Return the statement that fails with "already exists" if the pair is no longer kept in sync."""
        kept = f"""EXISTS (SELECT 1 FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid WHERE g.tgrelid = {stands_id}
    AND p.proname = {self.literal(pair.name)} AND strpos(p.prosrc, {self.literal(pair.note)}) > 0)"""
        fail = "RAISE duplicate_object USING MESSAGE = 'another runner has done it'"
        return block(f"NOT {sealed(kept)}", fail)

    def renew_triggers(self, pair: Pair, table: Table) -> Plan:
        """Plan to replace the function of an earlier release, which did not qualify the names of the server."""
        sql = """SELECT p.prosrc, p.proconfig FROM pg_catalog.pg_trigger g JOIN pg_catalog.pg_proc p ON p.oid = g.tgfoid
            WHERE g.tgrelid = :id AND p.proname = :name AND NOT g.tgisinternal"""
        for body, settings in self.read(sql, id=table.id, name=pair.name):
            now = "\n".join(_qualified(line) for line in body.split("\n"))
            if now == body:
                continue
            paths = [setting.partition("=")[2] for setting in settings or () if setting.startswith("search_path=")]
            path = f"SET search_path = {paths[0]}" if paths else SAFE_PATH
            function = self.quoted_table(Name(pair.name, pair.table.schema))
            sql = (
                f"CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql {path} AS {in_dollars(now)}"
            )
            yield Step(sql, f"replaced the trigger function that keeps {pair.table}.{pair.shadow} in sync")

    def trigger_removal(self, stands_id: int, pair: Pair) -> list[str]:
        """Return the statements that drop the trigger and the function of a pair."""
        sql = """SELECT g.tgname FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid
            WHERE g.tgrelid = :id AND p.proname = :name AND NOT g.tgisinternal"""
        names = [row[0] for row in self.read(sql, id=stands_id, name=pair.name)]
        dropped = [f"DROP TRIGGER IF EXISTS {self.quoted(name)} ON {self._table(pair)}" for name in names]
        function = self.quoted_table(Name(pair.name, pair.table.schema))
        return [*dropped, f"DROP FUNCTION IF EXISTS {function}()"]
