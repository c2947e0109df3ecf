"""What every database answers: its abilities, what stands in it, how a wanted thing is spelled, and its plans.

One database is one package below this one. Operations ask abilities, never names.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import sqlalchemy as sa

from safeops import _sqlalchemy
from safeops.databases import sqltext
from safeops.databases.archives import Archives
from safeops.databases.batches import Batches
from safeops.databases.constructs import Constructs
from safeops.databases.definitions import Column, Constraint, Index, Published, Table
from safeops.databases.dumping import Dumping
from safeops.databases.filling import Filling
from safeops.databases.load import Load
from safeops.databases.renaming import Renaming
from safeops.databases.scratching import Scratching
from safeops.databases.steps import Step, rendered
from safeops.databases.surveying import Surveying
from safeops.databases.twins import Twins
from safeops.databases.types import Types
from safeops.errors import UnsupportedOnDatabase
from safeops.naming import Name, fitting

Plan = Iterator[Step]


class Database(
    Surveying, Archives, Batches, Constructs, Dumping, Filling, Load, Renaming, Scratching, Twins, Types, ABC
):
    """The database that a migration runs on, or for which ``--sql`` is rendered."""

    max_identifier: ClassVar[int] = 63
    """The longest name that the server keeps, in bytes (in letters where ``counts_letters``)."""
    counts_letters: ClassVar[bool] = False
    builds_indexes_online: ClassVar[bool] = True
    """Reads and writes go on while an index is built."""
    validates_constraints_later: ClassVar[bool] = False
    """A constraint can be added for new rows first, and checked against old rows later."""
    enforces_checks_later: ClassVar[bool] = False
    """A check that is NOT ENFORCED can be enforced as it is."""
    has_named_types: ClassVar[bool] = False
    has_schemas: ClassVar[bool] = True
    has_exclusion_constraints: ClassVar[bool] = False
    names_indexes_of_keys: ClassVar[bool] = False
    """A unique or primary key gives its name to an index, and index names stand once in a schema."""
    has_deferrable_keys: ClassVar[bool] = False
    """Unique and primary keys can be DEFERRABLE."""
    has_deferrable_foreign_keys: ClassVar[bool] = False
    has_partial_indexes: ClassVar[bool] = False
    has_expression_indexes: ClassVar[bool] = True
    reflects_expressions: ClassVar[bool] = True
    """SQLAlchemy reflects the expressions of indexes; else it leaves them out, and what is left is another index."""
    has_comments: ClassVar[bool] = True
    renders_constraints_offline: ClassVar[bool] = True
    """Constraints and column changes can be rendered for ``--sql``."""
    renders_column_changes_offline: ClassVar[bool] = True
    """NOT NULL can be set and dropped by ``--sql``, which nobody can where the whole column must be repeated for it."""
    rewrites_for_types: ClassVar[bool] = False
    """Every change of a type rewrites the table, whatever ``type_refusal`` says of its values."""
    adds_checks_online: ClassVar[bool] = True
    """A check can be added to a table that has rows while others write to it."""
    merges_equal_keys: ClassVar[bool] = False
    """Of unique and primary keys of a new table that are equal but for their names the server makes one index."""
    indexes_foreign_keys: ClassVar[bool] = False
    """The server gives a foreign key an index where none covers it."""
    ties_foreign_keys: ClassVar[bool] = False
    """A foreign key stands on one unique key and no other, though another has the same columns."""
    foreign_keys_across_types: ClassVar[bool] = True
    """A foreign key may have types on its two sides that are akin."""
    refuses_full_schemas: ClassVar[bool] = True
    """DROP SCHEMA refuses a schema that has tables in it."""

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
        """Render a column as it stands in CREATE TABLE or ADD COLUMN."""
        compiler: Any = self.dialect.ddl_compiler(self.dialect, None)  # type: ignore[arg-type]
        return str(compiler.get_column_specification(column))

    def default_text(self, column: sa.Column[Any]) -> str | None:
        """Render the server default of a column; None where it has none."""
        compiler: Any = self.dialect.ddl_compiler(self.dialect, None)  # type: ignore[arg-type]
        text = compiler.get_column_default_string(column)
        return None if text is None else str(text)

    def type_text(self, type_: sa.types.TypeEngine[Any]) -> str:
        return str(self.dialect.type_compiler_instance.process(type_))

    # Looking ----------------------------------------------------------------------------------------------------

    @abstractmethod
    def table(self, name: Name, *, to_create: bool = False) -> Table | None:
        """Return the table as it stands, in one look; None where there is none.

        Args:
            name: Without a schema it is resolved as the server would: to the visible table, or where ``to_create``
                is true in the schema in which a new table would land.
            to_create: See ``name``.
        """

    @abstractmethod
    def table_names(self, schema: str | None) -> list[str]:
        """Return the names of the tables, for the nearest ones to a misspelt name."""

    def index_elsewhere(self, index: str, table: Table) -> Name | None:
        """Return the other table whose index has this name already, where such names are unique in a schema."""
        return None

    def has_schema(self, schema: str) -> bool:
        return False

    def dependents(self, table: Table, column: str | None = None) -> list[str]:
        """Describe the views, policies, foreign keys and so on that stand on a table or on one of its columns."""
        return []

    def dependents_on_type(self, table: Table, column: str) -> list[str]:
        """Describe what keeps the server from changing the type of a column."""
        return self.dependents(table, column)

    def check_droppable(self, table: Table, column: str) -> None:
        """Have the server raise its refusal to drop a column, where it can try and take it back."""

    def dependents_of_schema(self, schema: str) -> list[str]:
        return []

    def dependents_of_enum(self, name: Name) -> list[str]:
        return []

    def awaits_default(self, column: Column) -> bool:
        """Tell whether an interrupted run added a column without its default."""
        return False

    def comment_of(self, stands: Table, column: str | None) -> str | None:
        """Return the author's own comment of a column, or with None that of the table."""
        return stands.comment if column is None else stands.columns[column].comment

    def copies_for_comment(self, stands: Table, column: str) -> bool:
        """Tell whether the server copies the table to change the comment of a column."""
        return False

    def has_rows(self, table: Table) -> bool:
        return bool(self.scalar(f"SELECT EXISTS (SELECT 1 FROM {self.quoted_table(table.name)})"))

    def same_named(self, stands: Table, wanted: Constraint) -> Constraint | None:
        """Return the constraint that stands in the place of a wanted one; a table has one primary key at most."""
        if wanted.kind == "primary key":
            return next((one for one in stands.constraints.values() if one.kind == wanted.kind), None)
        return stands.constraints.get(wanted.name)

    def constraint_named(self, stands: Table, name: str, kind: str | None) -> Constraint | None:
        """Return the constraint that a drop by this name, and by this ``type_`` of Alembic, means."""
        return stands.constraints.get(name)

    def dependents_of_key(self, stands: Table, constraint: Constraint) -> list[str]:
        """Describe the foreign keys of other tables that stand on a unique or primary key, or on an index alike."""
        return []

    def keys_to_partitions(self, stands: Table) -> set[str]:
        """Return the foreign keys that the server itself keeps to each partition of a table that the author's refers to."""
        return set()

    def left_on_partitions(self, stands: Table, name: str) -> bool:
        """Tell whether partitions have a part of an index or constraint that the whole table lacks."""
        return False

    def check_identity(self, stands: Table, indexes: Sequence[str]) -> None:
        """Raise DependentObjects where replication finds the rows of a table by one of the indexes, which are to go."""

    def published(self, stands: Table) -> Published:
        """Return who publishes the table with the columns that it will have."""
        return Published()

    def published_when_new(self, name: Name) -> Published:
        """Return who publishes a table as soon as it is created."""
        return Published()

    def check_takes_null(self, stands: Table, column: str) -> None:
        """Raise DependentObjects where something that stands on the column takes no NULL in it."""

    def has_unfinished_not_null(self, stands: Table, column: str) -> bool:
        """Tell whether an interrupted run left a part of NOT NULL on a column that still takes NULL."""
        return False

    # Wanting ----------------------------------------------------------------------------------------------------

    @abstractmethod
    def wanted_column(self, column: sa.Column[Any]) -> Column:
        """Return a column as the server would spell it, as far as can be told without asking."""

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
        if not self.merges_equal_keys or isinstance(constraint, (sa.ForeignKeyConstraint, sa.CheckConstraint)):
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
        return [self.rendered(_without_direction(one)) for one in index.expressions]

    def ask(self, table: Table, wanted: sa.Column[Any] | sa.Index | sa.Constraint) -> Any:
        """Have the server spell a wanted thing on an empty copy of the table, or return None where that cannot be."""
        return None

    # Planning ---------------------------------------------------------------------------------------------------
    # ``stands`` is the table as it stands; None where nobody can look (--sql).

    @abstractmethod
    def create_table(self, table: sa.Table) -> Plan: ...

    @abstractmethod
    def drop_table(self, name: Name, stands: Table | None) -> Plan: ...

    @abstractmethod
    def add_column(self, name: Name, column: sa.Column[Any], stands: Table | None) -> Plan: ...

    @abstractmethod
    def drop_column(self, name: Name, column: str, stands: Table | None) -> Plan: ...

    @abstractmethod
    def set_default(self, name: Name, column: str, default: str | None, stands: Table | None) -> Plan: ...

    def set_comment(self, name: Name, column: str | None, comment: str | None, stands: Table | None) -> Plan:
        """Plan the comment of a column, or with None that of the table; ``comment`` None removes it."""
        return iter(())

    @abstractmethod
    def alter_type(self, name: Name, column: sa.Column[Any], stands: Table | None) -> Plan: ...

    @abstractmethod
    def set_not_null(self, name: Name, column: str, stands: Table | None) -> Plan: ...

    @abstractmethod
    def drop_not_null(self, name: Name, column: str, stands: Table | None) -> Plan: ...

    @abstractmethod
    def create_index(self, name: Name, index: sa.Index, stands: Table | None) -> Plan: ...

    @abstractmethod
    def drop_index(self, name: Name, index: str, stands: Table | None) -> Plan: ...

    @abstractmethod
    def add_constraint(self, name: Name, constraint: sa.Constraint, stands: Table | None, validate: bool) -> Plan:
        """Plan a foreign key, check, unique, primary key or exclusion constraint."""

    @abstractmethod
    def replace_index(self, name: Name, index: sa.Index, stands: Table | None) -> Plan:
        """Plan an index in the place of one of the same name; until the new one is there the old one is."""

    @abstractmethod
    def replace_constraint(self, name: Name, constraint: sa.Constraint, stands: Table | None, validate: bool) -> Plan:
        """Plan a constraint in the place of one of the same name and kind; it finishes what an earlier run began."""

    def passing_name(self, name: str) -> str:
        """Return the name under which the successor of an index or a constraint is built."""
        return fitting("safeops_new", name, max_bytes=self.max_identifier)

    @abstractmethod
    def validate_constraint(self, name: Name, constraint: str, stands: Table | None) -> Plan: ...

    @abstractmethod
    def drop_constraint(self, name: Name, constraint: str, kind: str | None, stands: Table | None) -> Plan: ...

    def create_enum(self, name: Name, values: Sequence[str]) -> Plan:
        return iter(())

    def add_enum_value(self, name: Name, value: str, before: str | None, after: str | None) -> Plan:
        return iter(())

    def drop_enum(self, name: Name) -> Plan:
        return iter(())

    def create_schema(self, schema: str) -> Plan:
        return iter(())

    def drop_schema(self, schema: str) -> Plan:
        return iter(())

    # Judging ----------------------------------------------------------------------------------------------------

    def column_refusal(self, column: sa.Column[Any], stands: Table) -> str | None:
        """Say why adding the column would block or rewrite a table that has rows; None where it would not."""
        return None

    def type_refusal(self, column: sa.Column[Any], stands: Table) -> str | None:
        """Say why the change of type would rewrite or scan the table; None where it would not."""
        return None

    def type_refusal_back(self, column: sa.Column[Any], former: sa.Column[Any], stands: Table) -> str | None:
        """Say why changing ``column`` back to its ``former`` type would rewrite or scan, once it had been changed in a
        moment; None where it would not."""
        return None

    def check_type_change(self, column: sa.Column[Any], stands: Table) -> None:
        """Raise DependentObjects where the server changes the type under no circumstances."""

    def type_in_place(self, column: sa.Column[Any], stands: Table) -> str | None:
        """Return the calls that give a column another type where only one statement can; None where ``TypeChange`` can."""
        return None

    def type_to_keep(self, column: sa.Column[Any], stands: Table) -> str | None:
        """Say why a column should keep its type, which takes all values of the other; None where it should not."""
        return None

    def computed_as(self, stands: Table, column: str) -> tuple[str, bool] | None:
        """Return the expression of a column and whether it is stored, where SQLAlchemy may read that of another."""
        return None

    def serial_as_identity(
        self, name: Name, column: str, identity: sa.Identity, stands: Table
    ) -> tuple[str, str] | None:
        """Return what makes a column that a sequence of its own numbers an identity, and back; None for another."""
        return None

    def check_support(self, constraint: sa.Constraint, validate: bool) -> None:
        """Raise UnsupportedOnDatabase for what this server does not have."""
        if not validate and not self.validates_constraints_later:
            raise self.unsupported("validate=False", "a server that can add a constraint unvalidated")

    def name_flaw(self, name: str) -> str | None:
        """Say why the server takes no such name; None where it does."""
        return None

    def check_partition_keys(self, name: Name, stands: Table, wanted: sa.Index | sa.Constraint) -> None:
        """Raise what the partitioning of the table forbids: a unique key without its columns, on MySQL any foreign key."""

    def check_column_support(self, column: sa.Column[Any]) -> None:
        """Raise UnsupportedOnDatabase for a column that this server does not have."""

    def check_index_support(self, index: sa.Index) -> None:
        """Raise UnsupportedOnDatabase for an index that this server does not have."""

    def check_virtual(self, stands: Table | None, thing: sa.Index | sa.Constraint) -> None:
        """Raise UnsupportedOnDatabase for an index or a key of a column whose values no table keeps."""

    def default_is_constant(self, column: sa.Column[Any]) -> bool:
        """Tell without asking the server whether every row gets the same value from the default."""
        if column.identity is not None or column.computed is not None:
            return False
        words = sqltext.canonical(self.default_text(column) or "NULL").replace("now()", "")
        # A parenthesis inside a string is no call.
        return not any(kind == "op" and text == "(" for kind, text in sqltext.tokens(words))

    def unsupported(self, asked: str, needed: str, remedy: str = "", code: str = "") -> UnsupportedOnDatabase:
        return UnsupportedOnDatabase(
            f"{asked} was asked for, this server is {self.describe()}, and it would need {needed}.",
            remedy=remedy,
            code=code,
        )


def _without_direction(element: Any) -> Any:
    while getattr(element, "modifier", None) is not None:
        element = element.element
    if isinstance(element, sa.Column):
        return sa.column(element.name)
    return element
