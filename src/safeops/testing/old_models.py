"""The process that has the models of a release: it sends their statements to a database, one round for each order."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import NullPool

from safeops.databases import database_on
from safeops.databases.connections import run_on_connection
from safeops.errors import SafeOpsError
from safeops.planned import summary
from safeops.review import models_at
from safeops.review.models import each_metadata
from safeops.testing.old_rows import ModelTable
from safeops.testing.old_statements import Round


def main() -> None:
    """Import the models, confirm that, and answer one order after the other until the input ends."""
    answers = _own_output()

    def answer(said: dict[str, Any]) -> None:
        answers.write(json.dumps(said) + "\n")
        answers.flush()

    try:
        environment = models_at.imported(json.loads(sys.stdin.readline()))
    except SafeOpsError as error:
        answer({"failure": error.problem})
        return
    tables = _tables(environment.options.get("target_metadata"))
    answer({"tables": len(tables)})
    on: dict[str, _OnDatabase] = {}
    for line in sys.stdin:
        order = json.loads(line)
        try:
            answer(_done(order, on, tables))
        except Exception as error:
            answer({"failure": summary(error)})


def _done(order: dict[str, Any], on: dict[str, _OnDatabase], tables: Sequence[sa.Table]) -> dict[str, Any]:
    url = order["url"]
    match order["do"]:
        case "begin":
            on[url] = _OnDatabase(url, tables)
            return {"tables": on[url].described()}
        case "round":
            return {"sent": on[url].round(order["only"], at_limits=order["at_limits"])}
    models_at.connecting.remove(on.pop(url).engine.dialect)
    return {}


def _own_output() -> Any:
    """Return the output of this process, which what env.py or the models print no longer reaches."""
    own = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return own


def _tables(target_metadata: Any) -> list[sa.Table]:
    """Return the tables of the models, each after those that it refers to."""
    return [table for metadata in each_metadata(target_metadata) for table in metadata.sorted_tables]


class _OnDatabase:
    """The application as it uses one database: the tables that exist there when it begins."""

    def __init__(self, url: str, tables: Iterable[sa.Table]) -> None:
        self.engine: Engine = sa.create_engine(url, poolclass=NullPool)
        models_at.connecting.append(self.engine.dialect)
        self.tables = run_on_connection(self.engine, lambda own: [*map(ModelTable, _existing(own, tables))])

    def described(self) -> list[tuple[str | None, str, list[str]]]:
        """Return the tables, with the columns that the models have of each."""
        return [(one.name.schema, one.name.name, [column.name for column in one.table.columns]) for one in self.tables]

    def round(self, only: list[list[str | None]] | None, *, at_limits: bool) -> list[dict[str, Any]]:
        """Read and write each table once, or those of ``only`` with the columns that exist."""

        def run(own: Connection) -> list[dict[str, Any]]:
            tables = [one for one in self.tables if only is None or [one.name.schema, one.name.name] in only]
            for one in tables:
                one.look(own)
            existing = None if only is None else {one.name: _columns(own, one.table) for one in tables}
            return [asdict(one) for one in Round(own, tables, at_limits=at_limits, only=existing).run()]

        return run_on_connection(self.engine, run)


def _existing(connection: Connection, tables: Iterable[sa.Table]) -> Iterator[sa.Table]:
    inspector = sa.inspect(connection)
    # Another schema of MySQL is another database, which is not the test's.
    is_database = database_on(connection).abilities.schema_is_database
    for table in tables:
        if not (is_database and table.schema) and inspector.has_table(table.name, schema=table.schema):
            yield table


def _columns(connection: Connection, table: sa.Table) -> set[str]:
    return {column["name"] for column in sa.inspect(connection).get_columns(table.name, schema=table.schema)}


if __name__ == "__main__":
    main()
