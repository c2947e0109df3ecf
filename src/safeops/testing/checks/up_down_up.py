"""Up, down, up: the downgrade leads back to schema and rows, and the upgrade works again."""

from __future__ import annotations

from safeops.errors import Irreversible
from safeops.planned import summary
from safeops.rehearse.schemas import schema_differences
from safeops.runner.revisions import has_nothing_to_undo, missing_downgrade
from safeops.testing.checks.words import allowed_reason, place_of, upgrade_failed
from safeops.testing.failing import Failed, Untestable
from safeops.testing.kit import Kit, Trial, Undisturbed
from safeops.testing.project import Revision
from safeops.testing.snapshots import State, row_differences

LOSSY = "lossy-downgrade"
DECLARED = """from safeops import irreversible

def downgrade() -> None:
    irreversible("why it cannot be undone")"""
ACCEPTED = f"# safeops: allow {LOSSY} -- why the rows may be lost"


def check(kit: Kit, revision: Revision) -> None:
    """Upgrade, downgrade and upgrade again; compare schema and rows with those of an undisturbed upgrade."""
    try:
        undisturbed = kit.undisturbed(revision)
    except Untestable:
        raise
    except Exception as error:
        raise upgrade_failed(revision, error, has_rows=kit.has_rows(revision)) from error
    with kit.before(revision) as trial:
        trial.upgrade()
        _downgrade(trial)
        keeps_rows = allowed_reason(revision, LOSSY) is None
        if not has_nothing_to_undo(kit.project.script.get_revision(revision.revision)):
            back = trial.state()
            _compare_schema(trial, undisturbed.before, back)
            if keeps_rows:
                _compare_rows(trial, undisturbed, back)
        _upgrade_again(trial)
        _compare_again(trial, undisturbed, keeps_rows)


# Down -----------------------------------------------------------------------------------------------------------


def _downgrade(trial: Trial) -> None:
    revision = trial.revision
    try:
        trial.downgrade()
    except Irreversible as error:
        raise Untestable(f"{revision} declares that it cannot be undone: {error.problem}") from error
    except Exception as error:
        missing = _missing(trial)
        if missing:
            raise missing from error
        raise Failed(
            f"{revision} cannot be undone: downgrade() fails at {place_of(revision, error)}.",
            why="The upgrade was run first, undisturbed.",
            details=[summary(error)],
            remedy="Correct downgrade(). If the revision cannot be undone, declare it:",
            code=DECLARED,
        ) from error


def _missing(trial: Trial) -> Failed | None:
    found = missing_downgrade(trial.kit.project.script.get_revision(trial.revision.revision))
    if found is None:
        return None
    line, what = found
    return Failed(
        f"{trial.revision} {what} ({trial.revision.path.name}:{line}).",
        why="A failed deploy could not be rolled back.",
        remedy="Write downgrade(). If the revision cannot be undone, declare it:",
        code=DECLARED,
    )


def _compare_schema(trial: Trial, before: State, back: State) -> None:
    found = schema_differences(before.schema, back.schema)
    if found and (missing := _missing(trial)):
        raise missing
    if found:
        raise Failed(
            f"{trial.revision}: downgrade() does not lead back to the schema from before the upgrade.",
            why="After up and down, compared with before:",
            details=found,
            remedy=f"Undo in downgrade() of {trial.revision.path.name} what upgrade() does, in the reverse order.",
        )


def _compare_rows(trial: Trial, undisturbed: Undisturbed, back: State) -> None:
    found = row_differences(undisturbed.before, back, ignoring=undisturbed.varying, nulls_kept=False)
    if found:
        raise Failed(
            f"{trial.revision}: downgrade() does not lead back to the rows from before the upgrade.",
            why="After up and down, compared with before:",
            details=found,
            remedy="Let downgrade() delete what upgrade() inserts, and keep what it needs to restore the others, as"
            " drop_column_if_exists(..., archive=True) does. If it restores what sample rows do not have, insert such rows"
            f" in the fixture safeops_rows. To accept the difference, write in {trial.revision.path.name}, or declare it"
            " irreversible():",
            code=ACCEPTED,
        )


# Up again -------------------------------------------------------------------------------------------------------


def _upgrade_again(trial: Trial) -> None:
    try:
        trial.upgrade()
    except Exception as error:
        raise Failed(
            f"{trial.revision} cannot be run again after its downgrade: upgrade() fails at"
            f" {place_of(trial.revision, error)}.",
            why="Most likely downgrade() leaves something that upgrade() creates.",
            details=[summary(error)],
            remedy=f"Undo in downgrade() of {trial.revision.path.name} all that upgrade() does.",
        ) from error


def _compare_again(trial: Trial, undisturbed: Undisturbed, keeps_rows: bool) -> None:
    again = trial.state()
    found = schema_differences(undisturbed.after.schema, again.schema)
    if keeps_rows:
        found += row_differences(undisturbed.after, again, ignoring=undisturbed.varying)
    if found:
        raise Failed(
            f"{trial.revision}: up, down and up do not lead to the same as up alone.",
            why="After up, down and up, compared with after the first upgrade:",
            details=found,
            remedy=f"Let downgrade() of {trial.revision.path.name} remove all that upgrade() creates, rows among them.",
        )
