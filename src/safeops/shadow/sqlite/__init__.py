"""The shadow column on SQLite."""
