"""Loads the project as it is imported, which the process does that children are forked from."""

from safeops.testing.loading import load_project

load_project()
