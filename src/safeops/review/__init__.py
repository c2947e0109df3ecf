"""Reviews the revisions of a project before they are deployed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from safeops.homes import on_demand

if TYPE_CHECKING:
    from safeops.judging.finding import Finding
    from safeops.review.checking import CheckedAndReviewed, check_and_review
    from safeops.review.reviewed import Accepted, Reviewed, ReviewedRevision
    from safeops.review.reviewing import review

__all__ = ["Accepted", "CheckedAndReviewed", "Finding", "Reviewed", "ReviewedRevision", "check_and_review", "review"]

# Loaded when first used: the other commands pay for none of it.
_HOMES = {
    "CheckedAndReviewed": "safeops.review.checking",
    "check_and_review": "safeops.review.checking",
    "Accepted": "safeops.review.reviewed",
    "Finding": "safeops.judging.finding",
    "Reviewed": "safeops.review.reviewed",
    "ReviewedRevision": "safeops.review.reviewed",
    "review": "safeops.review.reviewing",
}
__getattr__ = on_demand(__name__, _HOMES)
