"""``safeops heads``: the newest revisions, and the one that merges them."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from safeops.cli.configuration import config_of
from safeops.cli.outcome import fitting, shown_path, told
from safeops.cli.parsing import add_json, add_verb
from safeops.runner.revisions import MERGE, Pending, heads, merge, scripts_of, stay_apart


@dataclass(frozen=True)
class Heads:
    """What there is now, and what was written."""

    heads: tuple[Pending, ...]
    merged: Path | None
    apart: bool = False

    @property
    def exit_status(self) -> int:
        return 1 if len(self.heads) > 1 and not self.apart else 0

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "merged": None if self.merged is None else str(self.merged)}


def add_parser(verbs: Any, common: ArgumentParser) -> None:
    parser = add_verb(
        verbs,
        common,
        run,
        help="show the newest revisions; --merge brings several together",
        description="Shows the newest revisions. There should be one, unless each has a\n"
        "branch label of its own; with --merge several get a revision that merges them.\n"
        "No database is asked.\n\n"
        "Exit status: 0 one head, 1 several, 4 raised.",
        example='safeops heads --merge -m "merge the two features"',
    )
    parser.add_argument("--merge", action="store_true", help="write the revision that merges them")
    parser.add_argument("-m", "--message", help="its message (default: which ones it merges)")
    add_json(parser)


def run(options: Namespace) -> int:
    def do() -> Heads:
        config = config_of(options)
        merged = merge(config, options.message) if options.merge else None
        return Heads(tuple(heads(config)), merged, stay_apart(scripts_of(config)))

    return told(options, do, partial(lines_of, merging=options.merge))


def lines_of(found: Heads, *, merging: bool = False) -> Iterator[str]:
    if not found.heads:
        yield "There are no revisions yet."
    elif merging and found.merged is None:
        yield "There is one head: nothing to merge."
    if found.merged is not None:
        yield from fitting(f"Wrote {shown_path(str(found.merged))}: look at it, and commit it.")
    for one in found.heads:
        yield from fitting(f"{one.revision}  {one.message}".rstrip())
    if found.apart:
        yield "Each has a branch label of its own: they stay apart."
    elif len(found.heads) > 1:
        yield from fitting(f"There should be one head. {MERGE}")
