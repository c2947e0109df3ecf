"""Checks a project's revisions before anybody deploys them."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate.api import RevisionContext
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, MigrationStep
from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from safeops.authoring.revisions.page import NOTHING_TO_UNDO
from safeops.errors import InvalidArgument, Irreversible, OnlineOnly, SafeOpsError
from safeops.foretold import summary
from safeops.runner import accepting
from safeops.runner.accepting import Finding
from safeops.runner.branching import MERGE, stay_apart
from safeops.runner.comparing import differences_from, lines_of, schema_of
from safeops.runner.downgrades import missing_way_back
from safeops.runner.environment import lacks_of, reach
from safeops.runner.loading import faults, files_of, line_in, line_of
from safeops.runner.pending import steps_between, unknown_revisions
from safeops.runner.reading import explained
from safeops.runner.running import reached_as_it_is
from safeops.runner.scratch import Scratch, scratch_for

ERROR, NOTE = "error", "note"
SHOWN = 10
"""Lines of a difference that are shown."""


NO_ROWS = ". --sql has no rows to read: put what reads them below `if not op.get_context().as_sql:`."
WAY_BACK = (
    f'Write it; a one-way revision says irreversible("reason"), one that may leave all as it is {NOTHING_TO_UNDO!r}.'
)


@dataclass(frozen=True)
class Checked:
    """What a check found.

    Args:
        revisions: How many revisions there are.
        findings: What was found and is not accepted, in the order of the checks.
        accepted: How many more were found, and are accepted.
    """

    revisions: int
    findings: tuple[Finding, ...]
    accepted: int = 0

    @property
    def exit_status(self) -> int:
        return 1 if any(one.level == ERROR for one in self.findings) else 0

    def as_json(self) -> dict[str, Any]:
        findings = [asdict(one) for one in self.findings]
        return {"revisions": self.revisions, "findings": findings, "accepted": self.accepted}


def check(
    config: Config,
    *,
    scratch_url: str | None = None,
    since: str | None = None,
    ignore: Sequence[str] = (),
    baseline: str | Path | None = None,
    write_baseline: bool = False,
) -> Checked:
    """Check that a project has one head and ways back, that they run, that models agree, and that SQL can be rendered.

    Steps: loads the files, and ends there where that fails; renders each revision, up, as ``--sql`` does; makes a scratch
    database of the project's kind and runs all revisions up, down and up there; compares what stands after both ways up;
    compares the models with it, as ``alembic check`` does; looks whether env.py takes the migration lock; drops the
    scratch database; looks whether the project's own is at a revision that no file has.

    Args:
        config: The configuration of the project.
        scratch_url: An empty database to run on, in which what was made stays. With it the project's own is not needed.
        since: A revision: of it and those before it is asked only that they load and run, not that they can be taken back
            or rendered.
        ignore: Findings to accept: a kind as ``"models"``, or one of a revision as ``"downgrade:ae1027"``. A comment
            ``# safeops: allow downgrade -- why`` in the file of a revision, or in env.py, does so too.
        baseline: A file of findings to accept.
        write_baseline: Write that file, so that it accepts all that is found now.

    Raises:
        NotReady: No scratch database can be made, or the one at ``scratch_url`` is not empty.
        InvalidArgument: There is no such revision, or the file is no baseline.
        SafeOpsError: A database cannot be reached.

    Example:
        found = check(Config("alembic.ini"), scratch_url="postgresql+psycopg://ci@localhost/scratch")
        raise SystemExit(found.exit_status)
    """
    file = None if baseline is None else Path(baseline)
    revisions, found = _found(config, scratch_url, since)
    if write_baseline and file is not None:
        accepting.write((one for one in found if one.level == ERROR), file)
    kept = accepting.not_accepted(found, ignore, file)
    return Checked(revisions, tuple(kept), len(found) - len(kept))


def _found(config: Config, scratch_url: str | None, since: str | None) -> tuple[int, list[Finding]]:
    script = ScriptDirectory.from_config(config)
    broken = [Finding("load", ERROR, f"{one.what}.", one.file, one.line) for one in faults(script)]
    if broken:
        # Nothing else can be looked at.
        return len(files_of(script)), broken
    # The first one first.
    scripts = list(reversed(list(script.walk_revisions())))
    old = _up_to(script, since)
    new = [one for one in scripts if one.revision not in old]
    found = [*_heads(script), *_downgrades(new)]
    has_ways_back = all(hasattr(one.module, "downgrade") for one in new)
    try:
        with scratch_for(config, scratch_url) as scratch:
            found += _offline(scratch, new)
            found += _up_down_up(scratch, since if has_ways_back else None, has_ways_back=has_ways_back)
            found += _env(scratch)
    except DBAPIError as error:
        raise explained(error) from error
    return len(scripts), [*found, *(_database(config) if scratch_url is None else ())]


def _up_to(script: ScriptDirectory, since: str | None) -> set[str]:
    """Return a revision and those before it; none where there is none."""
    if since is None:
        return set()
    try:
        upper = script.get_revision(since).revision
    except CommandError as error:
        raise InvalidArgument(
            f"There is no revision {since}: {error}.", remedy="See which revisions there are:", code="alembic history"
        ) from error
    return {one.revision for one in script.iterate_revisions(upper, "base")}


def _heads(script: ScriptDirectory) -> Iterator[Finding]:
    heads = sorted(script.get_heads())
    if len(heads) > 1 and not stay_apart(script):
        said = f"There are {len(heads)} heads: {', '.join(heads)}. {MERGE}"
        yield Finding("heads", ERROR, said, script.get_revision(heads[-1]).path, 1)


def _env(scratch: Scratch) -> Iterator[Finding]:
    file = Path(scratch.script.dir) / "env.py"
    place = (str(file), line_of(file, r".*context\.configure")) if file.is_file() else (None, None)
    for said in lacks_of(reach(scratch.config)):
        yield Finding("env", ERROR, said, *place)


def _database(config: Config) -> Iterator[Finding]:
    """Look at the project's own database where it can be reached; in continuous integration there is none."""
    try:
        reached = reached_as_it_is(config)
    except SafeOpsError:
        return
    for one in unknown_revisions(reached.script, reached.current):
        said = (
            f"The database is at {one}, and no file has it. Get the file back, as from the branch that was deployed; or"
        )
        yield Finding("database", ERROR, f"{said} if it is gone for good: safeops stamp REV --verify", revision=one)


def _downgrades(scripts: list[Script]) -> Iterator[Finding]:
    for one in scripts:
        missing = missing_way_back(one)
        if missing is not None:
            line, what = missing
            yield Finding(
                "downgrade", ERROR, f"Revision {one.revision} {what}. {WAY_BACK}", one.path, line, one.revision
            )


# Offline --------------------------------------------------------------------------------------------------------


def _offline(scratch: Scratch, scripts: list[Script]) -> Iterator[Finding]:
    online: list[str] = []
    for one in scripts:
        try:
            _render(scratch, one)
        except (OnlineOnly, CommandError):
            # The second is Alembic's own, as of its batch mode on SQLite.
            online.append(one.revision)
        except Exception as error:
            # What asks --sql for rows gets None for them.
            looks = isinstance(error, sa.exc.NoInspectionAvailable) or "NoneType" in str(error)
            advice = NO_ROWS if looks else ""
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


def _up_down_up(scratch: Scratch, since: str | None, *, has_ways_back: bool) -> Iterator[Finding]:
    failure = _went(scratch, "up")
    if failure is not None:
        yield failure
        return
    first = scratch.look(schema_of)
    yield from _models(scratch)
    if not has_ways_back:
        return
    failure = _went(scratch, "down", since)
    if failure is not None:
        yield failure
        if failure.level == ERROR:
            return
    failure = _went(scratch, "up")
    if failure is not None:
        yield replace(failure, level=ERROR, message=f"After the way down: {failure.message}")
        return
    yield from _same_again(scratch, first)


def _went(scratch: Scratch, way: str, since: str | None = None) -> Finding | None:
    """Run all revisions up, or down to one; return what stopped that."""
    down = way == "down"
    target = (since or "base") if down else "heads"
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
    return Finding(kind, level, message, script.path, line_in(Path(script.path), error), script.revision)


def _shown(lines: list[str]) -> str:
    more = [f"... and {len(lines) - SHOWN} lines more"] if len(lines) > SHOWN else []
    return "\n".join(f"    {line}" for line in [*lines[:SHOWN], *more])
