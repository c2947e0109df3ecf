"""The rules of what breaks the application, loses data, fails, or cannot be seen."""

from __future__ import annotations

from safeops.judging import operations as op
from safeops.judging.finding import UNSAFE
from safeops.judging.rules.rule import Rule

APPLICATION = (
    Rule(
        "drop-column",
        "A column is dropped that may be in use",
        UNSAFE,
        catches=(
            "`op.drop_column` and `DROP COLUMN`, unless neither the models nor those of the deployed code have it any"
            " more."
        ),
        why="The deployed application still selects the column, and fails from that moment on. Its values are gone.",
        instead=(
            "Deploy an application that does without it first. Then drop it with `archive=True`: its values are kept,"
            " and `restore_column` brings them back."
        ),
        bad='op.drop_column("users", "legacy_code")',
        good='drop_column_if_exists("users", "legacy_code", archive=True)',
        undo='restore_column("users", sa.Column("legacy_code", sa.String(20)))',
        kinds=(op.DROP_COLUMN,),
    ),
    Rule(
        "drop-table",
        "A table is dropped that may be in use",
        UNSAFE,
        catches="`op.drop_table`, `DROP TABLE` and `DROP SCHEMA`, unless no model has it any more.",
        why="The deployed application still uses the table, and fails. Its rows are gone.",
        instead="Deploy an application that does without it first. Then drop it with `archive=True`: it is kept aside.",
        bad='op.drop_table("old_orders")',
        good='drop_table_if_exists("old_orders", archive=True)',
        undo='restore_table("old_orders")',
        kinds=(op.DROP_TABLE, op.DROP_SCHEMA),
    ),
    Rule(
        "rename-column",
        "A column changes its name under the application",
        UNSAFE,
        catches="`op.alter_column(new_column_name=...)` and `RENAME COLUMN`.",
        why="The deployed application uses the old name until its last process has ended, and fails meanwhile.",
        instead="Have both names for a while, kept in sync: expand, deploy, contract.",
        bad='op.alter_column("users", "name", new_column_name="full_name")',
        good=(
            'rename = ColumnRename("users", "name", "full_name")\n'
            "rename.expand()\n"
            "rename.contract()  # a revision of a later deploy"
        ),
        undo=("rename.undo_contract()\nrename.undo_expand()"),
        kinds=(op.RENAME_COLUMN,),
    ),
    Rule(
        "rename-table",
        "A table changes its name under the application",
        UNSAFE,
        catches="`op.rename_table` and `ALTER TABLE ... RENAME TO`.",
        why="The deployed application uses the old name until its last process has ended, and fails meanwhile.",
        instead="Keep the old name as a view that takes reads and writes, until no process uses it.",
        bad='op.rename_table("old_orders", "past_orders")',
        good=(
            'rename = TableRename("old_orders", "past_orders")\n'
            "rename.expand()\n"
            "rename.contract()  # a revision of a later deploy"
        ),
        undo=("rename.undo_contract()\nrename.undo_expand()"),
        kinds=(op.RENAME_TABLE,),
    ),
    Rule(
        "rename-enum-value",
        "A value of an enum changes under the application",
        UNSAFE,
        catches="`ALTER TYPE ... RENAME VALUE`, and a new list of values without one that was there.",
        why="The deployed application writes the old value, which is refused, and reads one that it does not know.",
        instead=(
            "Add the new value, deploy an application that knows both, and write it to the rows in batches. The old"
            " value stays, which harms nobody."
        ),
        bad="op.execute(\"ALTER TYPE order_status RENAME VALUE 'paid' TO 'settled'\")",
        good='add_enum_value_if_missing("order_status", "settled", after="paid")',
        kinds=(op.RENAME_ENUM_VALUE,),
    ),
    Rule(
        "truncate",
        "All rows of a table are thrown away",
        UNSAFE,
        catches="`TRUNCATE` of a table that has rows or may have some.",
        why=(
            "Nobody can use the table meanwhile, no trigger of the application sees it, and no downgrade brings the"
            " rows back."
        ),
        instead=(
            "Drop what nobody needs with `archive=True`. Rows that are to go are deleted in batches, after somebody"
            " has made sure of a backup."
        ),
        bad='op.execute("TRUNCATE old_orders")',
        good='drop_table_if_exists("old_orders", archive=True)',
        undo='restore_table("old_orders")',
        kinds=(op.TRUNCATE,),
    ),
    Rule(
        "narrowing",
        "A column takes fewer values than before",
        UNSAFE,
        catches="A change to a shorter or smaller type, also where the server does it in a moment.",
        why=(
            "The deployed application writes values that are refused from then on, and values that are there may not"
            " fit."
        ),
        instead="Deploy an application that writes no such values; keep the type, and have a check say what is allowed.",
        bad='op.alter_column("users", "email", type_=sa.String(50), existing_type=sa.String(300))',
        good='create_check_constraint_if_missing("ck_users_email", "users", "char_length(email) <= 50")',
        undo='drop_constraint_if_exists("ck_users_email", "users", type_="check")',
        kinds=(op.CHANGE_TYPE,),
    ),
    Rule(
        "revoke",
        "A right is taken from the application",
        UNSAFE,
        catches="`REVOKE`, and another owner of a table.",
        why="What the deployed application may do no longer fails.",
        instead="Deploy an application that does without the right first, and then say so.",
        bad='op.execute("REVOKE SELECT ON users FROM PUBLIC")',
        good=('with assured("no release since May uses it"):\n    op.execute("REVOKE SELECT ON users FROM PUBLIC")'),
        kinds=(op.REVOKE,),
    ),
    Rule(
        "row-level-security",
        "Rows disappear for the application",
        UNSAFE,
        catches="`ENABLE` or `FORCE ROW LEVEL SECURITY`.",
        why="Roles other than the owner see no rows, and write none, until there is a policy for them.",
        instead="Create the policies first, enable row security in the same transaction, and say so.",
        bad='op.execute("ALTER TABLE users ENABLE ROW LEVEL SECURITY")',
        good=(
            'op.execute("CREATE POLICY all_users ON users USING (true)")\n'
            'with assured("the policy is there"):\n'
            '    op.execute("ALTER TABLE users ENABLE ROW LEVEL SECURITY")'
        ),
        kinds=(op.ROW_LEVEL_SECURITY,),
    ),
    Rule(
        "fails",
        "The server refuses it",
        UNSAFE,
        catches=(
            "What cannot work: CONCURRENTLY inside a transaction, a column that is NOT NULL without a default on a"
            " table with rows, syntax that the server does not have."
        ),
        why="The deploy stops in the middle, with some of the revisions done.",
        instead="The helpers leave the transaction by themselves, and fill a required column before it is one.",
        bad='op.execute("CREATE INDEX CONCURRENTLY ix_orders_total ON orders (total)")',
        good='create_index_if_missing("ix_orders_total", "orders", ["total"])',
        undo='drop_index_if_exists("ix_orders_total", "orders")',
    ),
    Rule(
        "unseen",
        "Something could not be seen",
        UNSAFE,
        catches=(
            "A block of PL/pgSQL, a function that is called, SQL that no parser understands, a value of the database"
            " that the revision decides by."
        ),
        why="What cannot be seen may be anything, so it counts as unsafe.",
        instead=(
            "Give the review a scratch copy (`--scratch-url`), on which the revision really runs; or write it as"
            " calls of safeops."
        ),
        bad='op.execute("CALL forget_old_users()")',
        good='backfill("users", {"status": "old"}, where="age > 60")',
        kinds=(op.OPAQUE,),
    ),
)
