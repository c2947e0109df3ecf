"""A dialect without a database: SQLAlchemy works with it as with a driver that is connected."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.exc import MissingGreenlet, NoSuchTableError
from sqlalchemy.pool import StaticPool
from sqlalchemy.util import await_only

from safeops import _sqlalchemy
from safeops.databases import database_for, family_of
from safeops.judging.schema import KnownConstraint, KnownTable, Schema
from safeops.naming import Name
from safeops.review.answers import MadeUpAnswers, Manner, PretendedServer, type_named
from safeops.review.connection import Driver, RecordingConnection, RecordingCursor
from safeops.review.recorder import Recorder


class _Values:
    """An execution whose values are those of Python already, so that no type converts them."""

    def get_result_processor(self, *_: Any) -> None:
        return None


class RecordingDialect(DefaultDialect):
    """What differs from the driver's own dialect: nothing but the connection is asked, and no value is converted."""

    schema: Schema
    supports_sane_rowcount = False
    supports_sane_multi_rowcount = False
    use_insertmanyvalues_wo_returning = False
    insert_executemany_returning_sort_by_parameter_order = False

    # Statements -------------------------------------------------------------------------------------------------

    def do_execute(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        self._expect(cursor, context)
        cursor.execute(statement, parameters)

    def do_executemany(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        self._expect(cursor, context)
        cursor.executemany(statement, parameters)

    def do_execute_no_params(self, cursor: Any, statement: str, context: Any = None) -> None:
        self._expect(cursor, context)
        cursor.execute(statement)

    def _expect(self, cursor: RecordingCursor, context: Any) -> None:
        cursor.expected = _sqlalchemy.result_columns(context)
        if self.is_async:
            _await_something()

    def do_set_input_sizes(self, *_: Any) -> None:
        pass

    # Connections ------------------------------------------------------------------------------------------------

    def do_rollback(self, dbapi_connection: Any) -> None:
        dbapi_connection.rollback()

    def do_commit(self, dbapi_connection: Any) -> None:
        dbapi_connection.commit()

    def do_begin(self, dbapi_connection: Any) -> None:
        pass

    def do_ping(self, dbapi_connection: Any) -> bool:
        return True

    def is_disconnect(self, *_: Any) -> bool:
        return False

    def get_isolation_level_values(self, dbapi_conn: Any) -> Sequence[Any]:
        return ("SERIALIZABLE", "READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SNAPSHOT", "AUTOCOMMIT")

    def get_isolation_level(self, dbapi_connection: Any) -> Any:
        return dbapi_connection.isolation_level or self.default_isolation_level

    def get_default_isolation_level(self, dbapi_conn: Any) -> Any:
        return self.default_isolation_level

    def set_isolation_level(self, dbapi_connection: Any, level: Any) -> None:
        dbapi_connection.isolation_level = level
        dbapi_connection.set_autocommit(level == "AUTOCOMMIT")

    def reset_isolation_level(self, dbapi_conn: Any) -> None:
        self.set_isolation_level(dbapi_conn, self.default_isolation_level)

    def detect_autocommit_setting(self, dbapi_conn: Any) -> bool:
        return bool(dbapi_conn.autocommit)

    # The catalogue ----------------------------------------------------------------------------------------------

    def has_table(self, connection: Any, table_name: str, schema: str | None = None, **_: Any) -> bool:
        return self.schema.table(Name(table_name, schema)) is not None

    def has_index(self, connection: Any, table_name: str, index_name: str, schema: str | None = None, **_: Any) -> bool:
        table = self.schema.table(Name(table_name, schema))
        return table is not None and index_name in table.indexes

    def has_sequence(self, *_: Any, **__: Any) -> bool:
        return False

    def has_schema(self, connection: Any, schema_name: str, **_: Any) -> bool:
        return schema_name in self.get_schema_names(connection)

    def has_type(self, connection: Any, type_name: str, schema: str | None = None, **_: Any) -> bool:
        return self.schema.type(Name(type_name, schema)) is not None

    def get_schema_names(self, connection: Any, **_: Any) -> list[str]:
        homes = [self.default_schema_name] if self.default_schema_name else []
        return sorted({*homes, *(name.schema for name in self.schema.tables if name.schema)})

    def get_table_names(self, connection: Any, schema: str | None = None, **_: Any) -> list[str]:
        return self._named("table", schema)

    def get_view_names(self, connection: Any, schema: str | None = None, **_: Any) -> list[str]:
        return self._named("view", schema)

    def get_materialized_view_names(self, connection: Any, schema: str | None = None, **_: Any) -> list[str]:
        return self._named("materialized view", schema)

    def _named(self, kind: str, schema: str | None) -> list[str]:
        home = self.schema.key(Name("", schema)).schema
        return [name.name for name, table in self.schema.tables.items() if name.schema == home and table.kind == kind]

    def get_temp_table_names(self, *_: Any, **__: Any) -> list[str]:
        return []

    get_temp_view_names = get_sequence_names = get_temp_table_names

    def get_view_definition(self, *_: Any, **__: Any) -> str:
        return ""

    def _load_enums(self, *_: Any, **__: Any) -> list[Any]:
        return [
            {"name": name.name, "schema": name.schema, "labels": [], "visible": True} for name in self._types("enum")
        ]

    def _load_domains(self, *_: Any, **__: Any) -> list[Any]:
        return []

    def _types(self, kind: str) -> list[Name]:
        return [name for name, type_ in self.schema.types.items() if type_.kind == kind]

    # A table ----------------------------------------------------------------------------------------------------

    def _known(self, table_name: str, schema: str | None) -> KnownTable:
        table = self.schema.table(Name(table_name, schema))
        if table is None:
            raise NoSuchTableError(table_name)
        return table

    def get_columns(self, connection: Any, table_name: str, schema: str | None = None, **_: Any) -> list[Any]:
        return [
            {
                "name": column.name,
                "type": self._type(column.type),
                "nullable": column.nullable is not False,
                "default": column.default,
                "autoincrement": "auto",
                "comment": None,
            }
            for column in self._known(table_name, schema).columns.values()
        ]

    def _type(self, text: str | None) -> Any:
        made = type_named(text)
        own = getattr(self, "ischema_names", {}).get((text or "").partition("(")[0])
        return made if made is not None else _made_of(own)

    def get_pk_constraint(self, connection: Any, table_name: str, schema: str | None = None, **_: Any) -> Any:
        found = self._constraints(table_name, schema, "primary key")
        columns = list(found[0].columns) if found else []
        return {"constrained_columns": columns, "name": found[0].name if found else None}

    def _constraints(self, table_name: str, schema: str | None, kind: str) -> list[KnownConstraint]:
        return [one for one in self._known(table_name, schema).constraints.values() if one.kind == kind]

    def get_foreign_keys(self, connection: Any, table_name: str, schema: str | None = None, **_: Any) -> list[Any]:
        return [
            {
                "name": key.name,
                "constrained_columns": list(key.columns),
                "referred_schema": key.referent.schema,
                "referred_table": key.referent.name,
                "referred_columns": self._referred(key),
                "options": {},
                "comment": None,
            }
            for key in self._constraints(table_name, schema, "foreign key")
            if key.referent is not None
        ]

    def _referred(self, key: KnownConstraint) -> list[str]:
        referent = self.schema.table(key.referent) if key.referent is not None else None
        keys = [one for one in referent.constraints.values() if one.kind == "primary key"] if referent else []
        own = list(keys[0].columns) if keys else []
        return own if len(own) == len(key.columns) else ["id"] * len(key.columns)

    def get_indexes(self, connection: Any, table_name: str, schema: str | None = None, **_: Any) -> list[Any]:
        return [
            {"name": index.name, "column_names": list(index.columns), "unique": index.unique, "dialect_options": {}}
            for index in self._known(table_name, schema).indexes.values()
        ]

    def get_unique_constraints(
        self, connection: Any, table_name: str, schema: str | None = None, **_: Any
    ) -> list[Any]:
        found = self._constraints(table_name, schema, "unique")
        return [{"name": one.name, "column_names": list(one.columns), "comment": None} for one in found]

    def get_check_constraints(self, connection: Any, table_name: str, schema: str | None = None, **_: Any) -> list[Any]:
        found = self._constraints(table_name, schema, "check")
        return [{"name": one.name, "sqltext": one.expression, "comment": None} for one in found]

    def get_table_comment(self, connection: Any, table_name: str, schema: str | None = None, **_: Any) -> Any:
        return {"text": None}

    def get_table_options(self, connection: Any, table_name: str, schema: str | None = None, **_: Any) -> Any:
        return {}

    get_multi_columns = DefaultDialect.get_multi_columns
    get_multi_pk_constraint = DefaultDialect.get_multi_pk_constraint
    get_multi_foreign_keys = DefaultDialect.get_multi_foreign_keys
    get_multi_indexes = DefaultDialect.get_multi_indexes
    get_multi_unique_constraints = DefaultDialect.get_multi_unique_constraints
    get_multi_check_constraints = DefaultDialect.get_multi_check_constraints
    get_multi_table_comment = DefaultDialect.get_multi_table_comment
    get_multi_table_options = DefaultDialect.get_multi_table_options

    def has_multi_table(self, connection: Any, table_names: Sequence[str], schema: str | None = None, **_: Any) -> Any:
        return [((schema, name), self.has_table(connection, name, schema)) for name in table_names]


def _await_something() -> None:
    """Await, because SQLAlchemy makes sure that an asynchronous driver has."""
    nothing = _nothing()
    try:
        await_only(nothing)
    except MissingGreenlet:
        nothing.close()


async def _nothing() -> None:
    pass


def _made_of(type_: Any) -> Any:
    try:
        return type_()
    except TypeError:
        return sa.types.NullType()


@lru_cache(maxsize=16)
def _recording(own: Any) -> type[RecordingDialect]:
    """Return the class of a driver's dialect that records."""
    context = type("RecordingExecution", (_Values, own.execution_ctx_cls), {})
    members = {
        "supports_statement_cache": own.supports_statement_cache,
        "execution_ctx_cls": context,
    }
    return type(f"Recording{own.__name__}", (RecordingDialect, own), members)


def recording_connection(own: Any, recorder: Recorder, schema: Schema, manner: Manner) -> Connection:
    """Return a connection that records what it is sent.

    Args:
        own: The dialect of the project.
        recorder: Gets what is sent.
        schema: What is known of the tables.
        manner: How rows are made up for what it reads.
    """
    kind: Any = type(own)
    dialect: Any = _recording(kind)(paramstyle=own.default_paramstyle)
    if getattr(own, "is_mariadb", False):
        dialect.is_mariadb = True
    server = PretendedServer.of(database_for(dialect, None))
    server.prepare(dialect)
    dialect.dbapi, dialect.schema = Driver(), schema
    answers = MadeUpAnswers(recorder, schema, server, manner)
    driver = RecordingConnection(
        recorder,
        answers,
        begins_again=server.begins_again(dialect.driver),
        doubles_percents=dialect.paramstyle in ("format", "pyformat"),
    )
    pool = StaticPool(lambda: driver, dialect=dialect)  # type: ignore[arg-type]
    # Not by connect(), which may be led here.
    return Connection(Engine(pool, dialect, URL.create(f"{family_of(own)}+{own.driver}", database="app")))
