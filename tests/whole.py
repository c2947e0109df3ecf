"""What `python -m pytest` leaves to `python -m pytest --whole`, which CI runs, and how many processes run the tests.

The mark `whole` is for what repeats a proof elsewhere: other versions of a server, more seeds, phases and rounds. What takes
minutes because it measures each entry of a key again is `exhaustive`, and runs by hand: `python -m pytest --exhaustive`.
Here it comes to every test on a server other than the first of CORE that the test is for, or the one that its mark
`by_default` names, since most prove a mechanism that is the same on all. On each of CORE run the tests with the mark
`smoke`, and those that crash a helper or take it up and down; on the servers beyond only what --databases names.

`--whole` runs the latter on all of CORE too, and each case of the others on its first server, and every second one on a
further one:

    that is for all of CORE         MariaDB and SQLite in turn
    marked whole by its author      one server of CORE: half of the cases the first, the others a further one; of the
                                    parameters of an ordinary one every second
    on a server in BETWEEN          of these the one that the name of the test falls on
    on MySQL                        every eighteenth of the cases that run on MariaDB, crashes included
    on PostgreSQL 15                every third test, and every sixth of parameters; of those not for 18 every third

A test that stops a helper everywhere stops it after each statement on its first server, and for every second of its cases on
MariaDB and SQLite; the other cases, and other servers of the same kind, stop once after each kind of statement.

What names its server, or has the mark `smoke`, runs there in any case, but for the first two and the last. --exhaustive
runs all of them.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar
from zlib import crc32

import pytest

from tests.servers import ALL, CORE, MYSQL

LIFE = {"crash_everywhere", "up_up_down_down_up"}
"""What a test calls to see a helper through its life."""

BETWEEN = ("pg14", "pg16", "pg17")
"""Servers between those of CORE, or older: what differs on them is tried by tests that name them."""

USUAL = 300.0
"""Seconds that a test may take, as in pyproject.toml."""

T = TypeVar("T")

REPEATS = pytest.StashKey[bool]()
PLACE = pytest.StashKey[int]()
"""The place of a case among those of its test; 0 for one that its first server does not have."""

_whole = _exhaustive = _repeats = False


def several(short: T, whole: T) -> T:
    """Of two numbers of rounds, or lists of cases, the one that this run has time for."""
    return whole if _whole else short


def unless_repeated(short: T, whole: T) -> T:
    """The same, but the short one also if the test that runs now repeats on its server what another one proves."""
    return short if _repeats and not _exhaustive else several(short, whole)


def sample(cases: Sequence[T], step: int) -> Sequence[T]:
    """One in so many of the cases; all of them with --exhaustive."""
    return cases if _exhaustive else cases[::step]


def alike(one: float, other: float) -> bool:
    """Whether two measurements of the same wait agree; next to other tests a wait must take seconds for that."""
    return abs(one - other) <= 0.2 * other + 0.05


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
def pytest_runtest_setup(item: pytest.Item) -> None:
    global _repeats
    _repeats = item.stash.get(REPEATS, False)


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Iterator[None]:
    """Nothing that is collected becomes garbage: to look for it took a quarter of the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


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
    servers, first = _servers_of_tests(items), _first_servers(items)
    _number_cases(items, first)
    for item in items:
        test = _test_of(item)
        item.stash[REPEATS] = _is_repeated(item, servers[test], first.get(test, ""))
        if _is_left_out(item, servers[test], first.get(test, "")):
            item.add_marker("exhaustive")
        wanted = {*CORE} if _is_for_each(item) else {*CORE} & {first.get(test, "")}
        if not _servers_of(item) <= wanted:
            item.add_marker("whole")
        if any(not _servers_of(item).isdisjoint(mark.args) for mark in item.iter_markers("by_hand")):
            item.add_marker("exhaustive")


def _is_left_out(item: pytest.Item, servers: set[str], first: str) -> bool:
    """Whether --whole leaves this case to other servers."""
    if len(_servers_of(item)) != 1:
        return False
    (server,) = _servers_of(item)
    number = _number_of_case(item)
    if server in BETWEEN and not _is_named(item, server):
        return server != BETWEEN[crc32(_test_of(item).encode()) % len(BETWEEN)]
    if item.get_closest_marker("smoke"):
        return False
    if server == "mysql97":
        return number % 18 != 0 and not _is_named(item, server)
    is_whole = bool(item.get_closest_marker("whole"))
    if _is_a_life(item) or (server == first and not is_whole):
        return False
    # Other bits of the number choose the server.
    if is_whole and _case(item) and number >> 8 & 1:
        return True
    if server in CORE and is_whole:
        return server not in _chosen(number, servers, first, alone=True)
    if server in CORE:
        place = item.stash[PLACE]
        turn = 2 * (crc32(_test_of(item).encode()) + place // 2)
        return (place % 2 == 1 and servers >= {*CORE}) or server not in _chosen(turn, servers, first, alone=False)
    if server == "pg15" and "pg18" in servers:
        return number % (6 if _case(item) else 3) != 0
    return bool(_case(item)) and number % 3 != 0


def _is_repeated(item: pytest.Item, servers: set[str], first: str) -> bool:
    """Whether the same is proved on another server: on the one of its kind in CORE, or every second case on the first."""
    if len(_servers_of(item)) != 1:
        return False
    (server,) = _servers_of(item)
    if server not in CORE:
        return ("mariadb" if server in MYSQL else "pg18") in servers
    return server != first and bool(_case(item)) and _number_of_case(item) % 2 == 1


def _chosen(number: int, servers: set[str], first: str, *, alone: bool) -> set[str]:
    """Of the servers of a test those of CORE that run a case."""
    further = [name for name in CORE if name in servers and name != first]
    if not further or not (alone or servers >= {*CORE}):
        return {*CORE}
    one = further[number // 2 % len(further)]
    return {one if number % 2 else first} if alone else {first, one}


def _is_named(item: pytest.Item, server: str) -> bool:
    return any(server in mark.args for mark in item.iter_markers("only"))


def _number_cases(items: Sequence[pytest.Item], first: dict[str, str]) -> None:
    places: dict[str, dict[str, int]] = {}
    for item in items:
        test = _test_of(item)
        if first.get(test) in _servers_of(item):
            known = places.setdefault(test, {})
            known.setdefault(_case(item), len(known))
    for item in items:
        item.stash[PLACE] = places.get(_test_of(item), {}).get(_case(item), 0)


def _number_of_case(item: pytest.Item) -> int:
    """The same on each server, and in each run."""
    return crc32(f"{_test_of(item)} {_case(item)}".encode())


def _case(item: pytest.Item) -> str:
    """The parameters of a test other than its server."""
    parameters = item.nodeid.partition("[")[2].removesuffix("]").split("-")
    return "-".join(name for name in parameters if name not in ALL)


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
    return bool(item.get_closest_marker("smoke")) or _is_a_life(item)


def _is_a_life(item: pytest.Item) -> bool:
    code = getattr(getattr(item, "function", None), "__code__", None)
    return not LIFE.isdisjoint(getattr(code, "co_names", ()))


def _servers_of_tests(items: Sequence[pytest.Item]) -> dict[str, set[str]]:
    servers: dict[str, set[str]] = {}
    for item in items:
        servers.setdefault(_test_of(item), set()).update(_servers_of(item))
    return servers


def _first_servers(items: Sequence[pytest.Item]) -> dict[str, str]:
    """For each test the server that it is tried on by default."""
    named = {_test_of(item): mark.args[0] for item in items for mark in item.iter_markers("by_default")}
    servers = _servers_of_tests(items).items()
    return {test: min(names, key=(*CORE, *ALL).index) for test, names in servers if names} | named


def _test_of(item: pytest.Item) -> str:
    return item.nodeid.partition("[")[0]


def _servers_of(item: pytest.Item) -> set[str]:
    """By the test's parameters, or by those of a fixture that starts a server."""
    parameters = getattr(getattr(item, "callspec", None), "params", {}).values()
    return {name for name in parameters if isinstance(name, str) and name in ALL}


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """One a core, but for the tests of one module: two workers would start its servers twice.

    The whole gets five for two cores: tests wait more than half of their time, for a lock or a server.
    """
    modules = {argument.partition("::")[0] for argument in config.args}
    if len(modules) == 1 and modules.pop().endswith(".py"):
        return 0
    whole = config.getoption("--whole") or config.getoption("--exhaustive")
    return 5 * (os.cpu_count() or 1) // 2 if whole else None
