"""A whole database in one file beside the project, and back."""

from __future__ import annotations

from safeops.runner.backups.backup import backup
from safeops.runner.backups.report import Backup, Restored
from safeops.runner.backups.restore import restore

__all__ = ["Backup", "Restored", "backup", "restore"]
