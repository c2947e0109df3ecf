"""New cities come from the application.

Only the default of new rows changes; existing rows keep geonames. This is a separate revision: after an interruption,
the revision before would find its column with another default than its own.
"""

from __future__ import annotations

from safeops import set_server_default

revision: str = "0003"
down_revision: str | None = "0002"


def upgrade() -> None:
    set_server_default("cities", "source", "app")


def downgrade() -> None:
    set_server_default("cities", "source", "geonames")
