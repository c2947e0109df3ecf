"""What an application writes next to an upgrade is there after it, or the test of the revision names what is lost."""

from __future__ import annotations

import textwrap
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from tests.servers import Database
from tests.testing.users import USERS, kit_over

from safeops.rehearse.traffic.losses import ALTERED, Loss
from safeops.testing.checks.nothing_lost import check
from safeops.testing.failing import Failed, Untestable
from safeops.testing.ledger import written_beside
from safeops.testing.losses import BEHIND, Lost, _dated, _Search, without_filled


def lost(folder: Path, database: Database, body: str, first: str = USERS) -> str:
    with kit_over(folder, database, body, first=first) as kit, pytest.raises(Failed) as caught:
        check(kit, kit.project.revision("0002"))
    return str(caught.value)


ONCE = """
with op.get_context().autocommit_block():
    op.add_column("users", sa.Column("full_name", sa.String(100)))
    op.execute("UPDATE users SET full_name = name")
    op.drop_column("users", "name")
"""


def test_a_column_copied_once(database: Database, tmp_path: Path) -> None:
    said = lost(tmp_path, database, ONCE)
    assert said.startswith("Revision 0002 loses what the application writes while it runs")
    assert "name was set to" in said
    assert "it is dropped, and full_name is" in said
    assert "acknowledged after: UPDATE users SET full_name = name" in said
    assert 'rename = ColumnRename("users", "name", "full_name")\n    rename.expand()' in said


def test_a_column_that_exists_already_is_filled_once(database: Database, tmp_path: Path) -> None:
    """Rows that are added between the UPDATE and the DROP do not have the value, also in one transaction."""
    first = USERS.replace('sa.Column("age"', 'sa.Column("full_name", sa.String(100)), sa.Column("age"')
    body = 'op.execute("UPDATE users SET full_name = name")\nop.drop_column("users", "name")'
    if database.kind == "sqlite":
        body = f"with op.get_context().autocommit_block():\n    {body.replace(chr(10), chr(10) + '    ')}"
    assert "it is dropped, and full_name is NULL" in lost(tmp_path, database, body, first)


def test_a_later_write_to_another_column_of_the_row(database: Database, tmp_path: Path) -> None:
    """The moment of a loss is that of the column: until the exchange of names, the clients also write to the age."""
    again = """
with op.get_context().autocommit_block():
    op.add_column("users", sa.Column("name2", sa.String(100)))
    op.execute("UPDATE users SET name2 = name")
    op.drop_column("users", "name")
    op.execute("ALTER TABLE users RENAME COLUMN name2 TO name")
    op.create_index("ix_users_age", "users", ["age"])
    op.create_index("ix_users_id_age", "users", ["id", "age"])
"""
    said = lost(tmp_path, database, again)
    assert "name was set to" in said
    moments = [line.strip() for line in said.splitlines() if line.strip().startswith("acknowledged after")]
    assert moments and not any("INDEX" in moment for moment in moments)


SWAP = """
with op.get_context().autocommit_block():
    op.create_table(
        "users_new",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("email", sa.String(100), nullable=False),
        sa.Column("age", sa.BigInteger),
    )
    op.execute("INSERT INTO users_new SELECT id, name, email, age FROM users")
    op.drop_table("users")
    op.rename_table("users_new", "NEW")
"""


def test_a_table_is_exchanged_for_a_copy(database: Database, tmp_path: Path) -> None:
    said = lost(tmp_path, database, SWAP.replace("NEW", "users"))
    assert "the copy takes its place" in said
    assert "acknowledged after: INSERT INTO users_new SELECT" in said
    assert 'TypeChange("users", "age", sa.B' in said


def test_a_table_is_copied_to_another_name(database: Database, tmp_path: Path) -> None:
    said = lost(tmp_path, database, SWAP.replace("NEW", "people"))
    assert "people lacks the row (" in said
    assert 'TableRename("users", "people")' in said


def test_values_are_read_and_written_back(database: Database, tmp_path: Path) -> None:
    body = """
        for row in op.get_bind().execute(sa.text("SELECT id, name FROM users")).all():
            op.get_bind().execute(sa.text("UPDATE users SET name = :n WHERE id = :i"), {"n": row.name, "i": row.id})
    """
    said = lost(tmp_path, database, body)
    assert "is overwritten" in said
    assert 'backfill("users", {"name": sa.text(...)}, where=True)' in said


DROP_TRIGGERS = {
    "postgresql": 'op.execute("ALTER TABLE users DISABLE TRIGGER USER")',
    "mysql": """
        for row in op.get_bind().execute(sa.text("SHOW TRIGGERS")).all():
            op.execute(f"DROP TRIGGER {row[0]}")
    """,
    "sqlite": """
        for row in op.get_bind().execute(sa.text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all():
            op.execute(f"DROP TRIGGER {row[0]}")
    """,
}


def test_a_recipe_without_its_triggers(database: Database, tmp_path: Path) -> None:
    body = (
        'ColumnRename("users", "name", "full_name").expand()\n' + textwrap.dedent(DROP_TRIGGERS[database.kind]).strip()
    )
    said = lost(tmp_path, database, body)
    assert "safeops keeps name and full_name in sync by triggers" in said


TRIGGER = {
    "postgresql": """
        op.execute("CREATE FUNCTION tidy() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {set}; RETURN NEW; END $$")
        op.execute("CREATE TRIGGER tidy BEFORE INSERT OR UPDATE ON users FOR EACH ROW EXECUTE FUNCTION tidy()")
    """,
    "mysql": """
        op.execute("CREATE TRIGGER tidy BEFORE INSERT ON users FOR EACH ROW SET {set}")
        op.execute("CREATE TRIGGER tidy_too BEFORE UPDATE ON users FOR EACH ROW SET {set}")
    """,
}


def trigger(database: Database, assignment: str) -> str:
    """Return the body of a revision that creates a trigger, which assigns a value to a column."""
    if database.kind not in TRIGGER:
        pytest.skip("Triggers of SQLite cannot change what is written")
    return TRIGGER[database.kind].format(set=assignment)


def test_a_trigger_that_makes_another_value_of_what_is_written(database: Database, tmp_path: Path) -> None:
    body = trigger(database, "NEW.name = upper(NEW.name), NEW.age = coalesce(NEW.age, 0)")
    if database.kind == "postgresql":
        body = body.replace(", NEW.age", "; NEW.age")
    with kit_over(tmp_path, database, body) as kit:
        check(kit, kit.project.revision("0002"))


def test_a_trigger_that_ignores_what_is_written(database: Database, tmp_path: Path) -> None:
    columns = """
        op.add_column("users", sa.Column("full_name", sa.String(100), nullable=False, server_default="?"))
        op.execute("UPDATE users SET full_name = name")
    """
    said = lost(tmp_path, database, columns + trigger(database, "NEW.name = NEW.full_name"))
    assert "name was set to" in said and "A trigger of the revision gives name another value" in said


def test_values_that_are_copied_before_the_trigger_exists(database: Database, tmp_path: Path) -> None:
    column = 'op.add_column("users", sa.Column("full_name", sa.String(100)))'
    copy = 'op.execute("UPDATE users SET full_name = name")'
    body = trigger(database, "NEW.full_name = NEW.name").strip().replace("\n        ", "\n    ")
    block = "{0}\nwith op.get_context().autocommit_block():\n    {1}\n    {2}"
    said = lost(tmp_path / "late", database, block.format(column, copy, body))
    assert "full_name is" in said and "Create the trigger before the values are copied." in said
    with kit_over(tmp_path / "early", database, block.format(column, body, copy)) as kit:
        check(kit, kit.project.revision("0002"))


@pytest.mark.parametrize(("moment", "after"), [(1, None), (2, "UPDATE users SET full_name = name")])
@pytest.mark.only("sqlite")
def test_a_write_before_the_values_were_copied_is_not_the_one_that_is_lost(moment: int, after: str | None) -> None:
    statements = ["ALTER TABLE users ADD full_name text", "UPDATE users SET full_name = name", "CREATE TRIGGER tidy"]
    ledger = SimpleNamespace(moments={(0, (1,), ""): moment}, statements=statements)
    writers: Any = SimpleNamespace(ledger=ledger, plan=SimpleNamespace(tables=[SimpleNamespace(table="users")]))
    found = _dated(Lost(Loss("users", (1,), "full_name", BEHIND, "b", "a")), writers)
    assert found.after == after


SOUND = {
    "rename, expanded": 'ColumnRename("users", "name", "full_name").expand()',
    "rename, at once": 'op.alter_column("users", "name", new_column_name="full_name", existing_type=sa.String(100),'
    " existing_nullable=False)",
    "table renamed at once": 'op.rename_table("users", "people")',
    "type change, expanded": 'TypeChange("users", "age", sa.BigInteger()).expand()',
    "values changed in one statement": 'op.execute("UPDATE users SET name = UPPER(name)")',
    "rows deleted": 'op.execute("DELETE FROM users WHERE id % 2 = 0")',
    "times": 'op.add_column("users", sa.Column("seen", sa.DateTime))\n'
    'op.execute("UPDATE users SET seen = CURRENT_TIMESTAMP")',
    "column that nobody uses": 'op.drop_column("users", "age")',
    "column filled by a helper": 'add_column_if_missing("users", sa.Column("small", sa.String(100)))\n'
    'backfill("users", {"small": sa.func.lower(sa.column("name"))})',
    "required column": """
        size = sa.Column("size", sa.Integer, nullable=False, server_default="1")
        add_required_column("users", size, populate=sa.literal(2))
    """,
}


@pytest.mark.parametrize("body", SOUND.values(), ids=SOUND)
def test_nothing_is_lost_by(body: str, database: Database, tmp_path: Path) -> None:
    with kit_over(tmp_path, database, body) as kit:
        check(kit, kit.project.revision("0002"))


@pytest.mark.parametrize(
    "recipe",
    [
        ('ColumnRename("users", "name", "full_name")', ["expand", "contract"]),
        ('TypeChange("users", "age", sa.BigInteger())', ["expand", "switch", "contract"]),
        ('TableRename("users", "people")', ["expand", "contract"]),
    ],
    ids=["column", "type", "table"],
)
def test_nothing_is_lost_by_any_phase_of_a_recipe(
    recipe: tuple[str, list[str]], database: Database, tmp_path: Path
) -> None:
    value, phases = recipe
    bodies = [f"{value}.{phase}()" for phase in phases]
    # Another revision between two phases.
    bodies.insert(1, f'op.create_index("ix_age", "{"people" if "people" in value else "users"}", ["age"])')
    if database.kind == "sqlite" and value.startswith("TableRename"):
        pytest.skip("SQLite has no views that can be written")
    with kit_over(tmp_path, database, *bodies) as kit:
        for number in range(len(bodies)):
            check(kit, kit.project.revision(f"{number + 2:04}"))


def test_a_revision_that_fails_on_its_own(database: Database, tmp_path: Path) -> None:
    with kit_over(tmp_path, database, 'raise RuntimeError("no")') as kit, pytest.raises(Untestable) as caught:
        check(kit, kit.project.revision("0002"))
    assert "The revision fails on its own" in str(caught.value)


def test_a_revision_that_fails_because_others_write(database: Database, tmp_path: Path) -> None:
    body = """
        with op.get_context().autocommit_block():
            top = op.get_bind().scalar(sa.text("SELECT max(id) FROM users"))
            op.execute("UPDATE users SET age = 1")
            if op.get_bind().scalar(sa.text("SELECT max(id) FROM users")) != top:
                raise RuntimeError("a row was added")
            op.execute("UPDATE users SET age = 2")
    """
    said = lost(tmp_path, database, body)
    assert "fails while the application writes: RuntimeError: a row was added" in said


def test_a_team_writes_next_to_its_own_statements(database: Database, tmp_path: Path) -> None:
    with kit_over(tmp_path, database, ONCE, 'op.add_column("users", sa.Column("x", sa.Integer))') as kit:
        with kit.before("0003") as trial:
            with written_beside(trial, ["users"]) as writes:
                trial.upgrade("0003")
            assert writes.acknowledged > 5 and not writes.lost
            with trial.engine.connect() as connection:
                assert connection.scalar(sa.text("SELECT count(*) FROM users")) > 0
        with kit.before("0002") as trial, pytest.raises(Failed), written_beside(trial):
            trial.upgrade("0002")


def test_a_column_copied_once_that_a_later_revision_drops(database: Database, tmp_path: Path) -> None:
    copied = 'op.add_column("users", sa.Column("full_name", sa.String(100)))\n'
    copied += 'op.execute("UPDATE users SET full_name = name")'
    bodies = copied, 'op.add_column("users", sa.Column("x", sa.Integer))', 'op.drop_column("users", "name")'
    with kit_over(tmp_path, database, *bodies) as kit:
        with pytest.raises(Failed) as caught:
            check(kit, kit.project.revision("0002"))
        assert "revision 0002 runs is lost with revision 0004" in str(caught.value)
        check(kit, kit.project.revision("0004"))


def test_a_column_that_is_made_of_another_than_the_dropped_one(database: Database, tmp_path: Path) -> None:
    body = """
        with op.get_context().autocommit_block():
            op.add_column("users", sa.Column("slug", sa.String(100)))
            op.execute("UPDATE users SET slug = LOWER(name)")
            op.drop_column("users", "age")
    """
    with kit_over(tmp_path, database, body) as kit:
        check(kit, kit.project.revision("0002"))


@pytest.mark.parametrize(
    ("expected", "here", "before", "other_row", "is_lost"),
    [
        (None, "1", "2", None, False),
        (None, "1", None, "2", False),
        (None, "1", None, None, True),
        ("5", "1", "2", "2", True),
        ("5", "1", "1", None, False),
    ],
    ids=["filled", "filled before its source was NULL", "NULL, overwritten", "overwritten", "changed on purpose"],
)
@pytest.mark.only("sqlite")
def test_what_a_backfill_fills_was_not_lost(
    expected: str | None, here: str, before: str | None, other_row: str | None, is_lost: bool
) -> None:
    """A NULL that was written is filled from the row as it is then, and the row can change after that.

    Args:
        expected: What the application has written.
        here: What is there instead.
        before: What an undisturbed upgrade makes of the same write; None: it keeps it.
        other_row: What it makes of a NULL in another row; None: it keeps it.
    """

    def database(found: str | None, other: str | None) -> Any:
        losses = [Loss("users", (1,), "age", ALTERED, expected, found)] if found else []
        losses += [Loss("users", (2,), "age", ALTERED, None, other)] if other else []
        return SimpleNamespace(losses=tuple(losses))

    search = _Search(SimpleNamespace(), SimpleNamespace(), {}, database(here, None))  # type: ignore[arg-type]
    search.twins = [database(before, other_row) for _ in range(2)]
    found = without_filled(search.changed(), search.twins)
    assert [lost.loss.found for lost in found] == ([here] if is_lost else [])


TWO_AGES = USERS.replace('sa.Column("age"', 'sa.Column("years", sa.Integer), sa.Column("age"')


def test_a_column_filled_from_another_one_that_is_set_to_null_after_that(database: Database, tmp_path: Path) -> None:
    """In the end both were set to NULL, but the row had a value to fill it with in between."""
    body = """
        with op.get_context().autocommit_block():
            for number in range(30):
                op.execute(f"UPDATE users SET years = age WHERE years IS NULL AND id > -{number}")
    """
    with kit_over(tmp_path, database, body, first=TWO_AGES) as kit:
        check(kit, kit.project.revision("0002"))
