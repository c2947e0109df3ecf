"""The rules of what takes long while others wait."""

from __future__ import annotations

from safeops.judging import operations as op
from safeops.judging.finding import BRIEF, UNSAFE
from safeops.judging.rules.rule import Rule

LOCKING = (
    Rule(
        "index-blocks-writes",
        "An index is built while nobody can write",
        UNSAFE,
        catches=(
            "`op.create_index`, `CREATE INDEX`, `REINDEX`, and `index=True` or `unique=True` on a column of"
            " `op.add_column`."
        ),
        why=(
            "Every INSERT, UPDATE and DELETE on the table waits until the index is built: about 1.5 s for a million"
            " rows that are in memory, and far longer from a disk."
        ),
        instead=(
            "Let the server build it online. The helper also drops what an interrupted build has left, bounds its"
            " waiting, and tells who is in its way."
        ),
        bad='op.create_index("ix_orders_user_id", "orders", ["user_id"])',
        good='create_index_if_missing("ix_orders_user_id", "orders", ["user_id"])',
        undo='drop_index_if_exists("ix_orders_user_id", "orders")',
        kinds=(op.CREATE_INDEX, op.REINDEX, op.DROP_INDEX),
    ),
    Rule(
        "foreign-key-scans",
        "A foreign key checks all rows under a lock",
        UNSAFE,
        catches="`op.create_foreign_key`, `ADD FOREIGN KEY`, and a `ForeignKey` on a column of `op.add_column`.",
        why="Both tables refuse writes until each row has been looked up in the other table.",
        instead=(
            "Add it for new rows in a moment, and check the old rows while all go on: one call does both."
            " `index=True` builds the index that a foreign key needs too."
        ),
        bad='op.create_foreign_key("fk_orders_user", "orders", "users", ["user_id"], ["id"])',
        good=('create_foreign_key_if_missing("fk_orders_user", "orders", "users", ["user_id"], ["id"], index=True)'),
        undo='drop_constraint_if_exists("fk_orders_user", "orders", type_="foreignkey")',
        kinds=(op.ADD_FOREIGN_KEY,),
    ),
    Rule(
        "check-scans",
        "A check reads all rows under a lock",
        UNSAFE,
        catches="`op.create_check_constraint` and `ADD CHECK`, unless it is NOT VALID.",
        why="Nobody can read or write the table until each row has been checked.",
        instead="Add it for new rows in a moment, and check the old rows while all go on: one call does both.",
        bad='op.create_check_constraint("ck_orders_total", "orders", "total >= 0")',
        good='create_check_constraint_if_missing("ck_orders_total", "orders", "total >= 0")',
        undo='drop_constraint_if_exists("ck_orders_total", "orders", type_="check")',
        kinds=(op.ADD_CHECK, op.VALIDATE_CONSTRAINT),
    ),
    Rule(
        "key-builds",
        "A key builds its index under a lock",
        UNSAFE,
        catches=(
            "`op.create_unique_constraint`, `op.create_primary_key`, exclusion constraints, and `UNIQUE` on a new"
            " column."
        ),
        why="Nobody can read or write the table while the index is built.",
        instead=(
            "Build the index online and make the key of it in a moment, which is one call. An exclusion constraint"
            " cannot be built online by any server: where all may wait for it, put it in a block `with assured(...)`."
        ),
        bad='op.create_unique_constraint("uq_users_email", "users", ["email"])',
        good='create_unique_constraint_if_missing("uq_users_email", "users", ["email"])',
        undo='drop_constraint_if_exists("uq_users_email", "users", type_="unique")',
        kinds=(op.ADD_UNIQUE, op.ADD_PRIMARY_KEY, op.ADD_EXCLUSION),
    ),
    Rule(
        "not-null-scans",
        "NOT NULL reads all rows under a lock",
        UNSAFE,
        catches=(
            "`op.alter_column(nullable=False)` and `SET NOT NULL`, unless a valid check proves already that no row is"
            " NULL."
        ),
        why=(
            "Nobody can read or write the table until each row has been checked; one row with NULL, and all was in"
            " vain."
        ),
        instead=(
            "Prove it first while all go on, which the helper does; it looks for rows with NULL before it changes"
            " anything."
        ),
        bad='op.alter_column("users", "age", nullable=False)',
        good='enforce_not_null("users", "age")',
        undo='relax_not_null("users", "age")',
        kinds=(op.SET_NOT_NULL, op.ADD_NOT_NULL_CONSTRAINT),
    ),
    Rule(
        "type-rewrites",
        "A change of type writes the table anew",
        UNSAFE,
        catches=(
            "`op.alter_column(type_=...)` and `ALTER COLUMN ... TYPE`, unless the server stores both types in the"
            " same way: a longer `varchar`, `varchar` to `text`, more digits before the point."
        ),
        why=(
            "Nobody can read or write the table while all rows and all of its indexes are written anew: 3 to 23 s for"
            " a million rows that are in memory."
        ),
        instead=(
            "Add a column of the new type beside it, kept in sync and filled in batches, and exchange the two in a"
            " moment. That takes three deploys, because the application has to cope with either type in between. What"
            " needs no rewrite is `alter_column_type`."
        ),
        bad='op.alter_column("orders", "total", type_=sa.Numeric(12, 2))',
        good=(
            'change = TypeChange("orders", "total", sa.Numeric(12, 2))\n'
            "change.expand()\n"
            "change.switch()  # a revision of the next deploy\n"
            "change.contract()  # and of the one after that"
        ),
        undo=("change.undo_contract()\nchange.undo_switch()\nchange.undo_expand()"),
        kinds=(op.CHANGE_TYPE,),
    ),
    Rule(
        "column-rewrites",
        "A new column writes the table anew",
        UNSAFE,
        catches=(
            "A new column whose values differ from row to row: a volatile default such as `clock_timestamp()` or"
            " `gen_random_uuid()`, an identity, `serial`, a stored generated column; and on PostgreSQL a domain with"
            " rules."
        ),
        why=(
            "Nobody can read or write the table while every row is written anew. A constant default, and `now()`, is"
            " stored once and costs nothing."
        ),
        instead="Add the column empty, give it its default for new rows, and fill the old ones in batches.",
        bad=('op.add_column("users", sa.Column("token", sa.Uuid(), server_default=sa.text("gen_random_uuid()")))'),
        good=(
            'add_column_if_missing("users", sa.Column("token", sa.Uuid()))\n'
            'set_server_default("users", "token", sa.text("gen_random_uuid()"))\n'
            'backfill("users", {"token": sa.text("gen_random_uuid()")})'
        ),
        undo='drop_column_if_exists("users", "token")',
        kinds=(op.ADD_COLUMN,),
    ),
    Rule(
        "column-scans",
        "A new column checks all rows under a lock",
        UNSAFE,
        catches="A new column with a check, or with a reference and a default, in the same statement.",
        why="Nobody can read or write the table until each row has been checked, although all have the same value.",
        instead=(
            "Hand the column over as it is: the helper adds it bare in a moment, and then its checks, keys and"
            " references, each online."
        ),
        bad='op.execute("ALTER TABLE users ADD COLUMN score int DEFAULT 1 CHECK (score > 0)")',
        good=(
            'add_column_if_missing("users", sa.Column("score", sa.Integer(), sa.CheckConstraint("score > 0"),'
            ' server_default="1"))'
        ),
        undo='drop_column_if_exists("users", "score")',
        kinds=(op.ADD_COLUMN,),
    ),
    Rule(
        "table-rewrites",
        "The table is copied under a lock",
        UNSAFE,
        catches=(
            "`SET TABLESPACE`, `SET LOGGED` and `UNLOGGED`, another access method, `CLUSTER`, `VACUUM FULL`, `REFRESH"
            " MATERIALIZED VIEW` without CONCURRENTLY, another storage engine or character set."
        ),
        why="Nobody can use the table until it has been copied.",
        instead=(
            "No database does it online, and safeops has no call for it. Open a maintenance window and say so, or"
            " have a tool copy the table beside it: pg_repack, pg_squeeze, gh-ost. A materialized view with a unique"
            " index is refreshed CONCURRENTLY while it is read."
        ),
        bad='op.execute("ALTER TABLE orders SET UNLOGGED")',
        good=('with assured("the maintenance window of Sunday"):\n    op.execute("ALTER TABLE orders SET UNLOGGED")'),
        kinds=(op.REWRITE_TABLE, op.CLUSTER, op.VACUUM, op.REFRESH_VIEW),
    ),
    Rule(
        "partition-scans",
        "A partition is attached by reading rows under a lock",
        UNSAFE,
        catches="`ATTACH PARTITION` of a table with rows whose bounds no check proves, or beside a default partition.",
        why="The new partition and the default one are locked while each of their rows is compared with the bounds.",
        instead=(
            "Have valid checks prove the bounds first: on the partition that all of its rows are inside, on the"
            " default partition that none is. Then attach it, and drop the checks."
        ),
        bad=(
            "op.execute(\"ALTER TABLE log ATTACH PARTITION log_2027 FOR VALUES FROM ('2027-01-01') TO ('2028-01-01')\")"
        ),
        good=(
            "create_check_constraint_if_missing(\n"
            '    "log_2027_bounds", "log_2027", "at IS NOT NULL AND at >= \'2027-01-01\' AND at < \'2028-01-01\'"\n'
            ")\n"
            "op.execute(\"ALTER TABLE log ATTACH PARTITION log_2027 FOR VALUES FROM ('2027-01-01') TO ('2028-01-01')\")"
        ),
        kinds=(op.ATTACH_PARTITION, op.DETACH_PARTITION),
    ),
    Rule(
        "held-lock",
        "Long work runs under a lock of an earlier statement",
        UNSAFE,
        catches=(
            "A statement that is short by itself, such as `op.add_column`, followed by a long one in the same"
            " transaction: an index, an UPDATE, a backfill of your own."
        ),
        why=(
            "A lock is kept until the transaction ends. What would only stop writers then stops readers too, and what"
            " would stop nobody stops all."
        ),
        instead="Let each step commit by itself, as the helpers do.",
        bad=(
            'op.add_column("users", sa.Column("nick", sa.Text()))\n'
            'op.execute("CREATE TABLE totals AS SELECT user_id, sum(total) AS total FROM orders GROUP BY user_id")'
        ),
        good=(
            'add_column_if_missing("users", sa.Column("nick", sa.Text()))\n'
            'op.execute("CREATE TABLE totals AS SELECT user_id, sum(total) AS total FROM orders GROUP BY user_id")'
        ),
        undo='drop_table_if_exists("totals")\ndrop_column_if_exists("users", "nick")',
    ),
    Rule(
        "mass-update",
        "Many rows are written in one transaction",
        UNSAFE,
        catches="An UPDATE, DELETE or MERGE of all or many rows, also by a loop or by models in `upgrade()`.",
        why=(
            "Each row stays locked until the end: whoever writes to one of them waits, for about 18 s for a million"
            " rows. Replicas fall behind, and a failure at the end undoes all of it."
        ),
        instead="Write the rows in batches, each a short transaction: a stopped backfill goes on where it was.",
        bad="op.execute(\"UPDATE users SET status = 'old'\")",
        good='backfill("users", {"status": "old"}, where=True)',
        kinds=(op.UPDATE, op.DELETE, op.MERGE, op.INSERT),
    ),
    Rule(
        "locks-rows",
        "Rows are locked by reading them",
        UNSAFE,
        catches="`SELECT ... FOR UPDATE` or `FOR SHARE` over all or many rows.",
        why="Each row stays locked until the transaction ends: whoever writes to one of them waits.",
        instead="Read without locking, or change the rows by `backfill`, which locks those of a batch for a moment.",
        bad='op.execute("SELECT id FROM users FOR UPDATE")',
        good='op.execute("SELECT id FROM users")',
        kinds=(op.SELECT,),
    ),
    Rule(
        "lock-table",
        "A table is locked by hand",
        UNSAFE,
        catches="`LOCK TABLE`, and `LOCK TABLES` of MariaDB and MySQL.",
        why="Readers or writers wait until the transaction ends, and it waits for its turn without an end.",
        instead=(
            "Leave it out: each helper takes the weakest lock that it needs, for a moment, and waits for it with a"
            " timeout. To have one migration at a time, env.py has `migration_lock()`."
        ),
        bad='op.execute("LOCK TABLE users IN SHARE MODE")',
        kinds=(op.LOCK_TABLE,),
    ),
    Rule(
        "no-lock-timeout",
        "A strong lock is waited for without an end",
        UNSAFE,
        catches="A statement that takes a strong lock after the revision has set `lock_timeout` to 0.",
        why="While it waits for one long query, every new query of the table waits behind it.",
        instead=(
            "Leave the timeout of the session as it is: safeops sets one, tries again, and says who is in the way."
            " Another one for a part of a revision is `lock_timeout(seconds)`."
        ),
        bad=('op.execute("SET lock_timeout = 0")\nop.add_column("users", sa.Column("nick", sa.Text()))'),
        good=('with lock_timeout(5.0):\n    add_column_if_missing("users", sa.Column("nick", sa.Text()))'),
        undo='drop_column_if_exists("users", "nick")',
    ),
    Rule(
        "brief-lock",
        "A strong lock for a moment",
        BRIEF,
        catches=(
            "Statements that change the catalogue only, under a lock that stops readers or writers: a new column, a"
            " default."
        ),
        why=(
            "It is done in milliseconds once it has its lock. But it waits for that behind the longest query of the"
            " table, and every other query waits behind it meanwhile."
        ),
        instead=(
            "Fine with a lock timeout and another try, which the guard in env.py gives to plain `op` calls and which"
            " each helper has. Run again after a stop, the helper finds what is done."
        ),
        bad='op.add_column("users", sa.Column("nick", sa.Text()))',
        good='add_column_if_missing("users", sa.Column("nick", sa.Text()))',
        undo='drop_column_if_exists("users", "nick")',
    ),
)
