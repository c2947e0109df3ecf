"""A dialect without a database: SQLAlchemy works with it as with a driver that is connected."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import lru_cache, wraps
from inspect import signature
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.exc import MissingGreenlet
from sqlalchemy.pool import NullPool
from sqlalchemy.util import await_only

from safeops import _sqlalchemy
from safeops.databases import family_of
from safeops.judging.existing import KnownConstraint, KnownTable
from safeops.naming import Name
from safeops.review.answers import type_named
from safeops.review.connection import Answers, Driver, RecordingConnection, RecordingCursor
from safeops.review.known import Known
from safeops.review.pretended import PretendedServer
from safeops.review.recorder import Recorder

F = TypeVar("F", bound=Callable[..., Any])


class _Values:
    """An execution whose values may be those of Python already: then no type converts them."""

    cursor: Any

    def get_result_processor(self, *arguments: Any) -> Any:
        if not self.cursor.is_real:
            return None
        return super().get_result_processor(*arguments)  # type: ignore[misc]


def _or_live(method: F) -> F:
    """Query the live database, if there is one, about a table that the revision has not changed."""

    parameters = signature(method)

    @wraps(method)
    def asked(self: RecordingDialect, *arguments: Any, **options: Any) -> Any:
        given = parameters.bind(self, *arguments, **options).arguments
        if self.live is None or self.known.has_changed(Name(given["table_name"], given.get("schema"))):
            return method(self, *arguments, **options)
        named = {name: given[name] for name in ("table_name", "index_name", "schema") if name in given}
        return getattr(self.live, method.__name__)(**named)

    return asked  # type: ignore[return-value]


class RecordingDialect(DefaultDialect):
    """The differences from the driver's dialect: only the connection is queried, and no value is converted."""

    known: Known
    live: Any = None
    """An inspector of the live database, which knows the tables that the revision has not changed."""
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

    @_or_live
    def has_table(self, connection: Any, table_name: str, schema: str | None = None, **_: Any) -> bool:
        return self.known.schema.table(Name(table_name, schema)) is not None

    @_or_live
    def has_index(self, connection: Any, table_name: str, index_name: str, schema: str | None = None, **_: Any) -> bool:
        table = self.known.schema.table(Name(table_name, schema))
        return table is not None and index_name in table.indexes

    def has_sequence(self, *_: Any, **__: Any) -> bool:
        return False

    def has_schema(self, connection: Any, schema_name: str, **_: Any) -> bool:
        return schema_name in self.get_schema_names(connection)

    def has_type(self, connection: Any, type_name: str, schema: str | None = None, **_: Any) -> bool:
        return self.known.schema.type(Name(type_name, schema)) is not None

    def get_schema_names(self, connection: Any, **_: Any) -> list[str]:
        homes = [self.default_schema_name] if self.default_schema_name else []
        return sorted({*homes, *(name.schema for name in self.known.schema.tables if name.schema)})

    def get_table_names(self, connection: Any, schema: str | None = None, **_: Any) -> list[str]:
        return self._named("table", schema, "get_table_names")

    def get_view_names(self, connection: Any, schema: str | None = None, **_: Any) -> list[str]:
        return self._named("view", schema, "get_view_names")

    def get_materialized_view_names(self, connection: Any, schema: str | None = None, **_: Any) -> list[str]:
        return self._named("materialized view", schema, "get_materialized_view_names")

    def _named(self, kind: str, schema: str | None, live: str = "") -> list[str]:
        known = self.known.schema
        home = known.key(Name("", schema)).schema
        own = [name.name for name, table in known.tables.items() if name.schema == home and table.kind == kind]
        there = getattr(self.live, live)(schema=schema) if self.live is not None else []
        return sorted({*own, *(name for name in there if known.key(Name(name, schema)) not in known.gone)})

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
        return [name for name, type_ in self.known.schema.types.items() if type_.kind == kind]

    # A table ----------------------------------------------------------------------------------------------------

    def _known(self, table_name: str, schema: str | None) -> KnownTable:
        """Return a table; one that no revision has made may exist all the same, and nothing is known of it."""
        name = Name(table_name, schema)
        return self.known.as_batches_suppose(name, self.known.table(name))

    @_or_live
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
        return made if made is not None else _Named(text or "text")

    @_or_live
    def get_pk_constraint(self, connection: Any, table_name: str, schema: str | None = None, **_: Any) -> Any:
        found = self._constraints(table_name, schema, "primary key")
        columns = list(found[0].columns) if found else []
        return {"constrained_columns": columns, "name": found[0].name if found else None}

    def _constraints(self, table_name: str, schema: str | None, kind: str) -> list[KnownConstraint]:
        return [one for one in self._known(table_name, schema).constraints.values() if one.kind == kind]

    @_or_live
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
        if key.referred:
            return list(key.referred)
        referent = self.known.schema.table(key.referent) if key.referent is not None else None
        keys = [one for one in referent.constraints.values() if one.kind == "primary key"] if referent else []
        own = list(keys[0].columns) if keys else []
        return own if len(own) == len(key.columns) else ["id"] * len(key.columns)

    @_or_live
    def get_indexes(self, connection: Any, table_name: str, schema: str | None = None, **_: Any) -> list[Any]:
        return [
            {"name": index.name, "column_names": list(index.columns), "unique": index.unique, "dialect_options": {}}
            for index in self._known(table_name, schema).indexes.values()
            if index.name not in self._known(table_name, schema).constraints
        ]

    @_or_live
    def get_unique_constraints(
        self, connection: Any, table_name: str, schema: str | None = None, **_: Any
    ) -> list[Any]:
        found = self._constraints(table_name, schema, "unique")
        return [{"name": one.name, "column_names": list(one.columns), "comment": None} for one in found]

    @_or_live
    def get_check_constraints(self, connection: Any, table_name: str, schema: str | None = None, **_: Any) -> list[Any]:
        found = self._constraints(table_name, schema, "check")
        return [{"name": one.name, "sqltext": one.expression, "comment": None} for one in found]

    @_or_live
    def get_table_comment(self, connection: Any, table_name: str, schema: str | None = None, **_: Any) -> Any:
        return {"text": None}

    @_or_live
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


class _Named(sa.types.UserDefinedType[Any]):
    """A type of which only the name is known.

    Args:
        name: What the server calls it.
    """

    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **_: Any) -> str:
        return self.name.upper()


@lru_cache(maxsize=16)
def _recording(own: Any) -> type[RecordingDialect]:
    """Return the class of a driver's dialect that records."""
    context = type("RecordingExecution", (_Values, own.execution_ctx_cls), {})
    members = {
        "supports_statement_cache": own.supports_statement_cache,
        "execution_ctx_cls": context,
    }
    return type(f"Recording{own.__name__}", (RecordingDialect, own), members)


def recording_dialect(own: Any, known: Known) -> Any:
    """Return a dialect like another one, as if it had connected, that records.

    Args:
        own: The dialect of the project.
        known: What is known of the tables.
    """
    kind: Any = type(own)
    if getattr(own, "default_isolation_level", None) is not None:
        # It has connected.
        dialect: Any = copy.copy(own)
        dialect.__class__ = kind if isinstance(own, RecordingDialect) else _recording(kind)
    else:
        dialect = _recording(kind)(paramstyle=own.default_paramstyle)
        if getattr(own, "is_mariadb", False):
            dialect.is_mariadb = True
        PretendedServer.for_dialect(dialect).prepare(dialect)
        dialect.server_version_info = own.server_version_info or dialect.server_version_info
    dialect.dbapi, dialect.known = Driver(), known
    return dialect


def recording_connection(dialect: Any, recorder: Recorder, answers: Answers) -> Connection:
    """Return a connection that records what it is sent, of an engine that gives others.

    Args:
        dialect: The dialect, made by ``recording_dialect``.
        recorder: Gets what is sent.
        answers: Answers it.
    """
    server = PretendedServer.for_dialect(dialect)

    def connect() -> Any:
        return RecordingConnection(recorder, answers, dialect, begins_again=server.begins_again(dialect.driver))

    url = URL.create(f"{family_of(dialect)}+{dialect.driver}", database="app")
    # With a compiled statement SQLAlchemy caches the conversion of its values, which differs for made-up values.
    cached = 0 if dialect.live is not None else 500
    # Not by connect(), which can be patched.
    return Connection(Engine(NullPool(connect, dialect=dialect), dialect, url, query_cache_size=cached))
