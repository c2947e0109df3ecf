"""What pytest-alembic, alembic-gauntlet and `pytest --safeops` find of each fault, side by side.

    python -m tests.testing.comparison [--tools FOLDER]

Each fault is in a separate project on PostgreSQL: what is deployed, and one more revision. Each tool runs all of its tests
on it, also the experimental ones. It finds the fault if a test fails that passes on a sound revision of the same kind.
The other tools are installed into separate environments (kept in FOLDER for the next time). This writes
comparison.json, and the tables of docs/explanation/testing-tools.md.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from tests.docs.pages import DOCS
from tests.servers import PostgreSQL, start
from tests.testing import faults
from tests.testing.environments import plain
from tests.testing.making import Made, Step
from tests.testing.running import failures, run_kit

RESULTS = Path(__file__).parent / "comparison.json"
PAGE = DOCS / "explanation" / "testing-tools.md"
KIT = "pytest --safeops"

_PYTEST_ALEMBIC = """
import pytest
from sqlalchemy import create_engine


@pytest.fixture
def alembic_engine():
    return create_engine({url!r})
"""

_GAUNTLET = """
import pytest
from alembic_gauntlet import MigrationTestBase
from models import Base


class TestMigrations(MigrationTestBase):
    allowed_index_prefixes = ["ix_"]
    allowed_uq_suffixes = ["_key"]

    @pytest.fixture
    def orm_metadata(self):
        return Base.metadata

    @pytest.fixture
    def migration_db_url(self):
        return {url!r}
"""


@dataclass(frozen=True)
class Tool:
    """A tool that tests migrations by pytest.

    Args:
        name: Its name on PyPI.
        packages: What is installed with it.
        driver: The driver that it requires.
        file: The file that a team writes for it, and its text.
        ini: Its settings of pytest.
        arguments: What it is called with.
    """

    name: str
    packages: tuple[str, ...]
    driver: str
    file: tuple[str, str]
    ini: str
    arguments: tuple[str, ...] = ()


TOOLS = (
    Tool(
        "pytest-alembic",
        ("psycopg[binary]", "pytest<9.2"),
        "postgresql+psycopg",
        ("conftest.py", _PYTEST_ALEMBIC),
        "pytest_alembic_include_experimental = downgrade_leaves_no_trace",
        ("--test-alembic", "--alembic-tests-path", "conftest.py", "conftest.py"),
    ),
    Tool(
        "alembic-gauntlet",
        ("asyncpg", "psycopg[binary]", "pytest-asyncio"),
        "postgresql+asyncpg",
        ("test_migrations.py", _GAUNTLET),
        "asyncio_mode = auto",
    ),
)

GROUPS = {
    "the downgrade": faults.DOWNGRADES,
    "a stop": faults.STOPS,
    "two runners": (faults.ONE_COLUMN,),
    "the old release": faults.RELEASES,
    "lost writes": faults.LOSSES,
    "`--sql`": faults.SCRIPTS,
    "waits": (faults.ONE_COLUMN, *faults.WAITS),
}
"""The steps with a fault, by what they break; ONE_COLUMN is sound, and its env.py is at fault."""

AT_FAULT = {"two runners": ({"lock": False}, faults.TWO), "waits": ({"timeout": False}, faults.BOUNDED)}
NAMES = {"two runners": "env.py without a lock for the run", "waits": "env.py without a lock timeout"}
COMMITTING = Step(
    "index online",
    """
    with op.get_context().autocommit_block():
        op.drop_index("ix_events_what", "events", postgresql_concurrently=True, if_exists=True)
        op.create_index("ix_events_what", "events", ["what"], postgresql_concurrently=True)
    """,
    """
    with op.get_context().autocommit_block():
        op.drop_index("ix_events_what", "events", postgresql_concurrently=True, if_exists=True)
    """,
    models={
        "what: Mapped[str] = mapped_column(String(100)": "what: Mapped[str] = mapped_column(String(100), index=True"
    },
)
"""What a revision with a fault in autocommit is compared with: a tool that cannot run such a block fails on both."""


def cases() -> Iterator[tuple[str, str, Made]]:
    """Yield the group of each fault, its name and its project."""
    for group, steps in GROUPS.items():
        for step in steps:
            sound = step is faults.ONE_COLUMN
            options, finds = AT_FAULT[group] if sound else ({}, ())
            env = plain("postgresql", given=True, **options)
            yield group, NAMES[group] if sound else step.message, Made(step.message, env, (step,), finds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tools", type=Path, help="where the tools are kept, or installed if they are not there")
    options = parser.parse_args()
    server = start("pg18")
    assert isinstance(server, PostgreSQL)
    try:
        with tempfile.TemporaryDirectory() as folder:
            results = measured(server, options.tools or Path(folder) / "tools", Path(folder))
    finally:
        server.stop()
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    PAGE.write_text(rendered(PAGE.read_text(), results))
    print(tables(results))


# measuring --------------------------------------------------------------------------------------------------------


def measured(server: PostgreSQL, tools: Path, folder: Path) -> dict[str, Any]:
    pythons = {tool.name: _installed(tool, tools) for tool in TOOLS}
    versions = {name: _version(python, name) for name, python in pythons.items()}
    runs = _Runs(server, folder, pythons)
    sound = Made("sound", plain("postgresql", given=True), faults.SOUND)
    return {
        "server": f"PostgreSQL {'.'.join(map(str, server.version))}",
        "versions": {**versions, "alembic": _version(Path(sys.executable), "alembic")},
        "sound": {name: sorted(runs(name, sound)) for name in (*pythons, KIT)},
        "faults": {f"{group}: {name}": runs.found(made) for group, name, made in cases()},
    }


class _Runs:
    def __init__(self, server: PostgreSQL, folder: Path, pythons: dict[str, Path]) -> None:
        self._server, self._folder, self._pythons = server, folder, pythons
        self._count = 0
        env = plain("postgresql", given=True)
        self._without = {
            committing: {name: self(name, Made("sound", env, (step,))) for name in (*pythons, KIT)}
            for committing, step in ((False, faults.ONE_COLUMN), (True, COMMITTING))
        }

    def found(self, made: Made) -> dict[str, list[str]]:
        """Return the tests of each tool that fail because of the fault."""
        without = self._without["autocommit_block" in made.steps[0].upgrade]
        found = {name: sorted(self(name, made) - without[name]) for name in (*self._pythons, KIT)}
        print(made.name, found, flush=True)
        return found

    def __call__(self, name: str, made: Made) -> set[str]:
        """Return the tests of a tool that fail."""
        self._count += 1
        url = self._server.new_database()
        project = self._folder / str(self._count)
        project.mkdir()
        made.write(project, url.render_as_string(hide_password=False))
        if name == KIT:
            failed = set(run_kit(project, url, "--safeops-since=HEAD~1").failed)
        else:
            (tool,) = (tool for tool in TOOLS if tool.name == name)
            failed = _run(tool, self._pythons[name], project, url)
        self._server.drop(url)
        return {re.sub(r"\[.*", "", one) for one in failed}


def _run(tool: Tool, python: Path, project: Path, url: sa.URL) -> set[str]:
    file, text = tool.file
    driver = url.set(drivername=tool.driver).render_as_string(hide_password=False)
    (project / file).write_text(text.format(url=driver).lstrip())
    (project / "pytest.ini").write_text(f"[pytest]\n{tool.ini}\n")
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={project / 'report.xml'}"]
    done = subprocess.run([*command, *tool.arguments], cwd=project, capture_output=True, text=True, timeout=120)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return failures(project / "report.xml")


def _installed(tool: Tool, tools: Path) -> Path:
    folder = tools / tool.name
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        packages = [tool.name, f"alembic=={_version(Path(sys.executable), 'alembic')}", *tool.packages]
        subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)
    return python


def _version(python: Path, name: str) -> str:
    code = f"from importlib.metadata import version; print(version({name!r}))"
    return subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


# the page ---------------------------------------------------------------------------------------------------------


def rendered(page: str, results: dict[str, Any]) -> str:
    """Return the page with the tables of the results."""
    begin, end = "<!-- rendered by: python -m tests.testing.comparison -->\n", "<!-- rendered until here -->"
    before, rest = page.split(begin)
    return before + begin + "\n" + tables(results) + "\n" + end + rest.split(end)[1]


def tables(results: dict[str, Any]) -> str:
    names = [*(tool.name for tool in TOOLS), KIT]
    titles = [f"{name} {results['versions'][name]}" if name in results["versions"] else f"`{name}`" for name in names]
    lines = [f"| breaks | revision | {' | '.join(titles)} |", f"|---|---|{'---|' * len(names)}"]
    for fault, found in results["faults"].items():
        group, _, revision = fault.partition(": ")
        lines.append(f"| {group} | {revision} | {' | '.join(_cell(found[name]) for name in names)} |")
    counts = [str(sum(bool(found[name]) for found in results["faults"].values())) for name in names]
    lines.append(f"| | **found, of {len(results['faults'])}** | {' | '.join(counts)} |")
    sound = [_cell(results["sound"][name], "nothing") for name in names]
    lines.append(f"| | **reported of {len(faults.SOUND)} sound revisions** | {' | '.join(sound)} |")
    return "\n".join(lines) + "\n"


def _cell(tests: Sequence[str], none: str = "–") -> str:
    return ", ".join(f"`{test.removeprefix('test_')}`" for test in tests) or none


if __name__ == "__main__":
    main()
