"""The release that is deployed continues to work during and after the upgrade, and the new one works after it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from safeops.databases import database_on
from safeops.databases.connections import run_on_connection
from safeops.naming import Name
from safeops.planned import summary
from safeops.runner.environment import Inspection
from safeops.testing.checks.words import is_lock_failure
from safeops.testing.failing import Failed, Untestable
from safeops.testing.kit import Kit, Trial
from safeops.testing.old_application import TRANSIENT, OldApplication
from safeops.testing.old_findings import Broken, Tables, failed_new
from safeops.testing.old_remedies import mentioned
from safeops.testing.old_statements import Sent
from safeops.testing.project import Revision
from safeops.testing.releases import PRESENT, Release, releases_of


def check(kit: Kit, revision: Revision) -> None:
    """Check that the models of the release before a revision read and write during and after its upgrade.

    Steps: has these models send their statements before the upgrade, to know which of them work; again and again while it
    runs; and once more after it. After the newest revision, and between the phases of a rename or a type change, the models
    of the next release must work too.

    Args:
        kit: The kit.
        revision: The revision.

    Raises:
        Failed: A statement fails that worked before.
        Untestable: The models of that release are not known, or do not fit the schema before the revision.
    """
    release = releases_of(kit).before(revision)
    with kit.before(revision) as trial:
        application = OldApplication(release, trial)
        broken: list[Broken] = []
        error: Exception | None = None
        with application.going(broken):
            try:
                trial.upgrade()
            except Exception as raised:
                error = raised
        if error is None:
            _check_after(application, kit, revision, broken)
            return
        with trial.another() as undisturbed:
            application.move_to(undisturbed)
            _upgrade_alone(undisturbed, release, error)
            _check_after(application, kit, revision, broken)


def _check_after(application: OldApplication, kit: Kit, revision: Revision, broken: Sequence[Broken]) -> None:
    application.refuse([*application.broken(), *broken])
    with suppress(Untestable):
        _check_newer(application, kit, revision)
    if (unfit := application.unfit()) is not None:
        raise unfit


# An upgrade that fails ------------------------------------------------------------------------------------------


def _upgrade_alone(trial: Trial, release: Release, error: Exception) -> None:
    """Upgrade without the application; raise Failed if it was the application that made the upgrade fail."""
    try:
        trial.upgrade()
    except Exception as alone:
        raise Untestable(f"The upgrade itself fails, also without the old release: {summary(alone)}") from alone
    if not is_lock_failure(trial, error):
        raise Failed(
            f"The upgrade fails while the old release ({release.name}) writes: {summary(error)}",
            why="Without it, the same upgrade works. Between two statements of the revision the old release wrote a row that"
            " the second one does not accept.",
            remedy="Have new rows meet the constraint before the existing ones are changed: with a server default, or with a"
            " helper that keeps new rows filled until it has validated them:",
            code="add_required_column(...)\nenforce_not_null(...)",
        ) from error


# The new release ------------------------------------------------------------------------------------------------


def _check_newer(application: OldApplication, kit: Kit, revision: Revision) -> None:
    """Raise Failed if the models of the next release do not work, as far as they must at this revision."""
    trial, releases, revisions = application.trial, releases_of(kit), kit.project.revisions()
    if revision == revisions[-1]:
        # Only then do the schema and the models of the working tree agree.
        _try_newer(releases.at(PRESENT), trial, None)
        return
    tables = run_on_connection(trial.engine, _in_phases)
    if tables:
        following = next(one for one in revisions if revision.revision in one.down)
        commit = releases.commit_before(following)
        _try_newer(releases.at(PRESENT if commit == application.release.commit else commit), trial, tables)


def _in_phases(connection: Connection) -> list[Name]:
    """Return the tables with a rename or a type change that has begun, and under which the next release works."""
    inspection, home = Inspection.of(database_on(connection)), connection.dialect.default_schema_name
    # The new type is there from the switch on.
    pairs = [pair.table for pair in inspection.open_pairs() if pair.winner is not None or pair.switched]
    return [name.at(home) for name in (*pairs, *(table for _, table in inspection.open_renames()))]


def _try_newer(release: Release, trial: Trial, only: list[Name] | None) -> None:
    tables = release.process.begin(trial.project_url)
    known = run_on_connection(trial.engine, lambda own: {name: _columns(own, name) for name in tables})
    sent = release.process.round(trial.project_url, only=only)
    broken = [Broken(one) for one in sent if _is_of_schema(one, tables, known)]
    if broken:
        raise failed_new(release.name, known, broken)


def _columns(connection: Connection, table: Name) -> list[str]:
    return [column["name"] for column in sa.inspect(connection).get_columns(table.name, schema=table.schema)]


def _is_of_schema(sent: Sent, tables: Tables, known: Tables) -> bool:
    """Return whether the schema itself causes an error, and not a value: there is no round before to compare with."""
    name = next(name for name in tables if str(name) == sent.table)
    required = set(mentioned(sent.error, known[name])) - set(tables[name])
    return bool(sent.error) and sent.kind not in TRANSIENT and (sent.kind == "statement" or bool(required))
