"""Loads one plug-in module per subject."""

import sys
from pathlib import Path

import pytest

# For `pytest` alone, which, unlike `python -m pytest`, does not look in the current folder.
sys.path.insert(0, str(Path(__file__).parent.parent))

# Helpers assert on behalf of the tests: let pytest explain their failures as well.
for helper in ("projects", "catalogue", "lifecycle.harness", "concurrency.harness", "operations.shape"):
    pytest.register_assert_rewrite(f"tests.{helper}")

pytest_plugins = ["tests.servers"]
