"""The databases before each revision, their rows, and what the first tests find, on each kind of server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TypeAlias

import pytest
import sqlalchemy as sa
from tests.servers import Database
from tests.testing.sessions import ENV, Body, TeamProject, project_in

from safeops.errors import InvalidArgument, SafeOpsError
from safeops.naming import Name
from safeops.testing.checks import offline, up_down_up
from safeops.testing.failing import Failed, Untestable
from safeops.testing.kit import Kit
from safeops.testing.places import Place
from safeops.testing.project import Project
from safeops.testing.running import environment_of

TABLES = (
    """
    op.create_table(
        "users",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(50), nullable=False),
        sa.Column("nick", sa.String(50)),
    )
    op.create_table(
        "orders",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("user_id", sa.Integer, sa.ForeignKey("users.id", name="fk_user"), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("made", sa.DateTime, server_default=sa.func.now()),
        sa.CheckConstraint("number > 0", name="positive"),
    )
    """,
    "op.drop_table('orders')\nop.drop_table('users')",
)
PHONE = ("op.add_column('users', sa.Column('phone', sa.String(20)))", "op.drop_column('users', 'phone')")
NOTHING: Body = ("pass", "pass")
Kits: TypeAlias = Callable[..., tuple[Kit, TeamProject]]


@pytest.fixture
def kits(tmp_path: Path, database: Database) -> Iterator[Kits]:
    """Make the kit of a project with these revisions."""
    with ExitStack() as stack:

        def make(*bodies: Body, env: str = ENV, **options: object) -> tuple[Kit, TeamProject]:
            project = project_in(tmp_path, database.url, env=env)
            project.chain(*bodies)
            kit = Kit(Project.at(tmp_path / "alembic.ini"), Place(database.url), **options)
            stack.callback(kit.close)
            return kit, project

        yield make


def flaw(kit: Kit, check: Callable[..., None], revision: str) -> str:
    with pytest.raises(Failed) as failed:
        check(kit, kit.project.revision(revision))
    return str(failed.value)


# Databases ------------------------------------------------------------------------------------------------------


def test_a_database_before_a_revision_has_rows_that_meet_its_constraints(kits: Kits) -> None:
    unique = ("op.create_index('uq_name', 'users', ['name'], unique=True)", "op.drop_index('uq_name', 'users')")
    kit, _ = kits(TABLES, unique)
    with kit.before("0002") as trial:
        state = trial.state()
        assert trial.current() == ("0001",)
        users, orders = state.rows[Name("users")], state.rows[Name("orders")]
        assert len(users) == len(orders) == 10
        assert len({row["name"] for row in users}) == 10
        assert any(row["nick"] is None for row in users) and any(row["nick"] is not None for row in users)
        assert {row["user_id"] for row in orders} <= {row["id"] for row in users}
        trial.upgrade()
        assert trial.current() == ("0002",)


def test_each_trial_has_a_separate_database_which_is_dropped(kits: Kits) -> None:
    kit, _ = kits(TABLES, PHONE)
    with kit.before("0002") as trial, trial.another() as other:
        trial.upgrade()
        assert (trial.current(), other.current()) == (("0002",), ("0001",))
        urls = [trial.url, other.url]
    for url in urls:
        with pytest.raises(sa.exc.DBAPIError if url.get_backend_name() != "sqlite" else AssertionError):
            assert url.get_backend_name() != "sqlite" or Path(str(url.database)).exists()
            sa.create_engine(url).connect()


def test_the_given_database_stays_empty(kits: Kits, database: Database) -> None:
    kit, _ = kits(TABLES, PHONE)
    up_down_up.check(kit, kit.project.revision("0002"))
    kit.close()
    assert sa.inspect(database.observer()).get_table_names() == []


def test_a_team_may_make_the_rows(kits: Kits) -> None:
    def insert(connection: sa.Connection, revision: str) -> bool:
        if revision == "0002":
            connection.execute(sa.text("INSERT INTO users (id, name) VALUES (7, 'Ada')"))
        return revision == "0002"

    kit, _ = kits(TABLES, PHONE, NOTHING, own_rows=insert)
    with kit.before("0002") as trial:
        rows = trial.state().rows
        assert [row["name"] for row in rows[Name("users")]] == ["Ada"]
        assert {row["user_id"] for row in rows[Name("orders")]} == {7}
    with kit.before("0003") as trial:
        assert not any(trial.state().rows.values())


def test_merges_branches_and_dependencies_are_tested_in_their_order(kits: Kits) -> None:
    kit, project = kits(TABLES)
    project.write("a1", PHONE, down="0001")
    project.write(
        "b1", ("op.create_table('b', sa.Column('id', sa.Integer, primary_key=True))", "op.drop_table('b')"), down="0001"
    )
    project.write("merged", NOTHING, down=("a1", "b1"))
    project.write(
        "other",
        ("op.create_table('o', sa.Column('id', sa.Integer, primary_key=True))", "op.drop_table('o')"),
        needs="merged",
        labels=("more",),
        down="merged",
    )
    with_branches = Kit(Project.at(project.folder / "alembic.ini"), kit.place)
    order = [one.revision for one in with_branches.project.revisions()]
    assert (order[0], set(order[1:3]), order[3:]) == ("0001", {"a1", "b1"}, ["merged", "other"])
    for revision in with_branches.project.revisions():
        up_down_up.check(with_branches, revision)
        offline.check(with_branches, revision)
    with_branches.close()


def test_a_revision_that_fails_stops_only_those_after_it(kits: Kits) -> None:
    kit, _ = kits(TABLES, ("raise KeyError('flawed')", "pass"), PHONE)
    assert "0002 (0002) cannot be run: upgrade() fails at 0002.py:10." in flaw(kit, up_down_up.check, "0002")
    with pytest.raises(Untestable, match=r"0002 .*, which comes before, fails on an empty database: KeyError"):
        up_down_up.check(kit, kit.project.revision("0003"))


def test_python_code_that_fails_on_sample_rows_alone_is_only_noted(kits: Kits) -> None:
    body = """
    for row in op.get_bind().execute(sa.text("SELECT name FROM users")):
        int(row.name)
    """
    kit, _ = kits(TABLES, (body, "pass"))
    up_down_up.check(kit, kit.project.revision("0002"))
    (note,) = kit.notes_of(kit.project.revision("0002"))
    assert note.startswith("without sample rows, because with them the upgrade ends with: ValueError: invalid literal")


@pytest.mark.only("sqlite")
def test_an_env_py_that_reaches_another_database_is_refused(kits: Kits) -> None:
    kit, project = kits(TABLES)
    env, own = project.folder / "migrations/env.py", project.folder / "own.sqlite"
    connect = f"poolclass=sa.pool.NullPool, creator=lambda: __import__('sqlite3').connect({str(own)!r})"
    env.write_text(env.read_text().replace("poolclass=sa.pool.NullPool", connect))
    with pytest.raises(SafeOpsError, match="instead of the scratch database"):
        environment_of(kit.project, kit.place)


# Up, down, up ---------------------------------------------------------------------------------------------------


def test_a_downgrade_that_leaves_something_is_found(kits: Kits) -> None:
    kit, _ = kits(
        TABLES, (PHONE[0] + "\nop.create_index('ix_phone', 'users', ['phone'])", "op.drop_index('ix_phone', 'users')")
    )
    text = flaw(kit, up_down_up.check, "0002")
    assert "0002 (0002): downgrade() does not lead back to the schema from before the upgrade." in text
    assert "users.phone was left over" in text


def test_values_that_do_not_come_back_are_found_and_can_be_accepted(kits: Kits) -> None:
    back = "op.add_column('users', sa.Column('nick', sa.String(50)))"
    kit, project = kits(TABLES, ("op.drop_column('users', 'nick')", back))
    text = flaw(kit, up_down_up.check, "0002")
    assert "users.nick was '" in text and ", and is NULL in the row with id " in text
    assert "# safeops: allow lossy-downgrade -- " in text
    project.write(
        "0002", ("op.drop_column('users', 'nick')", f"# safeops: allow lossy-downgrade -- unused\n{back}"), down="0001"
    )
    up_down_up.check(kit, kit.project.revision("0002"))


def test_a_missing_downgrade_is_found_and_a_declared_one_is_not_tested(kits: Kits) -> None:
    kit, project = kits(TABLES, (PHONE[0], "pass"))
    text = flaw(kit, up_down_up.check, "0002")
    assert text.startswith("0002 (0002) has an empty downgrade() (0002.py:")
    project.write(
        "0002", (PHONE[0], "from safeops import irreversible\nirreversible('the phones are gone')"), down="0001"
    )
    kit = Kit(Project.at(project.folder / "alembic.ini"), kit.place)
    with pytest.raises(Untestable, match=r"0002 .* declares that it cannot be undone: .*the phones are gone"):
        up_down_up.check(kit, kit.project.revision("0002"))
    kit.close()


def test_a_downgrade_may_declare_that_there_is_nothing_to_undo(kits: Kits) -> None:
    adopted = (
        "from safeops import add_column_if_missing\nadd_column_if_missing('users', sa.Column('phone', sa.String(20)))"
    )
    kit, project = kits(TABLES, (adopted, "# Nothing to undo: the column is older.\npass"))
    up_down_up.check(kit, kit.project.revision("0002"))
    project.write("0002", (PHONE[0], "# Nothing to undo: the column is older.\npass"), down="0001")
    kit = Kit(Project.at(project.folder / "alembic.ini"), kit.place)
    assert "cannot be run again after its downgrade: upgrade() fails at 0002.py:" in flaw(kit, up_down_up.check, "0002")
    kit.close()


@pytest.mark.only("postgresql")
def test_what_env_py_itself_creates_is_not_left_by_a_downgrade(kits: Kits) -> None:
    kit, project = kits(TABLES)
    env = project.folder / "migrations/env.py"
    creates = "connection.execute(sa.text('CREATE SCHEMA IF NOT EXISTS own')); connection.commit()"
    configures = "context.configure(connection"
    env.write_text(env.read_text().replace(configures, f"{creates}\n        {configures}"))
    up_down_up.check(kit, kit.project.revision("0001"))


def test_rows_that_are_added_twice_are_found(kits: Kits) -> None:
    body = "op.execute(\"INSERT INTO users (id, name) SELECT max(id) + 1, 'root' FROM users\")"
    kit, _ = kits(TABLES, (body, "pass"))
    assert "users: 1 row added (id " in flaw(kit, up_down_up.check, "0002")


def test_times_and_generated_keys_may_differ(kits: Kits) -> None:
    body = """
    op.add_column("users", sa.Column("seen", sa.DateTime))
    op.execute("UPDATE users SET seen = CURRENT_TIMESTAMP")
    op.bulk_insert(sa.table("users", sa.column("name", sa.String)), [{"name": "root"}])
    """
    kit, _ = kits(
        TABLES, (body, "op.execute(\"DELETE FROM users WHERE name = 'root'\")\nop.drop_column('users', 'seen')")
    )
    up_down_up.check(kit, kit.project.revision("0002"))
    offline.check(kit, kit.project.revision("0002"))


# Offline --------------------------------------------------------------------------------------------------------


def test_a_script_that_does_something_else_is_found(kits: Kits) -> None:
    kit, _ = kits(TABLES, (f"if not context.is_offline_mode():\n    {PHONE[0]}", PHONE[1]))
    text = flaw(kit, offline.check, "0002")
    assert "0002 (0002): the script of --sql does not do what the revision does." in text
    assert "users.phone is missing" in text


@pytest.mark.only("pg18", "mariadb", "mysql97")
def test_percent_signs_that_a_driver_doubles_in_a_script(kits: Kits) -> None:
    insert = "op.bulk_insert(sa.table('users', sa.column('name', sa.String)), [{'name': '50% off'}])"
    env = ENV.replace(', dialect_opts={"paramstyle": "named"}', "")
    kit, _ = kits(TABLES, (insert, "op.execute(\"DELETE FROM users WHERE name LIKE '50%'\")"), env=env)
    text = flaw(kit, offline.check, "0002")
    assert "50%% off" in text and "OnlineOnly" not in text
    assert text.endswith('context.configure(url=url, dialect_opts={"paramstyle": "named"}, ...)')


def test_a_revision_that_reads_rows_must_declare_that_it_has_no_script(kits: Kits) -> None:
    reads = "for row in op.get_bind().execute(sa.text('SELECT id FROM users')).fetchall():\n    pass"
    kit, project = kits(TABLES, (reads, "pass"))
    assert "0002 (0002) has no script: alembic upgrade --sql fails at 0002.py:10." in flaw(kit, offline.check, "0002")
    declared = (
        f"from safeops import OnlineOnly\nif context.is_offline_mode():\n    raise OnlineOnly('it reads rows')\n{reads}"
    )
    project.write("0002", (declared, "pass"), down="0001")
    kit = Kit(Project.at(project.folder / "alembic.ini"), kit.place)
    with pytest.raises(Untestable, match="declares why it has no script: it reads rows"):
        offline.check(kit, kit.project.revision("0002"))
    kit.close()


def test_a_script_whose_writing_changes_the_database_is_found(kits: Kits) -> None:
    body = """
    engine = sa.create_engine(context.config.get_main_option("sqlalchemy.url"), poolclass=sa.pool.NullPool)
    with engine.begin() as own:
        own.execute(sa.text("UPDATE users SET nick = 'x'"))
    """
    kit, _ = kits(TABLES, (body, "pass"))
    text = flaw(kit, offline.check, "0002")
    assert "changes the database while --sql only writes its script" in text and "and is 'x' in the row" in text


@pytest.mark.only("mysql")
def test_a_helper_that_writes_several_statements_at_once(kits: Kits) -> None:
    helper = (
        "from safeops import add_column_if_missing\nadd_column_if_missing('users', sa.Column('phone', sa.String(20)))"
    )
    kit, _ = kits(TABLES, (helper, "pass"))
    offline.check(kit, kit.project.revision("0002"))


def test_a_script_that_writes_the_version_elsewhere_is_found(kits: Kits) -> None:
    kit, project = kits(TABLES, PHONE)
    env = project.folder / "migrations/env.py"
    env.write_text(
        env.read_text().replace("(connection=connection,", "(connection=connection, version_table='versions',")
    )
    text = flaw(kit, offline.check, "0002")
    assert "Under --sql env.py does not set version_table" in text
    assert "context.configure(url=url, version_table='versions', ...)" in text


def test_a_value_that_has_no_literal_is_named(kits: Kits) -> None:
    body = 'op.bulk_insert(sa.table("users", sa.column("nick", sa.JSON)), [{"nick": {"a": 1}}])'
    kit, _ = kits(TABLES, (body, "pass"))
    assert "SQLAlchemy writes no values of this type" in flaw(kit, offline.check, "0002")


@pytest.mark.only("sqlite")
def test_a_batch_has_no_script_for_the_reason_that_alembic_gives(kits: Kits) -> None:
    kit, _ = kits(TABLES, ("with op.batch_alter_table('users') as batch:\n    batch.drop_column('nick')", "pass"))
    with pytest.raises(Untestable, match=r"0002 \(0002\) has no script: This operation cannot proceed in --sql mode"):
        offline.check(kit, kit.project.revision("0002"))


def test_text_with_percent_signs_colons_and_semicolons_is_run_as_it_is(kits: Kits) -> None:
    body = "op.execute(sa.text(\"UPDATE users SET nick = 'a%b; c%%s\\\\:d';\"))"
    kit, _ = kits(TABLES, (body, "pass  # safeops: allow lossy-downgrade -- a test"))
    offline.check(kit, kit.project.revision("0002"))


def test_a_revision_is_named_as_for_alembic(kits: Kits) -> None:
    kit, _ = kits(TABLES, PHONE)
    for name, current in (("base", ()), ("head", ("0002",)), ("0001", ("0001",))):
        with kit.at(name) as trial:
            assert trial.current() == current
    with pytest.raises(InvalidArgument, match="There is no revision nix"), kit.before("nix"):
        pass


@pytest.mark.only("postgresql")
def test_an_extension_that_the_server_lacks(kits: Kits) -> None:
    kit, _ = kits(TABLES, ("op.execute('CREATE EXTENSION no_such_extension')", "pass"))
    assert "Name an empty database on a server that has it" in flaw(kit, up_down_up.check, "0002")


@pytest.mark.only("postgresql")
def test_a_statement_that_commits_itself(kits: Kits) -> None:
    kit, _ = kits(TABLES, ("op.execute('CREATE INDEX CONCURRENTLY ix ON users (name)')", "pass"))
    assert "with op.get_context().autocommit_block():" in flaw(kit, up_down_up.check, "0002")
