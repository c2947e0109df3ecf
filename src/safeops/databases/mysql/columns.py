"""The plans of MariaDB and MySQL for tables and columns. Each statement commits by itself.

Every ALTER names its algorithm and lock, so that the server refuses rather than blocks:
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
from safeops.errors import UnsafeOperation
from safeops.naming import Name
from safeops.planned import FREE, Effect

UNFINISHED = "safeops: its default is still to be set"
"""The comment of a column until its default is set and its rows are filled: a run that was stopped finds it by that."""
UNFILLED = "coalesce(NULL, NULL, "
"""Begins the default of such a column, which is the same with it: a comment that is set meanwhile cannot take its place."""
_UNFILLED = sqltext.canonical(f"{UNFILLED}0)").partition("0")[0]
LEFT_TO_DO = (UNFINISHED, RENAMED)
STATES = (*LEFT_TO_DO, f"{MARK}safeops")
"""How a comment begins that is not the author's."""
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
        made = self.database.rendered(CreateTable(table, if_not_exists=True))
        lock = METADATA if referents and self.database.abilities.locks_referents else FREE
        yield Step(made, f"created table {name}", (name, *referents - {name}), lock=lock, effect=Effect(name))
        for index in sorted(table.indexes, key=lambda one: str(one.name)):
            yield from self.create_index(name, index, None, new=True)

    def drop_table(self, name: Name, table: Table | None) -> Plan:
        referents = {one.referent for one in table.constraints.values() if one.referent} if table else set()
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
        step = self.alter(name, action, f"added column {name}.{column.name}", instant=True, free=table)
        step = replace(step, effect=Effect(name, str(column.name)), may_rewrite=True)
        yield self.guarded(step, self.unless("column", name, str(column.name), self.alter_sql(name, action) + INSTANT))

    def _add_with_expression(self, name: Name, column: sa.Column[Any], expression: str, table: Table) -> Plan:
        """Add a column whose values differ from row to row; together with such a default MySQL adds none (1674)."""
        quoted, does = self.quoted(str(column.name)), f"added column {name}.{column.name}"
        if str(column.name) not in table.columns:
            bare: sa.Column[Any] = sa.Column(str(column.name), _sqlalchemy.copied(column).type, comment=UNFINISHED)
            yield self.alter(
                name, f"ADD COLUMN {self.database.column_spec(bare)}", f"{does}, without its default", instant=True
            )
        action = f"ALTER COLUMN {quoted} SET DEFAULT ({UNFILLED}{expression}))"
        yield self.alter(name, action, f"set the default {expression} of {name}.{column.name}", instant=True)
        fill = f"UPDATE {self.quoted_table(name)} SET {quoted} = {expression} WHERE {quoted} IS NULL"
        whole = self.alter_sql(name, f"MODIFY {self.database.column_spec(column)}{ONLINE}")
        effect = Effect(name, str(column.name))
        yield Step(fill, does, (name,), (whole,), scans=True, variables=STRICT, lock=BATCH, effect=effect)

    def awaits_default(self, column: Column) -> bool:
        return column.comment == UNFINISHED or sqltext.canonical(column.default or "").startswith(_UNFILLED)

    def expression_default(self, column: sa.Column[Any]) -> str | None:
        """Return the default of a column that the server copies the table for; None where it does not."""
        text = self.database.default_text(column)
        if text is None or column.computed is not None or not self.database.abilities.copies_for_expressions:
            return None
        spelled = spelling.clause(text, self.database.type_text(column.type))
        return spelled if spelled.startswith("(") else None

    def _drop_column(self, name: Name, column: str, table: Table | None) -> Plan:
        """Drop what is the column's own first: the server would refuse, or keep a part of it."""
        for one in list(table.having(column)) if table else ():
            if isinstance(one, Constraint) and one.kind in ("foreign key", "check"):
                yield from self.drop_constraint(name, one.name, one.kind, table)
        for one in list(table.having(column)) if table else ():
            # With its key went the index that was made for it.
            if isinstance(one, Index) and not one.of_constraint and not (table and self.is_made_for_key(table, one)):
                yield from self.drop_index(name, one.name, None)
        action = f"DROP COLUMN {GUARD}{self.quoted(column)}"
        step = replace(self.alter(name, action, f"dropped column {name}.{column}", instant=True), loses=True)
        yield self.guarded(step, self.if_there("column", name, column, self.alter_sql(name, action) + ONLINE))

    def set_default(self, name: Name, column: str, default: str | None, table: Table | None) -> Plan:
        done = "removed the default of" if default is None else f"set the default {default} of"
        does = f"{done} {name}.{column}"
        if table is None:
            yield self.guarded(Step("", does, (name,)), self._default_offline(name, column, default))
            return
        found = definition_of(table, column)
        if found.get("ON UPDATE") or (default and re.search(r"\bON\s+UPDATE\b", default, re.I)):
            proper, on_update = spelling.on_update(spelling.default(default))
            changed = found.with_(DEFAULT=proper or ("NULL" if found.nullable else None), ON_UPDATE=on_update)
            yield self.modify(name, column, str(changed), does)
            return
        if self.database.abilities.copies_for_expressions and spelling.needs_definition(default, found.clauses["type"]):
            spelled = None if default is None else spelling.clause(default, found.clauses["type"])
            changed = found.with_(DEFAULT=spelled)
            yield self.modify(name, column, str(changed), does, instant=True)
            return
        # Without a default a column refuses rows that omit it, even one that takes NULL.
        action = (
            f"SET DEFAULT {self.default_clause(default or 'NULL')}" if default or found.nullable else "DROP DEFAULT"
        )
        yield self.alter(name, f"ALTER COLUMN {self.quoted(column)} {action}", does, instant=True)

    def _default_offline(self, name: Name, column: str, default: str | None) -> str:
        head = f"ALTER TABLE {self.quoted_table(name)} ALTER COLUMN {self.quoted(column)}"
        large = f"DATA_TYPE REGEXP {self.literal(LARGE)}" if self.database.abilities.copies_for_expressions else "FALSE"
        if default is None:
            takes_null = self.column_where(name, column, f"IS_NULLABLE = 'YES' AND NOT {large}")
            refuses_it = self.column_where(name, column, "IS_NULLABLE = 'NO'")
            had_one = self._refusing_large(name, column, f"{large} AND COLUMN_DEFAULT IS NOT NULL")
            nullable = self.when(takes_null, f"{head} SET DEFAULT NULL{INSTANT}")
            return f"{had_one}{nullable};\n{self.when(refuses_it, f'{head} DROP DEFAULT{INSTANT}')}"
        if re.search(r"\bON\s+UPDATE\b", default, re.I):
            raise self.online_only(f"ON UPDATE of {name}.{column}", "It stands in the definition of the column alone.")
        sql = f"{head} SET DEFAULT {self.default_clause(default)}{INSTANT}"
        return self._refusing_large(name, column, large) + self.when(self.column_where(name, column, "TRUE"), sql)

    def _refusing_large(self, name: Name, column: str, condition: str) -> str:
        """Stop the script at a column whose default only its whole definition can change."""
        if not self.database.abilities.copies_for_expressions:
            return ""
        found = self.column_where(name, column, condition)
        return self.failing(found, f"{column}: set its default online") + ";\n"

    def column_where(self, name: Name, column: str, condition: str) -> str:
        where = f"{self.of_table(name)} AND COLUMN_NAME = {self.literal(column)} AND {condition}"
        return f"EXISTS (SELECT 1 FROM information_schema.COLUMNS WHERE {where})"

    def alter_type(self, name: Name, column: sa.Column[Any], table: Table | None) -> Plan:
        spelled = self.database.type_text(column.type)
        table = self._looked_at(table, f"The type of {name}.{column.name}")
        bare, charset, collation = spelling.split_type(spelled)
        found = definition_of(table, str(column.name))
        if charset is None and collation is None and _is_text(bare):
            charset, collation = found.get("CHARACTER SET"), found.get("COLLATE")
        check = None if table.columns[str(column.name)].type == "json" else found.get("CHECK")
        changed = found.with_(type=bare, CHARACTER_SET=charset, COLLATE=collation, CHECK=check)
        if self.database.abilities.copies_for_expressions:
            changed = spelling.respelled(changed)
        yield self.modify(
            name, str(column.name), str(changed), f"changed {name}.{column.name} to {spelled}", instant=True
        )

    def set_not_null(self, name: Name, column: str, table: Table | None) -> Plan:
        table = self._looked_at(table, f"NOT NULL of {name}.{column}")
        if not table.columns[column].nullable:
            return
        found = definition_of(table, column)
        default = None if (found.get("DEFAULT") or "").upper() == "NULL" else found.get("DEFAULT")
        changed = found.with_(NULL="NOT NULL", DEFAULT=default)
        yield self.modify(name, column, str(changed), f"made {name}.{column} NOT NULL")

    def drop_not_null(self, name: Name, column: str, table: Table | None) -> Plan:
        changed = definition_of(self._looked_at(table, f"NULL of {name}.{column}"), column).with_(NULL="NULL")
        yield self.modify(name, column, str(changed), f"{name}.{column} takes NULL again", instant=True)

    def modify(
        self, name: Name, column: str, definition: str, does: str, instant: bool = False, free: Table | None = None
    ) -> Step:
        """Change a column; its whole definition is repeated, for what is left out would be lost."""
        action = f"MODIFY {self.quoted(column)} {definition}"
        step = self.alter(name, action, does, instant=instant, variables=STRICT, free=free)
        return replace(step, may_rewrite=True)

    def set_comment(self, name: Name, column: str | None, comment: str | None, table: Table | None) -> Plan:
        what = f"{name}.{column}" if column else str(name)
        does = f"set the comment of {what}" if comment else f"removed the comment of {what}"
        self._refuse_lost_letters(comment or "", what)
        if table is not None:
            self._refuse_state(table, column, what)
        if column is None:
            yield self._comment_of_table(name, comment, does, table)
            return
        changed = self.commented(self._looked_at(table, f"The comment of {what}"), column, comment)
        yield self.modify(name, column, str(changed), does, instant=True, free=table)

    def comment_of(self, table: Table, column: str | None) -> str | None:
        """Return the author's own comment; of a new name the one that it will have, that of the old one."""
        own = super().comment_of(table, column)
        if column is not None and own is not None and own.startswith(MARK):
            pair = self._pair_marked(table, own.removeprefix(MARK).removesuffix(" switched"))
            own = super().comment_of(table, pair.source) if pair else None
        return None if own and own.startswith(STATES) else own

    def _pair_marked(self, table: Table, name: str) -> Pair | None:
        sql = """SELECT ACTION_STATEMENT FROM information_schema.TRIGGERS
            WHERE EVENT_OBJECT_SCHEMA = :schema AND EVENT_OBJECT_TABLE = :table"""
        with self.database.bounded():
            texts = [text for (text,) in self.read(sql, schema=table.name.schema, table=table.name.name)]
        pairs = (pair_of(text, table.name) for text in texts)
        return next((pair for pair in pairs if pair and pair.name == name and pair.source in table.columns), None)

    def _refuse_lost_letters(self, comment: str, what: str) -> None:
        """Refuse what the server would write down as a question mark: its own texts have three bytes a letter."""
        lost = sorted({letter for letter in comment if ord(letter) > 0xFFFF})
        if lost:
            asked = f"{', '.join(map(repr, lost))} in the comment of {what}"
            raise self.database.unsupported(
                asked, "a server that keeps letters of four bytes in comments", "Leave them out."
            )

    def _refuse_state(self, table: Table, column: str | None, what: str) -> None:
        """Refuse a comment by which a helper that was stopped finds what it has left to do."""
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
        """What safeops itself keeps at the end of the comment stays."""
        mark = mark_in(table) if table else ""
        action = f"COMMENT = {self.literal(f'{comment or str()}{mark}')}"
        marked = f"{self.of_table(name)} AND LOCATE({self.literal(ROWS_UNCHECKED)}, TABLE_COMMENT) > 0"
        found = f"EXISTS (SELECT 1 FROM information_schema.TABLES WHERE {marked})"
        offline = f"{self.failing(found, f'{name.name}: set its comment online')};\n{self.alter_sql(name, action)}"
        return self.guarded(self.alter(name, action, does, instant=True, variables=STRICT), offline)

    def commented(self, table: Table, column: str, comment: str | None) -> Definition:
        """Return the whole definition of a column with another comment."""
        changed = definition_of(table, column).with_(COMMENT=self.literal(comment) if comment else None)
        if table.columns[column].type == "json":
            # Spelled out, the alias is another type to the server, which would copy the table.
            changed = changed.with_(type="json", CHARACTER_SET=None, COLLATE=None, CHECK=None)
        return changed

    def _looked_at(self, table: Table | None, deed: str) -> Table:
        if table is None:
            why = f"{self.product} wants the whole definition of the column again, which only the live table has."
            raise self.online_only(deed, why)
        return table

    def default_clause(self, default: str) -> str:
        # ALTER COLUMN takes no function without parentheses, not even those that a column's definition takes.
        return spelling.clause(default, "")

    def drop_column(self, name: Name, column: str, table: Table | None) -> Plan:
        """Let the column take NULL, then drop the trigger: neither order alone would let the old application write on."""
        there = self.database.triggers.fillers(name, column) if table is not None else {}
        if there and table is not None and not table.columns[column].nullable:
            yield from self.drop_not_null(name, column, table)
        for one in there:
            yield self.database.triggers.dropped(name, one, column)
        yield from self._drop_column(name, column, table)


def _is_text(type_: str) -> bool:
    return bool(re.match(r"(national |n)?(var)?char|(tiny|medium|long)?text|enum|set", type_, re.I))


def _name_checks_at_table(table: sa.Table) -> None:
    """Take named checks out of their columns: the servers take a name at the table alone."""
    for column in table.columns:
        for check in [*column.constraints]:
            if isinstance(check, sa.CheckConstraint) and isinstance(check.name, str):
                column.constraints.discard(check)
                table.constraints.discard(check)
                table.append_constraint(sa.CheckConstraint(check.sqltext, name=check.name))
