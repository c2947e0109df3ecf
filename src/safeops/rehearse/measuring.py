"""One run of the revisions on a copy: what each statement did, who waited, and how the database grew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from alembic.config import Config
from sqlalchemy.engine import Engine

from safeops.databases import Database, database_on
from safeops.databases.statements import names_in
from safeops.judging.finding import Finding
from safeops.judging.server import JudgedServer
from safeops.naming import Name
from safeops.rehearse.blocking import Blocked, blocked_tables
from safeops.rehearse.effects import REVIEWED, Statement
from safeops.rehearse.findings import finding_of
from safeops.rehearse.following import OBSERVER, Observer, following
from safeops.rehearse.impact import BRIEF
from safeops.rehearse.projection import Projected, projected, rows_of
from safeops.rehearse.running import run_up
from safeops.rehearse.statement import NOT_SEEN
from safeops.rehearse.traffic import Replacements, following_recipes
from safeops.rehearse.waits import Wait, blamed, shortened, watching_waits, with_sampled
from safeops.runner.revision_run import Applied

DISK = "Disk is how much the database grew during the upgrade, with what the traffic wrote; 0 if it became smaller."


@dataclass(frozen=True)
class Run:
    """What an upgrade did.

    Args:
        applied: The revisions that were run.
        statements: What they sent.
        blocked: What their locks blocked.
        waits: Who waited for whom.
        rows: The rows of each table before.
        server: The server, as "PostgreSQL 18".
        replacements: What the revisions rename, or give another type.
        disk_bytes: How much the database grew, 0 if it shrank; None if that is not known.
        temporary_bytes: How much it wrote to temporary files; None if that is not known.
        how: What these figures include, in sentences.
        unseen: What could not be observed, in sentences.
    """

    applied: tuple[Applied, ...]
    statements: tuple[Statement, ...]
    blocked: tuple[Blocked, ...] = ()
    waits: tuple[Wait, ...] = ()
    rows: Mapping[Name, int] = field(default_factory=dict)
    server: str = ""
    replacements: Replacements = field(default_factory=Replacements)
    disk_bytes: int | None = None
    temporary_bytes: int | None = None
    how: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()

    @property
    def seconds(self) -> dict[str, float]:
        """How long each revision took."""
        return {one.revision: one.seconds for one in self.applied}

    def works_on(self, table: Name, revision: str = "") -> bool:
        """Return whether a statement, or one of a revision, locked, read or names a table."""
        return any(
            str(table) in (*one.locks, *one.scanned) or table.name in names_in(one.sql)
            for one in self.statements
            if revision in ("", one.revision)
        )


def measured_run(config: Config, engine: Engine, revision: str, rows: Mapping[Name, int]) -> Run:
    """Upgrade a copy to a revision, and observe it."""
    with engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT", **OBSERVER)
        database = database_on(connection)
        server = Observer.of(database)
        before = _volumes(database, server)
        with watching_waits(engine) as watch, following(server) as followed, following_recipes() as replacements:
            applied = run_up(config, revision, followed)
        disk, temporary = map(_grown, before, _volumes(database, server))
        statements = tuple(followed.statements)
        with_sampled(statements, watch, JudgedServer.of(database).strength)
        return Run(
            tuple(applied),
            statements,
            tuple(blocked_tables(statements, database)),
            tuple(blamed(watch.waits, statements)),
            rows,
            database.describe(),
            replacements,
            disk,
            temporary,
            (*([DISK] if disk is not None else []), *([server.how] if server.how else [])),
            tuple(dict.fromkeys(filter(None, [watch.unseen, *followed.unseen]))),
        )


def _volumes(database: Database, server: Observer) -> tuple[int | None, int | None]:
    """Return the bytes of a database, and those of its temporary files so far."""
    return database.sizes.bytes_of_database(), server.temporary_bytes()


def _grown(before: int | None, after: int | None) -> int | None:
    # A vacuum, or a dropped column or table, can make it smaller.
    return None if before is None or after is None else max(after - before, 0)


def with_reviewed(run: Run, found: Mapping[str, Sequence[Finding]], database: Database) -> Run:
    """Return a run whose statements have the locks that a review knows, if the server does not show them.

    Args:
        run: The run.
        found: The findings of a review, by revision.
        database: Knows what its locks block.
    """
    for one in run.statements:
        finding = finding_of(one.sql, found.get(one.revision, ())) if one.seen == NOT_SEEN else None
        if finding is not None and finding.lock and finding.table:
            one.effects, one.seen = replace(one.effects, locks={finding.table: finding.lock}), REVIEWED
    blocked = tuple(blocked_tables(run.statements, database))
    return replace(run, blocked=blocked, waits=tuple(blamed(run.waits, run.statements)))


# At the size of production --------------------------------------------------------------------------------------


def seconds_in_production(small: Run, large: Run, production: Mapping[Name, int]) -> dict[str, Projected]:
    """Return how long each revision would take in production.

    Args:
        small: The run on a tenth of the rows.
        large: The run.
        production: The rows of each table of production.
    """
    found = {}
    for revision, seconds in large.seconds.items():
        tables = [str(name) for name in large.rows if large.works_on(name, revision)]
        sizes = _sizes(tables, small, large, production)
        if sizes is not None and revision in small.seconds:
            found[revision] = projected(small.seconds[revision], seconds, sizes)
    return found


def held_in_production(small: Run, large: Run, production: Mapping[Name, int]) -> dict[tuple[int, str], Projected]:
    """Return how long each lock that blocks would be held in production, by its statement and table."""
    before = {_key(small.statements, one): one.seconds for one in small.blocked}
    found = {}
    for one in large.blocked:
        sizes = _sizes([one.table], small, large, production)
        key = _key(large.statements, one)
        if sizes is not None and key in before and (one.effect != BRIEF or sizes[2] > sizes[1]):
            found[one.statement, one.table] = projected(before[key], one.seconds, sizes)
    return found


def _sizes(
    tables: Sequence[str], small: Run, large: Run, production: Mapping[Name, int]
) -> tuple[int, int, int] | None:
    """Return the rows of the largest of some tables: in the small copy, in the large one, and in production."""
    largest = rows_of(tables, production)
    if largest is None:
        return None
    few, many = (rows_of([largest[0]], run.rows) for run in (small, large))
    return (few[1], many[1], largest[1]) if few is not None and many is not None else None


def _key(statements: Sequence[Statement], one: Blocked) -> tuple[str, str, str]:
    statement = statements[one.statement]
    return statement.revision, shortened(statement.sql), one.table
