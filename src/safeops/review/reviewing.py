"""Reviews revisions before they are deployed: selects them, takes them up the ladder, and takes away what is accepted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from alembic.config import Config
from alembic.script import Script

from safeops.databases import Database, database_for
from safeops.errors import SafeOpsError
from safeops.judging.judge import SMALL_TABLE
from safeops.judging.rules import RULES
from safeops.judging.sent import Recording
from safeops.judging.server import JudgedServer
from safeops.review import baseline as baselines
from safeops.review.acceptance import Acceptance
from safeops.review.before import Live
from safeops.review.copies import learn_version
from safeops.review.ladder import Found, Ladder
from safeops.review.live import applied_at, counted, reading
from safeops.review.models import Released
from safeops.review.offline import environment_of
from safeops.review.progress import shown
from safeops.review.replay import Replay
from safeops.review.reviewed import UNSEEN, Reviewed, ReviewedRevision
from safeops.review.runs import Environment
from safeops.review.scratch import record_scratch, why_not
from safeops.review.selection import Selection, selected
from safeops.review.stats import Stats, default_file, read_stats, stats_file
from safeops.review.stats import write_stats as save_stats
from safeops.review.trying import with_trials
from safeops.review.verdicts import Verdicts
from safeops.runner.revision_run import ending_on_signals


@dataclass(frozen=True)
class Asked:
    """What a review can read, and what it accepts.

    Args:
        small_table: Long locks on tables with fewer rows are safe.
        url: The live database.
        scratch: Whether the revisions run on an empty copy.
        scratch_url: An empty database for that; None makes one on the project's own server.
        stats: The file with the numbers of rows, if there is one.
        write_stats: Whether to write it.
        baseline: The file of accepted findings.
        write_baseline: Whether to write it.
    """

    small_table: int = SMALL_TABLE
    url: str | None = None
    scratch: bool = False
    scratch_url: str | None = None
    stats: Path | None = None
    write_stats: bool = False
    baseline: Path | None = None
    write_baseline: bool = False


def review(
    config: Config,
    what: Sequence[str] = (),
    *,
    since: str | None = None,
    all_revisions: bool = False,
    url: str | None = None,
    scratch_url: str | None = None,
    scratch: bool = False,
    server_version: str | None = None,
    small_table: int = SMALL_TABLE,
    stats: str | Path | None = None,
    write_stats: bool = False,
    fix: bool = False,
    baseline: str | Path | None = None,
    write_baseline: bool = False,
) -> Reviewed:
    """Judge revisions before they are deployed: what they lock, for how long, what they break, and what to write instead.

    Steps: selects the revisions; runs ``upgrade()`` of each on a connection that records, and of those before it, to know
    what exists; with ``url`` reads the live database; with ``scratch_url`` runs them on an empty copy, and
    measures what each statement locked and did; judges each statement with the locks that its transaction holds; takes away
    what a comment, ``assured(...)`` or the baseline accepts. No table of the project's is changed.

    Args:
        config: The configuration of the project.
        what: Revisions, ranges of them as ``"ae1027:head"``, or files. By default the pending ones of the project's
            database; if that cannot be reached, those that the main branch does not have.
        since: A git ref or a revision: those added since.
        all_revisions: All revisions, each separately.
        url: The live database, which is only read: sizes, and what exists.
        scratch_url: An empty database of the project's kind, to run the revisions on.
        scratch: Run them on an empty database that is made on the project's own server, and dropped.
        server_version: The version of the server, such as ``"15"``, if none is queried; by default the newest.
        small_table: Long locks on tables with fewer rows are safe.
        stats: A file with the numbers of rows; by default ``stats.json`` next to the configuration, if there is one.
        write_stats: Write that file, from the database at ``url``.
        fix: Write the safe call into the files, if one call replaces one call.
        baseline: A file of findings to accept.
        write_baseline: Write that file: it then accepts everything that is unsafe now.

    Returns:
        The report. Its ``exit_status`` is 1 if something is unsafe, 2 if an effect could not be determined.

    Raises:
        InvalidArgument: There is no such revision or file, or a file cannot be read.
        NotReady: The database at ``scratch_url`` is not empty, or no copy can be made.
        SafeOpsError: The revisions cannot be loaded, or a database cannot be reached.

    Example:
        found = review(Config("alembic.ini"), since="origin/main")
        raise SystemExit(found.exit_status)
    """
    file = None if baseline is None else Path(baseline)
    known = stats_file(config, stats)
    asked = Asked(small_table, url, scratch or bool(scratch_url), scratch_url, known, write_stats, file, write_baseline)

    def again() -> Reviewed:
        environment = _environment(config, server_version, asked)
        return reviewed(environment, _selection(config, environment, what, since, all_revisions, url), asked)

    with ending_on_signals():
        found = again()
        changed, remarks = _fixed(found, config, url) if fix else (False, [])
        return _with_remarks(again() if changed else found, remarks)


def _fixed(found: Reviewed, config: Config, url: str | None) -> tuple[bool, list[str]]:
    """Rewrite the files of findings; return whether any has changed, and remarks about them."""
    try:
        from safeops.review.fixing import fixed_files
    except ImportError as error:
        raise _not_installed(error) from error
    return fixed_files(found, environment_of(config), url)


def _with_remarks(found: Reviewed, remarks: Sequence[str]) -> Reviewed:
    return replace(found, remarks=(*remarks, *found.remarks))


def reviewed(environment: Environment, selection: Selection, asked: Asked) -> Reviewed:
    """Return what is found in the revisions that were selected."""
    verdicts = Verdicts(database_for(environment.dialect, None), asked.small_table)
    refuse_without_parser(verdicts.database)
    recorded = Replay(environment, selection.scripts, one_run=selection.one_run)
    ladder = Ladder(
        environment.script,
        # Under an asynchronous driver there is no loop left for them later.
        recorded if asked.url is None else list(recorded),
        _measured(environment.config, selection.scripts, asked.scratch_url) if asked.scratch else {},
        Released(environment.config, environment.options.get("target_metadata")),
        selection.one_run,
    )
    sizes = read_stats(asked.stats) if asked.stats is not None and not asked.write_stats else Stats()

    def on_live(database: Database, live: Live) -> list[Found]:
        if asked.write_stats:
            save_stats(asked.stats or default_file(environment.config), counted(database, live))
        return ladder.climb(replace(verdicts, database=database, settings=live.facts.settings()), sizes, live)

    found = ladder.climb(verdicts, sizes) if asked.url is None else reading(asked.url, environment, on_live)
    revisions = _accepted(found, asked.baseline, write_baseline=asked.write_baseline)
    if asked.scratch:
        tried = with_trials(environment.config, revisions, ladder.measured, asked.scratch_url)
        revisions = tuple(shown(tried, revisions, "trying the replacements"))
    return Reviewed(
        revisions,
        verdicts.database.product,
        (
            *_which(selection),
            *_not_measured(ladder.measured.values()),
            *filter(None, [environment.remark]),
            *ladder.released.remarks,
        ),
    )


def _which(selection: Selection) -> Iterator[str]:
    if selection.why != "named":
        yield f"Reviewed: {selection.why}"


def _not_measured(recordings: Iterable[Recording]) -> Iterator[str]:
    """Yield why revisions were not run on the scratch copy, or not to their end."""
    reasons: dict[str, list[str]] = {}
    for one in recordings:
        if one.seen == UNSEEN and one.error is not None:
            reasons.setdefault(why_not(one.error), []).append(one.revision)
    for reason, revisions in reasons.items():
        more = f" and {len(revisions) - 1} more" if len(revisions) > 1 else ""
        yield f"Not measured on the scratch copy: {revisions[0]}{more}. {reason}"


def _environment(config: Config, server_version: str | None, asked: Asked) -> Environment:
    environment = environment_of(config)
    if server_version is not None:
        environment.dialect.server_version_info = tuple(int(part) for part in server_version.split("."))
    elif asked.scratch:
        learn_version(environment.dialect, config, asked.scratch_url)
    return environment


def refuse_without_parser(database: Database) -> None:
    """Raise if the packages of the extra ``review`` are not installed."""
    try:
        JudgedServer.of(database).parse("SELECT 1")
    except ImportError as error:
        raise _not_installed(error) from error


def _not_installed(error: ImportError) -> SafeOpsError:
    return SafeOpsError(
        f"A review needs {error.name}, which is not installed.",
        why="A review parses SQL and Python with packages that are not installed by default.",
        remedy="Install the extra:",
        code="pip install 'alembic-safeops[review]'",
    )


def _measured(config: Config, scripts: Sequence[Script], scratch_url: str | None) -> dict[str, Recording]:
    recordings = shown(record_scratch(config, scripts, scratch_url), scripts, "running on the scratch copy")
    return {recording.revision: recording for recording in recordings}


def _selection(
    config: Config,
    environment: Environment,
    what: Sequence[str],
    since: str | None,
    all_revisions: bool,
    url: str | None,
) -> Selection:
    """Return the revisions to review; of those that are not named none that the database at ``url`` has had."""
    if url is None or what:
        return selected(config, what, since=since, all_=all_revisions)
    found = selected(config, since=since, all_=all_revisions or since is None)
    applied = applied_at(url, environment)
    pending = tuple(one for one in found.scripts if one.revision not in applied)
    if since is None and not all_revisions:
        return Selection(pending, "pending on the database at --url", one_run=True)
    return replace(found, scripts=pending)


# What is accepted -----------------------------------------------------------------------------------------------


def _accepted(found: list[Found], baseline: Path | None, *, write_baseline: bool) -> tuple[ReviewedRevision, ...]:
    """Return the revisions without what is accepted; with ``write_baseline`` all of it is from now on."""
    if baseline is not None and write_baseline:
        baselines.write(baseline, _without(found, Acceptance(RULES)))
    keys = baselines.accepted_in(baseline, "review") if baseline is not None else ()
    return _without(found, Acceptance(RULES, keys))


def _without(found: list[Found], acceptance: Acceptance) -> tuple[ReviewedRevision, ...]:
    return tuple(acceptance.applied(one.revision, one.findings, complete=one.complete) for one in found)
