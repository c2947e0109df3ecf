"""A sound project whose revisions call helpers, with the env.py that `safeops init` writes; and faulty ones with it."""

from __future__ import annotations

from tests.testing.making import Step

SOUND = (
    Step(
        "add a column",
        'add_column_if_missing("users", sa.Column("phone", sa.String(20)))',
        'drop_column_if_exists("users", "phone")',
        imports="from safeops import add_column_if_missing, drop_column_if_exists",
        models={
            "    balance: Mapped[int]": "    phone: Mapped[str | None] = mapped_column(String(20))\n    balance: Mapped[int]"
        },
    ),
    Step(
        "add an index",
        'create_index_if_missing("ix_users_phone", "users", ["phone"])',
        'drop_index_if_exists("ix_users_phone", "users")',
        imports="from safeops import create_index_if_missing, drop_index_if_exists",
        models={"mapped_column(String(20))\n": "mapped_column(String(20), index=True)\n"},
    ),
    Step(
        "add a foreign key",
        """
        add_column_if_missing("orders", sa.Column("payer_id", sa.Integer))
        create_foreign_key_if_missing("fk_orders_payer", "orders", "users", ["payer_id"], ["id"], index=True)
        """,
        'drop_column_if_exists("orders", "payer_id")',
        imports="from safeops import add_column_if_missing, create_foreign_key_if_missing, drop_column_if_exists",
        models={
            "    amount: Mapped[int]": "    payer_id: Mapped[int | None] = mapped_column("
            'ForeignKey("users.id", name="fk_orders_payer"), index=True)\n    amount: Mapped[int]'
        },
    ),
    Step(
        "fill a column",
        'backfill("orders", {"payer_id": sa.column("user_id")})',
        "pass",
        imports="from safeops import backfill",
    ),
    Step(
        "require a column",
        """
        add_required_column(
            "users", sa.Column("locale", sa.String(5), nullable=False, server_default="en"), populate=sa.literal("en")
        )
        """,
        'drop_column_if_exists("users", "locale")',
        imports="from safeops import add_required_column, drop_column_if_exists",
        models={
            "    balance: Mapped[int]": '    locale: Mapped[str] = mapped_column(String(5), server_default="en")\n'
            "    balance: Mapped[int]"
        },
    ),
    Step(
        "begin to rename name",
        'ColumnRename("users", "name", "full_name").expand()',
        'ColumnRename("users", "name", "full_name").undo_expand()',
        imports="from safeops import ColumnRename",
        models={"    name: Mapped[str | None]": "    full_name: Mapped[str | None]"},
    ),
    Step(
        "finish the rename",
        'ColumnRename("users", "name", "full_name").contract()',
        'ColumnRename("users", "name", "full_name").undo_contract()',
        imports="from safeops import ColumnRename",
    ),
    Step(
        "begin to widen amount",
        'TypeChange("orders", "amount", sa.BigInteger()).expand()',
        'TypeChange("orders", "amount", sa.BigInteger()).undo_expand()',
        imports="from safeops import TypeChange",
    ),
    Step(
        "switch amount",
        'TypeChange("orders", "amount", sa.BigInteger()).switch()',
        'TypeChange("orders", "amount", sa.BigInteger()).undo_switch()',
        imports="from safeops import TypeChange",
        models={
            "import ForeignKey, String": "import BigInteger, ForeignKey, String",
            "    amount: Mapped[int]": "    amount: Mapped[int] = mapped_column(BigInteger)",
        },
    ),
    Step(
        "finish amount",
        'TypeChange("orders", "amount", sa.BigInteger()).contract()',
        'TypeChange("orders", "amount", sa.BigInteger()).undo_contract()',
        imports="from safeops import TypeChange",
    ),
    Step(
        "stop using balance",
        'set_server_default("users", "balance", "0")',
        'set_server_default("users", "balance", "0")',
        imports="from safeops import set_server_default",
        models={'    balance: Mapped[int] = mapped_column(server_default="0")\n': ""},
    ),
    Step(
        "archive balance",
        'drop_column_if_exists("users", "balance", archive=True)',
        'restore_column("users", sa.Column("balance", sa.Integer, nullable=False, server_default="0"))',
        imports="from safeops import drop_column_if_exists, restore_column",
    ),
    Step(
        "a table with rows",
        """
        create_table_if_missing(
            "plans",
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("name", sa.String(20), nullable=False, unique=True),
        )
        """,
        'drop_table_if_exists("plans")',
        imports="from safeops import create_table_if_missing, drop_table_if_exists",
        models={
            "class Event(Base):": "class Plan(Base):\n"
            '    __tablename__ = "plans"\n\n'
            "    id: Mapped[int] = mapped_column(primary_key=True)\n"
            "    name: Mapped[str] = mapped_column(String(20), unique=True)\n\n\n"
            "class Event(Base):"
        },
    ),
)
