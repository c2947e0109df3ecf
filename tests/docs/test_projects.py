"""The instructions for projects work: the commands run, the files are written, the forms of env.py run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.docs.console import Console
from tests.docs.following import follow, is_followed
from tests.docs.pages import DOCS, Block, blocks, name_of, pages
from tests.docs.running import run_as_env
from tests.docs.sql import is_sent_by_env, missing, spaced, statements
from tests.servers import Database

EMPTY = ("how-to/new-project", "how-to/existing-project")
"""The pages that begin in an empty folder; the others have a project already."""

PAGES = [page for page in pages("how-to") if any(map(is_followed, blocks(page)))]
ENVS = [one for page in pages() if page.parent.name != "errors" for one in blocks(page) if one.is_env]

MODELS = """
from sqlalchemy import String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
"""


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with one table, made once and copied for each page."""
    folder = tmp_path_factory.mktemp("begun")
    with pytest.MonkeyPatch.context() as patch:
        _enter(folder, patch)
        console = Console()
        console.run("python -m safeops init")
        env = Path("migrations/env.py")
        mine = "from models import Base\n\ntarget_metadata = Base.metadata"
        env.write_text(env.read_text().replace("target_metadata = None", mine))
        console.run('alembic revision --autogenerate -m "users"\nalembic upgrade head')
    return folder


def _enter(folder: Path, patch: pytest.MonkeyPatch) -> None:
    patch.chdir(folder)
    patch.setenv("DATABASE_URL", "sqlite:///app.sqlite")
    Path("models.py").write_text(MODELS)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_commands_on_a_page(page: Path, begun: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if name_of(page) not in EMPTY:
        shutil.copytree(begun, tmp_path, dirs_exist_ok=True)
    _enter(tmp_path, monkeypatch)
    console = Console()
    for block in filter(is_followed, blocks(page)):
        follow(block, console)


@pytest.mark.only("sqlite", "pg18")
@pytest.mark.parametrize("block", ENVS, ids=lambda one: f"{name_of(one.page)}-{one.number}")
def test_each_env_py_runs(database: Database, block: Block, tmp_path: Path) -> None:
    sent = [spaced(one) for one in run_as_env(database, block, tmp_path)]
    if database.kind == "postgresql":
        for shown in filter(is_sent_by_env, blocks(block.page)):
            assert not missing(sent, statements(shown)), sent


def test_the_pages_are_there() -> None:
    assert {DOCS / f"{name}.md" for name in EMPTY} < set(PAGES)
