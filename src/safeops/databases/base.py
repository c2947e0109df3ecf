"""A database: its session, its catalogue, and how it spells definitions. Everything else is a port, which is given it.

Each family of databases has a package below this one. Operations check abilities, never names.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import replace
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from safeops import _sqlalchemy
from safeops.databases.ddl import DDL, Types
from safeops.databases.definitions import Column, Constraint, Index, Table
from safeops.databases.ports import PortAttribute, unsupported
from safeops.databases.safety import Dependents, Safety
from safeops.databases.server import Abilities, Holder, ServerErrors, SessionSettings, Sizes, Watch
from safeops.databases.steps import Step, ddl_compiler, kept_rendering_dialect, rendered, rendering_dialect
from safeops.databases.triggers import Triggers
from safeops.errors import SafeOpsError, UnsupportedOnDatabase
from safeops.naming import Name


class Database(ABC):
    """The database that a migration runs on, or for which ``--sql`` is rendered.

    Args:
        dialect: The dialect of the connection.
        connection: Returns the current connection (Alembic changes it inside autocommit blocks); None offline.
    """

    family: ClassVar[str]
    """The name of the package that has the ports of this family."""
    product: ClassVar[str]

    def __init__(self, dialect: Dialect, connection: Callable[[], Connection] | None) -> None:
        self.dialect = rendering_dialect(dialect) if connection is None else kept_rendering_dialect(dialect)
        self._connection = connection
        self.prepare: Any = self.dialect.identifier_preparer
        self.lock_wait = 2.0
        """Seconds that an inspection may wait for a lock."""

    # Ports ------------------------------------------------------------------------------------------------------

    abilities = PortAttribute(Abilities.of)
    ddl = PortAttribute(DDL.of)
    dependents = PortAttribute(Dependents.of)
    errors = PortAttribute(ServerErrors.of)
    safety = PortAttribute(Safety.of)
    sizes = PortAttribute(Sizes.of)
    triggers = PortAttribute(Triggers.of)
    types = PortAttribute(Types.of)

    # Session ----------------------------------------------------------------------------------------------------

    @property
    def home(self) -> str | None:
        """The schema that is the database itself: its name is not kept, because a copy may have another one."""
        return None

    @property
    def offline(self) -> bool:
        return self._connection is None

    @property
    def connection(self) -> Connection:
        if self._connection is None:
            raise RuntimeError("safeops looked at a database in --sql mode: this is a defect of safeops")
        return self._connection()

    @property
    def version(self) -> tuple[int, ...]:
        """The server's version; offline the newest that the dialect assumes."""
        return tuple(part for part in (self.dialect.server_version_info or ()) if isinstance(part, int))

    def describe(self) -> str:
        number = ".".join(map(str, self.version[:2]))
        return f"{self.product} {number}" if number else self.product

    def scalar(self, sql: str, **parameters: Any) -> Any:
        rows = self.read(sql, **parameters)
        return rows[0][0] if rows else None

    def read(self, sql: str, **parameters: Any) -> Sequence[Sequence[Any]]:
        """Run a query. With parameters, ``sql`` must have no other colons."""
        return self._read_on(self.connection, sql, **parameters)

    def _read_on(self, connection: Connection, sql: str, **parameters: Any) -> Sequence[Sequence[Any]]:
        if parameters:
            return list(connection.execute(sa.text(sql), parameters).all())
        result = connection.exec_driver_sql(sql, execution_options={"no_parameters": True})
        return list(result.all())

    def run(self, sql: str) -> int:
        """Send a statement as it is, no parameters, no percent signs to double, and return how many rows it met."""
        return self.connection.exec_driver_sql(sql, execution_options={"no_parameters": True}).rowcount

    @contextmanager
    def transaction(self, *beginning: str) -> Iterator[None]:
        """Run the block in one transaction."""
        try:
            for sql in beginning or (self.abilities.begins,):
                self.run(sql)
            yield
            self.run("COMMIT")
        except BaseException:
            # On a lost connection there is nothing to roll back, and the first error is the one to see.
            with suppress(SQLAlchemyError):
                self.run("ROLLBACK")
            raise

    def execute(self, step: Step) -> bool:
        """Send a step; return False if it is no longer needed."""
        return step.execute(self)

    def session_settings(self, *, role: bool = True) -> SessionSettings:
        """Return what env.py may have set on this session that decides how names are resolved, and what may be done.

        Args:
            role: The role too; not for a session of another login, which cannot set it.
        """
        return ()

    def apply_settings(self, session_settings: SessionSettings) -> None:
        """Set on this session what was handed over by another."""

    def check_session(self) -> None:
        """Raise UnsupportedOnDatabase if statements of this connection may reach sessions that serve others too."""

    def timeouts(self, lock: float, statement: float | None, step: Step) -> AbstractContextManager[None]:
        """Bound the waiting of one step on this session, and restore what was set before on every path."""
        return nullcontext()

    def session_bound(self, seconds: float) -> tuple[str, str] | None:
        """Return the SQL that bounds a whole session's waits for locks, and the SQL that lifts the bound.

        None if env.py, the role or the server has set one already.
        """
        return None

    def rendered_timeouts(self, lock: float, statement: float | None, step: Step) -> tuple[list[str], list[str]]:
        """Render the statements before and after a step that bound its waiting."""
        return [], []

    def blockers(self, tables: Sequence[Name]) -> list[Holder]:
        """Describe the sessions that hold locks on the tables: id, user, application, state, age, query."""
        return []

    def looking(self, seconds: float) -> AbstractContextManager[None]:
        """Bound each query of the block. A query that fails leaves an open transaction as it was."""
        return self.timeouts(seconds, seconds, Step(""))

    def obstacles(self, step: Step) -> dict[Any, Holder]:
        """Describe the transactions for which a step would wait in the middle of its work, each under its own key.

        They are waited for before the step begins, when giving up leaves nothing behind.
        """
        return {}

    def open_transactions(self) -> list[Holder]:
        """Describe the open transactions for which a step may have waited in the middle of its work."""
        return []

    def watched(self, step: Step, budget: float) -> AbstractContextManager[Watch]:
        """Note who blocks a step; cancel one that waits in the middle of its work for ``budget`` seconds on end.

        If no second connection can watch, ``Watch.attached`` is False before the step begins.
        """
        return nullcontext(Watch())

    def enter_autocommit(self) -> None:
        """Put this connection into autocommit, with every driver."""

    def leave_autocommit(self) -> None:
        """Restore what ``enter_autocommit`` has changed."""

    def refuse_hidden_rows(self, tables: Sequence[Name]) -> None:
        """Raise UnsafeOperation if row security may hide rows of a table from the role of this session."""

    def hidden_rows(self, error: DBAPIError) -> SafeOpsError | None:
        """Return that error if the server refused a statement because it would have hidden rows from it."""
        return None

    now: ClassVar[str]
    """The server's clock in seconds since 1970, as SQL."""

    def unbounded(self) -> AbstractContextManager[None]:
        """Lift the timeouts for the block, whose statements are long reads that block no others."""
        return nullcontext()

    @abstractmethod
    def session_id(self) -> str:
        """Return a name of this session by which others can check whether it has ended."""

    @abstractmethod
    def is_gone(self, session: str) -> bool:
        """Return whether a session has certainly ended."""

    @abstractmethod
    def read_only_session(self) -> AbstractContextManager[None]:
        """Have the server refuse writes for the block, except to the empty copies on which a definition is tried out."""

    def allowing_probes(self) -> AbstractContextManager[None]:
        """Let the session write to such a copy for the block."""
        return nullcontext()

    # Spelling ---------------------------------------------------------------------------------------------------

    def quoted(self, *names: str) -> str:
        """Quote names and join them with commas."""
        return ", ".join(self.prepare.quote(name) for name in names)

    def quoted_table(self, name: Name) -> str:
        quoted = self.prepare.quote(name.name)
        return f"{self.prepare.quote_schema(name.schema)}.{quoted}" if name.schema else str(quoted)

    def rendered(self, construct: Any) -> str:
        """Compile a construct to the SQL that the server reads."""
        return rendered(construct, self.dialect)

    def part_text(self, expression: sa.ClauseElement) -> str:
        """Compile the expression of a check, a computed column or an index, which names columns without their table."""
        return rendered(expression, self.dialect, include_table=False)

    def choosing_schema(self, schema: str) -> str:
        """Return the lines of env.py after which tables without a schema are those of this one."""
        return f"connection.exec_driver_sql({f'USE {self.quoted(schema)}'!r})\nconnection.commit()"

    def literal(self, value: str) -> str:
        return self.rendered(sa.literal(value, sa.String()))

    def column_spec(self, column: sa.Column[Any]) -> str:
        """Render a column for CREATE TABLE or ADD COLUMN."""
        return str(ddl_compiler(self.dialect).get_column_specification(column))

    def default_text(self, column: sa.Column[Any]) -> str | None:
        """Render the server default of a column; None if it has none."""
        text = ddl_compiler(self.dialect).get_column_default_string(column)
        return None if text is None else str(text)

    def type_text(self, type_: sa.types.TypeEngine[Any]) -> str:
        return str(self.dialect.type_compiler_instance.process(type_))

    # Looking ----------------------------------------------------------------------------------------------------

    @abstractmethod
    def table(self, name: Name, *, to_create: bool = False, things: Collection[str] | None = None) -> Table | None:
        """Return the table as it is now, by one inspection; None if there is none.

        Args:
            name: Without a schema it is resolved as the server would: to the visible table, or with ``to_create``
                in the schema in which a new table would be created.
            to_create: See ``name``.
            things: The constraints and indexes that are needed, if not all: another is read when it is first used.
        """

    @abstractmethod
    def table_names(self, schema: str | None) -> list[str]:
        """Return the names of the tables, for the nearest ones to a misspelt name."""

    def index_elsewhere(self, index: str, table: Table) -> Name | None:
        """Return the other table whose index has this name, on servers with one index of a name in a schema."""
        return None

    def has_schema(self, schema: str) -> bool:
        return False

    def has_rows(self, table: Table) -> bool:
        return bool(self.scalar(f"SELECT EXISTS (SELECT 1 FROM {self.quoted_table(table.name)})"))

    def same_named(self, existing: Table, wanted: Constraint) -> Constraint | None:
        """Return the existing constraint that a requested one would conflict with; a table has one primary key at most."""
        if wanted.kind == "primary key":
            return next(iter(existing.of_kind(wanted.kind)), None)
        return existing.constraints.get(wanted.name)

    def constraint_named(self, existing: Table, name: str, kind: str | None) -> Constraint | None:
        """Return the constraint that a drop by this name, and by this ``type_`` of Alembic, means."""
        return existing.constraints.get(name)

    # Requested definitions ---------------------------------------------------------------------------------------

    @abstractmethod
    def wanted_column(self, column: sa.Column[Any]) -> Column:
        """Return a column as the server would spell it, as far as is known without a query."""

    @abstractmethod
    def wanted_index(self, index: sa.Index) -> Index:
        """Return an index as the server would spell it."""

    @abstractmethod
    def wanted_constraint(self, constraint: sa.Constraint) -> Constraint:
        """Return a constraint as the server would spell it."""

    def equal_keys(self, table: sa.Table) -> list[list[sa.Constraint]]:
        """Return the constraints of a new table in groups: of several in one group the server makes a single one.

        The first of a group names it, unless that has no name.
        https://github.com/postgres/postgres/blob/REL_18_STABLE/src/backend/parser/parse_utilcmd.c
        (transformIndexConstraints)
        """
        groups: dict[Any, list[sa.Constraint]] = {}
        for constraint in dict.fromkeys((table.primary_key, *_sqlalchemy.ordered_constraints(table))):
            groups.setdefault(self._key_parts(constraint) or id(constraint), []).append(constraint)
        return list(groups.values())

    def _key_parts(self, constraint: sa.Constraint) -> Constraint | None:
        """Return in what a key must be equal to another to share its index; None for what shares none."""
        if not self.abilities.merges_equal_keys or isinstance(
            constraint, (sa.ForeignKeyConstraint, sa.CheckConstraint)
        ):
            return None
        if isinstance(constraint, sa.PrimaryKeyConstraint) and not constraint.columns:
            # That of a table without one, which some dialects write as nothing at all.
            return None
        wanted = self.wanted_constraint(constraint)
        if wanted.kind == "exclude":
            return replace(wanted, name="")
        return replace(wanted, name="", kind="", expression=None, definition="") if wanted.columns else None

    def index_of_key(self, key: sa.Constraint) -> sa.Index:
        """Return the unique index that a unique or primary key is made of."""
        options = {name: value for name, value in key.dialect_kwargs.items() if value}
        return sa.Index(str(key.name), *key.columns, unique=True, **options)  # type: ignore[attr-defined]

    def element_texts(self, index: sa.Index) -> list[str]:
        """Render the columns and expressions of an index, without direction or operator class."""
        return [self.rendered(_without_direction(element)) for element in index.expressions]

    def probe(self, table: Table, wanted: sa.Column[Any] | sa.Index | sa.Constraint) -> Any:
        """Have the server spell a definition on an empty copy of the table; None if it cannot."""
        return None

    def index_options(self, index: Index) -> dict[str, Any]:
        """Return the SQLAlchemy options of an existing index."""
        return {}

    def key_options(self, key: Constraint) -> dict[str, Any]:
        """Return the SQLAlchemy options of an existing unique constraint."""
        return {}

    def exclusion_parts(self, exclusion: Constraint) -> tuple[str, list[tuple[str, str]], str | None]:
        """Return the method of an exclusion constraint, its elements with their operators, and its condition."""
        raise NotImplementedError

    def unsupported(self, asked: str, needed: str, remedy: str = "", code: str = "") -> UnsupportedOnDatabase:
        return unsupported(asked, self.describe(), needed, remedy, code)


def _without_direction(element: Any) -> Any:
    while getattr(element, "modifier", None) is not None:
        element = element.element
    if isinstance(element, sa.Column):
        return sa.column(element.name)
    return element
