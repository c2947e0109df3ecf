"""enforce_not_null"""

import pytest
from tests.catalogue import snapshot
from tests.lifecycle.harness import crash_everywhere
from tests.operations.postgresql_locks import scans_under_strong_locks
from tests.operations.shape import MANY, WORLD, Expect, Named, OnTable, assert_refused
from tests.projects import migrate, statements_of

from safeops import UnknownColumn, UnknownTable, ViolatingRows, enforce_not_null, relax_not_null


class TestEnforceNotNull(Named, OnTable):
    offline_needs = ("renders_column_changes_offline",)
    # The check that makes SET NOT NULL safe is in a DO block, which squawk does not read.
    linted_for = (
        "adding-not-nullable-field",
        "ban-drop-constraint",
    )
    unknown = (
        Expect(lambda: enforce_not_null("userz", "name"), ["no table userz", "users"], UnknownTable),
        Expect(lambda: enforce_not_null("users", "nam"), ["no column nam", "name"], UnknownColumn),
    )
    bad = (
        Expect(lambda: enforce_not_null("users", ""), ["column name"]),
        Expect(lambda: enforce_not_null("users", None), ["column name", 'enforce_not_null("users", None)']),
        Expect(lambda: enforce_not_null(3, "name"), ["table name is 3"]),
    )

    @staticmethod
    def up(**kw):
        return enforce_not_null("users", "email", **kw)

    @staticmethod
    def down(**kw):
        return relax_not_null("users", "email", **kw)

    @pytest.mark.only("pg14", "pg18", "mysql")
    def test_an_idle_transaction_blocks_only_the_helper(self, database):
        super().test_an_idle_transaction_blocks_only_the_helper(database)


def test_rows_without_a_value_are_counted_and_shown(database):
    database.execute(*WORLD, *(f"INSERT INTO users VALUES ({i}, 1, 'x', NULL, 'n')" for i in range(10, 17)))
    words = ["8 rows have NULL in", "users.age", "3, 10, 11, 12, 13, ...", "IS NULL", "Nothing was changed"]
    assert_refused(database, [Expect(lambda: enforce_not_null("users", "age"), words, ViolatingRows)])
    database.execute("UPDATE users SET age = 0 WHERE age IS NULL")
    assert migrate(database, lambda: enforce_not_null("users", "age")) is True


@pytest.mark.only("pg14", "pg15")
def test_the_check_way_stopped_anywhere(new_database):
    points = crash_everywhere(new_database, lambda: enforce_not_null("users", "email"), WORLD, kills=1)
    assert points >= 4


@pytest.mark.every_postgresql
@pytest.mark.only("postgresql")
class TestOnEveryPostgreSQL:
    def test_no_scan_under_a_strong_lock(self, database):
        database.execute(*WORLD, MANY["postgresql"])
        with scans_under_strong_locks(database, "users") as found:
            assert migrate(database, lambda: enforce_not_null("users", "email")) is True
        assert found == []

    def test_its_steps(self, database):
        database.execute(*WORLD)
        with statements_of(database) as sent:
            migrate(database, lambda: enforce_not_null("users", "email"))
        if database.version >= (18,):
            assert len(sent.ddl) == 2
            assert "NOT NULL" in sent.ddl[0]
            assert sent.ddl[0].endswith("NOT VALID")
        else:
            words = ["NOT VALID", "VALIDATE CONSTRAINT", "SET NOT NULL", "DROP CONSTRAINT"]
            assert [word in statement for word, statement in zip(words, sent.ddl, strict=True)] == [True] * 4

    def test_a_proof_of_the_authors_own_is_used_and_kept(self, database):
        database.execute(*WORLD, "ALTER TABLE users ADD CONSTRAINT mine CHECK (email IS NOT NULL)")
        assert migrate(database, lambda: enforce_not_null("users", "email")) is True
        after = snapshot(database)
        assert "constraint mine on users" in after
        assert "safeops" not in after

    def test_the_same_schema_on_every_server(self, new_database):
        ours, plain = new_database(), new_database()
        for one in (ours, plain):
            one.execute(*WORLD)
        migrate(ours, lambda: enforce_not_null("users", "email"))
        plain.execute("ALTER TABLE users ALTER email SET NOT NULL")
        assert snapshot(ours) == snapshot(plain)

    def test_a_null_written_concurrently_fails_and_can_be_fixed(self, database):
        """An application that still writes NULL meets the constraint; what it wrote before is reported."""
        database.execute(*WORLD, "INSERT INTO users VALUES (9, 1, NULL, 1, 'x')")
        if database.version >= (18,):
            database.execute("ALTER TABLE users ADD CONSTRAINT users_email_not_null NOT NULL email NOT VALID")
        else:
            database.execute(
                "ALTER TABLE users ADD CONSTRAINT safeops_not_null_users_email CHECK (email IS NOT NULL) NOT VALID"
            )
        assert_refused(
            database, [Expect(lambda: enforce_not_null("users", "email"), ["1 row", "users.email", "9"], ViolatingRows)]
        )
        database.execute("UPDATE users SET email = 'x' WHERE id = 9")
        assert migrate(database, lambda: enforce_not_null("users", "email")) is True
        assert "safeops" not in snapshot(database)
