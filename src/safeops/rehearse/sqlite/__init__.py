"""SQLite: what a rehearsal needs of it."""
