"""Measures what README and docs state about speed, and prints it.

    python -m tests.benchmarks [--quick] [--only PART,...] [--servers NAME,...] [--against REV]
    python -m tests.benchmarks --draw JSON

Each run has a fresh copy of its database on a disk and its own process; the variants of a part run in turn, forward and
backward, and a ratio is always one of two runs of one round. `--against` measures an earlier build of safeops in the same
rounds. TMPDIR chooses the disk of the servers. A part that was interrupted keeps its complete rounds.
"""

from __future__ import annotations

import argparse
import compileall
import datetime
import itertools
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from subprocess import CalledProcessError

from tests.benchmarks import builds, pages, report, server
from tests.benchmarks.results import Results, machine
from tests.benchmarks.running import Bench, say
from tests.benchmarks.shape import parts
from tests.servers import MissingServer

RESULTS = Path(__file__).parent / "results"
SERVERS = ("pg15", "pg18", "mariadb", "mysql97", "sqlite")


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    if options.draw:
        results = Results.read(options.draw)
        pages.write(results)
        print(report.text(results))
        return
    started = datetime.datetime.now(datetime.timezone.utc)
    path = options.json or _place(options, started)
    results = Results.read(path) if path.exists() else _empty(started)
    try:
        with ExitStack() as stack:
            folders = {"": builds.PRESENT}
            if options.against != "none":
                folders[builds.short(options.against)] = stack.enter_context(builds.unpacked(options.against))
            for folder in folders.values():
                # As pip does when it installs: else each run compiles what it imports, which no deployment does.
                compileall.compile_dir(folder, quiet=1)
            bench = Bench(results, folders, options.quick, options.repeat, lambda: results.write(path))
            for name, in_memory in itertools.product(options.servers, (False, True)):
                _measure(bench, name, in_memory, options.only)
    except KeyboardInterrupt:
        say("interrupted: this is what was measured")
    print(report.text(results))
    say(f"written to {path}")


def _measure(bench: Bench, name: str, in_memory: bool, only: Sequence[str]) -> None:
    """Measure the parts that are chosen for a server, in the way that it is started."""
    chosen = [(module, part) for module, part in parts() if not only or part.name in only]
    chosen = [(module, part) for module, part in chosen if name in part.servers and part.in_memory is in_memory]
    if not chosen:
        return
    try:
        with server.started(name, in_memory=in_memory) as running:
            for module, part in chosen:
                bench.measure(running, module, part)
                if (commit := builds.present()) != bench.results.commit:
                    bench.results.commits[part.name] = commit
                    bench.keep()
    except MissingServer as missing:
        say(f"left out: {missing}")


def _empty(started: datetime.datetime) -> Results:
    flush = round(server.flush_milliseconds(), 3)
    settings = {product: dict(given) for product, given in server.SETTINGS.items()}
    return Results(
        started.isoformat(timespec="seconds"), builds.present(), {**machine(), "flush_ms": flush}, settings, {}
    )


def _place(options: argparse.Namespace, started: datetime.datetime) -> Path:
    whole = not (options.quick or options.only or options.repeat or options.servers != [*SERVERS])
    folder = RESULTS if whole else Path(tempfile.gettempdir())
    return folder / f"{'' if whole else 'safeops-benchmarks-'}{started:%Y-%m-%d-%H%M%S}.json"


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    names = list(dict.fromkeys(part.name for _, part in parts()))
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="small tables and one round: minutes, not for the docs")
    parser.add_argument("--only", type=_list, default=[], metavar="PART,...", help=f"of {', '.join(names)}")
    parser.add_argument(
        "--servers", type=_list, default=[*SERVERS], metavar="NAME,...", help=f"of {', '.join(SERVERS)}"
    )
    parser.add_argument("--repeat", type=int, metavar="ROUNDS", help="instead of those of each part")
    parser.add_argument("--against", metavar="REV", help="an earlier commit, or none; default: the last release")
    parser.add_argument("--json", type=Path, help="where the results go; what the file has of other parts is kept")
    parser.add_argument(
        "--draw", type=Path, metavar="JSON", help="measure nothing: print these, draw the plot and write the pages"
    )
    options = parser.parse_args(arguments)
    if unknown := [*set(options.only) - set(names), *set(options.servers) - set(SERVERS)]:
        parser.error(f"unknown: {', '.join(unknown)}")
    try:
        options.against = options.against or builds.last_release()
        if options.against != "none":
            builds.short(options.against)
    except CalledProcessError:
        parser.error(f"{options.against} is not in the history: pass a commit, or none")
    if options.quick and not options.repeat:
        options.repeat = 1
    return options


def _list(text: str) -> list[str]:
    return text.split(",")


if __name__ == "__main__":
    main()
