"""The README and the pages say what is true: their code runs, and every error has its section."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import safeops
from safeops import errors
from tests.catalogue import assert_same, snapshot
from tests.projects import Project, migrate
from tests.servers import Database

ROOT = Path(safeops.__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)


def test_the_first_example_goes_up_and_down(database: Database) -> None:
    database.execute(
        "CREATE TABLE users (id bigint PRIMARY KEY)",
        "CREATE TABLE orders (id bigint PRIMARY KEY)",
        "INSERT INTO orders VALUES (1)",
    )
    scope: dict[str, Callable[[], None]] = {}
    exec(compile(blocks(ROOT / "README.md")[0], "README.md", "exec"), scope)
    before = snapshot(database)
    migrate(database, scope["upgrade"])
    assert snapshot(database) != before
    migrate(database, scope["downgrade"], down=True)
    assert_same(snapshot(database), before, "after README's downgrade")


@pytest.mark.only("sqlite")
def test_the_shown_env_py_runs(database: Database, tmp_path: Path) -> None:
    revision = ("safeops.create_table_if_missing('t', sa.Column('id', sa.Integer, primary_key=True))", "pass")
    project = Project(tmp_path, database, {"r1": revision}, imports="import safeops")
    env = tmp_path / "migrations" / "env.py"
    env = env if env.exists() else next(tmp_path.rglob("env.py"))
    shown = blocks(ROOT / "README.md")[1]
    env.write_text(
        "from alembic import context\nfrom sqlalchemy import create_engine\n"
        f"target_metadata = None\nengine = create_engine({database.url.render_as_string(False)!r})\n{shown}"
    )
    project.upgrade()
    assert project.current() == ("r1",)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_on_a_page_compiles(page: Path) -> None:
    for block in blocks(page):
        compile(block, page.name, "exec")


def test_each_error_has_its_section() -> None:
    page = (ROOT / "docs" / "errors.md").read_text()
    classes = [one for one in vars(errors).values() if inspect.isclass(one) and issubclass(one, errors.SafeOpsError)]
    assert not [one for one in classes if f"\n## {one.__name__} ({one.number})\n" not in page]


def test_every_helper_stands_in_the_reference_and_in_the_table_of_locks() -> None:
    reference = (ROOT / "docs" / "reference.md").read_text()
    readme = (ROOT / "README.md").read_text()
    public = [name for name in safeops.__all__ if name[0].islower()]
    assert not [name for name in public if f":: safeops.{name}\n" not in reference]
    assert not [name for name in public if f"`{name}" not in readme]
