"""The memory of a rehearsal does not grow with the rows of the copy: the server makes, hashes and compares them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.rehearse.test_rehearse import ONLINE, TABLES
from tests.runner.deploys import Deploy
from tests.servers import Database

FEW, MANY = 2_000, 200_000
MOST, GROWTH = 300, 20
"""Megabytes."""
MEASURED = """import re, sys
from pathlib import Path
from safeops.cli import main
status = main(sys.argv[1:])
print(status, re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1], file=sys.stderr)"""
FILLED = ('backfill("users", {"name": sa.text("lower(name)")}, where=True)', "pass")


@pytest.mark.only("pg18", "mariadb", "sqlite")
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
def test_memory_does_not_grow_with_the_rows(
    database: Database, new_database: Callable[[], Database], tmp_path: Path
) -> None:
    both = "; ".join(body for body, _ in (ONLINE, FILLED)), ONLINE[1]
    project = Deploy(tmp_path, database, {"r1": (TABLES, 'op.drop_table("users")'), "r2": both})
    few, many = (megabytes(project, new_database(), rows) for rows in (FEW, MANY))
    assert many < MOST and many - few < GROWTH


def megabytes(project: Deploy, copy: Database, rows: int) -> float:
    """Returns the most that the process of a rehearsal has had in memory."""
    into = copy.url.render_as_string(hide_password=False)
    arguments = ["rehearse", "-c", str(project.folder / "alembic.ini"), "--into", into, "--rows", str(rows)]
    arguments += ["--no-projection", "--max-wait", "60"]
    done = subprocess.run([sys.executable, "-c", MEASURED, *arguments], capture_output=True, text=True, check=True)
    status, peak = done.stderr.split()[-2:]
    # 1: the rows of a backfill with a condition that is always met cannot be restored.
    assert status in ("0", "1"), done.stderr
    return int(peak) / 1024
