"""Running migrations: what stands, what would be done, backups, upgrades and ways back."""

from __future__ import annotations

from safeops.runner.backups import Backup, Restored, backup, restore
from safeops.runner.branching import heads, merge
from safeops.runner.checking import Checked, check
from safeops.runner.current import require_current
from safeops.runner.planning import Plan, plan
from safeops.runner.rolling_back import rollback
from safeops.runner.stamping import Stamped, stamp
from safeops.runner.surveying import Status, status
from safeops.runner.upgrading import Upgraded, upgrade

__all__ = [
    "Backup",
    "Checked",
    "Plan",
    "Restored",
    "Stamped",
    "Status",
    "Upgraded",
    "backup",
    "check",
    "heads",
    "merge",
    "plan",
    "require_current",
    "restore",
    "rollback",
    "stamp",
    "status",
    "upgrade",
]
