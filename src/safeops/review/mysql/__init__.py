"""MariaDB and MySQL: what a statement did on a scratch copy, and the copies."""

from safeops.review.mysql.catalogue import Catalogue as Catalogue
from safeops.review.mysql.copies import Copies as Copies
from safeops.review.mysql.tracer import Tracer as Tracer
