"""Judges PostgreSQL's statements with PostgreSQL's parser and truths measured on its servers."""

from __future__ import annotations

from typing import ClassVar

from safeops.judging.operations import Operation
from safeops.judging.postgresql.facts import Facts as Facts
from safeops.judging.postgresql.truths import BLOCKS, LOCKS, TRUTHS
from safeops.judging.schema import Schema
from safeops.judging.server import JudgedServer as Port
from safeops.judging.server import Session
from safeops.judging.truths import Truth
from safeops.naming import Name

__all__ = ["Facts", "JudgedServer"]


class JudgedServer(Port):
    truths: ClassVar[tuple[Truth, ...]] = TRUTHS
    default_schema: ClassVar[str | None] = "public"
    begins_by_itself: ClassVar[frozenset[str]] = frozenset({"psycopg", "psycopg_async"})
    locks = LOCKS
    blocking = BLOCKS

    # The parser is an optional dependency: its users are imported on first use.

    def parse(self, sql: str) -> list[Operation]:
        from safeops.judging.postgresql.parser import operations

        return operations(sql)

    def with_facts(self, operation: Operation, schema: Schema, session: Session) -> Operation:
        from safeops.judging.postgresql.conditions import with_facts

        return with_facts(operation, schema, session)

    def tables_of(self, on: str, operation: Operation, schema: Schema) -> list[Name]:
        from safeops.judging.postgresql.related import tables_of

        return tables_of(on, operation, schema)

    def failure(self, operation: Operation, session: Session, in_transaction: bool) -> str | None:
        from safeops.judging.postgresql.failing import failure

        return failure(operation, session, self.database.version, in_transaction=in_transaction)
