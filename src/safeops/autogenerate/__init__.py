"""Autogenerate that writes helpers: ``process_revision_directives=safe_operations`` in env.py is all that it takes."""

from __future__ import annotations

from safeops.autogenerate import defaults, exclusions, named_types, rendering, servers
from safeops.autogenerate.rewriting import SafeOperations

__all__ = ["SafeOperations", "safe_operations"]

rendering.register()
defaults.register()
named_types.register()
servers.register()
exclusions.register()

safe_operations = SafeOperations()
"""Has ``alembic revision --autogenerate`` write helpers of safeops, for ``process_revision_directives`` in env.py.

It is a ``Rewriter`` of Alembic: ``safe_operations.chain(other)`` and ``other.chain(safe_operations)`` both work.
"""
