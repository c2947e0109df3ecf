"""The triggers that keep a column and its shadow column in sync on MariaDB and MySQL: before INSERT and before UPDATE.

Both fire for LOAD DATA, REPLACE and ON DUPLICATE KEY UPDATE too; only cascades of foreign keys bypass them.
https://mariadb.com/kb/en/trigger-overview/
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from safeops.backfilling.mysql import COLLATION
from safeops.databases import sqltext
from safeops.databases.base import Database
from safeops.databases.definitions import Table
from safeops.databases.mysql import showcreate, spelling
from safeops.databases.mysql.alter_table import STRICT
from safeops.databases.mysql.catalogue import definition_of, is_counted
from safeops.databases.steps import Plan, Step
from safeops.databases.triggers import MARK, Pair, pair_of
from safeops.naming import Name
from safeops.shadow import port

if TYPE_CHECKING:
    from safeops.databases.mysql import MySQL

# The order of replacing them: while the INSERT trigger has its old metadata, the pair is the old one.
EVENTS = ("UPDATE", "INSERT")
# Copying between columns of one type loses nothing; strict modes would reject zero dates of existing rows.
LENIENT = (("sql_mode", "IF(FIND_IN_SET('NO_BACKSLASH_ESCAPES', @@sql_mode), 'NO_BACKSLASH_ESCAPES', '')"),)
TRUNCATED = 1265
NOTED_AS = "DECLARE safeops_pair LONGTEXT DEFAULT"


@dataclass(frozen=True)
class Locked(Step):
    """Statements under one table lock; each of them commits separately.

    Those of ``alternatives`` may take long: they run without the lock.
    """

    table: Name = field(default_factory=lambda: Name(""))

    def execute(self, database: Any) -> bool:
        if self.sql in self.alternatives:
            for sql in (self.sql, *self.then):
                database.run(sql)
            return True
        try:
            database.run(f"LOCK TABLES {database.quoted_table(self.table)} WRITE")
            for sql in _together(database, self.sql, *self.then):
                database.run(sql)
            return True
        finally:
            # A lost connection holds no locks; the first error is the useful one.
            with suppress(sa.exc.SQLAlchemyError):
                database.run("UNLOCK TABLES")


def _together(database: Any, *statements: str) -> list[str]:
    if not database.abilities.runs_blocks:
        return [*statements]
    # A block cannot contain CREATE TRIGGER, but it can execute any prepared statement.
    return [f"BEGIN NOT ATOMIC {' '.join(f'EXECUTE IMMEDIATE {database.literal(sql)};' for sql in statements)} END"]


class SyncTriggers(port.ShadowColumns):
    """The triggers of a pair."""

    database: MySQL

    # Looking ----------------------------------------------------------------------------------------------------

    def find_pair(self, table: Table, name: str) -> Pair | None:
        """Return the pair if triggers serve each event, or if one of its columns was dropped."""
        own, passing = self.triggers_of_pair(table.name, name), self.interim_triggers_of_pair(table.name, name)
        texts = [*own.values(), *passing.values()]
        pair = next((found for found in (pair_of(text, table.name) for text in texts) if found), None)
        if pair is None or pair.source not in table.columns or pair.shadow not in table.columns:
            return pair
        return self._as_arranged(pair, table) if {*own, *passing} == {*EVENTS} else None

    def _as_arranged(self, pair: Pair, table: Table) -> Pair:
        """Return the pair as its columns are: a stop may leave the names exchanged, but not the metadata."""
        switched = table.columns[pair.shadow].comment == mark(replace(pair, switched=True))
        if pair.winner is not None or pair.switched == switched:
            return pair
        default = table.columns[pair.source].default if switched else None
        type_ = self.full_type(table, pair.shadow)
        return replace(pair, type=type_, value=pair.back, back=pair.value, default=default, switched=switched)

    def half_swapped_pair(self, pair: Pair, table: Table) -> Pair | None:
        existing, switched = table.columns.get(pair.shadow), mark(replace(pair, switched=True))
        exchanged = existing is not None and existing.comment == switched
        return self._as_arranged(pair, table) if exchanged and not self.find_pair(table, pair.name) else None

    def triggers_of_pair(self, table: Name, name: str) -> dict[str, str]:
        """Return the bodies of the triggers of a pair by their events."""
        return self._bodies(table, {trigger_name(name, event): event for event in EVENTS})

    def interim_triggers_of_pair(self, table: Name, name: str) -> dict[str, str]:
        """Return the bodies of the triggers that serve a pair while its columns swap their names."""
        return self._bodies(table, {interim_name(name, event): event for event in EVENTS})

    def _bodies(self, table: Name, events: dict[str, str]) -> dict[str, str]:
        sql = (
            f"SELECT TRIGGER_NAME, ACTION_STATEMENT FROM information_schema.TRIGGERS WHERE {_on(self.database, table)}"
        )
        return {events[trigger]: text for trigger, text in self._asked(sql) if trigger in events}

    def _asked(self, sql: str, **parameters: Any) -> Sequence[Sequence[Any]]:
        with self.database.bounded():
            return self.read(sql, **parameters)

    def _last_trigger(self, table: Name, name: str, event: str) -> str | None:
        """Return the last user trigger of an event: what it writes must be in sync too."""
        own = ", ".join(self.literal(one(name, event)) for one in (trigger_name, interim_name))
        sql = f"""SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE {_on(self.database, table)}
            AND ACTION_TIMING = 'BEFORE' AND EVENT_MANIPULATION = '{event}'
            AND TRIGGER_NAME NOT IN ({own}) ORDER BY ACTION_ORDER DESC LIMIT 1"""
        found: str | None = next((row[0] for row in self._asked(sql)), None)
        return found

    # Making -----------------------------------------------------------------------------------------------------

    def trigger_sqls(self, pair: Pair, table: Table, *, anew: bool = False) -> Iterator[str]:
        """Render the statements that create the triggers of a pair, or with ``anew`` replace the existing ones."""
        for event in EVENTS:
            trigger = trigger_name(pair.name, event)
            if anew and not self.database.abilities.guards_natively:
                yield self._dropping(pair.table, trigger)
            head = f"CREATE {'OR REPLACE ' if anew and self.database.abilities.guards_natively else ''}TRIGGER"
            last = self._last_trigger(pair.table, pair.name, event)
            yield self._trigger(f"{head} {{}} BEFORE {event}", pair, trigger, last, self._pair_body(pair, table, event))

    def _trigger(self, head: str, pair: Pair, name: str, last: str | None, body: str) -> str:
        trigger, table = self.database.quoted_here(Name(name, pair.table.schema)), self.database.quoted_here(pair.table)
        follows = f"FOLLOWS {self.quoted(last)} " if last else ""
        # A comment would not survive a dump: its statements are comments themselves, and clients strip comments.
        on_catalogue = f"BEGIN {NOTED_AS} {pair.literal_note}; {body}END"
        return f"{head.replace('{}', trigger)} ON {table} FOR EACH ROW {follows}{on_catalogue}"

    def renew_triggers(self, pair: Pair, table: Table) -> Plan:
        """Replace triggers that a dump would lose: their metadata is in comments."""
        texts = self.triggers_of_pair(pair.table, pair.name)
        if not any(f"/*{MARK}" in text for text in texts.values()):
            return
        first, *others = self.replaced_sqls(pair, pair, table)
        variables = STRICT if pair.winner is None else LENIENT
        does = f"replaced the sync triggers of {pair.table}.{pair.source} and {pair.shadow} by ones that survive a dump"
        yield Locked(first, does, (pair.table,), tuple(others), variables=variables, table=pair.table)

    def drop_triggers(self, pair: Pair) -> Plan:
        for trigger in self.trigger_names(pair):
            yield Step(self._dropping(pair.table, trigger), f"dropped trigger {trigger}", (pair.table,))

    def trigger_names(self, pair: Pair) -> list[str]:
        """Return the names of the existing triggers of a pair."""
        own, passing = (
            self.triggers_of_pair(pair.table, pair.name),
            self.interim_triggers_of_pair(pair.table, pair.name),
        )
        named = [trigger_name(pair.name, event) for event in EVENTS if event in own]
        return [*named, *(interim_name(pair.name, event) for event in EVENTS if event in passing)]

    def _dropping(self, table: Name, trigger: str) -> str:
        return f"DROP TRIGGER IF EXISTS {self.quoted_table(Name(trigger, table.schema))}"

    # Exchanging -------------------------------------------------------------------------------------------------

    def replaced_sqls(self, pair: Pair, kept: Pair, table: Table, *exchange: str) -> Iterator[str]:
        """Render other triggers, or a swap of names and triggers: a stop after any statement leaves the two in sync."""
        passing = () if self.database.abilities.runs_blocks else EVENTS
        yield from (self._interim_trigger(pair, table, event) for event in passing)
        yield from exchange
        yield from self.trigger_sqls(kept, table, anew=True)
        yield from (self._dropping(pair.table, interim_name(pair.name, event)) for event in passing)

    def finish_swap(self, pair: Pair, table: Table) -> Plan:
        statements = [*self._settling(pair, table)] if pair.winner is None and pair.shadow in table.columns else []
        if statements:
            does = f"finished the exchange of {pair.source} and {pair.shadow} of {pair.table}"
            first, *others = statements
            yield Locked(first, does, (pair.table,), tuple(others), variables=STRICT, table=pair.table)

    def _settling(self, pair: Pair, table: Table) -> Iterator[str]:
        own, passing = (
            self.triggers_of_pair(pair.table, pair.name),
            self.interim_triggers_of_pair(pair.table, pair.name),
        )
        notes = [pair_of(text, pair.table) for text in own.values()]
        fits = [note is not None and note.switched == pair.switched for note in notes]
        leftover = [event for event in EVENTS if event in passing]
        if not all(fits) or len(own) < len(EVENTS):
            lacking = [] if self.database.abilities.runs_blocks else [event for event in EVENTS if event not in passing]
            yield from (self._interim_trigger(pair, table, event) for event in lacking)
            yield from self.trigger_sqls(pair, table, anew=True)
            leftover += lacking
        yield from (self._dropping(pair.table, interim_name(pair.name, event)) for event in leftover)

    def _interim_trigger(self, pair: Pair, table: Table, event: str) -> str:
        body = self._interim_body(pair, event) if pair.winner is None else self._pair_body(pair, table, event)
        is_there = event in self.triggers_of_pair(pair.table, pair.name)
        last = trigger_name(pair.name, event) if is_there else self._last_trigger(pair.table, pair.name, event)
        return self._trigger(f"CREATE TRIGGER {{}} BEFORE {event}", pair, interim_name(pair.name, event), last, body)

    def _interim_body(self, pair: Pair, event: str) -> str:
        """Return a body that reads the current names of the columns: it works before and after the swap."""
        before, after = (self._one_way(one, event) for one in (pair, replace(pair, value=pair.back, type=None)))
        looked = (
            "(SELECT COLUMN_COMMENT FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE()"
            f" AND TABLE_NAME = {self.literal(pair.table.name)} AND COLUMN_NAME = {self.literal(pair.shadow)})"
        )
        return f"IF {looked} = {self.literal(mark(pair))} THEN BEGIN {before}END; ELSE BEGIN {after}END; END IF; "

    # Bodies -----------------------------------------------------------------------------------------------------

    def _pair_body(self, pair: Pair, table: Table, event: str) -> str:
        if self.is_computed(pair, table):
            # The server itself keeps them in sync: the trigger only holds the metadata.
            return ""
        if pair.winner is None:
            return self._one_way(pair, event)
        return self._two_way_insert(pair, table) if event == "INSERT" else self._two_way_update(pair)

    def _one_way(self, pair: Pair, event: str) -> str:
        new, old, shadow = (f"{row}.{self.quoted(one)}" for row, one in _places(pair))
        value = new if pair.value is None else self._evaluated(pair, new)
        # The application that writes knows nothing of the shadow column: its write must succeed.
        handler = f"DECLARE CONTINUE HANDLER FOR SQLEXCEPTION SET {shadow} = NULL; "
        handler += self._refused_by_warning(pair, shadow)
        follow = f"SET {shadow} = {value}; "
        # MariaDB checks its JSON after the trigger.
        if (pair.type or "").lower() == "json":
            follow += f"IF NOT JSON_VALID({shadow}) THEN SET {shadow} = NULL; END IF; "
        return handler + (follow if event == "INSERT" else f"IF NOT {same(new, old)} THEN {follow}END IF; ")

    def _refused_by_warning(self, pair: Pair, shadow: str) -> str:
        """Some errors are warnings to a handler. So is the rounding of a DECIMAL, which is not an error."""
        if self.database.abilities.counts_errors_in_handlers:
            refused = f"BEGIN IF @@error_count > 0 THEN SET {shadow} = NULL; END IF; END"
            return f"DECLARE CONTINUE HANDLER FOR SQLWARNING {refused}; "
        is_rounded = spelling.type_name(pair.type or "").startswith("decimal")
        return "" if is_rounded else f"DECLARE CONTINUE HANDLER FOR {TRUNCATED} SET {shadow} = NULL; "

    def _evaluated(self, pair: Pair, new: str) -> str:
        source, table = self.quoted(pair.source), self.quoted(pair.table.name)
        return f"(SELECT {spelling.without_comments(pair.value or '')} FROM (SELECT {new} AS {source}) AS {table})"

    def _two_way_update(self, pair: Pair) -> str:
        (new_w, old_w), (new_l, old_l) = ((self._new(one), f"OLD.{self.quoted(one)}") for one in _ranked(pair))
        return (
            f"IF NOT {same(new_w, old_w)} THEN SET {new_l} = {new_w};"
            f" ELSEIF NOT {same(new_l, old_l)} THEN SET {new_w} = {new_l}; END IF; "
        )

    def _two_way_insert(self, pair: Pair, table: Table) -> str:
        """Treat the column that differs from its default as the written one."""
        given = self.constant_default(table, pair.source)
        first, second = map(self._new, _ranked(pair))
        if given is None:
            if self.default_of(table, pair.source) is not None and not self.leans(table, pair):
                # Only the shadow column has no default.
                first, second = self._new(pair.shadow), self._new(pair.source)
            return f"IF {first} IS NOT NULL THEN SET {second} = {first}; ELSE SET {first} = {second}; END IF; "
        # A variable of its type: otherwise the default 0.1 of a FLOAT would differ from the value.
        declared = f"DECLARE safeops_default {self._type_of(table, pair.source)} DEFAULT {given}; "
        written = f"NOT {same(first, 'safeops_default')}"
        return f"{declared}IF {written} THEN SET {second} = {first}; ELSE SET {first} = {second}; END IF; "

    def _new(self, column: str) -> str:
        return f"NEW.{self.quoted(column)}"

    def _type_of(self, table: Table, column: str) -> str:
        """Return the type of a column with its character set; a variable would use that of the database."""
        bare = definition_of(table, column).clauses["type"]
        parameters = {"schema": table.name.schema, "table": table.name.name, "column": column}
        charset, collation = self._asked(COLLATION, **parameters)[0]
        return f"{bare} CHARACTER SET {charset} COLLATE {collation}" if charset else bare

    # Defaults ---------------------------------------------------------------------------------------------------

    def default_of(self, table: Table, column: str) -> str | None:
        text = definition_of(table, column).get("DEFAULT")
        return None if text is None or text.upper() == "NULL" else text

    def constant_default(self, table: Table, column: str) -> str | None:
        """Return the default that both columns of a row get; None if there is none, or if a call computes it."""
        text = self.default_of(table, column)
        words = re.sub(r"current_timestamp(\(\d\))?", "", spelling.default(text) or "")
        found = sqltext.tokens(words)
        calls = any(token == "(" for _, token in found) or any(token.startswith("`") for _, token in found)
        return None if calls else text

    def leans(self, table: Table, pair: Pair) -> bool:
        """Return whether the default of the source is its shadow column: an INSERT ... SELECT can then omit it."""
        default = spelling.default(self.default_of(table, pair.source)) or ""
        return default.startswith("`") and showcreate.name_of(default).casefold() == pair.shadow.casefold()

    def is_computed(self, pair: Pair, table: Table) -> bool:
        """Return whether the server computes the shadow column: the source is generated or AUTO_INCREMENT."""
        found = definition_of(table, pair.source)
        return pair.winner is not None and (found.get("GENERATED") is not None or is_counted(table, pair.source))


def trigger_name(pair: str, event: str) -> str:
    return f"{pair}_{event.lower()}"


def interim_name(pair: str, event: str) -> str:
    return f"{pair}_{event[:3].lower()}pass"


def mark(pair: Pair) -> str:
    """Return the comment of the column that was added for a pair, or that follows after a switch."""
    return f"{MARK}{pair.name}{' switched' if pair.switched else ''}"


def same(one: str, other: str) -> str:
    """Compare two values bit by bit: equal texts may differ in case, and equal numbers in a digit."""
    return f"({one} <=> {other} AND CAST({one} AS BINARY) <=> CAST({other} AS BINARY))"


def _ranked(pair: Pair) -> tuple[str, str]:
    """Return the winner and the other."""
    return (pair.source, pair.shadow) if pair.winner == pair.source else (pair.shadow, pair.source)


def _places(pair: Pair) -> tuple[tuple[str, str], ...]:
    return ("NEW", pair.source), ("OLD", pair.source), ("NEW", pair.shadow)


def _on(database: Database, table: Name) -> str:
    schema = database.literal(table.schema) if table.schema else "DATABASE()"
    return f"EVENT_OBJECT_SCHEMA = {schema} AND EVENT_OBJECT_TABLE = {database.literal(table.name)}"
