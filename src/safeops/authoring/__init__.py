"""What a project's authors meet: the template of a revision, its patterns, ``init`` and the guide."""

from safeops.authoring.revisions.page import Page

__all__ = ["Page"]
