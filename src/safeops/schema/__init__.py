"""Changes of a schema: one family of operations a file."""
