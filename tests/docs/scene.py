"""The tables and rows that exist before the code of a page runs."""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa

from tests.servers import Database

ROWS = 40

tables = sa.MetaData()
users = sa.Table(
    "users",
    tables,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(100), nullable=False),
    sa.Column("email", sa.String(300), nullable=False),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("age", sa.Integer),
    sa.Column("legacy_code", sa.String(20)),
    sa.Column("created_at", sa.DateTime, nullable=False),
)
orders = sa.Table(
    "orders",
    tables,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("user_id", sa.Integer),
    sa.Column("total", sa.Integer, nullable=False),
    sa.Column("kind", sa.String(20), nullable=False),
)
old_orders = sa.Table(
    "old_orders",
    tables,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("total", sa.Integer),
)
# It has no key for the batches of a backfill.
events = sa.Table("events", tables, sa.Column("kind", sa.String(20)), sa.Column("day", sa.Date))
tags = sa.Table("tags", tables, sa.Column("user_id", sa.Integer, nullable=False), sa.Column("tag", sa.String(40)))
invoices = sa.Table("invoices", tables, sa.Column("id", sa.Integer, primary_key=True))
invoice_lines = sa.Table(
    "invoice_lines",
    tables,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("invoice_id", sa.ForeignKey("invoices.id", name="fk_invoice_lines_invoice"), nullable=False),
)


def set_the_scene(database: Database) -> None:
    then = dt.datetime(2026, 1, 2, 3, 4, 5)
    with database.observer().begin() as connection:
        tables.create_all(connection)
        connection.execute(
            users.insert(),
            [
                {
                    "id": number,
                    "name": f"Zoë {number}",
                    "email": f"Zoe{number}@Example.org",
                    "status": "new",
                    "age": 20 + number % 50,
                    "legacy_code": f"L{number}",
                    "created_at": then,
                }
                for number in range(1, ROWS + 1)
            ],
        )
        amounts = [{"id": n, "user_id": n, "total": n * 100, "kind": "shop"} for n in range(1, ROWS + 1)]
        connection.execute(orders.insert(), amounts)
        connection.execute(invoices.insert(), [{"id": n} for n in range(1, ROWS + 1)])
        connection.execute(invoice_lines.insert(), [{"id": n, "invoice_id": n} for n in range(1, ROWS + 1)])
        connection.execute(old_orders.insert(), [{"id": 1, "total": 5}])
        if database.kind == "postgresql":
            connection.exec_driver_sql("CREATE TYPE order_status AS ENUM ('open', 'paid')")
