"""New cities come from the application.

Only the default of rows to come changes; the old ones still say geonames. A revision of its own: run again
after a stop, the revision before would find its column with another default than it asks for.
"""

from __future__ import annotations

from safeops import set_server_default

revision: str = "0003"
down_revision: str | None = "0002"


def upgrade() -> None:
    set_server_default("cities", "source", "app")


def downgrade() -> None:
    set_server_default("cities", "source", "geonames")
