"""Loads one plug-in module per subject, and keeps what a project does to this process out of the next test."""

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import alembic.op
import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

# For `pytest` alone, which, unlike `python -m pytest`, does not look in the current folder.
sys.path.insert(0, str(Path(__file__).parent.parent))

# Helpers assert on behalf of the tests: let pytest explain their failures as well.
for helper in ("projects", "catalogue", "lifecycle.harness", "concurrency.harness", "operations.shape"):
    pytest.register_assert_rewrite(f"tests.{helper}")

# How long an example takes depends on the machine's other processes, not on the test.
hypothesis_settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("any machine")

pytest_plugins = ["tests.servers", "tests.whole"]


EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture(autouse=True)
def process_as_before(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """An env.py that runs in this process configures logging, and imports models: for its own test only.

    After an error Alembic leaves its operations in ``alembic.op``: the next test is outside of that migration.
    """
    loggers = [logging.getLogger(name) for name in (None, "alembic", "safeops", "sqlalchemy", "sqlalchemy.engine")]
    before = [(one, one.level, one.handlers.copy(), one.propagate, one.disabled) for one in loggers]
    modules, projects = set(sys.modules), (str(tmp_path_factory.getbasetemp()), str(EXAMPLES))
    yield
    for one, level, handlers, propagate, disabled in before:
        one.setLevel(level)
        one.handlers[:] = handlers
        one.propagate, one.disabled = propagate, disabled
    vars(alembic.op)["_proxy"] = None
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(projects):
            del sys.modules[name]
