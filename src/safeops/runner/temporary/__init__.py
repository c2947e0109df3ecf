"""A temporary database beside the one of the project."""
