"""A column that is NOT NULL on a table in use."""
