"""What PostgreSQL can do."""

from __future__ import annotations

from safeops.databases import abilities


class Abilities(abilities.Abilities):
    """The abilities."""

    validates_constraints_later = True

    has_named_types = True

    has_exclusion_constraints = True

    names_indexes_of_keys = True

    has_deferrable_keys = True

    has_deferrable_foreign_keys = True

    ties_foreign_keys = True

    has_partial_indexes = True

    merges_equal_keys = True

    dump_ending = ".dump"

    dump_magic = b"PGDMP"

    sees_sessions_with = "the role pg_monitor (or pg_read_all_stats), and track_activities on"

    has_row_security = True

    role_code = 'connection.execute(sa.text("SET ROLE owner_of_the_tables"))\nconnection.commit()'

    refusing_writes = "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"

    accepting_writes = "RESET default_transaction_read_only"
