"""Reviews the revisions of a project before they are deployed."""

from __future__ import annotations

from safeops.review.checking import CheckedAndReviewed, check_and_review
from safeops.review.reviewed import Accepted, Reviewed, ReviewedRevision
from safeops.review.reviewing import review

__all__ = ["Accepted", "CheckedAndReviewed", "Reviewed", "ReviewedRevision", "check_and_review", "review"]
