"""Helps authors of revisions: templates, patterns, ``init`` and the guide."""

from safeops.authoring.revision_page import Page

__all__ = ["Page"]
