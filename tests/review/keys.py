"""The key of PostgreSQL revisions: its tables filled, each of its revisions as a separate Alembic project.

load()                 the entries of key.json
Filled(server)         a database with 20,000 rows a table, and copies of it
project(folder, ...)   alembic.ini, env.py and some of the revisions
"""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from tests.servers import PostgreSQL

KEY = Path(__file__).parent / "key_postgresql"
BASE = "base0000"

ENV = """
from alembic import context
from sqlalchemy import engine_from_config, pool

config = context.config
target_metadata = None

if context.is_offline_mode():
    context.configure(url=config.get_main_option("sqlalchemy.url"), literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    engine = engine_from_config(config.get_section(config.config_ini_section), poolclass=pool.NullPool)
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=target_metadata)
        with context.begin_transaction():
            context.run_migrations()
"""

ROWS = 20_000

FILL = f"""
INSERT INTO users SELECT n, 'user' || n || '@example.org', 'name ' || n, 'new', n % 90, '{{}}', NULL, 'c'
  FROM generate_series(1, {ROWS}) n;
INSERT INTO orders SELECT n, n, n % 1000, 'open', timestamp '2026-01-01' + n * interval '1 minute'
  FROM generate_series(1, {ROWS}) n;
INSERT INTO items SELECT n, n, 'sku ' || n FROM generate_series(1, {ROWS}) n;
INSERT INTO lonely SELECT n, 'v ' || n FROM generate_series(1, {ROWS}) n;
INSERT INTO booking SELECT n, int4range(n * 10, n * 10 + 5) FROM generate_series(1, {ROWS}) n;
INSERT INTO cache SELECT n, 'v ' || n FROM generate_series(1, {ROWS}) n;
INSERT INTO aux.a SELECT n FROM generate_series(1, {ROWS}) n;
INSERT INTO log SELECT date '2026-01-01' + n % 365, 'm' FROM generate_series(1, {ROWS}) n;
INSERT INTO log SELECT date '2025-01-01' + n % 365, 'm' FROM generate_series(1, {ROWS}) n;
INSERT INTO log_2027 SELECT date '2027-01-01' + n % 365, 'm' FROM generate_series(1, {ROWS}) n;
INSERT INTO log_2028 SELECT date '2028-01-01' + n % 365, 'm' FROM generate_series(1, {ROWS}) n;
SELECT setval('users_id_seq', {ROWS}), setval('orders_id_seq', {ROWS}), setval('items_id_seq', {ROWS});
REFRESH MATERIALIZED VIEW mv;
"""
"""`empty_table` stays empty; each null, key and bound is such that only the SQL of a revision can fail."""


def load(folder: Path = KEY) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads((folder / "key.json").read_text())
    return entries


def project(folder: Path, revisions: Sequence[str], url: str = "", key: Path = KEY) -> Path:
    """Writes a project with the base and these files of the key, or all of them for ["*"]; its alembic.ini is returned."""
    versions = folder / "migrations" / "versions"
    shutil.rmtree(folder / "migrations", ignore_errors=True)
    if [*revisions] == ["*"]:
        shutil.copytree(key / "revisions", versions)
    else:
        versions.mkdir(parents=True)
        if (key / "revisions" / "steps").is_dir():
            shutil.copytree(key / "revisions" / "steps", versions / "steps")
        for name in (f"revisions/{BASE}_base.py", *revisions):
            shutil.copy(key / name, versions)
    (folder / "migrations" / "env.py").write_text(ENV)
    ini = folder / "alembic.ini"
    ini.write_text(
        textwrap.dedent(f"""\
        [alembic]
        script_location = %(here)s/migrations
        sqlalchemy.url = {url.replace("%", "%%") or "postgresql+psycopg://localhost/none"}
        """)
    )
    return ini


def upgrade(ini: Path, revision: str) -> None:
    config = Config(ini, attributes={"configure_logger": False})
    config.print_stdout = lambda *_, **__: None  # type: ignore[method-assign]
    command.upgrade(config, revision)


class Filled:
    """A database after the base, once filled and once with no rows, of which each revision gets a copy."""

    def __init__(self, server: PostgreSQL, folder: Path) -> None:
        self.server = server
        self._prepare_server()
        self.empty = self._after_base(folder)
        copy = server.copy(self.empty.database or "")
        with psycopg.connect(plain(copy), autocommit=True) as connection:
            connection.execute(FILL.encode())
            connection.execute("VACUUM (ANALYZE)")
        self.filled = copy

    def copy(self, *, filled: bool = True) -> sa.URL:
        return self.server.copy((self.filled if filled else self.empty).database or "")

    @contextmanager
    def copied(self, *, filled: bool = True) -> Iterator[sa.URL]:
        url = self.copy(filled=filled)
        try:
            yield url
        finally:
            self.server.drop(url)

    def _prepare_server(self) -> None:
        execute = self.server.admin.execute
        execute("SET allow_in_place_tablespaces = on")
        if not execute("SELECT 1 FROM pg_tablespace WHERE spcname = 'ts1'").fetchone():
            execute("CREATE TABLESPACE ts1 LOCATION ''")

    def _after_base(self, folder: Path) -> sa.URL:
        url = self.server.new_database()
        upgrade(project(folder, [], url.render_as_string()), BASE)
        return url


def plain(url: sa.URL) -> str:
    return f"host={url.host} port={url.port} user={url.username} dbname={url.database}"
