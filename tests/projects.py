"""Runs migrations: a function as the body of one revision, or a whole Alembic project on disk.

    migrate(database, function)     runs it inside a real migration, and returns its value
    render(target, function)        the SQL that it renders offline
    run_sql(database, script)       runs a script in the database's own client
    statements_of(database)         records what is sent to it
    Project                         an ordinary project: alembic.ini, env.py, versions/

Alembic's `op` and `context` are global to the process: one migration at a time.
"""

from __future__ import annotations

import asyncio
import dataclasses
import io
import logging
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.operations import Operations
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from alembic.script.revision import RevisionMap

from tests.servers import OBSERVER, Database

T = TypeVar("T")

# --- one step --------------------------------------------------------------------------------------------


class _OneRevision(ScriptDirectory):
    """A script directory that holds one revision, made of a function, and whose env.py is a function too."""

    def __init__(self, revision: str, body: Callable[[], object]) -> None:
        super().__init__(Path(__file__).parent)
        module = ModuleType(revision)
        module.revision, module.down_revision = revision, None  # type: ignore[attr-defined]
        module.upgrade = module.downgrade = lambda **_: body()  # type: ignore[attr-defined]
        script = Script(module, revision, f"{revision}.py")
        self.revision_map = RevisionMap(lambda: [script])

    def steps(self, current: Any, *, down: bool) -> Any:
        return self._downgrade_revs("base", current) if down else self._upgrade_revs("head", current)


def migrate(
    database: Database,
    function: Callable[[], T],
    *,
    down: bool = False,
    revision: str = "r1",
    connection: sa.Connection | None = None,
    **configure: Any,
) -> T:
    """Runs a function as the body of a migration, as `alembic upgrade head` would, and returns its value.

    It may be called again and again: the version table is first set back to the revision before the pending one.
    An asynchronous driver is used as in an async env.py.

    Args:
        down: run it as the body of `downgrade()`.
        connection: hand over this one, as env.py files of all sorts do, instead of a new one.
        configure: further arguments of `context.configure()`.

    Example:
        assert migrate(database, lambda: create_index_if_missing("ix", "t", ["a"])) is True
    """
    values: list[T] = []
    script = _OneRevision(revision, lambda: values.append(function()))
    _stamp(database, revision if down else None)
    options: dict[str, Any] = {"transaction_per_migration": True, **configure}

    def run(given: sa.Connection) -> None:
        with EnvironmentContext(
            Config(), script, fn=lambda current, _: script.steps(current, down=down)
        ) as environment:
            environment.configure(connection=given, **options)
            with environment.begin_transaction():
                environment.run_migrations()

    if connection is not None:
        run(connection)
    elif database.is_async:
        asyncio.run(_run_async(database, run))
    else:
        with database.migrating().connect() as own:
            run(own)
    return values[0]


async def _run_async(database: Database, run: Callable[[sa.Connection], None]) -> None:
    engine = database.async_engine()
    try:
        async with engine.connect() as connection:
            await connection.run_sync(run)
    finally:
        await engine.dispose()


def _stamp(database: Database, revision: str | None) -> None:
    """What `alembic stamp` does, in a fraction of its time."""
    database.execute(
        "CREATE TABLE IF NOT EXISTS alembic_version (version_num VARCHAR(32) NOT NULL,"
        " CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))",
        "DELETE FROM alembic_version",
        *([] if revision is None else [f"INSERT INTO alembic_version VALUES ('{revision}')"]),
    )


def render(target: Database | sa.URL | str, function: Callable[[], object], **configure: Any) -> str:
    """The SQL of a function under `--sql`, without Alembic's own version table.

    Example:
        assert "CONCURRENTLY" in render("postgresql://", lambda: create_index_if_missing("ix", "t", ["a"]))
    """
    url = target.url if isinstance(target, Database) else target
    output = io.StringIO()
    options = {"literal_binds": True, "dialect_opts": {"paramstyle": "named"}, **configure}
    script = _OneRevision("r1", function)
    # The arguments of `alembic upgrade head --sql`, which a helper may read.
    with EnvironmentContext(Config(), script, as_sql=True, destination_rev="head", tag=None) as environment:
        environment.configure(url=url, output_buffer=output, transaction_per_migration=True, **options)
        context = environment.get_context()
        # What run_migrations() does with each step, but for the version table: it can be created only once.
        with (
            environment.begin_transaction(),
            Operations.context(context),
            context.begin_transaction(_per_migration=True),
        ):
            function()
    return output.getvalue()


def run_sql(database: Database, script: str) -> str:
    """Runs a script in the server's own client (psql, mariadb, sqlite3), which stops at the first error."""
    return database.server.run_client(database.name, script)


# --- statements ------------------------------------------------------------------------------------------

_DDL = re.compile(r"\s*(?:CREATE|ALTER|DROP|TRUNCATE|COMMENT|RENAME|REINDEX|CLUSTER|DO|GRANT|REVOKE)\b", re.IGNORECASE)
ALONG = "safeops_along"
"""The execution option of safeops that has what is sent before a statement; earlier releases have none."""
# EXECUTE safeops_1: the catalogue query, as a session has prepared it.
_READS = r"SELECT|SHOW|EXPLAIN|SET|RESET|DESCRIBE|EXECUTE\s+safeops_\d+|PRAGMA(?!.*writable_schema)"
_READ = re.compile(rf"\s*(?:{_READS})\b", re.IGNORECASE)
TRANSACTION = ("BEGIN", "COMMIT", "ROLLBACK")


class Statements(list[str]):
    """What was sent, in order; the ends of transactions as "COMMIT" and "ROLLBACK".

    Args:
        along: What safeops sent in one message with a statement, before it.
    """

    along: list[str]

    @property
    def sql(self) -> list[str]:
        return [statement for statement in self if statement not in TRANSACTION]

    @property
    def ddl(self) -> list[str]:
        # On an empty temporary copy the server spells a definition: that changes nothing.
        return [statement for statement in self if _DDL.match(statement) and "safeops_probe" not in statement]

    @property
    def reads(self) -> list[str]:
        return [statement for statement in self if is_read(statement)]

    @property
    def round_trips(self) -> list[str]:
        """The questions to the catalogue: reads without SET and RESET."""
        return [s for s in self.reads if not re.match(r"\s*(?:SET|RESET)\b", s, re.IGNORECASE)]


def is_read(statement: str) -> bool:
    return bool(_READ.match(statement))


@contextmanager
def statements_of(database: Database) -> Iterator[Statements]:
    """Records every statement of every connection to one database, those of the harness excepted.

    Inside a migration's body it sees what the body sends, without Alembic's own questions:

        def body():
            with statements_of(database) as sent:
                add_column_if_missing("t", Column("a", Integer))
            assert len(sent.round_trips) <= 2
    """
    sent = Statements()
    sent.along = []

    def statement(
        connection: sa.Connection, _cursor: object, text: str, _parameters: object, context: Any, _many: bool
    ) -> None:
        if is_watched(connection, database):
            sent.append(text)
            along = context.execution_options.get(ALONG) if context is not None else None
            sent.along += [along] if along is not None else []

    def end(word: str) -> Callable[[sa.Connection], None]:
        def ended(connection: sa.Connection) -> None:
            if is_watched(connection, database) and not is_autocommit(connection):
                sent.append(word)

        return ended

    with listening({"before_cursor_execute": statement, "commit": end("COMMIT"), "rollback": end("ROLLBACK")}):
        yield sent


def is_watched(connection: sa.Connection, database: Database) -> bool:
    mine = connection.engine.url.database == database.url.database
    return mine and not connection.get_execution_options().get(OBSERVER)


def is_autocommit(connection: sa.Connection) -> bool:
    return bool(connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT")


@contextmanager
def listening(listeners: Mapping[str, Callable[..., Any]], target: Any = sa.Engine) -> Iterator[None]:
    for name, listener in listeners.items():
        sa.event.listen(target, name, listener)
    try:
        yield
    finally:
        for name, listener in listeners.items():
            sa.event.remove(target, name, listener)


# --- whole projects --------------------------------------------------------------------------------------

_HEAD = """
import asyncio
from alembic import context
from sqlalchemy import create_engine, event, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

config = context.config
url = config.attributes["url"]
options = dict(target_metadata=config.attributes.get("target_metadata"), **config.attributes["configure"])


def foreign_keys_on(dbapi_connection, record):
    dbapi_connection.execute("PRAGMA foreign_keys=ON")


def make_engine(create):
    engine = create(url, poolclass=NullPool)
    if config.attributes["foreign_keys"]:
        event.listen(getattr(engine, "sync_engine", engine), "connect", foreign_keys_on)
    return engine


def offline():
    context.configure(url=url, literal_binds=True, dialect_opts={"paramstyle": "named"}, **options)
    with context.begin_transaction():
        context.run_migrations()


def run(connection):
    context.configure(connection=connection, **options)
    with context.begin_transaction():
        context.run_migrations()
"""

_TAIL = """
if context.is_offline_mode():
    offline()
else:
    online()
"""

_ONLINE = {
    # The right shape.
    "sync": """
        def online():
            with make_engine(create_engine).connect() as connection:
                run(connection)
        """,
    "async": """
        async def online_async():
            engine = make_engine(create_async_engine)
            async with engine.connect() as connection:
                await connection.run_sync(run)
            await engine.dispose()


        def online():
            asyncio.run(online_async())
        """,
    # Wrong: env.py opens the transaction itself.
    "begin": """
        def online():
            with make_engine(create_engine).begin() as connection:
                run(connection)
        """,
    # Wrong: a statement begins a transaction that Alembic then takes for someone else's.
    "execute_before": """
        def online():
            with make_engine(create_engine).connect() as connection:
                connection.execute(text("SELECT 1"))
                run(connection)
        """,
    # Right again: it ends that transaction first.
    "commit_before": """
        def online():
            with make_engine(create_engine).connect() as connection:
                connection.execute(text("SELECT 1"))
                connection.commit()
                run(connection)
        """,
    # Wrong: context.begin_transaction() is missing.
    "no_begin": """
        def online():
            with make_engine(create_engine).connect() as connection:
                context.configure(connection=connection, **options)
                context.run_migrations()
        """,
    "autocommit": """
        def online():
            with make_engine(create_engine).connect() as connection:
                run(connection.execution_options(isolation_level="AUTOCOMMIT"))
        """,
    # All revisions in one transaction: Alembic's default.
    "one_transaction": """
        def online():
            options["transaction_per_migration"] = False
            with make_engine(create_engine).connect() as connection:
                run(connection)
        """,
}

_REVISION = """
import sqlalchemy as sa
from alembic import context, op

revision = {revision!r}
down_revision = {down!r}
branch_labels = None
depends_on = None


def upgrade():
{upgrade}


def downgrade():
{downgrade}
"""


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@contextmanager
def log_lines(logger: str = "safeops") -> Iterator[list[str]]:
    """Collects what a logger logs at INFO and above."""
    handler, target = _Lines(), logging.getLogger(logger)
    level = target.level
    target.addHandler(handler)
    target.setLevel(logging.INFO)
    try:
        yield handler.lines
    finally:
        target.removeHandler(handler)
        target.setLevel(level)


@dataclasses.dataclass
class Project:
    """An Alembic project on disk.

    Example:
        project = Project(tmp_path, database, {"r1": ("op.execute('CREATE TABLE t (a int)')", "pass")})
        project.upgrade()
        assert project.current() == ("r1",)
    """

    folder: Path
    database: Database
    revisions: Mapping[str, tuple[str, str]] = dataclasses.field(default_factory=dict)
    env: str = "sync"
    imports: str = ""
    configure: dict[str, Any] = dataclasses.field(default_factory=dict)
    log: list[str] = dataclasses.field(default_factory=list)
    """What the logger "safeops" logged during the last command."""

    def __post_init__(self) -> None:
        scripts = self.folder / "migrations"
        (scripts / "versions").mkdir(parents=True, exist_ok=True)
        (self.folder / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s/migrations\n")
        (scripts / "env.py").write_text(_HEAD + "\n\n" + textwrap.dedent(_ONLINE[self.env]) + "\n" + _TAIL)
        down = None
        for revision, (upgrade, downgrade) in self.revisions.items():
            self.write(revision, upgrade, downgrade, down=down)
            down = revision

    def write(self, revision: str, upgrade: str, downgrade: str = "pass", *, down: str | None) -> Path:
        """Writes a revision, or replaces it."""
        file = self.folder / "migrations/versions" / f"{revision}.py"
        text = _REVISION.format(
            revision=revision, down=down, upgrade=_indented(upgrade), downgrade=_indented(downgrade)
        )
        file.write_text(textwrap.dedent(self.imports) + "\n" + text)
        return file

    @property
    def config(self) -> Config:
        config = Config(str(self.folder / "alembic.ini"), stdout=io.StringIO(), output_buffer=io.StringIO())
        config.attributes["url"] = self.database.url
        config.attributes["foreign_keys"] = self.database.foreign_keys
        config.attributes["configure"] = {"transaction_per_migration": True, **self.configure}
        return config

    def upgrade(self, revision: str = "head") -> None:
        self._run(command.upgrade, revision)

    def downgrade(self, revision: str = "base") -> None:
        self._run(command.downgrade, revision)

    def sql(self, revisions: str = "head", *, down: bool = False) -> str:
        """What `alembic upgrade REVISIONS --sql` prints, the version table included."""
        config = self._run(command.downgrade if down else command.upgrade, revisions, sql=True)
        assert isinstance(config.output_buffer, io.StringIO)
        return config.output_buffer.getvalue()

    def current(self) -> tuple[str, ...]:
        with self.database.observer().connect() as connection:
            return MigrationContext.configure(connection).get_current_heads()

    def _run(self, verb: Callable[..., Any], revision: str, **options: Any) -> Config:
        config = self.config
        with log_lines() as self.log:
            verb(config, revision, **options)
        return config


def _indented(body: str) -> str:
    return textwrap.indent(textwrap.dedent(body).strip() or "pass", "    ")
