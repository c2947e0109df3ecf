"""A whole database in one file, and back."""

from __future__ import annotations

from safeops.runner.backups.backup import Backup, backup
from safeops.runner.backups.restore import Restored, restore

__all__ = ["Backup", "Restored", "backup", "restore"]
