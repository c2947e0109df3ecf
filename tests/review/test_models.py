"""A drop or a rename passes only if the models that are deployed lacked the thing already."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.config import Config

from safeops.naming import Name
from safeops.review.models import Models, Released, models_of, released_models
from safeops.review.offline import environment_of
from safeops.review.released_files import ModelsUnknown
from safeops.review.repository import NoRepository, Repository

USERS = "users = sa.Table('users', metadata, sa.Column('id', sa.Integer), sa.Column('name', sa.Text))"
WITHOUT_NAME = "users = sa.Table('users', metadata, sa.Column('id', sa.Integer))"
PAYMENTS = "payments = sa.Table('payments', metadata, sa.Column('id', sa.Integer), schema='billing')"

ENV = """
from alembic import context
from shop.models import metadata

context.configure(url="postgresql+psycopg://", target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
"""


class Shop:
    """A project in a repository, whose models change from commit to commit."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.versions = folder / "migrations" / "versions"
        self.versions.mkdir(parents=True)
        (folder / "src" / "shop").mkdir(parents=True)
        (folder / "src" / "shop" / "__init__.py").touch()
        self.env(ENV)
        (folder / "alembic.ini").write_text(
            "[alembic]\nscript_location = %(here)s/migrations\nprepend_sys_path = %(here)s/src\npath_separator = os\n"
        )
        self.git("init", "-q", "-b", "main")

    @property
    def config(self) -> Config:
        return Config(self.folder / "alembic.ini")

    def git(self, *arguments: str) -> str:
        author = ["-c", "user.name=shop", "-c", "user.email=shop@example.org"]
        command = ["git", *author, "-C", str(self.folder), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def env(self, text: str) -> None:
        (self.folder / "migrations" / "env.py").write_text(text)

    def commit(self, *tables: str) -> str:
        lines = ["import sqlalchemy as sa", "metadata = sa.MetaData()", *tables]
        (self.folder / "src" / "shop" / "models.py").write_text("\n".join(lines) + "\n")
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "models")
        return self.git("rev-parse", "HEAD")

    def revision(self, name: str) -> str:
        file = self.versions / f"{name}.py"
        file.write_text(f"revision = {name!r}\ndown_revision = None\n\n\ndef upgrade(): ...\n")
        return str(file)

    def released(self, *tables: str, **options: Any) -> Released:
        metadata = sa.MetaData()
        exec("\n".join(tables), {"sa": sa, "metadata": metadata})
        return Released(self.config, metadata, **options)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "shop")


# --- tables and columns of models


def test_models_have_their_tables_and_columns() -> None:
    models = Models({Name("users"): frozenset({"id", "name"}), Name("payments", "billing"): frozenset({"id"})})
    assert models.use(Name("users"), None) is True
    assert models.use(Name("users", "public"), "name") is True
    assert models.use(Name("users"), "nick") is False
    assert models.use(Name("gone"), None) is False
    assert models.use(Name("gone"), "a") is None
    assert models.use(Name("payments", "billing"), "id") is True
    assert models.use(Name("payments", "other"), None) is False


@pytest.mark.parametrize("given", [None, sa.MetaData(), [], [sa.MetaData()], "models", object()])
def test_no_models_prove_nothing(given: object) -> None:
    assert models_of(given) is None


@pytest.mark.parametrize("wrap", [lambda one: one, lambda one: [one, sa.MetaData()], lambda one: {"first": one}])
def test_target_metadata_of_all_shapes(wrap: Any) -> None:
    metadata = sa.MetaData()
    sa.Table("a", metadata, sa.Column("b", sa.Integer, key="other"), schema="s")
    assert models_of(wrap(metadata)) == Models({Name("a", "s"): frozenset({"b"})})


# --- at a commit


def test_the_models_of_a_commit_are_those_of_its_files(shop: Shop) -> None:
    first = shop.commit(USERS, PAYMENTS)
    second = shop.commit(WITHOUT_NAME)
    expected = {Name("users"): frozenset({"id", "name"}), Name("payments", "billing"): frozenset({"id"})}
    assert released_models(shop.config, first).tables == expected
    assert released_models(shop.config, second).tables == {Name("users"): frozenset({"id"})}
    assert shop.git("status", "--porcelain") == ""
    assert shop.git("worktree", "list").count("\n") == 0


def test_a_project_on_the_path_is_imported_from_the_copy(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    ini = shop.folder / "alembic.ini"
    ini.write_text(ini.read_text().replace("prepend_sys_path = %(here)s/src\n", ""))
    first = shop.commit(USERS)
    shop.commit(WITHOUT_NAME)
    monkeypatch.setenv("PYTHONPATH", str(shop.folder / "src"), prepend=":")
    assert released_models(shop.config, first).use(Name("users"), "name") is True


@pytest.mark.parametrize(
    ("env", "reason"),
    [
        ("import nothing_of_that_name", "nothing_of_that_name"),
        ("raise SystemExit(3)", "without an answer"),
        (ENV.replace("target_metadata=metadata", ""), "no target_metadata"),
        (
            ENV.replace(
                "from alembic", "import sqlalchemy as sa\nsa.create_engine('sqlite://').connect()\nfrom alembic"
            ),
            "cannot run without a database",
        ),
    ],
)
def test_an_env_that_fails_leaves_the_models_unknown(shop: Shop, env: str, reason: str) -> None:
    shop.env(env)
    commit = shop.commit(USERS)
    with pytest.raises(ModelsUnknown, match=reason):
        released_models(shop.config, commit)


def test_a_project_that_was_not_there_has_unknown_models(shop: Shop) -> None:
    (shop.folder / "alembic.ini").rename(shop.folder / "later.ini")
    commit = shop.commit(USERS)
    (shop.folder / "later.ini").rename(shop.folder / "alembic.ini")
    with pytest.raises(ModelsUnknown, match=r"no alembic\.ini"):
        released_models(shop.config, commit)


def test_an_env_that_hangs_is_ended(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("safeops.review.models.MODELS_SECONDS", 1.5)
    shop.env("import time\ntime.sleep(60)")
    commit = shop.commit(USERS)
    with pytest.raises(ModelsUnknown, match="had not ended"):
        released_models(shop.config, commit)


# --- what is released


def test_on_a_branch_what_main_has_is_released(shop: Shop) -> None:
    shop.commit(USERS)
    shop.git("checkout", "-q", "-b", "feature")
    file = shop.revision("r1")
    shop.commit(WITHOUT_NAME)
    uses = shop.released(WITHOUT_NAME).uses(file)
    assert uses is not None
    assert uses(Name("users"), "name") is True


def test_what_main_lacked_already_passes(shop: Shop) -> None:
    shop.commit(USERS)
    shop.commit(WITHOUT_NAME)
    shop.git("checkout", "-q", "-b", "feature")
    file = shop.revision("r1")
    uses = shop.released(WITHOUT_NAME).uses(file)
    assert uses is not None
    assert uses(Name("users"), "name") is False
    assert uses(Name("users"), None) is True


def test_on_main_the_commit_before_the_revision_counts(shop: Shop) -> None:
    shop.commit(USERS)
    together = shop.revision("r1")
    shop.commit(WITHOUT_NAME)
    later = shop.revision("r2")
    shop.commit(WITHOUT_NAME)
    released = shop.released(WITHOUT_NAME)
    for file, answer in ((together, True), (later, False)):
        uses = released.uses(file)
        assert uses is not None
        assert uses(Name("users"), "name") is answer


def test_a_merge_brings_its_commits_together(shop: Shop) -> None:
    shop.commit(USERS)
    shop.git("checkout", "-q", "-b", "feature")
    shop.commit(WITHOUT_NAME)
    file = shop.revision("r1")
    shop.commit(WITHOUT_NAME)
    shop.git("checkout", "-q", "main")
    shop.git("merge", "-q", "--no-ff", "-m", "merge", "feature")
    uses = shop.released(WITHOUT_NAME).uses(file)
    assert uses is not None
    assert uses(Name("users"), "name") is True


def test_what_models_of_now_still_have_is_in_use(shop: Shop) -> None:
    shop.commit(WITHOUT_NAME)
    uses = shop.released(USERS).uses(shop.revision("r1"))
    assert uses is not None
    assert uses(Name("users"), "name") is True


def test_another_branch_may_be_the_deployed_one(shop: Shop) -> None:
    shop.commit(USERS)
    shop.git("branch", "production")
    shop.commit(WITHOUT_NAME)
    uses = shop.released(WITHOUT_NAME, since="production").uses(shop.revision("r1"))
    assert uses is not None
    assert uses(Name("users"), "name") is True


def test_no_repository_proves_nothing_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "alembic.ini").write_text("[alembic]\n")
    metadata = sa.MetaData()
    sa.Table("a", metadata)
    released = Released(Config(tmp_path / "alembic.ini"), metadata)
    assert released.uses(str(tmp_path / "r1.py")) is None
    assert "not a git repository" in released.remarks[0]
    with pytest.raises(NoRepository):
        Repository.around(tmp_path)


def test_the_first_revision_of_a_repository_has_no_commit_before_it(shop: Shop) -> None:
    file = shop.revision("r1")
    shop.commit(USERS)
    released = shop.released(USERS)
    assert released.uses(file) is None
    assert released.uses(file) is None
    assert len(released.remarks) == 1


def test_without_models_nothing_is_run(shop: Shop) -> None:
    released = Released(shop.config, None)
    assert released.uses("nowhere.py") is None
    assert released.remarks == []


def test_the_models_of_now_come_from_env(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.commit(USERS)
    monkeypatch.syspath_prepend(str(shop.folder / "src"))
    options = environment_of(shop.config).options
    assert models_of(options["target_metadata"]) == Models({Name("users"): frozenset({"id", "name"})})
