"""What keeps a column and its twin in step on MariaDB and MySQL: a trigger before INSERT and one before UPDATE.

Both fire for LOAD DATA, REPLACE and ON DUPLICATE KEY UPDATE too; cascades of foreign keys alone pass them by.
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

# The order in which they are made anew: as long as INSERT has its old note, the pair is the old one.
EVENTS = ("UPDATE", "INSERT")
# Copying between columns of one type loses nothing, and strict modes would refuse what stands in old rows: zero dates.
LENIENT = (("sql_mode", "IF(FIND_IN_SET('NO_BACKSLASH_ESCAPES', @@sql_mode), 'NO_BACKSLASH_ESCAPES', '')"),)
TRUNCATED = 1265
NOTED_AS = "DECLARE safeops_pair LONGTEXT DEFAULT"


@dataclass(frozen=True)
class Locked(Step):
    """Statements, each of which commits by itself, between which no other session reads or writes the table.

    Those of ``alternatives`` may take long: they run without the lock.
    """

    table: Name = field(default_factory=lambda: Name(""))

    def execute(self, database: Any) -> None:
        if self.sql in self.alternatives:
            for sql in (self.sql, *self.then):
                database.run(sql)
            return
        try:
            database.run(f"LOCK TABLES {database.quoted_table(self.table)} WRITE")
            for sql in _together(database, self.sql, *self.then):
                database.run(sql)
        finally:
            # On a lost connection nothing is locked any more, and the first error is the one to see.
            with suppress(sa.exc.SQLAlchemyError):
                database.run("UNLOCK TABLES")


def _together(database: Any, *statements: str) -> list[str]:
    if not database.abilities.runs_blocks:
        return [*statements]
    # A block takes no CREATE TRIGGER, but prepared statements of all sorts.
    return [f"BEGIN NOT ATOMIC {' '.join(f'EXECUTE IMMEDIATE {database.literal(sql)};' for sql in statements)} END"]


class SyncTriggers(port.ShadowColumns):
    """The triggers of a pair."""

    database: MySQL

    # Looking ----------------------------------------------------------------------------------------------------

    def find_pair(self, table: Table, name: str) -> Pair | None:
        """Return the pair while triggers serve each event; or whatever is left of it once one of its columns is gone."""
        own, passing = self.triggers_of_pair(table.name, name), self.interim_triggers_of_pair(table.name, name)
        texts = [*own.values(), *passing.values()]
        pair = next((found for found in (pair_of(text, table.name) for text in texts) if found), None)
        if pair is None or pair.source not in table.columns or pair.shadow not in table.columns:
            return pair
        return self._as_arranged(pair, table) if {*own, *passing} == {*EVENTS} else None

    def _as_arranged(self, pair: Pair, table: Table) -> Pair:
        """Return the pair as its columns are: a stop may leave them with their names exchanged and the note not."""
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
        """Return the bodies of those that serve a pair while its columns swap their names."""
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
        """Return the last of the users' triggers of an event: what they write must be in sync too."""
        own = ", ".join(self.literal(one(name, event)) for one in (trigger_name, interim_name))
        sql = f"""SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE {_on(self.database, table)}
            AND ACTION_TIMING = 'BEFORE' AND EVENT_MANIPULATION = '{event}'
            AND TRIGGER_NAME NOT IN ({own}) ORDER BY ACTION_ORDER DESC LIMIT 1"""
        found: str | None = next((row[0] for row in self._asked(sql)), None)
        return found

    # Making -----------------------------------------------------------------------------------------------------

    def trigger_sqls(self, pair: Pair, table: Table, *, anew: bool = False) -> Iterator[str]:
        """Render the statements that make the triggers of a pair, where ``anew`` in the place of the existing ones."""
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
        # A comment would not survive a dump: its statements are comments themselves, and a client strips comments.
        on_catalogue = f"BEGIN {NOTED_AS} {pair.literal_note}; {body}END"
        return f"{head.replace('{}', trigger)} ON {table} FOR EACH ROW {follows}{on_catalogue}"

    def renew_triggers(self, pair: Pair, table: Table) -> Plan:
        """Make the triggers again of which no dump could be read: their notes are comments."""
        texts = self.triggers_of_pair(pair.table, pair.name)
        if not any(f"/*{MARK}" in text for text in texts.values()):
            return
        first, *others = self.replaced_sqls(pair, pair, table)
        variables = STRICT if pair.winner is None else LENIENT
        does = (
            f"the triggers that keep {pair.source} and {pair.shadow} of {pair.table} in sync can be dumped and restored"
        )
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
        """Look how the columns are called: it serves before and after they swap their names."""
        before, after = (self._one_way(one, event) for one in (pair, replace(pair, value=pair.back, type=None)))
        looked = (
            "(SELECT COLUMN_COMMENT FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE()"
            f" AND TABLE_NAME = {self.literal(pair.table.name)} AND COLUMN_NAME = {self.literal(pair.shadow)})"
        )
        return f"IF {looked} = {self.literal(mark(pair))} THEN BEGIN {before}END; ELSE BEGIN {after}END; END IF; "

    # Bodies -----------------------------------------------------------------------------------------------------

    def _pair_body(self, pair: Pair, table: Table, event: str) -> str:
        if self.is_computed(pair, table):
            # The server itself keeps them in sync: the trigger holds the note.
            return ""
        if pair.winner is None:
            return self._one_way(pair, event)
        return self._two_way_insert(pair, table) if event == "INSERT" else self._two_way_update(pair)

    def _one_way(self, pair: Pair, event: str) -> str:
        new, old, shadow = (f"{row}.{self.quoted(one)}" for row, one in _places(pair))
        value = new if pair.value is None else self._evaluated(pair, new)
        # The write is the application's, which knows nothing of the shadow column: it must go well.
        handler = f"DECLARE CONTINUE HANDLER FOR SQLEXCEPTION SET {shadow} = NULL; "
        handler += self._refused_by_warning(pair, shadow)
        follow = f"SET {shadow} = {value}; "
        # MariaDB checks its JSON after the trigger.
        if (pair.type or "").lower() == "json":
            follow += f"IF NOT JSON_VALID({shadow}) THEN SET {shadow} = NULL; END IF; "
        return handler + (follow if event == "INSERT" else f"IF NOT {same(new, old)} THEN {follow}END IF; ")

    def _refused_by_warning(self, pair: Pair, shadow: str) -> str:
        """Some refusals count as warnings to a handler, as the rounding of a DECIMAL does too: that one is no error."""
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
        """Take the one that is not its default for the one that was written."""
        given = self.constant_default(table, pair.source)
        first, second = map(self._new, _ranked(pair))
        if given is None:
            if self.default_of(table, pair.source) is not None and not self.leans(table, pair):
                # The shadow column alone has no default.
                first, second = self._new(pair.shadow), self._new(pair.source)
            return f"IF {first} IS NOT NULL THEN SET {second} = {first}; ELSE SET {first} = {second}; END IF; "
        # A variable of its type, or the default 0.1 of a FLOAT would be another number than the value.
        declared = f"DECLARE safeops_default {self._type_of(table, pair.source)} DEFAULT {given}; "
        written = f"NOT {same(first, 'safeops_default')}"
        return f"{declared}IF {written} THEN SET {second} = {first}; ELSE SET {first} = {second}; END IF; "

    def _new(self, column: str) -> str:
        return f"NEW.{self.quoted(column)}"

    def _type_of(self, table: Table, column: str) -> str:
        """Return the type of a column with its character set, which a variable would take from the database."""
        bare = definition_of(table, column).clauses["type"]
        parameters = {"schema": table.name.schema, "table": table.name.name, "column": column}
        charset, collation = self._asked(COLLATION, **parameters)[0]
        return f"{bare} CHARACTER SET {charset} COLLATE {collation}" if charset else bare

    # Defaults ---------------------------------------------------------------------------------------------------

    def default_of(self, table: Table, column: str) -> str | None:
        text = definition_of(table, column).get("DEFAULT")
        return None if text is None or text.upper() == "NULL" else text

    def constant_default(self, table: Table, column: str) -> str | None:
        """Return the default that each column of a row gets alike; None where it has none, or a call makes it."""
        text = self.default_of(table, column)
        words = re.sub(r"current_timestamp(\(\d\))?", "", spelling.default(text) or "")
        found = sqltext.tokens(words)
        calls = any(token == "(" for _, token in found) or any(token.startswith("`") for _, token in found)
        return None if calls else text

    def leans(self, table: Table, pair: Pair) -> bool:
        """Tell whether the source has its shadow column for a default: so an INSERT ... SELECT may leave it out."""
        default = spelling.default(self.default_of(table, pair.source)) or ""
        return default.startswith("`") and showcreate.name_of(default).casefold() == pair.shadow.casefold()

    def is_computed(self, pair: Pair, table: Table) -> bool:
        """Tell whether the server computes the shadow column of a source that is computed or counted itself."""
        found = definition_of(table, pair.source)
        return pair.winner is not None and (found.get("GENERATED") is not None or is_counted(table, pair.source))


def trigger_name(pair: str, event: str) -> str:
    return f"{pair}_{event.lower()}"


def interim_name(pair: str, event: str) -> str:
    return f"{pair}_{event[:3].lower()}pass"


def mark(pair: Pair) -> str:
    """Return the comment of the column that was added for a pair, or that stays behind."""
    return f"{MARK}{pair.name}{' switched' if pair.switched else ''}"


def same(one: str, other: str) -> str:
    """Compare two values to the last bit: equal letters may differ in case, and equal texts of numbers in a digit."""
    return f"({one} <=> {other} AND CAST({one} AS BINARY) <=> CAST({other} AS BINARY))"


def _ranked(pair: Pair) -> tuple[str, str]:
    """Return the winner and the other."""
    return (pair.source, pair.shadow) if pair.winner == pair.source else (pair.shadow, pair.source)


def _places(pair: Pair) -> tuple[tuple[str, str], ...]:
    return ("NEW", pair.source), ("OLD", pair.source), ("NEW", pair.shadow)


def _on(database: Database, table: Name) -> str:
    schema = database.literal(table.schema) if table.schema else "DATABASE()"
    return f"EVENT_OBJECT_SCHEMA = {schema} AND EVENT_OBJECT_TABLE = {database.literal(table.name)}"
