"""What a server can do, and the data in which servers differ."""

from __future__ import annotations

from typing import ClassVar

from safeops.databases.ports import Port


class Abilities(Port):
    """What a server can do, and the data in which servers differ."""

    place = "safeops.databases.{family}.abilities:Abilities"

    cascades_fire_triggers: ClassVar[bool] = True
    """What a foreign key does to the rows that refer to a changed one fires their triggers."""

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

    schema_is_database: ClassVar[bool] = False
    """A schema and a database are the same thing."""

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

    compares_rows: ClassVar[bool] = True
    """A comparison of row values, (a, b) > (1, 2), is planned as a range of an index."""

    assigns_at_once: ClassVar[bool] = True
    """The assignments of an UPDATE all see the row as it was."""

    is_private: bool = False
    """No other connection can reach the database."""

    dump_ending: ClassVar[str]

    dump_magic: ClassVar[bytes]
    """The bytes that such a dump begins with."""

    fills_before_not_null: ClassVar[bool] = True
    """A trigger gives a row its value before NOT NULL is checked, so that it can serve for good."""

    sees_sessions_with: ClassVar[str] = ""
    """What the server wants before it shows a user the sessions of the others."""

    has_updatable_views: ClassVar[bool] = True
    """Through a view an application can write as it does through the table: defaults, new keys, counts of rows."""

    role_code: ClassVar[str] = ""
    """How env.py takes a role that has the rights."""

    begins: ClassVar[str] = "BEGIN"
    """The statement that begins a transaction which is to write."""

    has_row_security: ClassVar[bool] = False
    """Policies may hide rows of a table from a role."""

    locks_runners_by_session: ClassVar[bool] = True
    """The lock that lets one runner at a time migrate belongs to a session of its own."""

    refusing_writes: ClassVar[str]
    """Has the server refuse what a session would write from its next transaction on."""

    accepting_writes: ClassVar[str]
    """Takes that back."""
