"""Runs the revisions: each in a separate transaction, and one runner at a time."""

from __future__ import annotations

import os
from logging.config import fileConfig

from alembic import context
from alembic.util import CommandError
from database import engine_for
from models import Base

from safeops import configure, migration_lock
from safeops.autogenerate import safe_operations

config = context.config
if config.config_file_name and config.attributes.get("configure_logging", True):
    fileConfig(config.config_file_name, disable_existing_loggers=False)

configure(lock_timeout=1.0)


def database_url() -> str:
    """The URL from `-x url=`, else from CITIES_URL, else from alembic.ini."""
    given = context.get_x_argument(as_dictionary=True).get("url")
    url = given or os.environ.get("CITIES_URL") or config.get_main_option("sqlalchemy.url")
    if not url:
        raise CommandError("No database given. Pass its URL: alembic -x url=sqlite:///cities.sqlite upgrade head")
    return url


def run_offline() -> None:
    """Renders the SQL of the revisions (`--sql`) without a database."""
    context.configure(
        url=database_url(),
        target_metadata=Base.metadata,
        literal_binds=True,
        dialect_opts={"paramstyle": "named"},
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def run_online() -> None:
    """Runs the revisions; a second runner waits, and then finds nothing to do."""
    # A test passes its own engine.
    engine = config.attributes.get("connection") or engine_for(database_url())
    with engine.connect() as connection, migration_lock(connection):
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            transaction_per_migration=True,
            compare_type=True,
            compare_server_default=True,
            process_revision_directives=safe_operations,
        )
        with context.begin_transaction():
            context.run_migrations()


if context.is_offline_mode():
    run_offline()
else:
    run_online()
