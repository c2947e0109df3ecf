"""The env.py files of the projects: sound ones without safeops, the one that `safeops init` writes, and faulty ones."""

from __future__ import annotations

from safeops.authoring.project import template_text

_HEAD = """
import time

from alembic import context
from sqlalchemy import Connection, engine_from_config, event, pool, text

from models import Base

config = context.config
target_metadata = Base.metadata


def run_migrations_offline():
    context.configure(
        url=config.get_main_option("sqlalchemy.url"),
        target_metadata=target_metadata,
        literal_binds=True,
        dialect_opts={"paramstyle": "named"},
    )
    with context.begin_transaction():
        context.run_migrations()


def new_engine():
    section = config.get_section(config.config_ini_section, {})
    return engine_from_config(section, prefix="sqlalchemy.", poolclass=pool.NullPool, OPTIONS)


def migrate(connection, **options):
    context.configure(connection=connection, target_metadata=target_metadata, **options)
    with context.begin_transaction():
        context.run_migrations()
"""

_TAIL = """

if context.is_offline_mode():
    run_migrations_offline()
else:
    run_migrations_online()
"""

_UNLOCKED = """

def run_migrations_online():
    with new_engine().connect() as connection:
        migrate(connection, transaction_per_migration=True)
"""

_LOCKED = """

def run_migrations_online():
    engine = new_engine()
    with engine.connect() as lock, engine.connect() as connection:
        lock = lock.execution_options(isolation_level="AUTOCOMMIT")
        while not lock.scalar(text("TRY")):
            time.sleep(0.05)
        migrate(connection, transaction_per_migration=True)
"""

# As SQLAlchemy documents it: the driver begins no transactions; with these, DDL is in them too.
_IMMEDIATE = """

def run_migrations_online():
    engine = new_engine()

    @event.listens_for(engine, "connect")
    def connected(dbapi_connection, record):
        dbapi_connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def begun(connection):
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    with engine.connect() as connection:
        migrate(connection, transactional_ddl=True)
"""

# pytest-alembic passes an engine or a connection, alembic-gauntlet a connection in a transaction, and a schema.
_GIVEN = """
def run_migrations_online():
    given = config.attributes.get("connection")
    if given is not None:
        return migrate_given(given)
"""

_MIGRATE_GIVEN = """

def migrate_given(given):
    if not isinstance(given, Connection):
        with given.connect() as connection:
            return migrate(connection, transaction_per_migration=True)
    schema = config.attributes.get("target_schema")
    if schema is not None:
        given.execute(text(f'SET LOCAL search_path TO "{schema}"'))
    migrate(given, version_table_schema=schema, transaction_per_migration=True)
"""

_TIMEOUT = {
    "postgresql": 'connect_args={"options": "-c lock_timeout=300ms"}',
    "mysql": 'connect_args={"init_command": "SET SESSION lock_wait_timeout=1, SESSION innodb_lock_wait_timeout=1"}',
}
_LOCK = {"postgresql": "SELECT pg_try_advisory_lock(4711)", "mysql": "SELECT GET_LOCK('migrations', 1)"}


def plain(kind: str, *, lock: bool = True, timeout: bool = True, given: bool = False) -> str:
    """Return an env.py without safeops, sound if it has a lock for the run and a lock timeout.

    Args:
        kind: The family of the server.
        lock: Whether a second runner waits for the first.
        timeout: Whether a statement waits for a lock for a limited time.
        given: Whether it migrates what a test passes, as pytest-alembic and alembic-gauntlet require.
    """
    options = _TIMEOUT.get(kind, "") if timeout else ""
    run = _UNLOCKED if not lock else _IMMEDIATE if kind == "sqlite" else _LOCKED.replace("TRY", _LOCK[kind])
    if given:
        run = _MIGRATE_GIVEN + run.replace("\ndef run_migrations_online():\n", _GIVEN)
    return _HEAD.replace(", OPTIONS", f", {options}" if options else "") + run + _TAIL


def by_init() -> str:
    """Return the env.py that `safeops init` writes, with the models."""
    mine = "from models import Base\n\ntarget_metadata = Base.metadata"
    return template_text("env.py.template").replace("target_metadata = None", mine)


def own(run: str, options: str = "") -> str:
    """Return an env.py without safeops whose `run_migrations_online()` is this; `options` are those of the engine."""
    return _HEAD.replace(", OPTIONS", f", {options}" if options else "") + "\n\n" + run.strip() + "\n" + _TAIL
