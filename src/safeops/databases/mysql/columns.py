"""The plans of MariaDB and MySQL for tables and columns. Each statement commits separately.

Every ALTER names its algorithm and lock, so the server refuses it instead of blocking:
https://mariadb.com/kb/en/innodb-online-ddl-overview/, https://dev.mysql.com/doc/refman/8.0/en/innodb-online-ddl-operations.html
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.schema import CreateTable

from safeops import _sqlalchemy
from safeops.databases import sqltext
from safeops.databases.definitions import Column, Constraint, Index, Table
from safeops.databases.mysql import spelling
from safeops.databases.mysql.alter_table import GUARD, INSTANT, ONLINE, STRICT, Indexes
from safeops.databases.mysql.catalogue import ROWS_UNCHECKED, definition_of, mark_in
from safeops.databases.mysql.server import BATCH, METADATA
from safeops.databases.mysql.showcreate import Definition
from safeops.databases.steps import Plan, Step
from safeops.databases.triggers import MARK, RENAMED, Pair, pair_of
from safeops.errors import UnsafeOperation, online_only
from safeops.naming import Name
from safeops.planned import NO_LOCK, Effect

UNFINISHED = "safeops: its default is still to be set"
"""The comment of a column until its default is set and its rows are filled, by which a stopped run is resumed."""
UNFILLED = "coalesce(NULL, NULL, "
"""Begins the default of such a column and does not change it: unlike the comment it cannot be overwritten by others."""
_UNFILLED = sqltext.canonical(f"{UNFILLED}0)").partition("0")[0]
LEFT_TO_DO = (UNFINISHED, RENAMED)
STATES = (*LEFT_TO_DO, f"{MARK}safeops")
"""How the comments begin that safeops sets itself."""
LARGE = "text|blob|json|geom|point|line|polygon"


class Columns(Indexes):
    """The plans for tables and columns."""

    # Tables -----------------------------------------------------------------------------------------------------

    def create_table(self, table: sa.Table) -> Plan:
        name = Name(table.name, table.schema)
        self.share_options(table)
        _name_checks_at_table(table)
        for constraint in table.constraints:
            self.database.safety.check_support(constraint, True)
        referents = {Name(key.column.table.name, key.column.table.schema) for key in table.foreign_keys}
        sql = self.database.rendered(CreateTable(table, if_not_exists=True))
        lock = METADATA if referents and self.database.abilities.locks_referents else NO_LOCK
        yield Step(sql, f"created table {name}", (name, *referents - {name}), lock=lock, effect=Effect(name))
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            yield from self.create_index(name, index, None, new=True)

    def drop_table(self, name: Name, table: Table | None) -> Plan:
        referents = {key.referent for key in table.constraints.values() if key.referent} if table else set()
        yield Step(
            f"DROP TABLE IF EXISTS {self.quoted_table(name)}", f"dropped table {name}", (name, *referents), loses=True
        )

    # Columns ----------------------------------------------------------------------------------------------------

    def add_column(self, name: Name, column: sa.Column[Any], table: Table | None) -> Plan:
        expression = self.expression_default(column)
        if table is not None and expression and not spelling.is_constant(expression):
            yield from self._add_with_expression(name, column, expression, table)
            return
        action = f"ADD COLUMN {GUARD}{self.database.column_spec(column)}"
        offline = self.if_missing("column", name, str(column.name), self.alter_sql(name, action) + INSTANT)
        does = f"added column {name}.{column.name}"
        step = self.alter(name, action, does, instant=True, copied_if_empty=table, offline=offline)
        yield replace(step, effect=Effect(name, str(column.name)), may_rewrite=True)

    def _add_with_expression(self, name: Name, column: sa.Column[Any], expression: str, table: Table) -> Plan:
        """Add a column whose values differ from row to row; MySQL refuses it together with such a default (1674)."""
        quoted, does = self.quoted(str(column.name)), f"added column {name}.{column.name}"
        if str(column.name) not in table.columns:
            bare: sa.Column[Any] = sa.Column(str(column.name), _sqlalchemy.copied(column).type, comment=UNFINISHED)
            action = f"ADD COLUMN {self.database.column_spec(bare)}"
            yield self.alter(name, action, f"{does}, without its default", instant=True)
        action = f"ALTER COLUMN {quoted} SET DEFAULT ({UNFILLED}{expression}))"
        yield self.alter(name, action, f"set the default {expression} of {name}.{column.name}", instant=True)
        fill = f"UPDATE {self.quoted_table(name)} SET {quoted} = {expression} WHERE {quoted} IS NULL"
        whole = self.alter_sql(name, f"MODIFY {self.database.column_spec(column)}{ONLINE}")
        effect = Effect(name, str(column.name))
        yield Step(fill, does, (name,), (whole,), scans=True, variables=STRICT, lock=BATCH, effect=effect)

    def awaits_default(self, column: Column) -> bool:
        return column.comment == UNFINISHED or sqltext.canonical(column.default or "").startswith(_UNFILLED)

    def expression_default(self, column: sa.Column[Any]) -> str | None:
        """Return the default of a column for which the server copies the table; None if it does not."""
        text = self.database.default_text(column)
        if text is None or column.computed is not None or not self.database.abilities.copies_for_expressions:
            return None
        clause = spelling.clause(text, self.database.type_text(column.type))
        return clause if clause.startswith("(") else None

    def drop_column(self, name: Name, column: str, table: Table | None) -> Plan:
        """Let the column accept NULL before its trigger is dropped: else the old application could not insert.

        The column's own keys, checks and indexes are dropped before it: the server would refuse, or keep a part of an index.
        """
        fillers = self.database.triggers.fillers(name, column) if table is not None else {}
        if fillers and table is not None and not table.columns[column].nullable:
            yield from self.drop_not_null(name, column, table)
        for trigger in fillers:
            yield self.database.triggers.dropped(name, trigger, column)
        own = table.things_using(column) if table else []
        for constraint in own:
            if isinstance(constraint, Constraint) and constraint.kind in ("foreign key", "check"):
                yield from self.drop_constraint(name, constraint.name, constraint.kind, table)
        for index in own:
            # An index that was made for a key is dropped with it.
            if isinstance(index, Index) and not (index.of_constraint or (table and self.is_made_for_key(table, index))):
                yield from self.drop_index(name, index.name, None)
        action = f"DROP COLUMN {GUARD}{self.quoted(column)}"
        offline = self.if_exists("column", name, column, self.alter_sql(name, action) + ONLINE)
        step = self.alter(name, action, f"dropped column {name}.{column}", instant=True, offline=offline)
        yield replace(step, loses=True)

    def set_default(self, name: Name, column: str, default: str | None, table: Table | None) -> Plan:
        done = "removed the default of" if default is None else f"set the default {default} of"
        does = f"{done} {name}.{column}"
        if table is None:
            yield Step("", does, (name,), offline=self._default_offline(name, column, default))
            return
        existing = definition_of(table, column)
        type_ = existing.clauses["type"]
        if existing.get("ON UPDATE") or (default and re.search(r"\bON\s+UPDATE\b", default, re.I)):
            proper, on_update = spelling.on_update(spelling.default(default))
            changed = existing.with_(DEFAULT=proper or ("NULL" if existing.nullable else None), ON_UPDATE=on_update)
            yield self.modify(name, column, changed, does)
            return
        if self.database.abilities.copies_for_expressions and spelling.needs_definition(default, type_):
            changed = existing.with_(DEFAULT=None if default is None else spelling.clause(default, type_))
            yield self.modify(name, column, changed, does, instant=True)
            return
        # Without a default a column refuses rows that omit it, even one that accepts NULL.
        has_default = default or existing.nullable
        action = f"SET DEFAULT {self.default_clause(default or 'NULL')}" if has_default else "DROP DEFAULT"
        yield self.alter(name, f"ALTER COLUMN {self.quoted(column)} {action}", does, instant=True)

    def _default_offline(self, name: Name, column: str, default: str | None) -> str:
        head = f"ALTER TABLE {self.quoted_table(name)} ALTER COLUMN {self.quoted(column)}"
        large = f"DATA_TYPE REGEXP {self.literal(LARGE)}" if self.database.abilities.copies_for_expressions else "FALSE"
        if default is None:
            takes_null = self.column_where(name, column, f"IS_NULLABLE = 'YES' AND NOT {large}")
            refuses_it = self.column_where(name, column, "IS_NULLABLE = 'NO'")
            check = self._refusing_large(name, column, f"{large} AND COLUMN_DEFAULT IS NOT NULL")
            nullable = self.when(takes_null, f"{head} SET DEFAULT NULL{INSTANT}")
            return f"{check}{nullable};\n{self.when(refuses_it, f'{head} DROP DEFAULT{INSTANT}')}"
        if re.search(r"\bON\s+UPDATE\b", default, re.I):
            raise online_only(f"ON UPDATE of {name}.{column}", "It is a part of the column's whole definition.")
        sql = f"{head} SET DEFAULT {self.default_clause(default)}{INSTANT}"
        return self._refusing_large(name, column, large) + self.when(self.column_where(name, column, "TRUE"), sql)

    def _refusing_large(self, name: Name, column: str, condition: str) -> str:
        """Stop the script at a column whose default only its whole definition can change."""
        if not self.database.abilities.copies_for_expressions:
            return ""
        return self.fail_if(self.column_where(name, column, condition), f"{column}: set its default online") + ";\n"

    def column_where(self, name: Name, column: str, condition: str) -> str:
        where = f"{self.of_table(name)} AND COLUMN_NAME = {self.literal(column)} AND {condition}"
        return f"EXISTS (SELECT 1 FROM information_schema.COLUMNS WHERE {where})"

    def alter_type(self, name: Name, column: sa.Column[Any], table: Table | None) -> Plan:
        type_ = self.database.type_text(column.type)
        table = self.live(table, f"The type of {name}.{column.name}")
        bare, charset, collation = spelling.split_type(type_)
        existing = definition_of(table, str(column.name))
        if charset is None and collation is None and _is_text(bare):
            charset, collation = existing.get("CHARACTER SET"), existing.get("COLLATE")
        check = None if table.columns[str(column.name)].type == "json" else existing.get("CHECK")
        changed = existing.with_(type=bare, CHARACTER_SET=charset, COLLATE=collation, CHECK=check)
        if self.database.abilities.copies_for_expressions:
            changed = spelling.respelled(changed)
        yield self.modify(name, str(column.name), changed, f"changed {name}.{column.name} to {type_}", instant=True)

    def set_not_null(self, name: Name, column: str, table: Table | None) -> Plan:
        table = self.live(table, f"NOT NULL of {name}.{column}")
        if not table.columns[column].nullable:
            return
        yield self.modify(name, column, definition_of(table, column).not_null, f"made {name}.{column} NOT NULL")

    def drop_not_null(self, name: Name, column: str, table: Table | None) -> Plan:
        changed = definition_of(self.live(table, f"NULL of {name}.{column}"), column).with_(NULL="NULL")
        yield self.modify(name, column, changed, f"{name}.{column} takes NULL again", instant=True)

    def modify(self, name: Name, column: str, definition: Definition, does: str, **options: Any) -> Step:
        """Change a column; its whole definition is repeated, because omitted clauses would be lost."""
        action = f"MODIFY {self.quoted(column)} {definition}"
        return replace(self.alter(name, action, does, variables=STRICT, **options), may_rewrite=True)

    def set_comment(self, name: Name, column: str | None, comment: str | None, table: Table | None) -> Plan:
        what = f"{name}.{column}" if column else str(name)
        does = f"set the comment of {what}" if comment else f"removed the comment of {what}"
        self._refuse_lost_letters(comment or "", what)
        if table is not None:
            self._refuse_state(table, column, what)
        if column is None:
            yield self._comment_of_table(name, comment, does, table)
            return
        changed = self.commented(self.live(table, f"The comment of {what}"), column, comment)
        yield self.modify(name, column, changed, does, instant=True, copied_if_empty=table)

    def comment_of(self, table: Table, column: str | None) -> str | None:
        """Return the author's own comment; a shadow column has that of its source."""
        own = super().comment_of(table, column)
        if column is not None and own is not None and own.startswith(MARK):
            pair = self._pair_marked(table, own.removeprefix(MARK).removesuffix(" switched"))
            own = super().comment_of(table, pair.source) if pair else None
        return None if own and own.startswith(STATES) else own

    def _pair_marked(self, table: Table, name: str) -> Pair | None:
        texts = self.database.triggers.definitions(table.name).values()
        pairs = (pair_of(text, table.name) for text in texts)
        return next((pair for pair in pairs if pair and pair.name == name and pair.source in table.columns), None)

    def _refuse_lost_letters(self, comment: str, what: str) -> None:
        """Refuse what the server would keep as a question mark: its comments have three bytes a character."""
        lost = sorted({character for character in comment if ord(character) > 0xFFFF})
        if lost:
            asked = f"{', '.join(map(repr, lost))} in the comment of {what}"
            raise self.database.unsupported(
                asked, "a server that stores characters of four bytes in comments", "Leave them out."
            )

    def _refuse_state(self, table: Table, column: str | None, what: str) -> None:
        """Refuse to replace a comment by which a stopped helper finds what is left to do."""
        comment = table.comment if column is None else table.columns[column].comment
        is_shadow = column is not None and column.startswith("safeops_")
        if comment is not None and comment.startswith(STATES if is_shadow else LEFT_TO_DO):
            raise UnsafeOperation(
                f"The comment of {what} holds the state of a change that was stopped: {comment}.",
                why=f"{self.product} has no other place that changes together with it; with another comment the change"
                " could not be finished.",
                remedy="Finish the change first, or undo it:",
                code="alembic upgrade head",
            )

    def _comment_of_table(self, name: Name, comment: str | None, does: str, table: Table | None) -> Step:
        """Set the author's part of the comment; what safeops keeps at its end is kept."""
        mark = mark_in(table) if table else ""
        action = f"COMMENT = {self.literal(f'{comment or str()}{mark}')}"
        marked = f"{self.of_table(name)} AND LOCATE({self.literal(ROWS_UNCHECKED)}, TABLE_COMMENT) > 0"
        is_marked = f"EXISTS (SELECT 1 FROM information_schema.TABLES WHERE {marked})"
        offline = f"{self.fail_if(is_marked, f'{name.name}: set its comment online')};\n{self.alter_sql(name, action)}"
        return self.alter(name, action, does, instant=True, variables=STRICT, offline=offline)

    def commented(self, table: Table, column: str, comment: str | None) -> Definition:
        """Return the whole definition of a column with another comment."""
        changed = definition_of(table, column).with_(COMMENT=self.literal(comment) if comment else None)
        if table.columns[column].type == "json":
            # The server takes the definition of the alias for another type, and would copy the table.
            changed = changed.with_(type="json", CHARACTER_SET=None, COLLATE=None, CHECK=None)
        return changed

    def live(self, table: Table | None, change: str) -> Table:
        """Return the table, or raise OnlineOnly."""
        if table is not None:
            return table
        why = f"{self.product} needs the column's whole definition, which only the live table has."
        raise online_only(change, why)

    def default_clause(self, default: str) -> str:
        # ALTER COLUMN accepts no function without parentheses, not even those that a column's definition accepts.
        return spelling.clause(default, "")


def _is_text(type_: str) -> bool:
    return bool(re.match(r"(national |n)?(var)?char|(tiny|medium|long)?text|enum|set", type_, re.I))


def _name_checks_at_table(table: sa.Table) -> None:
    """Move named checks from their columns to the table: the servers accept a name there alone."""
    for column in table.columns:
        for check in [*column.constraints]:
            if isinstance(check, sa.CheckConstraint) and isinstance(check.name, str):
                column.constraints.discard(check)
                table.constraints.discard(check)
                table.append_constraint(sa.CheckConstraint(check.sqltext, name=check.name))
