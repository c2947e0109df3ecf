"""Alembic helpers that make migrating a large live database safe.

Import them in a revision and call them inside ``upgrade()`` and ``downgrade()``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from safeops.homes import HOME_OF, on_demand

if TYPE_CHECKING:
    from safeops.backfilling.backfill import backfill
    from safeops.backfilling.progress import BackfillProgress
    from safeops.backfilling.run import BackfillReport
    from safeops.backfilling.status import BackfillState, backfill_status, forget_backfill
    from safeops.backfilling.throttles import active_sessions, pause_file, replica_lag, rows_per_second, time_window
    from safeops.backfilling.values import reads
    from safeops.errors import (
        BackfillConflict,
        BackfillFunctionFailed,
        BackfillIncomplete,
        BackfillStopped,
        BackupFailed,
        DefinitionMismatch,
        DependentObjects,
        DuplicateRows,
        FillingFailed,
        InvalidArgument,
        Irreversible,
        LockNotAcquired,
        NotCurrent,
        NotReady,
        OnlineOnly,
        OrphanedRows,
        OutsideMigration,
        PhaseMissing,
        RevisionFailed,
        SafeOpsError,
        ServerRefused,
        TransactionNotOurs,
        Unhealthy,
        UnknownColumn,
        UnknownConstraint,
        UnknownTable,
        UnknownType,
        Unreachable,
        UnsafeOperation,
        UnsupportedOnDatabase,
        ViolatingRows,
    )
    from safeops.execution.configuring import configure
    from safeops.execution.migration_lock import migration_lock
    from safeops.policy import Settings, assured, lock_timeout, settings
    from safeops.required_column import add_required_column
    from safeops.schema.alter_column import (
        alter_column_type,
        enforce_not_null,
        relax_not_null,
        set_comment,
        set_server_default,
    )
    from safeops.schema.checks import create_check_constraint_if_missing, create_exclude_constraint_if_missing
    from safeops.schema.columns import add_column_if_missing, drop_column_if_exists
    from safeops.schema.constraints import drop_constraint_if_exists, validate_constraint
    from safeops.schema.foreign_keys import create_foreign_key_if_missing
    from safeops.schema.indexes import create_index_if_missing, drop_index_if_exists
    from safeops.schema.keys import create_primary_key_if_missing, create_unique_constraint_if_missing
    from safeops.schema.refusals import irreversible
    from safeops.schema.restore import Archive, archives, drop_archives, restore_column, restore_table
    from safeops.schema.schemas import create_schema_if_missing, drop_schema_if_exists
    from safeops.schema.tables import create_table_if_missing, drop_table_if_exists
    from safeops.schema.types import add_enum_value_if_missing, create_enum_if_missing, drop_enum_if_exists
    from safeops.shadow.column_rename import ColumnRename
    from safeops.shadow.type_change import TypeChange
    from safeops.table_rename import TableRename

__version__ = "0.2.0"

__all__ = [
    "Archive",
    "BackfillConflict",
    "BackfillFunctionFailed",
    "BackfillIncomplete",
    "BackfillProgress",
    "BackfillReport",
    "BackfillState",
    "BackfillStopped",
    "BackupFailed",
    "ColumnRename",
    "DefinitionMismatch",
    "DependentObjects",
    "DuplicateRows",
    "FillingFailed",
    "InvalidArgument",
    "Irreversible",
    "LockNotAcquired",
    "NotCurrent",
    "NotReady",
    "OnlineOnly",
    "OrphanedRows",
    "OutsideMigration",
    "PhaseMissing",
    "RevisionFailed",
    "SafeOpsError",
    "ServerRefused",
    "Settings",
    "TableRename",
    "TransactionNotOurs",
    "TypeChange",
    "Unhealthy",
    "UnknownColumn",
    "UnknownConstraint",
    "UnknownTable",
    "UnknownType",
    "Unreachable",
    "UnsafeOperation",
    "UnsupportedOnDatabase",
    "ViolatingRows",
    "active_sessions",
    "add_column_if_missing",
    "add_enum_value_if_missing",
    "add_required_column",
    "alter_column_type",
    "archives",
    "assured",
    "backfill",
    "backfill_status",
    "configure",
    "create_check_constraint_if_missing",
    "create_enum_if_missing",
    "create_exclude_constraint_if_missing",
    "create_foreign_key_if_missing",
    "create_index_if_missing",
    "create_primary_key_if_missing",
    "create_schema_if_missing",
    "create_table_if_missing",
    "create_unique_constraint_if_missing",
    "drop_archives",
    "drop_column_if_exists",
    "drop_constraint_if_exists",
    "drop_enum_if_exists",
    "drop_index_if_exists",
    "drop_schema_if_exists",
    "drop_table_if_exists",
    "enforce_not_null",
    "forget_backfill",
    "irreversible",
    "lock_timeout",
    "migration_lock",
    "pause_file",
    "reads",
    "relax_not_null",
    "replica_lag",
    "restore_column",
    "restore_table",
    "rows_per_second",
    "set_comment",
    "set_server_default",
    "settings",
    "time_window",
    "validate_constraint",
]


__getattr__ = on_demand(__name__, HOME_OF)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
