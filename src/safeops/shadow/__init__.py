"""Renames of columns and changes of types, by a shadow column that is kept in sync."""
