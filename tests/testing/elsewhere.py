"""Projects with faults, and sound ones, on MariaDB and SQLite without safeops.

MariaDB commits each DDL statement, so a sound revision there begins again at each of them. SQLite does so too,
unless env.py begins the transaction: the driver does not.
"""

from __future__ import annotations

from dataclasses import replace

from tests.testing.environments import plain
from tests.testing.faults import BOUNDED, OFFLINE, OLD, SCRIPTS, STOPPED, TWO, UP_DOWN
from tests.testing.making import Made, Step

_AGAIN = Step(
    "add a column",
    'op.add_column("users", sa.Column("phone", sa.String(20)), if_not_exists=True)',
    'op.drop_column("users", "phone", if_exists=True)',
)

_PLAIN = Step(
    "add a column",
    'op.add_column("users", sa.Column("phone", sa.String(20)))',
    'op.drop_column("users", "phone")',
)

MARIADB = (
    Step(
        "column and index",
        """
        op.add_column("users", sa.Column("city", sa.String(50)))
        op.create_index("ix_users_city", "users", ["city"])
        """,
        """
        op.drop_index("ix_users_city", "users", if_exists=True)
        op.drop_column("users", "city", if_exists=True)
        """,
        STOPPED,
    ),
    Step(
        "index stays behind",
        'op.create_index("ix_users_state", "users", ["state"], if_not_exists=True)',
        "pass",
        UP_DOWN,
    ),
    Step(
        "comment stays behind",
        "op.execute(\"ALTER TABLE events COMMENT = 'what happened'\")",
        "pass",
        UP_DOWN,
    ),
    Step(
        "rename name",
        'op.execute("ALTER TABLE users RENAME COLUMN IF EXISTS name TO full_name")',
        'op.execute("ALTER TABLE users RENAME COLUMN IF EXISTS full_name TO name")',
        OLD,
        models={"    name: Mapped[str | None]": "    full_name: Mapped[str | None]"},
    ),
    Step(
        "note is required",
        'op.alter_column("orders", "note", existing_type=sa.Text, nullable=False)',
        'op.alter_column("orders", "note", existing_type=sa.Text, nullable=True)',
        OLD,
        models={"note: Mapped[str | None]": "note: Mapped[str]"},
    ),
    Step(
        "less offline",
        """
        op.add_column("users", sa.Column("rank_no", sa.Integer), if_not_exists=True)
        if not context.is_offline_mode():
            op.create_index("ix_users_rank", "users", ["rank_no"], if_not_exists=True)
        """,
        'op.drop_column("users", "rank_no", if_exists=True)',
        OFFLINE,
    ),
    Step(
        "timeout removed",
        """
        op.execute("SET SESSION lock_wait_timeout = 60")
        op.add_column("users", sa.Column("age", sa.Integer), if_not_exists=True)
        """,
        'op.drop_column("users", "age", if_exists=True)',
        BOUNDED,
    ),
)

SQLITE = (
    Step(
        "index stays behind",
        'op.create_index("ix_users_state", "users", ["state"])',
        "pass",
        UP_DOWN,
    ),
    Step(
        "view stays behind",
        'op.execute("CREATE VIEW IF NOT EXISTS open_orders AS SELECT id, user_id FROM orders")',
        "pass",
        UP_DOWN,
    ),
    Step(
        "add a trigger",
        """
        op.execute("CREATE TRIGGER audit AFTER INSERT ON events BEGIN SELECT 1; END")
        """,
        """
        op.execute("DROP TRIGGER audit")
        """,
    ),
    Step(
        "rebuilt without its trigger",
        """
        with op.batch_alter_table("events") as batch:
            batch.alter_column("what", type_=sa.Text)
        """,
        """
        with op.batch_alter_table("events") as batch:
            batch.alter_column("what", type_=sa.String(100))
        """,
        UP_DOWN,
    ),
    Step(
        "rename name",
        'op.alter_column("users", "name", new_column_name="full_name")',
        'op.alter_column("users", "full_name", new_column_name="name")',
        OLD,
        models={"    name: Mapped[str | None]": "    full_name: Mapped[str | None]"},
    ),
    # Here a column cannot be dropped while an index has it.
    replace(SCRIPTS[1], downgrade='op.execute("DROP INDEX IF EXISTS ix_users_rank")\nop.drop_column("users", "rank")'),
    *SCRIPTS[2:],
)

FAULTY = {
    "mariadb": (
        Made("faults", plain("mysql"), MARIADB),
        Made("no migration lock", plain("mysql", lock=False), (_AGAIN,), finds=TWO),
        Made("no lock timeout", plain("mysql", timeout=False), (_AGAIN,), finds=BOUNDED),
    ),
    "sqlite": (
        Made("faults", plain("sqlite"), SQLITE),
        Made("no transaction", plain("sqlite", lock=False), (_PLAIN,), finds=STOPPED + TWO),
    ),
}
SOUND = {
    "mariadb": Made("sound", plain("mysql"), (_AGAIN,)),
    "sqlite": Made("sound", plain("sqlite"), (_PLAIN,)),
}
