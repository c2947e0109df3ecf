"""What `python -m pytest` leaves to `python -m pytest --whole`, which CI runs, and how many processes run the tests.

The mark `whole` is for what repeats a proof elsewhere: other versions of a server, more seeds, phases and rounds. What takes
minutes because it measures each entry of a key again is `exhaustive`, and runs by hand: `python -m pytest --exhaustive`.
Here it comes to every test on a server other than the first of CORE that the test is for, or the one that its mark
`by_default` names, since most prove a mechanism that is the same on all. On each of CORE run the tests with the mark
`smoke`, and those that crash a helper or take it up and down; on the servers beyond only what --databases names.
Of the servers in BETWEEN, `--whole` gives each test the one that its name falls on, and of what runs on MariaDB it leaves
MySQL every third case; what has the mark `smoke`, or names a server, runs there in any case.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar
from zlib import crc32

import pytest

from tests.servers import ALL, CORE

LIFE = {"crash_everywhere", "up_up_down_down_up"}
"""What a test calls to see a helper through its life."""

BETWEEN = ("pg14", "pg16", "pg17")
"""Servers between those of CORE, or older: what differs on them is tried by tests that name them."""

USUAL = 300.0
"""Seconds that a test may take, as in pyproject.toml."""

T = TypeVar("T")

_whole = _exhaustive = False


def several(short: T, whole: T) -> T:
    """Of two numbers of rounds, or lists of cases, the one that this run has time for."""
    return whole if _whole else short


def sample(cases: Sequence[T], step: int) -> Sequence[T]:
    """One in so many of the cases; all of them with --exhaustive."""
    return cases if _exhaustive else cases[::step]


def one_in(number: int, cases: Sequence[Any]) -> list[Any]:
    """The arguments of ``parametrize()``: all of the cases; all but one in so many have the mark whole."""
    whole = pytest.mark.whole
    return [case if place % number == 0 else pytest.param(case, marks=whole) for place, case in enumerate(cases)]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("safeops")
    group.addoption("--whole", action="store_true", help="the tests marked whole too, as CI does")
    group.addoption("--exhaustive", action="store_true", help="the tests marked exhaustive too, and all of each sample")


def pytest_configure(config: pytest.Config) -> None:
    global _whole, _exhaustive
    _exhaustive = config.getoption("--exhaustive")
    _whole = config.getoption("--whole") or _exhaustive


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not (config.getoption("--databases") or config.getoption("--all-postgresql")):
        _mark_by_server(items)
    # A test that is named by its parameters is meant, as one that has failed in CI.
    if not any("[" in argument for argument in config.args):
        _deselect(config, items, [] if _whole else ["whole"], [] if _exhaustive else ["exhaustive"])
    # Those that may take long come first: at the end one worker would be at them while the others have nothing to do.
    items.sort(key=_seconds, reverse=True)


def _seconds(item: pytest.Item) -> float:
    """How long a test may take, if that is longer than for others."""
    mark = item.get_closest_marker("timeout")
    return max(float(mark.args[0]), USUAL) if mark is not None else USUAL


def _mark_by_server(items: Sequence[pytest.Item]) -> None:
    first = _first_servers(items)
    for item in items:
        if not _is_on_each(item) and _is_left_out(item):
            item.add_marker("exhaustive")
        wanted = {*CORE} if _is_for_each(item) else {*CORE} & {first.get(_test_of(item), "")}
        if not _servers_of(item) <= wanted:
            item.add_marker("whole")
        if any(not _servers_of(item).isdisjoint(mark.args) for mark in item.iter_markers("by_hand")):
            item.add_marker("exhaustive")


def _is_on_each(item: pytest.Item) -> bool:
    """Return whether a test runs on its server in any case: it names that server, or has the mark `smoke`."""
    named = {name for mark in item.iter_markers("only") for name in mark.args}
    return bool(item.get_closest_marker("smoke")) or not named.isdisjoint(_servers_of(item))


def _is_left_out(item: pytest.Item) -> bool:
    servers = _servers_of(item)
    if servers and servers <= {*BETWEEN}:
        return servers != {BETWEEN[crc32(_test_of(item).encode()) % len(BETWEEN)]}
    return servers == {"mysql97"} and crc32(item.nodeid.encode()) % 3 != 0


def _deselect(config: pytest.Config, items: list[pytest.Item], *marks: list[str]) -> None:
    """Leave out the tests with one of these marks."""
    unwanted = {mark for names in marks for mark in names}
    kept: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    for item in items:
        (kept if unwanted.isdisjoint(mark.name for mark in item.iter_markers()) else left_out).append(item)
    items[:] = kept
    config.hook.pytest_deselected(items=left_out)


def _is_for_each(item: pytest.Item) -> bool:
    code = getattr(getattr(item, "function", None), "__code__", None)
    return bool(item.get_closest_marker("smoke")) or not LIFE.isdisjoint(getattr(code, "co_names", ()))


def _first_servers(items: Sequence[pytest.Item]) -> dict[str, str]:
    """For each test the server that it is tried on by default."""
    servers: dict[str, set[str]] = {}
    named: dict[str, str] = {}
    for item in items:
        servers.setdefault(_test_of(item), set()).update(_servers_of(item))
        named |= {_test_of(item): mark.args[0] for mark in item.iter_markers("by_default")}
    return {test: min(names, key=(*CORE, *ALL).index) for test, names in servers.items() if names} | named


def _test_of(item: pytest.Item) -> str:
    return item.nodeid.partition("[")[0]


def _servers_of(item: pytest.Item) -> set[str]:
    """By the test's parameters, or by those of a fixture that starts a server."""
    parameters = getattr(getattr(item, "callspec", None), "params", {}).values()
    return {name for name in parameters if isinstance(name, str) and name in ALL}


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """None, which is one a core, but for the tests of one module: two workers would start its servers twice."""
    modules = {argument.partition("::")[0] for argument in config.args}
    return 0 if len(modules) == 1 and modules.pop().endswith(".py") else None
