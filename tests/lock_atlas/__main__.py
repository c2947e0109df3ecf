"""Traces what helpers and plain statements lock on each server, and renders docs/reference/lock-atlas.md.

python -m tests.lock_atlas [--servers NAME,...]     trace, keep the results, render
python -m tests.lock_atlas --draw                   render what was kept
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.lock_atlas import page
from tests.lock_atlas.cases import cases
from tests.lock_atlas.results import SERVERS, Results
from tests.lock_atlas.tracing import traced
from tests.servers import Database, MissingServer, start


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--servers", type=lambda text: text.split(","), default=SERVERS)
    parser.add_argument("--draw", action="store_true")
    options = parser.parse_args(arguments)
    results = Results.read()
    for name in () if options.draw else options.servers:
        _trace(name, results)
        results.write()
    page.PAGE.write_text(page.rendered(results))


def _trace(name: str, results: Results) -> None:
    try:
        server = start(name)
    except MissingServer as error:
        print(f"{name}: {error}")
        return
    try:
        database = Database(server.new_database(), server)
        with tempfile.TemporaryDirectory() as folder:
            entries = {case.name: entry for case, entry in traced(database, Path(folder), cases(server.kind))}
        results.put(name, database.version, entries)
        print(f"{name}: {len(entries)} cases")
        for case, entry in entries.items():
            if entry["error"]:
                print(f"  {case}: {entry['error']}")
    finally:
        server.stop()


if __name__ == "__main__":
    main()
