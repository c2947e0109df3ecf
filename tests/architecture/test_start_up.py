"""What a process loads: a command and a migration start without the tools that they do not use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = ("safeops.cli", "safeops.runner", "safeops.authoring", "safeops.autogenerate", "safeops.review")
JUDGE = ("safeops.judging", "safeops.execution.guard", "pglast", "sqlglot")
OTHERS = ("rich", "urllib.request", "http.client", "multiprocessing")

ENV = """
import sqlalchemy as sa
from alembic import context
from safeops import configure, migration_lock
from safeops.authoring import explain_url_errors

configure(guard="raise")
with explain_url_errors(), sa.create_engine("sqlite:///{file}").connect() as connection:
    context.configure(connection=connection, transaction_per_migration=True)
    with migration_lock(connection), context.begin_transaction():
        context.run_migrations()
"""
REVISION = """
from safeops import add_column_if_missing, create_table_if_missing
revision, down_revision = "r1", None
def upgrade():
    pass
"""


def loaded_by(code: str, *names: str) -> list[str]:
    """Which of the modules, or modules in them, a new process has loaded after some code."""
    code += f"\nimport sys; print(sorted(m for m in sys.modules for n in {names!r} if (m + '.').startswith(n + '.')))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    return [str(name) for name in eval(found.splitlines()[-1])]


def test_a_migration_loads_no_tools() -> None:
    code = "import safeops; [getattr(safeops, name) for name in safeops.__all__]"
    assert not loaded_by(code, *TOOLS, *JUDGE, *OTHERS)


def test_the_command_line_loads_what_all_commands_share() -> None:
    declared = ["safeops.review", "safeops.review.reports"]
    apart = ("safeops.authoring.init", "safeops.authoring.page", "safeops.autogenerate", "safeops.archive")
    assert (
        loaded_by("import safeops.cli", *apart, *JUDGE, *OTHERS, "safeops.review", "safeops.runner.checks") == declared
    )


@pytest.mark.parametrize(
    "run",
    [
        "from alembic.config import main; main(['-c', {ini!r}, 'upgrade', 'head'])",
        "from safeops.cli import main; main(['-c', {ini!r}, 'upgrade'])",
        "from safeops.cli import main; main(['-c', {ini!r}, 'status'])",
    ],
)
def test_a_run_that_judges_nothing_loads_no_judge(run: str, tmp_path: Path) -> None:
    versions = tmp_path / "migrations/versions"
    versions.mkdir(parents=True)
    (tmp_path / "migrations/env.py").write_text(ENV.format(file=tmp_path / "it.db"))
    (versions / "r1.py").write_text(REVISION)
    ini = tmp_path / "alembic.ini"
    ini.write_text("[alembic]\nscript_location = %(here)s/migrations\n")
    up_to_date = "from alembic import command, config; command.upgrade(config.Config({ini!r}), 'head')\n"
    code = (up_to_date + run).format(ini=str(ini))
    assert not loaded_by(code, *JUDGE, *OTHERS, "safeops.authoring.page")
