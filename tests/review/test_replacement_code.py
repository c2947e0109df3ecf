"""The code to write instead of a statement: made of the author's own names, whole, and short."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from alembic.operations import ops
from sqlalchemy.dialects import postgresql

from safeops.databases import Database, database_for
from safeops.judging import operations as kinds
from safeops.judging.existing import KnownColumn, KnownConstraint, KnownIndex, KnownTable, KnownType
from safeops.judging.operations import Operation
from safeops.judging.replacements import Replacement, placeholders, replacement_of
from safeops.judging.schema import Schema
from safeops.judging.sent import Call, Sent
from safeops.naming import Name

USERS, ORDERS = Name("users"), Name("orders")


@pytest.fixture
def database() -> Database:
    return database_for(postgresql.dialect(), None)


@pytest.fixture
def schema() -> Schema:
    types = {"id": "integer", "email": "character varying(100)", "notes": "text", "status": "user_status"}
    users = KnownTable(
        USERS,
        columns={name: KnownColumn(name, type_) for name, type_ in types.items()},
        constraints={"users_pkey": KnownConstraint("users_pkey", "primary key", ("id",))},
        indexes={"ix_users_email": KnownIndex("ix_users_email", ("email",), unique=True)},
        complete=True,
    )
    posint = KnownType(Name("posint"), "domain", "integer", has_rules=True, checks=("VALUE > 0",))
    return Schema(tables={USERS: users}, types={posint.name: posint})


@pytest.fixture
def instead(database: Database, schema: Schema) -> Any:
    def made(
        operation: Operation, sql: str = "", call: Any = None, parameters: Any = None, **options: Any
    ) -> Replacement:
        sent = Sent(sql, parameters, call=Call("any", call) if call is not None else None)
        found = replacement_of(operation, sent, schema, database, **options)
        assert found is not None
        return found

    return made


def with_traits(kind: str, table: Name, *traits: str, **parts: Any) -> Operation:
    return Operation(kind, table, traits=frozenset(traits), **parts)


class TestColumns:
    def test_a_new_column_keeps_all_that_it_brings(self, instead: Any) -> None:
        column = sa.Column(
            "owner", sa.String(20), sa.ForeignKey("users.id", name="fk", ondelete="CASCADE"), nullable=False,
            server_default="nobody", index=True, comment="who",
        )  # fmt: skip
        found = instead(with_traits(kinds.ADD_COLUMN, ORDERS), call=ops.AddColumnOp("orders", column, schema="aux"))
        assert found.upgrade == (
            'add_column_if_missing("orders", sa.Column("owner", sa.String(20), sa.ForeignKey("users.id", name="fk",'
            ' ondelete="CASCADE"), nullable=False, server_default="nobody", index=True, comment="who"), schema="aux")'
        )
        assert found.downgrade == 'drop_column_if_exists("orders", "owner", schema="aux")'
        assert found.imports == ("add_column_if_missing", "drop_column_if_exists")
        assert found.one_to_one

    def test_a_volatile_default_comes_after_the_column_and_the_rows_are_filled_in_batches(self, instead: Any) -> None:
        column = sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"))
        found = instead(with_traits(kinds.ADD_COLUMN, USERS, "volatile default"), call=ops.AddColumnOp("users", column))
        assert found.upgrade.splitlines() == [
            'add_column_if_missing("users", sa.Column("at", sa.DateTime(timezone=True)))',
            'set_server_default("users", "at", sa.text("clock_timestamp()"))',
            'backfill("users", {"at": sa.text("clock_timestamp()")})',
        ]

    def test_a_required_one_with_a_volatile_default_is_one_call(self, instead: Any) -> None:
        column = sa.Column("u", sa.Uuid(), nullable=False, server_default=sa.text("gen_random_uuid()"))
        found = instead(with_traits(kinds.ADD_COLUMN, USERS, "volatile default"), call=ops.AddColumnOp("users", column))
        assert found.upgrade == (
            'add_required_column("users", sa.Column("u", sa.Uuid(), nullable=False,'
            ' server_default=sa.text("gen_random_uuid()")), populate=sa.text("gen_random_uuid()"))'
        )

    def test_a_domain_with_rules_becomes_its_base_type_and_a_check(self, instead: Any) -> None:
        operation = with_traits(kinds.ADD_COLUMN, USERS, "checked domain", column="pos")
        found = instead(operation, "ALTER TABLE users ADD COLUMN pos posint")
        assert found.upgrade.splitlines() == [
            'add_column_if_missing("users", sa.Column("pos", sa.Integer()))',
            'create_check_constraint_if_missing("ck_users_pos", "users", "pos > 0")',
        ]
        assert "base type" in found.note

    def test_each_statement_of_one_call_has_what_takes_the_place_of_the_call(self, instead: Any) -> None:
        call = ops.AlterColumnOp("orders", "user_id", modify_type=sa.BigInteger(), modify_nullable=False)
        found = [instead(with_traits(kind, ORDERS), call=call) for kind in (kinds.SET_NOT_NULL, kinds.CHANGE_TYPE)]
        assert found[0] == found[1]
        assert found[0].upgrade.splitlines() == [
            'change = TypeChange("orders", "user_id", sa.BigInteger())',
            "change.expand()",
            "change.switch()  # a revision of the next deploy",
            "change.contract()  # and of the one after that",
            'enforce_not_null("orders", "user_id")',
        ]

    def test_a_statement_with_several_operations_is_replaced_as_a_whole(self, instead: Any) -> None:
        sql = "ALTER TABLE orders ADD note text, ADD b float DEFAULT random(); CREATE INDEX ix ON orders (note)"
        assert instead(with_traits(kinds.CREATE_INDEX, ORDERS, name="ix"), sql).upgrade.splitlines() == [
            'add_column_if_missing("orders", sa.Column("note", sa.Text()))',
            'add_column_if_missing("orders", sa.Column("b", sa.Double()))',
            'set_server_default("orders", "b", sa.text("random()"))',
            'backfill("orders", {"b": sa.text("random()")})',
            'create_index_if_missing("ix", "orders", ["note"])',
        ]

    def test_what_has_no_call_stays_between_those_that_have_one(self, instead: Any) -> None:
        sql = "CREATE VIEW v AS SELECT 1; CREATE INDEX ix ON orders (user_id)"
        assert instead(with_traits(kinds.CREATE_INDEX, ORDERS, name="ix"), sql).upgrade.splitlines() == [
            'op.execute("CREATE VIEW v AS SELECT 1")',
            'create_index_if_missing("ix", "orders", ["user_id"])',
        ]

    def test_a_time_zone_is_written_in_both_directions(self, instead: Any) -> None:
        call = ops.AlterColumnOp("orders", "at", modify_type=sa.DateTime(timezone=True), existing_type=sa.DateTime())
        found = instead(with_traits(kinds.CHANGE_TYPE, ORDERS), call=call)
        assert "using=\"at AT TIME ZONE 'UTC'\", reverse_using=\"at AT TIME ZONE 'UTC'\"" in found.upgrade
        assert "assumed to be in UTC" in found.note

    def test_a_type_that_only_widens_is_changed_at_once(self, instead: Any) -> None:
        call = ops.AlterColumnOp("users", "email", modify_type=sa.String(200), existing_type=sa.String(100))
        found = instead(with_traits(kinds.CHANGE_TYPE, USERS, "widens"), call=call)
        assert found.upgrade == 'alter_column_type("users", "email", sa.String(200))'

    def test_a_conversion_is_kept_unless_it_is_a_plain_cast(self, instead: Any) -> None:
        operation = with_traits(kinds.CHANGE_TYPE, ORDERS, column="total")
        own = instead(operation, "ALTER TABLE orders ALTER total TYPE bigint USING round(total * 100)")
        assert 'TypeChange("orders", "total", sa.BigInteger(), using="round(total * 100)")' in own.upgrade
        plain = instead(operation, "ALTER TABLE orders ALTER total TYPE bigint USING total::bigint")
        assert 'TypeChange("orders", "total", sa.BigInteger())' in plain.upgrade

    def test_a_dropped_column_is_kept_aside(self, instead: Any) -> None:
        found = instead(with_traits(kinds.DROP_COLUMN, USERS, column="notes"), "ALTER TABLE users DROP COLUMN notes")
        assert found.upgrade == 'drop_column_if_exists("users", "notes", archive=True)'
        assert found.downgrade == 'restore_column("users", sa.Column("notes", sa.Text()))'

    def test_code_imports_the_module_of_a_type_itself(self, instead: Any) -> None:
        found = instead(with_traits(kinds.ADD_COLUMN, USERS, column="a"), "ALTER TABLE users ADD COLUMN a jsonb")
        assert found.upgrade.splitlines() == [
            "from sqlalchemy.dialects import postgresql",
            'add_column_if_missing("users", sa.Column("a", postgresql.JSONB()))',
        ]


class TestIndexesAndConstraints:
    def test_an_index_keeps_its_options_but_the_one_that_the_helper_settles(self, instead: Any) -> None:
        call = ops.CreateIndexOp(
            "ix", "users", ["email", sa.text("lower(notes)")], unique=True, schema="aux",
            postgresql_where=sa.text("notes <> 'a:b'"), postgresql_concurrently=True,
        )  # fmt: skip
        assert instead(with_traits(kinds.CREATE_INDEX, USERS), call=call).upgrade == (
            'create_index_if_missing("ix", "users", ["email", sa.text("lower(notes)")], unique=True, schema="aux",'
            " postgresql_where=sa.text(\"notes <> 'a:b'\"))"
        )

    def test_an_index_of_raw_sql_without_a_name_gets_that_of_the_server(self, instead: Any) -> None:
        found = instead(with_traits(kinds.CREATE_INDEX, ORDERS), "CREATE INDEX ON orders USING hash (user_id)")
        assert (
            found.upgrade
            == 'create_index_if_missing("orders_user_id_idx", "orders", ["user_id"], postgresql_using="hash")'
        )

    def test_a_foreign_key_of_raw_sql(self, instead: Any) -> None:
        sql = "ALTER TABLE orders ADD FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE SET NULL DEFERRABLE"
        found = instead(with_traits(kinds.ADD_FOREIGN_KEY, ORDERS), sql)
        assert found.upgrade == (
            'create_foreign_key_if_missing("orders_user_id_fkey", "orders", "users", ["user_id"], ["id"],'
            ' ondelete="SET NULL", deferrable=True)'
        )
        assert found.downgrade == 'drop_constraint_if_exists("orders_user_id_fkey", "orders", type_="foreignkey")'

    def test_what_is_not_validated_stays_so(self, instead: Any) -> None:
        call = ops.CreateCheckConstraintOp("ck", "orders", "total >= 0", postgresql_not_valid=True)
        assert instead(with_traits(kinds.ADD_CHECK, ORDERS), call=call).upgrade == (
            'create_check_constraint_if_missing("ck", "orders", "total >= 0", validate=False)'
        )

    def test_a_dropped_index_comes_back_as_it_is_known(self, instead: Any) -> None:
        found = instead(Operation(kinds.DROP_INDEX, name="ix_users_email"), "DROP INDEX ix_users_email")
        assert found.upgrade == 'drop_index_if_exists("ix_users_email", "users")'
        assert found.downgrade == 'create_index_if_missing("ix_users_email", "users", ["email"], unique=True)'


class TestRows:
    def test_an_update_of_all_rows(self, instead: Any) -> None:
        found = instead(with_traits(kinds.UPDATE, USERS), "UPDATE users SET notes = 'x', id = id + 1, email = NULL")
        assert found.upgrade == (
            'backfill("users", {"notes": "x", "id": sa.text("id + 1"), "email": sa.null()}, where=True)'
        )

    def test_an_update_of_some_rows_with_values_of_the_driver(self, instead: Any) -> None:
        sql = "UPDATE users SET notes = %(new)s::VARCHAR WHERE email LIKE 'a%' AND id > %(low)s"
        found = instead(with_traits(kinds.UPDATE, USERS), sql, parameters={"new": "it's", "low": 5})
        assert found.upgrade == ('backfill("users", {"notes": "it\'s"}, where="email LIKE \'a%\' AND id > 5")')

    def test_values_of_another_table_are_read_row_by_row(self, instead: Any) -> None:
        sql = "UPDATE users u SET notes = o.state FROM orders o WHERE o.user_id = u.id"
        assert instead(with_traits(kinds.UPDATE, USERS), sql).upgrade == (
            'backfill("users", {"notes": sa.text("(SELECT o.state FROM orders AS o WHERE o.user_id = users.id)")},'
            ' where="EXISTS (SELECT 1 FROM orders AS o WHERE o.user_id = users.id)")'
        )

    def test_a_loop_over_ranges_of_the_key_is_one_backfill(self, instead: Any) -> None:
        sql = "UPDATE users SET notes = 'x' WHERE id > %(lo)s AND id <= %(hi)s AND notes IS NULL"
        found = instead(with_traits(kinds.UPDATE, USERS), sql, parameters={"lo": 0, "hi": 1000}, repeated=True)
        assert found.upgrade == 'backfill("users", {"notes": "x"}, where="notes IS NULL")'

    def test_a_loop_over_rows_gets_advice_about_functions(self, instead: Any) -> None:
        sql = "UPDATE users SET notes = %(new)s WHERE id = %(id)s"
        found = instead(with_traits(kinds.UPDATE, USERS), sql, parameters={"new": "x", "id": 1}, repeated=True)
        assert (found.upgrade, "Python function" in found.note) == ("", True)

    def test_a_delete_becomes_a_loop(self, instead: Any) -> None:
        found = instead(with_traits(kinds.DELETE, USERS), "DELETE FROM users WHERE notes IS NULL")
        assert "DELETE FROM users WHERE id IN (SELECT id FROM users WHERE notes IS NULL LIMIT 5000)" in found.upgrade
        assert "autocommit_block" in found.upgrade

    def test_a_renamed_value_of_an_enum_is_added_and_written(self, instead: Any) -> None:
        found = instead(Operation(kinds.ALTER_TYPE), "ALTER TYPE user_status RENAME VALUE 'paid' TO 'settled'")
        assert found.upgrade.splitlines() == [
            'add_enum_value_if_missing("user_status", "settled", after="paid")',
            'backfill("users", {"status": "settled"}, where="status = \'paid\'")',
        ]


def test_without_a_call_there_is_advice(instead: Any) -> None:
    found = instead(with_traits(kinds.REWRITE_TABLE, ORDERS), "ALTER TABLE orders SET TABLESPACE fast")
    assert (found.upgrade, found.downgrade) == ("", "")
    assert "pg_repack" in found.note


@pytest.mark.parametrize(
    ("sql", "parameters", "numbered", "values"),
    [
        ("a = %(x)s AND b = %(y)s OR c = %(x)s", {"x": 1, "y": 2}, "a = $1 AND b = $2 OR c = $1", [1, 2]),
        ("a = %s AND b LIKE '%s'", (1,), "a = $1 AND b LIKE '%s'", [1]),
        ("a = $2 AND b = $1", [1, 2], "a = $1 AND b = $2", [2, 1]),
        ("a = :x AND b::text = ':x' -- :x", {"x": 1}, "a = $1 AND b::text = ':x' -- :x", [1]),
        ("a % 5 = 0 AND b = $$ :x $$", None, "a % 5 = 0 AND b = $$ :x $$", []),
    ],
)
def test_placeholders_of_any_driver_are_numbered(sql: str, parameters: Any, numbered: str, values: list[Any]) -> None:
    found = placeholders.numbered(sql, parameters)
    assert (found.sql, found.values) == (numbered, values)
