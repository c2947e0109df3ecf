"""PostgreSQL: what a statement did on a scratch copy, and the copies."""

from safeops.review.postgresql.catalogue import Catalogue as Catalogue
from safeops.review.postgresql.copies import Copies as Copies
from safeops.review.postgresql.tracer import Tracer as Tracer
