"""The plans of MariaDB and MySQL for a column and its twin.

Two columns of one type exchange their names in one statement, which changes nothing for anybody: so a rename keeps the
column itself, with all that stands on it, and lets the twin go. A twin is told from a user's column by its comment.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sqlalchemy.exc import DBAPIError

from safeops.databases.definitions import Constraint, Table
from safeops.databases.mysql import showcreate
from safeops.databases.mysql.alter_table import STRICT
from safeops.databases.mysql.catalogue import definition_of, is_counted, table_of
from safeops.databases.mysql.ddl import UNCHECKED
from safeops.databases.mysql.server import METADATA, ONLINE
from safeops.databases.mysql.showcreate import Definition, Item
from safeops.databases.steps import Plan, Step
from safeops.databases.triggers import MARK, Pair
from safeops.errors import DependentObjects
from safeops.naming import Name, fitting
from safeops.planned import Effect
from safeops.shadow.mysql.checks import TwinChecks
from safeops.shadow.mysql.spelling import (
    changes_columns,
    column_of,
    converted_alike,
    default_for,
    exchanged,
    is_wrapped,
    placeholder,
    renamed,
    repeatable,
    retyped,
    strict,
)
from safeops.shadow.mysql.triggers import LENIENT, Locked, mark, same

TRIAL = "safeops_probe"


class ShadowColumns(TwinChecks):
    """See ``safeops.databases.triggers``."""

    def check_pair(self, pair: Pair, stands: Table) -> None:
        super().check_pair(pair, stands)
        is_new = pair.winner is None and not pair.switched and pair.shadow not in stands.columns
        if is_new and not showcreate.read(stands.sql).is_partitioned:
            self._try_out(replace(pair, table=Name(TRIAL, pair.table.schema)), stands)

    def _try_out(self, pair: Pair, stands: Table) -> None:
        """Change the type on an empty temporary copy: what the server refuses there, it would refuse after the fill."""
        trial = self.quoted_table(pair.table)
        with self.database.bounded(), self.database.trying_out():
            try:
                if not self._copied_for_trial(trial, stands):
                    return
                self.run(
                    self.database.ddl.alter_sql(
                        pair.table, f"ADD {self.quoted(pair.shadow)} {self._twin_definition(pair, stands)}"
                    )
                )
                copied = table_of(self.read(f"SHOW CREATE TABLE {trial}")[0][1], pair.table)
                for item in self._originals_on(copied, pair.source):
                    self.run(self._index_copied(pair, item))
                source, twin = (repeatable(copied, one) for one in (pair.source, pair.shadow))
                kept = replace(pair, switched=True)
                self.run(
                    self.database.ddl.alter_sql(pair.table, self._exchange_action(pair, copied, kept, source, twin))
                )
            finally:
                if not self.database.connection.invalidated:
                    self.run(f"DROP TEMPORARY TABLE IF EXISTS {trial}")

    def _copied_for_trial(self, trial: str, stands: Table) -> bool:
        try:
            self.run(f"CREATE TEMPORARY TABLE {trial} LIKE {self.quoted_table(stands.name)}")
        except DBAPIError as error:
            if error.connection_invalidated or self.database.errors.is_lock_failure(error):
                raise
            # This account may not, or the server makes no such copy: what it refuses is then seen later.
            return False
        return True

    # Pairing ----------------------------------------------------------------------------------------------------

    def pair_up(self, pair: Pair, stands: Table) -> Plan:
        """Add the twin, then its default and the triggers while nobody writes: a row in between would count as filled."""
        if self.is_marked(stands, pair, pair.shadow):
            # Of a stopped run: rows may have come without the triggers since, with the twin's default.
            yield from self.drop_twin(pair, stands)
            stands = self._anew(stands)
        action = f"ADD COLUMN {self.quoted(pair.shadow)} {self._twin_definition(pair, stands)}"
        added = self.database.ddl.alter(
            pair.table, action, f"added column {pair.shadow} to {pair.table}", instant=True, free=stands
        )
        yield replace(added, effect=Effect(pair.table, pair.shadow), may_rewrite=True)
        yield from self._cascading(pair, stands)
        first, *others = [*self._defaults_of_pair(pair, stands), *self.trigger_sqls(pair, stands)]
        does = f"{pair.source} and {pair.shadow} of {pair.table} are kept in step"
        variables = STRICT if pair.winner is None else LENIENT
        yield Locked(first, does, (pair.table,), tuple(others), variables=variables, table=pair.table)

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
            columns = [pair.shadow if one.casefold() == pair.source.casefold() else one for one in key.columns]
            _, _, target = key.definition.partition(" REFERENCES ")
            spec = f"CONSTRAINT {self.quoted(name)} FOREIGN KEY ({self.quoted(*columns)}) REFERENCES {target}"
            action = f"ADD INDEX {self.quoted(name)} ({self.quoted(*columns)}), ADD {spec}"
            does = f"{pair.shadow} of {pair.table} follows {key.name} as {pair.source} does"
            also = (key.referent,) if key.referent else ()
            yield replace(self.database.ddl.alter(pair.table, action, does, also=also), variables=UNCHECKED)

    def _defaults_of_pair(self, pair: Pair, stands: Table) -> Iterator[str]:
        """Render what makes the two answer alike to an INSERT that leaves one of them out."""
        if pair.winner is None or self.is_computed(pair, stands):
            return
        found, default = definition_of(stands, pair.source), self.constant_default(stands, pair.source)
        twin = self.quoted(pair.shadow)
        # MySQL takes the default of a TEXT for a literal in SET DEFAULT, whatever its parentheses.
        if found.get("ON UPDATE") or (
            default and self.database.abilities.spells_defaults_by_type and is_wrapped(found.clauses["type"])
        ):
            whole = self._twin_definition(pair, stands).with_(DEFAULT=default, ON_UPDATE=found.get("ON UPDATE"))
            yield self.database.ddl.alter_sql(pair.table, f"MODIFY {twin} {whole}, ALGORITHM=INSTANT")
        elif default is not None:
            action = f"ALTER COLUMN {twin} SET DEFAULT {self.database.ddl.default_clause(default)}"
            yield self.database.ddl.alter_sql(pair.table, f"{action}, ALGORITHM=INSTANT")
        if (
            self.database.abilities.requires_values_before_triggers
            and not found.nullable
            and self.default_of(stands, pair.source) is None
        ):
            # The server refuses an INSERT ... SELECT that leaves it out, before any trigger could fill it.
            action = f"ALTER COLUMN {self.quoted(pair.source)} SET DEFAULT ({twin})"
            yield self.database.ddl.alter_sql(pair.table, f"{action}, ALGORITHM=INSTANT")

    # Equipping --------------------------------------------------------------------------------------------------

    def equip_twin(self, pair: Pair, stands: Table) -> Plan:
        """Copy the indexes for those who look for rows by the twin; constraints hold for it as they do for the source."""
        # Another mark says that a stop came in the middle of an exchange: the names are exchanged, the note is not.
        marked = stands.columns[pair.shadow].comment == mark(pair) or (
            pair.winner is not None and self.is_marked(stands, pair, pair.shadow)
        )
        if not marked or (pair.winner and is_counted(stands, pair.source)):
            return
        if pair.winner is None:
            # One that has come since would stay on the column that goes.
            self.check_constraints(pair, stands)
        outdated = self._outdated(pair, stands)
        for name in outdated:
            does = f"dropped index {name} of {pair.table}"
            step = self.database.ddl.alter(pair.table, f"DROP INDEX {self.quoted(name)}", does)
            yield replace(step, constant_time=True)
        for item in self._originals_on(stands, pair.source):
            name = self._copy_name(pair, item.name)
            if name not in stands.indexes or name in outdated:
                sql = self._index_copied(pair, item)
                does = f"built index {name} on {pair.table}"
                online = f"{sql} ALGORITHM=INPLACE LOCK=NONE"
                yield Step(online, does, (pair.table,), scans=True, when_assured=sql, variables=STRICT, lock=ONLINE)

    def _index_copied(self, pair: Pair, item: Item) -> str:
        name, elements = self._copy_name(pair, item.name), ", ".join(renamed(one, pair) for one in item.elements)
        kind = {"key": "", "primary key": "UNIQUE "}.get(item.kind, f"{item.kind.upper()} ")
        options = " ".join(("", *item.options)) if item.kind != "primary key" else ""
        return f"CREATE {kind}INDEX {self.quoted(name)} ON {self.quoted_table(pair.table)} ({elements}){options}"

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
        lost = [one.name for one in self._indexes_on(stands, pair.shadow) if one.name not in wanted]
        # A rename's twin has indexes for its foreign keys too.
        found = [one for one in lost if one.startswith("safeops_") and pair.winner is None]
        for one in showcreate.read(stands.sql).items:
            original = wanted.get(one.name)
            columns = [renamed(part, pair) for part in original.elements] if original else []
            if original and [*map(column_of, one.elements)] != [*map(column_of, columns)]:
                found.append(one.name)
        return found

    def _copy_name(self, pair: Pair, original: str) -> str:
        return fitting("safeops", pair.shadow, original, max_bytes=self.database.abilities.max_identifier)

    # Promoting --------------------------------------------------------------------------------------------------

    def promote_twin(self, pair: Pair, stands: Table, kept: Pair | None) -> Plan:
        if kept is not None:
            yield from self._exchange(pair, stands, kept)
            return
        if self.is_marked(stands, pair, pair.shadow):
            self._refuse_new_indexes(pair, stands)
            yield from self._default_taken_back(pair, stands)
            yield from self._comment_taken_over(pair, stands)
            yield self._names_exchanged(pair, stands)
            stands = self._anew(stands)
        yield from self.drop_twin(pair.mirrored, stands)

    def _comment_taken_over(self, pair: Pair, stands: Table) -> Plan:
        """Give the column that stays the comment that its author has given to the new name; the mark of ours is none."""
        new = stands.columns[pair.shadow].comment
        if not (new or "").startswith(MARK) and new != stands.columns[pair.source].comment:
            yield from self.database.ddl.set_comment(pair.table, pair.source, new, stands)

    def _names_exchanged(self, pair: Pair, stands: Table) -> Step:
        """Exchange the names of two of one type; the triggers say the same of both, so that applications do not notice."""
        source, twin = self.quoted(pair.source), self.quoted(pair.shadow)
        checks = [] if self.database.abilities.renames_what_is_used else self._checks_of_pair(pair, stands)
        actions = [f"DROP CHECK {self.quoted(one.name)}" for one in checks]
        actions += [f"RENAME COLUMN {source} TO {twin}", f"RENAME COLUMN {twin} TO {source}"]
        actions += [
            f"ADD CONSTRAINT {self.quoted(one.name)} CHECK {exchanged(one.text, pair)} {' '.join(one.options)}".rstrip()
            for one in checks
        ]
        does = f"{pair.source} and {pair.shadow} of {pair.table} exchanged their names"
        return self.database.ddl.alter(pair.table, ", ".join(actions), does, instant=True, free=stands)

    def _checks_of_pair(self, pair: Pair, stands: Table) -> list[Item]:
        found = {one.name: one for name in (pair.source, pair.shadow) for one in self.checks_on(stands, name)}
        return [*found.values()]

    def _refuse_new_indexes(self, pair: Pair, stands: Table) -> None:
        """Refuse indexes and constraints that were made for the new name meanwhile: they would go with the twin."""
        found = [one.name for one in stands.having(pair.shadow) if not one.name.startswith("safeops")]
        if found:
            raise DependentObjects(
                f"{', '.join(sorted(set(found)))} of {pair.table} stands on {pair.shadow} beside the copies made for it.",
                why="The column keeps the indexes and constraints that it had under its old name; the copies go.",
                remedy="Drop it in an earlier step, and create it again after this one.",
            )

    def _exchange(self, pair: Pair, stands: Table, kept: Pair) -> Plan:
        source, twin = (repeatable(stands, one) for one in (pair.source, pair.shadow))
        does = f"{pair.source} of {pair.table} has the type {twin.clauses['type']}"
        if not source.nullable and twin.nullable:
            yield self._pass_not_null_on(pair, source, twin)
            source, twin = source.with_(NULL="NULL"), strict(twin)
        exchange = (
            self.database.ddl.alter_sql(pair.table, self._exchange_action(pair, stands, kept, source, twin))
            + self.database.abilities.without_copy
        )
        first, *others = self.replaced_sqls(pair, kept, stands, exchange)
        yield Locked(first, does, (pair.table,), tuple(others), variables=STRICT, table=pair.table)

    def _pass_not_null_on(self, pair: Pair, source: Definition, twin: Definition) -> Step:
        """Have the twin refuse NULL for both: so the exchange of their names needs to change nothing but names."""
        relaxed = source.with_(NULL="NULL")
        # The trigger always writes it, but without a default the server refuses an INSERT ... SELECT before that.
        firm = strict(twin).with_(DEFAULT=placeholder(twin.clauses["type"]))
        action = f"MODIFY {self.quoted(pair.shadow)} {firm}, MODIFY {self.quoted(pair.source)} {relaxed}"
        return self.database.ddl.alter(
            pair.table, action, f"{pair.shadow} of {pair.table} is NOT NULL", variables=STRICT
        )

    def _exchange_action(self, pair: Pair, stands: Table, kept: Pair, source: Definition, twin: Definition) -> str:
        indexes = [one.name for one in self._originals_on(stands, pair.source)]
        parts = [f"DROP INDEX {self.quoted(one)}" for one in indexes]
        parts += [f"RENAME INDEX {self.quoted(self._copy_name(pair, one))} TO {self.quoted(one)}" for one in indexes]
        bare = source.with_(NULL="NULL", DEFAULT=None, INVISIBLE=None, COMMENT=self.literal(mark(kept)))
        default = source.get("DEFAULT")
        if self.database.abilities.spells_defaults_by_type:
            default = default_for(twin.clauses["type"], default, source.clauses["type"])
        full = twin.with_(DEFAULT=default, INVISIBLE=source.get("INVISIBLE"), COMMENT=source.get("COMMENT"))
        full = full if twin.nullable else strict(full)
        names = self.quoted(pair.source), self.quoted(pair.shadow)
        parts.append(f"CHANGE {names[0]} {names[1]} {renamed(str(bare), pair)}")
        parts.append(f"CHANGE {names[1]} {names[0]} {renamed(str(full), pair.mirrored)}")
        return ", ".join(parts)

    # Parting ----------------------------------------------------------------------------------------------------

    def drop_twin(self, pair: Pair, stands: Table) -> Plan:
        """Undo what was made for the pair. Of two that applications write, the column goes before the triggers do."""
        if pair.shadow not in stands.columns:
            # Stopped in between: until then each write fails.
            yield from self.drop_triggers(pair)
            return
        if pair.winner is not None and self.is_marked(stands, pair, pair.source):
            # A stopped promote_twin left it so: what is to stay has to be the column itself again.
            yield self._names_exchanged(pair, stands)
            stands = self._anew(stands)
        if pair.winner is None:
            yield from self._source_restored(pair, stands)
            yield from self.drop_triggers(pair)
        yield from self._default_taken_back(pair, stands)
        parts = [self.database.ddl.key_dropped(one.name) for one in self._own_keys(stands, pair.shadow)]
        parts += [f"DROP INDEX {self.quoted(one.name)}" for one in self._indexes_on(stands, pair.shadow)]
        if parts:
            does = f"dropped the indexes of {pair.shadow} of {pair.table}"
            yield replace(self.database.ddl.alter(pair.table, ", ".join(parts), does), constant_time=True)
        yield self._column_dropped(pair, stands)
        yield from self.drop_triggers(pair)

    def _default_taken_back(self, pair: Pair, stands: Table) -> Plan:
        """Drop a default that only an earlier version gave the source here: the server renames no column that it names."""
        if self.leans(stands, pair) and not self.database.abilities.requires_values_before_triggers:
            action = f"ALTER COLUMN {self.quoted(pair.source)} DROP DEFAULT"
            yield self.database.ddl.alter(
                pair.table, action, f"{pair.source} of {pair.table} is as it was", instant=True
            )

    def _column_dropped(self, pair: Pair, stands: Table) -> Step:
        """Drop the column and then its triggers in one lock: a write that came without them would be lost with it."""
        leans = self.database.abilities.requires_values_before_triggers and self.leans(stands, pair)
        lent = f"ALTER COLUMN {self.quoted(pair.source)} DROP DEFAULT, " if leans else ""
        action = f"{lent}DROP COLUMN {self.quoted(pair.shadow)}"
        does = f"dropped column {pair.shadow} of {pair.table}"
        step = self.database.ddl.alter(pair.table, action, does, instant=True)
        if pair.winner is None:
            return step
        drops = tuple(self._dropping(pair.table, one) for one in self.trigger_names(pair))
        ways = step.sql, does, step.locks, drops
        return Locked(
            *ways, when_assured=step.when_assured, alternatives=step.alternatives, lock=METADATA, table=pair.table
        )

    def _source_restored(self, pair: Pair, stands: Table) -> Plan:
        """Give the source back what it lent to its twin."""
        source, does = repeatable(stands, pair.source), f"{pair.source} of {pair.table} is as it was"
        if source.nullable and not stands.columns[pair.shadow].nullable:
            yield self.database.ddl.modify(pair.table, pair.source, str(strict(source)), does)

    def is_promoted(self, pair: Pair, stands: Table) -> bool:
        # The column that was added for the pair has the mark, and it was to go.
        there = stands.columns.get(pair.shadow)
        return pair.winner is not None and there is not None and not self.is_marked(stands, pair, pair.shadow)

    # Conditions -------------------------------------------------------------------------------------------------

    def twin_value(self, pair: Pair) -> str:
        return self.quoted(pair.source) if pair.value is None else f"({pair.value})"

    def unfilled(self, pair: Pair) -> str:
        return f"{self.quoted(pair.shadow)} IS NULL AND {self.twin_value(pair)} IS NOT NULL"

    def out_of_step(self, pair: Pair) -> str:
        twin, value = self.quoted(pair.shadow), self.twin_value(pair)
        return f"NOT {same(twin, value) if pair.type is None else converted_alike(twin, value, pair.type)}"

    # Details ----------------------------------------------------------------------------------------------------

    def _own_keys(self, stands: Table, column: str) -> list[Constraint]:
        keys = [one for one in stands.constraints.values() if one.kind == "foreign key"]
        return [one for one in keys if column.casefold() in map(str.casefold, one.columns)]

    def _anew(self, stands: Table) -> Table:
        found = self.database.table(stands.name)
        assert found is not None
        return found
