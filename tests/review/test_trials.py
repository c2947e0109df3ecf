"""The replacement of a finding is tested: it runs, and ends in the same schema."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from tests.projects import Project
from tests.servers import Database

from safeops.judging.replacements import Replacement
from safeops.judging.sent import Sent
from safeops.review.scratch import record_scratch
from safeops.review.trials import Trial, Trials

TABLES = """
op.create_table("users", sa.Column("id", sa.Integer(), primary_key=True), sa.Column("name", sa.String(50)))
op.create_index("ix_id", "users", ["id", "name"])
"""


def tried(folder: Path, database: Database, upgrade: str, *instead: Replacement | None) -> list[Trial | None]:
    """Try replacements of the statements of a revision; None keeps a statement."""
    project = Project(folder, database)
    project.write("tables", TABLES, down=None)
    project.write("r1", upgrade, down="tables")
    config = project.config
    one: Any = ScriptDirectory.from_config(config).get_revision("r1")
    [recording] = record_scratch(config, [one])
    sent = [event for event in recording.events if isinstance(event, Sent)]
    written = [(each, new) for each, new in zip(sent, instead, strict=False) if new is not None]
    with Trials(config) as trials:
        return trials.tried(one, recording, written)


INDEX = "op.create_index('ix_name', 'users', ['name'])"
GOOD = Replacement(
    "create_index_if_missing('ix_name', 'users', ['name'])",
    "drop_index_if_exists('ix_name', 'users')",
)


def test_one_that_ends_in_the_same_schema(tmp_path: Path, database: Database) -> None:
    good = Replacement(
        "create_index_if_missing('ix_name', 'users', ['name'])", "drop_index_if_exists('ix_name', 'users')"
    )
    [trial] = tried(tmp_path, database, f"op.add_column('users', sa.Column('a', sa.Text()))\n{INDEX}", None, good)
    assert trial == Trial(has_undo=True)
    assert (trial.is_same, trial.is_undone) == (True, True)


def test_one_that_ends_elsewhere(tmp_path: Path, database: Database) -> None:
    """The schema differs, the code fails, and the same of its downgrade: each is reported."""
    other = Replacement("create_index_if_missing('ix_name', 'users', ['name', 'id'])", "print('nothing')")
    [trial] = tried(tmp_path, database, INDEX, other)
    assert trial is not None
    assert not trial.is_same
    assert "ix_name" in str(trial.differences)
    assert "ix_name" in str(trial.undo_differences)


@pytest.mark.only("pg18", "sqlite")
@pytest.mark.parametrize(
    ("upgrade", "downgrade", "expected"),
    [
        ("add_column_if_missing('nobody', sa.Column('a', sa.Text()))", "", "nobody"),
        ("unknown_name()", "", "unknown_name"),
        ("create_index_if_missing(", "", "SyntaxError"),
    ],
)
def test_one_that_fails(tmp_path: Path, database: Database, upgrade: str, downgrade: str, expected: str) -> None:
    [trial] = tried(tmp_path, database, INDEX, Replacement(upgrade, downgrade))
    assert trial is not None
    assert trial.error is not None
    assert expected in trial.error


@pytest.mark.only("pg18", "sqlite")
def test_downgrades(tmp_path: Path, database: Database) -> None:
    good = "create_index_if_missing('ix_name', 'users', ['name'])"
    for text, has_undo in (
        ("# Nothing to undo: no", False),
        ("irreversible('why')", False),
        ("raise ValueError('no')", True),
    ):
        [trial] = tried(tmp_path, database, INDEX, Replacement(good, text))
        assert trial is not None
        assert trial.is_same
        assert (trial.has_undo, trial.undo_error is not None) == (has_undo, has_undo)


@pytest.mark.only("pg18")
def test_statements_of_one_call(tmp_path: Path, database: Database) -> None:
    """They are replaced together; those without a replacement stay unchanged."""
    upgrade = "op.add_column('users', sa.Column('nick', sa.Text(), index=True))"
    both = Replacement("add_column_if_missing('users', sa.Column('nick', sa.Text(), index=True))", "")
    assert tried(tmp_path, database, upgrade, both, both) == [Trial(), Trial()]
    index = Replacement("create_index_if_missing('ix_users_nick', 'users', ['nick'])", "")
    assert tried(tmp_path, database, upgrade, None, index) == [Trial()]


@pytest.mark.only("pg18")
def test_advice_is_not_tried(tmp_path: Path, database: Database) -> None:
    assert tried(tmp_path, database, INDEX, Replacement("", note="Do something else.")) == [None]
    assert tried(tmp_path, database, "op.execute('SELECT no')", GOOD) == [None]


@pytest.mark.only("pg18")
def test_a_revision_that_catches_everything(tmp_path: Path, database: Database) -> None:
    """It cannot continue after the tested statement; an autocommit block does not prevent that."""
    upgrade = f"""
        try:
            with op.get_context().autocommit_block():
                {INDEX}
        except Exception:
            op.execute("DROP TABLE users")
        """
    assert tried(tmp_path, database, upgrade, GOOD) == [Trial(has_undo=True)]
