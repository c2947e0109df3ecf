"""What `python -m pytest` leaves to `python -m pytest --whole`, which CI runs, and how many processes run the tests.

The mark `whole` is for what repeats a proof elsewhere: other versions of a server, more seeds, phases and rounds.
Tests on a server that is not one of CORE get it here, unless that server was asked for.
"""

from __future__ import annotations

from typing import TypeVar

import pytest

from tests.servers import ALL, CORE, POSTGRESQL

T = TypeVar("T")

_whole = False


def several(short: T, whole: T) -> T:
    """Of two numbers of rounds, or lists of cases, the one that this run has time for."""
    return whole if _whole else short


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("safeops")
    group.addoption("--whole", action="store_true", help="also what is marked whole, which takes three times as long")


def pytest_configure(config: pytest.Config) -> None:
    global _whole
    _whole = config.getoption("--whole")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    beyond = _beyond_the_core(config)
    for item in items:
        if _is_on_any_of(item, beyond):
            item.add_marker("whole")
    # A test that is named by its parameters is meant, as one that has failed in CI.
    if not _whole and not any("[" in argument for argument in config.args):
        _deselect(config, items)


def _deselect(config: pytest.Config, items: list[pytest.Item]) -> None:
    kept: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    for item in items:
        (left_out if any(item.iter_markers("whole")) else kept).append(item)
    items[:] = kept
    config.hook.pytest_deselected(items=left_out)


def _beyond_the_core(config: pytest.Config) -> set[str]:
    asked = set((config.getoption("--databases") or "").split(","))
    asked.update(POSTGRESQL if config.getoption("--all-postgresql") else ())
    return set(ALL) - set(CORE) - asked


def _is_on_any_of(item: pytest.Item, beyond: set[str]) -> bool:
    # The smoke tests run on each product, but not on each version of it.
    too_much = beyond - {"mysql97"} if any(item.iter_markers("smoke")) else beyond
    parameters: dict[str, object] = getattr(getattr(item, "callspec", None), "params", {})
    return any(value in too_much for value in parameters.values() if isinstance(value, str))


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """None, which is one a core, but for the tests of one module: two workers would start its servers twice."""
    modules = {argument.partition("::")[0] for argument in config.args}
    return 0 if len(modules) == 1 and modules.pop().endswith(".py") else None
