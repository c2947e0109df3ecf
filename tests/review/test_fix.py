"""A revision is rewritten: the author's arguments, comments and formatting stay, and it ends in the same schema."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from tests.catalogue import assert_same, unordered
from tests.projects import Project
from tests.review.recorded import project
from tests.servers import Database

from safeops.databases import database_for
from safeops.judging.finding import NOTE, UNSAFE, Finding
from safeops.judging.judge import Judge
from safeops.judging.sent import Place
from safeops.judging.server import Session
from safeops.review.fix import fixed, write_fixes
from safeops.review.offline import environment_of
from safeops.review.replay import Replay
from safeops.review.reviewing import review

TABLES = """
op.create_table("users", sa.Column("id", sa.Integer, primary_key=True), sa.Column("email", sa.String(100)),
    sa.Column("name", sa.Text), sa.Column("notes", sa.Text))
op.create_table("orders", sa.Column("id", sa.Integer, primary_key=True), sa.Column("user_id", sa.Integer),
    sa.Column("total", sa.Integer))
op.create_index("ix_users_name", "users", ["name"])
"""


def judged(folder: Path, source: str) -> list[Finding]:
    """The findings of a review, by the lines of the file."""
    config = project(folder, TABLES, "pass")
    file = folder / "versions/r1_one.py"
    file.write_text(source)
    environment = environment_of(config)
    scripts = [script for script in environment.script.walk_revisions() if script.revision == "r1"]
    ((_, schema, recording),) = Replay(environment, scripts)
    judge = Judge(database_for(environment.dialect, None), schema, Session("psycopg"))
    return [*(one for event in recording.events for one in judge.judge(event)), *judge.end_revision()]


HEAD = '''\
"""A revision."""

import sqlalchemy as sa
from alembic import op

revision = "r1"
down_revision = "r0"

'''
NO_WAY_BACK = """

        def downgrade():
            pass
"""


def revision(text: str, head: str = HEAD) -> str:
    return head + textwrap.dedent(text)


@pytest.fixture
def rewritten(tmp_path: Path) -> Callable[..., str]:
    def run(text: str, head: str = HEAD) -> str:
        source = revision(text, head)
        return fixed(source, judged(tmp_path, source))

    return run


CASES = {
    "comments and line breaks stay": (
        """
        def upgrade():
            # Needed by the list of orders.
            op.create_index(
                "ix_orders_user",  # its name
                "orders",
                ["user_id", sa.text("total DESC")],
                unique=False,
                postgresql_where=sa.text("total > 0"),  # paid ones
            )  # done


        def downgrade():
            op.drop_index("ix_orders_user", table_name="orders")  # and back
        """,
        """
        def upgrade():
            # Needed by the list of orders.
            create_index_if_missing(
                "ix_orders_user",  # its name
                "orders",
                ["user_id", sa.text("total DESC")],
                unique=False,
                postgresql_where=sa.text("total > 0"),  # paid ones
            )  # done


        def downgrade():
            drop_index_if_exists("ix_orders_user", table_name="orders")  # and back
        """,
        ["create_index_if_missing", "drop_index_if_exists"],
    ),
    "expressions of the author stay": (
        """
        TABLE = "orders"
        COLUMNS = ["user_id"]


        def upgrade():
            op.create_foreign_key(op.f("fk_" + TABLE), TABLE, "users", COLUMNS, ["id"], ondelete='CASCADE')
            op.alter_column(TABLE, 'user_id', existing_type=sa.Integer(), nullable=False)


        def downgrade():
            op.alter_column(TABLE, "user_id", existing_type=sa.Integer(), nullable=True)
            op.drop_constraint(op.f("fk_" + TABLE), TABLE, type_="foreignkey")
        """,
        """
        TABLE = "orders"
        COLUMNS = ["user_id"]


        def upgrade():
            create_foreign_key_if_missing(op.f("fk_" + TABLE), TABLE, "users", COLUMNS, ["id"], ondelete='CASCADE')
            enforce_not_null(TABLE, 'user_id')


        def downgrade():
            relax_not_null(TABLE, "user_id")
            drop_constraint_if_exists(op.f("fk_" + TABLE), TABLE, type_="foreignkey")
        """,
        ["create_foreign_key_if_missing", "drop_constraint_if_exists", "enforce_not_null", "relax_not_null"],
    ),
    "constraints": (
        """
        def upgrade():
            op.create_check_constraint("ck_orders_total", "orders", "total >= 0")
            op.create_unique_constraint(None, "users", ["email"])


        def downgrade():
            op.drop_constraint("ck_orders_total", "orders", "check")
        """,
        """
        def upgrade():
            create_check_constraint_if_missing("ck_orders_total", "orders", "total >= 0")
            create_unique_constraint_if_missing("users_email_key", "users", ["email"])


        def downgrade():
            drop_constraint_if_exists("ck_orders_total", "orders", type_="check")
        """,
        ["create_check_constraint_if_missing", "create_unique_constraint_if_missing", "drop_constraint_if_exists"],
    ),
    "what is dropped is kept aside": (
        """
        def upgrade():
            op.drop_column("users", "notes")
            op.drop_table("orders")


        def downgrade():
            op.create_table(
                "orders",
                sa.Column("id", sa.Integer(), primary_key=True),
                sa.Column("user_id", sa.Integer()),
                sa.Column("total", sa.Integer()),
            )
            op.add_column("users", sa.Column("notes", sa.Text()))
        """,
        """
        def upgrade():
            drop_column_if_exists("users", "notes", archive=True)
            drop_table_if_exists("orders", archive=True)


        def downgrade():
            restore_table("orders")
            restore_column("users", sa.Column("notes", sa.Text()))
        """,
        ["drop_column_if_exists", "drop_table_if_exists", "restore_column", "restore_table"],
    ),
    "a loop with names of its own": (
        """
        def upgrade():
            for column in ("user_id", "total"):
                op.create_index(f"ix_orders_{column}", "orders", [column])


        def downgrade():
            for column in ("user_id", "total"):
                op.drop_index(f"ix_orders_{column}")
        """,
        """
        def upgrade():
            for column in ("user_id", "total"):
                create_index_if_missing(f"ix_orders_{column}", "orders", [column])


        def downgrade():
            for column in ("user_id", "total"):
                drop_index_if_exists(f"ix_orders_{column}", "orders")
        """,
        ["create_index_if_missing", "drop_index_if_exists"],
    ),
    "a block that is not needed any more": (
        """
        def upgrade():
            # Outside of the transaction.
            with op.get_context().autocommit_block():
                # Long.
                op.create_index("ix_orders_user", "orders", ["user_id"])
        """
        + NO_WAY_BACK,
        """
        def upgrade():
            # Outside of the transaction.
            # Long.
            create_index_if_missing("ix_orders_user", "orders", ["user_id"])
        """
        + NO_WAY_BACK,
        ["create_index_if_missing"],
    ),
    "a block that something else needs": (
        """
        def upgrade():
            with op.get_context().autocommit_block():
                op.create_index("ix_orders_user", "orders", ["user_id"])
                op.execute("VACUUM orders")
        """
        + NO_WAY_BACK,
        """
        def upgrade():
            with op.get_context().autocommit_block():
                create_index_if_missing("ix_orders_user", "orders", ["user_id"])
                op.execute("VACUUM orders")
        """
        + NO_WAY_BACK,
        ["create_index_if_missing"],
    ),
    "CONCURRENTLY in a transaction": (
        """
        def upgrade():
            op.create_index("ix_orders_user", "orders", ["user_id"], postgresql_concurrently=True, if_not_exists=True)
        """
        + NO_WAY_BACK,
        """
        def upgrade():
            create_index_if_missing("ix_orders_user", "orders", ["user_id"])
        """
        + NO_WAY_BACK,
        ["create_index_if_missing"],
    ),
    "raw SQL that is written out": (
        """
        def upgrade():
            op.execute("UPDATE users SET notes = 'x'")  # all of them
            op.execute(sa.text("ALTER TABLE orders ADD CONSTRAINT ck CHECK (total > 0)"))
        """
        + NO_WAY_BACK,
        """
        def upgrade():
            backfill("users", {"notes": "x"}, where=True)  # all of them
            create_check_constraint_if_missing("ck", "orders", "total > 0")
        """
        + NO_WAY_BACK,
        ["backfill", "create_check_constraint_if_missing"],
    ),
    "a required column with a default of its own for each row": (
        """
        def upgrade():
            op.add_column("users", sa.Column("u", sa.Uuid(), nullable=False, server_default=sa.text("gen_random_uuid()")))


        def downgrade():
            op.drop_column("users", "u")
        """,
        """
        def upgrade():
            add_required_column("users", sa.Column("u", sa.Uuid(), nullable=False, server_default=sa.text("gen_random_uuid()")), populate=sa.text("gen_random_uuid()"))


        def downgrade():
            drop_column_if_exists("users", "u")
        """,  # noqa: E501
        ["add_required_column", "drop_column_if_exists"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_revision_is_rewritten(rewritten: Callable[..., str], name: str) -> None:
    before, after, helpers = CASES[name]
    imported = f"from safeops import {', '.join(helpers)}\n"
    if len(imported) > 89:
        imported = "from safeops import (\n" + "".join(f"    {helper},\n" for helper in helpers) + ")\n"
    head = HEAD.replace("from alembic import op\n", f"from alembic import op\n{imported}")
    assert rewritten(before) == revision(after, head)
    assert rewritten(after, head) == revision(after, head)


@pytest.mark.parametrize(
    "body",
    [
        'op.alter_column("users", "email", type_=sa.String(20), nullable=False)',
        'op.rename_table("users", "people")',
        'op.alter_column("users", "name", new_column_name="full_name")',
        'op.add_column("users", sa.Column("kind", sa.Text(), nullable=False))',
        'op.execute(f"UPDATE users SET notes = {1}")',
        'options = {"unique": True}\n    op.create_index("ix", "users", ["email"], **options)',
        'op.execute("ALTER TABLE orders SET UNLOGGED")',
    ],
)
def test_what_takes_more_than_one_call_stays(rewritten: Callable[..., str], body: str) -> None:
    text = f"\ndef upgrade():\n    {body}\n{textwrap.dedent(NO_WAY_BACK)}"
    assert rewritten(text) == revision(text)


IMPORTS = {
    "another name of op": (
        "import sqlalchemy as sa\nfrom alembic import op as mig\n",
        'mig.create_index("ix", "users", ["email"])',
        "import sqlalchemy as sa\nfrom alembic import op as mig\nfrom safeops import create_index_if_missing\n",
    ),
    "the package": (
        "import alembic.op\nimport sqlalchemy as sa\n",
        'alembic.op.create_index("ix", "users", ["email"])',
        "import alembic.op\nimport sqlalchemy as sa\nfrom safeops import create_index_if_missing\n",
    ),
    "a function of op": (
        "from alembic.op import create_index\n",
        'create_index("ix", "users", ["email"])',
        "from alembic.op import create_index\nfrom safeops import create_index_if_missing\n",
    ),
    "names that are imported already": (
        "from alembic import op\nfrom safeops import TypeChange, add_column_if_missing, enforce_not_null\n",
        'op.create_index("ix", "users", ["email"])',
        "from alembic import op\n"
        "from safeops import (\n    TypeChange,\n    add_column_if_missing,\n    create_index_if_missing,\n"
        "    enforce_not_null,\n)\n",
    ),
}


@pytest.mark.parametrize("name", IMPORTS)
def test_imports_are_added_in_their_place(rewritten: Callable[..., str], name: str) -> None:
    before, call, after = IMPORTS[name]
    rest = '\nrevision = "r1"\ndown_revision = "r0"\n\n\ndef upgrade():\n    {}\n\n\ndef downgrade():\n    pass\n'
    expected = after + rest.format('create_index_if_missing("ix", "users", ["email"])')
    assert rewritten(rest.format(call), before) == expected


def test_a_name_that_means_something_else_is_left_alone(rewritten: Callable[..., str]) -> None:
    text = """
        def create_index_if_missing(*arguments):
            op.create_index(*arguments)


        def upgrade():
            op.create_index("ix", "users", ["email"])
        """
    assert rewritten(text + NO_WAY_BACK) == revision(text + NO_WAY_BACK)


def test_notes_and_findings_elsewhere_change_nothing() -> None:
    source = 'from alembic import op\n\nop.create_index("ix", "t", ["a"])\n'
    code = 'create_index_if_missing("ix", "t", ["a"])'
    note = Finding("missing-index", NOTE, "", Place("r.py", 3), replacement=code)
    elsewhere = Finding("index-blocks-writes", UNSAFE, "", Place("r.py", 30), replacement=code)
    assert fixed(source, [note, elsewhere]) == source
    assert "create_index_if_missing" in fixed(source, [elsewhere.with_(place=Place("r.py", 3))])


def test_a_file_is_rewritten_unless_the_database_has_applied_it(tmp_path: Path) -> None:
    text = revision('\ndef upgrade():\n    op.create_index("ix", "users", ["email"])\n').replace("\n", "\r\n")
    found = judged(tmp_path, text)
    file = tmp_path / "versions/r1_one.py"
    file.write_bytes(text.encode())
    assert write_fixes(found, applied=[str(file)]) == []
    assert write_fixes(found) == [file.resolve()]
    assert b'    create_index_if_missing("ix", "users", ["email"])\r\n' in file.read_bytes()
    assert write_fixes(judged(tmp_path, file.read_text())) == []


@pytest.mark.only("pg18")
def test_a_review_rewrites_what_no_database_has_had(database: Database, tmp_path: Path) -> None:
    index = 'op.create_index("ix_users_email", "users", ["email"])'
    config = project(tmp_path, TABLES, index.replace("email", "notes"), index, url=database.url.render_as_string(False))
    command.upgrade(config, "r1")
    applied, pending = (tmp_path / "versions" / f"{name}_one.py" for name in ("r1", "r2"))
    before = applied.read_text()
    found = review(config, all_revisions=True, fix=True)
    assert applied.read_text() == before
    assert 'create_index_if_missing("ix_users_email", "users", ["email"])' in pending.read_text()
    assert [remark.split()[0] for remark in found.remarks if "one.py" in remark] == ["Rewrote", "Left"]
    command.upgrade(config, "head")
    assert not review(config, ["r2"]).revisions[0].findings


@pytest.mark.only("pg18")
@pytest.mark.parametrize("name", CASES)
def test_it_ends_in_the_same_schema(
    new_database: Callable[[], Database], rewritten: Callable[..., str], tmp_path: Path, name: str
) -> None:
    text, _, _ = CASES[name]
    schemas: list[Any] = []
    for source in (revision(text), rewritten(text)):
        folder = tmp_path / f"run{len(schemas)}"
        folder.mkdir()
        made = Project(folder, new_database(), {"r0": (TABLES, "pass")})
        (folder / "migrations/versions/r1.py").write_text(source)
        try:
            made.upgrade()
        except Exception:
            assert name == "CONCURRENTLY in a transaction" and not schemas
        after = _ours_left_out(made.database)
        made.downgrade("r0")
        schemas.append((after, _ours_left_out(made.database)))
    if name != "CONCURRENTLY in a transaction":
        assert_same(schemas[0][0], schemas[1][0], "upgraded")
        assert_same(schemas[0][1], schemas[1][1], "downgraded")


def _ours_left_out(database: Database) -> str:
    return "\n".join(line for line in unordered(database).splitlines() if "safeops_" not in line)
