"""Every city has a time zone.

The application has always written one; from now on the database holds it to that.
"""

from __future__ import annotations

from safeops import enforce_not_null, relax_not_null

revision: str = "0009"
down_revision: str | None = "0008"


def upgrade() -> None:
    enforce_not_null("cities", "timezone")


def downgrade() -> None:
    relax_not_null("cities", "timezone")
