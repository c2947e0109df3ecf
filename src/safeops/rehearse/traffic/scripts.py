"""The clients that repeat the team's own statements."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from safeops.rehearse.traffic.expressions import evaluate
from safeops.rehearse.traffic.lanes import UNKNOWN, Lane
from safeops.rehearse.traffic.plan import Script, Step
from safeops.rehearse.traffic.sql import Statement

CONTROLS = {"begin", "start", "rollback", "savepoint", "release", "set"}
"""Words that begin statements which are not counted."""
COMMITS = {"commit", "end"}


class ScriptLane(Lane):
    """A client that repeats a script of the team.

    Args:
        script: The script.
        table: Returns the table that a statement is about.
        columns: The values of each variable that is drawn from a column.
        prepared: The statements of which every second one is sent prepared.
    """

    def __init__(
        self,
        *lane: Any,
        script: Script,
        table: Callable[[str], str],
        columns: dict[str, list[Any]],
        prepared: Collection[Statement] = (),
    ) -> None:
        super().__init__(*lane)
        self.script, self.columns, self.prepared = script, columns, prepared
        self.statements = {step.sql: Statement.read(step.sql) for step in script.steps if step.sql}
        self.tables = {sql: table(sql) for sql in self.statements}
        self.writes = any(statement.writes for statement in self.statements.values())
        # A commit counts for the table of the first statement that has one.
        self.first = next((sql for sql, name in self.tables.items() if name != UNKNOWN), next(iter(self.statements)))

    def turn(self) -> None:
        variables: dict[str, Any] = {"scale": 1, "client_id": 0}
        variables.update({name: self.chance.choice(values) for name, values in self.columns.items() if values})
        for step in self.script.steps:
            try:
                self._step(step, variables)
            except Exception as error:
                self.failed(self.tables.get(step.sql, ""), step.sql or step.expression, error)
                return

    def _step(self, step: Step, variables: dict[str, Any]) -> None:
        if step.variable:
            variables[step.variable] = evaluate(step.expression, variables, self.chance)
        elif step.pause:
            self.books.stopping.wait(step.pause)
        else:
            self._statement(self.statements[step.sql], variables)

    def _statement(self, statement: Statement, variables: dict[str, Any]) -> None:
        values = [variables[name] for name in statement.names]
        word = statement.text.split(None, 1)[0].lower()
        if word in CONTROLS:
            self.session.run(statement, values)
        elif word in COMMITS:
            self.send(self.tables[self.first], statement, values, writes=self.writes)
        else:
            prepared = statement in self.prepared and self.chance.random() < 0.5
            self.send(self.tables[statement.text], statement, values, writes=statement.writes, prepared=prepared)
