"""What 100 revisions with 300 operations cost by the helpers, against the same chain by plain ``op``."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config

from tests.benchmarks.chain_project import REVISIONS, write_project
from tests.benchmarks.shape import Part, Variant, timed
from tests.servers import Database


def _upgrading(*, plain: bool, again: bool = False) -> Callable[[Database], float]:
    """Runs the chain after its first revision, which is plain; what is timed is the command alone."""

    def run(database: Database) -> float:
        with tempfile.TemporaryDirectory() as folder:
            project = Path(folder, "project")
            write_project(project, database.kind, plain=plain)
            config = Config()
            config.set_main_option("script_location", str(project))
            config.attributes["url"] = database.url
            command.upgrade(config, "head" if again else "r000")
            if again:
                command.stamp(config, "r000")
            return timed(lambda: command.upgrade(config, "head"))

    return run


def _empty(_database: Database, _rows: int) -> None:
    """The chain makes its tables."""


def _check(database: Database) -> None:
    assert database.query("SELECT version_num FROM alembic_version") == [(f"r{REVISIONS:03}",)]


PARTS = (
    Part(
        "chain",
        "100 revisions with 300 operations",
        ("pg18", "sqlite"),
        {
            "plain": Variant("plain Alembic", _upgrading(plain=True)),
            "helpers": Variant("safeops", _upgrading(plain=False), ours=True),
            "again": Variant("safeops, the same chain again", _upgrading(plain=False, again=True), ours=True),
        },
        _empty,
        _check,
        rows=0,
        quick=0,
        rounds=3,
        in_memory=True,
    ),
)
