"""Autogenerate that writes helpers: pass ``process_revision_directives=safe_operations`` in env.py."""

from __future__ import annotations

from safeops.autogenerate import comparators, rendering
from safeops.autogenerate.rewriter import SafeOperations

__all__ = ["SafeOperations", "safe_operations"]

comparators.register()
rendering.register()

safe_operations = SafeOperations()
"""Has ``alembic revision --autogenerate`` write helpers of safeops, for ``process_revision_directives`` in env.py.

It is a ``Rewriter`` of Alembic: ``safe_operations.chain(other)`` and ``other.chain(safe_operations)`` both work.
"""
