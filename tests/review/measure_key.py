"""Measures what is true of each revision of the key, on real servers.

    python -m tests.review.measure_key [REVISION...] [--on pg15,pg18] [--write] [--against FILE]

Each revision runs in a copy of the filled tables, by Alembic and psycopg, while `trace.py` watches. It is unsafe if a
lock that others wait for is held on a filled table while rows are scanned, built or rewritten, if a transaction changes
or locks 1,000 rows that exist, if it fails, or if key.json declares that it breaks the running application.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tests.review import keys
from tests.review.trace import Watch
from tests.servers import PostgreSQL, start

Truth = dict[str, Any]


def main() -> None:
    options = _options()
    entries = keys.load()
    wanted = [one for one in entries if not options.revisions or one["revision"] in options.revisions]
    for name in options.on.split(","):
        with tempfile.TemporaryDirectory() as folder:
            for entry, truth in measured(name, wanted, Path(folder)):
                entry["truth"][name.removeprefix("pg")] = truth
    for entry in wanted:
        entry["unsafe"] = judge(entry)
        print(told(entry), flush=True)
    if options.write:
        save(entries)
    if options.against:
        _compare(wanted, json.loads(Path(options.against).read_text()))


def judge(entry: dict[str, Any]) -> dict[str, bool]:
    """For each version whether the revision is unsafe."""
    return {version: bool(truth["kinds"] or entry["declared"]) for version, truth in sorted(entry["truth"].items())}


def measured(name: str, entries: Iterable[dict[str, Any]], folder: Path) -> Iterator[tuple[dict[str, Any], Truth]]:
    """Runs each revision on that server, and returns its measured effects."""
    server = start(name)
    assert isinstance(server, PostgreSQL)
    try:
        filled = keys.Filled(server, folder)
        for entry in entries:
            yield entry, _truth(filled, entry, folder)
    finally:
        server.stop()


def told(entry: dict[str, Any]) -> str:
    verdicts = " ".join(f"{version}:{'UNSAFE' if bad else 'safe'}" for version, bad in entry["unsafe"].items())
    lines = [f"{entry['revision']} {entry['name']} {verdicts} {','.join(entry['declared'])} | {entry['why']}"]
    for version, truth in sorted(entry["truth"].items()):
        lines.append(f"    {version}: { ({name: value for name, value in truth.items() if value}) }")
    return "\n".join(lines)


def save(entries: Iterable[dict[str, Any]]) -> None:
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries)
    (keys.KEY / "key.json").write_text(f"[\n{lines}\n]\n")


def _truth(filled: keys.Filled, entry: dict[str, Any], folder: Path) -> Truth:
    with filled.copied() as url:
        ini = keys.project(folder, [entry["file"]], url.render_as_string())
        with Watch(url).watching() as truth:
            keys.upgrade(ini, entry["revision"])
    return truth.as_json()


def _compare(entries: Iterable[dict[str, Any]], others: Iterable[dict[str, Any]]) -> None:
    """Names each difference from a key that was measured by other means."""
    theirs = {one["revision"]: one for one in others}
    for entry in entries:
        for version, truth in entry["truth"].items():
            other = theirs.get(entry["revision"], {})
            if version in other.get("truth", {}):
                _compare_truth(f"{entry['revision']} on {version}", truth, other["truth"][version])
                if entry["unsafe"][version] != other["unsafe_by_version"][version]:
                    print(f"DIFFERS {entry['revision']} on {version}: verdict")


def _compare_truth(title: str, ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    for name in ("locks", "rewritten", "long_lock_on", "rows_locked"):
        if ours[name] != theirs[name]:
            print(f"DIFFERS {title}: {name} {ours[name]} / {theirs[name]}")
    if bool(ours["error"]) != bool(theirs["error"]):
        print(f"DIFFERS {title}: error {ours['error']} / {theirs['error']}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measures the key of revisions.")
    parser.add_argument("revisions", nargs="*", help="only these")
    parser.add_argument("--on", default="pg15,pg18", help="the servers")
    parser.add_argument("--write", action="store_true", help="writes what was measured into key.json")
    parser.add_argument("--against", help="another key.json to compare with")
    return parser.parse_args()


if __name__ == "__main__":
    main()
