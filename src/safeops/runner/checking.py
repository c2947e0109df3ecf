"""Checks a project's revisions before anybody deploys them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate.api import RevisionContext
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, MigrationStep
from alembic.script import Script, ScriptDirectory
from sqlalchemy.exc import DBAPIError

from safeops.authoring.revisions.page import NOTHING_TO_UNDO
from safeops.errors import Irreversible, OnlineOnly, SafeOpsError
from safeops.foretold import summary
from safeops.runner.comparing import differences_from, lines_of, schema_of
from safeops.runner.downgrades import missing_way_back
from safeops.runner.loading import faults, files_of, line_in
from safeops.runner.pending import steps_between
from safeops.runner.reading import explained
from safeops.runner.scratch import Scratch, scratch_for

ERROR, NOTE = "error", "note"
SHOWN = 10
"""Lines of a difference that are shown."""


NO_ROWS = ". --sql has no rows to read: put what reads them below `if not op.get_context().as_sql:`."
WAY_BACK = (
    f'Write it; a one-way revision says irreversible("reason"), one that may leave all as it is {NOTHING_TO_UNDO!r}.'
)


@dataclass(frozen=True)
class Finding:
    """Something that was found.

    Args:
        kind: Which check found it: "load", "heads", "downgrade", "up", "down", "models", "offline".
        level: "error", or "note" for what is worth knowing.
        message: What it is, and what to do.
        file: The file of the revision; None where it is about no one file.
        line: The line in it.
    """

    kind: str
    level: str
    message: str
    file: str | None = None
    line: int | None = None


@dataclass(frozen=True)
class Checked:
    """What a check found.

    Args:
        revisions: How many revisions there are.
        findings: What was found, in the order of the checks.
    """

    revisions: int
    findings: tuple[Finding, ...]

    @property
    def exit_status(self) -> int:
        return 1 if any(one.level == ERROR for one in self.findings) else 0

    def as_json(self) -> dict[str, Any]:
        return {"revisions": self.revisions, "findings": [asdict(one) for one in self.findings]}


def check(config: Config, *, scratch_url: str | None = None) -> Checked:
    """Check that a project has one head and ways back, that they run, that models agree, and that SQL can be rendered.

    Steps: loads the files, and ends there where that fails; renders each revision, up, as ``--sql`` does; makes a scratch
    database of the project's kind and runs all revisions up, down and up there; compares what stands after both ways up;
    compares the models with it, as ``alembic check`` does; drops the scratch database.

    Args:
        config: The configuration of the project.
        scratch_url: An empty database to run on, in which what was made stays. With it the project's own is not needed.

    Raises:
        NotReady: No scratch database can be made, or the one at ``scratch_url`` is not empty.
        SafeOpsError: A database cannot be reached.

    Example:
        found = check(Config("alembic.ini"), scratch_url="postgresql+psycopg://ci@localhost/scratch")
        raise SystemExit(found.exit_status)
    """
    script = ScriptDirectory.from_config(config)
    broken = [Finding("load", ERROR, f"{one.what}.", one.file, one.line) for one in faults(script)]
    if broken:
        # Nothing else can be looked at.
        return Checked(len(files_of(script)), tuple(broken))
    # The first one first.
    scripts = list(reversed(list(script.walk_revisions())))
    found = [*_heads(script), *_downgrades(scripts)]
    try:
        with scratch_for(config, scratch_url) as scratch:
            found += _offline(scratch, scripts)
            found += _up_down_up(scratch, has_ways_back=all(hasattr(one.module, "downgrade") for one in scripts))
    except DBAPIError as error:
        raise explained(error) from error
    return Checked(len(scripts), tuple(found))


def _heads(script: ScriptDirectory) -> Iterator[Finding]:
    heads = sorted(script.get_heads())
    if len(heads) > 1:
        said = f"There are {len(heads)} heads: {', '.join(heads)}. Merge them: safeops heads --merge"
        yield Finding("heads", ERROR, said, script.get_revision(heads[-1]).path, 1)


def _downgrades(scripts: list[Script]) -> Iterator[Finding]:
    for one in scripts:
        missing = missing_way_back(one)
        if missing is not None:
            line, what = missing
            yield Finding("downgrade", ERROR, f"Revision {one.revision} {what}. {WAY_BACK}", one.path, line)


# Offline --------------------------------------------------------------------------------------------------------


def _offline(scratch: Scratch, scripts: list[Script]) -> Iterator[Finding]:
    online: list[str] = []
    for one in scripts:
        try:
            _render(scratch, one)
        except OnlineOnly:
            online.append(one.revision)
        except Exception as error:
            # What asks --sql for rows gets None for them.
            advice = NO_ROWS if "NoneType" in str(error) else ""
            yield _of_revision("offline", ERROR, one, "fails when it is rendered by --sql", error, advice)
    if online:
        count = f"{len(online)} revision{'s have' if len(online) > 1 else ' has'}"
        said = f"{count} to look at the live database, and cannot be rendered by --sql: {', '.join(online)}"
        yield Finding("offline", NOTE, said)


def _render(scratch: Scratch, script: Script) -> None:
    """Render a revision by itself, so that one that cannot be rendered hides no other."""
    steps = [MigrationStep.upgrade_from_script(scratch.script.revision_map, script)]
    config = scratch.config
    options: dict[str, Any] = {"starting_rev": script._normalized_down_revisions, "destination_rev": script.revision}
    before, config.output_buffer = config.output_buffer, io.StringIO()
    try:
        with EnvironmentContext(config, scratch.script, fn=lambda _, __: steps, as_sql=True, tag=None, **options):
            scratch.script.run_env()
    finally:
        config.output_buffer = before


# Up, down, up ---------------------------------------------------------------------------------------------------


def _up_down_up(scratch: Scratch, *, has_ways_back: bool) -> Iterator[Finding]:
    failure = _went(scratch, "up")
    if failure is not None:
        yield failure
        return
    first = scratch.look(schema_of)
    yield from _models(scratch)
    if not has_ways_back:
        return
    failure = _went(scratch, "down")
    if failure is not None:
        yield failure
        if failure.level == ERROR:
            return
    failure = _went(scratch, "up")
    if failure is not None:
        yield Finding(failure.kind, ERROR, f"After the way down: {failure.message}", failure.file, failure.line)
        return
    yield from _same_again(scratch, first)


def _went(scratch: Scratch, way: str) -> Finding | None:
    """Run all revisions up or down; return what stopped that."""
    down = way == "down"
    target = "base" if down else "heads"
    course = scratch.course(
        lambda heads: steps_between(scratch.script, target, heads, down=down) if heads or not down else []
    )
    try:
        course.run(scratch.config, scratch.script)
    except Exception as error:
        if course.running is None:
            raise
        script = scratch.script.get_revision(course.running.revision)
        if down and isinstance(error, Irreversible):
            return _of_revision(way, NOTE, script, "is the end of the way down", error)
        return _of_revision(way, ERROR, script, f"fails on the way {way}", error)
    return None


def _same_again(scratch: Scratch, first: sa.MetaData) -> Iterator[Finding]:
    lines = scratch.look(lambda context: differences_from(context, first))
    if lines:
        said = f"Up, down and up again ends in another schema than up. What is missing, or too much:\n{_shown(lines)}"
        yield Finding("down", ERROR, said)


def _models(scratch: Scratch) -> Iterator[Finding]:
    lines = scratch.look(lambda context: _missing_in_revisions(scratch, context))
    if lines is None:
        yield Finding("models", NOTE, "env.py has no target_metadata: models cannot be compared.")
    elif lines:
        said = "Models and revisions do not agree. Write the revision: alembic revision --autogenerate -m ..."
        yield Finding("models", ERROR, f"{said}\n{_shown(lines)}")


def _missing_in_revisions(scratch: Scratch, context: MigrationContext) -> list[str] | None:
    """Return what ``alembic check`` finds; None where there are no models."""
    if context.opts.get("target_metadata") is None:
        return None
    arguments: dict[str, Any] = {"message": None, "autogenerate": True, "sql": False, "head": "head", "splice": False}
    arguments |= dict.fromkeys(("branch_label", "version_path", "rev_id", "depends_on"))
    revision = RevisionContext(scratch.config, scratch.script, arguments)
    revision.run_autogenerate(context.get_current_heads(), context)
    found = revision.generated_revisions[-1].upgrade_ops_list
    return [line for one in found for line in lines_of(one, context)]


# Telling --------------------------------------------------------------------------------------------------------


def _of_revision(kind: str, level: str, script: Script, what: str, error: Exception, advice: str = "") -> Finding:
    said = error.problem if isinstance(error, SafeOpsError) else summary(error)
    message = f"Revision {script.revision} {what}: {said}{advice}"
    return Finding(kind, level, message, script.path, line_in(Path(script.path), error))


def _shown(lines: list[str]) -> str:
    more = [f"... and {len(lines) - SHOWN} lines more"] if len(lines) > SHOWN else []
    return "\n".join(f"    {line}" for line in [*lines[:SHOWN], *more])
