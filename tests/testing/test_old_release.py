"""The models of the release that is deployed work during and after the upgrade, and those of the next one after it."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.servers import Database
from tests.testing.git_projects import GitProject

from safeops.testing.checks.old_release import check
from safeops.testing.failing import Failed, Untestable
from safeops.testing.kit import Kit
from safeops.testing.old_application import old_application_of
from safeops.testing.places import Place
from safeops.testing.project import Project
from safeops.testing.releases import releases_of

USERS = """
users = sa.Table(
    "users", metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(100), nullable=False),
    sa.Column("nick", sa.String(50)),
    sa.Column("kind", sa.String(20), nullable=False, default="guest"),
    sa.Column("visits", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("email", sa.String(80), unique=True),
)
"""
ORDERS = """
orders = sa.Table(
    "orders", metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("user_id", sa.Integer, sa.ForeignKey("users.id"), nullable=False, unique=True),
    sa.Column("total", sa.Numeric(10, 2), nullable=False),
)
"""
BASE = """
op.create_table(
    "users",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(100), nullable=False),
    sa.Column("nick", sa.String(50)),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("visits", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("email", sa.String(80), unique=True),
)
op.create_table(
    "orders",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("user_id", sa.Integer, sa.ForeignKey("users.id"), nullable=False, unique=True),
    sa.Column("total", sa.Numeric(10, 2), nullable=False),
)
"""
SHOP = USERS + ORDERS


@pytest.fixture
def shop(tmp_path: Path, database: Database) -> GitProject:
    """A project whose first release has two tables."""
    project = GitProject(tmp_path / "shop", database)
    project.models(SHOP)
    project.revision("r1", BASE)
    project.commit("the first release")
    return project


def checked(shop: GitProject, revision: str = "r2", since: str | None = None) -> None:
    with shop.kit(since) as kit:
        check(kit, kit.project.revision(revision))


def failure(shop: GitProject, revision: str = "r2", since: str | None = None) -> str:
    with pytest.raises(Failed) as raised:
        checked(shop, revision, since)
    return str(raised.value)


def with_(column: str) -> str:
    return SHOP.replace('    sa.Column("email"', f'    {column},\n    sa.Column("email"')


# --- what breaks the old release

FLAWS = {
    "dropped column": (
        'with op.batch_alter_table("users") as batch:\n    batch.drop_column("nick")',
        SHOP.replace('    sa.Column("nick", sa.String(50)),\n', ""),
        ["users.nick: SELECT, INSERT", 'drop_column_if_exists("users", "nick", archive=True)'],
    ),
    "renamed column": (
        'with op.batch_alter_table("users") as batch:\n'
        '    batch.alter_column("name", new_column_name="full_name", existing_type=sa.String(100), existing_nullable=False)',
        SHOP.replace('"name"', '"full_name"'),
        ["users.name", 'ColumnRename("users", "name", "full_name")', "rename.contract()"],
    ),
    "dropped table": (
        'op.drop_table("orders")',
        USERS,
        [
            "# safeops: allow drop-table -- why",
            "orders: every statement: ",
            'drop_table_if_exists("orders", archive=True)',
        ],
    ),
    "required column": (
        'op.add_column("users", sa.Column("country", sa.String(2), nullable=False, server_default="de"))\n'
        'with op.batch_alter_table("users") as batch:\n'
        '    batch.alter_column("country", server_default=None, existing_type=sa.String(2), existing_nullable=False)',
        with_('sa.Column("country", sa.String(2), nullable=False)'),
        ["users.country: INSERT: ", "add_required_column(", "server_default="],
    ),
    "not null": (
        "op.execute(\"UPDATE users SET nick = 'none' WHERE nick IS NULL\")\n"
        'with op.batch_alter_table("users") as batch:\n'
        '    batch.alter_column("nick", nullable=False, existing_type=sa.String(50))',
        SHOP.replace("sa.String(50)", "sa.String(50), nullable=False"),
        ["users.nick: ", "UPDATE of NULL", 'enforce_not_null("users", "nick")'],
    ),
    "default removed": (
        'with op.batch_alter_table("users") as batch:\n'
        '    batch.alter_column("visits", server_default=None, existing_type=sa.BigInteger, existing_nullable=False)',
        SHOP.replace(', server_default="0"', ""),
        ["users.visits: ", 'set_server_default("users", "visits", None)'],
    ),
    "other type": (
        'with op.batch_alter_table("orders") as batch:\n'
        '    batch.alter_column("total", type_=sa.String(20), existing_type=sa.Numeric(10, 2), existing_nullable=False)',
        SHOP.replace("sa.Numeric(10, 2)", "sa.String(20)"),
        ["orders.total: SELECT", 'TypeChange("orders", "total", sa.String(length=20))'],
    ),
    "check of a length": (
        'with op.batch_alter_table("users") as batch:\n'
        '    batch.create_check_constraint("users_nick", "length(nick) <= 20")',
        SHOP,
        [
            "users.nick: UPDATE of a text of 50 characters: ",
            'create_check_constraint_if_missing("users_nick", "users", ',
        ],
    ),
    "check against a default": (
        'with op.batch_alter_table("users") as batch:\n'
        '    batch.create_check_constraint("users_kind", "kind <> \'guest\'")',
        SHOP,
        ["users.kind: INSERT: ", 'create_check_constraint_if_missing("users_kind", "users", '],
    ),
}


@pytest.mark.parametrize("flaw", FLAWS)
def test_a_change_that_breaks_the_old_release_is_found(shop: GitProject, flaw: str) -> None:
    upgrade, models, expected = FLAWS[flaw]
    commit = shop.git("rev-parse", "HEAD")
    shop.models(models)
    shop.revision("r2", upgrade)
    shop.commit("the second release")
    said = failure(shop)
    assert f"The old release (commit {commit[:10]}) does not work" in said
    for words in expected:
        assert words in said, said


@pytest.mark.only("postgresql", "mysql", "mariadb")
def test_a_narrower_type_is_found(shop: GitProject) -> None:
    shop.models(SHOP.replace("sa.String(50)", "sa.String(20)").replace("sa.BigInteger", "sa.Integer"))
    shop.revision(
        "r2",
        """
        op.execute("UPDATE users SET nick = 'short', visits = 1")
        op.alter_column("users", "nick", type_=sa.String(20), existing_type=sa.String(50))
        op.alter_column("users", "visits", type_=sa.Integer, existing_type=sa.BigInteger, existing_nullable=False,
                        existing_server_default="0")
        """,
    )
    shop.commit("the second release")
    said = failure(shop)
    assert "users.nick: UPDATE of a text of 50 characters: " in said
    assert f"users.visits: UPDATE of the number {2**63 - 1}: " in said
    assert 'TypeChange("users", "nick", sa.String(length=20))' in said


@pytest.mark.only("postgresql")
def test_an_enum_value_that_is_removed_is_found(tmp_path: Path, database: Database) -> None:
    shop = GitProject(tmp_path / "shop", database)
    models = """
        items = sa.Table("items", metadata, sa.Column("id", sa.Integer, primary_key=True),
                         sa.Column("state", sa.Enum("new", "sold", "lost", name="state"), nullable=False))
    """
    shop.models(models)
    column = 'sa.Column("state", sa.Enum("new", "sold", "lost", name="state"), nullable=False)'
    shop.revision("r1", f'op.create_table("items", sa.Column("id", sa.Integer, primary_key=True), {column})')
    shop.commit("the first release")
    shop.models(models.replace(', "lost"', ""))
    shop.revision(
        "r2",
        """
        op.execute("UPDATE items SET state = 'sold' WHERE state = 'lost'")
        op.execute("ALTER TYPE state RENAME TO old_state")
        op.execute("CREATE TYPE state AS ENUM ('new', 'sold')")
        op.execute("ALTER TABLE items ALTER state TYPE state USING state::text::state")
        op.execute("DROP TYPE old_state")
        """,
    )
    shop.commit("the second release")
    assert "items.state: UPDATE of 'lost': invalid input value for enum state" in failure(shop)


def test_a_change_that_a_comment_accepts_passes(shop: GitProject) -> None:
    shop.models(SHOP.replace('    sa.Column("nick", sa.String(50)),\n', ""))
    drop = 'with op.batch_alter_table("users") as batch:\n    batch.drop_column("nick")'
    shop.revision("r2", f"# safeops: allow drop-column -- the application is stopped during this deploy\n{drop}")
    shop.commit("the second release")
    checked(shop)
    comment = (shop.versions / "r2.py").read_text().replace("drop-column", "drop-table")
    (shop.versions / "r2.py").write_text(comment)
    assert "users.nick: SELECT, INSERT, UPDATE" in failure(shop)


def test_a_renamed_table_is_found(shop: GitProject) -> None:
    shop.models(USERS + ORDERS.replace('"orders"', '"sales"'))
    shop.revision("r2", 'op.rename_table("orders", "sales")')
    shop.commit("the second release")
    said = failure(shop)
    assert "does not work after the upgrade: orders." in said
    remedy = "under two names" if shop.database.kind == "sqlite" else 'TableRename("orders", "sales")'
    assert remedy in said


def test_a_column_that_the_models_set_in_each_update_is_named_alone(shop: GitProject) -> None:
    shop.models(SHOP.replace("sa.String(50)", 'sa.String(50), onupdate="changed"'))
    shop.commit("each update is noted")
    shop.models(SHOP.replace('    sa.Column("nick", sa.String(50)),\n', ""))
    shop.revision("r2", 'with op.batch_alter_table("users") as batch:\n    batch.drop_column("nick")')
    shop.commit("the second release")
    assert "does not work after the upgrade: users.nick.\n" in failure(shop)


def test_an_application_of_a_teams_own_test(shop: GitProject) -> None:
    shop.models(SHOP.replace('    sa.Column("nick", sa.String(50)),\n', ""))
    shop.commit("nick is not used any more")
    shop.revision("r2", 'with op.batch_alter_table("users") as batch:\n    batch.drop_column("nick")')
    shop.commit("nick is dropped")
    with shop.kit() as kit, kit.before("r2") as trial:
        old, older = old_application_of(kit, trial), old_application_of(kit, trial, commit="HEAD~2")
        with old.running():
            trial.upgrade()
        old.check()
        with pytest.raises(Failed, match=r"does not work after the upgrade: users\.nick"):
            older.check()


@pytest.mark.only("postgresql")
def test_times_that_the_code_cannot_compare_are_found(tmp_path: Path, database: Database) -> None:
    shop = GitProject(tmp_path / "shop", database)
    models = """
        visits = sa.Table("visits", metadata, sa.Column("id", sa.Integer, primary_key=True),
                          sa.Column("at", sa.DateTime, nullable=False))
    """
    shop.models(models)
    at = 'sa.Column("at", sa.DateTime, nullable=False)'
    shop.revision("r1", f'op.create_table("visits", sa.Column("id", sa.Integer, primary_key=True), {at})')
    shop.commit("the first release")
    shop.models(models.replace("sa.DateTime", "sa.DateTime(timezone=True)"))
    shop.revision("r2", 'op.alter_column("visits", "at", type_=sa.DateTime(timezone=True))')
    shop.commit("the second release")
    assert "visits.at: SELECT: the application reads times with a zone, and not times" in failure(shop)


# --- what does not

SOUND = {
    "nullable column": ('op.add_column("users", sa.Column("city", sa.String(50)))', 'sa.Column("city", sa.String(50))'),
    "column with a default": (
        'op.add_column("users", sa.Column("city", sa.String(50), nullable=False, server_default="Ulm"))',
        'sa.Column("city", sa.String(50), nullable=False, server_default="Ulm")',
    ),
    "index": ('op.create_index("users_name", "users", ["name"])', ""),
    "table": ('op.create_table("notes", sa.Column("id", sa.Integer, primary_key=True))', ""),
    "check": (
        'with op.batch_alter_table("users") as batch:\n'
        '    batch.create_check_constraint("users_visits", "visits >= 0 AND visits < 1000000")',
        "",
    ),
    "wider type": (
        'with op.batch_alter_table("users") as batch:\n'
        '    batch.alter_column("nick", type_=sa.String(200), existing_type=sa.String(50))',
        "",
    ),
    "nothing": ("pass", ""),
}


@pytest.mark.parametrize("change", SOUND)
def test_a_compatible_change_passes(shop: GitProject, change: str) -> None:
    upgrade, column = SOUND[change]
    shop.models(with_(column) if column else SHOP)
    shop.revision("r2", upgrade)
    shop.commit("the second release")
    checked(shop)


# --- the phases of a rename


def test_both_releases_work_between_the_phases_of_a_column_rename(shop: GitProject) -> None:
    renamed = SHOP.replace('"name"', '"full_name"')
    shop.revision("r2", 'ColumnRename("users", "name", "full_name").expand()')
    shop.commit("both names exist")
    shop.models(renamed)
    shop.commit("the release with the new name")
    shop.revision("r3", 'ColumnRename("users", "name", "full_name").contract()')
    shop.commit("the old name is dropped")
    checked(shop, "r2")
    checked(shop, "r3")


def test_both_phases_in_one_release_are_found(shop: GitProject) -> None:
    shop.git("checkout", "-q", "-b", "feature")
    shop.models(SHOP.replace('"name"', '"full_name"'))
    shop.revision("r2", 'ColumnRename("users", "name", "full_name").expand()')
    shop.revision("r3", 'ColumnRename("users", "name", "full_name").contract()')
    shop.commit("all at once")
    checked(shop, "r2", since="main")
    assert "users.name" in failure(shop, "r3", since="main")


@pytest.mark.only("postgresql", "mysql", "mariadb")
def test_both_releases_work_between_the_phases_of_a_table_rename(shop: GitProject) -> None:
    shop.revision("r2", 'TableRename("orders", "sales").expand()')
    shop.commit("both names exist")
    shop.models(USERS + ORDERS.replace('"orders"', '"sales"'))
    shop.commit("the release with the new name")
    shop.revision("r3", 'TableRename("orders", "sales").contract()')
    shop.commit("the old name is dropped")
    checked(shop, "r2")
    checked(shop, "r3")


def test_the_old_release_works_in_each_phase_of_a_type_change(shop: GitProject) -> None:
    change = 'TypeChange("orders", "total", sa.Numeric(14, 4))'
    for revision, phase in (("r2", "expand"), ("r3", "switch"), ("r4", "contract")):
        if phase == "contract":
            shop.models(SHOP.replace("sa.Numeric(10, 2)", "sa.Numeric(14, 4)"))
        shop.revision(revision, f"{change}.{phase}()")
        shop.commit(phase)
    for revision in ("r2", "r3", "r4"):
        checked(shop, revision)


# --- the new release


def test_models_that_the_newest_revision_does_not_serve_are_found(shop: GitProject) -> None:
    shop.models(with_('sa.Column("city", sa.String(50))'))
    shop.revision("r2", 'op.add_column("users", sa.Column("town", sa.String(50)))')
    shop.commit("the second release")
    said = failure(shop)
    assert "The new release (the working tree) does not work after the upgrade: users.city" in said
    assert "alembic check" in said


# --- which release


def test_since_a_ref_its_merge_base_is_the_old_release(shop: GitProject) -> None:
    base = shop.git("rev-parse", "HEAD")
    shop.git("checkout", "-q", "-b", "feature")
    shop.commit("work on the feature")
    shop.models(SHOP.replace('    sa.Column("nick", sa.String(50)),\n', ""))
    shop.revision("r2", 'with op.batch_alter_table("users") as batch:\n    batch.drop_column("nick")')
    with shop.kit("main") as kit:
        releases = releases_of(kit)
        revision = kit.project.revision("r2")
        assert releases.commit_before(revision) == base
        assert releases.before(revision) is releases.before(revision)
    assert f"commit {base[:10]}" in failure(shop, since="main")


def test_after_a_revision_the_commit_before_the_file_is_the_old_release(shop: GitProject) -> None:
    base = shop.git("rev-parse", "HEAD")
    shop.revision("r2", "pass")
    shop.commit("the second release")
    shop.commit("more")
    with shop.kit("r1") as kit:
        assert releases_of(kit).commit_before(kit.project.revision("r2")) == base


def test_on_a_branch_a_revision_that_main_has_is_tested_with_the_release_before_it(shop: GitProject) -> None:
    first = shop.git("rev-parse", "HEAD")
    shop.revision("r2", "pass")
    base = shop.commit("the second release")
    shop.git("checkout", "-q", "-b", "feature")
    shop.commit("work on the feature")
    shop.revision("r3", "pass")
    shop.commit("a revision of the feature")
    with shop.kit() as kit:
        releases = releases_of(kit)
        assert [releases.commit_before(kit.project.revision(name)) for name in ("r2", "r3")] == [first, base]


def no_repository(shop: GitProject) -> None:
    (shop.folder / ".git").rename(shop.folder / "no-git")


def no_models(shop: GitProject) -> None:
    shop.models("")
    shop.commit("without models")
    (shop.versions / "r2.py").touch()


def broken_env(shop: GitProject) -> None:
    env = shop.folder / "migrations/env.py"
    text = env.read_text()
    env.write_text("import nothing_of_that_name\n" + text)
    shop.commit("broken")
    env.write_text(text)


def other_models(shop: GitProject) -> None:
    shop.models('cities = sa.Table("cities", metadata, sa.Column("id", sa.Integer, primary_key=True))')
    shop.commit("other models")


@pytest.mark.only("sqlite")
@pytest.mark.parametrize(
    ("without", "reason"),
    [
        (no_repository, "They are read from git"),
        (no_models, "no target_metadata with tables"),
        (broken_env, "nothing_of_that_name"),
        (other_models, "exists before the revision"),
    ],
)
def test_without_an_old_release_the_reason_is_reported(
    shop: GitProject, without: Callable[[GitProject], None], reason: str
) -> None:
    without(shop)
    shop.models(SHOP)
    shop.revision("r2", "pass")
    with pytest.raises(Untestable, match=reason):
        checked(shop)


@pytest.mark.only("sqlite")
def test_a_revision_of_the_oldest_commit_has_no_old_release(shop: GitProject) -> None:
    no_repository(shop)
    shop.revision("r2", "pass")
    shop.git("init", "-q", "-b", "main")
    shop.commit("all at once")
    with pytest.raises(Untestable, match="no commit is older than the revision"):
        checked(shop)


@pytest.mark.only("sqlite")
def test_a_project_that_only_pyproject_configures(shop: GitProject, database: Database) -> None:
    (shop.folder / "alembic.ini").unlink()
    (shop.folder / "pyproject.toml").write_text(
        '[tool.alembic]\nscript_location = "%(here)s/migrations"\nprepend_sys_path = ["%(here)s/src"]\n'
    )
    env = shop.folder / "migrations/env.py"
    url = repr(database.url.render_as_string(hide_password=False))
    env.write_text(env.read_text().replace('config.get_main_option("sqlalchemy.url")', url))
    shop.commit("only pyproject.toml")
    shop.revision("r2", 'op.drop_column("users", "nick")')
    kit = Kit(Project.at(shop.folder / "pyproject.toml"), Place(database.url))
    with pytest.raises(Failed, match=r"users\.nick"):
        check(kit, kit.project.revision("r2"))
    kit.close()


def test_models_that_never_fitted_are_reported(shop: GitProject) -> None:
    shop.models(with_('sa.Column("city", sa.String(50))'))
    shop.commit("a model without its revision")
    shop.models(SHOP)
    shop.revision("r2", "pass")
    with pytest.raises(Untestable, match=r"users \(city\): .*\busers\.city\b"):
        checked(shop)


# --- an upgrade that fails


def test_an_upgrade_that_fails_alone_is_left_to_other_tests(shop: GitProject) -> None:
    shop.revision("r2", 'raise RuntimeError("no luck")')
    with pytest.raises(Untestable, match=r"also without the old release: .*no luck"):
        checked(shop)


@pytest.mark.only("postgresql")
def test_an_upgrade_that_rows_of_the_old_release_stop_is_found(shop: GitProject) -> None:
    shop.revision(
        "r2",
        """
        import time

        with op.get_context().autocommit_block():
            op.add_column("users", sa.Column("city", sa.String(50)))
            op.execute("UPDATE users SET city = 'Ulm'")
        for _ in range(400):
            op.execute("SAVEPOINT looked")
            op.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
            if op.get_bind().scalar(sa.text("SELECT count(*) FROM users WHERE city IS NULL")):
                break
            op.execute("ROLLBACK TO SAVEPOINT looked")
            time.sleep(0.005)
        op.alter_column("users", "city", nullable=False, server_default="Ulm")
        """,
    )
    said = failure(shop)
    assert "The upgrade fails while the old release (commit " in said
    assert "contains null values" in said
    assert "add_required_column(" in said


def test_what_breaks_only_while_the_upgrade_runs_is_found(shop: GitProject) -> None:
    shop.revision(
        "r2",
        """
        with op.get_context().autocommit_block():
            op.execute("ALTER TABLE users RENAME COLUMN nick TO called")
            op.execute("ALTER TABLE users RENAME COLUMN called TO nick")
        """,
    )
    said = failure(shop)
    assert "does not work while the upgrade runs: users.nick" in said
    assert "users.nick (while the upgrade runs): " in said


# --- what the models may hold

RICH = textwrap.dedent("""
    class Size(enum.Enum):
        small = "S"
        large = "L"

    regions = sa.Table("regions", metadata,
        sa.Column("code", sa.String(8), primary_key=True),
        sa.Column("parent", sa.String(8), sa.ForeignKey("regions.code")),
    )
    goods = sa.Table("goods", metadata,
        sa.Column("region", sa.String(8), sa.ForeignKey("regions.code"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("size", sa.Enum(Size, native_enum=False, length=20), nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
        sa.Column("made_at", sa.DateTime, nullable=False),
        sa.Column("weight", sa.Float),
        sa.Column("price", sa.Integer, nullable=False),
        sa.Column("gross", sa.Integer, sa.Computed("price * 2")),
        sa.Column("photo", sa.LargeBinary),
    )
    log = sa.Table("log", metadata, sa.Column("said", sa.String(40)), sa.Column("at", sa.DateTime))
""")
MAKES_RICH = """
op.create_table("regions", sa.Column("code", sa.String(8), primary_key=True),
                sa.Column("parent", sa.String(8), sa.ForeignKey("regions.code")))
op.create_table("goods",
    sa.Column("region", sa.String(8), sa.ForeignKey("regions.code"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("size", sa.String(20), nullable=False),
    sa.Column("data", sa.JSON, nullable=False),
    sa.Column("made_at", sa.DateTime, nullable=False),
    sa.Column("weight", sa.Float),
    sa.Column("price", sa.Integer, sa.CheckConstraint("price > 0"), nullable=False),
    sa.Column("gross", sa.Integer, sa.Computed("price * 2")),
    sa.Column("photo", sa.LargeBinary),
)
op.create_table("log", sa.Column("said", sa.String(40)), sa.Column("at", sa.DateTime))
"""


def test_tables_of_all_shapes_are_read_and_written(tmp_path: Path, database: Database) -> None:
    shop = GitProject(tmp_path / "shop", database)
    shop.models(RICH)
    shop.revision("r1", MAKES_RICH)
    commit = shop.commit("the first release")
    shop.revision("r2", "pass")
    with shop.kit() as kit, kit.before("r2") as trial:
        process = releases_of(kit).at(commit).process
        assert {str(name) for name in process.begin(trial.project_url)} == {"regions", "goods", "log"}
        sent = process.round(trial.project_url)
        worked = {(one.table, one.operation) for one in sent}
        assert [one for one in sent if one.error] == []
        assert worked == {(table, verb) for table in ("regions", "goods", "log") for verb in VERBS}
        before = trial.state().rows
        process.round(trial.project_url, at_limits=True)
        assert trial.state().rows == before


VERBS = ("SELECT", "INSERT", "UPDATE", "DELETE")
