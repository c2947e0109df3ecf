"""The message about writes that an upgrade has lost: which, between which statements, and what to write instead."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import sqlalchemy as sa

from safeops.databases.definitions import Table
from safeops.databases.statements import words_of
from safeops.naming import Code, Name, call, type_code
from safeops.rehearse.traffic import Replacements
from safeops.rehearse.traffic.losses import MISSING, RETURNED
from safeops.rehearse.waits import shortened
from safeops.runner.environment import shorten
from safeops.testing.failing import Failed
from safeops.testing.filling import tables_in
from safeops.testing.losses import BEHIND, Lost

if TYPE_CHECKING:
    from safeops.testing.kit import Trial
    from safeops.testing.project import Revision

SHOWN = 5
WIDTH = 60
COPIED = (
    "A copy has the rows as they were when it was made. What the application writes to the original after that is lost"
    " once the copy takes its place."
)
ONCE = (
    "Values that are copied once are those of that moment. What the application writes to {old} after that is lost once"
    " {old} is dropped."
)
READ_FIRST = (
    "The revision reads rows, and writes them back later. What the application writes to them in between is"
    " overwritten."
)
COPIED_FIRST = (
    "A trigger keeps {column} filled from when it exists. What the application writes after the values were copied, and"
    " before that, is not in {column}."
)
OVERWRITTEN = (
    "A trigger of the revision gives {column} another value, which does not depend on the one that is written."
)
SYNCED = "Let the trigger keep what is written. One that keeps two columns in sync must do so in both directions:"
RENAME = 'ColumnRename("table", "old", "new")'
IN_SYNC = "Have triggers keep both in sync until the application uses the new one only:"
UNSYNCED = (
    "safeops keeps {old} and {new} in sync by triggers from expand() to contract(), so the old and the new release"
    " can both write. They no longer do so after this revision."
)


def lost_writes(
    trial: Trial,
    lost: Sequence[Lost],
    before: Mapping[Name, Table],
    replacements: Replacements,
    statements: Collection[str],
    dropped_by: Revision | None = None,
) -> Failed:
    """Return the failure that names the lost writes, and what to write instead.

    Args:
        trial: The database, after the upgrade.
        lost: The writes that are lost.
        before: The tables before the upgrade.
        replacements: What the revisions rename, or give another type.
        statements: What the upgrade has sent.
        dropped_by: The later revision with which they are lost; None if they are lost by this one.
    """
    rows = {(one.loss.table, one.loss.key or one.loss.expected) for one in lost}
    number = f"{len(rows)} row{'' if len(rows) == 1 else 's'}"
    why, remedy, code = _Advice(trial, before, replacements, statements).on(lost[0])
    more = [f"and {len(lost) - SHOWN} more"] if len(lost) > SHOWN else []
    own = trial.revision.revision
    problem = (
        f"Revision {own} loses what the application writes while it runs, in {number}."
        if dropped_by is None
        else f"What the application writes while and after revision {own} runs is lost with revision"
        f" {dropped_by.revision}, in {number}."
    )
    return Failed(
        problem,
        why=why,
        details=[*map(_told, lost[:SHOWN]), *more],
        remedy=remedy,
        code=code,
    )


def _told(lost: Lost) -> str:
    loss = lost.loss
    key = ", ".join(map(str, loss.key))
    row = f"{loss.table} {key}".strip()
    if lost.written is not None and lost.written[1] is None and not loss.column:
        text = f"{loss.table} lacks the row ({shorten(loss.expected or '', 2 * WIDTH)}), which {lost.written[0]} had"
    elif lost.written is not None:
        column, value = lost.written
        text = f"{row}: {column} was set to {_value(value)}; it is dropped, and {loss.column} is {_value(loss.found)}"
    elif loss.what == BEHIND:
        text = f"{row}: {loss.column} is {_value(loss.found)}; written before or after the upgrade: {_value(loss.expected)}"
    elif loss.what in (MISSING, RETURNED):
        text = f"{row}: {'written, and missing now' if loss.what == MISSING else 'deleted, and there again'}"
    else:
        text = f"{row}: {loss.column} was set to {_value(loss.expected)}, and is {_value(loss.found)} now"
    return f"{text}{_moment(lost)}"


def _value(text: str | None) -> str:
    return "NULL" if text is None else repr(shorten(text, WIDTH))


def _moment(lost: Lost) -> str:
    parts = [f"{word}: {shortened(sql)}" for word, sql in (("after", lost.after), ("before", lost.before)) if sql]
    if not parts:
        return ""
    return "\n      ".join(["", f"acknowledged {parts[0]}", *(f"and {part}" for part in parts[1:])])


class _Advice:
    """What to write instead."""

    def __init__(
        self, trial: Trial, before: Mapping[Name, Table], replacements: Replacements, statements: Collection[str]
    ) -> None:
        self.trial, self.before, self.replacements, self.statements = trial, before, replacements, statements
        self.now = tables_in(trial.engine)

    def on(self, lost: Lost) -> tuple[str, str, str]:
        """Return why it is lost, and what to do, with the code."""
        loss, table = lost.loss, _name(lost.loss.table)
        if lost.written is not None and loss.column:
            old = lost.written[0]
            recipe = call("ColumnRename", table.name, old, loss.column, schema=table.schema)
            return ONCE.format(old=old), IN_SYNC, _phases("rename", recipe, "expand", "contract")
        if lost.written is not None:
            recipe = call("TableRename", _name(lost.written[0]).name, table.name, schema=table.schema)
            return COPIED, IN_SYNC, _phases("rename", recipe, "expand", "contract")
        synced = [one for one in self.replacements.columns if one.replaced_by == loss.column]
        if synced and loss.column:
            why = UNSYNCED.format(old=synced[0].column, new=loss.column)
            return why, "Leave the triggers to the recipe: its last phase drops them.", ""
        if self._is_rebuilt(table):
            return COPIED, "Change the table in place:", self._changes(table)
        if loss.column and self._is_retyped(table, loss.column):
            recipe = self._type_change(table, loss.column)
            return ONCE.format(old=loss.column), IN_SYNC, _phases("change", recipe, "expand", "switch", "contract")
        if loss.what == BEHIND:
            return COPIED_FIRST.format(column=loss.column), "Create the trigger before the values are copied.", ""
        if loss.column and lost.after and {"CREATE", "TRIGGER"} <= {*words_of(lost.after)[:5]}:
            return OVERWRITTEN.format(column=loss.column), SYNCED, _phases("rename", RENAME, "expand", "contract")
        values = {loss.column or "column": Code("sa.text(...)")}
        remedy = "Have the server compute the values from the present ones, in short batches that lock their rows:"
        return READ_FIRST, remedy, call("backfill", table.name, values, where=True, schema=table.schema)

    def _is_rebuilt(self, table: Name) -> bool:
        """Return whether the upgrade made another table and gave it the name of this one."""
        named = [words_of(sql) for sql in self.statements if table.name.upper() in words_of(sql)]
        made = any(words[:2] in (("CREATE", "TABLE"), ("DROP", "TABLE"), ("RENAME", "TABLE")) for words in named)
        return made or any("RENAME" in words and "COLUMN" not in words for words in named)

    def _is_retyped(self, table: Name, column: str) -> bool:
        old, new = self.before.get(table), self.now.get(table)
        both = old is not None and new is not None and column in old.columns and column in new.columns
        return both and old.columns[column].type != new.columns[column].type  # type: ignore[union-attr]

    def _changes(self, table: Name) -> str:
        """Return the calls that do what the exchange of a table did."""
        old, new = self.before.get(table), self.now.get(table)
        if old is None or new is None:
            return call("add_column_if_missing", table.name, Code("..."), schema=table.schema)
        added = [
            Code(f'sa.Column("{name}", {self._type(table, name)})') for name in new.columns if name not in old.columns
        ]
        gone = [name for name in old.columns if name not in new.columns]
        calls = [
            *(call("add_column_if_missing", table.name, one, schema=table.schema) for one in added),
            *(f"{self._type_change(table, name)}.expand()" for name in new.columns if self._is_retyped(table, name)),
            *(call("drop_column_if_exists", table.name, name, schema=table.schema) for name in gone),
        ]
        return "\n".join(calls) or call("add_column_if_missing", table.name, Code("..."), schema=table.schema)

    def _type_change(self, table: Name, column: str) -> Code:
        return call("TypeChange", table.name, column, Code(self._type(table, column)), schema=table.schema)

    def _type(self, table: Name, column: str) -> str:
        columns = sa.inspect(self.trial.engine).get_columns(table.name, schema=table.schema)
        found = next(one["type"] for one in columns if one["name"] == column)
        with suppress(NotImplementedError):
            found = found.as_generic()
        return type_code(found)


def _phases(name: str, recipe: str, first: str, *later: str) -> str:
    more = [line for phase in later for line in ("", "# in a later revision:", f"{name}.{phase}()")]
    return "\n".join([f"{name} = {recipe}", f"{name}.{first}()", *more])


def _name(text: str) -> Name:
    schema, _, name = text.rpartition(".")
    return Name(name, schema or None)
