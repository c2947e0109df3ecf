"""The module that defines each public name, and packages that load those modules on demand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

# Loaded when first used: a migration pays for what it calls.
_HOMES = {
    "safeops.backfilling.backfill": "backfill",
    "safeops.backfilling.values": "reads",
    "safeops.backfilling.progress": "BackfillProgress",
    "safeops.backfilling.run": "BackfillReport",
    "safeops.backfilling.status": "BackfillState backfill_status forget_backfill",
    "safeops.backfilling.throttles": "active_sessions pause_file replica_lag rows_per_second time_window",
    "safeops.errors": (
        "BackfillConflict BackfillFunctionFailed BackfillIncomplete BackfillStopped BackupFailed"
        " DefinitionMismatch DependentObjects DuplicateRows FillingFailed InvalidArgument Irreversible"
        " LockNotAcquired NotCurrent NotReady OnlineOnly OrphanedRows OutsideMigration PhaseMissing RevisionFailed"
        " SafeOpsError ServerRefused TransactionNotOurs Unhealthy UnknownColumn UnknownConstraint UnknownTable"
        " UnknownType Unreachable UnsafeOperation UnsupportedOnDatabase ViolatingRows"
    ),
    "safeops.execution.migration_lock": "migration_lock",
    "safeops.execution.configuring": "configure",
    "safeops.schema.checks": "create_check_constraint_if_missing create_exclude_constraint_if_missing",
    "safeops.schema.alter_column": "alter_column_type enforce_not_null relax_not_null set_comment set_server_default",
    "safeops.schema.columns": "add_column_if_missing drop_column_if_exists",
    "safeops.schema.constraints": "drop_constraint_if_exists validate_constraint",
    "safeops.schema.foreign_keys": "create_foreign_key_if_missing",
    "safeops.schema.indexes": "create_index_if_missing drop_index_if_exists",
    "safeops.schema.refusals": "irreversible",
    "safeops.schema.keys": "create_primary_key_if_missing create_unique_constraint_if_missing",
    "safeops.schema.restore": "Archive archives drop_archives restore_column restore_table",
    "safeops.schema.schemas": "create_schema_if_missing drop_schema_if_exists",
    "safeops.schema.tables": "create_table_if_missing drop_table_if_exists",
    "safeops.schema.types": "add_enum_value_if_missing create_enum_if_missing drop_enum_if_exists",
    "safeops.policy": "Settings assured lock_timeout settings",
    "safeops.shadow.column_rename": "ColumnRename",
    "safeops.required_column": "add_required_column",
    "safeops.table_rename": "TableRename",
    "safeops.shadow.type_change": "TypeChange",
}
HOME_OF = {name: module for module, names in _HOMES.items() for name in names.split()}


def loaded(name: str) -> Any:
    """Return what has a public name."""
    return getattr(import_module(HOME_OF[name]), name)


def on_demand(package: str, home_of: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a package, which loads a module when one of its names is first used.

    Args:
        package: The name of the package.
        home_of: The module that defines each name.
    """

    def attribute(name: str) -> Any:
        if name not in home_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(home_of[name]), name)
        setattr(import_module(package), name, value)
        return value

    return attribute
