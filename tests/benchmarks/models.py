"""Models of an application with 57 tables, as they are, and after a handful of changes."""

from __future__ import annotations

import sqlalchemy as sa

TABLES = 57
MONEY, STATES = sa.Numeric(12, 2), ("draft", "open", "closed")


def models(*, changed: bool = False) -> sa.MetaData:
    """Tables of nine columns with keys, indexes, checks, enums, defaults and comments."""
    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    for number in range(TABLES):
        _table(metadata, number)
    if changed:
        _change(metadata)
    return metadata


def _table(metadata: sa.MetaData, number: int) -> None:
    parent = (number - 1) // 3
    owner = [sa.Column("owner_id", sa.ForeignKey(f"entity_{parent:02}.id", ondelete="CASCADE"), index=True)]
    name = f"entity_{number:02}"
    sa.Table(
        name,
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        *(owner if number else []),
        sa.Column("code", sa.String(40), nullable=False),
        sa.Column("state", sa.Enum(*STATES, name=f"state_{number % 5}"), nullable=False),
        sa.Column("amount", MONEY, nullable=False, server_default="0"),
        sa.Column("quantity", sa.Integer, nullable=False, server_default=sa.text("1")),
        sa.Column("note", sa.Text, comment=f"What the clerk wrote, {number}"),
        sa.Column("is_active", sa.Boolean, nullable=False, server_default=sa.true()),
        sa.Column("created_at", sa.DateTime, nullable=False, server_default=sa.func.now()),
        sa.UniqueConstraint("code"),
        sa.CheckConstraint("amount >= 0", name="amount"),
        sa.Index(f"ix_{name}_state_created", "state", "created_at"),
        comment=f"One of many, {number}",
    )


def _change(metadata: sa.MetaData) -> None:
    """What a day's work changes: seven differences."""
    tables = metadata.tables
    tables["entity_03"].append_column(sa.Column("email", sa.String(80)))
    tables["entity_08"].c.note.comment = "What the customer wrote"
    tables["entity_13"].c.quantity.server_default = sa.DefaultClause(sa.text("2"))
    tables["entity_21"].append_constraint(sa.Index("ix_entity_21_amount", tables["entity_21"].c.amount))
    tables["entity_34"].c.code.nullable = True
    tables["entity_55"].append_constraint(sa.UniqueConstraint("quantity", "created_at"))
    sa.Table("entity_new", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(20)))
