"""Measures what is true of each revision of the keys of MariaDB, MySQL and SQLite.

    python -m tests.review.measure_families [REVISION...] [--on mariadb,mysql97,sqlite] [--write]

Each revision runs in a copy of the filled tables, by Alembic, while `watch_mysql.py` or `watch_sqlite.py` watches. It is
unsafe if others wait while all rows of a table are worked on, if a transaction changes or locks 1,000 rows that exist, if it
fails, or if key.json declares that it breaks the running application or loses data.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tests.review import keys, watch_mysql, watch_sqlite
from tests.review.family_keys import FAMILIES, Family, Filled, name_of
from tests.servers import Server, start


def main() -> None:
    options = _options()
    for name in options.on.split(","):
        server = start(name)
        family = FAMILIES[server.kind]
        entries = family.load()
        wanted = [one for one in entries if not options.revisions or one["revision"] in options.revisions]
        try:
            for entry, truth in measured(server, wanted):
                entry["truth"][name_of(server)] = truth
                entry["unsafe"] = judge(entry)
                print(entry["revision"], entry["name"], entry["unsafe"], truth, flush=True)
        finally:
            server.stop()
        if options.write:
            save(family, entries, name_of(server))


def judge(entry: dict[str, Any]) -> dict[str, bool]:
    """For each server whether the revision is unsafe."""
    return {name: bool(truth["kinds"] or entry["declared"]) for name, truth in sorted(entry["truth"].items())}


def measured(server: Server, entries: Iterable[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Runs each revision on that server, and returns its measured effects."""
    family = FAMILIES[server.kind]
    tell = _of_sqlite if server.kind == "sqlite" else _of_mysql
    for entry in entries:
        yield entry, tell(server, family, entry)


def _of_mysql(server: Server, family: Family, entry: dict[str, Any]) -> dict[str, Any]:
    filled = Filled(server, family)
    with filled.made() as url, tempfile.TemporaryDirectory() as folder:
        ini = filled.project(Path(folder), [entry["file"]], url)
        with watch_mysql.Watch(url).watching() as truth:
            keys.upgrade(ini, entry["revision"])
    return truth.as_json()


def _of_sqlite(server: Server, family: Family, entry: dict[str, Any]) -> dict[str, Any]:
    """Run it with few rows first: what takes more steps with many is what grows."""
    watch: watch_sqlite.Watch | None = None
    for rows in (keys.ROWS // 100, keys.ROWS):
        filled = Filled(server, family, rows)
        with filled.made() as url, tempfile.TemporaryDirectory() as folder:
            ini = filled.project(Path(folder), [entry["file"]], url)
            watch = watch_sqlite.Watch(url, watch)
            with watch.watching():
                keys.upgrade(ini, entry["revision"])
    assert watch is not None
    return watch.truth.as_json()


def save(family: Family, entries: Iterable[dict[str, Any]], name: str) -> None:
    """Write what was measured on one server into the key as it is by now."""
    truths = {entry["revision"]: entry["truth"].get(name) for entry in entries}
    now = family.load()
    for entry in now:
        if truths.get(entry["revision"]) is not None:
            entry["truth"] = dict(sorted({**entry["truth"], name: truths[entry["revision"]]}.items()))
            entry["unsafe"] = judge(entry)
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in now)
    (family.folder / "key.json").write_text(f"[\n{lines}\n]\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measures the keys of MariaDB, MySQL and SQLite.")
    parser.add_argument("revisions", nargs="*", help="only these")
    parser.add_argument("--on", default="mariadb,mysql97,sqlite", help="the servers")
    parser.add_argument("--write", action="store_true", help="writes what was measured into key.json")
    return parser.parse_args()


if __name__ == "__main__":
    main()
