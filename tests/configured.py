"""Projects whose env.py has one line of safeops: configure(). It knows no migration_lock."""

from __future__ import annotations

import dataclasses

from tests.projects import Project


@dataclasses.dataclass
class Configured(Project):
    """A project at its revision r0, in which Alembic has made its version table.

    Example:
        Configured(tmp_path, database, {"r1": (body, "pass")}, settings='guard="raise"').upgrade()
    """

    settings: str = "lock_timeout=0.3, retry_budget=1.0"

    def __post_init__(self) -> None:
        self.revisions = {"r0": ("pass", "pass"), **self.revisions}
        super().__post_init__()
        env = self.folder / "migrations/env.py"
        line = f"from safeops import configure\nconfigure({self.settings})\nconfig = context.config"
        env.write_text(env.read_text().replace("config = context.config", line, 1))
        self.upgrade("r0")
