"""The plug-in of pytest: its options. The rest is loaded only with ``--safeops``."""

from __future__ import annotations

import pytest

from safeops.testing.marks import MARKS


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("safeops", "tests of Alembic's revisions")
    group.addoption("--safeops", action="store_true", help="test the revisions of the Alembic project")
    group.addoption(
        "--safeops-since", metavar="REV|GITREF", help="only the revisions after REV, or added or changed since GITREF"
    )
    group.addoption(
        "--safeops-url",
        metavar="URL",
        help="an empty database, next to which others are created (default: a temporary server of the project's kind)",
    )
    group.addoption("--safeops-config", metavar="FILE", help="alembic.ini, or a pyproject.toml with [tool.alembic]")
    group.addoption(
        "--safeops-x", metavar="KEY=VALUE", action="append", default=[], help="an argument for env.py, as Alembic's -x"
    )
    parser.addini("safeops_config", "as --safeops-config, relative to this file", default="")
    parser.addini("safeops_url", "as --safeops-url", default="")
    parser.addini("safeops_x", "as --safeops-x, one a line", type="linelist", default=[])
    parser.addini("safeops_lock_timeout", "seconds for which a statement may wait for a lock", default="2.0")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "safeops: a test of a revision by safeops")
    for name, meaning in MARKS.items():
        config.addinivalue_line("markers", f"{name}: {meaning} (safeops)")
    if config.getoption("safeops"):
        from safeops.testing.session import register

        register(config)
