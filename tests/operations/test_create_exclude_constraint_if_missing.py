"""create_exclude_constraint_if_missing"""

import pytest
import sqlalchemy as sa
from tests.operations.shape import Defines, Expect, Named, OnTable, assert_refused
from tests.projects import migrate

from safeops import (
    UnknownTable,
    UnsafeOperation,
    UnsupportedOnDatabase,
    ViolatingRows,
    assured,
    create_exclude_constraint_if_missing,
    drop_constraint_if_exists,
)

BOOKINGS = (
    "CREATE TABLE bookings (id integer PRIMARY KEY, during int4range, area int4range, name text)",
    "INSERT INTO bookings VALUES (1, '[1,3)', NULL, 'a'), (2, '[3,5)', NULL, 'b')",
)


def create(*elements, table="bookings", **kw):
    elements = elements or (("during", "&&"),)
    return create_exclude_constraint_if_missing("ex_bookings", table, *elements, **{"using": "gist", **kw})


class TestCreateExclude(Defines, Named, OnTable):
    prepare = BOOKINGS
    needs = ("has_exclusion_constraints",)
    table, many, columns = "bookings", False, ("name",)
    offline_needs = ("never",)
    up = staticmethod(create)

    @staticmethod
    def down(**kw):
        return drop_constraint_if_exists("ex_bookings", "bookings", **kw)

    different = (
        Expect(lambda **kw: create(("area", "&&"), **kw), ["columns is (during), not (area)", "condition"]),
        Expect(lambda **kw: create(("during", "&&"), ("area", "&&"), **kw), ["columns"]),
        Expect(lambda **kw: create(("during", "="), **kw), ["condition is", "="]),
        Expect(lambda **kw: create(where=sa.text("id > 5"), **kw), ["condition is", "id > 5"]),
        Expect(lambda **kw: create(deferrable=True, **kw), ["deferrable is False, not True"]),
    )
    same = (
        lambda: create((sa.column("during"), "&&")),
        lambda: create(using="GIST"),
    )
    unknown = (Expect(lambda: create(table="booking"), ["no table booking", "bookings"], UnknownTable),)
    bad = (
        Expect(lambda: create_exclude_constraint_if_missing("ex", "bookings"), ["elements"]),
        Expect(
            lambda: create_exclude_constraint_if_missing("ex", "bookings", "during"),
            ["pairs", '"ex", "bookings", ("column of bookings", "=")'],
        ),
        Expect(lambda: create(if_different="?"), ["if_different"]),
    )


@pytest.mark.only("postgresql")
class TestWhatItRefuses:
    def test_rows_that_exclude_each_other(self, database):
        database.execute(*BOOKINGS, "INSERT INTO bookings VALUES (3, '[4,9)', NULL, 'c')")
        assert_refused(database, [Expect(create, ["ex_bookings", "bookings", "[4,9)"], ViolatingRows)])

    def test_a_large_table(self, database):
        database.execute(
            *BOOKINGS,
            "ALTER TABLE bookings ADD filler text",
            "ALTER TABLE bookings ALTER filler SET STORAGE PLAIN",
            "INSERT INTO bookings SELECT i, int4range(i, i + 1), NULL, 'n', repeat('x', 4000)"
            " FROM generate_series(10, 2400) i",
        )
        database.execute("ANALYZE bookings")
        words = ["ex_bookings would block", "9 MiB", "ACCESS EXCLUSIVE", "with assured("]
        assert_refused(database, [Expect(create, words, UnsafeOperation)])

        def anyway():
            with assured("at night"):
                return create()

        assert migrate(database, anyway) is True


@pytest.mark.only("mysql", "sqlite")
def test_elsewhere(database):
    database.execute("CREATE TABLE bookings (id integer PRIMARY KEY, during integer)")
    words = ["An exclusion constraint was requested", "this server is", "would need PostgreSQL"]
    assert_refused(database, [Expect(create, words, UnsupportedOnDatabase)])
