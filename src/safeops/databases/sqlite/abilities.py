"""What SQLite can do."""

from __future__ import annotations

from safeops.databases import abilities


class Abilities(abilities.Abilities):
    """The abilities."""

    rewrites_for_types = True

    max_identifier = 9999

    counts_letters = True

    builds_indexes_online = False

    has_schemas = False

    has_deferrable_foreign_keys = True

    has_partial_indexes = True

    merges_equal_keys = True

    has_comments = False

    renders_constraints_offline = False

    renders_column_changes_offline = False

    @property
    def is_private(self) -> bool:  # type: ignore[override]
        return not next((row[2] for row in self.read("PRAGMA database_list") if row[1] == "main"), "")

    dump_ending = ".sqlite"

    dump_magic = b"SQLite format 3\0"

    fills_before_not_null = False

    has_updatable_views = False

    begins = "BEGIN IMMEDIATE"

    locks_runners_by_session = False

    refusing_writes = "PRAGMA query_only = 1"

    accepting_writes = "PRAGMA query_only = 0"
