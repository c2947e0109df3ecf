"""Other forms of env.py, sound and at fault, as teams write them on PostgreSQL without safeops."""

from __future__ import annotations

from tests.testing.environments import own
from tests.testing.faults import BOUNDED, ONE_COLUMN, SOUND, TWO
from tests.testing.making import Made, Step

_TIMEOUT = 'connect_args={"options": "-c lock_timeout=500ms"}'

_LOCK_OF_THE_TRANSACTION = """
def run_migrations_online():
    with new_engine().connect() as connection:
        context.configure(connection=connection, target_metadata=target_metadata)
        with context.begin_transaction():
            connection.execute(text("SELECT pg_advisory_xact_lock(4711)"))
            connection.execute(text("SET LOCAL lock_timeout = '500ms'"))
            context.run_migrations()
"""

_TIMEOUT_OF_THE_SESSION = """
def run_migrations_online():
    with new_engine().connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(4711)"))
        connection.execute(text("SET lock_timeout = '1500ms'"))
        connection.commit()
        migrate(connection, transaction_per_migration=True)
"""

_ASYNC = """
def locked(connection):
    connection.execute(text("SELECT pg_advisory_lock(4711)"))
    connection.execute(text("SET lock_timeout = '500ms'"))
    connection.commit()
    migrate(connection, transaction_per_migration=True)


async def run():
    import asyncio, sqlalchemy.ext.asyncio as sqlalchemy

    url = config.get_main_option("sqlalchemy.url").replace("+psycopg", "+asyncpg")
    engine = sqlalchemy.create_async_engine(url, poolclass=pool.NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(locked)
    await engine.dispose()


def run_migrations_online():
    import asyncio

    asyncio.run(run())
"""

_OF_THE_ENVIRONMENT = """
import os


def run_migrations_online():
    from sqlalchemy import create_engine

    url = os.environ.get("APP_DATABASE_URL") or config.get_main_option("sqlalchemy.url")
    engine = create_engine(url)
    with engine.connect() as lock, engine.connect() as connection:
        # The lock ends with the session: the pool keeps it, and the end of the process closes it.
        lock.execute(text("SELECT pg_advisory_lock(4711)"))
        connection.execute(text("SET lock_timeout = '1s'"))
        connection.commit()
        migrate(connection)
"""

_GIVES_UP = """
def run_migrations_online():
    engine = new_engine()
    with engine.connect() as lock, engine.connect() as connection:
        if not lock.scalar(text("SELECT pg_try_advisory_lock(4711)")):
            raise SystemExit("another migration is running")
        migrate(connection)
"""

_LOCK_LET_GO = """
def run_migrations_online():
    engine = new_engine()
    with engine.connect() as lock:
        lock.execute(text("SELECT pg_advisory_lock(4711)"))
    with engine.connect() as connection:
        migrate(connection)
"""

_LOCK_OF_ITS_OWN = """
import os


def run_migrations_online():
    engine = new_engine()
    with engine.connect() as lock, engine.connect() as connection:
        lock.execute(text(f"SELECT pg_advisory_lock({os.getpid()})"))
        migrate(connection)
"""

_TIMEOUT_ELSEWHERE = """
def run_migrations_online():
    engine = new_engine()
    with engine.connect() as lock, engine.connect() as connection:
        lock.execute(text("SELECT pg_advisory_lock(4711)"))
        lock.execute(text("SET lock_timeout = '500ms'"))
        migrate(connection)
"""

SHORT = (ONE_COLUMN, *(step for step in SOUND if step.message in ("a table with rows", "rows once")))
TRANSACTIONAL = (
    ONE_COLUMN,
    Step(
        "rows once",
        """
        plans = op.create_table("plans", sa.Column("name", sa.String(10), primary_key=True))
        op.bulk_insert(plans, [{"name": "free"}])
        """,
        'op.drop_table("plans")',
    ),
)

SOUND_ENVS = (
    Made("lock of the transaction", own(_LOCK_OF_THE_TRANSACTION), TRANSACTIONAL),
    Made("timeout of the session", own(_TIMEOUT_OF_THE_SESSION), SHORT),
    Made("asyncpg", own(_ASYNC), SHORT),
    Made("URL of the environment", own(_OF_THE_ENVIRONMENT), SHORT),
    Made(
        "timeout in the revisions",
        own(
            _LOCK_OF_THE_TRANSACTION.replace(
                "            connection.execute(text(\"SET LOCAL lock_timeout = '500ms'\"))\n", ""
            )
        ),
        (
            Step(
                "bounded by itself",
                """
                op.execute("SET LOCAL lock_timeout = '1s'")
                op.add_column("users", sa.Column("phone", sa.String(20)))
                """,
                """
                op.execute("SET LOCAL lock_timeout = '1s'")
                op.drop_column("users", "phone")
                """,
            ),
        ),
    ),
)

FAULTY_ENVS = (
    Made("second runner gives up", own(_GIVES_UP, _TIMEOUT), (ONE_COLUMN,), finds=TWO),
    Made("lock let go", own(_LOCK_LET_GO, _TIMEOUT), (ONE_COLUMN,), finds=TWO),
    Made("lock of its own", own(_LOCK_OF_ITS_OWN, _TIMEOUT), (ONE_COLUMN,), finds=TWO),
    Made("timeout elsewhere", own(_TIMEOUT_ELSEWHERE), (ONE_COLUMN,), finds=BOUNDED),
)
