"""Projects of which each revision breaks at most one of the seven tests on purpose, on PostgreSQL without safeops."""

from __future__ import annotations

from tests.testing.environments import plain
from tests.testing.making import Made, Step, of_order, of_table, of_user

UP_DOWN = ("test_up_down_up",)
STOPPED = ("test_stopped_anywhere",)
TWO = ("test_two_at_once",)
OLD = ("test_old_release",)
LOST = ("test_nothing_lost",)
OFFLINE = ("test_offline",)
BOUNDED = ("test_bounded",)

ONE_COLUMN = Step(
    "add a column",
    'op.add_column("users", sa.Column("phone", sa.String(20)))',
    'op.drop_column("users", "phone")',
    models=of_user("phone: Mapped[str | None] = mapped_column(String(20))"),
)

DOWNGRADES = (
    Step(
        "index stays behind",
        'op.create_index("ix_users_state", "users", ["state"])',
        "pass",
        UP_DOWN,
        models={"String(20), server": "String(20), index=True, server"},
    ),
    Step(
        "index stays behind silently",
        'op.create_index("ix_users_name", "users", ["name"], if_not_exists=True)',
        "pass",
        UP_DOWN,
        models={"String(100))\n    state": "String(100), index=True)\n    state"},
    ),
    Step(
        "default is not restored",
        'op.alter_column("users", "state", server_default="open")',
        'op.alter_column("users", "state", server_default=None)',
        UP_DOWN,
        models={'server_default="new"': 'server_default="open"'},
    ),
    Step(
        "values are not restored",
        'op.alter_column("users", "balance", type_=sa.BigInteger)',
        """
        op.drop_column("users", "balance")
        op.add_column("users", sa.Column("balance", sa.Integer, nullable=False, server_default="0"))
        """,
        UP_DOWN,
        models={"balance: Mapped[int] = mapped_column(": "balance: Mapped[int] = mapped_column(sa.BigInteger, "},
    ),
    Step(
        "rows are deleted",
        'op.add_column("orders", sa.Column("kind", sa.String(10)))',
        """
        op.execute("DELETE FROM orders WHERE kind IS NULL")
        op.drop_column("orders", "kind")
        """,
        UP_DOWN,
        models=of_order("kind: Mapped[str | None] = mapped_column(String(10))"),
    ),
    Step(
        "view stays behind",
        'op.execute("CREATE OR REPLACE VIEW open_orders AS SELECT id, user_id FROM orders")',
        "pass",
        UP_DOWN,
    ),
    Step(
        "trigger stays behind",
        '''
        op.execute("""
            CREATE OR REPLACE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'
        """)
        op.execute("CREATE TRIGGER nothing BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION nothing()")
        ''',
        'op.execute("DROP TRIGGER nothing ON events")',
        UP_DOWN,
    ),
    Step(
        "type stays behind",
        """
        op.execute("CREATE TYPE colour AS ENUM ('red', 'blue')")
        op.add_column("users", sa.Column("colour", sa.Enum("red", "blue", name="colour", create_type=False)))
        """,
        'op.drop_column("users", "colour")',
        UP_DOWN,
        models=of_user('colour: Mapped[str | None] = mapped_column(sa.Enum("red", "blue", name="colour"))'),
    ),
)

STOPS = (
    Step(
        "two builds",
        """
        with op.get_context().autocommit_block():
            op.create_index("ix_users_balance", "users", ["balance"], postgresql_concurrently=True)
            op.create_index("ix_orders_amount", "orders", ["amount"], postgresql_concurrently=True)
        """,
        """
        op.drop_index("ix_orders_amount", "orders")
        op.drop_index("ix_users_balance", "users")
        """,
        STOPPED,
        models={
            "balance: Mapped[int] = mapped_column(": "balance: Mapped[int] = mapped_column(index=True, ",
            "amount: Mapped[int]": "amount: Mapped[int] = mapped_column(index=True)",
        },
    ),
    Step(
        "column before the build",
        """
        op.add_column("users", sa.Column("city", sa.String(50)))
        with op.get_context().autocommit_block():
            op.create_index("ix_users_city", "users", ["city"], postgresql_concurrently=True, if_not_exists=True)
        """,
        'op.drop_column("users", "city")',
        STOPPED,
        models=of_user("city: Mapped[str | None] = mapped_column(String(50), index=True)"),
    ),
    Step(
        "rows inserted again",
        """
        columns = sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text)
        op.create_table("plans", *columns, if_not_exists=True)
        with op.get_context().autocommit_block():
            op.execute("INSERT INTO plans (name) VALUES ('free')")
            op.execute("INSERT INTO plans (name) VALUES ('paid')")
        """,
        'op.drop_table("plans")',
        STOPPED,
        models=of_table(
            "plans",
            "id: Mapped[int] = mapped_column(primary_key=True)",
            "name: Mapped[str | None] = mapped_column(Text)",
        ),
    ),
    Step(
        "counted again",
        """
        with op.get_context().autocommit_block():
            op.execute("UPDATE orders SET amount = amount + 1")
        """,
        'op.execute("UPDATE orders SET amount = amount - 1")',
        STOPPED,
    ),
    Step(
        "commit in between",
        """
        op.add_column("orders", sa.Column("paid", sa.Boolean))
        op.execute("COMMIT")
        op.add_column("orders", sa.Column("sent", sa.Boolean))
        """,
        """
        op.drop_column("orders", "sent")
        op.drop_column("orders", "paid")
        """,
        STOPPED,
        models=of_order("paid: Mapped[bool | None]\n    sent: Mapped[bool | None]"),
    ),
)

RELEASES = (
    Step(
        "rename name",
        'op.alter_column("users", "name", new_column_name="full_name")',
        'op.alter_column("users", "full_name", new_column_name="name")',
        OLD,
        models={"    name: Mapped[str | None]": "    full_name: Mapped[str | None]"},
    ),
    Step(
        "note is required",
        'op.alter_column("orders", "note", nullable=False)',
        'op.alter_column("orders", "note", nullable=True)',
        OLD,
        models={"note: Mapped[str | None]": "note: Mapped[str]"},
    ),
    Step(
        "new column is required",
        """
        op.add_column("users", sa.Column("country", sa.String(2), nullable=False, server_default="??"))
        op.alter_column("users", "country", server_default=None)
        """,
        'op.drop_column("users", "country")',
        OLD,
        models=of_user("country: Mapped[str] = mapped_column(String(2))"),
    ),
    Step(
        "drop state",
        'op.drop_column("users", "state")  # safeops: allow lossy-downgrade -- it is in the archive',
        'op.add_column("users", sa.Column("state", sa.String(20), nullable=False, server_default="new"))',
        OLD,
        models={'    state: Mapped[str] = mapped_column(String(20), server_default="new")\n': ""},
    ),
)

_SWAP = """
op.create_table(
    "events_new",
    sa.Column("id", sa.String(36), nullable=False),
    sa.Column("what", TYPE, nullable=False),
    sa.PrimaryKeyConstraint("id", name="events_new_pkey"),
)
op.execute("INSERT INTO events_new SELECT id, what FROM events")
op.drop_table("events")
op.rename_table("events_new", "events")
op.execute("ALTER INDEX events_new_pkey RENAME TO events_pkey")
"""

LOSSES = (
    Step(
        "swap events",
        _SWAP.replace("TYPE", "sa.Text"),
        _SWAP.replace("TYPE", "sa.String(100)"),
        LOST,
        models={"what: Mapped[str] = mapped_column(String(100))": "what: Mapped[str] = mapped_column(Text)"},
    ),
    Step(
        "values read and written back",
        """
        if context.is_offline_mode():
            op.execute("UPDATE events SET what = what || ''")
        else:
            bind = op.get_bind()
            for row in bind.execute(sa.text("SELECT id, what FROM events")).all():
                bind.execute(sa.text("UPDATE events SET what = :what WHERE id = :id"), {"what": row.what, "id": row.id})
        """,
        "pass",
        LOST,
    ),
)

SCRIPTS = (
    Step(
        "read by the connection",
        """
        op.add_column("users", sa.Column("slug", sa.String(100)))
        users = op.get_bind().execute(sa.text("SELECT id, email FROM users")).all()
        for user in users:
            op.get_bind().execute(sa.text("UPDATE users SET slug = :s WHERE id = :i"), {"s": user.email[:3], "i": user.id})
        """,
        'op.drop_column("users", "slug")',
        OFFLINE,
        models=of_user("slug: Mapped[str | None] = mapped_column(String(100))"),
    ),
    Step(
        "less offline",
        """
        op.add_column("users", sa.Column("rank", sa.Integer))
        if not context.is_offline_mode():
            op.create_index("ix_users_rank", "users", ["rank"])
        """,
        'op.drop_column("users", "rank")',
        OFFLINE,
        models=of_user("rank: Mapped[int | None] = mapped_column(index=True)"),
    ),
    Step(
        "inspected",
        """
        if "size" not in {column["name"] for column in sa.inspect(op.get_bind()).get_columns("orders")}:
            op.add_column("orders", sa.Column("size", sa.Integer))
        """,
        'op.drop_column("orders", "size")',
        OFFLINE,
        models=of_order("size: Mapped[int | None]"),
    ),
    Step(
        "rows missing offline",
        """
        op.create_table("sizes", sa.Column("name", sa.String(10), primary_key=True))
        if not op.get_context().as_sql:
            op.execute("INSERT INTO sizes VALUES ('small'), ('large')")
        """,
        'op.drop_table("sizes")',
        OFFLINE,
        models=of_table("sizes", "name: Mapped[str] = mapped_column(String(10), primary_key=True)"),
    ),
)

WAITS = (
    Step(
        "timeout removed",
        """
        op.execute("SET LOCAL lock_timeout = 0")
        op.add_column("users", sa.Column("age", sa.Integer))
        """,
        'op.drop_column("users", "age")',
        BOUNDED,
        models=of_user("age: Mapped[int | None]"),
    ),
    Step(
        "table locked by hand",
        """
        op.execute("SET LOCAL lock_timeout = '60s'")
        op.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
        op.execute("UPDATE orders SET note = note")
        """,
        "pass",
        BOUNDED,
    ),
)

SOUND = (
    ONE_COLUMN,
    Step(
        "index online",
        """
        with op.get_context().autocommit_block():
            op.drop_index("ix_users_phone", "users", postgresql_concurrently=True, if_exists=True)
            op.create_index("ix_users_phone", "users", ["phone"], postgresql_concurrently=True)
        """,
        """
        with op.get_context().autocommit_block():
            op.drop_index("ix_users_phone", "users", postgresql_concurrently=True, if_exists=True)
        """,
        models={"mapped_column(String(20))\n    balance": "mapped_column(String(20), index=True)\n    balance"},
    ),
    Step(
        "foreign key in two steps",
        """
        op.add_column("orders", sa.Column("payer_id", sa.Integer))
        op.create_foreign_key(
            "fk_orders_payer", "orders", "users", ["payer_id"], ["id"], postgresql_not_valid=True
        )
        op.execute("UPDATE orders SET payer_id = user_id")
        """,
        """
        op.drop_column("orders", "payer_id")
        """,
        models=of_order('payer_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", name="fk_orders_payer"))'),
    ),
    Step(
        "validate the foreign key",
        'op.execute("ALTER TABLE orders VALIDATE CONSTRAINT fk_orders_payer")',
        """
        op.drop_constraint("fk_orders_payer", "orders")
        op.create_foreign_key("fk_orders_payer", "orders", "users", ["payer_id"], ["id"], postgresql_not_valid=True)
        """,
    ),
    Step(
        "a table with rows",
        """
        plans = op.create_table(
            "plans",
            sa.Column("name", sa.String(10), primary_key=True),
            sa.Column("since", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        )
        op.bulk_insert(plans, [{"name": "free"}, {"name": "paid"}])
        """,
        'op.drop_table("plans")',
        models=of_table(
            "plans",
            "name: Mapped[str] = mapped_column(String(10), primary_key=True)",
            "since: Mapped[datetime] = mapped_column(sa.DateTime(timezone=True), server_default=sa.func.now())",
        ),
    ),
    Step(
        "rows once",
        """
        with op.get_context().autocommit_block():
            op.execute("INSERT INTO plans (name) VALUES ('trial') ON CONFLICT DO NOTHING")
        """,
        "op.execute(\"DELETE FROM plans WHERE name = 'trial'\")",
    ),
    Step(
        "random values",
        """
        op.add_column("users", sa.Column("token", sa.Uuid))
        op.execute("UPDATE users SET token = gen_random_uuid()")
        """,
        'op.drop_column("users", "token")',
        models=of_user("token: Mapped[UUID | None]"),
    ),
    Step(
        "column that is not used",
        'op.add_column("users", sa.Column("legacy", sa.String(10)))',
        'op.drop_column("users", "legacy")',
    ),
    Step(
        "drop what is not used",
        'op.drop_column("users", "legacy")  # safeops: allow lossy-downgrade -- nothing was written to it',
        'op.add_column("users", sa.Column("legacy", sa.String(10)))',
    ),
    Step(
        "one way",
        'op.execute("UPDATE users SET name = lower(name)")',
        'irreversible("the capital letters are not kept")',
        imports="from safeops import irreversible",
    ),
    Step(
        "values that must be read",
        """
        if context.is_offline_mode():
            raise OnlineOnly("the slugs are computed in Python")
        op.add_column("users", sa.Column("slug", sa.String(100)))
        for user in op.get_bind().execute(sa.text("SELECT id, email FROM users")).all():
            op.get_bind().execute(sa.text("UPDATE users SET slug = :s WHERE id = :i"), {"s": user.email[:3], "i": user.id})
        """,
        'op.drop_column("users", "slug")',
        imports="from safeops import OnlineOnly",
        models=of_user("slug: Mapped[str | None] = mapped_column(String(100))"),
    ),
    Step(
        "release that reads state nowhere",
        'op.alter_column("users", "state", server_default="open")',
        'op.alter_column("users", "state", server_default="new")',
        models={'server_default="new"': 'server_default="open"'},
    ),
)

ENV = plain("postgresql")
FAULTY = (
    Made("downgrades", ENV, DOWNGRADES),
    Made("stops", ENV, STOPS),
    Made("no migration lock", plain("postgresql", lock=False), (ONE_COLUMN,), finds=TWO),
    Made("releases", ENV, RELEASES),
    Made("losses", ENV, LOSSES),
    Made("scripts", ENV, SCRIPTS),
    Made("no lock timeout", plain("postgresql", timeout=False), (ONE_COLUMN,), finds=BOUNDED),
    Made("waits", ENV, WAITS),
)
