"""Loads one plug-in module per subject, and keeps one test's logging out of the next."""

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# For `pytest` alone, which, unlike `python -m pytest`, does not look in the current folder.
sys.path.insert(0, str(Path(__file__).parent.parent))

# Helpers assert on behalf of the tests: let pytest explain their failures as well.
for helper in ("projects", "catalogue", "lifecycle.harness", "concurrency.harness", "operations.shape"):
    pytest.register_assert_rewrite(f"tests.{helper}")

pytest_plugins = ["tests.servers"]


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """An env.py that runs in this process configures logging by its alembic.ini: for its own test only."""
    loggers = [logging.getLogger(name) for name in (None, "alembic", "safeops", "sqlalchemy", "sqlalchemy.engine")]
    before = [(one, one.level, one.handlers.copy(), one.propagate, one.disabled) for one in loggers]
    yield
    for one, level, handlers, propagate, disabled in before:
        one.setLevel(level)
        one.handlers[:] = handlers
        one.propagate, one.disabled = propagate, disabled
