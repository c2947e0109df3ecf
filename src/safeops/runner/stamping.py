"""Stamps a database with a revision, after verifying that its schema is that of the revision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import produce_migrations, render_python_code
from alembic.config import Config
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import event

from safeops.autogenerate_filter import PREFIX
from safeops.databases import database_on
from safeops.errors import NotReady
from safeops.planned import summary
from safeops.runner.environment import Inspection, reach_existing, run_env
from safeops.runner.revision_run import DONE, PENDING, WAIT, Result, command_line, holding_lock
from safeops.runner.revisions import no_such_revision, scripts_of, steps_between
from safeops.runner.temporary_database import TemporaryDatabase, temporary_database


@dataclass(frozen=True)
class Stamped(Result):
    """What a stamp did.

    Args:
        before: The revisions in the version table before.
        current: The revisions in it now.
        differences: What would bring the database to the revision, as lines of a revision; it was stamped if there are none.
    """

    before: tuple[str, ...]
    current: tuple[str, ...]
    differences: tuple[str, ...] = ()

    @property
    def exit_status(self) -> int:
        return PENDING if self.differences else DONE


def stamp(
    config: Config, revision: str, *, verify: bool = True, scratch_url: str | None = None, wait: float = WAIT
) -> Stamped:
    """Stamp a project's database with a revision, if its schema is that of the revision.

    Steps: creates a temporary database of the same kind; runs the revisions there; compares with Alembic's comparison, which
    sees tables, columns, indexes, unique constraints and foreign keys; stamps only if there is no difference.

    Args:
        config: The configuration of the project.
        revision: The revision; ``heads`` for all branches.
        verify: Compare first; without it nothing is verified, as by ``alembic stamp``.
        scratch_url: An empty database to run the revisions on, if this user cannot create one.
        wait: Seconds to wait for another runner.

    Raises:
        NotReady: No temporary database can be created, or the revisions do not run there.
        LockNotAcquired: Another runner held the lock for ``wait`` seconds.

    Example:
        stamp(Config("alembic.ini"), "head")
    """
    script = scripts_of(config)
    _check_revision(script, revision)
    reached = reach_existing(config, script)
    with holding_lock(reached, wait, f"{command_line(config, 'stamp', revision)}{' --verify' if verify else ''}"):
        before = reached.current_now()
        differences = _differences(config, script, revision, scratch_url) if verify else []
        if differences:
            return Stamped(before, before, tuple(differences))
        # A purge also removes a revision that no file has.
        command.stamp(config, revision, purge=verify)
        return Stamped(before, reached.current_now())


def _check_revision(script: ScriptDirectory, revision: str) -> None:
    try:
        script.get_revisions(revision)
    except CommandError as error:
        raise no_such_revision(f"There is no revision {revision} to stamp", error) from error


def _differences(config: Config, script: ScriptDirectory, revision: str, scratch_url: str | None) -> list[str]:
    with temporary_database(config, scratch_url, script=script) as temporary:
        _run_to(temporary, revision)
        expected = temporary.inspect(schema_of)
    return run_env(config, lambda context: differences_from(context, expected), script)


def _run_to(temporary: TemporaryDatabase, revision: str) -> None:
    failure = temporary.run(lambda heads: steps_between(temporary.script, revision, heads))
    if failure is not None:
        failed, error = failure
        raise NotReady(
            f"Revision {failed} fails on an empty database: {summary(error)}.",
            why="The revisions are run on a scratch database, to compare the schemas.",
            remedy="If they need objects that were created in another way, create these in the first revision. Or prepare"
            " a scratch database, and name it:",
            code=f"safeops stamp {revision} --verify --scratch-url URL",
        ) from error


def schema_of(context: MigrationContext) -> sa.MetaData:
    """Reflect a database, except the tables of Alembic and safeops."""
    connection = context.connection
    assert connection is not None
    metadata = sa.MetaData()

    def as_alembic_does(inspector: Any, table: sa.Table, column: Any) -> None:
        impl: Any = context.impl
        impl.autogen_column_reflect(inspector, table, column)

    event.listen(metadata, "column_reflect", as_alembic_does)
    others = Inspection.of(database_on(connection)).other_schemas() if context.opts.get("include_schemas") else []
    for schema in [None, *others]:
        metadata.reflect(connection, schema=schema)
    version_table = (context.version_table, context.version_table_schema)
    for table in list(metadata.tables.values()):
        if table.name.startswith(PREFIX) or (table.name, table.schema) == version_table:
            metadata.remove(table)
    return metadata


def differences_from(context: MigrationContext, expected: sa.MetaData) -> list[str]:
    """Return what would bring a database to a schema, as lines of a revision; none if they are the same."""
    options = {
        **context.opts,
        "target_metadata": expected,
        "compare_type": context.opts.get("compare_type", True),
        "compare_server_default": True,
        "process_revision_directives": None,
    }
    strict = MigrationContext.configure(connection=context.connection, opts=options)
    _equate_defaults_with_the_same_text(strict)
    changes = produce_migrations(strict, expected)
    assert changes.upgrade_ops is not None
    return lines_of(changes.upgrade_ops, strict)


def _equate_defaults_with_the_same_text(context: MigrationContext) -> None:
    """Prevent a false difference: on MySQL and MariaDB, to Alembic a default as (uuid()) or '100 %' differs from itself."""
    impl: Any = context.impl
    original = impl.compare_server_default

    # As an option compare_server_default it would also be called for generated columns, on which Alembic fails.
    def differ(column: Any, expected: Any, *rendered: Any) -> bool:
        return _default_of(column) != _default_of(expected) and bool(original(column, expected, *rendered))

    impl.compare_server_default = differ


def _default_of(column: Any) -> str | None:
    return None if column.server_default is None else str(column.server_default.arg)


def lines_of(operations: ops.UpgradeOps, context: MigrationContext) -> list[str]:
    """Return operations as lines of a revision."""
    # Different comments alone do not count.
    if not operations.as_diffs():
        return []
    # Without env.py's options, by which Alembic would expect models.
    bare = MigrationContext.configure(connection=context.connection)
    code = render_python_code(operations, migration_context=bare)
    # The first and last lines are comments of Alembic's template.
    return [
        line.removeprefix("    ") for line in code.splitlines() if line.strip() and not line.strip().startswith("# ###")
    ]
