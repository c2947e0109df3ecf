"""A column and its shadow column on SQLite: each phase is one transaction, so a stop leaves the state before or after it.

A renamed column keeps its position, constraints and indexes next to its shadow column, and is renamed in place when the pair
ends: the result equals that of ALTER TABLE RENAME COLUMN. A column of another type is rebuilt from its shadow column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from safeops.databases.definitions import Index, Table
from safeops.databases.sqlite import rebuild, spelling
from safeops.databases.sqlite.catalogue import parse
from safeops.databases.sqlite.ddl import DROPS_COLUMNS
from safeops.databases.sqlite.spelling import folded, quoted, tokens
from safeops.databases.steps import Plan, Step
from safeops.databases.triggers import MARK, Pair, pair_of
from safeops.planned import Effect
from safeops.shadow.sqlite.copies import IndexCopies, is_copy, is_on
from safeops.shadow.sqlite.triggers import (
    PairTriggers,
    default_of,
    differ,
    is_constant,
    is_not,
    is_relaxed,
    needs_relaxing,
    relaxing_constraints,
    renamed,
    restoring_constraints,
)


class ShadowColumns(IndexCopies):
    """What SQLite does for a pair."""

    def find_pair(self, table: Table, name: str) -> Pair | None:
        found = self._pair_triggers(table)
        texts = [found.get(folded(f"{name}_{event}")) for event in ("insert", "update")]
        return pair_of(texts[0] or "", table.name) if all(texts) else None

    def moving_dependents(self, pair: Pair, table: Table) -> list[str]:
        own = {folded(f"{pair.name}_{event}") for event in ("insert", "update")}
        found = self._pair_triggers(table, spelled=True)
        moves = [f"trigger {name}: {text}" for name, text in found.items() if folded(name) in own]
        existing = self.find_pair(table, pair.name)
        if existing is None or folded(existing.source) != folded(pair.source):
            return moves
        # RENAME COLUMN moves them.
        return [
            *moves,
            *(f"foreign key of {name}: {sql}" for name, sql in self.database.dependents.keys_to(table, pair.source)),
        ]

    # Values -----------------------------------------------------------------------------------------------------

    def shadow_value(self, pair: Pair) -> str:
        return _converted(quoted(pair.source), pair.value, pair.type)

    def unfilled(self, pair: Pair) -> str:
        shadow, default = quoted(pair.shadow), None
        table = self.database.table(pair.table)
        if table is not None and pair.shadow in table.columns:
            default = default_of(parse(table.sql), pair.shadow)
        # ADD COLUMN gives the default to existing rows.
        empty = f"({shadow} IS NULL OR {shadow} IS {default})" if default is not None else f"{shadow} IS NULL"
        filled = self.out_of_sync(pair) if pair.winner is not None else f"{self.shadow_value(pair)} IS NOT NULL"
        return f"({empty} AND {filled})"

    def out_of_sync(self, pair: Pair) -> str:
        source, shadow = quoted(pair.source), quoted(pair.shadow)
        if pair.winner is not None:
            return differ(source, shadow)
        ahead = is_not(shadow, self.shadow_value(pair))
        table = self.database.table(pair.table) if pair.switched else None
        if table is None:
            return f"({ahead})"
        # Values of the old type are unchanged there, even if no conversion would restore them.
        back = None if pair.back is None else renamed(pair.back, pair.source, pair.shadow)
        return f"({ahead} AND {is_not(source, _converted(shadow, back, table.columns[pair.source].type))})"

    def full_type(self, table: Table, column: str) -> str:
        return " ".join(filter(None, _typed(table.sql, column)))

    # Together ---------------------------------------------------------------------------------------------------

    def start_sync(self, pair: Pair, table: Table) -> Plan:
        keeping = self._triggers_for(pair, table)
        spec = self._shadow_spec(keeping)
        triggers = keeping.statements(table.name.schema or "main", self.shadow_value(pair))
        eased = pair.winner is not None and needs_relaxing(keeping)
        add = rebuild.adding_column(spec)
        # The comments of the edits follow what they relax: the additions come first.
        edit = _both(add, relaxing_constraints(keeping)) if eased else add
        step = self.database.ddl.rebuilt(table, f"added {table.name}.{pair.shadow}, in sync with {pair.source}", edit)
        step = replace(step, effect=Effect(table.name, pair.shadow))
        step = replace(step, then=tuple(triggers), values=((pair.shadow, "NULL"),))
        if not eased and (pair.winner is None or keeping.shared is None or is_constant(keeping.shared)):
            natively = f"ALTER TABLE {self.quoted_table(table.name)} ADD COLUMN {spec}"
            step = replace(step, sql=natively, natively=(natively, *triggers))
        yield step

    def _shadow_spec(self, keeping: PairTriggers) -> str:
        """Return the definition of the shadow column: without constraints, it accepts any value."""
        pair, column = keeping.pair, keeping.text.column(keeping.pair.source)
        if pair.type is not None:
            return f"{quoted(pair.shadow)} {pair.type}"
        clauses = [keeping.sql[clause.start : clause.end] for clause in column.clauses if clause.kind == "collate"]
        default = column.clause("default")
        if keeping.shared is not None and default is not None:
            clauses.append(f"DEFAULT {default.expression}")
        return " ".join((quoted(pair.shadow), keeping.sql[column.type_start : column.type_end].strip(), *clauses))

    # Apart ------------------------------------------------------------------------------------------------------

    def drop_shadow(self, pair: Pair, table: Table) -> Plan:
        if pair.shadow in table.columns:
            yield self._dropped(pair, table, f"dropped {table.name}.{pair.shadow}")

    def swap_columns(self, pair: Pair, table: Table, kept: Pair | None) -> Plan:
        if kept is not None:
            yield self._exchanged(pair, table, kept)
            return
        target = self.quoted_table(table.name)
        rename = f"ALTER TABLE {target} RENAME COLUMN {self.quoted(pair.source)} TO {self.quoted(pair.shadow)}"
        indexes = [index.definition for index in self._on_shadow(pair, table) if not is_copy(pair, index)]
        drops, again = self._texts_aside(pair.shadow, table)
        then = (rename, *(_in_schema(one, table.name.schema or "main") for one in (*indexes, *again)))
        does = f"dropped {table.name}.{pair.source}, which {pair.shadow} replaces"
        yield self._dropped(pair, table, does, drops, then)

    def _texts_aside(self, column: str, table: Table) -> tuple[list[str], list[str]]:
        """Return what drops and re-creates the views and triggers that use a column, and what uses those.

        They already use the new name, but SQLite cannot rename a column while one of them names a missing column.
        """
        sql = f"""SELECT type, name, sql FROM {self.database.master(table.name.schema or "main")}
            WHERE type IN ('view', 'trigger') AND sql NOT LIKE '%/*{MARK}%' ORDER BY rowid"""
        texts, wanted, aside = self.read(sql), {folded(column)}, set[tuple[str, str]]()
        for _ in texts:
            for kind, name, text in texts:
                if wanted & {folded(token.name) for token in tokens(text) if token.kind in ("word", "quoted")}:
                    aside.add((kind, name))
                    wanted |= {folded(name)} if kind == "view" else set()
        found = [(kind, name, text) for kind, name, text in texts if (kind, name) in aside]
        schema = quoted(table.name.schema or "main")
        drops = [f"DROP {kind.upper()} IF EXISTS {schema}.{quoted(name)}" for kind, name, _ in found]
        return drops, [text for _, _, text in found]

    def _dropped(
        self, pair: Pair, table: Table, does: str, before: Sequence[str] = (), then: Sequence[str] = ()
    ) -> Step:
        """Return the step that drops the shadow column and its additions, with further statements."""
        triggers = self._own_triggers(pair)
        indexes = [index.name for index in self._on_shadow(pair, table)]
        edit = _both(restoring_constraints(pair), rebuild.dropping_column(pair.shadow))
        step = self.database.ddl.rebuilt(table, does, edit, without=frozenset((*triggers, *indexes)))
        step = replace(step, then=(*before, *then))
        if is_relaxed(table.sql, pair) or self.database.version < DROPS_COLUMNS:
            return step
        drop = f"ALTER TABLE {self.quoted_table(table.name)} DROP COLUMN {quoted(pair.shadow)}"
        drops = (
            *self._drop_triggers(pair, table),
            *(self.database.ddl.index_drop(table.name, index) for index in indexes),
        )
        return replace(step, sql=drop, natively=(*before, *drops, drop, *then))

    def _exchanged(self, pair: Pair, table: Table, kept: Pair) -> Step:
        """Return the step that exchanges the types and values of the two."""
        indexes = [index.name for index in self._on_shadow(pair, table)]
        triggers = self._triggers_for(kept, table).statements(table.name.schema or "main", self.shadow_value(kept))
        step = self.database.ddl.rebuilt(
            table,
            f"exchanged the types of {table.name}.{pair.source} and {pair.shadow}",
            self._with_default(pair, table, _exchanging(pair.source, pair.shadow)),
            without=frozenset((*self._own_triggers(pair), *indexes)),
            referring=tuple(self.database.dependents.referring_tables(table)),
        )
        values = ((table.columns[pair.source].name, quoted(pair.shadow)), (pair.shadow, quoted(pair.source)))
        return replace(step, then=tuple(triggers), values=values)

    def _with_default(self, pair: Pair, table: Table, edit: rebuild.Edit) -> rebuild.Edit:
        """Convert the default of the source with its values; a default that was converted before is restored."""
        default = default_of(parse(table.sql), pair.source)
        if default is None:
            return edit
        wanted: str | None = default
        if pair.switched and pair.default is not None:
            wanted = pair.default
        elif pair.value is not None:
            row = f"(SELECT {default} AS {quoted(pair.source)})"
            wanted = self.scalar(f"SELECT quote({pair.value}) FROM {row}") if is_constant(default) else default
        if wanted is None or spelling.default_value(wanted) == table.columns[pair.source].default:
            return edit
        return _both(edit, rebuild.setting_default(pair.source, spelling.default_clause(wanted)))

    def _on_shadow(self, pair: Pair, table: Table) -> list[Index]:
        return [index for index in table.indexes.values() if is_copy(pair, index) or is_on(index, pair.shadow)]

    def _own_triggers(self, pair: Pair) -> tuple[str, str]:
        return f"{pair.name}_insert", f"{pair.name}_update"

    def _drop_triggers(self, pair: Pair, table: Table) -> tuple[str, ...]:
        schema = quoted(table.name.schema or "main")
        return tuple(f"DROP TRIGGER IF EXISTS {schema}.{quoted(name)}" for name in self._own_triggers(pair))


def _converted(column: str, given: str | None, type_: str | None) -> str:
    """Return a column's value for a column of another type, which applies the affinity of that type."""
    if given is not None:
        return f"({given})"
    if type_ is None or spelling.affinity(spelling.split_collation(type_)[0]) != "INTEGER":
        return column
    # Other values than numbers are kept: CAST would turn them into 0.
    return f"CASE typeof({column}) WHEN 'real' THEN CAST({column} AS INTEGER) ELSE {column} END"


def _in_schema(definition: str, schema: str) -> str:
    """Add the schema to a definition: SQLite stores definitions without it."""
    words = tokens(definition)
    place = next(number for number, one in enumerate(words) if one.word in ("INDEX", "TRIGGER", "VIEW"))
    start = words[place + 1].start
    return f"{definition[:start]}{quoted(schema)}.{definition[start:]}"


def _both(first: rebuild.Edit, second: rebuild.Edit) -> rebuild.Edit:
    return lambda sql: second(first(sql))


def _exchanging(source: str, shadow: str) -> rebuild.Edit:
    """Exchange the types and collations of two columns, as written."""

    def edit(sql: str) -> str:
        spelled = {source: _typed(sql, shadow), shadow: _typed(sql, source)}
        for name, (type_, collation) in spelled.items():
            sql = rebuild.changing_type(name, type_, "BINARY" if collation else None)(sql)
            clause = parse(sql).column(name).clause("collate")
            sql = f"{sql[: clause.start]}{collation}{sql[clause.end :]}" if clause else sql
        return sql

    return edit


def _typed(sql: str, name: str) -> tuple[str, str]:
    """Return the type and the collation of a column, as written in the definition."""
    column = parse(sql).column(name)
    collation = column.clause("collate")
    return sql[column.type_start : column.type_end].strip(), sql[collation.start : collation.end] if collation else ""
