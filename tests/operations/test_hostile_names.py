"""Names that break what is not quoted: tables, columns, indexes, constraints, schemas, enum values."""

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.catalogue import snapshot
from tests.operations.shape import Expect, assert_refused
from tests.projects import migrate, render, run_sql, statements_of
from tests.whole import one_in

from safeops import (
    InvalidArgument,
    add_column_if_missing,
    add_enum_value_if_missing,
    create_check_constraint_if_missing,
    create_enum_if_missing,
    create_foreign_key_if_missing,
    create_index_if_missing,
    create_primary_key_if_missing,
    create_schema_if_missing,
    create_table_if_missing,
    create_unique_constraint_if_missing,
    drop_column_if_exists,
    drop_constraint_if_exists,
    drop_enum_if_exists,
    drop_index_if_exists,
    drop_schema_if_exists,
    drop_table_if_exists,
    enforce_not_null,
    relax_not_null,
    set_server_default,
)

NAMES = {
    "double quote": 'a"b',
    "single quote": "a'b''c",
    "backtick": "a`b",
    "dot": "a.b.c",
    "space": "a  b ",
    "reserved": "select",
    "mixed case": "UsErS",
    "percent": "100%s%%(x)s",
    "colon": "a:b::c:1",
    "emoji": "caf\u00e9 \U0001f642",
    "backslash": "a\\b\\",
    "63 bytes": "x" * 63,
    "63 bytes of letters that have two": "\u00e9" * 31 + "x",
    "injection": "x; DROP TABLE t; --",
    "comment": "a/*b*/--c",
    "dollar": "$safeops$ END",
    "parentheses": "a(b),c[d]{e}",
    "bind": "?",
}


class Thing:
    """One name for all objects, on databases that allow equal names."""

    def __init__(self, database, name):
        self.name, self.kind = name, database.kind
        self.schema = name if database.kind == "postgresql" else None
        limit = 63
        self.other = ("y" + name.encode()[: limit - 1].decode(errors="ignore")).rstrip()
        # Relations share one space of names in a schema, and constraints theirs on a table.
        self.third = ("z" + name.encode()[: limit - 1].decode(errors="ignore")).rstrip()

    def up(self):
        name, other, third, schema = self.name, self.other, self.third, self.schema
        options = {} if schema is None else {"schema": schema}
        done = [create_schema_if_missing(schema)] if schema else []
        if self.kind == "postgresql":
            done += [
                create_enum_if_missing(third, [name, "b"], **options),
                add_enum_value_if_missing(third, other, after=name, **options),
            ]
        done += [
            create_table_if_missing(name, sa.Column(name, sa.Integer), sa.Column("b", sa.Integer), **options),
            add_column_if_missing(name, sa.Column(other, sa.String(70), server_default=name), **options),
            create_index_if_missing(other, name, [name, other], **options),
            set_server_default(name, other, third, **options),
            enforce_not_null(name, other, **options),
        ]
        if self.kind == "postgresql":
            fk = {"source_schema": schema, "referent_schema": schema}
            done += [
                create_primary_key_if_missing(f"{third[:9]}pk", name, [name], **options),
                create_unique_constraint_if_missing(f"{third[:9]}uq", name, [other, name], **options),
                create_check_constraint_if_missing(name, name, sa.column(name) > sa.literal(0), **options),
                create_foreign_key_if_missing(other, name, name, ["b"], [name], **fk),
            ]
        return done

    def down(self):
        name, other, third, schema = self.name, self.other, self.third, self.schema
        options = {} if schema is None else {"schema": schema}
        done = []
        if self.kind == "postgresql":
            done += [
                drop_constraint_if_exists(one, name, **options)
                for one in (other, name, f"{third[:9]}uq", f"{third[:9]}pk")
            ]
        done += [
            relax_not_null(name, other, **options),
            set_server_default(name, other, None, **options),
            drop_index_if_exists(other, name, **options),
            drop_column_if_exists(name, other, **options),
            drop_table_if_exists(name, **options),
        ]
        if self.kind == "postgresql":
            done += [drop_enum_if_exists(third, **options), drop_schema_if_exists(schema)]
        return done


def up_and_down(database, name):
    thing = Thing(database, name)
    before = snapshot(database)
    assert set(migrate(database, thing.up)) == {True}
    with statements_of(database) as sent:
        assert set(migrate(database, thing.up)) == {False}
    # A spelling that only the server can read is tried on an empty copy of the table.
    assert [one for one in sent.ddl if "safeops_probe" not in one] == []
    after = snapshot(database)
    assert False not in migrate(database, thing.down, down=True)
    assert snapshot(database) == before
    return thing, after


def without_note(schema):
    return [line for line in schema.splitlines() if "safeops took NULL" not in line]


@pytest.mark.parametrize("what", one_in(3, [*NAMES]))
def test_up_and_down(database, what):
    if database.kind == "mysql" and what in ("space", "emoji"):
        pytest.skip("MariaDB has no names that end with a space, and none beyond the basic plane")
    up_and_down(database, NAMES[what])


@pytest.mark.only("postgresql")
@pytest.mark.parametrize("what", one_in(3, [*NAMES]))
def test_offline(database, what):
    before = snapshot(database)
    thing, after = up_and_down(database, NAMES[what])
    script = render(database, thing.up)
    for _ in range(2):
        run_sql(database, script)
    # What took NULL before the key is noted by who looks: not offline.
    assert without_note(snapshot(database)) == without_note(after)
    run_sql(database, render(database, thing.down))
    assert snapshot(database) == before


LONG = {"64 bytes": "x" * 64, "64 bytes of 32 letters": "\u00e9" * 32, "300": "x" * 300}


@pytest.mark.only("postgresql")
@pytest.mark.parametrize("what", LONG)
def test_too_long(database, what):
    database.execute("CREATE TABLE t (a integer)")
    name = LONG[what]
    calls = [
        lambda: create_table_if_missing(name, sa.Column("a", sa.Integer)),
        lambda: create_table_if_missing("u", sa.Column(name, sa.Integer)),
        lambda: add_column_if_missing("t", sa.Column(name, sa.Integer)),
        lambda: create_index_if_missing(name, "t", ["a"]),
        lambda: create_check_constraint_if_missing(name, "t", "a > 0"),
        lambda: create_unique_constraint_if_missing(name, "t", ["a"]),
        lambda: create_primary_key_if_missing(name, "t", ["a"]),
        lambda: create_foreign_key_if_missing(name, "t", "t", ["a"], ["a"]),
        lambda: create_schema_if_missing(name),
        lambda: create_enum_if_missing(name, ["a"]),
        lambda: create_enum_if_missing("mood", [name]),
        lambda: drop_table_if_exists("t", schema=name),
    ]
    size = len(name.encode())
    assert_refused(database, [Expect(call, [f"{size} bytes", "keeps 63"], InvalidArgument) for call in calls])


SOME = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1, max_size=12)


@pytest.mark.only("pg18", "sqlite")
def test_any_name(database):
    @given(SOME)
    @settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    def any_name(name):
        up_and_down(database, name)

    any_name()
