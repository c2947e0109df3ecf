"""Alembic helpers that make migrating a large live database safe.

Import them in a revision and call them inside ``upgrade()`` and ``downgrade()``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from safeops.backfilling.engine import backfill
    from safeops.backfilling.functions import reads
    from safeops.backfilling.progress import BackfillProgress
    from safeops.backfilling.running import BackfillReport
    from safeops.backfilling.status import BackfillState, backfill_status, forget_backfill
    from safeops.backfilling.throttles import (
        active_sessions,
        pause_file,
        replica_lag,
        rows_per_second,
        time_window,
    )
    from safeops.errors import (
        BackfillConflict,
        BackfillFunctionFailed,
        BackfillIncomplete,
        BackfillStopped,
        BackupFailed,
        DefinitionMismatch,
        DependentObjects,
        DuplicateRows,
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
    from safeops.locking import migration_lock
    from safeops.migration import configure
    from safeops.operations.checks import create_check_constraint_if_missing
    from safeops.operations.column_types import alter_column_type
    from safeops.operations.columns import add_column_if_missing, drop_column_if_exists
    from safeops.operations.comments import set_comment
    from safeops.operations.constraints import drop_constraint_if_exists, validate_constraint
    from safeops.operations.defaults import set_server_default
    from safeops.operations.exclusions import create_exclude_constraint_if_missing
    from safeops.operations.foreign_keys import create_foreign_key_if_missing
    from safeops.operations.indexes import create_index_if_missing, drop_index_if_exists
    from safeops.operations.irreversible import irreversible
    from safeops.operations.keys import create_primary_key_if_missing, create_unique_constraint_if_missing
    from safeops.operations.nullability import enforce_not_null, relax_not_null
    from safeops.operations.restoring import Archive, archives, drop_archives, restore_column, restore_table
    from safeops.operations.schemas import create_schema_if_missing, drop_schema_if_exists
    from safeops.operations.tables import create_table_if_missing, drop_table_if_exists
    from safeops.operations.types import (
        add_enum_value_if_missing,
        create_enum_if_missing,
        drop_enum_if_exists,
    )
    from safeops.policy import Settings, assured, lock_timeout, settings
    from safeops.recipes.column_rename import ColumnRename
    from safeops.recipes.required import add_required_column
    from safeops.recipes.table_rename import TableRename
    from safeops.recipes.type_change import TypeChange

__version__ = "0.1.0"

# Loaded when first used: a migration pays for what it calls.
_HOMES = {
    "safeops.backfilling.engine": "backfill",
    "safeops.backfilling.functions": "reads",
    "safeops.backfilling.progress": "BackfillProgress",
    "safeops.backfilling.running": "BackfillReport",
    "safeops.backfilling.status": "BackfillState backfill_status forget_backfill",
    "safeops.backfilling.throttles": "active_sessions pause_file replica_lag rows_per_second time_window",
    "safeops.errors": (
        "BackfillConflict BackfillFunctionFailed BackfillIncomplete BackfillStopped BackupFailed"
        " DefinitionMismatch DependentObjects DuplicateRows InvalidArgument Irreversible LockNotAcquired"
        " NotCurrent NotReady OnlineOnly OrphanedRows OutsideMigration PhaseMissing RevisionFailed"
        " SafeOpsError ServerRefused TransactionNotOurs Unhealthy UnknownColumn UnknownConstraint UnknownTable"
        " UnknownType Unreachable UnsafeOperation UnsupportedOnDatabase ViolatingRows"
    ),
    "safeops.locking": "migration_lock",
    "safeops.migration": "configure",
    "safeops.operations.checks": "create_check_constraint_if_missing",
    "safeops.operations.column_types": "alter_column_type",
    "safeops.operations.columns": "add_column_if_missing drop_column_if_exists",
    "safeops.operations.comments": "set_comment",
    "safeops.operations.constraints": "drop_constraint_if_exists validate_constraint",
    "safeops.operations.defaults": "set_server_default",
    "safeops.operations.exclusions": "create_exclude_constraint_if_missing",
    "safeops.operations.foreign_keys": "create_foreign_key_if_missing",
    "safeops.operations.indexes": "create_index_if_missing drop_index_if_exists",
    "safeops.operations.irreversible": "irreversible",
    "safeops.operations.keys": "create_primary_key_if_missing create_unique_constraint_if_missing",
    "safeops.operations.nullability": "enforce_not_null relax_not_null",
    "safeops.operations.restoring": "Archive archives drop_archives restore_column restore_table",
    "safeops.operations.schemas": "create_schema_if_missing drop_schema_if_exists",
    "safeops.operations.tables": "create_table_if_missing drop_table_if_exists",
    "safeops.operations.types": "add_enum_value_if_missing create_enum_if_missing drop_enum_if_exists",
    "safeops.policy": "Settings assured lock_timeout settings",
    "safeops.recipes.column_rename": "ColumnRename",
    "safeops.recipes.required": "add_required_column",
    "safeops.recipes.table_rename": "TableRename",
    "safeops.recipes.type_change": "TypeChange",
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names.split()}

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


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'safeops' has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
