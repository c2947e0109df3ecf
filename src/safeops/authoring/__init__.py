"""Setting up a project, and writing its revisions: what ``env.py`` and ``script.py.mako`` import."""

from __future__ import annotations

from typing import TYPE_CHECKING

from safeops.databases.connections import explain_url_errors
from safeops.homes import on_demand

if TYPE_CHECKING:
    from safeops.authoring.page import Page

__all__ = ["Page", "explain_url_errors"]

# Each command runs env.py; few write a revision.
__getattr__ = on_demand(__name__, {"Page": "safeops.authoring.page"})
