"""The plans of MariaDB and MySQL for a column and its twin.

Two columns of one type exchange their names in one statement, which changes nothing for anybody: so a rename keeps the
column itself, with all that stands on it, and lets the twin go. A twin is told from a user's column by its comment.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from safeops.databases.base import Plan
from safeops.databases.definitions import Constraint, Table
from safeops.databases.mysql import showcreate
from safeops.databases.mysql.altering import STRICT
from safeops.databases.mysql.catalogue import definition_of
from safeops.databases.mysql.constraining import UNCHECKED
from safeops.databases.mysql.showcreate import Definition, Item
from safeops.databases.mysql.twin_checks import TwinChecks, mark
from safeops.databases.mysql.twin_spelling import (
    changes_columns,
    column_of,
    converted_alike,
    placeholder,
    renamed,
    repeatable,
    retyped,
    strict,
)
from safeops.databases.mysql.twin_triggers import EVENTS, LENIENT, Locked, is_counted, same
from safeops.databases.steps import Step
from safeops.databases.twins import Pair
from safeops.errors import DependentObjects
from safeops.naming import fitting


class Twins(TwinChecks):
    """See ``safeops.databases.twins``."""

    # Pairing ----------------------------------------------------------------------------------------------------

    def pair_up(self, pair: Pair, stands: Table) -> Plan:
        """Add the twin, then its default and the triggers while nobody writes: a row in between would count as filled."""
        if self.is_marked(stands, pair, pair.twin):
            # Of a stopped run: rows may have come without the triggers since, with the twin's default.
            yield from self.drop_twin(pair, stands)
            stands = self._anew(stands)
        action = f"ADD COLUMN {self.quoted(pair.twin)} {self._twin_definition(pair, stands)}"
        yield self.alter(pair.table, action, f"added column {pair.twin} to {pair.table}", instant=True, free=stands)
        yield from self._cascading(pair, stands)
        first, *others = [*self._defaults_of_pair(pair, stands), *self.trigger_sqls(pair, stands)]
        does = f"{pair.source} and {pair.twin} of {pair.table} are kept in step"
        under = STRICT if pair.winner is None else LENIENT
        yield Locked(first, does, (pair.table,), tuple(others), under=under, table=pair.table)

    def _twin_definition(self, pair: Pair, stands: Table) -> Definition:
        found, marked = definition_of(stands, pair.source), self.literal(mark(pair))
        if found.get("GENERATED"):
            return found.with_(COMMENT=marked)
        if pair.type is not None:
            found = retyped(found, pair.type)
        if pair.winner is not None and is_counted(stands, pair.source):
            alias = f"ALWAYS AS ({self.quoted(pair.source)}) VIRTUAL"
            return Definition({"type": found.clauses["type"], "GENERATED": alias, "COMMENT": marked})
        on_update = found.get("ON UPDATE") if pair.winner is None else None
        parts = {"DEFAULT": None, "AUTO_INCREMENT": None, "CHECK": None, "INVISIBLE": None}
        return found.with_(**parts, NULL="NULL", ON_UPDATE=on_update, COMMENT=marked)

    def _cascading(self, pair: Pair, stands: Table) -> Plan:
        """Copy the foreign keys whose actions change the source: they pass triggers by, so they have to change the twin."""
        for key in self._own_keys(stands, pair.source):
            if pair.winner is None or not changes_columns(key):
                continue
            name = self._copy_name(pair, key.name)
            columns = [pair.twin if one.casefold() == pair.source.casefold() else one for one in key.columns]
            _, _, target = key.definition.partition(" REFERENCES ")
            spec = f"CONSTRAINT {self.quoted(name)} FOREIGN KEY ({self.quoted(*columns)}) REFERENCES {target}"
            action = f"ADD INDEX {self.quoted(name)} ({self.quoted(*columns)}), ADD {spec}"
            does = f"{pair.twin} of {pair.table} follows {key.name} as {pair.source} does"
            also = (key.referent,) if key.referent else ()
            yield replace(self.alter(pair.table, action, does, also=also), under=UNCHECKED)

    def _defaults_of_pair(self, pair: Pair, stands: Table) -> Iterator[str]:
        """Render what makes the two answer alike to an INSERT that leaves one of them out."""
        if pair.winner is None or self.is_computed(pair, stands):
            return
        found, default = definition_of(stands, pair.source), self.constant_default(stands, pair.source)
        twin = self.quoted(pair.twin)
        if found.get("ON UPDATE"):
            whole = self._twin_definition(pair, stands).with_(DEFAULT=default, ON_UPDATE=found.get("ON UPDATE"))
            yield self.alter_sql(pair.table, f"MODIFY {twin} {whole}, ALGORITHM=INSTANT")
        elif default is not None:
            action = f"ALTER COLUMN {twin} SET DEFAULT {self.default_clause(default)}"
            yield self.alter_sql(pair.table, f"{action}, ALGORITHM=INSTANT")
        if not found.nullable and self.default_of(stands, pair.source) is None:
            # The server refuses an INSERT ... SELECT that leaves it out, before any trigger could fill it.
            action = f"ALTER COLUMN {self.quoted(pair.source)} SET DEFAULT ({twin})"
            yield self.alter_sql(pair.table, f"{action}, ALGORITHM=INSTANT")

    # Equipping --------------------------------------------------------------------------------------------------

    def equip_twin(self, pair: Pair, stands: Table) -> Plan:
        """Copy the indexes for those who look for rows by the twin; constraints hold for it as they do for the source."""
        # Another mark says that a stop came in the middle of an exchange: the names are exchanged, the note is not.
        marked = stands.columns[pair.twin].comment == mark(pair)
        if not marked or (pair.winner and is_counted(stands, pair.source)):
            return
        if pair.winner is None:
            # One that has come since would stay on the column that goes.
            self.check_constraints(pair, stands)
        outdated = self._outdated(pair, stands)
        for name in outdated:
            yield self.alter(pair.table, f"DROP INDEX {self.quoted(name)}", f"dropped index {name} of {pair.table}")
        for item in self._originals_on(stands, pair.source):
            name = self._copy_name(pair, item.name)
            if name not in stands.indexes or name in outdated:
                elements = ", ".join(renamed(one, pair) for one in item.elements)
                kind = {"key": "", "primary key": "UNIQUE "}.get(item.kind, f"{item.kind.upper()} ")
                options = " ".join(("", *item.options)) if item.kind != "primary key" else ""
                sql = f"CREATE {kind}INDEX {self.quoted(name)} ON {self.quoted_table(pair.table)} ({elements}){options}"
                does = f"built index {name} on {pair.table}"
                online = f"{sql} ALGORITHM=INPLACE LOCK=NONE"
                yield Step(online, does, (pair.table,), scans=True, anyway=sql, under=STRICT)

    def _indexes_on(self, stands: Table, column: str) -> list[Item]:
        items = showcreate.read(stands.sql).items
        indexes = [one for one in items if one.kind not in ("foreign key", "check", "spatial")]
        return [one for one in indexes if column.casefold() in {column_of(part).casefold() for part in one.elements}]

    def _originals_on(self, stands: Table, column: str) -> list[Item]:
        """Return the indexes on a column that are nobody's copies."""
        return [one for one in self._indexes_on(stands, column) if not one.name.startswith("safeops_")]

    def _outdated(self, pair: Pair, stands: Table) -> list[str]:
        """Return the copies whose original has gone, or that stand on a column which another pair has exchanged."""
        wanted = {self._copy_name(pair, one.name): one for one in self._originals_on(stands, pair.source)}
        lost = [one.name for one in self._indexes_on(stands, pair.twin) if one.name not in wanted]
        # A rename's twin has indexes for its foreign keys too.
        found = [one for one in lost if one.startswith("safeops_") and pair.winner is None]
        for one in showcreate.read(stands.sql).items:
            original = wanted.get(one.name)
            columns = [renamed(part, pair) for part in original.elements] if original else []
            if original and [*map(column_of, one.elements)] != [*map(column_of, columns)]:
                found.append(one.name)
        return found

    def _copy_name(self, pair: Pair, original: str) -> str:
        return fitting("safeops", pair.twin, original, max_bytes=self.max_identifier)

    # Promoting --------------------------------------------------------------------------------------------------

    def promote_twin(self, pair: Pair, stands: Table, kept: Pair | None) -> Plan:
        if kept is not None:
            yield from self._exchange(pair, stands, kept)
            return
        if self.is_marked(stands, pair, pair.twin):
            self._refuse_new_indexes(pair, stands)
            yield self._names_exchanged(pair)
            stands = self._anew(stands)
        yield from self.drop_twin(pair.mirrored, stands)

    def _names_exchanged(self, pair: Pair) -> Step:
        """Exchange the names of two of one type; the triggers say the same of both, so that nobody notices."""
        source, twin = self.quoted(pair.source), self.quoted(pair.twin)
        action = f"RENAME COLUMN {source} TO {twin}, RENAME COLUMN {twin} TO {source}"
        does = f"{pair.source} and {pair.twin} of {pair.table} exchanged their names"
        return self.alter(pair.table, action, does, instant=True)

    def _refuse_new_indexes(self, pair: Pair, stands: Table) -> None:
        """Refuse indexes and constraints that were made for the new name meanwhile: they would go with the twin."""
        found = [one.name for one in stands.having(pair.twin) if not one.name.startswith("safeops")]
        if found:
            raise DependentObjects(
                f"{', '.join(sorted(set(found)))} of {pair.table} stands on {pair.twin} beside the copies made for it.",
                why="The column keeps the indexes and constraints that it had under its old name; the copies go.",
                remedy="Drop it in an earlier step, and create it again after this one.",
            )

    def _exchange(self, pair: Pair, stands: Table, kept: Pair) -> Plan:
        source, twin = (repeatable(stands, one) for one in (pair.source, pair.twin))
        does = f"{pair.source} of {pair.table} has the type {twin.clauses['type']}"
        if stands.columns[pair.twin].comment == mark(kept):
            # Stopped in between: the names are exchanged, the triggers are those from before.
            kept = replace(kept, type=stands.columns[pair.twin].type)
            first, *others = self.trigger_sqls(kept, stands, anew=True)
            yield Locked(first, does, (pair.table,), tuple(others), under=STRICT, table=pair.table)
            return
        if not source.nullable and twin.nullable:
            yield self._pass_not_null_on(pair, source, twin)
            source, twin = source.with_(NULL="NULL"), strict(twin)
        exchange = self.alter_sql(pair.table, self._exchange_action(pair, stands, kept, source, twin))
        triggers = tuple(self.trigger_sqls(kept, stands, anew=True))
        yield Locked(exchange, does, (pair.table,), triggers, under=STRICT, table=pair.table)

    def _pass_not_null_on(self, pair: Pair, source: Definition, twin: Definition) -> Step:
        """Have the twin refuse NULL for both: so the exchange of their names needs to change nothing but names."""
        relaxed = source.with_(NULL="NULL")
        # The trigger always writes it, but without a default the server refuses an INSERT ... SELECT before that.
        firm = strict(twin).with_(DEFAULT=placeholder(twin.clauses["type"]))
        action = f"MODIFY {self.quoted(pair.twin)} {firm}, MODIFY {self.quoted(pair.source)} {relaxed}"
        return self.alter(pair.table, action, f"{pair.twin} of {pair.table} is NOT NULL", under=STRICT)

    def _exchange_action(self, pair: Pair, stands: Table, kept: Pair, source: Definition, twin: Definition) -> str:
        indexes = [one.name for one in self._originals_on(stands, pair.source)]
        parts = [f"DROP INDEX {self.quoted(one)}" for one in indexes]
        parts += [f"RENAME INDEX {self.quoted(self._copy_name(pair, one))} TO {self.quoted(one)}" for one in indexes]
        bare = source.with_(NULL="NULL", DEFAULT=None, INVISIBLE=None, COMMENT=self.literal(mark(kept)))
        full = twin.with_(
            DEFAULT=source.get("DEFAULT"), INVISIBLE=source.get("INVISIBLE"), COMMENT=source.get("COMMENT")
        )
        full = full if twin.nullable else strict(full)
        names = self.quoted(pair.source), self.quoted(pair.twin)
        parts.append(f"CHANGE {names[0]} {names[1]} {renamed(str(bare), pair)}")
        parts.append(f"CHANGE {names[1]} {names[0]} {renamed(str(full), pair.mirrored)}")
        return f"{', '.join(parts)}{self.without_copy}"

    # Parting ----------------------------------------------------------------------------------------------------

    def drop_twin(self, pair: Pair, stands: Table) -> Plan:
        """Undo what was made for the pair, the triggers before the column: a trigger without its column fails each write."""
        if pair.twin not in stands.columns:
            return
        if pair.winner is not None and self.is_marked(stands, pair, pair.source):
            # A stopped promote_twin left it so: what is to stay has to be the column itself again.
            yield self._names_exchanged(pair)
            stands = self._anew(stands)
        yield from self._source_restored(pair, stands)
        there = self.triggers_of_pair(pair.table, pair.name)
        yield from (self.drop_trigger(pair, event) for event in EVENTS if event in there)
        parts = [f"DROP FOREIGN KEY {self.quoted(one.name)}" for one in self._own_keys(stands, pair.twin)]
        parts += [f"DROP INDEX {self.quoted(one.name)}" for one in self._indexes_on(stands, pair.twin)]
        if parts:
            yield self.alter(pair.table, ", ".join(parts), f"dropped the indexes of {pair.twin} of {pair.table}")
        action = f"DROP COLUMN {self.quoted(pair.twin)}"
        yield self.alter(pair.table, action, f"dropped column {pair.twin} of {pair.table}", instant=True)

    def _source_restored(self, pair: Pair, stands: Table) -> Plan:
        """Give the source back what it lent to its twin."""
        source, does = repeatable(stands, pair.source), f"{pair.source} of {pair.table} is as it was"
        if self.leans(stands, pair):
            action = f"ALTER COLUMN {self.quoted(pair.source)} DROP DEFAULT"
            yield self.alter(pair.table, action, does, instant=True)
        if pair.winner is None and source.nullable and not stands.columns[pair.twin].nullable:
            yield self.modify(pair.table, pair.source, str(strict(source)), does)

    # Conditions -------------------------------------------------------------------------------------------------

    def twin_value(self, pair: Pair) -> str:
        return self.quoted(pair.source) if pair.value is None else f"({pair.value})"

    def unfilled(self, pair: Pair) -> str:
        return f"{self.quoted(pair.twin)} IS NULL AND {self.twin_value(pair)} IS NOT NULL"

    def out_of_step(self, pair: Pair) -> str:
        twin, value = self.quoted(pair.twin), self.twin_value(pair)
        return f"NOT {same(twin, value) if pair.type is None else converted_alike(twin, value, pair.type)}"

    # Details ----------------------------------------------------------------------------------------------------

    def _own_keys(self, stands: Table, column: str) -> list[Constraint]:
        keys = [one for one in stands.constraints.values() if one.kind == "foreign key"]
        return [one for one in keys if column.casefold() in map(str.casefold, one.columns)]

    def _anew(self, stands: Table) -> Table:
        found = self.table(stands.name)
        assert found is not None
        return found
