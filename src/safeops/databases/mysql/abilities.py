"""What MariaDB and MySQL can do."""

from __future__ import annotations

from typing import ClassVar

from safeops.databases import abilities


class Abilities(abilities.Abilities):
    """The abilities."""

    adds_checks_online = False

    schema_is_database = True

    enforces_checks_later = True

    reflects_expressions = False

    indexes_foreign_keys = True

    foreign_keys_across_types = False

    max_identifier = 64

    counts_letters = True

    renders_column_changes_offline = False

    refuses_full_schemas = False

    statement_bound = ""

    @property
    def has_expression_indexes(self) -> bool:  # type: ignore[override]
        return self.database.version >= (8, 0, 13) or not self.database.version

    catalogue: ClassVar[str] = "INNODB_"
    """How the views of information_schema on what InnoDB keeps begin."""

    cascades_fire_triggers = False

    compares_rows = False

    assigns_at_once = False

    isolation: ClassVar[str] = "transaction_isolation"
    """The session variable of the isolation level."""

    recordsets_since: ClassVar[tuple[int, ...]] = (8, 0, 4)
    """The version that has JSON_TABLE."""

    batch_modes: ClassVar[tuple[str, ...]] = ()
    """What SQL_MODE needs, so that each assignment of an UPDATE sees the row as it was."""

    dump_ending = ".sql.gz"

    dump_magic = b"\x1f\x8b"

    dump_programs: ClassVar[tuple[str, ...]] = ("mysqldump", "mariadb-dump")

    guards_natively: ClassVar[bool] = False

    grows_from: ClassVar[int] = 0
    """From how many bytes on a VARCHAR cannot become one of more than 255, where its length takes a second byte."""

    grow_in_keys: ClassVar[tuple[str, ...]] = ("enum(", "set(", "varchar(", "varbinary(")
    """The types that take more values while a foreign key uses the column."""

    sees_sessions_with = "the privilege PROCESS"

    locks_referents: ClassVar[bool] = True
    """CREATE TABLE with a foreign key waits for the lock of the table that it refers to."""

    copies_for_expressions: ClassVar[bool] = True
    """ADD COLUMN copies the table where the default is an expression."""

    role_code = "GRANT ALL ON the_database.* TO the_user;  -- as an administrator"

    """The session variable that bounds a statement."""

    refusing_writes = "SET SESSION TRANSACTION READ ONLY"

    accepting_writes = "SET SESSION TRANSACTION READ WRITE"

    explaining: ClassVar[str] = "EXPLAIN FORMAT=TRADITIONAL"
    """What makes the server show its plan as a table that tells which share of the rows a condition leaves."""

    renames_what_is_used: ClassVar[bool] = False
    """Checks, generated columns, defaults, indexes on expressions and the partitioning follow a column to its new name."""

    copies_beside_stored: ClassVar[bool] = False
    """A table with a stored generated column is copied to make a column NOT NULL."""

    runs_blocks: ClassVar[bool] = False
    """Statements can be sent as one block, which the server carries on with where the client is killed."""

    requires_values_before_triggers: ClassVar[bool] = False
    """An INSERT ... SELECT that leaves out a NOT NULL column without a default is refused before a trigger could fill it."""

    spells_defaults_by_type: ClassVar[bool] = True
    """The default of a TEXT has parentheses, that of a DATETIME(6) the digits of its time."""

    counts_errors_in_handlers: ClassVar[bool] = False
    """@@error_count tells a handler whether a warning is a refusal."""

    without_copy: ClassVar[str] = ", ALGORITHM=INPLACE"
    """Has the server refuse what would take long."""


class MariaDBAbilities(Abilities):
    """Those of MariaDB."""

    catalogue = "INNODB_SYS_"

    dump_programs = ("mariadb-dump", "mysqldump")

    grows_from = 128

    grow_in_keys = ("enum(", "set(")

    guards_natively = True

    locks_referents = False

    copies_for_expressions = False

    explaining = "EXPLAIN EXTENDED"

    runs_blocks = True

    requires_values_before_triggers = True

    renames_what_is_used = True

    copies_beside_stored = True

    enforces_checks_later = False

    spells_defaults_by_type = False

    counts_errors_in_handlers = True

    without_copy = ", ALGORITHM=NOCOPY"

    isolation = "tx_isolation"

    recordsets_since = (10, 6)

    batch_modes = ("SIMULTANEOUS_ASSIGNMENT",)

    assigns_at_once = True

    has_expression_indexes = False

    statement_bound = "max_statement_time"
