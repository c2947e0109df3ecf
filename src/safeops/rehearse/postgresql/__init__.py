"""PostgreSQL: what a rehearsal needs of it."""
