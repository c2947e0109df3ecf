"""What the pending revisions would do to a project's database, told without doing it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from alembic.config import Config

from safeops.errors import NotReady, SafeOpsError
from safeops.foreseeing import foretelling
from safeops.foretold import Foretold, summary
from safeops.migration import Migration
from safeops.policy import settings
from safeops.runner.dry_run import recording, run_revision
from safeops.runner.environment import read
from safeops.runner.preflight import steps_to
from safeops.runner.revisions import described, scripts_of

log = logging.getLogger("safeops")

PATIENCE = 5.0
"""Seconds that a look may go on trying to get at a table that others hold."""


@dataclass(frozen=True)
class PlannedRevision:
    """What a revision would do, call by call."""

    revision: str
    message: str
    steps: tuple[Foretold, ...]


@dataclass(frozen=True)
class Plan:
    """What an upgrade, or with ``down`` a downgrade, would do.

    Args:
        revisions: Its revisions, in the order in which they would run.
        down: Whether it runs their ``downgrade()``.
    """

    revisions: tuple[PlannedRevision, ...]
    down: bool = False

    @property
    def losses(self) -> tuple[Foretold, ...]:
        """The steps that drop or overwrite what nobody gives back; of raw SQL, those that look like it."""
        return tuple(step for one in self.revisions for step in one.steps if step.loses)

    @property
    def exit_status(self) -> int:
        return 1 if self.revisions else 0

    def as_json(self) -> dict[str, Any]:
        return {
            "revisions": [
                {"revision": one.revision, "steps": [step.as_json() for step in one.steps]} for one in self.revisions
            ]
        }


def plan(config: Config, revision: str = "heads", *, down: bool = False) -> Plan:
    """Tell what the revisions up to one would do to the database as it stands now.

    Their code runs. Helpers look and tell what they would do; what else would write is told and not sent, and the server is
    told to refuse it. A step that stands on an earlier one is told as far as that can be foreseen. A definition may be tried
    out on an empty temporary copy of a table, which is gone at once.

    Args:
        config: The configuration of the project.
        revision: Where to, as for ``alembic upgrade``, or with ``down`` as for ``alembic downgrade``.
        down: Tell the way back.

    Raises:
        NotReady: There are several heads, and the revision is ``head``; or no file has what the database is at.
        InvalidArgument: There is no such revision, or no way to it.
        SafeOpsError: The database cannot be reached.
        TransactionNotOurs: env.py holds the transaction, so that the server cannot be told to refuse.
    """
    script = scripts_of(config)

    def look(migration: Migration) -> Plan:
        return _plan(migration, steps_to(script, revision, migration.context.get_current_heads(), down=down), down)

    return read(config, look, refusing_writes=True)


def refuse_what_would_fail(config: Config, revision: str, again: str) -> list[str]:
    """Raise NotReady for what helpers are certain to refuse; return why that cannot be told.

    Args:
        config: The configuration of the project.
        revision: Where the upgrade goes.
        again: The command to run again.
    """
    try:
        found = plan(config, revision)
    except Exception as error:
        log.debug("the upgrade could not be planned", exc_info=True)
        return [f"It could not be planned before it began: {summary(error)}"]
    refused = [(one.revision, step, step.refusal) for one in found.revisions for step in one.steps if step.refusal]
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
    found = [described(step) for step in steps]
    with foretelling() as forecast, settings(retry_budget=patience), recording(migration.context, forecast):
        for step in steps:
            run_revision(forecast, step.revision.revision, step.migration_fn, migration.database.connection)
    told = [tuple(step for revision, step in forecast.told if revision == one.revision) for one in found]
    return Plan(
        tuple(PlannedRevision(one.revision, one.message, it) for one, it in zip(found, told, strict=True)), down
    )
