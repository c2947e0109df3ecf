"""PostgreSQL: what tests of revisions need of it."""
