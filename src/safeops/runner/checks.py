"""Checks a project's revisions before they are deployed."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate.api import RevisionContext
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, MigrationStep
from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError

from safeops import _alembic
from safeops.errors import Irreversible, OnlineOnly, SafeOpsError
from safeops.planned import summary
from safeops.runner.baselines import read_baseline, save_baseline
from safeops.runner.environment import explaining_errors, reach, reach_existing
from safeops.runner.revision_run import DONE, PENDING, Result
from safeops.runner.revisions import (
    GET_FILE_BACK,
    MERGE,
    STAMP,
    faults,
    files_of,
    line_in,
    line_of,
    missing_downgrade,
    no_such_revision,
    steps_between,
    unknown_revisions,
    unmerged_heads,
)
from safeops.runner.stamping import differences_from, lines_of, schema_of
from safeops.runner.temporary_database import TemporaryDatabase, temporary_database
from safeops.schema.refusals import NOTHING_TO_UNDO

SHOWN = 10
"""Lines of a difference that are shown."""
NO_ROWS = ". --sql has no rows to read: put the code that reads them below `if not op.get_context().as_sql:`."
DOWNGRADE = (
    'Write it. If the revision cannot be undone, call irreversible("reason"). If there is nothing to undo, write the comment'
    f" {NOTHING_TO_UNDO!r}."
)
KINDS = frozenset({"load", "heads", "downgrade", "offline", "up", "down", "models", "env", "database"})
"""The kinds of findings."""
ALLOWED = re.compile(r"#\s*safeops:\s*allow[ \t]+(\w+(?:-\w+)*(?:[ \t]*,[ \t]*\w+(?:-\w+)*)*)[ \t]*(?:--[ \t]*(\S.*))?")
"""The comment that accepts findings: which ones, and the reason, without which it accepts nothing. It accepts findings of a
check in its whole file, and findings of a review at its own line."""
BASELINE = "findings"
"""The section of a baseline that lists what a check found."""
ERROR, NOTE = "error", "note"
WAYS = {"up": "in upgrade()", "down": "in downgrade()"}


@dataclass(frozen=True)
class Finding:
    """Something that a check found.

    Args:
        kind: Which check found it: "load", "heads", "downgrade", "offline", "up", "down", "models", "env", "database".
        level: "error", or "note" for information.
        message: What is wrong, and what to do.
        file: The file; None if there is no single one.
        line: The line in that file.
        revision: The revision.
    """

    kind: str
    level: str
    message: str
    file: str | None = None
    line: int | None = None
    revision: str | None = None

    @property
    def name(self) -> str:
        """Its name in a baseline: does not change if lines move."""
        return f"{self.kind}:{self.revision or self.message.splitlines()[0]}"


@dataclass(frozen=True)
class Checked(Result):
    """What a check found.

    Args:
        revisions: How many revisions there are.
        findings: What is not accepted, in the order of the checks.
        accepted: How many more findings there were, which are accepted.
        checks: The kinds of checks that were made.
    """

    revisions: int
    findings: tuple[Finding, ...]
    accepted: int = 0
    checks: tuple[str, ...] = ()

    @property
    def exit_status(self) -> int:
        return PENDING if any(finding.level == ERROR for finding in self.findings) else DONE


def check(
    config: Config,
    *,
    scratch_url: str | None = None,
    since: str | None = None,
    ignore: Sequence[str] = (),
    baseline: str | Path | None = None,
    write_baseline: bool = False,
) -> Checked:
    """Check that a project has one head and downgrades, that they run, that models agree, and that SQL can be rendered.

    Steps: loads the files, and ends there if that fails; creates a temporary database of the project's kind; renders each
    upgrade as ``--sql`` does; runs all revisions up, down and up there; compares the schemas after both ways up, and models
    with it, as ``alembic check`` does; checks whether env.py takes the migration lock; drops the temporary database; checks
    whether the project's own is at a revision that no file has.

    Args:
        config: The configuration of the project.
        scratch_url: An empty database to run on, which is not emptied afterwards. With it the project's own is not needed.
        since: A revision: it and those before it must only load and run; they need no downgrade, and no SQL.
        ignore: Findings to accept: a kind as ``"models"``, or one of a revision as ``"downgrade:ae1027"``. A comment
            ``# safeops: allow downgrade -- why`` in the file of a revision, or in env.py, accepts it too.
        baseline: A file of findings to accept.
        write_baseline: Write that file: it then accepts all current findings.

    Raises:
        NotReady: No temporary database can be created, or the one at ``scratch_url`` is not empty.
        InvalidArgument: There is no such revision, or the file is not a baseline.
        SafeOpsError: A database cannot be reached.

    Example:
        found = check(Config("alembic.ini"), scratch_url="postgresql+psycopg://ci@localhost/temporary")
        raise SystemExit(found.exit_status)
    """
    file = None if baseline is None else Path(baseline)
    made: list[str] = []
    revisions, findings = _findings(config, scratch_url, since, made)
    if write_baseline and file is not None:
        save_baseline(file, BASELINE, _names(findings))
    remaining = _not_accepted(findings, ignore, file)
    return Checked(revisions, tuple(remaining), len(findings) - len(remaining), tuple(made))


def _findings(config: Config, scratch_url: str | None, since: str | None, made: list[str]) -> tuple[int, list[Finding]]:
    """Return how many revisions there are, and the findings; ``made`` gets the kinds of checks that were made."""
    directory = ScriptDirectory.from_config(config)
    made.append("load")
    broken = [Finding("load", ERROR, f"{fault.what}.", fault.file, fault.line) for fault in faults(directory)]
    if broken:
        # Nothing else can be checked.
        return len(files_of(directory)), broken
    # The oldest first.
    scripts = list(reversed(list(directory.walk_revisions())))
    old = _up_to(directory, since)
    new = [script for script in scripts if script.revision not in old]
    findings = [*_heads(directory), *_downgrades(new)]
    made += ["heads", "downgrade", "offline", "up"]
    has_downgrades = all(hasattr(script.module, "downgrade") for script in new)
    with explaining_errors(), temporary_database(config, scratch_url, script=directory) as temporary:
        findings += _offline(temporary, new)
        findings += _up_down_up(temporary, since, made, has_downgrades=has_downgrades)
        findings += _env(temporary)
        made.append("env")
    return len(scripts), [*findings, *(_database(config, directory, made) if scratch_url is None else ())]


def _up_to(script: ScriptDirectory, since: str | None) -> set[str]:
    """Return a revision and those before it; nothing for None."""
    if since is None:
        return set()
    try:
        upper = script.get_revision(since).revision
    except CommandError as error:
        raise no_such_revision(f"There is no revision {since}", error) from error
    return {revision.revision for revision in script.iterate_revisions(upper, "base")}


def _heads(script: ScriptDirectory) -> Iterator[Finding]:
    if heads := unmerged_heads(script):
        message = f"There are {len(heads)} heads: {', '.join(heads)}. {MERGE}"
        yield Finding("heads", ERROR, message, script.get_revision(heads[-1]).path, 1)


def _env(temporary: TemporaryDatabase) -> Iterator[Finding]:
    file = Path(temporary.script.dir) / "env.py"
    place = (str(file), line_of(file, r".*context\.configure")) if file.is_file() else (None, None)
    for message in reach(temporary.config, temporary.script).missing_in_env():
        yield Finding("env", ERROR, message, *place)


def _database(config: Config, script: ScriptDirectory, made: list[str]) -> Iterator[Finding]:
    """Check the project's own database if it can be reached; in continuous integration there is none."""
    try:
        reached = reach_existing(config, script)
    except SafeOpsError:
        return
    made.append("database")
    for unknown in unknown_revisions(reached.script, reached.current):
        message = f"The database is at {unknown}, but no file has that revision. {GET_FILE_BACK} {STAMP}"
        yield Finding("database", ERROR, message, revision=unknown)


def _downgrades(scripts: list[Script]) -> Iterator[Finding]:
    for script in scripts:
        missing = missing_downgrade(script)
        if missing is not None:
            line, what = missing
            message = f"Revision {script.revision} {what}. {DOWNGRADE}"
            yield Finding("downgrade", ERROR, message, script.path, line, script.revision)


# Offline --------------------------------------------------------------------------------------------------------


def _offline(temporary: TemporaryDatabase, scripts: list[Script]) -> Iterator[Finding]:
    online: list[str] = []
    for script in scripts:
        try:
            _render(temporary, script)
        except (OnlineOnly, CommandError):
            # CommandError is Alembic's own, as in its batch mode on SQLite.
            online.append(script.revision)
        except Exception as error:
            # Code that reads rows gets None under --sql.
            reads = isinstance(error, sa.exc.NoInspectionAvailable) or "NoneType" in str(error)
            advice = NO_ROWS if reads else ""
            yield _revision_finding("offline", ERROR, script, "fails when it is rendered by --sql", error, advice)
    if online:
        count = f"{len(online)} revision{'s' if len(online) > 1 else ''} must"
        message = f"{count} inspect the live database, and cannot be rendered by --sql: {', '.join(online)}"
        yield Finding("offline", NOTE, message)


def _render(temporary: TemporaryDatabase, script: Script) -> None:
    """Render a single revision: one that cannot be rendered must not hide another."""
    steps = [MigrationStep.upgrade_from_script(temporary.script.revision_map, script)]
    config = temporary.config
    options: dict[str, Any] = {"starting_rev": _alembic.parents(script), "destination_rev": script.revision}
    before, config.output_buffer = config.output_buffer, io.StringIO()
    try:
        with EnvironmentContext(config, temporary.script, fn=lambda _, __: steps, as_sql=True, tag=None, **options):
            temporary.script.run_env()
    finally:
        config.output_buffer = before


# Up, down, up ---------------------------------------------------------------------------------------------------


def _up_down_up(
    temporary: TemporaryDatabase, since: str | None, made: list[str], *, has_downgrades: bool
) -> Iterator[Finding]:
    failure = _run(temporary, "up")
    if failure is not None:
        yield failure
        return
    first = temporary.inspect(schema_of)
    made.append("models")
    yield from _models(temporary)
    if not has_downgrades:
        return
    made.append("down")
    failure = _run(temporary, "down", since)
    if failure is not None:
        yield failure
        if failure.level == ERROR:
            return
    failure = _run(temporary, "up")
    if failure is not None:
        yield replace(failure, level=ERROR, message=f"After the downgrades: {failure.message}")
        return
    yield from _same_again(temporary, first)


def _run(temporary: TemporaryDatabase, way: str, since: str | None = None) -> Finding | None:
    """Run all revisions up, or down to one; return what stopped that."""
    down = way == "down"
    target = (since or "base") if down else "heads"
    failure = temporary.run(
        lambda heads: steps_between(temporary.script, target, heads, down=down) if heads or not down else []
    )
    if failure is None:
        return None
    failed, error = failure
    script = temporary.script.get_revision(failed)
    if down and isinstance(error, Irreversible):
        return _revision_finding(way, NOTE, script, "cannot be undone, and ends the downgrades", error)
    return _revision_finding(way, ERROR, script, f"fails {WAYS[way]}", error)


def _same_again(temporary: TemporaryDatabase, first: sa.MetaData) -> Iterator[Finding]:
    lines = temporary.inspect(lambda context: differences_from(context, first))
    if lines:
        message = f"Up, down and up again results in another schema than up. The difference:\n{_shown(lines)}"
        yield Finding("down", ERROR, message)


def _models(temporary: TemporaryDatabase) -> Iterator[Finding]:
    lines = temporary.inspect(lambda context: _missing_in_revisions(temporary, context))
    if lines is None:
        yield Finding("models", NOTE, "env.py has no target_metadata: models cannot be compared.")
    elif lines:
        advice = "The models and the revisions differ. Generate the revision: alembic revision --autogenerate -m ..."
        yield Finding("models", ERROR, f"{advice}\n{_shown(lines)}")


def _missing_in_revisions(temporary: TemporaryDatabase, context: MigrationContext) -> list[str] | None:
    """Return what ``alembic check`` finds; None if there are no models."""
    if context.opts.get("target_metadata") is None:
        return None
    arguments: dict[str, Any] = {"message": None, "autogenerate": True, "sql": False, "head": "head", "splice": False}
    arguments |= dict.fromkeys(("branch_label", "version_path", "rev_id", "depends_on"))
    revision = RevisionContext(temporary.config, temporary.script, arguments)
    revision.run_autogenerate(context.get_current_heads(), context)
    generated = revision.generated_revisions[-1]
    return [line for operations in generated.upgrade_ops_list for line in lines_of(operations, context)]


# Findings -------------------------------------------------------------------------------------------------------


def _revision_finding(kind: str, level: str, script: Script, what: str, error: Exception, advice: str = "") -> Finding:
    problem = error.problem if isinstance(error, SafeOpsError) else summary(error)
    message = f"Revision {script.revision} {what}: {problem}{advice}"
    return Finding(kind, level, message, script.path, line_in(Path(script.path), error), script.revision)


def _shown(lines: list[str]) -> str:
    more = [f"... and {len(lines) - SHOWN} more lines"] if len(lines) > SHOWN else []
    return "\n".join(f"    {line}" for line in [*lines[:SHOWN], *more])


# Accepted findings ----------------------------------------------------------------------------------------------


def _not_accepted(findings: Iterable[Finding], ignore: Sequence[str], baseline: Path | None) -> list[Finding]:
    """Return the findings that are not accepted."""
    known = read_baseline(baseline, BASELINE, "check", str) if baseline is not None else []
    accepted = {*ignore, *known}
    return [
        finding
        for finding in findings
        if accepted.isdisjoint((finding.kind, finding.name)) and not _is_allowed(finding)
    ]


def _names(findings: Iterable[Finding]) -> list[str]:
    return sorted({finding.name for finding in findings if finding.level == ERROR})


def _is_allowed(finding: Finding) -> bool:
    return finding.file is not None and is_allowed(finding.kind, finding.file)


def is_allowed(rule: str, file: str | Path) -> bool:
    """Return whether a comment in the file of a revision accepts a rule: # safeops: allow RULE -- reason."""
    text = Path(file).read_text(encoding="utf-8", errors="replace")
    return any(comment[2] and rule in names_of(comment) for comment in ALLOWED.finditer(text))


def names_of(comment: re.Match[str]) -> list[str]:
    """Return what a comment accepts."""
    return re.split(r"\s*,\s*", comment[1])
