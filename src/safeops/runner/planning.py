"""Plans what revisions would do to a project's database, without doing it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from alembic.config import Config

from safeops.errors import NotReady, SafeOpsError
from safeops.execution.migration import Migration
from safeops.plan_mode import Forecast, foretelling
from safeops.planned import Foretold, summary
from safeops.policy import settings
from safeops.runner.dry_run import recording, run_revision
from safeops.runner.environment import read
from safeops.runner.readiness import steps_to
from safeops.runner.revisions import Pending, described, scripts_of

log = logging.getLogger("safeops")

PATIENCE = 5.0
"""Seconds of retries to inspect a table that another session has locked."""


@dataclass(frozen=True)
class PlannedRevision:
    """What each call of a revision would do."""

    revision: str
    message: str
    steps: tuple[Foretold, ...]


@dataclass(frozen=True)
class Plan:
    """What an upgrade, or with ``down`` a downgrade, would do.

    Args:
        revisions: The revisions, in the order in which they would run.
        down: Whether it runs their ``downgrade()``.
    """

    revisions: tuple[PlannedRevision, ...]
    down: bool = False

    @property
    def losses(self) -> tuple[Foretold, ...]:
        """The steps that drop or overwrite data for good; of raw SQL, those that look like it."""
        return tuple(step for revision in self.revisions for step in revision.steps if step.loses)

    @property
    def exit_status(self) -> int:
        return 1 if self.revisions else 0

    def as_json(self) -> dict[str, Any]:
        return {
            "revisions": [
                {"revision": planned.revision, "steps": [step.as_json() for step in planned.steps]}
                for planned in self.revisions
            ]
        }


def plan(config: Config, revision: str = "heads", *, down: bool = False) -> Plan:
    """Return what the revisions up to one would do to the database in its current state.

    Their code runs. Helpers inspect the database and report what they would do; other writes are reported and not sent, and
    the server is set to refuse them. A step that depends on an earlier one is reported as far as it can be predicted. A
    definition may be tried on an empty temporary copy of a table, which is dropped at once.

    Args:
        config: The configuration of the project.
        revision: Where to, as for ``alembic upgrade``, or with ``down`` as for ``alembic downgrade``.
        down: Plan the downgrades.

    Raises:
        NotReady: There are several heads, and the revision is ``head``; or no file has the database's revision.
        InvalidArgument: There is no such revision, or no path to it.
        SafeOpsError: The database cannot be reached.
        TransactionNotOurs: env.py holds the transaction, so that the server cannot be set to refuse writes.
    """
    script = scripts_of(config)

    def look(migration: Migration) -> Plan:
        return _plan(migration, steps_to(script, revision, migration.context.get_current_heads(), down=down), down)

    return read(config, look, refusing_writes=True)


def refuse_what_would_fail(config: Config, revision: str, again: str) -> list[str]:
    """Raise NotReady for what helpers are certain to refuse; return why that is unknown.

    Args:
        config: The configuration of the project.
        revision: The target of the upgrade.
        again: The command to run again.
    """
    try:
        found = plan(config, revision)
    except Exception as error:
        log.debug("the upgrade could not be planned", exc_info=True)
        return [f"It could not be planned before it began: {summary(error)}"]
    refused = [
        (planned.revision, step, step.refusal) for planned in found.revisions for step in planned.steps if step.refusal
    ]
    if refused:
        raise NotReady(
            "\n".join(_refused(revision, step, error) for revision, step, error in refused),
            why="The pre-flight check planned all pending revisions; no step before these changes why they are refused.",
            remedy="Fix them, and run again (alembic upgrade does not make this check):",
            code=again,
        )
    return []


def _refused(revision: str, step: Foretold, error: SafeOpsError) -> str:
    said = [*error.problem.splitlines(), *error.why.splitlines(), *error.remedy.splitlines()]
    said += [f"    {line}" for line in error.code.splitlines()]
    listed = "\n".join(f"  {line}" for line in said)
    return f"{revision}: {step.helper} {step.target or ''} would be refused:\n{listed}  [{error.number}]"


def _plan(migration: Migration, steps: list[Any], down: bool) -> Plan:
    patience = min(PATIENCE, migration.settings.retry_budget)
    with foretelling() as forecast, settings(retry_budget=patience), recording(migration.context, forecast):
        for step in steps:
            run_revision(forecast, step.revision.revision, step.migration_fn, migration.database.connection)
    return Plan(tuple(_planned(described(step), forecast) for step in steps), down)


def _planned(pending: Pending, forecast: Forecast) -> PlannedRevision:
    steps = tuple(step for revision, step in forecast.told if revision == pending.revision)
    return PlannedRevision(pending.revision, pending.message, steps)
