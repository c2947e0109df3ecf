"""What 100 revisions with 300 operations cost by the helpers, against the same chain by plain ``op``.

    SAFEOPS_PG_HOME=... python -m tests.benchmarks.chain [--servers pg18,sqlite,mariadb] [--disk] [--repeat 5]

Each run is a process, and measures the command ``upgrade`` alone, on an empty database:

plain      the chain by ``op.*``
helpers    the chain by the helpers of safeops
skips      the same chain again, with everything there

The server is that of the tests, as a test suite has it: in memory, without fsync. ``--disk``: PostgreSQL with its defaults.
``--count`` lists instead how many statements each helper sends.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from tests import servers
from tests.benchmarks import server
from tests.benchmarks.chain_project import write_project
from tests.benchmarks.results import Spread

WAYS = ("plain", "helpers", "skips")


@dataclass(frozen=True)
class ChainRun:
    """What one run took: seconds, seconds of the client's processor, statements sent, ends of transactions.

    ``server_cpu`` is what the server's processes took; both run in turn, so with ``cpu`` it is what a quiet machine takes.
    """

    seconds: float
    cpu: float
    statements: int
    commits: int
    server_cpu: float = 0.0

    @property
    def both(self) -> float:
        return self.cpu + self.server_cpu


@dataclass(frozen=True)
class ChainResults:
    """The runs of each way on one server: the n-th of each was run next to the n-th of the others."""

    server: str
    runs: Mapping[str, Sequence[ChainRun]]

    def ratio(self, way: str, of: str = "seconds") -> Spread:
        pairs = zip(self.runs[way], self.runs["plain"], strict=True)
        return Spread.of([getattr(one, of) / getattr(plain, of) for one, plain in pairs])

    def lines(self) -> Iterator[str]:
        for way in WAYS:
            runs = self.runs[way]
            seconds = statistics.median(run.seconds for run in runs)
            yield (
                f"{self.server} {way}: {seconds:.2f} s, {self.ratio(way).format()} of plain; processor"
                f" {self.ratio(way, 'both').format()}: client {statistics.median(run.cpu for run in runs):.2f} s, server"
                f" {statistics.median(run.server_cpu for run in runs):.2f} s;"
                f" {runs[0].statements} statements, {runs[0].commits} commits"
            )


def measure(name: str, running: servers.Server, repeat: int) -> ChainResults:
    """Run each way as often on a running server, in turn and back again."""
    runs: dict[str, list[ChainRun]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        projects = {way: Path(folder, way) for way in ("plain", "helpers")}
        for way, project in projects.items():
            write_project(project, running.kind, plain=way == "plain")
        for number in range(repeat):
            for way in (("plain", "helpers"), ("helpers", "plain"))[number % 2]:
                url = running.new_database()
                runs[way].append(_run_beside(running, projects[way], url))
                if way == "helpers":
                    runs["skips"].append(_run_beside(running, projects[way], url, "skips"))
                running.drop(url)
    return ChainResults(name, runs)


def _run_beside(running: servers.Server, *arguments: Any) -> ChainRun:
    before = _server_cpu(running)
    run = _run_alone(*arguments)
    return replace(run, server_cpu=_server_cpu(running) - before)


def _server_cpu(running: servers.Server) -> float:
    """Return the seconds of the processor that a server and its sessions took, as far as these have ended."""
    process = getattr(running, "_process", None)
    if process is None:
        return 0.0
    # The postmaster notices their end a little after the client.
    time.sleep(0.2)
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _run_alone(project: Path, url: sa.URL, *options: str) -> ChainRun:
    text = url.render_as_string(hide_password=False)
    arguments = [sys.executable, "-m", "tests.benchmarks.chain", "--alone", str(project), text, *options]
    done = subprocess.run(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True)
    return ChainRun(**json.loads(done.stdout.splitlines()[-1]))


def upgrade(project: Path, url: str, *, again: bool = False) -> ChainRun:
    """Run the chain in this process, after its first revision, which is plain."""
    # Loaded once in a process, before the time is taken.
    exec("from safeops import *", {})
    config = Config()
    config.set_main_option("script_location", str(project))
    config.attributes["url"] = sa.make_url(url)
    if again:
        command.stamp(config, "r000")
    else:
        command.upgrade(config, "r000")
    with _counted() as counts:
        began, cpu = time.perf_counter(), time.process_time()
        command.upgrade(config, "head")
        return ChainRun(time.perf_counter() - began, time.process_time() - cpu, **counts)


@contextmanager
def _counted() -> Iterator[dict[str, int]]:
    counts = {"statements": 0, "commits": 0}

    def sent(*_: object) -> None:
        counts["statements"] += 1

    def committed(*_: object) -> None:
        counts["commits"] += 1

    listeners = {"after_cursor_execute": sent, "commit": committed}
    for event, listener in listeners.items():
        sa.event.listen(sa.Engine, event, listener)
    try:
        yield counts
    finally:
        for event, listener in listeners.items():
            sa.event.remove(sa.Engine, event, listener)


# The statements of each helper ------------------------------------------------------------------------------------


def statements_by_helper(project: Path, url: str, *, again: bool = False) -> dict[str, list[list[str]]]:
    """Return the statements of each call of each helper, without Alembic's own."""
    from safeops.execution.helper import helpers_recorded_by

    calls: dict[str, list[list[str]]] = defaultdict(list)
    last: list[list[str]] = [[]]

    def called(name: str, _given: Mapping[str, Any]) -> bool:
        last[0] = []
        calls[name].append(last[0])
        return False

    def sent(_connection: object, _cursor: object, text: str, *_: object) -> None:
        if "alembic_version" not in text:
            last[0].append(text)

    sa.event.listen(sa.Engine, "before_cursor_execute", sent)
    try:
        with helpers_recorded_by(called):
            upgrade(project, url, again=again)
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", sent)
    return calls


def _print_counts(name: str, running: servers.Server, *, whole: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        project, url = Path(folder, "helpers"), running.new_database()
        write_project(project, running.kind, plain=False)
        text = url.render_as_string(hide_password=False)
        for again in (False, True):
            print(f"{name}, {'skips' if again else 'first run'}:")
            for helper, calls in statements_by_helper(project, text, again=again).items():
                counts = [len(call) for call in calls]
                print(f"  {helper}: {min(counts)} to {max(counts)}, {statistics.mean(counts):.1f} on average")
                for statement in calls[-1] if whole else ():
                    print("      ", " ".join(statement.split())[:150])


# ------------------------------------------------------------------------------------------------------------------


def _started(name: str, *, disk: bool) -> Any:
    if disk and name.startswith("pg"):
        return server.started(name.removeprefix("pg"), {})
    return _in_memory(name)


@contextmanager
def _in_memory(name: str) -> Iterator[servers.Server]:
    running = servers.start(name)
    try:
        yield running
    finally:
        running.stop()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.chain", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--servers", default="pg18,sqlite,mariadb")
    parser.add_argument("--disk", action="store_true")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--count", action="store_true")
    parser.add_argument(
        "--whole", action="store_true", help="with --count: the statements of the last call of each helper"
    )
    parser.add_argument("--json", type=Path, help="write what was measured to this file")
    parser.add_argument("--alone", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.alone:
        project, url, *skips = options.alone
        print(json.dumps(asdict(upgrade(Path(project), url, again=bool(skips)))))
        return
    results = []
    for name in options.servers.split(","):
        with ExitStack() as stack:
            running = stack.enter_context(_started(name, disk=options.disk))
            if options.count:
                _print_counts(name, running, whole=options.whole)
                continue
            results.append(measure(f"{name}{' on disk' if options.disk else ''}", running, options.repeat))
        print("\n".join(results[-1].lines()), flush=True)
    if options.json:
        options.json.write_text(json.dumps([asdict(result) for result in results], indent=1))


if __name__ == "__main__":
    main()
