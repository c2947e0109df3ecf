"""The plans of MariaDB and MySQL for a column and its shadow column.

Two columns of one type exchange their names in one statement, and applications see no difference. So a rename keeps the
column itself, with its indexes and constraints, and drops the shadow column. Its comment marks a shadow column.
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
from safeops.shadow.mysql.checks import (
    SyncChecks,
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
)
from safeops.shadow.mysql.triggers import LENIENT, Locked, mark, same

TRIAL = "safeops_probe"


class ShadowColumns(SyncChecks):
    """See ``safeops.databases.triggers``."""

    def check_pair(self, pair: Pair, table: Table) -> None:
        super().check_pair(pair, table)
        is_new = pair.winner is None and not pair.switched and pair.shadow not in table.columns
        if is_new and not showcreate.read(table.sql).is_partitioned:
            self._try_out(replace(pair, table=Name(TRIAL, pair.table.schema)), table)

    def _try_out(self, pair: Pair, table: Table) -> None:
        """Change the type on an empty temporary copy: this finds errors before the fill."""
        trial = self.quoted_table(pair.table)
        with self.database.bounded(), self.database.allowing_probes():
            try:
                if not self._copied_for_trial(trial, table):
                    return
                self.run(
                    self.database.ddl.alter_sql(
                        pair.table, f"ADD {self.quoted(pair.shadow)} {self._shadow_definition(pair, table)}"
                    )
                )
                copied = table_of(self.read(f"SHOW CREATE TABLE {trial}")[0][1], pair.table)
                for item in self._originals_on(copied, pair.source):
                    self.run(self._index_copied(pair, item))
                source, shadow = (repeatable(copied, one) for one in (pair.source, pair.shadow))
                kept = replace(pair, switched=True)
                self.run(
                    self.database.ddl.alter_sql(pair.table, self._exchange_action(pair, copied, kept, source, shadow))
                )
            finally:
                if not self.database.connection.invalidated:
                    self.run(f"DROP TEMPORARY TABLE IF EXISTS {trial}")

    def _copied_for_trial(self, trial: str, table: Table) -> bool:
        try:
            self.run(f"CREATE TEMPORARY TABLE {trial} LIKE {self.quoted_table(table.name)}")
        except DBAPIError as error:
            if error.connection_invalidated or self.database.errors.is_lock_failure(error):
                raise
            # The account lacks a right, or the server cannot make such a copy: errors then come later.
            return False
        return True

    # Pairing ----------------------------------------------------------------------------------------------------

    def start_sync(self, pair: Pair, table: Table) -> Plan:
        """Add the shadow column, then its default and triggers under one lock: a row in between would count as filled."""
        if self.is_marked(table, pair, pair.shadow):
            # An interrupted run: new rows without triggers may have the default of the shadow column.
            yield from self.drop_shadow(pair, table)
            table = self._reread(table)
        action = f"ADD COLUMN {self.quoted(pair.shadow)} {self._shadow_definition(pair, table)}"
        added = self.database.ddl.alter(
            pair.table, action, f"added column {pair.shadow} to {pair.table}", instant=True, copied_if_empty=table
        )
        yield replace(added, effect=Effect(pair.table, pair.shadow), may_rewrite=True)
        yield from self._cascading(pair, table)
        first, *others = [*self._defaults_of_pair(pair, table), *self.trigger_sqls(pair, table)]
        does = f"started to keep {pair.source} and {pair.shadow} of {pair.table} in sync"
        variables = STRICT if pair.winner is None else LENIENT
        yield Locked(first, does, (pair.table,), tuple(others), variables=variables, table=pair.table)

    def _shadow_definition(self, pair: Pair, table: Table) -> Definition:
        found, marked = definition_of(table, pair.source), self.literal(mark(pair))
        if found.get("GENERATED"):
            return found.with_(COMMENT=marked)
        if pair.type is not None:
            found = retyped(found, pair.type)
        if pair.winner is not None and is_counted(table, pair.source):
            alias = f"ALWAYS AS ({self.quoted(pair.source)}) VIRTUAL"
            return Definition({"type": found.clauses["type"], "GENERATED": alias, "COMMENT": marked})
        on_update = found.get("ON UPDATE") if pair.winner is None else None
        parts = {"DEFAULT": None, "AUTO_INCREMENT": None, "CHECK": None, "INVISIBLE": None}
        return found.with_(**parts, NULL="NULL", ON_UPDATE=on_update, COMMENT=marked)

    def _cascading(self, pair: Pair, table: Table) -> Plan:
        """Copy the foreign keys whose actions change the source: no trigger fires for them, so both columns need them."""
        for key in self._own_keys(table, pair.source):
            if pair.winner is None or not changes_columns(key):
                continue
            name = self._copy_name(pair, key.name)
            columns = [pair.shadow if column.casefold() == pair.source.casefold() else column for column in key.columns]
            _, _, target = key.definition.partition(" REFERENCES ")
            spec = f"CONSTRAINT {self.quoted(name)} FOREIGN KEY ({self.quoted(*columns)}) REFERENCES {target}"
            action = f"ADD INDEX {self.quoted(name)} ({self.quoted(*columns)}), ADD {spec}"
            does = f"{pair.shadow} of {pair.table} follows {key.name} as {pair.source} does"
            also = (key.referent,) if key.referent else ()
            yield replace(self.database.ddl.alter(pair.table, action, does, also=also), variables=UNCHECKED)

    def _defaults_of_pair(self, pair: Pair, table: Table) -> Iterator[str]:
        """Render the defaults that make both columns equal after an INSERT that omits one of them."""
        if pair.winner is None or self.is_computed(pair, table):
            return
        found, default = definition_of(table, pair.source), self.constant_default(table, pair.source)
        shadow = self.quoted(pair.shadow)
        # In SET DEFAULT, MySQL reads the default of a TEXT as a literal, even in parentheses.
        if found.get("ON UPDATE") or (
            default and self.database.abilities.spells_defaults_by_type and is_wrapped(found.clauses["type"])
        ):
            whole = self._shadow_definition(pair, table).with_(DEFAULT=default, ON_UPDATE=found.get("ON UPDATE"))
            yield self.database.ddl.alter_sql(pair.table, f"MODIFY {shadow} {whole}, ALGORITHM=INSTANT")
        elif default is not None:
            action = f"ALTER COLUMN {shadow} SET DEFAULT {self.database.ddl.default_clause(default)}"
            yield self.database.ddl.alter_sql(pair.table, f"{action}, ALGORITHM=INSTANT")
        if (
            self.database.abilities.requires_values_before_triggers
            and not found.nullable
            and self.default_of(table, pair.source) is None
        ):
            # The server rejects an INSERT ... SELECT that omits it, before a trigger could fill it.
            action = f"ALTER COLUMN {self.quoted(pair.source)} SET DEFAULT ({shadow})"
            yield self.database.ddl.alter_sql(pair.table, f"{action}, ALGORITHM=INSTANT")

    # Equipping --------------------------------------------------------------------------------------------------

    def copy_indexes(self, pair: Pair, table: Table) -> Plan:
        """Copy the indexes, for queries by the shadow column; the constraints of the source apply to both."""
        # Another mark shows that a swap was interrupted: the names are exchanged, the metadata is not.
        marked = table.columns[pair.shadow].comment == mark(pair) or (
            pair.winner is not None and self.is_marked(table, pair, pair.shadow)
        )
        if not marked or (pair.winner and is_counted(table, pair.source)):
            return
        if pair.winner is None:
            # A new index would remain on the column that is dropped.
            self.check_constraints(pair, table)
        outdated = self._outdated(pair, table)
        for name in outdated:
            does = f"dropped index {name} of {pair.table}"
            step = self.database.ddl.alter(pair.table, f"DROP INDEX {self.quoted(name)}", does)
            yield replace(step, constant_time=True)
        for item in self._originals_on(table, pair.source):
            name = self._copy_name(pair, item.name)
            if name not in table.indexes or name in outdated:
                sql = self._index_copied(pair, item)
                does = f"built index {name} on {pair.table}"
                online = f"{sql} ALGORITHM=INPLACE LOCK=NONE"
                yield Step(online, does, (pair.table,), scans=True, when_assured=sql, variables=STRICT, lock=ONLINE)

    def _index_copied(self, pair: Pair, item: Item) -> str:
        name, elements = (
            self._copy_name(pair, item.name),
            ", ".join(renamed(element, pair) for element in item.elements),
        )
        kind = {"key": "", "primary key": "UNIQUE "}.get(item.kind, f"{item.kind.upper()} ")
        options = " ".join(("", *item.options)) if item.kind != "primary key" else ""
        return f"CREATE {kind}INDEX {self.quoted(name)} ON {self.quoted_table(pair.table)} ({elements}){options}"

    def _indexes_on(self, table: Table, column: str) -> list[Item]:
        items = showcreate.read(table.sql).items
        indexes = [item for item in items if item.kind not in ("foreign key", "check", "spatial")]
        return [
            index for index in indexes if column.casefold() in {column_of(part).casefold() for part in index.elements}
        ]

    def _originals_on(self, table: Table, column: str) -> list[Item]:
        """Return the indexes on a column that are not copies."""
        return [index for index in self._indexes_on(table, column) if not index.name.startswith("safeops_")]

    def _outdated(self, pair: Pair, table: Table) -> list[str]:
        """Return the copies whose original was dropped, or whose column another pair has exchanged."""
        wanted = {self._copy_name(pair, index.name): index for index in self._originals_on(table, pair.source)}
        lost = [one.name for one in self._indexes_on(table, pair.shadow) if one.name not in wanted]
        # The shadow column of a rename also has indexes for its foreign keys.
        found = [one for one in lost if one.startswith("safeops_") and pair.winner is None]
        for item in showcreate.read(table.sql).items:
            original = wanted.get(item.name)
            columns = [renamed(part, pair) for part in original.elements] if original else []
            if original and [*map(column_of, item.elements)] != [*map(column_of, columns)]:
                found.append(item.name)
        return found

    def _copy_name(self, pair: Pair, original: str) -> str:
        return fitting("safeops", pair.shadow, original, max_bytes=self.database.abilities.max_identifier)

    # Promoting --------------------------------------------------------------------------------------------------

    def swap_columns(self, pair: Pair, table: Table, kept: Pair | None) -> Plan:
        if kept is not None:
            yield from self._exchange(pair, table, kept)
            return
        if self.is_marked(table, pair, pair.shadow):
            self._refuse_new_indexes(pair, table)
            yield from self._default_taken_back(pair, table)
            yield from self._comment_taken_over(pair, table)
            yield self._names_exchanged(pair, table)
            table = self._reread(table)
        yield from self.drop_shadow(pair.mirrored, table)

    def _comment_taken_over(self, pair: Pair, table: Table) -> Plan:
        """Give the kept column the comment that its author set on the new name, if it is not the mark of a pair."""
        new = table.columns[pair.shadow].comment
        if not (new or "").startswith(MARK) and new != table.columns[pair.source].comment:
            yield from self.database.ddl.set_comment(pair.table, pair.source, new, table)

    def _names_exchanged(self, pair: Pair, table: Table) -> Step:
        """Swap the names of two columns of one type; the triggers treat both alike, so applications see no difference."""
        source, shadow = self.quoted(pair.source), self.quoted(pair.shadow)
        checks = [] if self.database.abilities.renames_what_is_used else self._checks_of_pair(pair, table)
        actions = [f"DROP CHECK {self.quoted(check.name)}" for check in checks]
        actions += [f"RENAME COLUMN {source} TO {shadow}", f"RENAME COLUMN {shadow} TO {source}"]
        actions += [
            f"ADD CONSTRAINT {self.quoted(check.name)} CHECK {' '.join((exchanged(check.text, pair), *check.options))}"
            for check in checks
        ]
        does = f"exchanged the names of {pair.source} and {pair.shadow} of {pair.table}"
        return self.database.ddl.alter(pair.table, ", ".join(actions), does, instant=True, copied_if_empty=table)

    def _checks_of_pair(self, pair: Pair, table: Table) -> list[Item]:
        found = {check.name: check for name in (pair.source, pair.shadow) for check in self.checks_on(table, name)}
        return [*found.values()]

    def _refuse_new_indexes(self, pair: Pair, table: Table) -> None:
        """Refuse new indexes and constraints on the shadow column: they would be dropped with it."""
        found = [owned.name for owned in table.things_using(pair.shadow) if not owned.name.startswith("safeops")]
        if found:
            raise DependentObjects(
                f"{', '.join(sorted(set(found)))} of {pair.table} uses {pair.shadow}, and is not a copy that safeops made.",
                why="The column keeps the indexes and constraints of its old name; those of the new name are dropped.",
                remedy="Drop it in an earlier step, and create it again after this one.",
            )

    def _exchange(self, pair: Pair, table: Table, kept: Pair) -> Plan:
        source, shadow = (repeatable(table, one) for one in (pair.source, pair.shadow))
        does = f"{pair.source} of {pair.table} has the type {shadow.clauses['type']}"
        if not source.nullable and shadow.nullable:
            yield self._pass_not_null_on(pair, source, shadow)
            source, shadow = source.with_(NULL="NULL"), shadow.not_null
        exchange = (
            self.database.ddl.alter_sql(pair.table, self._exchange_action(pair, table, kept, source, shadow))
            + self.database.abilities.without_copy
        )
        first, *others = self.replaced_sqls(pair, kept, table, exchange)
        yield Locked(first, does, (pair.table,), tuple(others), variables=STRICT, table=pair.table)

    def _pass_not_null_on(self, pair: Pair, source: Definition, shadow: Definition) -> Step:
        """Let the shadow column reject NULL for both: the swap then changes only names."""
        relaxed = source.with_(NULL="NULL")
        # The trigger always writes it, but without a default the server rejects an INSERT ... SELECT before that.
        firm = shadow.not_null.with_(DEFAULT=placeholder(shadow.clauses["type"]))
        action = f"MODIFY {self.quoted(pair.shadow)} {firm}, MODIFY {self.quoted(pair.source)} {relaxed}"
        return self.database.ddl.alter(
            pair.table, action, f"{pair.shadow} of {pair.table} is NOT NULL", variables=STRICT
        )

    def _exchange_action(self, pair: Pair, table: Table, kept: Pair, source: Definition, shadow: Definition) -> str:
        indexes = [index.name for index in self._originals_on(table, pair.source)]
        parts = [f"DROP INDEX {self.quoted(index)}" for index in indexes]
        parts += [
            f"RENAME INDEX {self.quoted(self._copy_name(pair, index))} TO {self.quoted(index)}" for index in indexes
        ]
        bare = source.with_(NULL="NULL", DEFAULT=None, INVISIBLE=None, COMMENT=self.literal(mark(kept)))
        default = source.get("DEFAULT")
        if self.database.abilities.spells_defaults_by_type:
            default = default_for(shadow.clauses["type"], default, source.clauses["type"])
        full = shadow.with_(DEFAULT=default, INVISIBLE=source.get("INVISIBLE"), COMMENT=source.get("COMMENT"))
        full = full if shadow.nullable else full.not_null
        names = self.quoted(pair.source), self.quoted(pair.shadow)
        parts.append(f"CHANGE {names[0]} {names[1]} {renamed(str(bare), pair)}")
        parts.append(f"CHANGE {names[1]} {names[0]} {renamed(str(full), pair.mirrored)}")
        return ", ".join(parts)

    # Parting ----------------------------------------------------------------------------------------------------

    def drop_shadow(self, pair: Pair, table: Table) -> Plan:
        """Undo the pair. If applications write both columns, drop the column before the triggers."""
        if pair.shadow not in table.columns:
            # An interrupted run: until the triggers are dropped each write fails.
            yield from self.drop_triggers(pair)
            return
        if pair.winner is not None and self.is_marked(table, pair, pair.source):
            # An interrupted swap_columns left it so: the kept column must be the original again.
            yield self._names_exchanged(pair, table)
            table = self._reread(table)
        if pair.winner is None:
            yield from self._source_restored(pair, table)
            yield from self.drop_triggers(pair)
        yield from self._default_taken_back(pair, table)
        parts = [self.database.ddl.key_dropped(key.name) for key in self._own_keys(table, pair.shadow)]
        parts += [f"DROP INDEX {self.quoted(index.name)}" for index in self._indexes_on(table, pair.shadow)]
        if parts:
            does = f"dropped the indexes of {pair.shadow} of {pair.table}"
            yield replace(self.database.ddl.alter(pair.table, ", ".join(parts), does), constant_time=True)
        yield self._column_dropped(pair, table)
        yield from self.drop_triggers(pair)

    def _default_taken_back(self, pair: Pair, table: Table) -> Plan:
        """Drop a default that an earlier version gave the source: the server cannot rename the column that it names."""
        if self.leans(table, pair) and not self.database.abilities.requires_values_before_triggers:
            action = f"ALTER COLUMN {self.quoted(pair.source)} DROP DEFAULT"
            yield self.database.ddl.alter(
                pair.table, action, f"{pair.source} of {pair.table} is as it was", instant=True
            )

    def _column_dropped(self, pair: Pair, table: Table) -> Step:
        """Drop the column and then its triggers under one lock: a write without triggers would be lost with the column."""
        leans = self.database.abilities.requires_values_before_triggers and self.leans(table, pair)
        lent = f"ALTER COLUMN {self.quoted(pair.source)} DROP DEFAULT, " if leans else ""
        action = f"{lent}DROP COLUMN {self.quoted(pair.shadow)}"
        does = f"dropped column {pair.shadow} of {pair.table}"
        step = self.database.ddl.alter(pair.table, action, does, instant=True)
        if pair.winner is None:
            return step
        drops = tuple(self._dropping(pair.table, trigger_name) for trigger_name in self.trigger_names(pair))
        ways = step.sql, does, step.locks, drops
        return Locked(
            *ways, when_assured=step.when_assured, alternatives=step.alternatives, lock=METADATA, table=pair.table
        )

    def _source_restored(self, pair: Pair, table: Table) -> Plan:
        """Make the source NOT NULL again."""
        source, does = repeatable(table, pair.source), f"{pair.source} of {pair.table} is as it was"
        if source.nullable and not table.columns[pair.shadow].nullable:
            yield self.database.ddl.modify(pair.table, pair.source, source.not_null, does)

    def is_swapped(self, pair: Pair, table: Table) -> bool:
        # The column that was added for the pair has the mark, and was about to be dropped.
        existing = table.columns.get(pair.shadow)
        return pair.winner is not None and existing is not None and not self.is_marked(table, pair, pair.shadow)

    # Conditions -------------------------------------------------------------------------------------------------

    def shadow_value(self, pair: Pair) -> str:
        return self.quoted(pair.source) if pair.value is None else f"({pair.value})"

    def unfilled(self, pair: Pair) -> str:
        return f"{self.quoted(pair.shadow)} IS NULL AND {self.shadow_value(pair)} IS NOT NULL"

    def out_of_sync(self, pair: Pair) -> str:
        shadow, value = self.quoted(pair.shadow), self.shadow_value(pair)
        return f"NOT {same(shadow, value) if pair.type is None else converted_alike(shadow, value, pair.type)}"

    # Details ----------------------------------------------------------------------------------------------------

    def _own_keys(self, table: Table, column: str) -> list[Constraint]:
        keys = [constraint for constraint in table.constraints.values() if constraint.kind == "foreign key"]
        return [key for key in keys if column.casefold() in map(str.casefold, key.columns)]

    def _reread(self, table: Table) -> Table:
        found = self.database.table(table.name)
        assert found is not None
        return found
