"""What an error reports about the calls before it: each of them has committed."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from tests.projects import log_lines, migrate
from tests.servers import Database

from safeops import (
    TypeChange,
    add_required_column,
    backfill,
    create_index_if_missing,
    create_table_if_missing,
    drop_column_if_exists,
    drop_table_if_exists,
    enforce_not_null,
    set_server_default,
)
from safeops.errors import (
    BackfillIncomplete,
    DefinitionMismatch,
    InvalidArgument,
    SafeOpsError,
    UnknownColumn,
    UnknownTable,
)
from safeops.execution.inspect import keeping

pytestmark = pytest.mark.only("pg18", "mysql", "sqlite")


@pytest.fixture
def t(database: Database) -> Database:
    database.execute(
        "CREATE TABLE t (id int PRIMARY KEY, u int, c varchar(9))", "INSERT INTO t VALUES (1, 1, 'x'), (2, 2, 'y')"
    )
    return database


def required(populate: object) -> None:
    add_required_column("t", sa.Column("r", sa.String(9), nullable=False), populate=populate)


def raised(database: Database, body: object) -> SafeOpsError:
    with pytest.raises(SafeOpsError) as caught:
        migrate(database, body)  # type: ignore[arg-type]
    return caught.value


def test_a_refusal_names_what_earlier_calls_have_done(t: Database) -> None:
    def body() -> None:
        create_table_if_missing("n", sa.Column("id", sa.Integer, primary_key=True))
        drop_column_if_exists("t", "u")
        backfill("t", {"c": sa.text("'z'")}, where=sa.text("c = 'x'"))
        required(...)

    error = raised(t, body)
    assert isinstance(error, InvalidArgument)
    assert "Nothing was changed" not in str(error)
    before = (
        "This step changed nothing. Completed earlier in this revision and kept: created table n; dropped column t.u"
    )
    assert error.state.startswith(before)
    assert "; filled 1 row of " in error.state
    # What is done is skipped, and is not reported again.
    assert "Completed earlier" not in raised(t, body).state.replace("filled 1 row", "")


def test_nothing_was_changed_if_no_step_ran(t: Database) -> None:
    assert raised(t, lambda: required(...)).state == "Nothing was changed; running again is safe."


def test_another_revision_has_nothing_to_do_with_it(t: Database) -> None:
    migrate(t, lambda: drop_column_if_exists("t", "u"))
    assert raised(t, lambda: required(...)).state == "Nothing was changed; running again is safe."


def test_an_error_names_what_its_own_call_and_what_earlier_ones_have_done(t: Database) -> None:
    def body() -> None:
        set_server_default("t", "c", "new")
        required(sa.text("nullif(c, 'x')"))

    error = raised(t, body)
    assert isinstance(error, BackfillIncomplete)
    own, earlier = error.state.split(" Completed earlier in this revision and kept: ")
    assert own.startswith("All other rows are done and kept")
    assert earlier.startswith("set the default 'new' of t.c")


def test_a_mismatch_after_a_change_of_the_same_call(t: Database) -> None:
    def body() -> None:
        create_table_if_missing("n", sa.Column("a", sa.Integer))
        create_index_if_missing("ix", "t", ["c"])
        create_index_if_missing("ix", "t", ["u"])

    error = raised(t, body)
    assert isinstance(error, DefinitionMismatch)
    assert "built index ix on t" in error.state
    assert "created table n" in error.state


def test_a_required_column_reports_its_rows_as_a_backfill_does(t: Database) -> None:
    with log_lines() as lines:
        migrate(t, lambda: required(sa.text("c")))
    assert [one for one in lines if one.startswith("finished backfill r1/t/r: 2 rows in ")]


def test_a_remedy_names_no_column_that_the_table_lacks(t: Database) -> None:
    for wrong in (lambda: required(...), lambda: required(None), lambda: backfill("t", {}), lambda: backfill("t", 5)):
        assert 'sa.text("SQL over columns of t")' in raised(t, wrong).code
    assert "create_index" in (error := raised(t, lambda: create_index_if_missing("", "t", ["c"]))).code
    assert "email" not in str(error)


@pytest.mark.only("pg18")
def test_earlier_changes_are_reported_once(database: Database) -> None:
    """If a helper calls another, both report it."""
    database.execute(
        "CREATE TABLE t (id int PRIMARY KEY, a int, b int)",
        "INSERT INTO t VALUES (1, NULL, 1)",
        "ALTER TABLE t ADD CONSTRAINT wanted CHECK (a > 0 AND a IS NOT NULL) NOT VALID",
    )
    error = raised(database, TypeChange("t", "b", sa.BigInteger).expand)
    assert error.state.count("Completed earlier in this revision") == 1


def test_a_downgrade_that_had_come_to_its_end_runs_again(t: Database) -> None:
    """Its table has been dropped by a later call; without such a call it counts as missing."""

    def table_gone() -> list[bool]:
        steps = [create_index_if_missing("ix", "gone", ["u"]), set_server_default("gone", "u", None)]
        return [*steps, drop_table_if_exists("gone")]

    def column_gone() -> list[bool]:
        steps = [create_index_if_missing("ix", "t", ["gone"]), enforce_not_null("t", "gone")]
        return [*steps, drop_column_if_exists("t", "gone")]

    assert migrate(t, table_gone) == migrate(t, column_gone) == [False, False, False]
    assert isinstance(raised(t, lambda: set_server_default("gone", "u", None)), UnknownTable)
    assert isinstance(raised(t, lambda: enforce_not_null("t", "gone")), UnknownColumn)


def test_an_error_lists_what_was_finished_before_it() -> None:
    with pytest.raises(InvalidArgument) as caught, keeping(["made a", "made b"]), keeping(["made c"]):
        raise InvalidArgument("It is wrong.")
    assert caught.value.state == "Completed and kept: made a; made b; made c. Running again continues from there."
