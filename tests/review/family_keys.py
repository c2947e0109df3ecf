"""The keys of MariaDB, MySQL and SQLite: their tables filled, each of their revisions as a separate Alembic project.

FAMILIES["mysql"], FAMILIES["sqlite"]     a key: its folder, its rows
load(family)                              the entries of its key.json
Filled(server, family, ...)               a database after the base, with rows, for one revision at a time
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from tests.review import keys
from tests.servers import Server, numbers

ROWS = keys.ROWS
_NUMBERS = numbers(1, ROWS)


@dataclass(frozen=True)
class Family:
    """A key.

    Args:
        folder: The folder of key.json and the revisions.
        fill: Fills the tables with that many rows; `empty_table` stays empty.
        offline_url: A URL for a review without a database, by product.
    """

    folder: Path
    fill: str
    offline_urls: dict[str, str]

    def load(self) -> list[dict[str, Any]]:
        return keys.load(self.folder)


_MYSQL = f"""
INSERT INTO users SELECT seq, CONCAT('user', seq, '@example.org'), CONCAT('name ', seq), 'new', seq % 90, '{{}}', NULL, 'c'
  FROM {_NUMBERS};
INSERT INTO orders SELECT seq, seq, seq % 1000, 'open', '2026-01-01' + INTERVAL seq MINUTE FROM {_NUMBERS};
INSERT INTO items SELECT seq, seq, CONCAT('sku ', seq) FROM {_NUMBERS};
INSERT INTO measures (id, n) SELECT seq, seq FROM {_NUMBERS};
INSERT INTO lonely SELECT seq, CONCAT('v ', seq) FROM {_NUMBERS};
INSERT INTO legacy SELECT seq, CONCAT('title ', seq) FROM {_NUMBERS};
INSERT INTO docs SELECT seq, CONCAT('body ', seq) FROM {_NUMBERS};
INSERT INTO log SELECT seq, 2025 + seq % 2, 'm' FROM {_NUMBERS};
INSERT INTO log_new SELECT seq, 2026, 'm' FROM {_NUMBERS}
"""
_COUNTED = """(WITH RECURSIVE counted (seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM counted WHERE seq < {rows})
  SELECT seq FROM counted)"""
_SQLITE = f"""
INSERT INTO users (id, email, name, status, age) SELECT seq, 'user' || seq, 'name ' || seq, 'new', seq % 90 FROM {_COUNTED};
INSERT INTO orders (id, user_id, total, state) SELECT seq, seq, seq % 1000, 'open' FROM {_COUNTED};
INSERT INTO items (id, order_id, sku) SELECT seq, seq, 'sku ' || seq FROM {_COUNTED};
INSERT INTO measures (id, n) SELECT seq, seq FROM {_COUNTED}
"""
FAMILIES = {
    "mysql": Family(
        Path(__file__).parent / "key_mysql",
        _MYSQL,
        {"MariaDB": "mariadb+pymysql://nobody@127.0.0.1:1/app", "MySQL": "mysql+pymysql://nobody@127.0.0.1:1/app"},
    ),
    "sqlite": Family(Path(__file__).parent / "key_sqlite", _SQLITE, {"SQLite": "sqlite:////nowhere/app.sqlite"}),
}


def name_of(server: Server) -> str:
    """How key.json calls a server: "mariadb 10.11"."""
    return " ".join([server.product, ".".join(map(str, server.version[:2]))])


class Filled:
    """Makes a database after the base, with that many rows a table, for each revision."""

    def __init__(self, server: Server, family: Family, rows: int = ROWS) -> None:
        self.server, self.family, self.rows = server, family, rows

    @contextmanager
    def made(self) -> Iterator[sa.URL]:
        url = self.server.new_database()
        try:
            with tempfile.TemporaryDirectory() as folder:
                keys.upgrade(self.project(Path(folder), [], url), keys.BASE)
            self._fill(url)
            yield url
        finally:
            self.server.drop(url)

    def project(self, folder: Path, files: Sequence[str], url: sa.URL) -> Path:
        return keys.project(folder, files, url.render_as_string(hide_password=False), key=self.family.folder)

    def _fill(self, url: sa.URL) -> None:
        engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
        with engine.begin() as connection:
            for statement in self.family.fill.split(";\n"):
                text = statement.strip().replace("{rows}", str(self.rows))
                connection.execution_options(no_parameters=True).exec_driver_sql(text)
