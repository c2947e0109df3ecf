"""The rules about statements that block readers or writers."""

from __future__ import annotations

from safeops.judging import operations as op
from safeops.judging.finding import BRIEF, UNSAFE
from safeops.judging.rules.rule import Rule

LOCKING = (
    Rule(
        "index-blocks-writes",
        "CREATE INDEX blocks writes: build the index concurrently",
        UNSAFE,
        catches=(
            "`op.create_index`, `CREATE INDEX`, `REINDEX`, and `index=True` or `unique=True` on a column of"
            " `op.add_column`."
        ),
        why=(
            "Blocks every INSERT, UPDATE and DELETE on the table until the index is built: about 1.5 s for a million"
            " rows in memory, far longer from a disk."
        ),
        instead=(
            "Use `create_index_if_missing`, which builds the index online. It also drops the remains of an interrupted"
            " build, limits the wait for locks, and names the sessions that block it."
        ),
        bad='op.create_index("ix_orders_user_id", "orders", ["user_id"])',
        good='create_index_if_missing("ix_orders_user_id", "orders", ["user_id"])',
        undo='drop_index_if_exists("ix_orders_user_id", "orders")',
        kinds=(op.CREATE_INDEX, op.REINDEX, op.DROP_INDEX),
    ),
    Rule(
        "foreign-key-scans",
        "ADD FOREIGN KEY blocks writes on both tables: validate it separately",
        UNSAFE,
        catches="`op.create_foreign_key`, `ADD FOREIGN KEY`, and a `ForeignKey` on a column of `op.add_column`.",
        why="Blocks writes on both tables until each row has been looked up in the other table.",
        instead=(
            "Use `create_foreign_key_if_missing`. It adds the key for new rows within milliseconds, then validates"
            " existing rows without blocking reads or writes. `index=True` also builds the index that a foreign key"
            " needs."
        ),
        bad='op.create_foreign_key("fk_orders_user", "orders", "users", ["user_id"], ["id"])',
        good=('create_foreign_key_if_missing("fk_orders_user", "orders", "users", ["user_id"], ["id"], index=True)'),
        undo='drop_constraint_if_exists("fk_orders_user", "orders", type_="foreignkey")',
        kinds=(op.ADD_FOREIGN_KEY,),
    ),
    Rule(
        "check-scans",
        "ADD CHECK blocks reads and writes: validate the constraint separately",
        UNSAFE,
        catches="`op.create_check_constraint` and `ADD CHECK`, unless it is NOT VALID.",
        why="Blocks reads and writes until each row has been checked.",
        instead=(
            "Use `create_check_constraint_if_missing`. It adds the check for new rows within milliseconds, then"
            " validates existing rows without blocking reads or writes."
        ),
        bad='op.create_check_constraint("ck_orders_total", "orders", "total >= 0")',
        good='create_check_constraint_if_missing("ck_orders_total", "orders", "total >= 0")',
        undo='drop_constraint_if_exists("ck_orders_total", "orders", type_="check")',
        kinds=(op.ADD_CHECK, op.VALIDATE_CONSTRAINT),
    ),
    Rule(
        "key-builds",
        "ADD UNIQUE or PRIMARY KEY blocks reads and writes: build the index first",
        UNSAFE,
        catches=(
            "`op.create_unique_constraint`, `op.create_primary_key`, exclusion constraints, and `UNIQUE` on a new"
            " column."
        ),
        why="Blocks reads and writes until the index of the key is built.",
        instead=(
            "Use `create_unique_constraint_if_missing`. It builds the index online, then turns it into the key within"
            " milliseconds. No server builds an exclusion constraint online: if the table can be blocked for that"
            " long, put it in a block `with assured(...)`."
        ),
        bad='op.create_unique_constraint("uq_users_email", "users", ["email"])',
        good='create_unique_constraint_if_missing("uq_users_email", "users", ["email"])',
        undo='drop_constraint_if_exists("uq_users_email", "users", type_="unique")',
        kinds=(op.ADD_UNIQUE, op.ADD_PRIMARY_KEY, op.ADD_EXCLUSION),
    ),
    Rule(
        "not-null-scans",
        "SET NOT NULL blocks reads and writes: validate a check first",
        UNSAFE,
        catches=(
            "`op.alter_column(nullable=False)` and `SET NOT NULL`, unless a valid check already proves that no row is"
            " NULL."
        ),
        why="Blocks reads and writes until each row has been checked. A single NULL makes the statement fail.",
        instead=(
            "Use `enforce_not_null`. It looks for rows with NULL before it changes anything, then validates a check"
            " without blocking reads or writes; with that check, NOT NULL takes milliseconds."
        ),
        bad='op.alter_column("users", "age", nullable=False)',
        good='enforce_not_null("users", "age")',
        undo='relax_not_null("users", "age")',
        kinds=(op.SET_NOT_NULL, op.ADD_NOT_NULL_CONSTRAINT),
    ),
    Rule(
        "type-rewrites",
        "ALTER COLUMN TYPE rewrites the table: use a shadow column",
        UNSAFE,
        catches=(
            "`op.alter_column(type_=...)` and `ALTER COLUMN ... TYPE`, unless the server stores both types in the"
            " same way: a longer `varchar`, `varchar` to `text`, more digits before the point."
        ),
        why=(
            "Blocks reads and writes until all rows and all indexes are rewritten: 3 to 23 s for a million rows in"
            " memory. A shorter or smaller type also rejects values that the deployed application still writes."
        ),
        instead=(
            "Use `TypeChange`. It adds a shadow column of the new type, keeps it in sync, fills it in batches, and"
            " swaps the two columns within milliseconds. That takes three deploys, because the application must cope"
            " with both types in between. If the change needs no rewrite, use `alter_column_type`. To allow fewer"
            " values, keep the type and add a check."
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
        "ADD COLUMN with a volatile default rewrites the table: backfill it",
        UNSAFE,
        catches=(
            "A new column whose values differ from row to row: a volatile default such as `clock_timestamp()` or"
            " `gen_random_uuid()`, an identity, `serial`, a stored generated column; on PostgreSQL also a domain with"
            " constraints."
        ),
        why=(
            "Blocks reads and writes until every row is rewritten. A constant default, and also `now()`, is"
            " stored once and needs no rewrite."
        ),
        instead="Add the column empty, set its default for new rows, and fill existing rows in batches.",
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
        "ADD COLUMN with CHECK or REFERENCES scans the table: add the constraint afterwards",
        UNSAFE,
        catches="A new column with a check, or with a reference and a default, in the same statement.",
        why="Blocks reads and writes until each row has been checked, although all rows have the same value.",
        instead=(
            "Pass the whole column to `add_column_if_missing`. It adds the bare column within milliseconds, then its"
            " checks, keys and references, each online."
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
        "VACUUM FULL, CLUSTER, SET TABLESPACE or SET LOGGED copies the table under a lock",
        UNSAFE,
        catches=(
            "`SET TABLESPACE`, `SET LOGGED` and `UNLOGGED`, another access method, `CLUSTER`, `VACUUM FULL`, `REFRESH"
            " MATERIALIZED VIEW` without CONCURRENTLY, another storage engine or character set."
        ),
        why="Blocks reads and writes until the table has been copied.",
        instead=(
            "No database does this online, and safeops has no call for it. Use a maintenance window and state it in"
            " `assured(...)`, or copy the table with a tool: pg_repack, pg_squeeze, gh-ost. If a materialised view has"
            " a unique index, `REFRESH MATERIALIZED VIEW CONCURRENTLY` does not block its readers."
        ),
        bad='op.execute("ALTER TABLE orders SET UNLOGGED")',
        good=('with assured("the maintenance window of Sunday"):\n    op.execute("ALTER TABLE orders SET UNLOGGED")'),
        kinds=(op.REWRITE_TABLE, op.CLUSTER, op.VACUUM, op.REFRESH_VIEW),
    ),
    Rule(
        "partition-scans",
        "ATTACH PARTITION scans rows under a lock: prove the bounds first",
        UNSAFE,
        catches=(
            "`ATTACH PARTITION` of a table with rows, unless a valid check proves the bounds; also if there is a"
            " default partition."
        ),
        why=(
            "Blocks reads and writes on the new partition and on the default partition until each of their rows has"
            " been compared with the bounds."
        ),
        instead=(
            "First add valid checks that prove the bounds: on the new partition that all rows are inside them, on the"
            " default partition that no row is. Then attach the partition, and drop the checks."
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
        "A long statement runs under the lock of an earlier one: commit in between",
        UNSAFE,
        catches=(
            "A statement with a short lock, such as `op.add_column`, followed by long work in the same transaction: an"
            " index build, an UPDATE, a hand-written backfill."
        ),
        why=(
            "A transaction keeps its locks until it ends. Work that alone would block writers only, or no session at"
            " all, now blocks everything that the earlier lock blocks."
        ),
        instead="Commit after each step; safeops helpers do that.",
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
        "UPDATE or DELETE of many rows blocks their writers: backfill in batches",
        UNSAFE,
        catches="An UPDATE, DELETE or MERGE of all or many rows, also by a loop or by models in `upgrade()`.",
        why=(
            "Blocks writes to each changed row until the transaction ends: about 18 s for a million rows. Replicas"
            " fall behind, and a failure at the end rolls back all of it."
        ),
        instead=(
            "Use `backfill`. It writes the rows in batches, each in a short transaction, and resumes at its checkpoint"
            " after a stop."
        ),
        bad="op.execute(\"UPDATE users SET status = 'old'\")",
        good='backfill("users", {"status": "old"}, where=True)',
        kinds=(op.UPDATE, op.DELETE, op.MERGE, op.INSERT),
    ),
    Rule(
        "locks-rows",
        "SELECT FOR UPDATE blocks writes to many rows until commit",
        UNSAFE,
        catches="`SELECT ... FOR UPDATE` or `FOR SHARE` over all or many rows.",
        why="Blocks writes to each of these rows until the transaction ends.",
        instead="Read without locking, or change the rows with `backfill`, which locks one batch at a time.",
        bad='op.execute("SELECT id FROM users FOR UPDATE")',
        good='op.execute("SELECT id FROM users")',
        kinds=(op.SELECT,),
    ),
    Rule(
        "no-lock-timeout",
        "lock_timeout = 0 blocks all queries on the table: keep a lock timeout",
        UNSAFE,
        catches="A statement that takes a strong lock after the revision has set `lock_timeout` to 0.",
        why=(
            "While the statement waits behind one long query, every new query on the table waits behind the statement."
        ),
        instead=(
            "Keep the lock timeout of the session: safeops sets one, retries, and names the sessions that block it."
            " For a part of a revision, use `lock_timeout(seconds)`."
        ),
        bad=('op.execute("SET lock_timeout = 0")\nop.add_column("users", sa.Column("nick", sa.Text()))'),
        good=('with lock_timeout(5.0):\n    add_column_if_missing("users", sa.Column("nick", sa.Text()))'),
        undo='drop_column_if_exists("users", "nick")',
    ),
    Rule(
        "brief-lock",
        "ALTER TABLE takes a strong lock for milliseconds: set a lock timeout",
        BRIEF,
        catches=(
            "Statements that change the catalogue only, under a lock that blocks readers or writers: a new column, a"
            " default."
        ),
        why=(
            "The change takes milliseconds once it has its lock. Until then it waits behind the longest query on the"
            " table, and every new query waits behind it."
        ),
        instead=(
            "This is safe with a lock timeout and retries. Helpers have both, and the guard in env.py adds both to"
            " plain `op` calls. After a stop, run the migration again: a helper skips what is already done."
        ),
        bad='op.add_column("users", sa.Column("nick", sa.Text()))',
        good='add_column_if_missing("users", sa.Column("nick", sa.Text()))',
        undo='drop_column_if_exists("users", "nick")',
    ),
    Rule(
        "lock-table",
        "LOCK TABLE blocks other sessions until the transaction ends: leave it out",
        BRIEF,
        catches="`LOCK TABLE`, and `LOCK TABLES` of MariaDB and MySQL, with a lock that blocks readers or writers.",
        why=(
            "Blocks reads or writes until the transaction ends (MariaDB, MySQL: until `UNLOCK TABLES`). Long work under"
            " the lock is a finding of `held-lock`."
        ),
        instead=(
            "Leave it out: each helper takes the weakest lock that it needs, for milliseconds, with a lock timeout. To"
            " run one migration at a time, use `migration_lock()` in env.py."
        ),
        bad='op.execute("LOCK TABLE users IN SHARE MODE")',
        kinds=(op.LOCK_TABLE,),
    ),
)
