"""Waiting for locks: bounded, retried, explained. No operation knows how."""

from __future__ import annotations

from safeops.locking.patience import carry_out, patiently
from safeops.locking.runner import migration_lock, without_migration_lock

__all__ = ["carry_out", "migration_lock", "patiently", "without_migration_lock"]
