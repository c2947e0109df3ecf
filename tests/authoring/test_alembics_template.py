"""A revision of helpers in Alembic's own template passes the newest ruff as it is written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import alembic
import pytest
import sqlalchemy as sa
from tests.authoring.authored import Authored, models, users
from tests.servers import Database

SHIPPED = Path(alembic.__file__).parent / "templates/generic/script.py.mako"


def assert_clean(path: Path) -> None:
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "E4,E7,E9,F,I,UP,RUF100", str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + path.read_text()


@pytest.mark.only("sqlite")
def test_each_is_clean(tmp_path: Path, database: Database) -> None:
    authored = Authored(tmp_path, database)
    (tmp_path / "migrations/script.py.mako").write_text(SHIPPED.read_text())
    for columns in ([], [sa.Column("name", sa.String(9), index=True)], [sa.Column("name", sa.String(9))], []):
        text = authored.write(models(users(*columns)))
        assert text.count("from safeops import") == 1
        assert_clean(authored.path)
        authored.upgrade()
