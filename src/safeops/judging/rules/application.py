"""The rules about statements that break the application, lose data, fail, or cannot be judged."""

from __future__ import annotations

from safeops.judging import operations as op
from safeops.judging.finding import UNSAFE
from safeops.judging.rules.rule import Rule

APPLICATION = (
    Rule(
        "drop-column",
        "DROP COLUMN breaks the deployed application: stop using the column first",
        UNSAFE,
        catches=(
            "`op.drop_column` and `DROP COLUMN`, except of a column that neither the current models nor those of the"
            " deployed code have."
        ),
        why=(
            "Queries of the deployed application that name the column fail as soon as it is dropped. Its values are"
            " lost."
        ),
        instead=(
            "First deploy an application that does not use the column. Then drop it with `archive=True`: its values are"
            " kept, and `restore_column` restores them."
        ),
        bad='op.drop_column("users", "legacy_code")',
        good='drop_column_if_exists("users", "legacy_code", archive=True)',
        undo='restore_column("users", sa.Column("legacy_code", sa.String(20)))',
        kinds=(op.DROP_COLUMN,),
    ),
    Rule(
        "drop-table",
        "DROP TABLE breaks the deployed application: stop using the table first",
        UNSAFE,
        catches="`op.drop_table`, `DROP TABLE` and `DROP SCHEMA`, except of a table that no model has.",
        why="Queries of the deployed application on the table fail as soon as it is dropped. Its rows are lost.",
        instead=(
            "First deploy an application that does not use the table. Then drop it with `archive=True`: the table is"
            " renamed and kept, and `restore_table` restores it."
        ),
        bad='op.drop_table("old_orders")',
        good='drop_table_if_exists("old_orders", archive=True)',
        undo='restore_table("old_orders")',
        kinds=(op.DROP_TABLE, op.DROP_SCHEMA),
    ),
    Rule(
        "rename-column",
        "RENAME COLUMN breaks the deployed application: keep both names in sync",
        UNSAFE,
        catches="`op.alter_column(new_column_name=...)` and `RENAME COLUMN`.",
        why="The deployed application uses the old name. Its queries fail until its last process has been replaced.",
        instead="Use `ColumnRename`: it keeps both names in sync while you deploy (expand, deploy, contract).",
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
        "RENAME TABLE breaks the deployed application: keep the old name as a view",
        UNSAFE,
        catches="`op.rename_table` and `ALTER TABLE ... RENAME TO`.",
        why="The deployed application uses the old name. Its queries fail until its last process has been replaced.",
        instead=(
            "Use `TableRename`: it keeps the old name as a view for reads and writes, until no process uses that name."
        ),
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
        "Renaming an enum value breaks the deployed application: add a value instead",
        UNSAFE,
        catches="`ALTER TYPE ... RENAME VALUE`, and a new list of values that lacks an old one.",
        why=(
            "The deployed application writes the old value, which the server rejects, and reads a value that it does"
            " not know."
        ),
        instead=(
            "Add the new value, deploy an application that knows both, and write the new value to the rows in batches."
            " The old value can stay."
        ),
        bad="op.execute(\"ALTER TYPE order_status RENAME VALUE 'paid' TO 'settled'\")",
        good='add_enum_value_if_missing("order_status", "settled", after="paid")',
        kinds=(op.RENAME_ENUM_VALUE,),
    ),
    Rule(
        "truncate",
        "TRUNCATE deletes all rows, and cannot be undone",
        UNSAFE,
        catches="`TRUNCATE` of a table that has rows, or might have some.",
        why=(
            "All rows are lost, and no downgrade restores them. Reads and writes are blocked until the transaction"
            " ends, and triggers for DELETE do not fire."
        ),
        instead=(
            "Drop a table that is no longer needed with `archive=True`. If you must delete rows, make sure that there"
            " is a backup, then delete them in batches."
        ),
        bad='op.execute("TRUNCATE old_orders")',
        good='drop_table_if_exists("old_orders", archive=True)',
        undo='restore_table("old_orders")',
        kinds=(op.TRUNCATE,),
    ),
    Rule(
        "revoke",
        "REVOKE breaks the deployed application: stop using the privilege first",
        UNSAFE,
        catches="`REVOKE`, and a change of a table's owner.",
        why="Queries of the deployed application that need the privilege fail.",
        instead="First deploy an application that does not need the privilege. Then state that in `assured(...)`.",
        bad='op.execute("REVOKE SELECT ON users FROM PUBLIC")',
        good=('with assured("no release since May uses it"):\n    op.execute("REVOKE SELECT ON users FROM PUBLIC")'),
        kinds=(op.REVOKE,),
    ),
    Rule(
        "row-level-security",
        "ENABLE ROW LEVEL SECURITY hides all rows: create the policies first",
        UNSAFE,
        catches="`ENABLE` or `FORCE ROW LEVEL SECURITY`.",
        why="Roles other than the owner read no rows and can write none until a policy allows it.",
        instead=(
            "Create the policies first, enable row-level security in the same transaction, and state that in"
            " `assured(...)`."
        ),
        bad='op.execute("ALTER TABLE users ENABLE ROW LEVEL SECURITY")',
        good=(
            'op.execute("CREATE POLICY all_users ON users USING (true)")\n'
            'with assured("the policy exists"):\n'
            '    op.execute("ALTER TABLE users ENABLE ROW LEVEL SECURITY")'
        ),
        kinds=(op.ROW_LEVEL_SECURITY,),
    ),
    Rule(
        "fails",
        "The server rejects the statement",
        UNSAFE,
        catches=(
            "A statement that cannot work: CONCURRENTLY inside a transaction, a NOT NULL column without a default on a"
            " table with rows, syntax that the server does not support."
        ),
        why="The deploy stops in the middle, with only some of the revisions applied.",
        instead=(
            "Use the helpers: they leave the transaction when they must, and fill a required column before they make it"
            " NOT NULL."
        ),
        bad='op.execute("CREATE INDEX CONCURRENTLY ix_orders_total ON orders (total)")',
        good='create_index_if_missing("ix_orders_total", "orders", ["total"])',
        undo='drop_index_if_exists("ix_orders_total", "orders")',
    ),
    Rule(
        "unseen",
        "The effect of a statement cannot be determined: review it on a scratch database",
        UNSAFE,
        catches=(
            "A block of PL/pgSQL, a call of a function, SQL that the parser does not understand, a decision that"
            " depends on a value in the database."
        ),
        why="The statement might block, break or lose anything, so it counts as unsafe.",
        instead=(
            "Pass `--scratch-url` to the review: it runs the revision on a scratch database and measures its effect."
            " Or use calls of safeops."
        ),
        bad='op.execute("CALL forget_old_users()")',
        good='backfill("users", {"status": "old"}, where="age > 60")',
        kinds=(op.OPAQUE,),
    ),
)
